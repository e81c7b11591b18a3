"""Reads a visitor's exported history into their library. The ZIP comes from anywhere, so nothing in it is believed.

Names in it never become paths; sizes are counted while they are read; every image is decoded anew, in a process of its
own; ids are new. Imported jobs belong to no API, so nobody asks about them, and they cost nothing and count nowhere.
What was imported before is left out, so an import that was cut off can be repeated.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import IO, Any, BinaryIO

from dreamina_ui.errors import DiskError, DreaminaError, InputError
from dreamina_ui.ledger.job import IMPORT_ORIGIN, Job, Output, limit_input_length, new_id
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.library.boards import MAX_BOARDS, Boards
from dreamina_ui.library.history_export import FORMAT, VERSION, export_id
from dreamina_ui.library.prompt_tools import MAX_FAVORITES, MAX_PROMPTS, MAX_TOOLS, Preset, PromptTools
from dreamina_ui.media.decoding.copies import ImageError
from dreamina_ui.media.decoding.workers import DecodeWorkers
from dreamina_ui.media.formats import Format, recognise
from dreamina_ui.media.store import CHUNK_BYTES, TIERS, MediaStore

MAX_FILE_BYTES = 200 * 1024**2
MAX_DIRECTORY_BYTES = 16 * 10**6
"""How long a ZIP's list of contents may be: it is read as a whole."""

MAX_MANIFEST_BYTES = 24 * 10**6
MAX_MANIFEST_BYTES_OF_STRANGERS = 4 * 10**6
BYTES_PER_MANIFEST_VALUE = 16
MAX_JOBS = 20_000
MAX_FILES_OF_JOB = 32
MAX_FILES = 20_000
JOB_BYTES = 100_000
"""What an imported job counts as at least, in the bytes that a visitor may import: each takes some CPU time."""

MAX_PENDING_OF_STRANGERS = 8
MAX_PENDING_OF_CLIENT = 2
"""How many imports of people whom nobody knows are sent or wait at once: all together, and of one client."""

MAX_REMEMBERED = 100
MAX_PROBLEMS = 20
_IMPORTED = "import-"
_STATES = ("done", "failed", "cancelled")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_END = b"PK\x05\x06"
_END_64 = b"PK\x06\x06"
_TAIL_BYTES = 66_000

log = logging.getLogger(__name__)


@dataclass
class ImportProgress:
    """How far an import has come; `size_bytes` is what it stored, and `problems` are technical English."""

    total: int = 0
    jobs: int = 0
    images: int = 0
    known: int = 0
    skipped: int = 0
    size_bytes: int = 0
    problems: list[str] = field(default_factory=list)
    is_done: bool = False
    error: str = ""

    def skip(self, what: str, reason: str) -> None:
        """Count something that was left out."""
        self.skipped += 1
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(f"{what[:80]}: {reason[:200]}")


