"""The sign-in page, which needs no script: the owner's password makes this browser the owner's."""

from __future__ import annotations

import hmac
import html
import math

from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from dreamina_ui.ui.access import Access, is_direct
from dreamina_ui.ui.objects import PREFIX
from dreamina_ui.ui.routes import asset_path, language_of, read_json, same_site
from dreamina_ui.ui.sessions import COOKIE, LASTS_S, Tries
from dreamina_ui.ui.visitor import address_of, set_cookie, visitor_id
from dreamina_ui.ui.wording import say

PLACES = {"": "../", "owner": "owner"}
"""Where `next` may lead after signing in, as addresses relative to the sign-in page: nothing else, so no other site."""


def build_sign_in_routes(
    access: Access, owner_password: SecretStr | None, tries: Tries | None = None
) -> list[BaseRoute]:
    """The sign-in page and the way out again; none where nobody can sign in."""
    if owner_password is None:
        return []
    here = _SignInRoutes(access, owner_password, tries or Tries())
    return [
        Route(f"/{PREFIX}/sign-in", here.page),
        Route(f"/{PREFIX}/sign-in", same_site(here.sign_in), methods=["POST"]),
        Route(f"/{PREFIX}/sign-out", same_site(here.sign_out), methods=["POST"]),
    ]


class _SignInRoutes:
    def __init__(self, access: Access, owner_password: SecretStr, tries: Tries) -> None:
        self._access = access
        self._owner_password = owner_password.get_secret_value().encode()
        self._tries = tries
        self._known_visitors: set[str] = set()

    async def page(self, request: Request) -> Response:
        """The form, or the way out for who has signed in."""
        return self._page(request, request.query_params.get("next", ""))

    async def sign_in(self, request: Request) -> Response:
        """Check `password`, given as a form or as JSON, and lead to `next`.

        Returns:
            303 for a form, `{"next": str}` for JSON; 401 when the password is wrong, 429 when it is too early.
        """
        is_json = request.headers.get("content-type", "").startswith("application/json")
        given = await (read_json(request) if is_json else _read_form(request))
        following = str(given.get("next") or "")
        visitor = visitor_id(request.headers.get("cookie"))
        is_here, is_known = is_direct(request), visitor in self._known_visitors
        address = address_of(request.client.host if request.client else None)
        guesser = "here" if is_here else visitor if visitor and is_known else f"address {address}"
        wait_s = self._tries.begin(guesser, is_trusted=is_here or is_known)
        password = str(given.get("password") or "").encode(errors="surrogatepass")
        if wait_s or not hmac.compare_digest(password, self._owner_password):
            key, status = ("sign_in_wait", 429) if wait_s else ("sign_in_wrong", 401)
            text = say(language_of(request), key, seconds=math.ceil(wait_s))
            answer = JSONResponse({"message": text}) if is_json else self._page(request, following, text)
            answer.status_code = status
            if wait_s:
                answer.headers["Retry-After"] = str(math.ceil(wait_s))
            return answer
        self._tries.succeeded(guesser)
        if visitor:
            self._known_visitors.add(visitor)
        self._access.sessions.end(request.headers.get("cookie"))
        token = self._access.sessions.begin()
        place = PLACES.get(following, PLACES[""])
        answer = JSONResponse({"next": place}) if is_json else RedirectResponse(place, 303)
        answer.headers["Set-Cookie"] = set_cookie(request, COOKIE, token, int(LASTS_S))
        answer.headers["Cache-Control"] = "no-store"
        return answer

    async def sign_out(self, request: Request) -> Response:
        """End the session, here and in the server's memory."""
        self._access.sessions.end(request.headers.get("cookie"))
        cookie = set_cookie(request, COOKIE, "", 0)
        return RedirectResponse("sign-in", 303, headers={"Set-Cookie": cookie, "Cache-Control": "no-store"})

    def _page(self, request: Request, following: str, problem: str = "") -> Response:
        language = language_of(request)

        def text(key: str) -> str:
            return html.escape(say(language, key))

        if self._access.session(request):
            body = f"""<p>{text("signed_in_owner")}</p>
<form method="post" action="sign-out"><button>{text("sign_out")}</button></form>"""
        else:
            alert = f'<p role="alert">{html.escape(problem)}</p>' if problem else ""
            body = f"""{alert}<form method="post" action="sign-in">
<input type="hidden" name="next" value="{html.escape(following if following in PLACES else "")}">
<label>{text("sign_in_owner_password")}
<input type="password" name="password" required autofocus autocomplete="current-password" maxlength="1000"></label>
<button>{text("sign_in")}</button></form>"""
        style = asset_path("sign-in.css").removeprefix(f"{PREFIX}/")
        page = f"""<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><title>{text("sign_in")} · Dreamina UI</title>
<meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">
<link rel="stylesheet" href="{style}"></head>
<body><main><h1>Dreamina UI</h1>{body}<p><a href="../">{text("sign_in_back")}</a></p></main></body></html>"""
        return Response(page, media_type="text/html", headers={"Cache-Control": "no-store"})


async def _read_form(request: Request) -> dict[str, object]:
    async with request.form(max_files=0, max_fields=8) as form:
        return dict(form)
