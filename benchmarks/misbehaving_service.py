"""A mock service, and file hosts, that misbehave as real services, gateways and content networks do."""

from __future__ import annotations

import base64
import gzip
import io
import re
import time
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from PIL import Image

from benchmarks.mock_service import MockResponse, MockService, json_response

QUEUE_S = (0.0, 6.0)
RUN_S = (15.0, 45.0)
OUTAGE_S = 20.0
LATE_FILE_S = 30.0
UNKNOWN_S = 8.0
REASON = "The images were rejected by the content filter"
_FILE_NUMBER = re.compile(r"(\d)(?:-%7Eb%2D)?\.(?:png|tif)")
_REDIRECTED = ("%E7%8B%90-", "狐-".encode().decode("latin-1").upper())
"""The path after the redirect: percent-encoded, or as raw bytes, which `http.server` reads as Latin-1."""

GATEWAYS = (
    MockResponse(404, b"404 page not found\n", {"Content-Type": "text/plain; charset=utf-8"}),
    MockResponse(502, b"<html><h1>502 Bad Gateway</h1></html>", {"Content-Type": "text/html"}),
    MockResponse(504, b"<html><h1>504 Gateway Time-out</h1></html>", {"Content-Type": "text/html"}),
    MockResponse(503, b"", {"Content-Type": "text/plain", "Retry-After": "2"}),
    MockResponse(200, b"<html>Please wait</html>", {"Content-Type": "text/html"}),
    MockResponse(
        403, b"<html><title>Just a moment...</title></html>", {"Content-Type": "text/html", "cf-mitigated": "x"}
    ),
    MockResponse(303, b"", {"Location": "/login"}),
    json_response({"message": "no upstream", "request_id": "trace-7"}),
    MockResponse(hang_up=True),
)
CANCEL_WORDS: tuple[tuple[int, dict[str, Any]], ...] = (
    (202, {"outcome": "cancelled", "status": "completed"}),
    (202, {"outcome": "cancellation_requested"}),
    (200, {"outcome": "cancelled"}),
    (202, {"status": "cancelled"}),
)
ERRORS: tuple[dict[str, Any], ...] = (
    {"error": REASON},
    {"error": {"type": "content", "message": REASON, "details": {"step": 3}}},
    {"failure_reason": REASON},
    {"error_message": REASON},
)


@dataclass(frozen=True)
class Behavior:
    """One odd behavior, and how a job must end with it.

    Attributes:
        name: for reports.
        state: the state in which the job must end.
        reason: a text that the job must show.
    """

    name: str
    state: str = "done"
    reason: str = ""


POLITE = Behavior("polite")
SERVICE_BEHAVIORS = (
    POLITE,
    Behavior("gateway pages while it runs"),
    Behavior("gateway pages instead of the result"),
    Behavior("slow cancel", "cancelled"),
    Behavior("cancel comes too late"),
    Behavior("result not ready (400005)"),
    Behavior("HTTP 200 with an error code for a while"),
    Behavior("failed on the status only", "failed", REASON),
    Behavior("failed on the result only", "failed", REASON),
    Behavior("output is one URL"),
    Behavior("output is a list of URLs"),
    Behavior("output is a list of objects"),
    Behavior("output has image_urls"),
    Behavior("output is a data URI"),
    Behavior("output misses a file", "failed", "one image was filtered"),
    Behavior("result says succeeded"),
    Behavior("submit is answered with 202"),
    Behavior("an unheard-of status while it runs"),
    Behavior("output comes late"),
    Behavior("status calls are throttled"),
    Behavior("unknown at first (404001)"),
    Behavior("the status is ahead of the result"),
    Behavior("JSON with a byte order mark, gzipped"),
    Behavior("interim responses (103)"),
    Behavior("idle connections are closed"),
    Behavior("responses of HTTP/1.0, without a length"),
)
RAW_BEHAVIORS = {
    "JSON with a byte order mark, gzipped": "gzip",
    "interim responses (103)": "interim",
    "idle connections are closed": "closing",
    "responses of HTTP/1.0, without a length": "old",
    "103 before the file": "interim",
    "HTTP/1.0 without a length": "old",
    "chunks with a trailer": "trailer",
    "closes idle connections": "closing",
}
"""How the bytes of a response are sent, by behavior; see `MockResponse.form`."""
FILE_BEHAVIORS = (
    "polite", "404 for a while", "503 for a while", "cut off at first", "space in the URL", "newline after the URL",
    "redirect to raw UTF-8", "empty Content-Encoding", "aws-chunked", "escapes that must stay", "wrong content type",
    "refuses python-requests", "URL that has expired", "wrong CRC in a text chunk", "large compressed text",
    "TIFF", "not an image", "206 with all of it", "gzip on the way", "303 to a relative path", "103 before the file",
    "HTTP/1.0 without a length", "chunks with a trailer", "a page with HTTP 200 for a while", "closes idle connections",
)  # fmt: skip


