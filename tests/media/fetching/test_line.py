"""Downloads that take turns, on a virtual clock."""

from __future__ import annotations

import pytest

from dreamina_ui.media.fetching.line import MAX_PAUSE_S, STALL_S, Line, Turns

STEP_S = 0.02
FILE_BYTES = 30_000_000
MBIT = 125_000.0
BEGIN = 1000.0


def finish_times(
    turns: Turns, files: int, *, line: float, stream: float = 1e12, stalled: int = 0, buffered: int = 0
) -> list[float]:
    """Download so many files; returns when each is whole, in seconds.

    Args:
        line, stream: bytes per second of all together, and of each.
        stalled: how many of the first ones get nothing.
        buffered: how much of each has arrived before it is read for the first time.
    """
    now = BEGIN
    keys = [turns.enter(FILE_BYTES, now) for _ in range(files)]
    missing = dict.fromkeys(keys, float(FILE_BYTES))
    buffers = dict.fromkeys(keys[1:], buffered)
    finished = []
    while len(missing) > stalled:
        now += STEP_S
        reading = [key for key in missing if turns.may_read(key, now)]
        flowing = [key for key in reading if key not in keys[:stalled]]
        for key in flowing:
            size = min(stream, line / len(flowing)) * STEP_S + buffers.pop(key, 0)
            turns.note(key, int(size), now)
            missing[key] -= size
            if missing[key] <= 0:
                del missing[key]
                turns.leave(key)
                finished.append(now - BEGIN)
    for key in missing:
        turns.leave(key)
    return finished


@pytest.mark.parametrize("mbit", [20, 100, 1000])
def test_the_first_image_is_whole_early_and_the_last_no_later(mbit: int) -> None:
    """On a slow line somebody looks at the first image while the other three arrive."""
    line = mbit * MBIT
    times = finish_times(Turns(), 4, line=line)
    assert times[0] <= 1.15 * FILE_BYTES / line + 0.4
    assert times[-1] <= 1.05 * 4 * FILE_BYTES / line + 0.5


def test_what_arrived_while_a_download_waited_is_no_faster_line() -> None:
    """The system still receives for a program that does not read; a second stream would seem to help."""
    line = 20 * MBIT
    times = finish_times(Turns(), 4, line=line, buffered=600_000)
    assert times[0] <= 1.15 * FILE_BYTES / line + 0.4


def test_hosts_that_limit_each_connection_get_several() -> None:
    """A line of 200 Mbit/s must not be idle because one connection brings 20."""
    turns = Turns()
    finish_times(turns, 12, line=200 * MBIT, stream=20 * MBIT)
    assert turns.streams == 8
    times = finish_times(turns, 8, line=200 * MBIT, stream=20 * MBIT)
    assert times[-1] <= 1.1 * FILE_BYTES / (20 * MBIT)


def test_a_number_of_streams_that_no_longer_helps_is_given_up() -> None:
    """Another host, or somebody else on the line: what was learned is checked again and again."""
    turns = Turns()
    finish_times(turns, 12, line=200 * MBIT, stream=20 * MBIT)
    finish_times(turns, 30, line=20 * MBIT)
    assert turns.streams <= 2


def test_a_host_that_stalls_does_not_hold_up_the_others() -> None:
    """Its deadline is minutes away."""
    times = finish_times(Turns(), 4, line=100 * MBIT, stalled=2)
    assert times[-1] <= 1.1 * 2 * FILE_BYTES / (100 * MBIT) + 2 * STALL_S


def test_a_download_that_waits_reads_now_and_then() -> None:
    """A host closes a connection that nobody reads."""
    turns = Turns()
    first, second = turns.enter(FILE_BYTES, 0.0), turns.enter(FILE_BYTES, 0.0)
    assert turns.may_read(first, 0.0)
    assert not turns.may_read(second, 0.0)
    turns.note(first, 1, MAX_PAUSE_S)
    assert turns.may_read(second, MAX_PAUSE_S)
    turns.note(second, 1, MAX_PAUSE_S)
    assert not turns.may_read(second, MAX_PAUSE_S)


def test_a_small_file_goes_before_a_large_one() -> None:
    """An image of one megapixel is not to wait for one of sixteen, which is shown hardly later for that."""
    turns = Turns()
    large = turns.enter(FILE_BYTES, 0.0)
    assert turns.may_read(large, 0.0)
    small = turns.enter(FILE_BYTES // 30, 0.1)
    assert turns.may_read(small, 0.1)
    assert not turns.may_read(large, 0.1)


def test_a_file_that_is_small_does_not_pass_those_of_long_ago() -> None:
    """A large image of a busy page has to come at last."""
    turns = Turns()
    large = turns.enter(FILE_BYTES, 0.0)
    turns.enter(FILE_BYTES // 30, 100.0)
    assert turns.may_read(large, 100.0)


def test_the_next_file_begins_before_the_one_before_it_is_whole() -> None:
    """A connection needs some round trips until it is fast; the line is not to be idle meanwhile."""
    turns = Turns()
    first, second = turns.enter(FILE_BYTES, 0.0), turns.enter(FILE_BYTES, 0.0)
    assert not turns.note(first, FILE_BYTES // 2, 0.1)
    assert not turns.may_read(second, 0.1)
    assert turns.note(first, FILE_BYTES // 2 - 1000, 0.2)
    assert turns.may_read(second, 0.2)


def test_a_download_whose_time_is_over_does_not_wait() -> None:
    """Its connection is cut, and only a read notices."""
    line = Line(clock=lambda: 5.0)
    with line.download(None, 9.0) as first, line.download(FILE_BYTES, 5.0) as second:
        first(0)
        second(0)
        second(1000)
