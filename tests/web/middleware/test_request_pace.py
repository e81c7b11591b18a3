"""A client may hurry for a moment, and not forever."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dreamina_ui.web.middleware import request_pace
from dreamina_ui.web.middleware.pace_limits import (
    MAX_FILES_PER_SECOND_OF_VISITOR,
    MAX_PER_SECOND_OF_CLIENT,
    MAX_PER_SECOND_OF_UNKNOWN,
    MAX_PER_SECOND_OF_VISITOR,
    MAX_WAITING,
    PaceLimits,
)
from dreamina_ui.web.middleware.request_limits import kind_of
from dreamina_ui.web.middleware.request_pace import BURST_S, RequestPace
from tests.web.middleware.test_request_limits import response_of

VISITOR = "dreamina_visitor=" + "v" * 40


async def _respond(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def _limits() -> PaceLimits:
    """Limits at which time stands still, and refusals do not wait."""
    return PaceLimits(_respond, RequestPace(_Clock()), delay_s=0)


class _Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_name_has_its_burst_and_then_its_rate() -> None:
    """One program in a loop takes the CPU from everybody."""
    clock = _Clock()
    pace = RequestPace(clock)
    assert sum(pace.wait_s({"a": 10.0}) == 0 for _ in range(1000)) == 10 * BURST_S
    assert pace.wait_s({"a": 10.0}) == pytest.approx(0.1)
    assert pace.wait_s({"b": 10.0}) == 0, "others do not wait"
    clock.now_s = 2.05
    assert sum(pace.wait_s({"a": 10.0}) == 0 for _ in range(1000)) == 20


def test_names_are_forgotten_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """New cookies cost a stranger nothing."""
    monkeypatch.setattr(request_pace, "MAX_NAMES", 10)
    pace = RequestPace(_Clock())
    for number in range(100):
        pace.wait_s({str(number): 1.0})
    assert len(pace._debts) == 10


@pytest.mark.parametrize(
    ("host", "cookie", "path", "rate"),
    [
        ("198.51.100.1", "", "/dreamina/library", MAX_PER_SECOND_OF_CLIENT),
        ("127.0.0.1", VISITOR, "/dreamina/library", MAX_PER_SECOND_OF_VISITOR),
        ("127.0.0.1", VISITOR, "/dreamina/files/k/original/a.png", MAX_FILES_PER_SECOND_OF_VISITOR),
        ("127.0.0.1", VISITOR, "/nothing", MAX_PER_SECOND_OF_VISITOR),
    ],
)
def test_a_flood_of_one_client_is_refused_early(host: str, cookie: str, path: str, rate: float) -> None:
    """Lists and searches cost as much as anything that changes something, and files that are not there a little."""
    limits = _limits()

    async def flood() -> list[int | None]:
        asked = [await response_of(limits, path=path, client=host, cookie=cookie) for _ in range(1000)]
        return [response.status for response in asked]

    codes = asyncio.run(flood())
    assert codes == [200] * int(rate * BURST_S) + [429] * (1000 - int(rate * BURST_S))


def test_images_do_not_use_up_what_new_jobs_need() -> None:
    """Whoever scrolls through a large library can still generate."""
    limits = _limits()

    async def story() -> tuple[list[int | None], int | None]:
        path = "/dreamina/files/k/thumbnail/a.webp"
        images = [await response_of(limits, path=path, client="127.0.0.1", cookie=VISITOR) for _ in range(1000)]
        job = await response_of(limits, method="POST", path="/dreamina/generate", client="127.0.0.1", cookie=VISITOR)
        return [image.status for image in images], job.status

    images, job = asyncio.run(story())
    assert images[-1] == 429
    assert job == 200


def test_monitoring_of_this_machine_is_never_refused() -> None:
    """A flood must not make an orchestrator restart the server."""
    limits = _limits()

    async def codes(client: str) -> set[int | None]:
        return {(await response_of(limits, path="/healthz", client=client)).status for _ in range(4000)}

    assert asyncio.run(codes("127.0.0.1")) == {200}
    assert asyncio.run(codes("198.51.100.1")) == {200, 429}


def test_a_refusal_waits_and_others_do_not() -> None:
    """While it waits, nothing more is read from its connection: a flood slows itself down."""

    async def story() -> None:
        limits = PaceLimits(_respond, RequestPace(_Clock()), delay_s=3600)
        ask: dict[str, Any] = {"path": "/dreamina/library", "client": "127.0.0.1", "cookie": VISITOR}
        for _ in range(int(MAX_PER_SECOND_OF_VISITOR * BURST_S)):
            assert (await response_of(limits, **ask)).status == 200
        waiting = [asyncio.create_task(response_of(limits, **ask)) for _ in range(MAX_WAITING)]
        await asyncio.sleep(0)
        assert (await response_of(limits, **ask)).status == 429, "there is an end to how many wait"
        assert (await response_of(limits, path="/", client="127.0.0.1", cookie="")).status == 200
        assert not any(task.done() for task in waiting)
        for task in waiting:
            task.cancel()

    asyncio.run(story())


def test_a_new_cookie_with_each_request_is_no_way_around() -> None:
    """Behind a proxy that nobody declared, all strangers come from this machine; who was there before gets through."""
    limits = _limits()

    async def ask(number: int) -> int | None:
        cookie = f"dreamina_visitor={number:040}"
        return (await response_of(limits, path="/dreamina/library", client="127.0.0.1", cookie=cookie)).status

    async def flood() -> list[int | None]:
        return [await ask(number) for number in (*range(3000), 0)]

    codes = asyncio.run(flood())
    allowed = int(MAX_PER_SECOND_OF_UNKNOWN * BURST_S)
    assert codes == [200] * allowed + [429] * (3000 - allowed) + [200]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/dreamina/library", "read"), ("/dreamina/costs", "read"), ("/dreamina/jobs", "read"), ("/", "read"),
        ("/dreamina/files/k/with-settings/a.png", "read"), ("/config", "read"), ("/dreamina/batches", "read"),
        ("/dreamina/owner/overview", "read"), ("/dreamina/inputs/x/a.png", "read"), ("/dreamina/library/zip", "stream"),
        ("/dreamina/files/k/thumbnail/a.webp", None), ("/dreamina/assets/d/page.js", None), ("/assets/a.js", None),
        ("/dreamina/given/a.webp", None), ("/healthz", None),
    ],
)  # fmt: skip
def test_heavy_reads_are_counted(path: str, kind: str | None) -> None:
    """A page loads dozens of small files at once; they have a count of their own."""
    assert kind_of({"method": "GET", "path": path, "type": "http"}) == kind
