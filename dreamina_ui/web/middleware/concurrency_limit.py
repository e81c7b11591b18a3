"""Who is worked for: a few requests of each client at once, so that a thousand of one client wait behind one another.

The event loop itself takes requests in the order in which they come, and everybody would wait for all of a burst.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

MAX_AT_ONCE = 8
MAX_HOLD_S = 0.25
"""How long a request counts as being worked on, at most: after that it waits for something else, such as its body or a
job."""

MAX_WAITING = 1000
"""How many requests wait for a slot, of all clients."""


class ConcurrencyLimit:
    """Counts the requests of each client that are worked on; used only in one event loop."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._total_waiting = 0

    @asynccontextmanager
    async def slot(self, client: str) -> AsyncIterator[Callable[[], None] | None]:
        """Wait for a slot, and hold it until the end, or until what is yielded is called, or for `MAX_HOLD_S`.

        Yields None, at once, where too many wait.
        """
        if self._counts.get(client, 0) < MAX_AT_ONCE:
            self._counts[client] = self._counts.get(client, 0) + 1
        elif self._total_waiting >= MAX_WAITING:
            yield None
            return
        else:
            await self._wait(client)
        is_over = False

        def end() -> None:
            nonlocal is_over
            if not is_over:
                is_over = True
                timer.cancel()
                self._pass_on(client)

        timer = asyncio.get_running_loop().call_later(MAX_HOLD_S, end)
        try:
            yield end
        finally:
            end()

    async def _wait(self, client: str) -> None:
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(client, deque()).append(granted)
        self._total_waiting += 1
        try:
            await granted
        except BaseException:
            if granted.done() and not granted.cancelled():
                self._pass_on(client)  # it came in the same moment as the end of the request
            raise
        finally:
            self._total_waiting -= 1

    def _pass_on(self, client: str) -> None:
        """Give a slot that was freed to the next request of the client that still waits."""
        waiting = self._waiting.get(client, deque())
        while waiting:
            granted = waiting.popleft()
            if not granted.done():
                granted.set_result(None)
                return
        self._waiting.pop(client, None)
        self._counts[client] -= 1
        if not self._counts[client]:
            del self._counts[client]
