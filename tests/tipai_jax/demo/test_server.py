"""What the demo answers to programs that are not its page: requests over loopback to the real server, no browser.

A program on the same machine, or a page of another site in the user's browser, can send any request to the demo. None
of them may read a file of the user, stop the server from answering, or fill its memory.
"""

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from auditor_world import draw_image, make_bundle, tiny_fingerprint
from demo_world import ROOT, Server
from PIL import Image

from tipai_jax.demo.serve import SESSIONS
from tipai_jax.demo.service import CANDIDATES

pytestmark = pytest.mark.slow

PROMPT = "a red car on the beach"
SECRET = "the user's own secret"
PATIENCE = 60
"""Seconds after which a request counts as never answered; an answer that comes is not measured."""


@pytest.fixture(scope="module")
def auditor(tmp_path_factory):
    folder = tmp_path_factory.mktemp("auditor")
    make_bundle(tiny_fingerprint()).save(folder)
    return str(folder)


@contextmanager
def running(auditor, folder: Path, *, end: signal.Signals = signal.SIGINT):
    server = Server(folder, "--auditor", auditor, "--data", str(folder / "none"))
    try:
        yield server
        assert server.stop(end) == 0, server.output
    finally:
        server.process.kill()
    assert server.output.rstrip().endswith("stopped"), server.output
    assert "OUTSIDE" not in server.output and "Traceback" not in server.output, server.output


@pytest.fixture(scope="module")
def server(auditor, tmp_path_factory):
    with running(auditor, tmp_path_factory.mktemp("server")) as found:
        yield found


@pytest.fixture
def client(server):
    with connected(server) as found:
        yield found


def connected(server: Server) -> httpx.Client:
    return httpx.Client(base_url=server.url, trust_env=False, timeout=PATIENCE)


@pytest.fixture(scope="module")
def outside(tmp_path_factory):
    """Files of the user, none of them uploaded: by kind, their paths."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "secret.txt").write_text(SECRET)
    Image.fromarray(draw_image(5, size=(64, 64))).save(folder / "secret.png")
    os.mkfifo(folder / "fifo")
    (folder / "link.png").symlink_to(folder / "secret.png")
    return {
        "text": f"{folder}/secret.txt",
        "image": f"{folder}/secret.png",
        "fifo": f"{folder}/fifo",
        "link": f"{folder}/link.png",
        "device": "/dev/zero",
        "system": "/etc/passwd",
        "address": "http://127.0.0.1:9/secret.png",
    }


KINDS = ("text", "image", "fifo", "link", "device", "system", "address")


def as_file(path: str) -> dict:
    """A file as the page names it in a request."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def upload_tab(client: httpx.Client) -> int:
    """The number of the function that scores an uploaded image."""
    config = client.get("/config").json()
    (file,) = [each["id"] for each in config["components"] if each["props"].get("elem_id") == "file"]
    return next(
        each["id"] for each in config["dependencies"] if each["inputs"][:1] == [file] and len(each["inputs"]) == 4
    )


def ask(client: httpx.Client, session: str, data: list, function: int) -> tuple[int, str]:
    """Call a function as the page does; returns the status, and all that comes back."""
    joined = client.post("/gradio_api/queue/join", json={"data": data, "fn_index": function, "session_hash": session})
    if joined.status_code != 200:
        return joined.status_code, joined.text
    with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as stream:
        return stream.status_code, "".join(stream.iter_text())


def scored(client: httpx.Client, session: str) -> str:
    """Upload an image and have it scored, as the page does; returns all that comes back."""
    image = Image.fromarray(draw_image(1, size=(90, 60)))
    data = png(image)
    (path,) = client.post("/gradio_api/upload", files={"files": ("own.png", data)}).raise_for_status().json()
    status, text = ask(client, session, [as_file(path), PROMPT, 0.5, 0.9], upload_tab(client))
    assert status == 200 and "data:image/webp" in text, text
    return text


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def everything_that_comes_back(client: httpx.Client, path: str, session: str) -> list[bytes]:
    """Try to get a file: as an uploaded image, as a prompt, by its path, and by the saved page and its copies."""
    file, function = as_file(path), upload_tab(client)
    texts = []
    for number, data in enumerate(([file, PROMPT, 0.5, 0.9], [[file], PROMPT, 0.5, 0.9], [None, file, 0.5, 0.9])):
        texts.append(ask(client, f"{session}{number}", data, function)[1])
        link = client.get("/gradio_api/deep_link", params={"session_hash": f"{session}{number}"})
        texts.append(link.text)
        for page in ("/config", "/"):
            texts.append(client.get(page, params={"deep_link": link.text.strip('"')}).text)
    for route in ("run", "api", "call"):
        for name in {each["api_name"] for each in client.get("/config").json()["dependencies"]}:
            texts.append(
                client.post(
                    f"/gradio_api/{route}/{name}", json={"data": [file, PROMPT, 0.5, 0.9], "session_hash": session}
                ).text
            )
    copies = {name.strip("\\") for text in texts for name in re.findall(r'/[^"\s]*tipai-demo[^"\s]*', text)}
    found: list[bytes] = []
    for place in {path, f"../../../../../..{path}", *copies}:
        found += [client.get(f"/gradio_api/{route}{place}").content for route in ("file=", "file/", "proxy=")]
    return [*found, *(text.encode() for text in texts)]


