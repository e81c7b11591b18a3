"""The library's promises: everything once, newest first; a search means what it says; a deletion can be undone."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dreamina_ui.errors import InputError
from dreamina_ui.ledger.job import Job, new_id
from dreamina_ui.ledger.tables import batch_items, batches
from dreamina_ui.library.library import UNDO_S, Entry, Library, LibraryFilter, Usage
from dreamina_ui.library.retention import Retention
from tests.support.harness import Harness, ScriptedApi, png
from tests.support.library_rows import NOON, LibraryRows, ManualClock, add_rows, make_job, read_all_pages, stored_output

RELAXED = settings(
    deadline=None, derandomize=True, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def library(rows: LibraryRows) -> Library:
    return rows.library


# --- pages


def tiles(entries: list[Entry]) -> list[tuple[str, int | None]]:
    return [(entry.job.job_id, entry.output.index if entry.output else None) for entry in entries]


MADE = st.tuples(st.integers(0, 4), st.integers(0, 3))
"""When a job was made, often at the same moment as others, and how many files it has."""


@RELAXED
@given(
    before=st.lists(MADE, max_size=25),
    arriving=st.lists(st.lists(MADE, max_size=3), max_size=8),
    limit=st.integers(1, 7),
)
@example(before=[(0, 3)] * 25, arriving=[[(0, 2), (4, 0)]] * 5, limit=2)
def test_every_page_begins_where_the_last_one_ended(
    rows: LibraryRows, before: list[tuple[int, int]], arriving: list[list[tuple[int, int]]], limit: int
) -> None:
    """Who walks through ten thousand pictures sees each one once, also while others press Generate."""
    visitor = new_id()

    def write(made: list[tuple[int, int]], start: float) -> list[Job]:
        matches = [
            make_job(
                visitor_id=visitor,
                created_at=start + moment / 3,  # a third has no exact end, neither binary nor decimal
                state="done" if files else "failed",
                outputs=tuple(stored_output(index, b"") for index in range(files)),
            )
            for moment, files in made
        ]
        if matches:
            add_rows(rows.ledger, matches)
        return matches

    mine = write(before, NOON)
    news = iter(arriving)
    seen = tiles(
        read_all_pages(
            rows.library, LibraryFilter(visitor_id=visitor), limit, lambda: write(next(news, []), NOON + 4 / 3)
        )
    )
    ordered = sorted(mine, key=lambda job: (job.created_at, job.job_id), reverse=True)
    wanted = [(job.job_id, index) for job in ordered for index in (range(len(job.outputs)) if job.outputs else (None,))]
    known = {job.job_id for job in mine}
    assert [tile for tile in seen if tile[0] in known] == wanted
    assert len(set(seen)) == len(seen)


def test_files_that_come_between_two_pages_are_not_passed_over(rows: LibraryRows, library: Library) -> None:
    """A job that was running on one page may be done on the next: its pictures belong to the walk."""
    job = rows.add("running", files=0, state="running")
    page = library.page(LibraryFilter(), limit=1)
    assert tiles(page) == [(job.job_id, None)]
    for index in range(3):
        rows.ledger.change(job.job_id, outputs=[stored_output(index, b"")])
    assert tiles(walk_on(library, page)) == [(job.job_id, index) for index in range(3)]


def walk_on(library: Library, page: list[Entry]) -> list[Entry]:
    return library.page(LibraryFilter(), page[-1].cursor)


def test_the_whole_library_can_be_walked_at_once(rows: LibraryRows, library: Library) -> None:
    """The ZIP of everything holds everything."""
    jobs = [
        make_job(created_at=NOON + number // 7, outputs=(stored_output(0, b""), stored_output(1, b"")))
        for number in range(700)
    ]
    random.Random(1).shuffle(jobs)
    add_rows(rows.ledger, jobs)
    assert len(set(tiles(list(library.entries(LibraryFilter()))))) == 1400


def test_the_count_is_that_of_what_is_shown(rows: LibraryRows, library: Library) -> None:
    """Three results are not called 56."""
    rows.add("a red fox", files=3)
    rows.add("a red hen", files=0, state="failed")
    rows.add("a whale", files=2)
    assert [library.count(LibraryFilter(text=text)) for text in ("red", "whale", "owl", "")] == [4, 2, 0, 6]


@pytest.mark.parametrize(
    "after",
    ["x", "~", "~~", "1.0~abc", "1.0~abc~x", "nan~abc~0", "inf~abc~0", "-inf~abc~0", "1.0~abc~0~0", "' OR 1=1 --",
     f"1.0~abc~{2**63}", f"1.0~abc~{'9' * 5000}", "1e999~abc~0", "1.0~\ud800~0", "\0", "１~a~-7"],
)  # fmt: skip
def test_a_place_that_is_none_is_refused(library: Library, after: str) -> None:
    """A broken link says so, instead of showing an empty library."""
    with pytest.raises(InputError) as refused:
        library.page(LibraryFilter(), after)
    assert refused.value.field == "after"


# --- search and filters


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("A Red Fox in the Snow", "red"),
        ("A Red Fox in the Snow", "SNOW fox"),
        ("A Red Fox in the Snow", "  fo \t no\n"),
        ("Straße am Fluß", "STRASSE FLUSS"),
        ("ÉCLAIR au café", "éclair CAFÉ"),
        ("ΟΔΥΣΣΕΥΣ", "οδυσσευς"),
        ("雪の中の狐🦊", "狐🦊"),
        ("100% wool_y 'quoted' \"twice\"", "100%"),
        ("100% wool_y 'quoted' \"twice\"", "wool_y"),
        ("100% wool_y 'quoted' \"twice\"", "'quoted' \"twice\""),
        ("a\\b /c", "a\\b /c"),
        ("line one\nline two", "one two"),
    ],
)
def test_all_words_are_found_in_any_case(rows: LibraryRows, prompt: str, text: str) -> None:
    """People remember words, not their spelling."""
    rows.add(prompt)
    rows.add("something else")
    assert rows.prompts(text=text) == [prompt]


@pytest.mark.parametrize("text", ["%", "_", "a%b", "red_fox", "'", '"', "\\", "/", "red wolf", "foxy", "[a-z]", "*"])
def test_signs_are_only_signs(rows: LibraryRows, text: str) -> None:
    """`100%` is a text that people write; it is no pattern, and no piece of SQL."""
    rows.add("a red fox")
    assert rows.prompts(text=text) == []


@RELAXED
@given(prompt=st.text(max_size=30), data=st.data())
def test_any_piece_of_any_prompt_finds_it(rows: LibraryRows, prompt: str, data: st.DataObject) -> None:
    """Whatever was written can be looked for by what was written."""
    visitor = new_id()
    words = prompt.casefold().split()
    wanted = data.draw(st.lists(st.sampled_from(words), max_size=4)) if words else []
    job = make_job(prompt, visitor_id=visitor, outputs=(stored_output(0, b""),))
    add_rows(rows.ledger, [job])
    shown = LibraryFilter(visitor_id=visitor, text=" ".join(wanted))
    assert [entry.job.job_id for entry in rows.library.page(shown)] == [job.job_id]


@pytest.mark.parametrize(
    ("shown", "wanted"),
    [
        ({}, ["running", "unclear", "failed", "large", "favourite", "old"]),
        ({"state": "failed"}, ["failed"]),
        ({"state": "submit_unclear"}, ["unclear"]),
        ({"state": "no such state"}, []),
        ({"size": "2048x2048(1:1)"}, ["large"]),
        ({"favorites": True}, ["favourite"]),
        ({"since": NOON + 1}, ["running", "unclear", "failed", "large", "favourite"]),
        ({"until": NOON + 1}, ["old"]),
        ({"since": NOON + 1, "until": NOON + 3}, ["large", "favourite"]),
        ({"archive": True}, ["aside"]),
        ({"archive": True, "text": "old"}, []),
        ({"visitor_id": "w"}, ["large"]),
        ({"visitor_id": "nobody"}, []),
        ({"text": "a", "state": "done", "since": NOON + 2}, ["large"]),
    ],
)
def test_each_filter_shows_what_it_names(rows: LibraryRows, shown: dict[str, Any], wanted: list[str]) -> None:
    """A filter that hides a paid picture loses it."""
    rows.add("old", created_at=NOON)
    favorite = rows.add("favourite", files=2, created_at=NOON + 1)
    rows.add("large", created_at=NOON + 2, size="2048x2048(1:1)", visitor_id="w")
    rows.add("failed", created_at=NOON + 3, state="failed", files=0)
    rows.add("unclear", created_at=NOON + 4, state="submit_unclear", files=0)
    rows.add("running", created_at=NOON + 5, state="running", files=0)
    rows.add("aside", created_at=NOON + 6, state="failed", files=0, archived_at=NOON + 7)
    rows.library.mark([favorite.outputs[1].file_key], favorite_at=NOON)
    assert rows.prompts(**shown) == wanted


def test_only_the_favourite_of_a_job_is_shown_as_one(rows: LibraryRows, library: Library) -> None:
    """The mark belongs to a picture, not to all of its job."""
    job = rows.add(files=3)
    assert library.mark([job.outputs[1].file_key], favorite_at=5.0) == 1
    assert tiles(rows.entries(favorites=True)) == [(job.job_id, 1)]
    assert len(rows.entries()) == 3
    assert library.mark([job.outputs[1].file_key], favorite_at=None) == 1
    assert rows.entries(favorites=True) == []


def test_nobody_marks_what_is_not_theirs(rows: LibraryRows, library: Library) -> None:
    """A shared link does not let one visitor delete another's pictures."""
    key = rows.add(visitor_id="v").outputs[0].file_key
    assert library.mark([key, "no such key"], "w", deleted_at=NOON) == 0
    assert len(rows.entries()) == 1
    assert library.mark([key, key], "v", deleted_at=NOON) == 1
    assert rows.entries() == []


def test_each_part_of_the_library_has_what_belongs_there(
    rows: LibraryRows, clock: ManualClock, library: Library
) -> None:
    """What is deleted, archived or made by a batch is found where one looks for it."""
    rows.add("plain", created_at=NOON)
    rows.add("other model", model_id="other", created_at=NOON + 1)
    rows.add("archived", archived_at=NOON, created_at=NOON + 2)
    batch, deleted = rows.add("batch", created_at=NOON + 3), rows.add("deleted", files=2, created_at=NOON + 4)
    item = {"batch_id": "b", "position": 0, "inputs": "{}", "state": "sent", "job_id": batch.job_id}
    facts = {"batch_id": "b", "visitor_id": "v", "model_id": "m", "api_origin": "o", "state": "done"}
    with rows.ledger.writing() as transaction:
        transaction.connection.execute(batches.insert(), [facts | {"created_at": NOON, "changed_at": NOON}])
        transaction.connection.execute(batch_items.insert(), [item])
    library.mark([deleted.outputs[0].file_key], deleted_at=clock())
    assert rows.prompts() == ["deleted", "batch", "other model", "plain"]
    assert rows.prompts(oldest_first=True) == ["plain", "other model", "batch", "deleted"]
    assert rows.prompts(batches=True) == ["batch"]
    assert rows.prompts(model_id="other") == ["other model"]
    assert rows.prompts(archive=True) == ["archived"]
    assert tiles(rows.entries(trash=True)) == [(deleted.job_id, 0)]
    clock.now += UNDO_S + 1
    Retention(library, clock=clock).tidy()
    assert rows.entries(trash=True) == []


# --- deletion


def test_a_deletion_can_be_undone_for_a_while(rows: LibraryRows, clock: ManualClock, library: Library) -> None:
    """A slip of the finger costs nothing."""
    job = rows.add(files=2)
    key = job.outputs[0].file_key
    library.mark([key], "v", deleted_at=clock())
    assert tiles(rows.entries()) == [(job.job_id, 1)]
    clock.now += UNDO_S - 1
    assert Retention(library, clock=clock).tidy() == 0
    assert library.mark([key], "v", deleted_at=None) == 1
    clock.now += UNDO_S * 2
    assert Retention(library, clock=clock).tidy() == 0
    assert rows.ledger.job(job.job_id).outputs == job.outputs
    assert len(rows.entries()) == 2
    assert rows.files().count("original.png") == 2


def test_a_deleted_picture_is_gone_later_and_its_row_says_so(
    rows: LibraryRows, clock: ManualClock, library: Library
) -> None:
    """Deleted means gone from the disk; what it was and its cost are still known."""
    job = rows.add(files=2, cost_usd=0.06, request_id="r-1")
    library.mark([job.outputs[0].file_key], "v", deleted_at=clock())
    clock.now += UNDO_S + 1
    housekeeping = Retention(library, clock=clock)
    assert (housekeeping.tidy(), housekeeping.tidy()) == (1, 0)
    assert not rows.folder_of(job, job.outputs[0]).exists()
    assert rows.files() == ["original.png", "preview.webp", "thumbnail.webp"]
    after = rows.ledger.job(job.job_id)
    gone = replace(job.outputs[0], state="deleted", note="person", deleted_at=NOON)
    assert after == replace(job, outputs=(gone, job.outputs[1]), version=after.version, updated_at=after.updated_at)
    assert library.mark([gone.file_key], deleted_at=None) == 0, "what is gone cannot be brought back"
    assert tiles(rows.entries()) == [(job.job_id, 1)]


def test_a_job_whose_pictures_are_all_deleted_leaves_the_wall(rows: LibraryRows, library: Library) -> None:
    """An empty frame is nothing to look at; a failure still is."""
    done, failed = rows.add("done"), rows.add("failed", state="failed", request_id="r")
    library.mark([done.outputs[0].file_key, failed.outputs[0].file_key], deleted_at=NOON)
    assert tiles(rows.entries()) == [(failed.job_id, None)]


def test_a_deleted_picture_is_hidden_from_programs(harness: Harness, service: ScriptedApi) -> None:
    """The page and `/job` agree about what is there; and it is not fetched again behind one's back."""
    service.status("completed")
    gone = service.file("gone.png")
    service.result({"status": "completed", "output": {"images": [service.picture("a.png"), gone]}})
    harness.start()
    job = harness.wait_in_vain(harness.generate().job_id)
    assert (job.state, [output.state for output in job.outputs]) == ("failed", ["kept", "damaged"])
    library = Library(harness.ledger, harness.media)
    library.mark([job.outputs[0].file_key], deleted_at=harness.clock())
    assert harness.presenter.to_object(harness.reader.job(job.job_id), "")["images"] == []
    harness.clock.advance(UNDO_S + 1)
    assert Retention(library, clock=harness.clock).tidy() == 1
    service.picture("gone.png")
    asked = len(service.server.requests_for("GET", "/files/a.png"))
    harness.jobs.fetch_again(job.job_id)
    job = harness.wait(job.job_id, "done")
    assert [output.state for output in job.outputs] == ["deleted", "kept"]
    assert [image["index"] for image in harness.presenter.to_object(job, "")["images"]] == [1]
    assert len(service.server.requests_for("GET", "/files/a.png")) == asked
    assert harness.media.path(job.job_id, 0, "original") is None


def test_a_picture_deleted_a_moment_ago_is_not_fetched_again_either(harness: Harness, service: ScriptedApi) -> None:
    """While an undo is possible, the file is still there and stays the one it was."""
    service.status("completed")
    service.result({"output": {"images": [service.picture("a.png"), service.file("gone.png")]}})
    harness.start()
    job = harness.wait_in_vain(harness.generate().job_id)
    Library(harness.ledger, harness.media).mark([job.outputs[0].file_key], deleted_at=harness.clock())
    service.picture("gone.png")
    harness.jobs.fetch_again(job.job_id)
    job = harness.wait(job.job_id, "done")
    assert [(output.state, output.deleted_at is None) for output in job.outputs] == [("kept", False), ("kept", True)]


# --- usage, and a picture's own job


def test_usage_counts_what_is_stored(rows: LibraryRows, clock: ManualClock, library: Library) -> None:
    """The owner's disk fills up by these bytes."""
    mine = rows.add(files=[b"123", b"4567"], visitor_id="v")
    rows.add(files=[b"89"], visitor_id="w")
    rows.add(files=0, state="failed")
    assert library.usage() == Usage(files=3, size_bytes=9, removed_by_limit=0)
    assert library.usage("v") == Usage(files=2, size_bytes=7, removed_by_limit=0)
    assert library.usage("nobody") == Usage(files=0, size_bytes=0, removed_by_limit=0)
    library.mark([mine.outputs[0].file_key], deleted_at=clock())
    assert library.usage() == Usage(files=2, size_bytes=6, removed_by_limit=0)
    clock.now += UNDO_S + 1
    Retention(library, clock=clock).tidy()
    assert library.usage() == Usage(files=2, size_bytes=6, removed_by_limit=0)


def test_a_picture_names_its_newest_job(rows: LibraryRows, library: Library) -> None:
    """The settings come back from the file alone, also when it is deleted here."""
    old = rows.add("old", files=[png()], created_at=NOON)
    new = rows.add("new", files=[b"other", png(), png()], created_at=NOON + 1)
    sha256 = str(old.outputs[0].sha256)
    assert found_id(library, sha256) == new.job_id
    assert found_id(library, "0" * 64) is None
    assert found_id(library, sha256, "w") is None
    for output in new.outputs:
        library.remove(new, output, "person")
    assert found_id(library, sha256, "v") == new.job_id


def found_id(library: Library, sha256: str, visitor_id: str | None = None) -> str | None:
    matches = library.by_sha256(sha256, visitor_id)
    return matches.job_id if matches else None
