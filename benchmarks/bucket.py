"""How much later does the first byte of a preview come from a bucket than from a folder?

    python -m benchmarks.bucket --requests 300

Two apps run side by side, one with its images in a folder and one with them in SeaweedFS, each with the same preview.
Requests alternate between them, so that whatever else the machine does meets both.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import requests

from dreamina_ui.media.bucket import Bucket
from tests.support.browser import SMALL, AppProcess
from tests.support.s3_server import S3Server

PREVIEW_BYTES = 200_000
QUICK = {"DREAMINA_SANDBOX_QUEUE_S": "0.1", "DREAMINA_SANDBOX_RUN_S": "0.1"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=300, help="per app")
    count = parser.parse_args().requests
    with TemporaryDirectory() as name, S3Server(Path(name) / "s3") as server:
        folder = Path(name)
        with (
            AppProcess(folder / "one", "app.py", **QUICK) as in_folder,
            AppProcess(folder / "two", "app.py", **QUICK, **server.variables("benchmark")) as in_bucket,
        ):
            urls = {"folder": preview_of(in_folder), "bucket": preview_of(in_bucket)}
            content = os.urandom(PREVIEW_BYTES)
            [path] = in_folder.data.glob("media/*/*/0/preview.webp")
            path.write_bytes(content)
            bucket = Bucket(server.access("benchmark"))
            [key] = [item.key for item in bucket.list("media") if item.key.endswith("/preview.webp")]
            bucket.put(key, content, "image/webp")
            report(measure(urls, content, count))


def preview_of(app: AppProcess) -> str:
    """Make an image; returns the URL of its preview."""
    call = f"{app.url}/gradio_api/call/generate"
    started = requests.post(call, json={"data": ["a red fox", SMALL, 0.5, True]}, timeout=30).json()
    with requests.get(f"{call}/{started['event_id']}", stream=True, timeout=60) as stream:
        *_, last = _objects(stream.iter_lines())
    return str(last["images"][0]["preview_url"])


def _objects(lines: Iterator[bytes]) -> Iterator[dict[str, list[dict[str, str]]]]:
    for line in lines:
        values = json.loads(line[5:]) if line.startswith(b"data:") else None
        if values:
            yield values[0]


def measure(urls: dict[str, str], content: bytes, count: int) -> dict[str, list[tuple[float, float]]]:
    """Milliseconds until the first byte and until the last one, of each request."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in urls}
    with requests.Session() as session:
        for number in range(count + 10):
            for name, url in urls.items():
                started = time.perf_counter()
                with session.get(url, stream=True, timeout=30) as response:
                    first = response.raw.read(1)
                    first_ms = (time.perf_counter() - started) * 1000
                    assert first + response.raw.read() == content, "another file came"
                if number >= 10:
                    times[name].append((first_ms, (time.perf_counter() - started) * 1000))
    return times


def report(times: dict[str, list[tuple[float, float]]]) -> None:
    for name, results in times.items():
        for what, values in zip(("first byte", "last byte"), zip(*results, strict=True), strict=True):
            p95 = statistics.quantiles(values, n=20)[-1]
            print(f"{name:7} {what:10} median {statistics.median(values):6.1f} ms   p95 {p95:6.1f} ms")


if __name__ == "__main__":
    main()
