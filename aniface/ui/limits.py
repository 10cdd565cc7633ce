"""What the studio's server takes from anyone: files of 40 MB, other requests of 4 MB, 64 events that wait."""

from __future__ import annotations

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_UPLOAD = "40mb"
MAX_BODY = 4_000_000  # a drawing of nothing but single pixels has 1.4 MB
MAX_WAITING = 64


class LimitedBodies:
    """ASGI middleware that refuses requests with more than MAX_BODY bytes before they are read; uploads have Gradio's own limit."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].endswith("/upload"):
            await self.app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or len(length) > 12 or int(length) > MAX_BODY:
            refusal = JSONResponse({"detail": f"the request is too large; at most {MAX_BODY // 10**6} MB are taken"}, status_code=413)
            await refusal(scope, receive, send)
            return
        taken = 0

        async def receive_some() -> Message:
            """The next part; for a body without a length that grows too large, as if its sender had gone."""
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            return message if taken <= MAX_BODY else {"type": "http.disconnect"}

        await self.app(scope, receive_some, send)
