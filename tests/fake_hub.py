"""A hub on loopback, just large enough to push a folder and load it again by its id."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FakeHub(ThreadingHTTPServer):
    """Repositories are dictionaries of file name -> bytes in `self.repos`; every commit gets a new sha."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.repos: dict[str, dict[str, bytes]] = {}
        self.requests: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def sha(self, repo: str) -> str:
        return hashlib.sha1(b"".join(name.encode() + data for name, data in sorted(self.repos[repo].items()))).hexdigest()


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
        elif match := re.fullmatch(r"/api/models/([\w-]+/[\w-]+)/(preupload|commit)/(\w+)", path):
            repo, what, _ = match.groups()
            if repo not in self.server.repos:
                self.missing("RepoNotFound")
            elif what == "preupload":
                files = [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in json.loads(body)["files"]]
                self.answer({"files": files})
            else:
                for line in map(json.loads, body.splitlines()):
                    if line["key"] == "file":
                        self.server.repos[repo][line["value"]["path"]] = base64.b64decode(line["value"]["content"])
                sha = self.server.sha(repo)
                self.answer({"success": True, "commitOid": sha, "commitUrl": f"{self.server.url}/{repo}/commit/{sha}"})
        else:
            self.missing("EntryNotFound")

    def do_GET(self) -> None:
        self.server.requests.append(f"{self.command} {self.path}")
        path = self.path.split("?")[0]
        if path == "/api/whoami-v2":
            self.answer({"type": "user", "name": "me", "orgs": [], "auth": {"type": "access_token"}})
        elif match := re.fullmatch(r"/api/models/([\w-]+/[\w-]+)(?:/(revision|tree)/(\w+))?", path):
            repo, what, _ = match.groups()
            if repo not in self.server.repos:
                self.missing("RepoNotFound")
                return
            files = self.server.repos[repo]
            if what == "tree":
                entries = [{"type": "file", "path": n, "size": len(d), "oid": hashlib.sha1(d).hexdigest()} for n, d in files.items()]
                self.answer(entries)
            else:
                info = {"id": repo, "modelId": repo, "sha": self.server.sha(repo), "private": False, "tags": [], "downloads": 0, "likes": 0}
                self.answer(info | {"siblings": [{"rfilename": name} for name in files]})
        elif match := re.fullmatch(r"/([\w-]+/[\w-]+)/resolve/(\w+)/(.+)", path):
            repo, _, name = match.groups()
            if repo not in self.server.repos:
                self.missing("RepoNotFound")
            elif name not in self.server.repos[repo]:
                self.missing("EntryNotFound")
            else:
                data = self.server.repos[repo][name]
                self.answer(data, ETag=f'"{hashlib.sha1(data).hexdigest()}"', X_Repo_Commit=self.server.sha(repo))
        else:
            self.missing("EntryNotFound")

    do_HEAD = do_GET
