"""A client may hurry for a moment, and not forever."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dreamina_ui.web.middleware import request_pace
from dreamina_ui.web.middleware.request_limits import (
    MAX_PER_SECOND_OF_CLIENT,
    MAX_PER_SECOND_OF_UNKNOWN,
    MAX_PER_SECOND_OF_VISITOR,
    RequestLimits,
    _kind_of,
)
from dreamina_ui.web.middleware.request_pace import BURST_S, RequestPace
from tests.web.middleware.test_request_limits import response_of


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
    assert 0 < pace.wait_s({"a": 10.0}) <= 0.1
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
    ("host", "cookie", "rate"),
    [
        ("198.51.100.1", "", MAX_PER_SECOND_OF_CLIENT),
        ("127.0.0.1", "dreamina_visitor=" + "v" * 40, MAX_PER_SECOND_OF_VISITOR),
    ],
)
def test_a_flood_of_one_client_is_refused_early(host: str, cookie: str, rate: float) -> None:
    """Lists and searches cost as much as anything that changes something."""

    async def respond(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    limits = RequestLimits(respond)
    limits._pace = RequestPace(_Clock())

    async def flood() -> list[int | None]:
        asked = [await response_of(limits, path="/dreamina/library", client=host, cookie=cookie) for _ in range(1000)]
        return [response.status for response in asked]

    codes = asyncio.run(flood())
    assert codes == [200] * int(rate * BURST_S) + [429] * (1000 - int(rate * BURST_S))


def test_a_new_cookie_with_each_request_is_no_way_around() -> None:
    """Behind a proxy that nobody declared, all strangers come from this machine; who was there before gets through."""

    async def respond(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    limits = RequestLimits(respond)
    limits._pace = RequestPace(_Clock())

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
    """A page loads dozens of small files at once; they are not counted."""
    assert _kind_of({"method": "GET", "path": path, "type": "http"}) == kind
