"""What every route of ours needs: the language, a JSON body, the guard against other sites, and a refusal."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dreamina_ui.errors import DreaminaError
from dreamina_ui.web.auth.visitor import cookie_of, is_cross_site
from dreamina_ui.web.i18n.translate import error_text, languages, pick_language

IMMUTABLE = "private, max-age=31536000, immutable"
PUBLIC_IMMUTABLE = "public, max-age=31536000, immutable"
MAX_BODY_BYTES = 1_000_000
LANGUAGE_COOKIE = "dreamina_language"
"""The language that was chosen on the page, which writes it: the owner's view and the sign-in page follow it, too."""

Endpoint = Callable[[Request], Awaitable[Response]]


def language_of(request: Request) -> str:
    """The language that the page asks for, or that was chosen on it, or the browser's."""
    chosen = cookie_of(request.headers.get("cookie"), LANGUAGE_COOKIE)
    wishes = (request.query_params.get("language", ""), chosen)
    found = (wish for wish in wishes if wish in languages())
    return next(found, None) or pick_language(request.headers.get("accept-language"))


def same_site(endpoint: Endpoint) -> Endpoint:
    """Refuse requests that another site's page makes."""

    async def guarded(request: Request) -> Response:
        return Response("Not from another site.", 403) if is_cross_site(request.headers) else await endpoint(request)

    return guarded


async def read_json(request: Request) -> dict[str, Any]:
    """A request's JSON object; `{}` for anything else, too large or not."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            return {}
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def refusal(exc: DreaminaError, language: str, titles: Mapping[str, str] | None = None) -> Response:
    """The answer to a request that failed: `{"message": str}`.

    Args:
        titles: names of fields as the form shows them, by schema key.
    """
    return JSONResponse({"message": error_text(exc, language, titles)}, exc.http_status)
