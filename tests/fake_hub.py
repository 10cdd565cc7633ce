"""A hub on loopback, just large enough to push a folder and load it again by its id."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FakeHub(ThreadingHTTPServer):
    """`self.repos` are the main branches, dictionaries of file name -> bytes; `self.branches` are the others, by (repository, name).

    A data set is called datasets/ID.

    Every commit gets a new sha, by which its files stay there.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.repos: dict[str, dict[str, bytes]] = {}
        self.branches: dict[tuple[str, str], dict[str, bytes]] = {}
        self.commits: dict[tuple[str, str], dict[str, bytes]] = {}
        self.requests: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def files(self, repo: str, revision: str = "main") -> dict[str, bytes] | None:
        """The files of a branch or a commit."""
        if revision == "main":
            return self.repos[repo]
        return self.branches.get((repo, revision), self.commits.get((repo, revision)))

    def sha(self, repo: str, revision: str = "main") -> str:
        files = self.files(repo, revision)
        sha = hashlib.sha1(b"".join(name.encode() + data for name, data in sorted(files.items()))).hexdigest()
        self.commits[repo, sha] = dict(files)
        return sha


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args) -> None:
        pass

    def answer(self, content: bytes | dict | list, status: int = 200, **headers: str) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def missing(self, what: str) -> None:
        self.answer({"error": what}, 404, X_Error_Code=what, X_Error_Message=what)

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            data = b""
            while size := int(self.rfile.readline(), 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return data
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def do_POST(self) -> None:
        self.server.requests.append(f"POST {self.path}")
        body, path = self.body(), self.path.split("?")[0]
        if path == "/api/repos/create":
            wish = json.loads(body)
            name = f"{wish.get('organization') or 'me'}/{wish['name'].split('/')[-1]}"
            self.server.repos.setdefault(name, {})
            self.answer({"url": f"{self.server.url}/{name}", "name": name, "id": name})
        elif path == "/api/validate-yaml":
            self.answer({"errors": [], "warnings": []})
        elif match := re.fullmatch(r"/api/models/([\w-]+/[\w-]+)/(preupload|commit|branch)/(\w+)", path):
            repo, what, revision = match.groups()
            if repo not in self.server.repos:
                self.missing("RepoNotFound")
            elif self.server.files(repo, revision) is None and what != "branch":
                self.missing("RevisionNotFound")
            elif what == "branch":
                self.server.branches.setdefault((repo, revision), dict(self.server.repos[repo]))
                self.answer({})
            elif what == "preupload":
                files = [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in json.loads(body)["files"]]
                self.answer({"files": files})
            else:
                for line in map(json.loads, body.splitlines()):
                    if line["key"] == "file":
                        self.server.files(repo, revision)[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
                sha = self.server.sha(repo, revision)
                self.answer({"success": True, "commitOid": sha, "commitUrl": f"{self.server.url}/{repo}/commit/{sha}"})
        else:
            self.missing("EntryNotFound")

    def do_GET(self) -> None:
        self.server.requests.append(f"{self.command} {self.path}")
        path = self.path.split("?")[0]
        if path == "/api/whoami-v2":
            self.answer({"type": "user", "name": "me", "orgs": [], "auth": {"type": "access_token"}})
        elif match := re.fullmatch(r"/api/(?:models/|(datasets/))([\w-]+/[\w-]+)(?:/(revision|tree)/(\w+))?", path):
            repo, what, revision = (match[1] or "") + match[2], match[3], match[4] or "main"
            if repo not in self.server.repos:
                self.missing("RepoNotFound")
                return
            files = self.server.files(repo, revision)
            if files is None:
                self.missing("RevisionNotFound")
                return
            if what == "tree":
                entries = [{"type": "file", "path": n, "size": len(d), "oid": hashlib.sha1(d).hexdigest()} for n, d in files.items()]
                self.answer(entries)
            else:
                info = {
                    "id": repo,
                    "modelId": repo,
                    "sha": self.server.sha(repo, revision),
                    "private": False,
                    "tags": [],
                    "downloads": 0,
                    "likes": 0,
                }
                self.answer(info | {"siblings": [{"rfilename": name} for name in files]})
        elif match := re.fullmatch(r"/((?:datasets/)?[\w-]+/[\w-]+)/resolve/(\w+)/(.+)", path):
            repo, revision, name = match.groups()
            files = self.server.files(repo, revision) if repo in self.server.repos else {}
            if repo not in self.server.repos:
                self.missing("RepoNotFound")
            elif files is None:
                self.missing("RevisionNotFound")
            elif name not in files:
                self.missing("EntryNotFound")
            else:
                etag = f'"{hashlib.sha1(files[name]).hexdigest()}"'
                self.answer(files[name], ETag=etag, X_Repo_Commit=self.server.sha(repo, revision))
        else:
            self.missing("EntryNotFound")

    do_HEAD = do_GET
