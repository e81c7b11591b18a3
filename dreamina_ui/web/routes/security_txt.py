"""The route `/.well-known/security.txt`: whom to tell about a vulnerability of this installation.

Source: RFC 9116.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from dreamina_ui.web.i18n.translate import languages
from dreamina_ui.web.paths import SECURITY_TXT

VALIDITY = timedelta(days=180)


def build_security_txt_routes(contact: str, clock: Callable[[], float]) -> list[BaseRoute]:
    """The route; none without a contact.

    Args:
        contact: a URL, such as `mailto:security@example.com`; `""` for none.
        clock: seconds since 1970.
    """

    async def read(request: Request) -> Response:
        expires = datetime.fromtimestamp(clock(), timezone.utc).replace(microsecond=0) + VALIDITY
        lines = (
            f"Contact: {contact}",
            f"Expires: {expires.isoformat().replace('+00:00', 'Z')}",
            f"Preferred-Languages: {', '.join(languages())}",
        )
        return PlainTextResponse("".join(f"{line}\n" for line in lines), headers={"Cache-Control": "max-age=86400"})

    return [Route(SECURITY_TXT, read)] if contact else []