class HistoryImport:
    """Imports exports.

    Args:
        decoder: decodes every image.
        clock: gives the time, in seconds since 1970.
    """

    def __init__(
        self,
        ledger: Ledger,
        media: MediaStore,
        boards: Boards,
        prompts: PromptTools,
        decoder: DecodeWorkers,
        clock: Callable[[], float],
    ) -> None:
        self._ledger = ledger
        self._media = media
        self._boards = boards
        self._prompts = prompts
        self._decoder = decoder
        self._clock = clock

    def run(
        self,
        file: BinaryIO,
        visitor_id: str,
        max_bytes: int,
        progress: ImportProgress,
        *,
        max_manifest_bytes: int = MAX_MANIFEST_BYTES,
        is_all: bool = False,
    ) -> None:
        """Import everything of a ZIP that is good; what is not is counted as skipped.

        Args:
            file: the ZIP; it can seek.
            max_bytes: how much its files may have together, where a job without large ones counts as `JOB_BYTES`.
            max_manifest_bytes: how long its manifest may be.
            is_all: whether others' jobs, which the visitor sees and exports, are here already, too.

        Raises:
            InputError: this is no export, or one beyond all bounds; nothing was imported.
            DiskError, LedgerError: the storage or the ledger refuses; what was imported stays.
        """
        _refuse_long_directory(file)
        try:
            with zipfile.ZipFile(file) as archive:
                manifest = _read_manifest(archive, max_manifest_bytes)
                jobs = [facts for facts in manifest["jobs"] if isinstance(facts, dict)]
                progress.total = len(jobs)
                scope = None if is_all else visitor_id
                own = {name for known in self._ledger.every_job(visitor_id=scope) for name in _names_of(known)}
                boards: dict[str, list[str]] = {}
                for facts in jobs:
                    left_bytes = max_bytes - max(progress.size_bytes, progress.jobs * JOB_BYTES)
                    if left_bytes <= 0:
                        progress.skip("a job", "there is too much for today")
                        continue
                    progress.size_bytes += self._import_job(
                        archive, facts, visitor_id, left_bytes, progress, boards, own
                    )
                    progress.jobs += 1
        except (
            zipfile.BadZipFile,
            zipfile.LargeZipFile,
            NotImplementedError,
            struct.error,
            zlib.error,
            OSError,
        ) as exc:
            raise InputError("file", "format", "zip", str(exc)[:200]) from exc
        self._fill_boards(visitor_id, manifest.get("boards"), boards, progress)
        self._add_prompt_tools(visitor_id, manifest, progress)

    def _import_job(
        self,
        archive: zipfile.ZipFile,
        facts: Any,
        visitor_id: str,
        max_bytes: int,
        progress: ImportProgress,
        boards: dict[str, list[str]],
        own: set[str],
    ) -> int:
        """Import one job; returns how many bytes its files have."""
        try:
            job = self._job(facts, visitor_id)
        except (InputError, ValueError, TypeError, KeyError, OverflowError) as exc:
            progress.skip("a job", str(exc))
            return 0
        if facts["job"] in own or job.press_id in own:
            progress.known += 1
            return 0
        files = facts.get("files")
        items = files[:MAX_FILES_OF_JOB] if isinstance(files, list) else []
        outputs = self._import_files(archive, job, items, max_bytes, progress, boards)
        if job.state == "done" and not outputs:
            return 0
        self._ledger.add(job)
        own.add(str(job.press_id))
        if outputs:
            self._ledger.change(job.job_id, outputs=outputs)
        progress.images += len(outputs)
        return sum(output.size_bytes or 0 for output in outputs)

    def _import_files(
        self,
        archive: zipfile.ZipFile,
        job: Job,
        items: list[Any],
        max_bytes: int,
        progress: ImportProgress,
        boards: dict[str, list[str]],
    ) -> list[Output]:
        """Store the good files of a job, and note on which boards they are."""
        outputs: list[Output] = []
        size_bytes = 0
        for item in items:
            name = str(item.get("file"))[:300] if isinstance(item, dict) else ""
            if progress.images + len(outputs) >= MAX_FILES:
                progress.skip(name, "there are too many files")
                continue
            try:
                output = self._store(archive, job, len(outputs), item, max_bytes - size_bytes)
            except (
                ImageError,
                ValueError,
                TypeError,
                KeyError,
                RuntimeError,
                zipfile.BadZipFile,
                zlib.error,
                EOFError,
            ) as exc:
                progress.skip(name, str(exc) or type(exc).__name__)
                continue
            outputs.append(output)
            size_bytes += output.size_bytes or 0
            for board in item.get("boards") if isinstance(item.get("boards"), list) else []:
                boards.setdefault(str(board)[:60], []).append(output.file_key)
        return outputs

    def _job(self, facts: Any, visitor_id: str) -> Job:
        """A job as a manifest describes it; raises ValueError, TypeError, or InputError for what is none."""
        inputs, model_id, name = facts["inputs"], facts["model_id"], facts["job"]
        if not isinstance(inputs, dict) or not isinstance(model_id, str) or not isinstance(name, str):
            raise ValueError("its inputs, model, or id are not as exported")
        if facts["state"] not in _STATES or len(model_id) > 200:
            raise ValueError("its state or model is not as exported")
        limit_input_length(inputs)
        _refuse_unstorable(facts)
        now = self._clock()
        created_at = _moment(facts.get("created_at"), now)
        size = facts.get("size")
        return Job(
            job_id=new_id(),
            model_id=model_id,
            api_origin=IMPORT_ORIGIN,
            inputs=inputs,
            created_at=created_at,
            updated_at=now,
            visitor_id=visitor_id,
            press_id=_IMPORTED + hashlib.sha256(name.encode(errors="replace")).hexdigest()[:32],
            size=size if isinstance(size, str) and len(size) <= 60 else None,
            state=facts["state"],
            cost_usd=0.0,
            finished_at=max(created_at, _moment(facts.get("finished_at"), now)),
            archived_at=now if facts.get("archived") is True else None,
        )

    def _store(self, archive: zipfile.ZipFile, job: Job, index: int, item: Any, max_bytes: int) -> Output:
        """Store one file of a job; raises ImageError or ValueError for one that is not good."""
        entry = archive.getinfo(str(item["file"]))
        if entry.compress_type not in _METHODS or entry.flag_bits & 1 or entry.is_dir():
            raise ValueError("it is packed in a way that is not supported")
        self._media.prepare(job.job_id)
        with self._media.draft(job.job_id, index) as draft:
            with archive.open(entry) as source:
                size_bytes, sha256 = _copy(source, draft.file, min(MAX_FILE_BYTES, max_bytes))
            draft.file.seek(0)
            form = recognise(draft.file.read(4096))
            if form is None or form.kind not in ("image", "video"):
                raise ValueError("it is no image and no video")
            previews: Mapping[str, bytes] = {}
            width = height = colors = None
            if form.kind == "image":
                draft.file.flush()
                copies = self._decoder.make_copies(draft.file, form, TIERS[1:], is_background=True)
                width, height, previews, colors = copies
            draft.store(form.extension, previews, sha256)
        return replace(_output(index, form, item, self._clock()), width=width, height=height, colors=colors,
                       size_bytes=size_bytes, sha256=sha256)  # fmt: skip

    def _fill_boards(
        self, visitor_id: str, order: Any, boards: Mapping[str, list[str]], progress: ImportProgress
    ) -> None:
        """Make the boards in their order, also empty ones, and put the files on them."""
        known = {board.name: board for board in self._boards.of_visitor(visitor_id)}

        def fill(name: str) -> None:
            board = known.get(name) or self._boards.create(visitor_id, name)
            if file_keys := boards.get(name):
                self._boards.add(board, file_keys, visitor_id)

        names = [name for name in order if isinstance(name, str)] if isinstance(order, list) else []
        _add_good("a board", dict.fromkeys([*names[:MAX_BOARDS], *boards]), fill, progress)

    def _add_prompt_tools(self, visitor_id: str, manifest: Mapping[str, Any], progress: ImportProgress) -> None:
        """Add presets and wildcard lists whose names are not there yet, pinned prompts, and favorite models."""
        tools = self._prompts
        presets = {preset.name for preset in tools.presets(visitor_id)}
        lists = set(tools.wildcards(visitor_id))
        wildcards = manifest.get("wildcards")

        def add_preset(facts: Any) -> None:
            if facts["name"] not in presets:
                tools.put_preset(visitor_id, Preset(**facts), None)

        def add_list(item: tuple[str, Any]) -> None:
            if item[0] not in lists:
                tools.put_wildcards(visitor_id, item[0], "\n".join(item[1]), None)

        def add_model(model_id: Any) -> None:
            tools.set_favorite_model(visitor_id, str(model_id), True, None)

        def pin(prompt: Any) -> None:
            tools.pin(visitor_id, str(prompt), None)

        _add_good("a favorite model", _some(manifest.get("favorite_models"), MAX_FAVORITES), add_model, progress)
        _add_good("a pinned prompt", reversed(_some(manifest.get("pinned_prompts"), MAX_PROMPTS)), pin, progress)
        _add_good("a preset", _some(manifest.get("presets"), MAX_TOOLS["preset"]), add_preset, progress)
        items = list(wildcards.items()) if isinstance(wildcards, dict) else []
        _add_good("a wildcard list", _some(items, MAX_TOOLS["wildcard"]), add_list, progress)