@dataclass
class Script:
    """What the service does with one request; times in seconds since 1970."""

    behavior: Behavior
    file_behavior: str
    started_at: float
    completed_at: float
    gateway: MockResponse
    error: dict[str, Any]
    cancel_words: tuple[int, dict[str, Any]]
    files: list[bytes]
    cancel_at: float | None = None
    cancels: int = 0
    result_calls: int = 0
    first_file_at: float | None = None
    file_calls: int = 0

    @property
    def is_canceled(self) -> bool:
        return self.behavior.name == "slow cancel" and self.cancel_at is not None


class MisbehavingService(MockService):
    """Draws one behavior of the service and one of its file host for each request.

    Args:
        polite: draw none, with the same queue and run times.
        first: the number of the first request; it decides which behaviors come up.
    """

    def __init__(self, seed: int, *, polite: bool, first: int = 0) -> None:
        super().__init__()
        self._random = Random(seed + first)
        self._polite = polite
        self._first = first
        self.scripts: dict[str, Script] = {}
        self._throttled_at: Counter[int] = Counter()
        self._accepted_at: dict[str, float] = {}

    def submit(self, inputs: dict[str, Any]) -> MockResponse:
        with self.lock:
            number = len(self.accepted)
            request_id = f"mock-{number}"
            self.accepted[request_id] = inputs
            self.scripts[request_id] = script = self._draw(self._first + number)
            self._accepted_at[request_id] = time.time()
        queued = {"status": "in_queue"} if script.behavior.name == "submit is answered with 202" else {}
        return _formed(json_response({"request_id": request_id} | queued, 202 if queued else 200), script.behavior.name)

    def _draw(self, number: int) -> Script:
        random = self._random
        started_at = time.time() + random.uniform(*QUEUE_S)
        completed_at = started_at + random.uniform(*RUN_S)
        gateway, error, words = random.choice(GATEWAYS), random.choice(ERRORS), random.choice(CANCEL_WORDS)
        count = random.choice((1, 1, 2, 4))
        # Each behavior comes up before any does a second time.
        behavior = SERVICE_BEHAVIORS[number % len(SERVICE_BEHAVIORS)]
        file_behavior = FILE_BEHAVIORS[(number // len(SERVICE_BEHAVIORS) + number) % len(FILE_BEHAVIORS)]
        if self._polite:
            behavior, file_behavior = POLITE, "polite"
        if behavior.name == "slow cancel":
            started_at = completed_at = float("inf")
        single = behavior.name in ("output is one URL", "output is a data URI")
        files = [_file_content(file_behavior, number * 10 + part) for part in range(1 if single else count)]
        return Script(behavior, file_behavior, started_at, completed_at, gateway, error, words, files)

    def status(self, request_id: str) -> MockResponse:
        return _formed(self._status(request_id), self.scripts[request_id].behavior.name)

    def _status(self, request_id: str) -> MockResponse:
        script, now = self.scripts[request_id], time.time()
        name = script.behavior.name
        if name == "unknown at first (404001)" and now - self._accepted_at[request_id] < UNKNOWN_S:
            return json_response({"error_code": 404001, "message": "no such request"}, 404)
        if name == "status calls are throttled":
            with self.lock:
                self._throttled_at[int(now)] += 1
                if self._throttled_at[int(now)] > 2:
                    return json_response({"error_code": 429001, "message": "slow down"}, 429, Retry_After="1")
        if name == "gateway pages while it runs" and 0 <= now - script.started_at - 3 < OUTAGE_S:
            return script.gateway
        if script.is_canceled and now - (script.cancel_at or now) > OUTAGE_S:
            return json_response({"status": "cancelled"})
        if now < script.started_at:
            return json_response({"status": "in_queue", "queue_position": 1})
        is_ahead = name == "the status is ahead of the result" and now > script.started_at + 3
        if now < script.completed_at and not is_ahead:
            word = "warming_up" if name == "an unheard-of status while it runs" else "in_progress"
            return json_response({"status": word, "instance_id": "i-1"})
        if name == "failed on the status only":
            return json_response({"status": "failed"} | script.error)
        return json_response({"status": "completed"})

    def result(self, request_id: str) -> MockResponse:
        return _formed(self._result(request_id), self.scripts[request_id].behavior.name)

    def _result(self, request_id: str) -> MockResponse:
        script, now = self.scripts[request_id], time.time()
        name, late_s = script.behavior.name, now - script.completed_at
        if late_s < 0:
            return json_response({"status": "in_progress"})
        if name == "gateway pages instead of the result" and late_s < OUTAGE_S:
            return script.gateway
        if name == "result not ready (400005)" and late_s < OUTAGE_S:
            return json_response({"error_code": 400005, "error_message": "not ready"}, 400)
        if name == "HTTP 200 with an error code for a while" and late_s < OUTAGE_S:
            return json_response({"error_code": 500001, "message": "internal"})
        if name == "failed on the status only":
            return json_response({"status": "failed"})
        if name == "failed on the result only":
            return json_response({"status": "failed", "output": None} | script.error)
        status = "succeeded" if name == "result says succeeded" else "completed"
        with self.lock:
            script.result_calls += 1
        if name == "output comes late" and late_s < OUTAGE_S:
            return json_response({"status": status, "output": None, "input": self.accepted[request_id]})
        facts = {"status": status, "cost": 0.03 * len(script.files), "input": self.accepted[request_id]}
        return json_response(facts | self._output(request_id, script))

    def _output(self, request_id: str, script: Script) -> dict[str, Any]:
        urls, name = [self._url(request_id, script, index) for index in range(len(script.files))], script.behavior.name
        if name == "output is one URL":
            return {"output": urls[0]}
        if name == "output is a list of URLs":
            return {"output": urls}
        if name == "output is a list of objects":
            return {"output": [{"url": url, "width": 64} for url in urls]}
        if name == "output has image_urls":
            return {"output": {"image_urls": urls}}
        if name == "output is a data URI":
            return {"output": {"image": "data:image/png;base64," + base64.b64encode(script.files[0]).decode()}}
        if name == "output misses a file":
            return {"output": {"images": [None, *urls]}, "error": "one image was filtered"}
        return {"output": {"images": urls}}

    def _url(self, request_id: str, script: Script, index: int) -> str:
        kind = script.file_behavior
        name = {"space in the URL": f"a fox {index}.png", "escapes that must stay": f"{index}-%7Eb%2D.png?sig=%7E%2D"}
        end = {"newline after the URL": "\n", "URL that has expired": f"?sig={script.result_calls}"}.get(kind, "")
        return self.file_url(request_id, name.get(kind, f"{index}.{'tif' if kind == 'TIFF' else 'png'}")) + end

    def cancel(self, request_id: str) -> MockResponse:
        script = self.scripts[request_id]
        with self.lock:
            script.cancels += 1
            script.cancel_at = script.cancel_at or time.time()
        if script.behavior.name != "slow cancel":
            return json_response({"outcome": "not_cancellable"}, 202)
        code, words = script.cancel_words
        return json_response(words, code)

    def file(self, request_id: str, target: str, headers: Mapping[str, str]) -> MockResponse:
        return _formed(self._file(request_id, target, headers), self.scripts[request_id].file_behavior)

    def _file(self, request_id: str, target: str, headers: Mapping[str, str]) -> MockResponse:
        script, now, kind = self.scripts[request_id], time.time(), self.scripts[request_id].file_behavior
        with self.lock:
            script.first_file_at = script.first_file_at or now
            script.file_calls += 1
        is_early = now - script.first_file_at < LATE_FILE_S
        if kind == "404 for a while" and is_early:
            return MockResponse(404, b"<Error><Code>NoSuchKey</Code></Error>", {"Content-Type": "application/xml"})
        if kind == "503 for a while" and is_early:
            return MockResponse(503, b"SlowDown", {"Retry-After": "1"})
        if kind == "a page with HTTP 200 for a while" and is_early:
            return MockResponse(200, b"<!doctype html><title>Just a moment...</title>", {"Content-Type": "text/html"})
        if kind == "cut off at first" and script.file_calls <= len(script.files):
            return MockResponse(hang_up=True)
        if kind == "refuses python-requests" and "python-requests" in headers.get("User-Agent", ""):
            return MockResponse(403, b"bots are not welcome", {"Content-Type": "text/plain"})
        if kind == "URL that has expired" and target.endswith("?sig=1"):
            return MockResponse(403, b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>")
        if kind == "escapes that must stay" and "%7Eb%2D.png?sig=%7E%2D" not in target:
            return MockResponse(403, b"SignatureDoesNotMatch", {"Content-Type": "application/xml"})
        if kind == "redirect to raw UTF-8" and not target.upper().startswith(_REDIRECTED):
            location = f"/files/{request_id}/狐-{target}".encode().decode("latin-1")
            return MockResponse(302, b"", {"Location": location})
        if kind == "303 to a relative path" and "moved" not in target:
            return MockResponse(303, b"<html>See other</html>", {"Location": f"./moved/../moved-{target}#top"})
        index = int(_FILE_NUMBER.findall(target)[-1])
        content = script.files[index]
        if kind == "206 with all of it":
            return MockResponse(206, content, {"Content-Range": f"bytes 0-{len(content) - 1}/{len(content)}"})
        if kind == "gzip on the way":
            return MockResponse(200, gzip.compress(content), {"Content-Encoding": "gzip"})
        more = {
            "empty Content-Encoding": {"Content-Encoding": ""},
            "aws-chunked": {"Content-Encoding": "aws-chunked"},
            "wrong content type": {"Content-Type": "text/html"},
        }.get(kind, {})
        return MockResponse(200, content, {"Content-Type": "image/png"} | more)


def _formed(response: MockResponse, name: str) -> MockResponse:
    """The same response in the form that belongs to a behavior."""
    form = RAW_BEHAVIORS.get(name, "")
    if form == "gzip":
        body = gzip.compress(b"\xef\xbb\xbf" + response.body)
        return replace(response, body=body, headers={**response.headers, "Content-Encoding": "gzip"})
    return replace(response, form=form)


def _file_content(kind: str, number: int) -> bytes:
    image = Image.new("RGB", (64, 48), (number % 256, number // 256 % 256, 99))
    file = io.BytesIO()
    if kind == "TIFF":
        image.save(file, "TIFF")
        return file.getvalue()
    if kind == "not an image":
        return b"%PDF-1.7\n" + str(number).encode()
    image.save(file, "PNG")
    data = file.getvalue()
    if kind == "wrong CRC in a text chunk":
        return _with_chunk(data, b"tEXt", b"Comment\0made by a bad encoder", crc=1)
    if kind == "large compressed text":
        return _with_chunk(data, b"zTXt", b"Comment\0\0" + zlib.compress(b"x" * 2_000_000))
    return data


def _with_chunk(png_data: bytes, kind: bytes, content: bytes, crc: int | None = None) -> bytes:
    """A PNG with one more chunk after its header."""
    checksum = zlib.crc32(kind + content) if crc is None else crc
    chunk = len(content).to_bytes(4, "big") + kind + content + checksum.to_bytes(4, "big")
    return png_data[:33] + chunk + png_data[33:]
