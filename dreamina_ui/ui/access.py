"""Who is asking, and whose jobs they may see: the one place that answers both, for every route and every press.

A visitor sees their own jobs; the owner sees everything, and so does whoever sits at an installation that nobody else
reaches.
"""

from __future__ import annotations

from starlette.requests import HTTPConnection

from dreamina_ui.job import Job
from dreamina_ui.settings import is_loopback
from dreamina_ui.ui.sessions import Session, Sessions
from dreamina_ui.ui.visitor import visitor_id

NOBODY = "nobody"


class Access:
    """Who may see what.

    Args:
        is_shared: whether others than the person at this machine may reach the page.
        sessions: who has signed in.
    """

    def __init__(self, *, is_shared: bool, sessions: Sessions | None = None) -> None:
        self._is_shared = is_shared
        self.sessions = sessions or Sessions()

    def visitor(self, request: HTTPConnection) -> str | None:
        """The visitor_id of who asks; None for a program, and for a browser that keeps no identity."""
        return visitor_id(request.headers.get("cookie"))

    def session(self, request: HTTPConnection) -> Session | None:
        """The session of a browser that has signed in."""
        return self.sessions.find(request.headers.get("cookie"))

    def is_owner(self, request: HTTPConnection) -> bool:
        """Whether the owner asks: signed in, or at an installation that nobody else reaches."""
        return (not self._is_shared and is_direct(request)) or self.session(request) is not None

    def scope(self, request: HTTPConnection) -> str | None:
        """The visitor_id whose jobs a request may see, None for everybody's; `NOBODY` without an identity."""
        return None if self.is_owner(request) else self.visitor(request) or NOBODY

    def may_see(self, request: HTTPConnection, job: Job) -> bool:
        """Whether a request may see and change a job."""
        scope = self.scope(request)
        return scope is None or job.visitor_id == scope


def is_direct(request: HTTPConnection) -> bool:
    """Whether a request comes straight from this machine.

    A tunnel or proxy on this machine shows in the name that the browser asked for, or in its headers.
    """
    host = request.headers.get("host", "").rsplit(":", 1)[0].strip("[]")
    return is_loopback(host) and not any(name.startswith("x-forwarded") for name in request.headers)
