"""Automatic deletion: only by the limit of the owner, oldest first, and it is logged."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from dreamina_ui.errors import DiskError
from dreamina_ui.ledger.job import Job
from dreamina_ui.library.library import UNDO_S
from dreamina_ui.library.retention import Retention
from tests.support.library_rows import NOON, LibraryRows, ManualClock

DAY_S = 86_400.0
Tidy = Callable[..., int]


@pytest.fixture
def tidy(rows: LibraryRows, clock: ManualClock) -> Tidy:
    """One round with the owner's limits; gives how many files went."""

    def once(**limits: Any) -> int:
        return Retention(rows.library, clock=clock, **limits).tidy()

    return once


def add_each(rows: LibraryRows, *prompts: str, **fields: Any) -> list[Job]:
    """One job with 100 bytes for each prompt, a day apart, the last one now."""
    start = rows.clock() - (len(prompts) - 1) * DAY_S
    return [
        rows.add(prompt, files=[bytes(100)], created_at=start + index * DAY_S, **fields)
        for index, prompt in enumerate(prompts)
    ]


def test_without_a_limit_nothing_ever_goes(rows: LibraryRows, clock: ManualClock, tidy: Tidy) -> None:
    """Pictures that were paid for stay, unless the owner says otherwise."""
    add_each(rows, "a", "b", "c")
    clock.now += 10_000 * DAY_S
    assert tidy() == 0
    assert rows.prompts() == ["c", "b", "a"]
    assert rows.files().count("original.png") == 3


def test_above_the_bytes_the_oldest_go_first(rows: LibraryRows, tidy: Tidy) -> None:
    """The disk does not fill up, and no more goes than must."""
    add_each(rows, "a", "b", "c", "d")
    assert tidy(max_bytes=400) == 0
    assert tidy(max_bytes=250) == 2
    assert rows.prompts() == ["d", "c"]
    assert rows.files().count("original.png") == 2
    assert tidy(max_bytes=250) == 0


def test_a_large_surplus_goes_in_one_round(rows: LibraryRows, tidy: Tidy) -> None:
    """An owner who sets a limit late does not wait for days."""
    rows.add(files=[bytes(10)] * 130)
    rows.add("newest", files=[bytes(10)], created_at=NOON + 1)
    assert tidy(max_bytes=10) == 130
    assert rows.prompts() == ["newest"]


def test_after_the_days_the_old_go(rows: LibraryRows, clock: ManualClock, tidy: Tidy) -> None:
    """A limit of days is one of days, to the hour."""
    add_each(rows, "a", "b", "c")
    assert tidy(keep_days=2.01) == 0
    clock.now += 0.02 * DAY_S
    assert tidy(keep_days=2.01) == 1
    assert rows.prompts() == ["c", "b"]


def test_favourites_go_last_and_never_by_age(rows: LibraryRows, clock: ManualClock, tidy: Tidy) -> None:
    """A mark of love is worth a place, as long as there is any."""
    jobs = add_each(rows, "a", "b", "c", "d")
    for job, moment in ((jobs[0], NOON + 2), (jobs[2], NOON + 1)):
        rows.library.mark([job.outputs[0].file_key], favorite_at=moment)
    assert tidy(max_bytes=300) == 1
    assert rows.prompts() == ["d", "c", "a"]
    clock.now += 1000 * DAY_S
    assert tidy(keep_days=1) == 1
    assert rows.prompts() == ["c", "a"]
    assert tidy(max_bytes=150) == 1
    assert rows.prompts() == ["c"]


@pytest.mark.parametrize("state", ["queued", "running", "saving"])
def test_an_unfinished_job_is_left_alone(rows: LibraryRows, clock: ManualClock, tidy: Tidy, state: str) -> None:
    """Files that are just coming in are not swept away under the worker's hands."""
    add_each(rows, "going on", state=state)
    add_each(rows, "at rest")
    clock.now += 5 * DAY_S
    assert tidy(keep_days=1, max_bytes=1) == 1
    assert rows.prompts() == ["going on"]
    assert rows.files() == ["original.png", "preview.webp", "thumbnail.webp"]


def test_what_is_deleted_is_logged_and_noted(rows: LibraryRows, tidy: Tidy, caplog: pytest.LogCaptureFixture) -> None:
    """Who misses a picture learns that a limit took it, and the ledger still knows what it was."""
    jobs = add_each(rows, "a", "b", "c")
    with caplog.at_level(logging.WARNING, "dreamina_ui"):
        assert tidy(max_bytes=100) == 2
    assert "Removed 2 files" in caplog.text
    usage = rows.library.usage()
    assert (usage.files, usage.size_bytes, usage.removed_by_limit) == (1, 100, 2)
    gone = rows.ledger.job(jobs[0].job_id).outputs[0]
    assert (gone.state, gone.note, gone.sha256) == ("deleted", "limit", jobs[0].outputs[0].sha256)


def test_what_a_person_deleted_does_not_count_as_surplus(rows: LibraryRows, clock: ManualClock, tidy: Tidy) -> None:
    """A deletion can be undone under a limit too, and the limit is reached by the files that are shown."""
    deleted, oldest, _ = add_each(rows, "deleted", "oldest", "newest")
    rows.library.mark([deleted.outputs[0].file_key], deleted_at=clock())
    assert tidy(max_bytes=100, keep_days=1.5) == 1
    assert rows.ledger.job(oldest.job_id).outputs[0].note == "limit"
    assert rows.prompts() == ["newest"]
    assert rows.library.mark([deleted.outputs[0].file_key], deleted_at=None) == 1
    assert rows.prompts() == ["newest", "deleted"]


def test_a_disk_that_refuses_leaves_the_row_as_it_was(rows: LibraryRows, clock: ManualClock, tidy: Tidy) -> None:
    """Nothing is called deleted that is still there; the next round tries again."""
    job = rows.add()
    folder = rows.folder_of(job, job.outputs[0])
    aside = folder.with_name("aside")
    folder.rename(aside)
    folder.write_bytes(b"no folder")
    rows.library.mark([job.outputs[0].file_key], deleted_at=clock())
    clock.now += UNDO_S + 1
    with pytest.raises(DiskError):
        tidy()
    assert rows.ledger.job(job.job_id).outputs[0].state == "kept"
    folder.unlink()
    aside.rename(folder)
    assert tidy() == 1


def test_it_tidies_by_itself_once_started(rows: LibraryRows, clock: ManualClock) -> None:
    """Nobody has to remember it."""
    job = add_each(rows, "a", "b")[0]
    went = threading.Event()
    rows.ledger.changes.subscribe(job.job_id, lambda _: went.set())
    housekeeping = Retention(rows.library, max_bytes=100, clock=clock)
    housekeeping.start()
    assert went.wait(10)
    housekeeping.stop()
    assert rows.prompts() == ["b"]
