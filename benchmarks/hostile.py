"""What hostile requests of a stranger cost, one by one and a thousand per second, on a shared page.

    python -m benchmarks.hostile single [--json]
    python -m benchmarks.hostile flood [--seconds 10] [--rate 1000] [--json]

Everything runs on 127.0.0.1 and is bounded. `single` sends each request of at most 1 MB once and measures CPU time,
memory, log and disk of the app; `child_mb` is the largest of its decoding processes. `flood` sends small ones from one
client, while another visitor generates and the owner signs in, each from a client IP address of its own; before that,
both do so alone for half of the time, so that a busy machine shows in both.

Three kinds of requests have no target of their own for something: what an upload stores, and what an import stores and
takes, is bounded per visitor and client (SECURITY.md), and the result of a paid job is copied whatever it costs.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import io
import json
import os
import random
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.app_processes import TOKEN
from benchmarks.mock_service import MockResponse, MockService
from benchmarks.page_processes import PageProcess
from benchmarks.process_stats import ProcessTree
from dreamina_ui.library.history_export import FORMAT
from tests.media.odd_pngs import png_with
from tests.support.hostile_images import (
    encode,
    gif_of_comments,
    jpeg_of_scans,
    jpeg_of_segments,
    png_of_size,
    webp_of_frames,
)
from tests.support.png_chunks import png_chunk

MODEL_ID = "bytedance/dreamina-4-0/text-to-image"
EDIT_ID = "bytedance/dreamina-4-0/edit"
INPUTS = {"prompt": "a red fox", "width×height": "1024x1024(1:1)", "scale": 0.5, "force_single": True}
PASSWORD = "password-of-the-benchmarks"
JSON_TYPE = "application/json"
SINGLE_TARGETS = {"cpu_s": 0.5, "memory_mb": 60.0, "child_mb": 250.0, "log_kb": 4.0, "disk_kb": 20.0}
FLOOD_TARGETS = {"visitor, slowest, s": 1.0, "owner, slowest, s": 2.0}
QUIET_S = 1.5
TIMEOUT_S = 60.0
CONNECTIONS = 64
LIMITS = {
    f"DREAMINA_{name}": "100000"
    for name in ("VISITOR_JOBS_AT_ONCE", "VISITOR_JOBS_PER_DAY", "ADDRESS_JOBS_AT_ONCE", "ADDRESS_JOBS_PER_DAY")
}


@dataclass(frozen=True)
class Request:
    """One request; `image`, if given, names a hostile image that the service then returns as the result.

    Attributes:
        unbounded: the figures without a target.
    """

    name: str
    method: str
    path: str
    body: bytes = b""
    content_type: str = JSON_TYPE
    image: str = ""
    unbounded: tuple[str, ...] = ()


class HostileHost(MockService):
    """The service; the prompt of a request names the image that it returns."""

    def __init__(self) -> None:
        super().__init__()
        self._images: dict[str, Callable[[], bytes]] = {
            "1 x 39,999,999 pixels": lambda: png_of_size(1, 39_999_999),
            "48 MB of empty chunks": lambda: png_with(png_chunk(b"teSt", b"") * 4_000_000),
            "16,383 x 16,383 pixels": lambda: encode(
                Image.new("L", (16_383, 16_383)), "WEBP", lossless=True, method=0, quality=0
            ),
            "a JPEG of 5,000 scans": lambda: jpeg_of_scans(5000),
            "a JPEG of 1,000,000 segments": lambda: jpeg_of_segments(1_000_000),
            "a WebP of 500,000 frames": lambda: webp_of_frames(500_000),
            "a GIF of 5,000,000 comments": lambda: gif_of_comments(5_000_000),
            "5,000 x 5,000 pixels, 16 bit": lambda: png_of_size(5000, 5000),
            "a WebP of 4,096 x 4,096 pixels": lambda: encode(
                Image.new("RGBA", (4096, 4096)), "WEBP", lossless=True, method=0, quality=0
            ),
        }
        self._made: dict[str, bytes] = {}

    @property
    def image_names(self) -> tuple[str, ...]:
        return tuple(self._images)

    def make_images(self) -> None:
        """Create all images before anything is measured."""
        self._made = {name: make() for name, make in self._images.items()}

    def file(self, request_id: str, target: str, headers: Mapping[str, str]) -> MockResponse:
        if request_id == "given":
            return MockResponse(200, self._made[self.image_names[int(target)]], {"Content-Type": "image/png"})
        image = self._made.get(self.accepted[request_id]["prompt"])
        return MockResponse(200, image, {"Content-Type": "image/png"}) if image else super().file("", "", {})


class SharedApp(PageProcess):
    """`app.py` as a shared page with an owner's password and tools for assistants."""

    def __init__(self, folder: Path, api_url: str) -> None:
        self.data = folder / "data"
        super().__init__(
            folder, "app", "app.py", DREAMINA_DATA_DIR=str(self.data), RUNCOMFY_API_BASE_URL=api_url,
            RUNCOMFY_API_TOKEN=TOKEN, GRADIO_SERVER_NAME="127.0.0.1", GRADIO_MCP_SERVER="1", DREAMINA_SHARED="1",
            DREAMINA_OWNER_PASSWORD=PASSWORD, **LIMITS,
        )  # fmt: skip

    @property
    def port(self) -> int:
        return int(self._port)

    def disk_bytes(self) -> int:
        """Bytes below the data folder, without originals (paid images) and the log of SQLite (bounded)."""
        files = (path for path in self.data.rglob("*") if path.is_file())
        return sum(
            path.stat().st_size for path in files if not path.name.startswith("original") and "-" not in path.suffix
        )


