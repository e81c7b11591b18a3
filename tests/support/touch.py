"""Fingers on a page, through Chromium's own input: what a page gets is what a touch screen sends."""

from __future__ import annotations

from collections.abc import Sequence

from playwright.sync_api import CDPSession, Page

Point = tuple[float, float]
STEPS = 6


class Touch:
    """Touches a page; coordinates are CSS pixels of the window."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._session: CDPSession = page.context.new_cdp_session(page)

    def swipe(self, start: Point, end: Point) -> None:
        """Move one finger quickly along a line."""
        self._draw([[start, end]])

    def pinch(self, center: Point, start: float, end: float) -> None:
        """Move two fingers beside each other from one distance to another."""
        (x, y), a, b = center, start / 2, end / 2
        self._draw([[(x - a, y), (x - b, y)], [(x + a, y), (x + b, y)]])

    def hold(self, point: Point, ms: int = 700) -> None:
        """Keep one finger where it is."""
        self._send("touchStart", [point])
        self._page.wait_for_timeout(ms)
        self._send("touchEnd", [])

    def double_tap(self, point: Point) -> None:
        for _ in range(2):
            self._send("touchStart", [point])
            self._send("touchEnd", [])

    def _draw(self, lines: Sequence[Sequence[Point]]) -> None:
        for step in range(STEPS + 1):
            part = step / STEPS
            points = [
                (start[0] + (end[0] - start[0]) * part, start[1] + (end[1] - start[1]) * part) for start, end in lines
            ]
            self._send("touchMove" if step else "touchStart", points)
        self._send("touchEnd", [])

    def _send(self, kind: str, points: Sequence[Point]) -> None:
        touches = [{"x": x, "y": y, "id": index} for index, (x, y) in enumerate(points)]
        self._session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})