@pytest.mark.parametrize("kind", KINDS)
def test_no_file_that_was_not_uploaded_is_read(client, server, outside, kind):
    path = outside[kind]
    traces = (SECRET.encode(), b"root:", b"\x89PNG", b"data:image")
    assert [
        each for each in everything_that_comes_back(client, path, kind) if any(trace in each for trace in traces)
    ] == []
    (folder,) = server.temporary.glob("tipai-demo-*")
    contents = [each.read_bytes() for each in folder.rglob("*") if each.is_file()]
    assert SECRET.encode() not in contents and Path(outside["image"]).read_bytes() not in contents
    scored(client, f"after {kind}")


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_what_was_refused_leaves_a_server_that_answers_and_ends(auditor, outside, tmp_path, end):
    with running(auditor, tmp_path, end=end) as own, connected(own) as client:
        function = upload_tab(client)
        for kind in KINDS:
            assert ask(client, kind, [as_file(outside[kind]), PROMPT, 0.5, 0.9], function)[0] == 403
        scored(client, "after")


def test_an_upload_is_served_back_and_nothing_beside_it(client, server):
    (path,) = client.post("/gradio_api/upload", files={"files": ("own.png", b"some bytes")}).json()
    assert client.get(f"/gradio_api/file={path}").content == b"some bytes"
    assert client.get(f"/gradio_api/file={Path(path).parent}").status_code == 403
    assert client.get(f"/gradio_api/file={path}/../../../../out.txt").status_code in (403, 404)


@pytest.mark.parametrize(
    ("method", "route"),
    [
        ("GET", "/gradio_api/deep_link?session_hash=x"),
        ("GET", "/gradio_api//deep_link?session_hash=x"),
        ("GET", "/assets/../gradio_api/deep_link?session_hash=x"),
        ("POST", "/gradio_api/component_server"),
        ("POST", "/gradio_api/process_recording"),
        ("GET", "/gradio_api/proxy=http://127.0.0.1:9/"),
        ("GET", "/monitoring"),
        ("POST", "/gradio_api/vibe-code"),
        ("GET", "/gradio_api/openapi.json"),
        ("PUT", "/gradio_api/upload"),
    ],
)
def test_what_the_page_does_not_ask_for_is_not_answered(client, method, route):
    assert client.request(method, route).status_code == 404


def test_a_request_without_a_threshold_takes_the_fitted_one(client):
    (path,) = client.post("/gradio_api/upload", files={"files": ("own.png", png(Image.new("RGB", (60, 60))))}).json()
    _, text = ask(client, "no threshold", [as_file(path), PROMPT, None, 0.9], upload_tab(client))
    assert "risk from 0.50 on" in text


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://elsewhere.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"origin": "http://localhost"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors"},
    ],
)
def test_pages_of_other_sites_are_refused(client, server, headers):
    function = upload_tab(client)
    body = {"data": [None, PROMPT, 0.5, 0.9], "fn_index": function, "session_hash": "other"}
    assert (
        client.post("/gradio_api/upload", files={"files": ("x.png", b"unwanted bytes")}, headers=headers).status_code
        == 403
    )
    assert client.post("/gradio_api/queue/join", json=body, headers=headers).status_code == 403
    assert client.get("/gradio_api/queue/data?session_hash=other", headers=headers).status_code == 403
    (folder,) = server.temporary.glob("tipai-demo-*")
    assert not any(each.read_bytes() == b"unwanted bytes" for each in folder.rglob("*") if each.is_file())


def test_the_page_itself_and_a_link_to_it_are_answered(client, server):
    own = {"origin": server.url, "sec-fetch-site": "same-origin"}
    assert client.post("/gradio_api/upload", files={"files": ("x.png", b"x")}, headers=own).status_code == 200
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert client.get("/", headers=link).status_code == 200


@pytest.mark.parametrize("route", ["queue/join", "cancel", "reset"])
@pytest.mark.parametrize(
    ("body", "status"), [(b"{", 400), (b"[1]", 422), (json.dumps({"data": ["x" * 2_000_000]}).encode(), 413)]
)
def test_a_body_that_is_no_request(client, route, body, status):
    headers = {"content-type": "application/json"}
    assert client.post(f"/gradio_api/{route}", content=body, headers=headers).status_code == status


