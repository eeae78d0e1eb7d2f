"""Answers the requests of the demo's own page, and no others.

Gradio offers many more routes than the page uses. Some of them copy any file that a request names, download from an
address that it names, or save what another page shows. Any program on this machine can reach them, and so can a page of
another site through the user's browser. So whatever is not on the list below is refused, a request of another site's
page is refused, and a file that a request names must be one that was uploaded to the demo.
"""

import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

__all__ = ["Guard"]

App = Callable[[Any, Any, Any], Awaitable[None]]
QUEUE, PROGRESS, FILE = "/gradio_api/queue/data", "/gradio_api/upload_progress", "/gradio_api/file="
READ = {"/", "/config", "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt", QUEUE, PROGRESS}
READ_BELOW = ("/assets/", "/static/", "/svelte/", "/gradio_api/heartbeat/", FILE)
CALLS, UPLOAD = {"/gradio_api/queue/join", "/gradio_api/cancel", "/gradio_api/reset"}, "/gradio_api/upload"
WRITE = {*CALLS, UPLOAD}
LONGEST_BODY = 1_000_000
"""Bytes of a request that calls or cancels a function, at most."""
LONGEST_UPLOAD = 22_000_000
"""Bytes of an upload, at most: room for the largest file that Gradio accepts (`serve.MAX_UPLOAD`) and for what stands
around it. Gradio limits the files of an upload only, and reads every other field whole into memory.
"""


class _Refused(Exception):
    """Args: status of HTTP, and the reason."""


class Guard:
    """An ASGI application that passes on only what the page asks for.

    Args:
        app: the application behind it.
        uploads: the folder of the files that were uploaded; no other file may be named by a request.
    """

    def __init__(self, app: App, uploads: Path) -> None:
        self._app, self._uploads = app, uploads.resolve()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request, or one event of the server's life."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        if scope["type"] != "http":
            return None  # the page opens no web socket; the server closes one that is not accepted
        try:
            _check_origin(scope)
            self._check_route(scope)
            if scope["path"] in CALLS:
                receive = await self._checked_body(receive)
            if scope["path"] == UPLOAD:
                _check_length(scope)
        except _Refused as refusal:
            return await _answer(send, *refusal.args)
        return await self._app(scope, receive, send)

    def _check_route(self, scope: Any) -> None:
        method, path = scope["method"], scope["path"]
        reads = method in ("GET", "HEAD") and (path in READ or path.startswith(READ_BELOW))
        if not reads and not (method == "POST" and path in WRITE):
            raise _Refused(404, "the demo's page does not ask for this")
        if path.startswith(FILE):
            self._check_file(path.removeprefix(FILE))

    async def _checked_body(self, receive: Any) -> Callable[[], Awaitable[Any]]:
        """Read a call to its end and check its files; returns a `receive` that gives the call again."""
        body, more = b"", True
        while more:
            event = await receive()
            if event["type"] == "http.disconnect":
                break
            body, more = body + event.get("body", b""), event.get("more_body", False)
            if len(body) > LONGEST_BODY:
                raise _Refused(413, f"a request of more than {LONGEST_BODY} bytes")
        try:
            for file in _files(json.loads(body)):
                self._check_file(file)
        except (ValueError, RecursionError):
            raise _Refused(400, "the request is not JSON") from None
        again = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def replay() -> Any:
            return next(again, None) or await receive()

        return replay

    def _check_file(self, name: Any) -> None:
        """A file must lie among the uploads and be a regular one, so that reading it ends."""
        try:
            path = Path(name).resolve(strict=True)
            allowed = path.is_relative_to(self._uploads) and path.is_file()
        except (OSError, TypeError, ValueError, RuntimeError):
            allowed = False
        if not allowed:
            raise _Refused(403, "this file was not uploaded here, or is gone; choose it again")


def _check_origin(scope: Any) -> None:
    """Refuse pages of other sites, unless a link is followed. Programs that are not browsers name no origin."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    followed = scope["path"] == "/" and headers.get("sec-fetch-mode") == "navigate"
    own = headers.get("origin", f"http://{headers.get('host')}") == f"http://{headers.get('host')}"
    if not own or (headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not followed):
        raise _Refused(403, "pages of other sites may not use the demo")


def _check_length(scope: Any) -> None:
    """Refuse an upload that is too long or does not say how long it is; the server reads no more than it says."""
    headers = dict(scope["headers"])
    length = headers.get(b"content-length", b"")
    if b"transfer-encoding" in headers or not length.isdigit():
        raise _Refused(411, "an upload must say how long it is")
    if int(length) > LONGEST_UPLOAD:
        raise _Refused(413, f"an upload of more than {LONGEST_UPLOAD} bytes")


def _files(value: Any) -> Iterator[Any]:
    """The path of every file that a request names, however deep."""
    if isinstance(value, dict):
        if "path" in value:
            yield value["path"]
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _files(each)


async def _answer(send: Any, status: int, reason: str) -> None:
    body = json.dumps({"detail": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
