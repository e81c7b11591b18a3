"""The promises of the ledger: on disk before any event, only allowed transitions, nothing lost or half written."""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dreamina_ui.errors import JobNotFoundError, LedgerError, LimitError, StateError
from dreamina_ui.ledger import tables
from dreamina_ui.ledger.job import SETTLED, TERMINAL, TRANSITIONS, Job, Output, State, new_id
from dreamina_ui.ledger.ledger import Ledger, is_request_taken
from dreamina_ui.ledger.migrations import MIGRATIONS, READABLE_FROM
from dreamina_ui.ledger.transaction import Transaction
from tests.support.databases import Engine
from tests.support.old_ledger import old_ledger

ORIGIN = "https://model-api.runcomfy.net"
RELAXED = settings(
    deadline=None, derandomize=True, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Clock:
    """A clock that only the test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def make_job(job_id: str | None = None, **fields: Any) -> Job:
    made = Job(
        job_id=job_id or new_id(),
        model_id="m",
        api_origin=ORIGIN,
        inputs={"prompt": "fox"},
        created_at=1.0,
        updated_at=1.0,
    )
    return replace(made, **fields)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path, engine: Engine) -> Path:
    return tmp_path / "data" / "ledger.sqlite3"


@pytest.fixture
def ledger(path: Path, clock: Clock) -> Iterator[Ledger]:
    made = Ledger(path, clock=clock, busy_timeout_s=0.01)
    yield made
    made.close()


def in_threads(number: int, work: Callable[[int], None]) -> None:
    gate = threading.Barrier(number)

    def run(index: int) -> None:
        gate.wait()
        work(index)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# --- rows


def test_a_row_is_on_disk_when_add_returns(ledger: Ledger, path: Path, engine: Engine) -> None:
    """The POST follows; a crash during it must leave a trace."""
    ledger.add(make_job("j1"))
    assert engine.rows(path, "SELECT job_id, state FROM jobs") == [("j1", "submitting")]
    assert engine.rows(path, "SELECT job_id, version, state FROM state_changes") == [("j1", 1, "submitting")]


def test_every_fact_of_a_job_comes_back(ledger: Ledger) -> None:
    """A fact that is written and not read again is lost for the person who asks."""
    job = make_job(
        visitor_id="v", size="2048x2048(1:1)", status="in_queue", queue_position=3, request_id="r", problem="auth",
        detail="no", cost_usd=0.03, cancel_requested_at=2.5, cancel_outcome="unconfirmed", accepted_at=1.5,
        started_at=2.0, completed_at=3.0, finished_at=4.0, archived_at=5.0,
    )  # fmt: skip
    ledger.add(job)
    assert ledger.job(job.job_id) == job


def test_every_fact_of_an_output_comes_back_in_order(ledger: Ledger) -> None:
    """The first picture stays the first, whichever was fetched first."""
    ledger.add(make_job("j"))
    outputs = tuple(
        Output(
            number, "image", f"k{number}", "kept", "1.png", "image/png", "PNG", 64, 48, 2**40, "ab", "note",
            favorite_at=1.0, deleted_at=2.0,
        )
        for number in range(3)
    )  # fmt: skip
    for output in reversed(outputs):
        ledger.change("j", outputs=[output])
    assert ledger.job("j").outputs == outputs
    changed = replace(outputs[1], state="damaged", note=None)
    assert ledger.change("j", outputs=[changed]).outputs == (outputs[0], changed, outputs[2])


@pytest.mark.parametrize(
    "prompt", ["🦊" * 800, "שלום \u202efox\u202c", "a\x00b", "e\u0301\ufeff", "'; DROP TABLE jobs; --", '"\\{}%s']
)
def test_any_prompt_comes_back_unchanged(ledger: Ledger, path: Path, engine: Engine, prompt: str) -> None:
    """What people wrote is theirs, to the code point; PostgreSQL stores no NUL outside of inputs."""
    ledger.add(make_job("j", inputs={"prompt": prompt, "width×height": "1024x1024(1:1)", "scale": 0.1, "n": None}))
    ledger.change("j", detail=prompt)
    ledger.close()
    with closing(Ledger(path)) as reopened:
        job = reopened.job("j")
    detail = prompt.replace("\x00", "\ufffd") if engine.name == "postgresql" else prompt
    assert (job.inputs["prompt"], job.detail) == (prompt, detail)
    assert list(job.inputs) == ["prompt", "width×height", "scale", "n"]


def test_a_reopened_ledger_has_everything(ledger: Ledger, path: Path) -> None:
    """A restart forgets nothing."""
    ledger.add(make_job("j"))
    ledger.change("j", "queued", request_id="r-1")
    before = ledger.job("j")
    ledger.close()
    with closing(Ledger(path)) as reopened:
        assert reopened.job("j") == before
        assert [state for state, _ in reopened.state_changes("j")] == ["submitting", "queued"]


@pytest.mark.parametrize("job_id", ["", "j2", "J1", "j1'", "%", "x" * 100_000])
def test_an_unknown_job_is_not_found(ledger: Ledger, job_id: str) -> None:
    """An id from outside finds its own row or none."""
    ledger.add(make_job("j1"))
    for ask in (ledger.job, ledger.change, lambda unknown: ledger.change(unknown, outputs=[Output(0, "image", "k")])):
        with pytest.raises(JobNotFoundError) as caught:
            ask(job_id)
        assert len(str(caught.value)) < 200
    assert ledger.state_changes(job_id) == []


# --- moves


def test_every_transition_is_stored_with_its_time(ledger: Ledger, clock: Clock) -> None:
    """Someone may ask later what happened."""
    ledger.add(make_job("j"))
    for state in ("queued", "running", "saving", "failed", "saving", "done"):
        clock.now += 1
        ledger.change("j", state)
    assert ledger.state_changes("j") == [
        ("submitting", 1.0), ("queued", 1001.0), ("running", 1002.0), ("saving", 1003.0), ("failed", 1004.0),
        ("saving", 1005.0), ("done", 1006.0),
    ]  # fmt: skip


def test_states_that_were_passed_through_are_stored_and_published_with_their_times(
    ledger: Ledger, clock: Clock
) -> None:
    """Files that come at once cost one transaction, and every state is published all the same."""
    ledger.add(make_job("j"))
    before = ledger.change("j", "queued")
    handled: list[Job | None] = []
    ledger.changes.subscribe("j", handled.append)
    clock.now += 5
    done = ledger.change(before, "done", via={"saving": 1003.0}, cost_usd=0.03, outputs=[Output(0, "image", "k")])
    assert ledger.state_changes("j")[-2:] == [("saving", 1003.0), ("done", 1005.0)]
    assert ledger.job("j") == done
    saving, reported = handled
    assert reported == done
    assert saving is not None
    assert (saving.state, saving.updated_at, saving.finished_at) == ("saving", 1003.0, None)
    assert before.version < saving.version < done.version


def test_a_state_that_was_written_meanwhile_is_not_gone_through_again(ledger: Ledger, clock: Clock) -> None:
    """A click on Cancel may have noticed the same end a moment earlier."""
    ledger.add(make_job("j"))
    before = ledger.change("j", "queued")
    ledger.change("j", "saving")
    ledger.change(before, "done", via={"saving": 1003.0})
    assert [state for state, _ in ledger.state_changes("j")] == ["submitting", "queued", "saving", "done"]


def test_of_several_moves_all_must_be_allowed(ledger: Ledger) -> None:
    """A late response must not move a cancelled job on by a detour."""
    ledger.add(make_job("j"))
    before = ledger.change("j", "cancelled")
    with pytest.raises(StateError, match="cancelled and cannot become saving"):
        ledger.change("j", "done", via={"saving": 1003.0})
    assert ledger.job("j") == before


def test_the_end_has_its_time_and_fetching_again_takes_it_back(ledger: Ledger, clock: Clock) -> None:
    """The elapsed time of a resumed job continues."""
    ledger.add(make_job("j"))
    ledger.change("j", "queued")
    assert ledger.change("j", "failed").finished_at == clock.now
    assert ledger.change("j", "saving").finished_at is None
    clock.now += 5
    assert ledger.change("j", "done").finished_at == clock.now


def test_a_refused_move_changes_nothing(ledger: Ledger) -> None:
    """A late response must not turn a cancelled job into a done one."""
    ledger.add(make_job("j", visitor_id="v"))
    ledger.change("j", "cancelled", detail="by hand")
    before = ledger.job("j")
    handled: list[Job | None] = []
    ledger.changes.subscribe("v", handled.append)
    with pytest.raises(StateError, match="cancelled and cannot become done"):
        ledger.change("j", "done", detail="too late")
    assert ledger.job("j") == before
    assert handled == []
    assert [state for state, _ in ledger.state_changes("j")] == ["submitting", "cancelled"]


def test_a_change_can_be_bound_to_a_state(ledger: Ledger) -> None:
    """What was read a moment ago may be over; then the write must not happen."""
    ledger.add(make_job("j"))
    with pytest.raises(StateError):
        ledger.change("j", status="in_queue", only_in=("queued", "running"))
    with pytest.raises(StateError):
        ledger.change("j", only_in=())
    ledger.change("j", "queued", only_in=("submitting",))
    assert ledger.change("j", status="in_queue", only_in=("queued",)).status == "in_queue"


def test_a_change_that_changes_nothing_writes_nothing(ledger: Ledger, path: Path, clock: Clock, engine: Engine) -> None:
    """A job that waits for an hour is asked about a thousand times; the disk and the pages need not know."""
    ledger.add(make_job("j"))
    before = ledger.change("j", "queued", status="in_queue", queue_position=3)
    handled: list[Job | None] = []
    stored = engine.count_writes(path)
    ledger.changes.subscribe("j", handled.append)
    clock.now += 10
    assert ledger.change("j", "queued", status="in_queue", queue_position=3) == before
    assert ledger.change("j") == before
    assert handled == []
    assert stored == engine.count_writes(path)


def test_versions_grow_with_each_change(ledger: Ledger) -> None:
    """Pages tell old news from new by them."""
    ledger.add(make_job("j"))
    versions = [
        ledger.change("j", "queued").version,
        ledger.change("j", queue_position=2).version,
        ledger.change("j", outputs=[Output(0, "image", "k")]).version,
        ledger.change("j", queue_position=2).version,
        ledger.change("j", "running").version,
    ]
    assert versions == [2, 3, 4, 4, 5]


@RELAXED
@given(st.lists(st.sampled_from(get_args(State)), max_size=8))
def test_whatever_is_tried_only_allowed_moves_happen(ledger: Ledger, wishes: list[State]) -> None:
    """The table of transitions holds for every order of events."""
    job_id = ledger.add(make_job()).job_id
    state, history = "submitting", ["submitting"]
    for wish in wishes:
        if wish == state or wish in TRANSITIONS[state]:
            changed = ledger.change(job_id, wish)
            history += [wish] if wish != state else []
            state = wish
            assert (changed.finished_at is not None) == (state in TERMINAL)
        else:
            with pytest.raises(StateError):
                ledger.change(job_id, wish)
        assert ledger.job(job_id).state == state
    assert [item for item, _ in ledger.state_changes(job_id)] == history
    assert ledger.job(job_id).version == len(history)


# --- news


def test_changes_are_published_when_they_are_on_disk(ledger: Ledger, path: Path, engine: Engine) -> None:
    """A page that reads after an event must see what the event said."""
    seen: list[tuple[str, int, list[Any]]] = []

    def listener(job: Job | None) -> None:
        assert job is not None
        seen.append((job.state, job.version, engine.rows(path, "SELECT state, version FROM jobs")))
        assert ledger.job(job.job_id) == job  # and the ledger can be asked from within

    ledger.changes.subscribe("j", listener)
    ledger.add(make_job("j"))
    ledger.change("j", "queued")
    ledger.change("j", outputs=[Output(0, "image", "k")])
    assert seen == [
        (state, version, [(state, version)]) for state, version in (("submitting", 1), ("queued", 2), ("queued", 3))
    ]


def test_what_was_not_written_is_not_published(ledger: Ledger, path: Path, engine: Engine) -> None:
    """News of a write that failed would be a lie."""
    ledger.add(make_job("j"))
    handled: list[Job | None] = []
    ledger.changes.subscribe("j", handled.append)
    with engine.locked(path), pytest.raises(LedgerError):
        ledger.change("j", "queued")
    with pytest.raises(LedgerError):
        ledger.add(make_job("j"))
    assert handled == []


# --- questions


def test_unfinished_jobs_are_those_of_one_api_oldest_first(ledger: Ledger) -> None:
    """A restart resumes what is unfinished, and leaves jobs of another API alone."""
    for number, state in enumerate(get_args(State)):
        ledger.add(make_job(state, state=state, created_at=100.0 - number))
    ledger.add(make_job("other", state="running", api_origin="sandbox"))
    result = [job.job_id for job in ledger.unfinished(ORIGIN)]
    assert set(result) == set(get_args(State)) - SETTLED
    assert result == sorted(result, key=lambda state: ledger.job(state).created_at)
    assert [job.job_id for job in ledger.unfinished("sandbox")] == ["other"]


def test_recent_jobs_are_the_newest_and_all_that_go_on(ledger: Ledger) -> None:
    """A job in a long queue must not fall off the page."""
    for number in range(10):
        state = "queued" if number in (0, 8) else "done"
        ledger.add(make_job(f"j{number}", visitor_id="v", state=state, created_at=float(number)))
    ledger.add(make_job("w1", visitor_id="w", created_at=99.0))
    ledger.add(make_job("program", created_at=99.0))
    assert [job.job_id for job in ledger.recent("v", 3)] == ["j9", "j8", "j7", "j0"]
    assert ledger.recent("nobody", 3) == []


def test_jobs_of_one_moment_keep_their_order(ledger: Ledger) -> None:
    """Cards must not change places at each reload."""
    for name in "cab":
        ledger.add(make_job(name, visitor_id="v", state="done"))
    assert [job.job_id for job in ledger.recent("v", 2)] == ["c", "b"]


def test_a_duplicate_has_the_same_visitor_model_and_inputs_and_is_fresh(ledger: Ledger) -> None:
    """A double click is one job; anything else is a wish of its own."""
    inputs = {"prompt": "fox 🦊", "scale": 0.5, "width×height": "1024x1024(1:1)"}
    for job_id, created_at in (("old", 10.0), ("new", 20.0)):
        ledger.add(make_job(job_id, visitor_id="v", inputs=inputs, created_at=created_at))

    def add(since: float, **fields: Any) -> str:
        job = make_job(
            fields.pop("job_id", "again"), **{"visitor_id": "v", "inputs": inputs, "created_at": 1.0} | fields
        )
        return ledger.add(job, duplicate_since=since).job_id

    assert add(5.0) == "new"
    assert add(20.0) == "new"
    with pytest.raises(JobNotFoundError):
        ledger.job("again")
    assert add(20.1, job_id="later") == "later"
    assert add(5.0, job_id="w", visitor_id="w") == "w"
    assert add(5.0, job_id="n", model_id="n") == "n"
    assert add(5.0, job_id="scale", inputs=inputs | {"scale": 0.25}) == "scale"
    assert add(5.0, job_id="less", inputs={"prompt": "fox 🦊"}) == "less"


def test_one_spoilt_change_spoils_no_other_that_is_written_with_it(ledger: Ledger) -> None:
    """Changes that wait together share a transaction; strangers' refused requests must not undo a paid job's news."""
    for number in range(40):
        ledger.add(make_job(f"j{number}"))
    barrier = threading.Barrier(41)

    def refuse(_transaction: Transaction, _job: Job) -> None:
        raise LimitError("per_day", 1, None)

    def wait_for_all(_transaction: Transaction, _job: Job) -> None:
        barrier.wait()

    def work(number: int) -> str:
        barrier.wait()
        if number % 4:
            return ledger.change(f"j{number}", "queued", request_id=f"r-{number}").state
        with pytest.raises(LimitError):
            ledger.add(make_job(f"refused-{number}"), [refuse])
        return "refused"

    with ThreadPoolExecutor(41) as pool:
        # The first holds the pen until all others have come.
        first = pool.submit(ledger.add, make_job("first"), [wait_for_all])
        assert [*pool.map(work, range(40))] == ["queued" if number % 4 else "refused" for number in range(40)]
    assert first.result().job_id == "first"
    assert [ledger.job(f"j{number}").request_id for number in (0, 1, 39)] == [None, "r-1", "r-39"]
    for number in range(0, 40, 4):
        with pytest.raises(JobNotFoundError):
            ledger.job(f"refused-{number}")


def test_a_request_belongs_to_one_job_of_its_api(ledger: Ledger) -> None:
    """Two rows for one request would save and count it twice."""
    for job_id, origin in (("a", ORIGIN), ("b", ORIGIN), ("c", "sandbox")):
        ledger.add(make_job(job_id, api_origin=origin))
    ledger.change("a", "queued", request_id="r-1")
    before = ledger.job("b")
    with pytest.raises(LedgerError) as caught:
        ledger.change("b", "queued", request_id="r-1")
    assert is_request_taken(caught.value)
    assert ledger.job("b") == before
    with pytest.raises(LedgerError) as caught:
        ledger.add(make_job("a"))
    assert not is_request_taken(caught.value), "another rule of the table is another mistake"
    ledger.change("c", "queued", request_id="r-1")
    assert (result := ledger.by_request(ORIGIN, "r-1")) is not None
    assert result.job_id == "a"
    assert ledger.by_request(ORIGIN, "r-2") is None
    assert ledger.by_request("elsewhere", "r-1") is None


def test_a_file_is_found_by_its_key_alone(ledger: Ledger) -> None:
    """The key is the URL; the order of the pictures is not."""
    ledger.add(make_job("j"))
    for number, key in enumerate(("k0", "k1")):
        ledger.change("j", outputs=[Output(number, "image", key)])
    assert (result := ledger.output_by_key("k1")) is not None
    assert (result[0].job_id, result[1].index) == ("j", 1)
    assert ledger.output_by_key("k2") is None
    assert ledger.output_by_key("") is None
    with pytest.raises(LedgerError):
        ledger.change("j", outputs=[Output(2, "image", "k1")])


def test_run_times_are_the_newest_of_one_model_and_size(ledger: Ledger) -> None:
    """A 4K picture says nothing about a small one, and last year nothing about today."""
    facts = [
        ("m", "s", 0, 5),
        ("m", "s", 100, 107),
        ("m", "s", 200, 209),
        ("m", "t", 0, 50),
        ("n", "s", 0, 50),
        ("m", None, 0, 3),
    ]
    for model_id, size, started_at, completed_at in facts:
        ledger.add(
            make_job(model_id=model_id, size=size, started_at=float(started_at), completed_at=float(completed_at))
        )
    ledger.add(make_job(size="s", started_at=5.0))
    ledger.add(make_job(size="s", completed_at=5.0))
    assert [run.seconds for run in ledger.run_times("m", "s")] == [9.0, 7.0, 5.0]
    assert [run.seconds for run in ledger.run_times("m", "s", limit=2)] == [9.0, 7.0]
    assert [run.seconds for run in ledger.run_times("m", None)] == [3.0]
    assert ledger.run_times("x", "s") == []
    newest = {(run.model_id, run.size, run.seconds) for run in ledger.newest_runs()}
    assert newest >= {
        ("m", "s", 9.0),
        ("m", None, 3.0),
    }


# --- many at once


def test_many_threads_lose_no_change(ledger: Ledger) -> None:
    """Status, cancel and files of one job are written at the same time."""
    ledger.add(make_job("j"))
    ledger.change("j", "queued")
    versions: list[int] = []

    def work(index: int) -> None:
        for number in range(6):
            versions.append(ledger.change("j", detail=f"{index}-{number}").version)
        ledger.change("j", outputs=[Output(index, "image", f"k{index}")])

    in_threads(16, work)
    job = ledger.job("j")
    assert len(set(versions)) == 16 * 6
    assert job.version == 2 + 16 * 7
    assert [output.index for output in job.outputs] == list(range(16))


def test_of_many_racing_moves_one_wins(ledger: Ledger) -> None:
    """The end of a job is decided once."""
    ledger.add(make_job("j"))
    ledger.change("j", "queued")
    won: list[str] = []

    def work(number: int) -> None:
        to: State = "cancelled" if number % 2 else "failed"
        try:
            ledger.change("j", to, only_in=("queued",), detail=str(number))
            won.append(str(number))
        except StateError:
            pass

    in_threads(16, work)
    assert won == [ledger.job("j").detail]
    assert len(ledger.state_changes("j")) == 3


def test_reading_works_while_another_process_writes(ledger: Ledger, path: Path, engine: Engine) -> None:
    """Pages stay alive during a backup."""
    ledger.add(make_job("j"))
    with engine.locked(path):
        assert ledger.job("j").state == "submitting"
        assert len(ledger.unfinished(ORIGIN)) == 1


def test_a_locked_ledger_is_an_error_and_works_again_after(ledger: Ledger, path: Path, engine: Engine) -> None:
    """Nothing is sent meanwhile, and nobody has to restart anything."""
    with engine.locked(path):
        with pytest.raises(LedgerError, match="locked") as caught:
            ledger.add(make_job("j"))
        assert str(caught.value).startswith(("The ledger ledger.sqlite3 ", "The ledger database ")), "visitors read it"
        assert not is_request_taken(caught.value)
    ledger.add(make_job("j"))
    assert ledger.change("j", "queued").version == 2


@pytest.mark.sqlite
def test_a_locked_file_is_not_opened(ledger: Ledger, path: Path, engine: Engine) -> None:
    """The program says so at once instead of starting half."""
    with engine.locked(path), pytest.raises(LedgerError, match="locked"):
        Ledger(path, busy_timeout_s=0.01)


def test_all_who_wait_for_a_locked_ledger_fail_together(path: Path, engine: Engine) -> None:
    """Each of a hundred would else wait for the lock in turn, and the last one for minutes."""
    with closing(Ledger(path, busy_timeout_s=0.3)) as ledger:
        reported: list[LedgerError] = []

        def work(number: int) -> None:
            with pytest.raises(LedgerError, match="locked") as caught:
                ledger.add(make_job(f"j{number}"))
            reported.append(caught.value)

        attempts: list[sa.Connection] = []

        def count(connection: sa.Connection) -> None:
            attempts.append(connection)

        with engine.locked(path):
            sa.event.listen(sa.Engine, "begin", count)
            in_threads(20, work)
            sa.event.remove(sa.Engine, "begin", count)
    assert len(reported) == 20
    assert 0 < len(attempts) < 10


# --- errors


@pytest.mark.parametrize("fields", [{"detail": "\ud83e"}, {"queue_position": 2**70}, {"request_id": "\udc00"}])
def test_a_value_that_no_database_takes_is_a_ledger_error(ledger: Ledger, fields: dict[str, Any]) -> None:
    """An error of another kind would kill the thread that holds a request_id."""
    before = ledger.add(make_job("j"))
    with pytest.raises(LedgerError):
        ledger.change("j", "queued", **fields)
    assert ledger.job("j") == before
    assert ledger.change("j", "queued", request_id="r").state == "queued"


def test_a_question_that_no_database_takes_is_a_ledger_error(ledger: Ledger) -> None:
    """Ids come from outside."""
    for ask in (ledger.job, ledger.output_by_key, lambda odd: ledger.by_request(ORIGIN, odd)):
        with pytest.raises(LedgerError):
            ask("\ud800")


def test_a_damaged_row_is_a_ledger_error(ledger: Ledger, path: Path, engine: Engine) -> None:
    """Damage on disk is reported as such."""
    ledger.add(make_job("j"))
    engine.rows(path, "UPDATE jobs SET inputs = '{'")
    with pytest.raises(LedgerError, match=r"The ledger (ledger\.sqlite3|database) could not be read"):
        ledger.job("j")


def _no_database(path: Path) -> None:
    path.write_bytes(b"This is no database. " * 100)


def _damaged(path: Path) -> None:
    with closing(Ledger(path)) as ledger:
        ledger.add(make_job())
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))


def _another_programs(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE jobs (job_id TEXT)")


@pytest.mark.parametrize("spoil", [_no_database, _damaged, _another_programs, Path.mkdir])
def test_a_file_that_is_no_ledger_is_named(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    """The owner must see which file is in the way, and it is not overwritten."""
    path = tmp_path / "ledger.sqlite3"
    spoil(path)
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(LedgerError) as caught:
        Ledger(path).unfinished(ORIGIN)
    assert str(path) in str(caught.value)
    assert spoil is _another_programs or before == (path.read_bytes() if path.is_file() else b"")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A typo in the path is the most common error."""
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match=re.escape(str(tmp_path / "file"))):
        Ledger(tmp_path / "file" / "ledger.sqlite3")


