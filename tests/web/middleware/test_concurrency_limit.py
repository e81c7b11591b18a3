"""A burst of one client waits behind itself, and nobody else does."""

from __future__ import annotations

import asyncio

import pytest

from dreamina_ui.web.middleware import concurrency_limit
from dreamina_ui.web.middleware.concurrency_limit import MAX_AT_ONCE, ConcurrencyLimit


class Story:
    """Requests that are worked on until they may respond."""

    def __init__(self) -> None:
        self.limit = ConcurrencyLimit()
        self.begun: list[str] = []
        self.refused: list[str] = []
        self.respond: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def request(self, client: str, name: str) -> None:
        self.respond[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._handle(client, name))
        await asyncio.sleep(0)

    async def _handle(self, client: str, name: str) -> None:
        async with self.limit.slot(client) as end:
            if end is None:
                self.refused.append(name)
                return
            self.begun.append(name)
            await self.respond[name].wait()
            end()
            end()
            await asyncio.Event().wait()  # a stream that lasts

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    def stop(self) -> None:
        for task in self.tasks.values():
            task.cancel()


@pytest.fixture(autouse=True)
def _slots_end_by_themselves_never(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concurrency_limit, "MAX_HOLD_S", 3600.0)


def test_a_burst_waits_and_somebody_else_does_not() -> None:
    """Fourteen hundred requests of a stranger once kept a visitor waiting for fifteen seconds."""

    async def tell() -> None:
        story = Story()
        for number in range(50):
            await story.request("a", f"a{number}")
        assert len(story.begun) == MAX_AT_ONCE
        await story.request("b", "b")
        assert story.begun[-1] == "b"
        story.respond["a3"].set()
        await story.settle()
        assert story.begun[-1] == f"a{MAX_AT_ONCE}", "one after another, also after streams that last"
        story.stop()
        await story.settle()
        assert not story.limit._counts
        assert not story.limit._waiting

    asyncio.run(tell())


def test_who_leaves_while_waiting_takes_no_turn() -> None:
    """Turns must not get lost, or a client would wait forever."""

    async def tell() -> None:
        story = Story()
        for number in range(MAX_AT_ONCE + 3):
            await story.request("a", f"a{number}")
        story.tasks[f"a{MAX_AT_ONCE}"].cancel()
        await story.settle()
        story.respond["a0"].set()
        await asyncio.sleep(0)
        story.tasks[f"a{MAX_AT_ONCE + 1}"].cancel()  # perhaps in the moment in which its turn came
        await story.settle()
        story.respond["a1"].set()
        await story.settle()
        assert f"a{MAX_AT_ONCE + 2}" in story.begun
        story.stop()
        await story.settle()
        assert not story.limit._counts

    asyncio.run(tell())


def test_there_is_an_end_to_how_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each holds a connection."""
    monkeypatch.setattr(concurrency_limit, "MAX_WAITING", 2)

    async def tell() -> None:
        story = Story()
        for number in range(MAX_AT_ONCE + 4):
            await story.request("a", f"a{number}")
        assert story.refused == [f"a{MAX_AT_ONCE + 2}", f"a{MAX_AT_ONCE + 3}"]
        story.stop()

    asyncio.run(tell())


def test_a_turn_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half-open bodies, and calls that wait for a job, must not hold up their client's other requests."""
    monkeypatch.setattr(concurrency_limit, "MAX_HOLD_S", 0.0)

    async def tell() -> None:
        story = Story()
        for number in range(3 * MAX_AT_ONCE):
            await story.request("a", f"a{number}")
        while len(story.begun) < 3 * MAX_AT_ONCE:
            await asyncio.sleep(0.001)
        story.stop()

    asyncio.run(asyncio.wait_for(tell(), 60))