class ImportTasks:
    """Runs imports, one for each visitor, and tells how far they have come.

    Whoever sends one slowly takes no place of those that run: the caller decides how many run once they have arrived.

    Args:
        importer: does the work.
    """

    def __init__(self, importer: HistoryImport) -> None:
        self._importer = importer
        self._progress: dict[str, ImportProgress] = {}
        self._strangers: dict[str, str] = {}

    def progress(self, visitor_id: str) -> ImportProgress | None:
        """How far a visitor's import has come, also after its end; None if there was none."""
        return self._progress.get(visitor_id)

    def begin(self, visitor_id: str, stranger_from: str | None = None) -> ImportProgress | None:
        """Note an import; None if the visitor has one already, or if there are too many of strangers.

        Args:
            stranger_from: a hash of the client's IP address, for somebody whom nobody knows.
        """
        pending = [key for key, progress in self._progress.items() if not progress.is_done]
        self._strangers = {key: client for key, client in self._strangers.items() if key in pending}
        if visitor_id in pending:
            return None
        if stranger_from is not None:
            clients = list(self._strangers.values())
            if len(clients) >= MAX_PENDING_OF_STRANGERS or clients.count(stranger_from) >= MAX_PENDING_OF_CLIENT:
                return None
            self._strangers[visitor_id] = stranger_from
        for key in [key for key in self._progress if key not in pending][: -MAX_REMEMBERED or None]:
            del self._progress[key]
        progress = self._progress[visitor_id] = ImportProgress()
        return progress

    def run(self, file: BinaryIO, visitor_id: str, max_bytes: int, *, is_all: bool = False) -> None:
        """Import a ZIP for a visitor who began, as `HistoryImport.run`; its end and its error stand in the progress."""
        progress = self._progress[visitor_id]
        is_stranger = visitor_id in self._strangers
        max_manifest_bytes = MAX_MANIFEST_BYTES_OF_STRANGERS if is_stranger else MAX_MANIFEST_BYTES
        try:
            self._importer.run(
                file, visitor_id, max_bytes, progress, max_manifest_bytes=max_manifest_bytes, is_all=is_all
            )
        except DreaminaError as exc:
            progress.error = exc.kind
            if isinstance(exc, DiskError):
                log.warning("An import ended: %s", exc)
        finally:
            progress.is_done = True