@pytest.mark.sqlite
def test_a_ledger_of_a_newer_program_is_refused_and_left_alone(ledger: Ledger, path: Path) -> None:
    """An old program does not know what it would destroy."""
    ledger.add(make_job("j"))
    ledger.close()
    newer = len(MIGRATIONS) + 1
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE ledger_version SET version = ?, readable_from = ?", (newer, newer))
    before = path.read_bytes()
    with pytest.raises(LedgerError) as caught:
        Ledger(path)
    for part in (
        str(path),
        "newer version",
        f"ledger version {newer}",
        f"knows {len(MIGRATIONS)}",
        "DREAMINA_DATA_DIR",
    ):
        assert part in str(caught.value)
    assert path.read_bytes() == before
    assert [item.name for item in path.parent.iterdir()] == [path.name]


@pytest.mark.sqlite
def test_a_newer_ledger_that_an_older_program_can_work_with_is_used(ledger: Ledger, path: Path) -> None:
    """A server that is not replaced yet may have to start again beside newer ones."""
    ledger.close()
    newer = len(MIGRATIONS) + 1
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE ledger_version SET version = ?, readable_from = ?", (newer, len(MIGRATIONS)))
    with closing(Ledger(path)) as older:
        older.add(make_job("j"))
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT version, readable_from FROM ledger_version").fetchall()
    assert rows == [(newer, len(MIGRATIONS))], "the newer program would take its steps again"