class Client:
    """A browser with cookies and one client IP address."""

    def __init__(self, port: int, client_ip: str = "127.0.0.1") -> None:
        self._port = port
        self._source = (client_ip, 0)
        self._cookies: dict[str, str] = {}
        self.send("GET", "/")

    @property
    def cookie(self) -> str:
        """The header with all cookies."""
        return "; ".join(f"{name}={value}" for name, value in self._cookies.items())

    def send(self, method: str, path: str, body: bytes = b"", content_type: str = JSON_TYPE) -> tuple[int, bytes]:
        """Send one request; returns the status (0 without a response) and at most 1 MB of the body."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT_S, source_address=self._source)
        try:
            connection.request(method, path, body or None, {"Content-Type": content_type, "Cookie": self.cookie})
            response = connection.getresponse()
            content = response.read(1_000_000)
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()
        for cookie in response.headers.get_all("Set-Cookie", []):
            name, _, value = cookie.partition(";")[0].partition("=")
            self._cookies[name] = value
        return response.status, content


def single_requests(host: HostileHost) -> list[Request]:
    """Each kind of request that once cost too much, and what is like it."""
    urls = [f"https://a.example/{number}" for number in range(25_000)]
    many_urls = json.dumps({"model_id": EDIT_ID, "inputs": {"prompt": "x", "image_urls": urls}}).encode()
    long_prompt = _generate(INPUTS | {"prompt": "x" * 990_000}, model_id=EDIT_ID)
    lines = "\n".join(f"line {number}" for number in range(80_000))
    deep = b"[" * 900_000
    text = {"text": "a " * 400_000}
    requests = [
        Request("25,000 image URLs", "POST", "/dreamina/generate", many_urls),
        Request("25,000 image URLs in a batch", "POST", "/dreamina/batch/plan", many_urls),
        Request("a prompt of 990 kB", "POST", "/dreamina/generate", long_prompt),
        Request("an unknown field of 990 kB", "POST", "/dreamina/generate", _generate(INPUTS | {"x": "y" * 990_000})),
        Request("100,000 unknown fields", "POST", "/dreamina/generate", _generate({str(n): 0 for n in range(60_000)})),
        Request("80,000 batch lines", "POST", "/dreamina/batch/plan", json.dumps({"prompts": lines}).encode()),
        Request("deep JSON", "POST", "/dreamina/generate", deep),
        Request("deep JSON for MCP", "POST", "/gradio_api/mcp/", deep),
        Request("a number of 900,000 digits", "POST", "/dreamina/generate", b'{"model_id": ' + b"9" * 900_000 + b"}"),
        Request("lone surrogates", "POST", "/dreamina/generate", _generate(INPUTS | {"prompt": "\ud800" * 90_000})),
        Request("not JSON", "POST", "/dreamina/generate", os.urandom(1_000_000)),
        Request(
            "a private event", "POST", "/gradio_api/queue/join", _join({"fn_index": 3, "data": ["\x1b[31m" * 9000]})
        ),
        Request("a large event", "POST", "/gradio_api/queue/join", _join({"fn_index": 0, "data": ["x" * 990_000]})),
        Request("a large search", "POST", "/dreamina/library/find", json.dumps(text).encode()),
        Request("a library query of 60 kB", "GET", "/dreamina/library?text=" + "a%20" * 15_000),
        Request("100,000 file keys", "POST", "/dreamina/library/mark", json.dumps({"files": ["a"] * 180_000}).encode()),
        Request("a file that is not there", "GET", f"/dreamina/files/{'0' * 32}/original/a.png"),
        Request("an unknown digest", "GET", "/dreamina/assets/" + "0" * 64 + "/page.js"),
        Request("a form of 1 MB to sign in", "POST", "/dreamina/sign-in", b"password=" + b"x" * 999_000, _FORM),
        Request(
            "10,000 form fields", "POST", "/dreamina/sign-in", b"&".join(b"a%d=b" % n for n in range(90_000)), _FORM
        ),
    ]
    for index, name in enumerate(host.image_names):
        url = host.file_url("given", str(index))
        body = json.dumps({"model_id": EDIT_ID, "field": "image_urls", "address": url}).encode()
        requests.append(Request(f"given image: {name}", "POST", "/dreamina/given/look", body))
        prompt = _generate(INPUTS | {"prompt": name})
        requests.append(
            Request(f"resulting image: {name}", "POST", "/dreamina/generate", prompt, image=name, unbounded=("cpu_s",))
        )
    return requests + _uploads() + _imports()


def _uploads() -> list[Request]:
    """Images of at most 1 MB that take as much to decode and to encode as there is."""
    flat = {mode: Image.new(mode, (2890, 2890)) for mode in ("RGB", "RGBA", "L", "P")}
    lossless = {"lossless": True, "method": 0, "quality": 0}
    photo = Image.effect_noise((128, 128), 90).resize((2800, 2800), Image.Resampling.BICUBIC).convert("RGB")
    contents = {
        "a WebP of 4,096 x 4,096 pixels": encode(Image.new("RGBA", (4096, 4096)), "WEBP", **lossless),
        "a PNG of 6,000 x 6,000 pixels": png_of_size(6000, 6000, 3),
        "a lossless WebP of 8.4 megapixels": encode(flat["RGBA"], "WEBP", **lossless),
        "a photo as WebP": encode(photo, "WEBP", quality=50),
        "a photo as AVIF": encode(photo, "AVIF", quality=40, speed=10),
        "a transparent PNG": encode(flat["RGBA"], "PNG"),
        "a PNG with a palette": encode(flat["P"], "PNG"),
        "a JPEG of 16.8 megapixels": encode(Image.new("RGB", (4090, 4100)), "JPEG", quality=50),
        "a progressive JPEG": encode(flat["RGB"], "JPEG", quality=50, progressive=True),
        "a mask of 4,096 x 4,096 pixels": encode(Image.new("L", (4096, 4096)), "PNG"),
        "a TIFF": encode(flat["RGBA"], "TIFF", compression="tiff_lzw"),
    }
    return [
        Request(f"upload: {name}", "POST", "/dreamina/given/images", data, "image/png", unbounded=("disk_kb",))
        for name, data in contents.items()
    ]


def _imports() -> list[Request]:
    """Exports of a few kilobytes that announce as much as there is."""
    jobs = [{"job": str(n), "model_id": "m", "inputs": {"prompt": "p"}, "state": "failed"} for n in range(20_000)]
    manifests = {
        "20,000 jobs": json.dumps({"format": FORMAT, "version": 1, "jobs": jobs}),
        "24 MB of empty lists": '{"jobs": [' + "[]," * 8_000_000 + "[]]}",
    }
    return [
        Request(
            f"import: {name}", "POST", "/dreamina/history/import", _zip(text), "application/zip",
            unbounded=("cpu_s", "disk_kb"),
        )
        for name, text in manifests.items()
    ]  # fmt: skip


def _zip(manifest: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", manifest)
    return file.getvalue()


_FORM = "application/x-www-form-urlencoded"


def _generate(inputs: dict[str, Any], model_id: str = MODEL_ID) -> bytes:
    press_id = f"{random.getrandbits(128):032x}"
    return json.dumps({"model_id": model_id, "inputs": inputs, "press_id": press_id}).encode()


def _join(body: dict[str, Any]) -> bytes:
    return json.dumps(body | {"session_hash": "hostile", "trigger_id": None, "event_data": None}).encode()


def measure_single(folder: Path) -> tuple[dict[str, dict[str, float]], dict[str, tuple[str, ...]]]:
    """The cost of each request alone, by its name, and which figures of it have no target."""
    costs: dict[str, dict[str, float]] = {}
    unbounded: dict[str, tuple[str, ...]] = {}
    with _running(folder) as (host, app):
        client = Client(app.port)
        tree = app.tree
        for _ in range(3):  # not measured: the first requests fill caches
            client.send("POST", "/dreamina/generate", _generate(INPUTS))
        time.sleep(3)
        idle_cores = _idle_cores(tree)
        for request in single_requests(host):
            assert len(request.body) <= 1_000_000, request.name
            unbounded[request.name] = request.unbounded
            tree.reset_peak()
            memory_mb, cpu_s, started_s = tree.memory_by_pid(), tree.cpu_s(), time.monotonic()
            log_bytes, disk_bytes = app.log.stat().st_size, app.disk_bytes()
            status, _ = client.send(request.method, request.path, request.body, request.content_type)
            client.send("GET", "/dreamina/jobs")
            time.sleep(QUIET_S + (8.0 if request.image else 0.0))
            peaks = tree.peak_by_pid()
            costs[request.name] = {
                "status": status,
                "cpu_s": tree.cpu_s() - cpu_s - idle_cores * (time.monotonic() - started_s),
                "memory_mb": peaks[tree.pid] - memory_mb[tree.pid],
                "child_mb": max((peak for pid, peak in peaks.items() if pid != tree.pid), default=0.0),
                "log_kb": (app.log.stat().st_size - log_bytes) / 1e3,
                "disk_kb": (app.disk_bytes() - disk_bytes) / 1e3,
            }
    return costs, unbounded


def measure_flood(folder: Path, seconds: float, rate: int) -> dict[str, float]:
    """How long another visitor's request and the owner's sign-in take meanwhile."""
    with _running(folder) as (_, app):
        attacker = Client(app.port)
        visitor, owner = Client(app.port, "127.0.0.2"), Client(app.port, "127.0.0.3")
        visitor_s: list[float] = []
        owner_s: list[float] = []
        is_over = threading.Event()

        def repeat(times: list[float], pause_s: float, is_answered: Callable[[], bool]) -> None:
            while not is_over.wait(pause_s):
                started_s = time.monotonic()
                is_good = is_answered()
                times.append(time.monotonic() - started_s if is_good else float("inf"))

        def generate() -> bool:
            return b"job_id" in visitor.send("POST", "/dreamina/generate", _generate(INPUTS))[1]

        def sign_in() -> bool:
            return owner.send("POST", "/dreamina/sign-in", f"password={PASSWORD}".encode(), _FORM)[0] in (200, 303)

        threads = [
            threading.Thread(target=repeat, args=(visitor_s, 0.5, generate)),
            threading.Thread(target=repeat, args=(owner_s, 1.0, sign_in)),
        ]
        for thread in threads:
            thread.start()
        time.sleep(seconds / 2)
        figures = {f"{who} alone, slowest, s": max(times, default=0.0) for who, times in (
            ("visitor", visitor_s), ("owner", owner_s)
        )}  # fmt: skip
        visitor_s.clear()
        owner_s.clear()
        cpu_s = app.tree.cpu_s()
        sent = asyncio.run(_flood(app.port, attacker.cookie, seconds, rate))
        figures["CPU of the app, cores"] = (app.tree.cpu_s() - cpu_s) / seconds
        is_over.set()
        for thread in threads:
            thread.join()
    return figures | {
        "hostile requests per second": sent / seconds,
        "visitor, requests": len(visitor_s),
        "visitor, slowest, s": max(visitor_s, default=float("inf")),
        "owner, sign-ins": len(owner_s),
        "owner, slowest, s": max(owner_s, default=float("inf")),
    }


def _flood_requests(port: int, cookie: str) -> list[bytes]:
    """Small hostile requests, each as the bytes that are sent."""
    requests = [
        ("POST", "/dreamina/generate", b"[" * 2000, JSON_TYPE),
        ("POST", "/dreamina/generate", _generate({"prompt": "x" * 5000}), JSON_TYPE),
        ("POST", "/gradio_api/queue/join", _join({"fn_index": 3, "data": ["\x1b[31m"]}), JSON_TYPE),
        ("POST", "/gradio_api/mcp/", b"[" * 2000, JSON_TYPE),
        ("POST", "/dreamina/sign-in", b"username=nobody&password=wrong", _FORM),
        ("GET", "/dreamina/assets/0000/page.js", b"", JSON_TYPE),
        ("GET", "/dreamina/library?text=fox", b"", JSON_TYPE),
        ("GET", f"/dreamina/files/{'0' * 32}/original/a.png", b"", JSON_TYPE),
        ("GET", "/nothing", b"", JSON_TYPE),
    ]
    return [
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: {cookie}\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n".encode()
        + body
        for method, path, body, kind in requests
    ]


async def _flood(port: int, cookie: str, seconds: float, rate: int) -> int:
    """Send small hostile requests at a rate over a fixed number of connections; returns how many were sent."""
    heads = _flood_requests(port, cookie)
    sent = 0
    ends_s = time.monotonic() + seconds

    async def one_connection(number: int) -> None:
        nonlocal sent
        pause_s, due_s = CONNECTIONS / rate, time.monotonic() + number / rate
        while time.monotonic() < ends_s:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            drain = asyncio.create_task(_discard(reader))
            try:
                while not drain.done() and time.monotonic() < ends_s:
                    await asyncio.sleep(max(0.0, due_s - time.monotonic()))
                    due_s += pause_s
                    writer.write(random.choice(heads))
                    sent += 1
                    await asyncio.wait_for(writer.drain(), 5)
            except (OSError, asyncio.TimeoutError):
                pass
            finally:
                drain.cancel()
                writer.close()

    await asyncio.gather(*(one_connection(number) for number in range(CONNECTIONS)))
    return sent


async def _discard(reader: asyncio.StreamReader) -> None:
    while await reader.read(65536):
        pass


@contextmanager
def _running(folder: Path) -> Iterator[tuple[HostileHost, SharedApp]]:
    host = HostileHost()
    host.make_images()
    with host, SharedApp(folder, host.url) as app:
        app.start()
        app.wait_ready()
        yield host, app


def _idle_cores(tree: ProcessTree) -> float:
    cpu_s, started_s = tree.cpu_s(), time.monotonic()
    time.sleep(3.0)
    return (tree.cpu_s() - cpu_s) / (time.monotonic() - started_s)


def main() -> None:
    """Parse arguments, measure, print; exit with 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hostile", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("what", choices=("single", "flood"))
    parser.add_argument("--seconds", type=float, default=10.0, help="length of the flood (default: 10)")
    parser.add_argument("--rate", type=int, default=1000, help="requests per second of the flood (default: 1000)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    missed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="dreamina-hostile-") as name:
        if options.what == "single":
            costs, unbounded = measure_single(Path(name))
            missed = [
                f"{request}: {key} {value:.2f}, the target is at most {SINGLE_TARGETS[key]:g}"
                for request, figures in costs.items()
                for key, value in figures.items()
                if value > SINGLE_TARGETS.get(key, float("inf")) and key not in unbounded[request]
            ]
            _print_table(costs, options.json)
        else:
            figures = measure_flood(Path(name), options.seconds, options.rate)
            missed = [
                f"{key}: {figures[key]:.2f}, the target is at most {limit:g}"
                for key, limit in FLOOD_TARGETS.items()
                if not figures[key] <= limit
            ]
            print(json.dumps(figures) if options.json else "\n".join(f"{k:<32}{v:>10.2f}" for k, v in figures.items()))
    if missed:
        sys.exit("\n".join(missed))


def _print_table(costs: dict[str, dict[str, float]], as_json: bool) -> None:
    if as_json:
        print(json.dumps(costs, indent=2))
        return
    keys = ("status", *SINGLE_TARGETS)
    print(f"{'':<44}" + "".join(f"{key:>11}" for key in keys))
    for name, figures in costs.items():
        print(f"{name:<44}" + "".join(f"{figures[key]:>11.2f}" for key in keys))


if __name__ == "__main__":
    main()
