"""What the studio's server refuses: too much at once, what is not its own, and how it says so."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from aniface.start_masks import start_masks
from aniface.ui.canvas import encode_mask
from aniface.ui.limits import MAX_BODY, MAX_WAITING

from .studio_pages import chromium, open_studio, serve

__all__ = ["chromium"]
ROOT = Path(__file__).parents[1]
OTHERS = ["/etc/passwd", str(ROOT / "pyproject.toml"), "pyproject.toml", "../../../etc/passwd", "/dev/zero"]


class Waiting:
    """A pipeline that paints only when it may."""

    def __init__(self, pipe):
        self.may = threading.Event()
        self.may.set()
        outer = self

        class Slow(type(pipe)):
            def __call__(self, *args, **kwargs):
                outer.may.wait(60)
                return super().__call__(*args, **kwargs)

        self.pipe = Slow(**pipe.components)


@pytest.fixture()
def waiting(tiny):
    gate = Waiting(tiny)
    gate.studio, gate.url = serve(gate.pipe)
    yield gate
    gate.may.set()
    gate.studio.close()


def join(http: httpx.Client, studio, session: str) -> httpx.Response:
    number = next(i for i, f in studio.fns.items() if f.name == "paint_if_live")
    data = [True, None, False, encode_mask(start_masks()["bob"]), "auto", 1.0, 0, 1.0]
    return http.post("/gradio_api/queue/join", json={"data": data, "fn_index": number, "session_hash": session})


def test_a_full_queue_says_so_and_goes_on(waiting, chromium):
    page = open_studio(chromium, waiting.url)
    with httpx.Client(base_url=waiting.url, timeout=30) as http:
        waiting.may.clear()
        answers = [join(http, waiting.studio, f"s{number}") for number in range(MAX_WAITING + 3)]
        assert {answer.status_code for answer in answers} == {200, 503}
        full = answers[-1]
        assert full.status_code == 503 and "Queue is full" in full.text and str(ROOT) not in full.text
        page.locator("#paint").click()
        expect(page.locator(".toast-body")).to_contain_text("busy", timeout=10_000)
        waiting.may.set()
        with http.stream("GET", "/gradio_api/queue/data", params={"session_hash": "s0"}) as stream:
            assert any("process_completed" in line and '"success":true' in line for line in stream.iter_lines())
    page.context.close()


def test_large_requests_are_refused_unread(waiting):
    with httpx.Client(base_url=waiting.url, timeout=30) as http:
        answer = http.post("/gradio_api/queue/join", content=b"x" * (MAX_BODY + 1), headers={"content-type": "application/json"})
        assert answer.status_code == 413 and answer.json()["detail"] == "the request is too large; at most 4 MB are taken"
        chunks = (b"x" * 1_000_000 for _ in range(50))
        with contextlib.suppress(httpx.TransportError):  # cut off
            assert http.post("/gradio_api/queue/join", content=chunks).status_code >= 400
        upload = http.post("/gradio_api/upload", files={"files": ("big.png", b"x" * 43_000_000)})
        assert upload.status_code == 413
        assert http.get("/").status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", str(ROOT / "pyproject.toml"), "pyproject.toml", "../../../etc/passwd", str(ROOT / "aniface/ui/studio.py"), "/dev/zero"],
)
def test_only_its_own_temporary_files_are_served(waiting, path):
    for route in ("gradio_api/file=", "file=", "gradio_api/file/"):
        answer = httpx.get(f"{waiting.url.rstrip('/')}/{route}{path}", timeout=10, follow_redirects=True)
        assert answer.status_code >= 400, (route, answer.text[:100])
        assert str(ROOT) not in answer.text.replace(path, "")
    with httpx.Client(base_url=waiting.url, timeout=30) as http:  # nor read as an input
        number = next(i for i, f in waiting.studio.fns.items() if f.api_name == "segment")
        body = {"data": [{"path": path, "meta": {"_type": "gradio.FileData"}}], "fn_index": number, "session_hash": "s"}
        http.post("/gradio_api/queue/join", json=body).raise_for_status()
        with http.stream("GET", "/gradio_api/queue/data", params={"session_hash": "s"}) as stream:
            event = next(line for line in stream.iter_lines() if "process_completed" in line)
        assert '"success":false' in event and str(ROOT) not in event.replace(path, "")
