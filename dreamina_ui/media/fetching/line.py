"""Downloads take turns on the line, so that the first image is whole early and the last one no later.

Four large files side by side are all finished at the end; one after another the first needs a quarter of the time.
Every download sends its request at once, and only those whose turn it is read on: as many at a time as make the whole
faster. That number is learned from the rates and stays from one job to the next. A small file goes before a large one,
but no file waits for those that come much later.
"""

from __future__ import annotations

import threading
import time
from bisect import insort
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

MAX_PAUSE_S = 8.0
"""How long a download waits for its turn between two reads: hosts close connections that nobody reads."""

STALL_S = 1.0
"""After so long a silence of its host, a download no longer takes the turn of another one."""

_LEAD_S = 0.2
"""How long before the end of one download the next one begins: its connection is slow at first."""

_LEAD_SHARE = 0.05
"""Of a whole file, at most."""

_SETTLE_S, _WINDOW_S = 0.15, 0.3
"""After a change there is a pause, and then rates are measured for so long."""

_BUFFER_BYTES = 1_000_000
"""What may have arrived of a download that waited; it says nothing about the line, and is read before rates are."""

_MAX_SETTLE_S = 2.0

_HOLD_S, _MAX_HOLD_S = 4.0, 64.0
"""How long a good number of streams stays before another one is tried, at first and later."""

_STEADY = 1.2
"""By which factor a rate may change from one window to the next: that of a new connection grows by itself, and one that
has just fallen would make anything look faster."""

_MAX_STREAMS = 16
_USUAL_RATE = 10e6
_USUAL_BYTES = 8e6
"""Of a line and a file that nothing is known of; they only decide who goes first."""

_CHECK_S = 0.2


@dataclass(order=True)
class _Download:
    """Sorted by when it would be whole if it had had the line for itself."""

    whole_at: float
    key: int
    size_bytes: float | None = field(compare=False)
    read_at: float = field(compare=False)
    read_bytes: float = field(default=0.0, compare=False)
    is_reading: bool = field(default=False, compare=False)

    def is_nearly_whole(self, rate: float) -> bool:
        """Whether the next one may begin beside it."""
        if self.size_bytes is None:
            return False
        return self.size_bytes - self.read_bytes <= min(rate * _LEAD_S, self.size_bytes * _LEAD_SHARE)


