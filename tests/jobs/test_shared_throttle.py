"""Several servers call the API at one pace together, and learn from each other's refusals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dreamina_ui.api.pacing import Throttle
from dreamina_ui.jobs.shared_throttle import MAX_LATE_S, SharedThrottle
from dreamina_ui.ledger.ledger import Ledger
from tests.support.databases import Engine

ORIGIN = "https://api.example"


class Time:
    """The database's time, and that of each server."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def ledger(tmp_path: Path, engine: Engine, time: Time, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    made = Ledger(tmp_path / "ledger.sqlite3", clock=time)
    monkeypatch.setattr(made, "time", lambda _reader: time())
    yield made
    made.close()


def count_calls(servers: list[SharedThrottle], time: Time, seconds: float) -> int:
    """How many calls servers make that always have jobs to ask about."""
    calls, end_s = 0, time.now_s + seconds
    while time.now_s < end_s:
        for server in servers:
            if server.wait_s(time.now_s) > 0 and not server._slots:
                server.take_piece()
            while server._slots and server.wait_s(time.now_s) == 0.0:
                server.take(time.now_s)
                calls += 1
        time.now_s += 0.005
    return calls


def test_several_servers_are_as_fast_as_one(ledger: Ledger, time: Time) -> None:
    """Twice as many servers must not call the API twice as often."""
    refused = Throttle()
    refused.take(time.now_s)
    servers = [SharedThrottle(ledger, ORIGIN, time) for _ in range(3)]
    servers[0].take_piece()
    servers[0].refuse(time.now_s, 1.0)
    servers[0].take_piece()
    time.now_s += 3.0
    rate = servers[1]._at_all_servers(lambda throttle, _now: throttle.per_s)
    calls = count_calls(servers, time, 2.0)
    grown = servers[1]._at_all_servers(lambda throttle, _now: throttle.per_s)
    assert rate < 40.0
    assert 0.8 * 2 * rate <= calls <= 1.2 * 2 * grown


def test_a_refusal_at_one_server_slows_all(ledger: Ledger, time: Time) -> None:
    """Else each server would run into the limit by itself, again and again."""
    first, second = SharedThrottle(ledger, ORIGIN, time), SharedThrottle(ledger, ORIGIN, time)
    count_calls([first, second], time, 1.0)
    first.refuse(time.now_s, 5.0)
    first.take_piece()
    second._slots.clear()  # what it took before the refusal
    second.take_piece()
    assert min(second._slots) >= time.now_s + 5.0


def test_slots_that_were_not_used_are_not_made_up_for(ledger: Ledger, time: Time) -> None:
    """A server that was busy with something else must not send all at once."""
    server = SharedThrottle(ledger, ORIGIN, time)
    server.take_piece()
    assert server.wait_s(time.now_s) == 0.0
    time.now_s += 10 * MAX_LATE_S
    assert server.wait_s(time.now_s) > 0.0


def test_without_the_ledger_a_server_continues_by_itself(ledger: Ledger, time: Time) -> None:
    """Images that are finished must arrive while the database restarts."""
    server = SharedThrottle(ledger, ORIGIN, time)
    ledger.close()
    broken = SharedThrottle(ledger, "\ud800", time)  # no database stores a lone surrogate
    broken.take_piece()
    assert broken._slots
    assert not server._slots


def test_what_a_throttle_knows_survives_as_text() -> None:
    """It is all that servers share of it."""
    throttle = Throttle()
    for number in range(30):
        throttle.take(100.0 + number / 40)
    throttle.refuse(100.75, 2.0)
    copy = Throttle.from_text(throttle.to_text())
    for moment in (100.8, 103.0, 110.0):
        throttle.take(moment)
        copy.take(moment)
        assert copy.per_s == pytest.approx(throttle.per_s)
        assert copy.wait_s(moment) == pytest.approx(throttle.wait_s(moment))
