"""Every row against every file: what is missing, changed, or there without a row.

The server keeps running meanwhile. So whatever looks wrong is checked again a moment later, against its row as it is
then, and is reported only if it still looks wrong.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from dreamina_ui.cli.data_dir_reader import LEDGER_NAME, Records
from dreamina_ui.errors import JobNotFoundError
from dreamina_ui.jobs.saving import NOT_STORED
from dreamina_ui.ledger.budget_rows import ALL_DAYS, DAY_S
from dreamina_ui.ledger.job import Job, Output

SETTLE_S = 0.5
"""A file is removed just before its row says so, and a job's folder is made just before its row."""

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be.

    Attributes:
        path: of the file; a URL if it is in a bucket.
        kind: `missing`, `changed`, `unreadable`, `orphaned` (no row names it), `leftover` (half-made by a crash; the
            server removes it at its next start), or `miscounted` (a counter or a total is not what the rows say).
        detail: what more there is to know, or "".
    """

    kind: str
    path: Path | str
    detail: str = ""


@dataclass(frozen=True)
class Report:
    """What was looked at, how many bytes the rows say the originals have, and what was found."""

    jobs: int
    files: int
    size_bytes: int
    findings: tuple[Finding, ...]


def verify(records: Records, *, quick: bool = False, pause: Callable[[float], object] = time.sleep) -> Report:
    """Look at every row and every file.

    Args:
        quick: compare sizes only; else every original is read and its SHA-256 compared.
        pause: called with the seconds between the two looks, if there is anything to look at again.

    Raises:
        LedgerError: the ledger could not be read.
    """
    known: set[str] = set()
    suspects: list[str] = []
    files = size_bytes = 0
    for job in records.ledger.every_job():
        known.add(job.job_id)
        stored = [output for output in job.outputs if output.state == "kept"]
        files += len(stored)
        size_bytes += sum(output.size_bytes or 0 for output in stored)
        if _check(records, job, quick):
            suspects.append(job.job_id)
    findings: list[Finding] = []
    strange = _strangers(records, known)
    if suspects or strange:
        pause(SETTLE_S)
        for job_id in suspects:
            findings += _check(records, records.ledger.job(job_id), quick)
        for path in strange:
            findings += _check_unknown_file(records, path, quick)
    findings += miscounted(records)
    return Report(len(known), files, size_bytes, tuple(findings))


def miscounted(records: Records) -> list[Finding]:
    """Each counter of a budget, and each total, that is not what the rows say."""
    ledger = records.ledger
    path = records.folder / LEDGER_NAME if records.ledger_name == LEDGER_NAME else records.ledger_name
    budgets = [
        f"{' '.join(filter(None, difference.budget))}, {_day_text(difference.day)}: "
        f"{difference.stored} instead of {difference.counted}"
        for difference in ledger.find_budget_differences()
    ]
    return [Finding("miscounted", path, detail) for detail in (*budgets, *ledger.find_total_differences())]


def _day_text(day: int) -> str:
    return "all days" if day == ALL_DAYS else f"{datetime.fromtimestamp(day * DAY_S, timezone.utc):%Y-%m-%d}"


def _check(records: Records, job: Job, quick: bool) -> list[Finding]:
    try:
        return list(_flaws(records, job, quick))
    except OSError as exc:
        return [_unreadable(exc, records.store.job_folder(job.job_id))]


def _flaws(records: Records, job: Job, quick: bool) -> Iterator[Finding]:
    expected: list[Path] = []
    for output in job.outputs:
        if output.state == "kept":
            original, *small = records.files(job, output)
            expected += [original, *small]
            if output.kind == "image":
                expected.append(records.store.large_path(job.job_id, output.index))
            yield from _original_flaws(original, output, quick)
            yield from (Finding("missing", path) for path in small if not path.is_file())
    if job.is_settled:  # in other states, files come and go
        yield from _extras(records.store.job_folder(job.job_id), job, set(expected))


def _original_flaws(path: Path, output: Output, quick: bool) -> Iterator[Finding]:
    if not path.is_file():
        yield Finding("missing", path)
        return
    size_bytes = path.stat().st_size
    if size_bytes != output.size_bytes:
        yield Finding("changed", path, f"{size_bytes} bytes instead of {output.size_bytes}")
    elif not quick and _sha256(path) != output.sha256:
        yield Finding("changed", path, "another SHA-256")


def _extras(folder: Path, job: Job, expected: set[Path]) -> Iterator[Finding]:
    folders = {path.parent for path in expected}
    aside = {f"{output.index}.damaged" for output in job.outputs if output.state in NOT_STORED}
    for child in _children(folder):
        if child in folders:
            yield from (Finding("orphaned", path) for path in _children(child) if path not in expected)
        elif child.name not in aside:
            yield Finding("leftover" if ".partial-" in child.name else "orphaned", child)


def _strangers(records: Records, known: set[str]) -> list[Path]:
    """What is in the folder of all media and is not the folder of a known job."""
    result = []
    for shard in _children(records.store.folder):
        if len(shard.name) != 2 or not shard.is_dir():
            result.append(shard)
            continue
        try:
            within = _children(shard)
        except OSError:
            within = [shard]  # the second look tells why
        result += [path for path in within if path.name not in known or path != records.store.job_folder(path.name)]
    return result


def _check_unknown_file(records: Records, path: Path, quick: bool) -> list[Finding]:
    with contextlib.suppress(JobNotFoundError):
        job = records.ledger.job(path.name)
        if records.store.job_folder(job.job_id) == path:
            return _check(records, job, quick)
    if not os.path.lexists(path):
        return []
    try:
        is_empty = path.is_dir() and not _children(path)
    except OSError as exc:
        return [_unreadable(exc, path)]
    return [Finding("leftover" if is_empty else "orphaned", path, "no row of the ledger names it")]


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _unreadable(exc: OSError, folder: Path) -> Finding:
    path = Path(exc.filename) if isinstance(exc.filename, str) else folder
    return Finding("unreadable", path, exc.strerror or type(exc).__name__)