def test_a_file_that_is_too_large_is_not_kept(client, server):
    (folder,) = server.temporary.glob("tipai-demo-*")
    before = {each for each in folder.rglob("*") if each.is_file()}
    data = b"x" * 21_000_000
    assert client.post("/gradio_api/upload", files={"files": ("own.png", data)}).status_code == 413
    assert {each for each in folder.rglob("*") if each.is_file()} == before


@pytest.mark.parametrize(
    ("length", "status"),
    [
        ("content-length: 300000000", 413),
        ("transfer-encoding: chunked", 411),
        ("transfer-encoding: chunked\r\ncontent-length: 100", 411),
    ],
)
def test_an_upload_that_is_too_long_is_refused_before_it_is_read(server, length, status):
    """Whatever its fields are: Gradio would read one that is no file whole into memory."""
    address = urlsplit(server.url)
    head = f"POST /gradio_api/upload HTTP/1.1\r\nhost: {address.netloc}\r\n{length}\r\n\r\n"
    with socket.create_connection((address.hostname, address.port), PATIENCE) as connection:
        connection.sendall(head.encode())
        assert connection.recv(4096).startswith(f"HTTP/1.1 {status} ".encode())


def test_memory_holds_a_bounded_number_of_sessions(server, client):
    for number in range(SESSIONS + 8):
        scored(client, f"session {number}")
    counts = server.counts()
    assert 0 < counts["SessionState"] <= SESSIONS and 0 < counts["ScoredImage"] <= SESSIONS + CANDIDATES, counts


def test_memory_holds_a_bounded_number_of_results_that_nobody_fetches(server, client):
    body = {"data": [None, PROMPT, 0.5, 0.9], "fn_index": upload_tab(client)}
    for number in range(SESSIONS + 8):
        client.post("/gradio_api/queue/join", json={**body, "session_hash": f"lost {number}"}).raise_for_status()
        scored(client, "found")  # requests are answered one after the other, so that the lost one is answered too
    assert 0 < server.counts()["ProcessCompletedMessage"] <= SESSIONS


UNGUARDED = """
import sys
from starlette.testclient import TestClient
from precompute.encoders.images import Preparation
from precompute.generators.scenes import SceneGenerator
from precompute.prompt_file import Prompt
from tipai_jax.demo.service import DemoService
from tipai_jax.demo.serve import _gradio_application
from test_server import PROMPT, as_file, ask, upload_tab
from tipai_jax import Auditor

service = DemoService(Auditor.from_pretrained(sys.argv[1], device="cpu"), SceneGenerator())
app = _gradio_application(service, [Prompt("e1", PROMPT)], None)
"""
OTHERS_FILE = """
with TestClient(app) as client:
    print(ask(client, "inside", [as_file(sys.argv[2]), PROMPT, 0.5, 0.9], upload_tab(client)))
"""
OWN_FILE = """
plain = Preparation.prepare
Preparation.prepare = lambda *inputs: print("PREPARED") or plain(*inputs)
with TestClient(app) as client, open(sys.argv[2], "rb") as image:
    (path,) = client.post("/gradio_api/upload", files={"files": image}).json()
    functions = {each["api_name"]: each["id"] for each in client.get("/config").json()["dependencies"]}
    print(ask(client, "inside", [as_file(path), PROMPT, 0.5, 0.9], functions["uploaded"]))
"""


def inside(folder: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script after `UNGUARDED`, with a folder for uploads."""
    folders = os.pathsep.join(map(str, (ROOT, ROOT / "tests", Path(__file__).parent)))
    environment = {**os.environ, "GRADIO_TEMP_DIR": str(folder), "PYTHONPATH": folders, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", UNGUARDED + script, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True)


def test_an_upload_is_decoded_once_for_its_thumbnail_and_its_score(auditor, outside, tmp_path):
    done = inside(tmp_path, OWN_FILE, auditor, outside["image"])
    assert done.stdout.count("PREPARED") == 1, done.stdout + done.stderr
    assert "the uploaded image" in done.stdout and "the image as it was uploaded" in done.stdout, done.stdout


def test_gradio_itself_refuses_a_file_that_was_not_uploaded(auditor, outside, tmp_path):
    """Should a request pass the guard, Gradio checks the file; it does so only on a page that counts as launched."""
    done = inside(tmp_path, OTHERS_FILE, auditor, outside["image"])
    assert "was not uploaded by a user" in done.stderr and '"success":false' in done.stdout, done.stdout + done.stderr
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == []
