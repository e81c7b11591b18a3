"""A disk or a ledger that refuses: found before money is spent, and later no reason to lose what is paid for."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from PIL import Image

from dreamina_ui.errors import DiskError, LedgerError, SettingsError
from dreamina_ui.jobs import submitter
from dreamina_ui.ledger.job import Job
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ops.data_dir import DataDir
from tests.support.bad_server import ScriptedResponse, json_response
from tests.support.full_disk import SmallDisk, read_only
from tests.support.harness import Harness, ScriptedApi, png

LARGE_BYTES = 2 * 1024**2


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """The data folder of `harness`, on a disk of its own; name it before `harness`."""
    made = SmallDisk(tmp_path / "data")
    yield made
    made.close()


@pytest.fixture
def quick(harness: Harness) -> Harness:
    """Job services whose ledger waits for a lock only shortly, so that it refuses often."""
    harness.close()
    harness.ledger_options = {"busy_timeout_s": 0.02}
    harness.restart()
    return harness


@contextmanager
def locked(harness: Harness) -> Iterator[None]:
    """Another process holds the ledger's lock."""
    with closing(sqlite3.connect(harness.folder / "ledger.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def wait_for(condition: Callable[[], object], timeout_s: float = 10.0) -> None:
    """Wait for something that no job tells of."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not happen"
        threading.Event().wait(0.002)


def running_job(harness: Harness, service: ScriptedApi) -> Job:
    service.status("in_progress")
    return harness.wait(harness.generate().job_id, "running")


def half_made(harness: Harness) -> list[Path]:
    return list(harness.folder.rglob("*.partial-*"))


# --- the disk of the pictures


def test_a_full_disk_is_found_before_the_submit(disk: SmallDisk, harness: Harness, service: ScriptedApi) -> None:
    """Pictures that cannot be kept must not be bought."""
    harness.start()
    disk.leave_free(0)
    with pytest.raises(DiskError, match="Free up space"):
        harness.generate()
    disk.free_space()
    assert (service.posts, half_made(harness)) == (0, [])


def test_a_disk_that_fills_while_pictures_come_costs_none_of_them(
    disk: SmallDisk, harness: Harness, service: ScriptedApi
) -> None:
    """They are paid for: once there is room they are fetched, whole, and nothing half-made takes the room."""
    large = Image.effect_noise((1500, 1500), 90)
    file = harness.folder.parent / "large.png"
    large.save(file)
    assert file.stat().st_size > LARGE_BYTES
    harness.start()
    job = running_job(harness, service)
    disk.leave_free(LARGE_BYTES // 2)
    service.completes(service.picture("small.png"), service.file("large.png", ScriptedResponse(200, file.read_bytes())))
    stuck = harness.wait(job.job_id, lambda job: job.problem == "disk")
    assert stuck.state == "saving"
    # Side by side, the large one may leave no room for the small one at first; a later round keeps it.
    harness.wait(job.job_id, lambda job: job.outputs[0].state == "kept")
    asked = len(service.server.requests_for("GET", "/files/small.png"))
    wait_for(lambda: not half_made(harness))
    disk.free_space()
    done = harness.wait(job.job_id)
    assert (done.state, done.problem, service.posts) == ("done", None, 1)
    digests = [hashlib.sha256(content).hexdigest() for content in (png(), file.read_bytes())]
    assert [output.sha256 for output in done.outputs] == digests
    assert len(service.server.requests_for("GET", "/files/small.png")) == asked, "what was kept is not fetched again"


def test_a_read_only_folder_is_found_before_the_submit(harness: Harness, service: ScriptedApi) -> None:
    """A disk that was remounted after an error looks like this."""
    harness.start()
    with read_only(harness.folder), pytest.raises((DiskError, LedgerError)):
        harness.generate()
    assert service.posts == 0


def test_a_media_folder_that_becomes_read_only_costs_no_picture(harness: Harness, service: ScriptedApi) -> None:
    """The job waits until somebody repairs it."""
    harness.start()
    job = running_job(harness, service)
    with read_only(harness.folder / "media"):
        service.completes()
        assert harness.wait(job.job_id, lambda job: job.problem == "disk").state == "saving"
    assert harness.wait(job.job_id).state == "done"


def test_a_media_folder_that_is_removed_while_a_job_runs_costs_no_picture(
    harness: Harness, service: ScriptedApi
) -> None:
    """An unplugged disk must not be replaced by an empty folder in its place."""
    harness.start()
    job = running_job(harness, service)
    shutil.rmtree(harness.folder / "media")
    service.completes()
    assert harness.wait(job.job_id, lambda job: job.problem == "disk").state == "saving"
    assert not (harness.folder / "media").exists()
    (harness.folder / "media").mkdir()
    assert harness.wait(job.job_id).state == "done"


def test_a_request_that_got_no_row_leaves_no_folder(harness: Harness) -> None:
    """Killed between the two, the program would collect empty folders over the months."""
    harness.start()
    harness.media.prepare("0" * 32)
    harness.restart()
    assert list((harness.folder / "media").glob("??/*")) == []


# --- the ledger


def test_a_full_disk_under_the_ledger_costs_no_job(disk: SmallDisk, quick: Harness, service: ScriptedApi) -> None:
    """The request continues at the service; its row follows once there is space."""
    job = running_job(quick, service)
    disk.leave_free(0)
    asked = service.count_calls("result")
    service.status(json_response({"status": "completed"}))
    service.result({"output": {"images": [service.picture()]}})
    wait_for(lambda: service.count_calls("result") > asked + 3)
    assert quick.reader.job(job.job_id).state == "running"
    disk.free_space()
    assert quick.wait(job.job_id).state == "done"
    assert service.posts == 1


def test_a_lock_in_the_middle_of_a_run_costs_no_job(quick: Harness, service: ScriptedApi) -> None:
    """A backup that copies the ledger holds such a lock."""
    job = running_job(quick, service)
    with locked(quick):
        asked = service.count_calls("result")
        service.completes()
        wait_for(lambda: service.count_calls("result") > asked + 3)
        assert quick.reader.job(job.job_id).state == "running", "reading goes on"
    done = quick.wait(job.job_id)
    assert (done.state, done.request_id, service.posts) == ("done", "r-1", 1)
    assert [state for state, _ in quick.ledger.state_changes(job.job_id)] == [
        "submitting", "queued", "running", "saving", "done",
    ]  # fmt: skip


def test_a_lock_while_pictures_are_stored_loses_none(quick: Harness, service: ScriptedApi) -> None:
    """Between a file and its row there may be a lock of any length."""
    job = running_job(quick, service)
    service.result(ScriptedResponse(503))
    service.status("completed")
    quick.wait(job.job_id, "saving")
    with locked(quick):
        asked = service.count_calls("result")
        service.completes(service.picture("one.png"), service.picture("two.png", (20, 20)))
        wait_for(lambda: service.count_calls("result") > asked + 3)
    done = quick.wait(job.job_id)
    assert (done.state, [output.state for output in done.outputs]) == ("done", ["kept", "kept"])


def test_a_request_id_that_comes_during_a_lock_is_written_after_it(
    quick: Harness, service: ScriptedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It exists nowhere else: without it a paid picture could not be fetched."""
    is_locked = threading.Event()
    service.accept(json_response({"request_id": "r-1"}, after=is_locked))
    service.status("in_queue")
    refusals: list[str] = []
    monkeypatch.setattr(submitter.log, "error", lambda text, *_: refusals.append(text))
    job = quick.generate()
    with locked(quick):
        is_locked.set()
        wait_for(lambda: len(refusals) > 3)
        assert quick.reader.job(job.job_id).state == "submitting"
    assert quick.wait(job.job_id, "queued").request_id == "r-1"
    assert service.posts == 1


def test_a_locked_ledger_stops_a_request_before_the_submit(quick: Harness, service: ScriptedApi) -> None:
    """No row, no POST; and no folder either."""
    with locked(quick), pytest.raises(LedgerError, match="locked") as caught:
        quick.generate()
    assert str(quick.folder) not in str(caught.value), "visitors are told"
    assert service.posts == 0
    quick.restart()
    assert list((quick.folder / "media").glob("??/*")) == []


def test_a_start_on_a_locked_ledger_says_so_and_can_be_repeated(quick: Harness, service: ScriptedApi) -> None:
    """Someone who has the ledger open in another program reads what to close."""
    job = running_job(quick, service)
    with locked(quick), pytest.raises(LedgerError, match=r"ledger\.sqlite3 could not be written: database is locked"):
        quick.restart()
    service.completes()
    quick.restart()
    assert quick.wait(job.job_id).state == "done"


def test_a_ledger_that_was_removed_stops_a_request_before_the_submit(harness: Harness, service: ScriptedApi) -> None:
    """SQLite keeps writing to a deleted file: the row would be gone with the program, the request would be paid."""
    harness.start()
    job = running_job(harness, service)
    aside = harness.folder.rename(harness.folder.with_name("aside"))
    with pytest.raises(LedgerError, match="moved, deleted or replaced") as caught:
        harness.generate()
    assert str(harness.folder.parent) not in str(caught.value), "visitors are told"
    assert service.posts == 1
    shutil.rmtree(harness.folder)
    aside.rename(harness.folder)
    service.completes()
    assert harness.wait(job.job_id).state == "done", "put back, it is used on"


# An empty file with nothing beside it is sound: a crash in the very first start leaves one.
@pytest.mark.parametrize(
    ("part", "after"),
    [*((part, "a stop") for part in (0.005, 0.5, 0.9)), *((part, "a crash") for part in (0.0, 0.005, 0.5, 0.9))],
)
def test_a_ledger_cut_off_is_refused_and_left_as_it_is(
    harness: Harness, part: float, after: str, tmp_path: Path
) -> None:
    """A half ledger that is written on loses the other half for good."""
    for number in range(40):
        harness.ledger.add(_job(number, prompt="x" * 700))
    _checkpoint(harness)
    for number in range(40, 50):
        harness.ledger.add(_job(number, prompt="y" * 700))
    if after == "a stop":
        harness.close()
    cut = tmp_path / "cut"
    cut.mkdir()
    for path in harness.folder.glob("ledger.sqlite3*"):
        shutil.copy(path, cut)
    ledger = cut / "ledger.sqlite3"
    whole = ledger.read_bytes()
    ledger.write_bytes(whole[: int(len(whole) * part)])
    before = _contents(cut)
    with pytest.raises(
        LedgerError, match=r"cut/ledger\.sqlite3 is damaged: .* move all files ledger\.sqlite3\* elsewhere"
    ):
        Ledger(ledger)
    result = _contents(cut)
    assert {name: result.get(name) for name in before} == before


def test_a_file_that_is_no_ledger_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    """It may be something else that somebody wants to keep."""
    path = tmp_path / "ledger.sqlite3"
    path.write_text("my shopping list\n" * 100)
    with pytest.raises(LedgerError, match="is damaged: file is not a database"):
        Ledger(path)
    assert path.read_text() == "my shopping list\n" * 100


def test_a_ledger_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    """An older program does not know what the newer one promised."""
    path = tmp_path / "ledger.sqlite3"
    Ledger(path).close()
    with closing(sqlite3.connect(path)) as newer, newer:
        newer.execute("UPDATE ledger_version SET version = version + 1, readable_from = version + 1")
    before = path.read_bytes()
    with pytest.raises(LedgerError, match=r"newer version .* Update the program"):
        Ledger(path)
    assert path.read_bytes() == before


# --- the data folder


def test_a_data_folder_that_cannot_be_written_stops_the_start(tmp_path: Path) -> None:
    """Better no program than one that cannot keep what it buys."""
    (tmp_path / "data").mkdir()
    with read_only(tmp_path / "data"), pytest.raises(SettingsError, match="cannot be written"):
        DataDir(tmp_path / "data")


def _job(number: int, **inputs: str) -> Job:
    return Job(f"{number:032x}", "m", "o", inputs, created_at=number, updated_at=number)


def _checkpoint(harness: Harness) -> None:
    with closing(sqlite3.connect(harness.folder / "ledger.sqlite3")) as ledger:
        ledger.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _contents(folder: Path) -> dict[str, bytes]:
    """The ledger's files, without the one that only serves readers."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith("-shm")}
