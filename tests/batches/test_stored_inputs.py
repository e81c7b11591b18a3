"""What batches take in the ledger is bounded: each value once, so much for everyone, and no pause forever."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dreamina_ui.batches.store import MAX_WAITING_BYTES, PAUSE_TTL_S, Batch, BatchStore
from dreamina_ui.errors import BatchError, InputError
from dreamina_ui.ledger import batch_rows
from dreamina_ui.ledger.job import MAX_INPUT_CHARACTERS, Job, limit_input_length, new_id
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.spending.accounts import Account
from dreamina_ui.spending.moderation import Moderation
from tests.support.databases import Engine
from tests.support.harness import Clock
from tests.support.old_ledger import old_ledger, version_before

ORIGIN = "https://model-api.runcomfy.net"
RELAXED = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
values = st.one_of(st.text(max_size=8), st.integers(), st.booleans(), st.none(), st.lists(st.text(max_size=3)))
all_inputs = st.lists(st.dictionaries(st.sampled_from(["prompt", "size", "seed", "urls"]), values), min_size=1)


class Room:
    """A store of batches that nothing sends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = Clock()
        self.ledger = Ledger(path, clock=self.clock)
        self.store = BatchStore(self.ledger, Moderation(self.ledger, self.clock), self.clock)

    def start(self, planned: list[Mapping[str, Any]], visitor: str = "v", client_hash: str | None = None) -> Batch:
        account = Account(None, ORIGIN)  # type: ignore[arg-type]  # nothing is sent
        row = batch_rows.BatchRow(
            batch_id=new_id(), visitor_id=visitor, client_hash=client_hash, model_id="m", api_origin=account.api_origin,
            key_fingerprint=None, state="running", problem=None, created_at=self.clock(), changed_at=self.clock(),
            price_usd=None, press_id=None,
        )  # fmt: skip
        with self.ledger.writing() as transaction:
            batch_rows.insert_batch(transaction, row, planned)
        return self.store.batch(row.batch_id)

    def size_bytes(self) -> int:
        """How much text the ledger has for batches."""
        query = "SELECT (SELECT SUM(LENGTH(inputs)) FROM batch_items) + COALESCE(SUM(LENGTH(value)), 0) "
        with self.ledger.reading() as reader:
            return int(reader.connection.exec_driver_sql(query + "FROM batch_values").scalar_one())


@pytest.fixture
def room(tmp_path: Path, engine: Engine) -> Iterator[Room]:
    made = Room(tmp_path / "ledger.sqlite3")
    yield made
    made.ledger.close()


@RELAXED
@given(all_inputs)
def test_inputs_come_back_as_they_were(room: Room, planned: list[Mapping[str, Any]]) -> None:
    """Every job of a batch gets exactly what the table showed, in its order."""
    batch = room.start(planned)
    assert room.store.waiting(batch.batch_id) == planned


def test_a_text_is_stored_once_for_all_jobs_of_a_batch(room: Room) -> None:
    """A megabyte that a stranger sends must not become a hundred on the disk."""
    prompt = "fox " * 4000
    room.start([{"prompt": prompt, "seed": seed % 3} for seed in range(200)])
    assert room.size_bytes() < len(prompt) + 200 * 50


def test_canceled_jobs_leave_no_text(room: Room) -> None:
    """Starting and canceling costs nothing, so it must take nothing."""
    batch = room.start([{"prompt": "fox " * 1000, "seed": seed} for seed in range(20)])
    room.store.cancel(batch.batch_id)
    assert room.size_bytes() < 100
    assert room.store.batch(batch.batch_id).counts == {"cancelled": 20}


def test_a_refused_job_still_shows_its_inputs(room: Room) -> None:
    """Its maker wants to see which one it was, also after the others were canceled."""
    planned: list[Mapping[str, Any]] = [{"prompt": "owl", "seed": 1}, {"prompt": "hen", "seed": 1}]
    batch = room.start(planned)
    [item] = room.store.next_items(0.0)
    room.store.refuse(item, InputError("prompt", "enum", [], "owl"))
    room.store.cancel(batch.batch_id)
    assert [refusal.inputs for refusal in room.store.batch(batch.batch_id).refusals] == planned[:1]


def test_the_next_item_of_each_batch_has_its_own_inputs(room: Room) -> None:
    """Batches share no values, whatever they have in common."""
    for visitor in "vw":
        room.start([{"prompt": f"{visitor}1"}, {"prompt": f"{visitor}2"}], visitor)
    assert [item.inputs for item in room.store.next_items(0.0)] == [{"prompt": "v1"}, {"prompt": "w1"}] or [
        item.inputs for item in room.store.next_items(0.0)
    ] == [{"prompt": "w1"}, {"prompt": "v1"}]


