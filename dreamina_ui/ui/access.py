"""Whose jobs a request may see: a visitor sees their own; at an installation that nobody else reaches, everything."""

from __future__ import annotations

from starlette.datastructures import Headers

from dreamina_ui.job import Job
from dreamina_ui.settings import is_loopback
from dreamina_ui.ui.visitor import visitor_id

NOBODY = "nobody"


class Access:
    """Who may see what.

    Args:
        is_shared: whether others than the person at this machine may reach the page.
    """

    def __init__(self, *, is_shared: bool) -> None:
        self._is_shared = is_shared

    def scope(self, headers: Headers) -> str | None:
        """The visitor_id whose jobs a request may see, None for everybody's; `NOBODY` without a cookie."""
        # A tunnel or proxy on this machine shows in the name that the browser asked for, or in its headers.
        host = headers.get("host", "").rsplit(":", 1)[0].strip("[]")
        is_direct = is_loopback(host) and not any(name.startswith("x-forwarded") for name in headers)
        if is_direct and not self._is_shared:
            return None
        return visitor_id(headers.get("cookie")) or NOBODY

    def may_see(self, headers: Headers, job: Job) -> bool:
        """Whether a request may see and change a job."""
        scope = self.scope(headers)
        return scope is None or job.visitor_id == scope