# --- migrations


def test_what_older_programs_can_work_with_has_everything_that_they_know(tmp_path: Path) -> None:
    """Old and new servers share the ledger while they are replaced one by one."""
    versions = []
    for version in (READABLE_FROM, len(MIGRATIONS)):
        reflected = sa.MetaData()
        with old_ledger(tmp_path / f"{version}.sqlite3", version) as connection:
            reflected.reflect(connection)
        versions.append({(table.name, column.name): column for table in reflected.sorted_tables for column in table.c})
    older, newer = versions
    for key, column in older.items():
        assert key in newer, f"{key} is gone: remove it a release later, and raise READABLE_FROM"
        assert (newer[key].type.python_type, newer[key].nullable) == (column.type.python_type, column.nullable)
    known = {table for table, _ in older}
    for (table, name), column in newer.items():
        is_new = table in known and (table, name) not in older
        assert not is_new or column.nullable or column.server_default, f"{table}.{name}: older programs leave it empty"


def test_tables_in_the_code_and_on_disk_have_the_same_columns(ledger: Ledger) -> None:
    """A column that is only in one of them is a crash or a fact that is lost."""
    with ledger.reading() as reader:
        on_disk = sa.MetaData()
        on_disk.reflect(reader.connection)
    columns = [
        {
            table.name: {column.name for column in table.columns}
            for table in metadata.sorted_tables
            if not table.name.startswith("jobs_search")  # SQLite's index of texts, which SQLAlchemy cannot describe
        }
        for metadata in (on_disk, tables.metadata)
    ]
    assert columns[0] == columns[1]
    assert set(Job.__dataclass_fields__) - {"outputs"} <= set(tables.jobs.columns.keys())
    assert set(Output.__dataclass_fields__) - {"index"} <= set(tables.outputs.columns.keys())


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
def test_an_older_ledger_is_brought_up_to_date_with_its_rows(path: Path, engine: Engine, version: int) -> None:
    """An update of the program keeps every picture."""
    columns = "job_id, model_id, api_origin, inputs, state, created_at, updated_at, version, request_id"
    row = ("j", "m", ORIGIN, '{"prompt": "Fox"}', "queued", 1.0, 1.0, 1, "r")
    with old_ledger(path, version):
        pass
    engine.rows(path, f"INSERT INTO jobs ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", *row)
    with closing(Ledger(path)) as ledger:
        assert ledger.job("j") == make_job("j", inputs={"prompt": "Fox"}, state="queued", request_id="r")
    assert engine.rows(path, "SELECT version FROM ledger_version") == [(len(MIGRATIONS),)]


def test_opening_twice_migrates_once(path: Path, engine: Engine) -> None:
    """Two processes may start at the same moment, such as the server and the command line."""
    errors: list[Exception] = []

    def work(_number: int) -> None:
        try:
            Ledger(path).close()
        except LedgerError as exc:
            errors.append(exc)

    in_threads(4, work)
    assert errors == []
    assert engine.rows(path, "SELECT version FROM ledger_version") == [(len(MIGRATIONS),)]


def test_the_migrations_are_portable_sql() -> None:
    """The database can be changed one day without writing history anew."""
    own = "AUTOINCREMENT PRAGMA ROWID STRFTIME DATETIME JULIANDAY GLOB WITHOUT STRICT JSON_EXTRACT IFNULL REPLACE BLOB"
    for statement in (statement for step in MIGRATIONS for statement in step):
        if isinstance(statement, str):
            assert not set(re.findall(r"\w+", statement.upper())) & set(own.split()), statement
            assert not re.search(r'[`"?\[]', statement), statement
