"""Every row against the list of a bucket: what is missing, changed, or there without a row."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator

from dreamina_ui.cli.data_dir_reader import Records
from dreamina_ui.cli.verify import SETTLE_S, Finding, Report, miscounted
from dreamina_ui.errors import JobNotFoundError
from dreamina_ui.ledger.job import Job, Output
from dreamina_ui.library.superseded import is_superseded
from dreamina_ui.media.bucket import BucketError
from dreamina_ui.media.object_store import ObjectStore, OutputObject
from dreamina_ui.media.store import TIERS


def verify_bucket(
    records: Records, store: ObjectStore, *, quick: bool = False, pause: Callable[[float], object] = time.sleep
) -> Report:
    """Compare every row with the list of all files; `verify.verify` says what it gives.

    Args:
        quick: compare sizes only; else every original is fetched and its SHA-256 compared.
        pause: called with the seconds between the two checks, if there is anything to check again.

    Raises:
        LedgerError: the ledger could not be read.
        StorageError, BucketError: the bucket refuses, or cannot be reached.
    """
    listed: dict[str, list[OutputObject]] = {}
    for item in store.objects():
        listed.setdefault(item.job_id, []).append(item)
    suspects: list[str] = []
    jobs = files = size_bytes = 0
    for job in records.ledger.every_job():
        jobs += 1
        stored = [output for output in job.outputs if output.state == "kept"]
        files += len(stored)
        size_bytes += sum(output.size_bytes or 0 for output in stored)
        if any(_flaws(store, job, listed.pop(job.job_id, []), quick)):
            suspects.append(job.job_id)
    suspects += listed  # files without a row
    if suspects:
        pause(SETTLE_S)
    findings = [finding for job_id in suspects for finding in _check_again(records, store, job_id, quick)]
    return Report(jobs, files, size_bytes, (*findings, *miscounted(records)))


def _check_again(records: Records, store: ObjectStore, job_id: str, quick: bool) -> Iterator[Finding]:
    items = list(store.objects(job_id))
    try:
        job = records.ledger.job(job_id)
    except JobNotFoundError:
        for item in items:
            yield Finding("orphaned", _location(store, item), "no row of the ledger names it")
        return
    yield from _flaws(store, job, items, quick)


def _flaws(store: ObjectStore, job: Job, items: Iterable[OutputObject], quick: bool) -> Iterator[Finding]:
    there = {}
    for item in items:
        there[item.index, item.sha256, item.name] = item.stored.size_bytes
        if is_superseded(item, job):
            yield Finding("leftover", _location(store, item), "the server removes it after a day")
    for output in job.outputs:
        for name in _expected(output) if output.state == "kept" else ():
            location = store.location(job.job_id, output.index, output.sha256, name)
            size_bytes = there.get((output.index, output.sha256, name))
            if size_bytes is None:
                yield Finding("missing", location)
            elif name == output.file_name:
                yield from _original_flaws(store, job, output, size_bytes, location, quick)


def _original_flaws(
    store: ObjectStore, job: Job, output: Output, size_bytes: int, location: str, quick: bool
) -> Iterator[Finding]:
    if size_bytes != output.size_bytes:
        yield Finding("changed", location, f"{size_bytes} bytes instead of {output.size_bytes}")
    elif not quick:
        digest = hashlib.sha256()
        try:
            original = store.find(job.job_id, output.index, "original", output.sha256)
            for chunk in original.read() if original else ():
                digest.update(chunk)
        except BucketError:
            raise
        except FileNotFoundError:
            original = None
        if original is None:
            yield Finding("missing", location)
        elif digest.hexdigest() != output.sha256:
            yield Finding("changed", location, "another SHA-256")


def _expected(output: Output) -> Iterable[str]:
    previews = [f"{tier}.webp" for tier in TIERS[2:]] if output.kind == "image" else []
    return [output.file_name or "original", *previews]


def _location(store: ObjectStore, item: OutputObject) -> str:
    return f"{store.bucket.name}/{item.stored.key}"
