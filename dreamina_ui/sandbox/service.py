"""The Model API's state machine, on a clock: what the sandbox knows of each request.

A request is on disk before `submit` returns, so that neither a restart nor a kill forgets it. Its whole course is
planned when it is submitted (`starts_at`, `ends_at`) and its status is read off the clock: there are no timers to
lose, and no call looks at requests that are over.

Source: RunComfy Model API documentation (statuses, error codes, cancel only in the queue).
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import sqlite3
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dreamina_ui.errors import InputError
from dreamina_ui.models.schema import Model
from dreamina_ui.models.sizes import parse_size
from dreamina_ui.models.units import asked_files
from dreamina_ui.sandbox.scenarios import CANCEL_S, GATEWAY_S, LATE_FILES_S, NOT_READY_S, reason_in, scenarios_in

PRICE_USD = 0.03
"""Play money, for one picture."""

MAX_PICTURES = 10
FILM_SIDE_PX = 640
MAX_FILM_S = 10
DEFAULT_SIZE = (2048, 2048)
SIDES_PX = (64, 8192)

_TABLE = """
CREATE TABLE IF NOT EXISTS requests (
    number INTEGER PRIMARY KEY, request_id TEXT UNIQUE NOT NULL, key TEXT NOT NULL, model_id TEXT NOT NULL,
    inputs TEXT NOT NULL, count INTEGER NOT NULL, created_at REAL NOT NULL, starts_at REAL NOT NULL,
    ends_at REAL NOT NULL, painted_at REAL, cancelled_at REAL
);
CREATE INDEX IF NOT EXISTS live_by_start ON requests (starts_at) WHERE cancelled_at IS NULL;
CREATE INDEX IF NOT EXISTS live_by_end ON requests (ends_at) WHERE cancelled_at IS NULL;
"""
MAX_IMAGE_BYTES = 6 * 1024**2
"""How large an image within a request may be."""

_IMAGE_URIS = {"data:image/png;base64,": b"\x89PNG\r\n\x1a\n", "data:image/jpeg;base64,": b"\xff\xd8\xff"}
_COLUMNS = "number, request_id, key, model_id, inputs, count, created_at, starts_at, ends_at, painted_at, cancelled_at"


class Refusal(Exception):
    """A call that the API refuses: HTTP status, and the JSON body that says why."""

    def __init__(self, status_code: int, error_code: int | None, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.body = {**({"error_code": error_code} if error_code else {}), "error_message": message, **more}


@dataclass(frozen=True)
class Request:
    """One stored request; times are epoch seconds.

    Attributes:
        number: its place in the order of submission.
        key: the unguessable part of its files' URLs.
        inputs: as submitted, defaults filled in.
        count: how many pictures it makes.
        starts_at, ends_at: when it leaves the queue, and when its pictures are due.
        painted_at: when its last picture was on disk, or None.
        cancelled_at: when it was or will be cancelled, or None.
        server_scenarios: what it plays besides what its prompt asks for; see `scenarios`.
        seconds: how long its film is; 0 if it makes pictures.
    """

    number: int
    request_id: str
    key: str
    model_id: str
    inputs: dict[str, Any]
    count: int
    created_at: float
    starts_at: float
    ends_at: float
    painted_at: float | None
    cancelled_at: float | None
    server_scenarios: frozenset[str] = frozenset()
    seconds: int = 0

    def status(self, now: float) -> str:
        """The service's word for its state; `completed` only once its pictures are on disk."""
        if self.cancelled_at is not None:
            return "cancelled" if now >= self.cancelled_at else "in_queue"
        if now < self.starts_at:
            return "in_queue"
        if now >= self.ends_at and "fail" in self.scenarios:
            return "failed"
        return "completed" if now >= self.ends_at and self.painted_at is not None else "in_progress"

    def finished_at(self, now: float) -> float | None:
        """When it was completed or cancelled; None while it is neither."""
        status = self.status(now)
        if status in ("completed", "failed"):
            return max(self.ends_at, self.painted_at or 0.0)
        return self.cancelled_at if status == "cancelled" else None

    @property
    def scenarios(self) -> frozenset[str]:
        """What goes wrong with it on purpose."""
        return self.server_scenarios | scenarios_in(self.prompt)

    @property
    def reason(self) -> str:
        """Why it fails, if it does."""
        return reason_in(self.prompt)

    def gateway_status(self, now: float) -> int | None:
        """The HTTP status of a gateway's page that stands in place of the API now; None if there is none."""
        if now - self.created_at >= GATEWAY_S:
            return None
        return next((code for code in (404, 502, 504) if f"gateway-{code}" in self.scenarios), None)

    def is_ready(self, now: float) -> bool:
        """Whether the result of the completed request can be had."""
        return "not-ready" not in self.scenarios or now - self.ends_at >= NOT_READY_S

    def has_files(self, now: float) -> bool:
        """Whether the files of the completed request are at their URLs."""
        return "late-files" not in self.scenarios or now - self.ends_at >= LATE_FILES_S

    @property
    def prompt(self) -> str:
        """The input named `prompt`, else the first text among the inputs, else nothing."""
        texts = [self.inputs.get("prompt"), *self.inputs.values()]
        return next((text for text in texts if isinstance(text, str)), "")

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels of its pictures, or of its film."""
        size = picture_size(self.inputs)
        shrink = FILM_SIDE_PX / max(size)
        return (round(size[0] * shrink), round(size[1] * shrink)) if self.seconds and shrink < 1 else size

    @property
    def extension(self) -> str:
        """How the names of its files end."""
        return "webm" if self.seconds else "png"

    @property
    def seed(self) -> int:
        """What its pictures are painted from, besides the prompt."""
        return _digest(self.request_id)

    @property
    def cost_usd(self) -> float:
        """Play money for all its pictures or seconds; nothing if it was cancelled or failed."""
        is_free = self.cancelled_at is not None or self.scenarios & {"fail", "completed-then-failed"}
        return 0.0 if is_free else round(PRICE_USD * (self.seconds or self.count), 4)


class Service:
    """Accepts requests, queues them before `parallel` slots, and says how far they are.

    A request waits `queue_s` seconds, and longer while all slots are taken; first come, first served. Then it runs
    for about `run_s` seconds: 0.6 to 2.3 times that, by the size and number of its pictures and by its id.
    For one thread at a time.

    Args:
        folder: where `requests.sqlite3` lies; made if missing.
        models: what can be asked for, by model_id.
        clock: the present time in epoch seconds.
        scenarios: what goes wrong with every request; see `scenarios`.
    """

    def __init__(
        self,
        folder: Path,
        models: Mapping[str, Model],
        *,
        clock: Callable[[], float],
        queue_s: float = 2.0,
        run_s: float = 6.0,
        parallel: int = 2,
        scenarios: Iterable[str] = (),
    ) -> None:
        self.clock = clock
        self.models = models
        self._scenarios = frozenset(scenarios)
        self._queue_s = queue_s
        self._run_s = run_s
        self._parallel = parallel
        folder.mkdir(parents=True, exist_ok=True)
        # Opened by the thread that starts the server and used by the server's own, one after the other.
        self._db = sqlite3.connect(folder / "requests.sqlite3", isolation_level=None, check_same_thread=False)
        # WAL survives a killed process with NORMAL; only a power loss could lose the last rows of play money.
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_TABLE)

    def close(self) -> None:
        """Close the file; the service is of no use afterwards."""
        self._db.close()

    def model(self, model_id: str) -> Model:
        """The model of this id.

        Raises:
            Refusal: 400 with 400001, there is none.
        """
        if model_id not in self.models:
            raise Refusal(400, 400001, f"There is no model {model_id}.")
        return self.models[model_id]

    def submit(self, model_id: str, inputs: Any) -> Request:
        """Check and store a request.

        Raises:
            Refusal: 400 with 400001 for an unknown model, 422 with 422001 for inputs that break its schema.
        """
        model = self.model(model_id)
        inputs = _without_images(inputs)
        detail = [
            {"loc": ["body", exc.field], "msg": f"Input breaks {exc.rule} ({exc.limit})", "type": exc.rule}
            for exc in _broken_rules(model, inputs)
        ]
        if detail:
            raise Refusal(422, 422001, "The inputs do not fit the model's schema.", detail=detail)
        checked = model.validate_inputs(inputs)
        now = self.clock()
        request_id = str(uuid.uuid4())
        count = picture_count(checked, request_id)
        starts_at = self._start(now, [row[0] for row in self._db.execute(*self._latest_ends())])
        ends_at = starts_at + self._run_s * pace(picture_size(checked), count, request_id)
        text = json.dumps(checked, ensure_ascii=False)
        row = (request_id, secrets.token_urlsafe(16), model_id, text, count, now, starts_at, ends_at)
        self._db.execute(
            "INSERT INTO requests (request_id, key, model_id, inputs, count, created_at, starts_at, ends_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            row,
        )
        return self.get(request_id)

    def get(self, request_id: str) -> Request:
        """The request of this id.

        Raises:
            Refusal: 404 with 404001, there is none.
        """
        rows = self._select("WHERE request_id = ?", request_id)
        if not rows:
            raise Refusal(404, 404001, f"The request {request_id} is unknown or has expired.")
        return rows[0]

    def all(self) -> list[Request]:
        """Every request ever stored, oldest first."""
        return self._select("ORDER BY number")

    def queue_position(self, request: Request) -> int:
        """How many requests in the queue come before this one: 0 is next."""
        row = self._db.execute(
            "SELECT COUNT(*) FROM requests WHERE cancelled_at IS NULL AND starts_at > ? AND number < ?",
            (self.clock(), request.number),
        ).fetchone()
        return int(row[0])

    def cancel(self, request_id: str) -> tuple[str, Request]:
        """Cancel a request that is still in the queue; those behind it move up.

        Returns:
            `cancelled`, `cancellation_requested` or `not_cancellable`, and the request as it now is.
        """
        now = self.clock()
        request = self.get(request_id)
        if request.status(now) != "in_queue":
            return "not_cancellable", request
        if request.cancelled_at is not None:
            return "cancellation_requested", request
        is_slow = "slow-cancel" in request.scenarios
        self._db.execute("BEGIN IMMEDIATE")
        with self._db:
            self._db.execute(
                "UPDATE requests SET cancelled_at = ? WHERE number = ?",
                (now + (CANCEL_S if is_slow else 0.0), request.number),
            )
            self._move_up(request.number, now)
        return "cancellation_requested" if is_slow else "cancelled", self.get(request_id)

    def painted(self, request_id: str) -> None:
        """Note that all pictures of a request are on disk."""
        self._db.execute(
            "UPDATE requests SET painted_at = ? WHERE request_id = ? AND painted_at IS NULL",
            (self.clock(), request_id),
        )

    def _move_up(self, number: int, now: float) -> None:
        ends: list[float] = []
        live = "INDEXED BY live_by_end WHERE cancelled_at IS NULL AND ends_at > ? ORDER BY number"
        for other in self._select(live, now):
            ends_at = other.ends_at
            if other.number > number and other.starts_at > now:
                starts_at = max(now, self._start(other.created_at, sorted(ends, reverse=True)[: self._parallel]))
                ends_at = starts_at + other.ends_at - other.starts_at
                self._db.execute(
                    "UPDATE requests SET starts_at = ?, ends_at = ? WHERE number = ?",
                    (starts_at, ends_at, other.number),
                )
            ends.append(ends_at)

    def _start(self, created_at: float, latest_ends: list[float]) -> float:
        """When a request may start: first come, first served means once fewer than `parallel` before it still run."""
        free_at = latest_ends[self._parallel - 1] if len(latest_ends) >= self._parallel else 0.0
        return max(created_at + self._queue_s, free_at)

    def _latest_ends(self) -> tuple[str, tuple[int]]:
        sql = "SELECT ends_at FROM requests WHERE cancelled_at IS NULL ORDER BY ends_at DESC LIMIT ?"
        return sql, (self._parallel,)

    def _select(self, rest: str, *values: Any) -> list[Request]:
        rows = self._db.execute(f"SELECT {_COLUMNS} FROM requests {rest}", values)  # noqa: S608 - only our own text
        names = _COLUMNS.split(", ")
        return [self._request(dict(zip(names, row, strict=True))) for row in rows]

    def _request(self, row: dict[str, Any]) -> Request:
        inputs, model = json.loads(row["inputs"]), self.models.get(row["model_id"])
        seconds = film_seconds(inputs) if model and makes_films(model) else 0
        return Request(**row | {"inputs": inputs, "server_scenarios": self._scenarios, "seconds": seconds})


def _broken_rules(model: Model, inputs: Any) -> list[InputError]:
    try:
        return list(model.broken_rules(inputs))
    except InputError as exc:  # a text that is no Unicode, for instance
        return [exc]


def _without_images(value: Any) -> Any:
    """Inputs with a short URI in the place of each image that they carry, if it is one that the service takes."""
    if isinstance(value, dict):
        return {name: _without_images(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_without_images(entry) for entry in value]
    beginning = next((text for text in _IMAGE_URIS if isinstance(value, str) and value.startswith(text)), None)
    if beginning is None:
        return value
    try:
        content = base64.b64decode(value[len(beginning) :], validate=True)
    except ValueError:
        return value
    is_image = content.startswith(_IMAGE_URIS[beginning]) and len(content) <= MAX_IMAGE_BYTES
    return f"{beginning}sha256-{hashlib.sha256(content).hexdigest()}" if is_image else value


def picture_count(inputs: Mapping[str, Any], request_id: str) -> int:
    """How many pictures a request makes: as many as it asks for, or 2 to 4 by its id where `force_single` is false."""
    if asked := asked_files(inputs):
        return min(asked, MAX_PICTURES)
    return 2 + _digest(request_id) % 3 if inputs.get("force_single") is False else 1


def makes_films(model: Model) -> bool:
    """Whether what a model makes is video, as its output schema says."""
    keys = model.output_schema.get("output", {}).get("properties", {})
    return "videos" in keys and "images" not in keys


def film_seconds(inputs: Mapping[str, Any]) -> int:
    """How long a film these inputs ask for."""
    duration = inputs.get("duration")
    return min(max(round(duration), 1), MAX_FILM_S) if isinstance(duration, int | float) else 2


def picture_size(inputs: Mapping[str, Any]) -> tuple[int, int]:
    """(width, height) in pixels that these inputs of any model ask for.

    The first value such as `2048x2048(1:1)`; else integers `width` and `height`; else about 2 megapixels of a ratio
    such as `16:9`; else 2048x2048. Each side is kept within 64 to 8192.
    """
    sizes = [size for value in inputs.values() if (size := parse_size(value))]
    sides = inputs.get("width"), inputs.get("height")
    ratios = [re.fullmatch(r"(\d{1,3}):(\d{1,3})", value) for value in inputs.values() if isinstance(value, str)]
    ratio = next((match for match in ratios if match and int(match[1]) and int(match[2])), None)
    width, height = DEFAULT_SIZE
    if sizes:
        width, height = sizes[0]
    elif all(isinstance(side, int) for side in sides):
        width, height = sides  # type: ignore[assignment]
    elif ratio:
        wide = int(ratio[1]) / int(ratio[2])
        width, height = round((2e6 * wide) ** 0.5), round((2e6 / wide) ** 0.5)
    low, high = SIDES_PX
    return min(max(width, low), high), min(max(height, low), high)


def pace(size: tuple[int, int], count: int, request_id: str) -> float:
    """How much longer than usual a request runs: more for large or many pictures, and a little by its id."""
    megapixels = size[0] * size[1] / 1e6
    jitter = 0.9 + 0.2 * (_digest(request_id, "pace") % 1000) / 1000
    return float((megapixels / 4.2) ** 0.25 * (1 + 0.15 * (count - 1)) * jitter)


def _digest(*parts: str) -> int:
    return int.from_bytes(hashlib.sha256("/".join(parts).encode()).digest()[:8], "big")