@pytest.mark.parametrize("whose", ["visitor_id", "client_hash", None])
def test_what_waits_has_bounded_room(room: Room, monkeypatch: pytest.MonkeyPatch, whose: Any) -> None:
    """Paused batches of many invented visitors fill no disk; nothing is written for whoever exceeds it."""
    most = dict.fromkeys(MAX_WAITING_BYTES, 10**9) | {whose: 5000}
    monkeypatch.setattr("dreamina_ui.batches.store.MAX_WAITING_BYTES", most)
    visitors = ["v", "v", "v"] if whose == "visitor_id" else ["a", "b", "c"]
    account = Account(None, ORIGIN)  # type: ignore[arg-type]

    def begin(visitor: str, number: int) -> Batch:
        planned = [{"prompt": f"{number} " + "x" * 2000}]
        name = f"token-{number}"
        return room.store.begin("m", planned, visitor_id=visitor, account=account, client_hash="home", press_id=name)

    first = begin(visitors[0], 0)
    begin(visitors[1], 1)
    with pytest.raises(BatchError) as caught:
        begin(visitors[2], 2)
    assert caught.value.rule == "waiting_size"
    room.store.cancel(first.batch_id)
    begin(visitors[2], 3)


def test_a_pause_ends_after_a_week(room: Room) -> None:
    """A forgotten tab must not keep room in the ledger forever, nor send anything a year later."""
    old = room.start([{"prompt": "fox"}, {"prompt": "owl"}])
    running = room.start([{"prompt": "hen"}])
    room.store.pause(old.batch_id)
    room.clock.advance(PAUSE_TTL_S - 60)
    assert room.store.end_old_pauses() == 0
    room.clock.advance(120)
    assert room.store.end_old_pauses() == 1
    ended = room.store.batch(old.batch_id)
    assert (ended.state, ended.counts) == ("ended", {"cancelled": 2})
    assert room.store.batch(running.batch_id).state == "running"


def test_a_batch_from_before_has_its_inputs_and_its_size(tmp_path: Path, engine: Engine) -> None:
    """An update loses no batch that waits."""
    path = tmp_path / "old.sqlite3"
    texts = [f'{{"prompt": "old {number}"}}' for number in range(2)]
    with old_ledger(path, version_before("CREATE TABLE batch_values")) as connection:
        row = {"batch_id": "b", "visitor_id": "v", "model_id": "m", "api_origin": ORIGIN, "state": "running"}
        columns = ", ".join(row)
        connection.execute(
            sa.text(f"INSERT INTO batches ({columns}, created_at, changed_at) VALUES (:{', :'.join(row)}, 1, 1)"), row
        )
        for position, text in enumerate(texts):
            connection.execute(
                sa.text(
                    "INSERT INTO batch_items (batch_id, position, inputs, state) VALUES ('b', :at, :text, 'planned')"
                ),
                {"at": position, "text": text},
            )
    room = Room(path)
    assert room.store.waiting("b") == [{"prompt": "old 0"}, {"prompt": "old 1"}]
    with room.ledger.reading() as reader:
        assert batch_rows.waiting_bytes(reader) == sum(map(len, texts))
    room.ledger.close()


def test_texts_of_every_model_are_bounded_at_the_row(room: Room) -> None:
    """A model without a limit made rows of megabytes, and a page of fifty of them."""
    job = Job(new_id(), "m", ORIGIN, {"prompt": "x" * MAX_INPUT_CHARACTERS}, created_at=1.0, updated_at=1.0)
    with pytest.raises(InputError) as caught:
        room.ledger.add(job)
    assert (caught.value.field, caught.value.rule) == ("prompt", "maxLength")
    fitting = replace(job, inputs={"prompt": "x" * (MAX_INPUT_CHARACTERS - 2)})
    limit_input_length(fitting.inputs)
    room.ledger.add(fitting)
    assert len(room.ledger.change(fitting.job_id, detail="y" * 10_000).detail or "") == 2000
    assert room.ledger.change(fitting.job_id, detail="y" * 10_000).version == 2, "nothing new"


def test_a_nul_is_searchable_nowhere_and_no_request(room: Room) -> None:
    """PostgreSQL stores none, and no service names a request so."""
    job = Job(new_id(), "m", ORIGIN, {"prompt": "a\x00b"}, created_at=1.0, updated_at=1.0)
    room.ledger.add(job)
    with room.ledger.reading() as reader:
        assert reader.connection.exec_driver_sql("SELECT search_text FROM jobs").scalar_one() == "ab"
    assert room.ledger.job(job.job_id).inputs == {"prompt": "a\x00b"}
    with pytest.raises(InputError):
        room.ledger.by_request(ORIGIN, "r\x00")
