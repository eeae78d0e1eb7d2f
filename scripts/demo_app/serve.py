"""The page on this machine and nowhere else.

Owns the server: 127.0.0.1 only, no tunnel, no analytics, an upload cap, a private folder for uploads that is gone at
    the end, and headers by which the browser
itself refuses to load anything from elsewhere. Gradio is imported here, late, after its environment is set.
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
    from scripts.demo_app.desk import Desk

__all__ = ["HOST", "MAX_UPLOAD", "private_folder", "reserve", "serve"]

HOST = "127.0.0.1"
MAX_UPLOAD = "20mb"
STYLE = Path(__file__).with_name("style.css")
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src"
    " 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; object-src 'none';"
    " base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {"content-security-policy": _POLICY, "x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}
App = Callable[[Any, Any, Any], Awaitable[None]]


def reserve(port: int) -> socket.socket:
    """The port, ours from now on; 0 for any free one.

    Raises:
        UserError: somebody else has it.
    """
    taken = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((HOST, port))
        taken.listen()  # nobody else can have it from here on; who comes before the page is there waits
    except OSError as error:
        taken.close()
        raise UserError(
            f"--port {port}: cannot be used ({error.strerror}); choose another, or 0 for any free one"
        ) from None
    return taken


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder that nobody else can read, for what is uploaded; it is removed at the end with all that is in it."""
    with tempfile.TemporaryDirectory(prefix="tipai-demo-", ignore_cleanup_errors=True) as folder:  # mkdtemp: mode 0700
        yield Path(folder)


def serve(desk: "Desk", examples: Sequence[Prompt], data: Path, *, at: socket.socket) -> None:
    """Serve the page until it is interrupted.

    Args:
        desk: makes and judges pictures; made ready in the background.
        examples: prompts to choose from.
        data: folder of the catalogue to browse.
        at: the reserved port.

    Raises:
        UserError: the encoder cannot be loaded; so is anything else handed on that keeps the desk from being ready.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with private_folder() as folder:
        os.environ.update(GRADIO_ANALYTICS_ENABLED="False", GRADIO_TEMP_DIR=str(folder))
        broken: list[Exception] = []
        try:
            server = _server(_application(desk, examples, data))
            warm = threading.Thread(target=_warm_up, args=(desk, server, broken), daemon=True)
            warm.start()
            try:
                asyncio.run(_run(server, at))
            finally:
                warm.join()  # a library that is being loaded must not lose the interpreter under it
        except KeyboardInterrupt:
            pass
        finally:
            at.close()
    if broken:
        raise broken[0]
    print("stopped")


def _warm_up(desk: "Desk", server: Any, broken: list[Exception]) -> None:
    """Make the desk ready; without one there is no page: what went wrong is handed on, and the server ends."""
    try:
        desk.warm_up()
    except Exception as error:
        broken.append(error)
        server.should_exit = True
        return
    print("ready: encoder loaded, heads compiled", flush=True)


def _application(desk: "Desk", examples: Sequence[Prompt], data: Path) -> App:
    """The page as an ASGI application that answers to this machine's name only."""
    import fastapi
    import gradio as gr
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    from scripts.demo_app.page import build_page

    page = build_page(desk, examples, data)
    system = ("Segoe UI", "Roboto", "Helvetica Neue", "Liberation Sans", "Arial", "sans-serif")
    mono = ("Cascadia Mono", "Menlo", "Consolas", "Liberation Mono", "monospace")
    fonts = {"font": [gr.themes.Font(name) for name in system], "font_mono": [gr.themes.Font(name) for name in mono]}
    readable = {
        "body_text_color_subdued": "*neutral_600",
        "body_text_color_subdued_dark": "*neutral_300",
        "block_info_text_color": "*neutral_600",
        "block_info_text_color_dark": "*neutral_300",
        "button_primary_background_fill": "*primary_600",
        "button_primary_background_fill_hover": "*primary_700",
        "color_accent": "*primary_600",
    }
    theme = gr.themes.Base(primary_hue="blue", neutral_hue="slate", **fonts).set(**readable)
    outer = gr.mount_gradio_app(
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
        theme=theme,
    )
    return _with_headers(TrustedHostMiddleware(outer, allowed_hosts=[HOST, "localhost"]))


def _with_headers(app: App) -> App:
    """The application with `_HEADERS` on every answer."""
    extra = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        async def sent(event: Any) -> None:
            await send(
                {**event, "headers": [*event.get("headers", []), *extra]}
                if event["type"] == "http.response.start"
                else event
            )

        await app(scope, receive, sent)

    return answer


def _server(app: App) -> Any:
    import uvicorn

    server = uvicorn.Server(
        uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1, server_header=False)
    )
    logging.getLogger("uvicorn.error").addFilter(
        lambda record: not server.should_exit
    )  # that an open page is cut off at the end is no error
    return server


async def _run(server: Any, at: socket.socket) -> None:
    """Serve, and say where as soon as it answers."""
    running = asyncio.ensure_future(server.serve(sockets=[at]))
    while not server.started and not running.done():
        await asyncio.sleep(0.05)
    if server.started and not server.should_exit:
        print(f"open http://{HOST}:{at.getsockname()[1]} (Ctrl-C ends it)", flush=True)
    await running
