"""Serves the page on this machine and nowhere else.

It listens on 127.0.0.1 only, without a tunnel and without analytics, limits uploads to a size and to a private folder
that is removed at the end, and sends headers by which the browser itself refuses to load anything from elsewhere.
Gradio is imported in functions, after its environment variables are set.
"""

import asyncio
import logging
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from precompute.prompt_file import Prompt
from tipai_jax.errors import UserError

if TYPE_CHECKING:
    from tipai_jax.demo.service import DemoService

__all__ = ["HOST", "MAX_UPLOAD", "SESSIONS", "private_folder", "reserve", "serve"]

HOST = "127.0.0.1"
MAX_UPLOAD = "20mb"
SESSIONS = 32
"""Open pages whose results are kept in memory; one more, and the results of the page used longest ago are dropped."""
STYLE = Path(__file__).with_name("style.css")
_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
App = Callable[[Any, Any, Any], Awaitable[None]]


def reserve(port: int) -> socket.socket:
    """A socket that listens on a port of this machine, so that no other program can take it; 0 for any free port.

    Raises:
        UserError: another program has the port.
    """
    taken = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((HOST, port))
        taken.listen()  # a request that comes before the page is ready waits
    except OSError as error:
        taken.close()
        reason = f"cannot be used ({error.strerror})"
        raise UserError(f"--port {port}: {reason}; choose another, or 0 for any free one") from None
    return taken


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder for uploads that no other user can read; it is removed at the end with its content."""
    # mkdtemp creates it with mode 0700
    with tempfile.TemporaryDirectory(prefix="tipai-demo-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def serve(service: "DemoService", examples: Sequence[Prompt], data: Path, *, at: socket.socket) -> None:
    """Serve the page until it is interrupted.

    Args:
        service: makes and scores images, loaded already; it warms up in the background.
        examples: prompts to choose from; the first is the worked example.
        data: folder of the catalogue to browse.
        at: the reserved port.

    Raises:
        Exception: whatever error the service's warm-up ended with.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with private_folder() as folder:
        os.environ.update(
            GRADIO_ANALYTICS_ENABLED="False", GRADIO_TEMP_DIR=str(folder), GRADIO_ANALYTICS_MAX_EVENTS="1"
        )
        errors: list[Exception] = []
        try:
            server = _server(_application(service, examples, data, folder))
            warm_up = threading.Thread(target=_warm_up, args=(service, examples[0].prompt, server, errors), daemon=True)
            warm_up.start()
            try:
                asyncio.run(_run(server, at))
            finally:
                warm_up.join()  # the interpreter must not end while a library is being loaded
        except KeyboardInterrupt:
            pass
        finally:
            at.close()
    if errors:
        raise errors[0]
    print("stopped")


def _warm_up(service: "DemoService", example: str, server: Any, errors: list[Exception]) -> None:
    """Warm the service up; if that fails, keep the error and end the server."""
    try:
        service.warm_up(example)
    except Exception as error:
        errors.append(error)
        server.should_exit = True
        return
    print("ready: heads compiled", flush=True)


def _application(service: "DemoService", examples: Sequence[Prompt], data: Path, uploads: Path) -> App:
    """The page as an ASGI application that answers its own requests only, and those to a name of this machine only."""
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    from tipai_jax.demo.guard import Guard

    guarded = Guard(_gradio_application(service, examples, data), uploads)
    return _with_headers(TrustedHostMiddleware(guarded, allowed_hosts=[HOST, "localhost"]))


def _gradio_application(service: "DemoService", examples: Sequence[Prompt], data: Path) -> App:
    """The page as Gradio serves it.

    `Blocks.launch` takes no port that is reserved already, so the page is mounted instead. Two things that `launch`
    would do are done here: the number of sessions is limited, and the page counts as launched, without which Gradio
    does not check that a file named by a request lies among the uploads.
    """
    import fastapi
    import gradio as gr
    from gradio.utils import LRUCache

    from tipai_jax.demo.page import build_page

    page = build_page(service, examples, data)
    page.has_launched = True
    page.state_session_capacity = SESSIONS
    page.queue(max_size=SESSIONS, api_open=False)
    page._queue.pending_messages_per_session = LRUCache(SESSIONS)  # results that nobody has fetched yet
    page._queue.pending_event_ids_session = LRUCache(SESSIONS)
    return gr.mount_gradio_app(
        fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None),
        page,
        path="/",
        server_name=HOST,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        max_file_size=MAX_UPLOAD,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        show_error=False,
        css_paths=[STYLE],
        theme=_theme(),
    )


def _theme() -> Any:
    """Fonts of the machine, and colours with enough contrast."""
    from gradio.themes import Base, Font

    sans = ("Segoe UI", "Roboto", "Helvetica Neue", "Liberation Sans", "Arial", "sans-serif")
    mono = ("Cascadia Mono", "Menlo", "Consolas", "Liberation Mono", "monospace")
    font, font_mono = ([Font(name) for name in names] for names in (sans, mono))
    return Base(primary_hue="blue", neutral_hue="slate", font=font, font_mono=font_mono).set(
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_300",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        color_accent="*primary_600",
    )


def _with_headers(app: App) -> App:
    """The application with `_HEADERS` on every answer."""
    extra = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        async def send_with_headers(event: Any) -> None:
            if event["type"] == "http.response.start":
                event = {**event, "headers": [*event.get("headers", []), *extra]}
            await send(event)

        await app(scope, receive, send_with_headers)

    return answer


def _server(app: App) -> Any:
    import uvicorn

    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=1, server_header=False
    )
    server = uvicorn.Server(config)
    # that an open page loses its connection at the end is no error
    logging.getLogger("uvicorn.error").addFilter(lambda record: not server.should_exit)
    return server


async def _run(server: Any, at: socket.socket) -> None:
    """Serve, and print the address as soon as it answers."""
    running = asyncio.ensure_future(server.serve(sockets=[at]))
    while not server.started and not running.done():
        await asyncio.sleep(0.05)
    if server.started and not server.should_exit:
        print(f"open http://{HOST}:{at.getsockname()[1]} (Ctrl-C ends it)", flush=True)
    await running
