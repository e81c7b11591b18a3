"""A bucket loses what rows have replaced or given up, after a day, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dreamina_ui.library.superseded import MIN_AGE_S, SupersededFiles
from dreamina_ui.media.bucket import Bucket
from dreamina_ui.media.input_thumbnails import BucketThumbnails
from dreamina_ui.media.object_store import ObjectStore
from tests.support.harness import png
from tests.support.library_rows import LibraryRows

CONTENT = png((8, 8))


@pytest.fixture
def rows(tmp_path: Path) -> Iterator[LibraryRows]:
    made = LibraryRows(tmp_path / "data")
    yield made
    made.ledger.close()


@pytest.fixture
def store(bucket: Bucket, tmp_path: Path) -> ObjectStore:
    return ObjectStore(bucket, tmp_path / "scratch")


def put(store: ObjectStore, job_id: str, index: int, content: bytes) -> None:
    with store.draft(job_id, index) as draft:
        draft.file.write(content)
        draft.store("png", {"preview": b"a preview"})


def swept(rows: LibraryRows, store: ObjectStore, after_s: float) -> int:
    thumbnails = BucketThumbnails(store.bucket, Path("nothing is fetched"))
    return SupersededFiles(rows.ledger, store, thumbnails, lambda: time.time() + after_s).remove()


def originals(store: ObjectStore) -> list[tuple[str, int, int]]:
    return sorted((item.job_id, item.index, item.stored.size_bytes) for item in store.objects() if "ori" in item.name)


def test_what_a_row_has_replaced_goes_after_a_day(rows: LibraryRows, store: ObjectStore) -> None:
    """Programs that were frozen store a file again; what is deleted must not come to life by it."""
    job = rows.add(files=[CONTENT, CONTENT])
    for index in range(2):
        put(store, job.job_id, index, CONTENT)
        put(store, job.job_id, index, b"by a late program")
    rows.ledger.change(job.job_id, outputs=[replace(job.outputs[1], state="deleted", note="person")])
    assert swept(rows, store, MIN_AGE_S - 60) == 0
    assert swept(rows, store, MIN_AGE_S + 60) == 6
    assert originals(store) == [(job.job_id, 0, len(CONTENT))]
    assert swept(rows, store, MIN_AGE_S + 60) == 0


def test_files_of_jobs_that_no_row_knows_stay(rows: LibraryRows, store: ObjectStore) -> None:
    """A ledger that was lost, or the wrong one, must not cost every image in the bucket."""
    put(store, "f" * 32, 0, CONTENT)
    assert swept(rows, store, 10 * MIN_AGE_S) == 0
    assert originals(store) == [("f" * 32, 0, len(CONTENT))]


@pytest.mark.parametrize("state", ["saving", "failed"])
def test_files_that_a_person_may_still_get_stay(rows: LibraryRows, store: ObjectStore, state: str) -> None:
    """They are paid for: a job may be fetched again for weeks, and a damaged file may be half of something."""
    job = rows.add(files=[CONTENT], state=state)
    rows.ledger.change(job.job_id, outputs=[replace(job.outputs[0], state="damaged")])
    put(store, job.job_id, 0, CONTENT)
    with store.draft(job.job_id, 0) as draft:
        draft.file.write(b"half")
        draft.set_aside("png")
    assert swept(rows, store, 10 * MIN_AGE_S) == 0
