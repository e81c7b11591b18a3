"""The sign-in page, which needs no script, and the way in for programs."""

from __future__ import annotations

import html
import math
from collections.abc import Callable
from contextlib import suppress

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from dreamina_ui.errors import LedgerError
from dreamina_ui.web.auth.login_wall import Authenticator
from dreamina_ui.web.auth.permissions import KEY_COOKIE, session_token
from dreamina_ui.web.auth.sessions import COOKIE, LASTS_S
from dreamina_ui.web.auth.visitor import set_cookie
from dreamina_ui.web.http import language_of, read_json, same_site
from dreamina_ui.web.i18n.translate import translate
from dreamina_ui.web.paths import PREFIX, asset_path, head_links

PLACES = {"": "../", "owner": "owner"}
"""Where `next` may lead after signing in, as addresses relative to the sign-in page: nothing else, so no other site."""


def build_sign_in_routes(
    gate: Authenticator, forget_key: Callable[[str], None] = lambda session: None
) -> list[BaseRoute]:
    """The sign-in page and the way out again; none where nobody can sign in.

    Args:
        forget_key: forgets the RunComfy key of a session; may raise LedgerError.
    """
    if not gate.has_sign_in:
        return []
    here = _SignInRoutes(gate, forget_key)
    return [
        Route(f"/{PREFIX}/sign-in", here.page),
        Route(f"/{PREFIX}/sign-in", same_site(here.sign_in), methods=["POST"]),
        Route(f"/{PREFIX}/sign-out", same_site(here.sign_out), methods=["POST"]),
        # Where Gradio's client signs in; Gradio's own routes of these names count no tries.
        Route("/login", same_site(here.login), methods=["POST"]),
        Route("/login/", same_site(here.login), methods=["POST"]),
    ]


class _SignInRoutes:
    def __init__(self, gate: Authenticator, forget_key: Callable[[str], None]) -> None:
        self._gate = gate
        self._forget_key = forget_key
        self._sessions = gate.access.sessions

    async def page(self, request: Request) -> Response:
        """The form, or the way out for who has signed in."""
        return self._page(request, request.query_params.get("next", ""))

    async def sign_in(self, request: Request) -> Response:
        """Check `username` and `password`, given as a form or as JSON, and lead to `next`.

        Returns:
            303 for a form, `{"next": str}` for JSON; 401 when they are wrong, 429 when it is too early.
        """
        is_json = request.headers.get("content-type", "").startswith("application/json")
        given = await (read_json(request) if is_json else _read_form(request))
        name, following = _text(given, "username").strip(), _text(given, "next")
        wait_s = await self._gate.check(request, name, _text(given, "password"))
        if wait_s:
            return self._refusal(request, wait_s, following, as_json=is_json)
        place = PLACES.get(following, PLACES[""])
        return self._begin(request, JSONResponse({"next": place}) if is_json else RedirectResponse(place, 303), name)

    async def login(self, request: Request) -> Response:
        """Sign in as `gradio_client.Client(address, auth=(name, password))` does: the answer is only a cookie."""
        given = await _read_form(request)
        name = _text(given, "username").strip()
        wait_s = await self._gate.check(request, name, _text(given, "password"))
        if wait_s:
            return self._refusal(request, wait_s, as_json=True)
        return self._begin(request, JSONResponse({"success": True}), name)

    async def sign_out(self, request: Request) -> Response:
        """End the session, here and in the server's memory; so does the RunComfy key that the person gave in it."""
        access = self._gate.access
        answer = RedirectResponse("sign-in", 303, headers={"Cache-Control": "no-store"})
        if access.person(request) and (key := access.key_session(request)):
            with suppress(LedgerError):  # the key is forgotten all the same
                await run_in_threadpool(self._forget_key, key)
            answer.headers.append("Set-Cookie", set_cookie(request, KEY_COOKIE, "", 0))
        self._sessions.end(session_token(request))
        answer.headers.append("Set-Cookie", set_cookie(request, COOKIE, "", 0))
        return answer

    def _begin(self, request: Request, answer: Response, name: str) -> Response:
        self._sessions.end(session_token(request))
        token = self._sessions.begin(name or None)
        answer.headers["Set-Cookie"] = set_cookie(request, COOKIE, token, int(LASTS_S))
        answer.headers["Cache-Control"] = "no-store"
        return answer

    def _refusal(self, request: Request, wait_s: float, following: str = "", *, as_json: bool) -> Response:
        is_early = wait_s < math.inf
        seconds = math.ceil(wait_s) if is_early else 0
        text = translate(language_of(request), "sign_in_wait" if is_early else "sign_in_wrong", seconds=seconds)
        answer = JSONResponse({"message": text}) if as_json else self._page(request, following, text)
        answer.status_code = 429 if is_early else 401
        if is_early:
            answer.headers["Retry-After"] = str(seconds)
        return answer

    def _page(self, request: Request, following: str, problem: str = "") -> Response:
        language = language_of(request)

        def text(key: str, **values: str) -> str:
            return html.escape(translate(language, key, **values))

        body = ""
        profile = self._gate.access.hugging_face(request)
        if profile:
            body = f"""<p>{text("signed_in_as", name=profile.name)}</p>
<p><a class="button" href="../logout">{text("sign_out")}</a></p>"""
        elif self._gate.access.uses_hugging_face:
            # In a tab of its own: Hugging Face's page does not open in the frame that a Space lives in.
            body = f"""<p><a class="button" href="../login/huggingface" target="_blank"
rel="noopener">{text("sign_in_hugging_face")}</a></p>"""
        if session := self._gate.access.session(request):
            who = text("signed_in_as", name=session.name) if session.name else text("signed_in_owner")
            body += f"""<p>{who}</p>
<form method="post" action="sign-out"><button>{text("sign_out")}</button></form>"""
        elif self._gate.is_closed or self._gate.has_owner_password:
            alert = f'<p role="alert">{html.escape(problem)}</p>' if problem else ""
            both = self._gate.is_closed and self._gate.has_owner_password
            hint = f"<small>{text('sign_in_name_hint')}</small>" if both else ""
            focus = "" if self._gate.is_closed else " autofocus"
            name = f"""<label>{text("sign_in_name")}{hint}
<input name="username" autofocus autocomplete="username" autocapitalize="none" maxlength="200"></label>
"""
            body += f"""{alert}<form method="post" action="sign-in">
<input type="hidden" name="next" value="{html.escape(following if following in PLACES else "")}">
{name if self._gate.is_closed else ""}<label>
{text("sign_in_password" if self._gate.is_closed else "sign_in_owner_password")}
<input type="password" name="password" required{focus}
autocomplete="current-password" maxlength="1000"></label>
<button>{text("sign_in")}</button></form>"""
        is_outside = self._gate.is_closed and not session
        back = "" if is_outside else f'<p><a href="../">{text("sign_in_back")}</a></p>'
        logo = asset_path("logo.svg").removeprefix(f"{PREFIX}/")
        page = f"""<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><title>{text("sign_in")} · Dreamina UI</title>
<meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">
{head_links("sign-in.css")}</head>
<body><main><h1><img src="{logo}" alt="" width="32" height="32">Dreamina UI</h1>{body}{back}</main></body></html>"""
        return Response(page, media_type="text/html", headers={"Cache-Control": "no-store"})


async def _read_form(request: Request) -> dict[str, object]:
    async with request.form(max_files=0, max_fields=16) as form:
        return dict(form)


def _text(given: dict[str, object], key: str) -> str:
    value = given.get(key)
    return value if isinstance(value, str) else ""