def _names_of(job: Job) -> Iterable[str]:
    """What an exported job has as its id if it is this one, or was imported as this one."""
    is_imported = job.press_id is not None and job.press_id.startswith(_IMPORTED)
    return (export_id(job), str(job.press_id)) if is_imported else (export_id(job),)


def _some(items: Any, most: int) -> list[Any]:
    """The first of a list; none of what is no list."""
    return items[:most] if isinstance(items, list) else []


def _add_good(what: str, items: Iterable[Any], add: Callable[[Any], None], progress: ImportProgress) -> None:
    """Add one after another; what is not good is counted as skipped."""
    for item in items:
        try:
            _refuse_unstorable(item)
            add(item)
        except (InputError, TypeError, KeyError, ValueError, AttributeError) as exc:
            progress.skip(what, str(exc))


def _refuse_unstorable(facts: Any) -> None:
    """Raises ValueError for lone surrogates and NUL in texts, which databases do not take."""
    if b"\\u0000" in json.dumps(facts, ensure_ascii=False).encode():
        raise ValueError("there is a NUL in its texts")


def _refuse_long_directory(file: BinaryIO) -> None:
    """Refuse a ZIP whose list of contents would take much memory; raises InputError, also for what is no ZIP."""
    size = file.seek(0, 2)
    file.seek(max(0, size - _TAIL_BYTES))
    tail = file.read(_TAIL_BYTES)
    start, start_64 = tail.rfind(_END), tail.rfind(_END_64)
    lengths = [struct.unpack_from("<L", tail, start + 12)[0]] if 0 <= start <= len(tail) - 22 else []
    if 0 <= start_64 <= len(tail) - 56:
        lengths.append(struct.unpack_from("<Q", tail, start_64 + 40)[0])
    known = [length for length in lengths if length != 0xFFFFFFFF]
    if not known:
        raise InputError("file", "format", "zip", "no end of a ZIP")
    if max(known) > MAX_DIRECTORY_BYTES:
        raise InputError("file", "maxItems", MAX_DIRECTORY_BYTES, max(known))


def _read_manifest(archive: zipfile.ZipFile, max_bytes: int) -> dict[str, Any]:
    """The manifest of an export, with a list of `jobs`; raises InputError for anything else."""
    try:
        entry = archive.getinfo("manifest.json")
        with archive.open(entry) as file:
            text = file.read(max_bytes + 1)
        if len(text) > max_bytes:
            raise InputError("file", "maxItems", max_bytes, len(text))
        # Those within texts, too: a packed list of millions of empty ones would take the server's memory.
        values = sum(map(text.count, (b",", b"[", b"{")))
        if values > max_bytes // BYTES_PER_MANIFEST_VALUE:
            raise InputError("file", "maxItems", max_bytes // BYTES_PER_MANIFEST_VALUE, values)
        manifest = json.loads(text)
        jobs = manifest["jobs"]
        if manifest["format"] != FORMAT or manifest["version"] > VERSION or not isinstance(jobs, list):
            raise ValueError("unknown format")
    except (KeyError, ValueError, TypeError, RecursionError, RuntimeError) as exc:
        raise InputError("file", "format", "history", str(exc)[:200]) from exc
    if len(jobs) > MAX_JOBS:
        raise InputError("file", "maxItems", MAX_JOBS, len(jobs))
    return dict(manifest)


def _copy(source: IO[bytes], target: BinaryIO, max_bytes: int) -> tuple[int, str]:
    """Copy a file and count what really comes, whatever its head says; raises ValueError for too much."""
    digest, size_bytes = hashlib.sha256(), 0
    while chunk := source.read(CHUNK_BYTES):
        size_bytes += len(chunk)
        if size_bytes > max_bytes:
            raise ValueError("it is too large")
        digest.update(chunk)
        target.write(chunk)
    return size_bytes, digest.hexdigest()


def _output(index: int, form: Format, item: Mapping[str, Any], now: float) -> Output:
    rating = item.get("rating")
    return Output(
        index=index,
        kind=form.kind,
        file_key=new_id(),
        state="kept",
        file_name=f"original.{form.extension}",
        media_type=form.media_type,
        format=form.name,
        favorite_at=now if item.get("favorite") is True else None,
        rating=rating if type(rating) is int and 1 <= rating <= 5 else None,
    )


def _moment(text: Any, now: float) -> float:
    """A time of the manifest in seconds since 1970; now for what is none, or not yet."""
    try:
        moment = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
    except (ValueError, OverflowError):
        return now
    return seconds if math.isfinite(seconds) and 0 <= seconds <= now else now