class Turns:
    """Who may read: pure bookkeeping, with the time as an argument.

    Attributes:
        streams: how many downloads read at a time.
    """

    def __init__(self) -> None:
        self.streams = 1
        self._queue: list[_Download] = []
        self._by_key: dict[int, _Download] = {}
        self._last_key = 0
        self._rate = _USUAL_RATE
        self._window_at: float | None = None
        self._window_bytes = 0
        self._buffered_bytes = 0  # how much is still to be read before the window begins
        self._settled_at = 0.0  # the window begins then at the latest
        self._last_window: float | None = None  # the rate of the window before
        self._tried_from: tuple[int, float] | None = None  # streams and their rate before the present attempt
        self._tries_fewer = False
        self._hold_s = _HOLD_S
        self._hold_until = 0.0

    def enter(self, size_bytes: int | None, now: float) -> int:
        """A download of so many bytes begins, None if nobody knows; returns its key."""
        self._last_key += 1
        size = _USUAL_BYTES if size_bytes is None else size_bytes
        download = _Download(now + size / self._rate, self._last_key, size_bytes, now)
        insort(self._queue, download)
        self._by_key[download.key] = download
        self._last_window = None
        self._settle(1, now)  # at first, what arrives for those that wait takes its part of the line, too
        return download.key

    def leave(self, key: int) -> None:
        """A download has ended, one way or the other."""
        self._queue.remove(self._by_key.pop(key))
        if len(self._queue) <= self.streams:  # nobody waits: rates say nothing about the number of streams
            if self._tried_from:
                self.streams = self._tried_from[0]
            self._window_at = self._last_window = self._tried_from = None

    def may_read(self, key: int, now: float) -> bool:
        """Whether it is a download's turn."""
        self._measure(now)
        download = self._by_key[key]
        download.is_reading = self._is_in_turn(download, now)
        return download.is_reading or now - download.read_at >= MAX_PAUSE_S

    def note(self, key: int, size_bytes: int, now: float) -> bool:
        """A download has read so much; returns whether the next one may begin for that."""
        download = self._by_key[key]
        was_nearly_whole = download.is_nearly_whole(self._rate)
        download.read_at = now
        download.read_bytes += size_bytes
        if self._window_at is not None and self._buffered_bytes > 0 and now < self._settled_at:
            self._buffered_bytes -= size_bytes
            self._window_at = max(self._window_at, now)
        elif self._window_at is not None and now >= self._window_at:
            self._window_bytes += size_bytes
        return download.is_nearly_whole(self._rate) > was_nearly_whole

    def _is_in_turn(self, download: _Download, now: float) -> bool:
        taken = 0
        for other in self._queue:
            if other is download:
                return True
            is_stalled = other.is_reading and now - other.read_at > STALL_S
            taken += not (is_stalled or other.is_nearly_whole(self._rate))
            if taken >= self.streams:
                return False
        return False

    def _measure(self, now: float) -> None:
        """At the end of a window, keep the number of streams or try another one."""
        if self._window_at is None:
            self._begin_window(now)
            return
        if now - self._window_at < _WINDOW_S:
            return
        rate = self._window_bytes / (now - self._window_at)
        before, self._last_window = self._last_window, rate
        self._rate = max(rate, 1.0)
        self._begin_window(now)
        if self._tried_from:
            self._judge(rate, *self._tried_from, now)
        elif before is not None and before / _STEADY <= rate <= before * _STEADY and now >= self._hold_until:
            self._try(rate, now)

    def _begin_window(self, at: float) -> None:
        self._window_at, self._window_bytes = at, 0

    def _settle(self, changed_streams: int, now: float) -> None:
        """Wait with the next window until what has changed says what it does to the line."""
        self._buffered_bytes = abs(changed_streams) * _BUFFER_BYTES
        self._settled_at = now + _MAX_SETTLE_S
        self._begin_window(now + _SETTLE_S)

    def _try(self, rate: float, now: float) -> None:
        streams = self.streams // 2 if self._tries_fewer else self.streams * 2
        if not 1 <= streams <= _MAX_STREAMS:
            self._tries_fewer = not self._tries_fewer
        elif len(self._queue) > min(streams, self.streams):
            self._tried_from = self.streams, rate
            self._settle(streams - self.streams, now)
            self.streams = streams

    def _judge(self, rate: float, streams: int, before: float, now: float) -> None:
        """Keep what was tried if it made half of the difference that it makes where each stream has its own limit."""
        self._tried_from = None
        if rate >= before * (1 + 0.5 * (self.streams / streams - 1)):
            self._hold_s = _HOLD_S
            return  # good: further in this direction at the next window
        was_fewer = self.streams < streams
        self._settle(streams - self.streams, now)
        self.streams = streams
        self._last_window = None
        self._tries_fewer = not was_fewer and streams > 1
        if not self._tries_fewer:
            self._hold_until = now + self._hold_s
            self._hold_s = min(self._hold_s * 2, _MAX_HOLD_S)


class Line:
    """`Turns` for threads.

    Args:
        clock: seconds, as those of `deadline_s`.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._turns = Turns()
        self._changed = threading.Condition()

    @contextmanager
    def download(self, size_bytes: int | None, deadline_s: float) -> Iterator[Callable[[int], None]]:
        """A download of so many bytes, None if nobody knows.

        Returns:
            What to call before the first read with 0 and after each read with its bytes; it waits for the next turn,
            at most until `deadline_s`.
        """
        with self._changed:
            key = self._turns.enter(size_bytes, self._clock())

        def wait_for_turn(read_bytes: int) -> None:
            with self._changed:
                if read_bytes and self._turns.note(key, read_bytes, self._clock()):
                    self._changed.notify_all()
                while not self._may_read(key) and self._clock() < deadline_s:
                    self._changed.wait(_CHECK_S)

        try:
            yield wait_for_turn
        finally:
            with self._changed:
                self._turns.leave(key)
                self._changed.notify_all()

    def _may_read(self, key: int) -> bool:
        streams = self._turns.streams
        may_read = self._turns.may_read(key, self._clock())
        if self._turns.streams > streams:
            self._changed.notify_all()
        return may_read
