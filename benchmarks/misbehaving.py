"""200 jobs on a service that misbehaves as real services, gateways and file hosts do: each ends truthfully.

    python -m benchmarks.misbehaving [--jobs 200] [--minutes 20] [--seed 1] [--first 0] [--json]

Each job draws one odd behavior of the service and one of its file host; the same number of jobs runs at the same time
on a polite service, with the same run times. At the end every accepted job must have ended as the service meant it,
every file that exists must be stored byte for byte, and the number of calls per job is compared with the polite run.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import json
import re
import shutil
import statistics
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from PIL import Image

from benchmarks.audit import read_rows
from benchmarks.mock_service import MockResponse, MockService, json_response
from dreamina_ui.api.client import RunComfy
from dreamina_ui.jobs.services import JobServices
from dreamina_ui.ledger.job import SETTLED
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.media.fetching.fetch import OutputFetcher
from dreamina_ui.media.fetching.ssrf_guard import UrlGuard
from dreamina_ui.media.folder_store import FolderStore
from dreamina_ui.models.schema import load_models
from dreamina_ui.spending.accounts import Accounts

MODEL_ID = "bytedance/dreamina-4-0/text-to-image"
INPUTS = {"width×height": "1024x1024(1:1)", "scale": 0.5, "force_single": False}
TOKEN = "token-of-the-benchmarks"
QUEUE_S = (0.0, 6.0)
RUN_S = (15.0, 45.0)
OUTAGE_S = 20.0
LATE_FILE_S = 30.0
REASON = "The images were rejected by the content filter"
CALLS_TARGET = 1.3
"""Calls per job, in proportion to those of the polite run."""

GRACE_S = 300.0
"""How long the last jobs may take to end."""

_FILE_NUMBER = re.compile(r"(\d)(?:-%7Eb%2D)?\.(?:png|tif)")
_REDIRECTED = ("%E7%8B%90-", "狐-".encode().decode("latin-1").upper())
"""The path after the redirect: percent-encoded, or as raw bytes, which `http.server` reads as Latin-1."""

GATEWAYS = (
    MockResponse(404, b"404 page not found\n", {"Content-Type": "text/plain; charset=utf-8"}),
    MockResponse(502, b"<html><h1>502 Bad Gateway</h1></html>", {"Content-Type": "text/html"}),
    MockResponse(504, b"<html><h1>504 Gateway Time-out</h1></html>", {"Content-Type": "text/html"}),
    MockResponse(503, b"", {"Content-Type": "text/plain", "Retry-After": "2"}),
    MockResponse(200, b"<html>Please wait</html>", {"Content-Type": "text/html"}),
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
)
FILE_BEHAVIORS = (
    "polite", "404 for a while", "503 for a while", "cut off at first", "space in the URL", "newline after the URL",
    "redirect to raw UTF-8", "empty Content-Encoding", "aws-chunked", "escapes that must stay", "wrong content type",
    "refuses python-requests", "URL that has expired", "wrong CRC in a text chunk", "large compressed text",
    "TIFF", "not an image",
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

    def submit(self, inputs: dict[str, Any]) -> MockResponse:
        with self.lock:
            number = len(self.accepted)
            request_id = f"mock-{number}"
            self.accepted[request_id] = inputs
            self.scripts[request_id] = script = self._draw(self._first + number)
        queued = {"status": "in_queue"} if script.behavior.name == "submit is answered with 202" else {}
        return json_response({"request_id": request_id} | queued, 202 if queued else 200)

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
        script, now = self.scripts[request_id], time.time()
        name = script.behavior.name
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
        if now < script.completed_at:
            word = "warming_up" if name == "an unheard-of status while it runs" else "in_progress"
            return json_response({"status": word, "instance_id": "i-1"})
        if name == "failed on the status only":
            return json_response({"status": "failed"} | script.error)
        return json_response({"status": "completed"})

    def result(self, request_id: str) -> MockResponse:
        script, now = self.scripts[request_id], time.time()
        name, late_s = script.behavior.name, now - script.completed_at
        if late_s < 0:
            return self.status(request_id)
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
        script, now, kind = self.scripts[request_id], time.time(), self.scripts[request_id].file_behavior
        with self.lock:
            script.first_file_at = script.first_file_at or now
            script.file_calls += 1
        is_early = now - script.first_file_at < LATE_FILE_S
        if kind == "404 for a while" and is_early:
            return MockResponse(404, b"<Error><Code>NoSuchKey</Code></Error>", {"Content-Type": "application/xml"})
        if kind == "503 for a while" and is_early:
            return MockResponse(503, b"SlowDown", {"Retry-After": "1"})
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
        index = int(_FILE_NUMBER.findall(target)[-1])
        more = {
            "empty Content-Encoding": {"Content-Encoding": ""},
            "aws-chunked": {"Content-Encoding": "aws-chunked"},
            "wrong content type": {"Content-Type": "text/html"},
        }.get(kind, {})
        return MockResponse(200, script.files[index], {"Content-Type": "image/png"} | more)


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


@contextmanager
def job_services(folder: Path, url: str) -> Iterator[JobServices]:
    """The job services on a data folder, with the pauses and timeouts of the app."""
    ledger = Ledger(folder / "ledger.sqlite3")
    media = FolderStore(folder / "media")
    accounts = Accounts(
        RunComfy(url, TOKEN),
        url,
        secret=ledger.secret("key_marks"),
        connect=lambda key: RunComfy(url, key),
        key_origin=url,
        clock=time.time,
    )
    services = JobServices(
        accounts=accounts,
        models=load_models(),
        ledger=ledger,
        media=media,
        fetcher=OutputFetcher(media, UrlGuard(exempt_origin=url)),
    )
    services.start()
    try:
        yield services
    finally:
        services.stop(5.0)
        ledger.close()


@dataclass
class Report:
    """The outcome.

    Attributes:
        figures: by label, in order.
        broken: one line for each violation; empty if there is none.
    """

    figures: dict[str, float] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{label:<52}{value:>10.2f}" for label, value in self.figures.items()]
        return "\n".join([*lines, "", *(self.broken or ["No violation."])])


def run(
    folder: Path,
    *,
    jobs: int = 200,
    minutes: float = 20.0,
    seed: int = 1,
    first: int = 0,
    progress: Callable[[int], object] = lambda _jobs: None,
) -> Report:
    """Run both services at the same time, and compare.

    Args:
        folder: an empty folder; data stays in it.
        minutes: the time over which the jobs are submitted and run.
        first: the number of the first job, where the others ran before.
        progress: called with the number of submitted jobs.
    """
    with ExitStack() as stack:
        names = ("misbehaving", "polite")
        mocks = [MisbehavingService(seed, polite=name == "polite", first=first) for name in names]
        for mock in mocks:
            stack.enter_context(mock)
        apps = [
            stack.enter_context(job_services(folder / name, mock.url)) for name, mock in zip(names, mocks, strict=True)
        ]
        ends_at = time.time() + minutes * 60
        pause_s = max(0.0, minutes * 60 - QUEUE_S[1] - RUN_S[1] - 2 * OUTAGE_S) / jobs
        for number in range(jobs):
            for services in apps:
                services.jobs.generate(MODEL_ID, INPUTS | {"prompt": f"image {number}"}, visitor_id="v")
            progress(number + 1)
            time.sleep(pause_s)
            _cancel_some(apps[0], mocks[0])
        while time.time() < ends_at + GRACE_S and not all(_is_settled(folder / name) for name in names):
            _cancel_some(apps[0], mocks[0])
            time.sleep(0.5)
        return _compare(folder, mocks, names)


def _cancel_some(services: JobServices, mock: MisbehavingService) -> None:
    """Cancel once, as a person would, each job whose behavior is about that."""
    wanted = {
        request_id
        for request_id, script in list(mock.scripts.items())
        if script.behavior.name in ("slow cancel", "cancel comes too late") and not script.cancels
    }
    for job in services.reader.recent("v", 1000) if wanted else []:
        if job.request_id in wanted and job.state in ("queued", "running") and not job.cancel_requested_at:
            services.jobs.cancel(job.job_id)


def _is_settled(data: Path) -> bool:
    return all(row["state"] in SETTLED for row in read_rows(data, "SELECT state FROM jobs"))


def _compare(folder: Path, mocks: Sequence[MisbehavingService], names: Sequence[str]) -> Report:
    report = Report()
    calls: dict[str, float] = {}
    for mock, name in zip(mocks, names, strict=True):
        data = folder / name
        rows = read_rows(data, "SELECT * FROM jobs")
        by_request = {row["request_id"]: row for row in rows}
        states = Counter(row["state"] for row in rows)
        report.figures |= {f"{name}: jobs": len(rows)}
        report.figures |= {f"{name}: {state}": states[state] for state in sorted(states)}
        api_calls = {key: count for key, count in mock.calls.items() if key[1] != "file"}
        calls[name] = sum(api_calls.values()) / len(mock.scripts)
        report.figures[f"{name}: calls per job"] = calls[name]
        report.figures[f"{name}: cancel calls per cancel"] = statistics.fmean(
            [script.cancels for script in mock.scripts.values() if script.cancels] or [0]
        )
        for request_id, script in mock.scripts.items():
            label = f"{name} {request_id} ({script.behavior.name}; file: {script.file_behavior})"
            row = by_request.get(request_id)
            if row is None:
                report.broken.append(f"{label} is not in the ledger.")
                continue
            report.broken += [f"{label} {flaw}" for flaw in _flaws(row, script, data)]
    ratio = calls["misbehaving"] / calls["polite"]
    report.figures["calls per job, in proportion to the polite run"] = ratio
    if ratio > CALLS_TARGET:
        report.broken.append(f"Calls per job are {ratio:.2f} times those of the polite run, more than {CALLS_TARGET}.")
    return report


def _flaws(row: Mapping[str, Any], script: Script, data: Path) -> Iterator[str]:
    """What is wrong with a job, given what the service did."""
    if row["state"] != script.behavior.state:
        yield f"is {row['state']}, not {script.behavior.state}: {row['problem']} {row['detail']}"
        return
    if script.behavior.reason and script.behavior.reason not in (row["detail"] or ""):
        yield f"does not show the reason: {row['detail']!r}"
    if row["state"] != "done" and script.behavior.name != "output misses a file":
        return
    media = data / "media" / row["job_id"][:2] / row["job_id"]
    stored = {hashlib.sha256(path.read_bytes()).hexdigest() for path in media.rglob("original*")}
    missing = sum(hashlib.sha256(content).hexdigest() not in stored for content in script.files)
    if missing:
        yield f"lacks {missing} of {len(script.files)} files"


def main() -> None:
    """Parse arguments, run, print; exit with 1 on a violation."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.misbehaving", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--jobs", type=int, default=200, help="jobs on each of the two services (default: 200)")
    parser.add_argument("--minutes", type=float, default=20.0, help="how long it takes (default: 20)")
    parser.add_argument("--seed", type=int, default=1, help="seed of everything random (default: 1)")
    parser.add_argument("--first", type=int, default=0, help="the number of the first job, to run it in parts")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="dreamina-misbehaving-"))

    def progress(jobs: int) -> None:
        print(f"\r{jobs} of {options.jobs} jobs", end="", file=sys.stderr, flush=True)

    report = run(
        folder, jobs=options.jobs, minutes=options.minutes, seed=options.seed, first=options.first, progress=progress
    )
    print(file=sys.stderr)
    print(json.dumps({"figures": report.figures, "broken": report.broken}, indent=2) if options.json else report)
    if report.broken:
        sys.exit(f"Data stays in {folder}.")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
