"""The sign-in page, which needs no JavaScript, and signing in for programs."""

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
from dreamina_ui.web.auth.permissions import KEY_COOKIE, read_session_cookie
from dreamina_ui.web.auth.sessions import SESSION_COOKIE, SESSION_TTL_S
from dreamina_ui.web.http import json_in_html, language_of, read_json, refusal, set_cookie
from dreamina_ui.web.i18n.translate import translate
from dreamina_ui.web.middleware.script_nonce import nonce_of
from dreamina_ui.web.paths import PREFIX, asset_path, head_links

CLEARED_DATA = '"cache", "storage"'
"""What a browser forgets at a sign-out. Not all cookies: those of sibling hosts would go, too; ours go one by one."""

_SIGNED_OUT = "signed_out"
"""In the query of the sign-in page: it forgets what this installation stored, where the site is not ours alone."""

NEXT_PAGES = {"": "../", "owner": "owner"}
"""Where `next` may lead after signing in, as URLs relative to the sign-in page: nothing else, so no other site."""


def build_login_routes(
    authenticator: Authenticator,
    forget_key: Callable[[str], None] = lambda session: None,
    *,
    shared_site_id: str = "",
) -> list[BaseRoute]:
    """The routes to sign in and out; none where nobody can sign in.

    Args:
        forget_key: forgets the RunComfy key of a session; may raise LedgerError.
        shared_site_id: the id of this installation if it has only a path of its site; others have theirs beside it.
    """
    if not authenticator.has_sign_in:
        return []
    handlers = _LoginRoutes(authenticator, forget_key, shared_site_id)
    return [
        Route(f"/{PREFIX}/sign-in", handlers.page),
        Route(f"/{PREFIX}/sign-in", handlers.sign_in, methods=["POST"]),
        Route(f"/{PREFIX}/sign-out", handlers.sign_out, methods=["POST"]),
        # Where Gradio's client signs in; Gradio's own routes of these names do not limit attempts.
        Route("/login", handlers.login, methods=["POST"]),
        Route("/login/", handlers.login, methods=["POST"]),
    ]


class _LoginRoutes:
    def __init__(self, authenticator: Authenticator, forget_key: Callable[[str], None], shared_site_id: str) -> None:
        self._authenticator = authenticator
        self._forget_key = forget_key
        self._shared_site_id = shared_site_id
        self._sessions = authenticator.permissions.sessions

    async def page(self, request: Request) -> Response:
        """The form to sign in, or the button to sign out."""
        return self._page(request, request.query_params.get("next", ""))

    async def sign_in(self, request: Request) -> Response:
        """Verify `username` and `password`, sent as a form or as JSON, and lead to `next`.

        Returns:
            303 for a form, `{"next": str}` for JSON; 401 when they are wrong, 429 when it is too early.
        """
        is_json = request.headers.get("content-type", "").startswith("application/json")
        fields = await (read_json(request) if is_json else _read_form(request))
        name, next_page = _text(fields, "username").strip(), _text(fields, "next")
        wait_s = await self._authenticator.verify(request, name, _text(fields, "password"))
        if wait_s:
            return self._refusal(request, wait_s, next_page, as_json=is_json)
        target = NEXT_PAGES.get(next_page, NEXT_PAGES[""])
        response = JSONResponse({"next": target}) if is_json else RedirectResponse(target, 303)
        return await self._start_session(request, response, name)

    async def login(self, request: Request) -> Response:
        """Sign in as `gradio_client.Client(url, auth=(name, password))` does: the response is only a cookie."""
        fields = await _read_form(request)
        name = _text(fields, "username").strip()
        wait_s = await self._authenticator.verify(request, name, _text(fields, "password"))
        if wait_s:
            return self._refusal(request, wait_s, as_json=True)
        return await self._start_session(request, JSONResponse({"success": True}), name)

    async def sign_out(self, request: Request) -> Response:
        """Delete the session, and the RunComfy key that was entered in it."""
        permissions = self._authenticator.permissions
        response = RedirectResponse("sign-in", 303, headers={"Cache-Control": "no-store"})
        if self._shared_site_id:  # the header would clear what other installations stored
            response.headers["Location"] = f"sign-in?{_SIGNED_OUT}"
        else:
            response.headers["Clear-Site-Data"] = CLEARED_DATA
        if permissions.person(request) and (key := permissions.key_session(request)):
            with suppress(LedgerError):  # the key is forgotten anyway
                await run_in_threadpool(self._forget_key, key)
            response.headers.append("Set-Cookie", set_cookie(request, KEY_COOKIE, "", 0))
        try:
            await self._sessions.sign_out(read_session_cookie(request))
        except LedgerError as exc:
            return refusal(exc, language_of(request))
        response.headers.append("Set-Cookie", set_cookie(request, SESSION_COOKIE, "", 0))
        return response

    async def _start_session(self, request: Request, response: Response, name: str) -> Response:
        try:
            await self._sessions.sign_out(read_session_cookie(request))
            token = await self._sessions.sign_in(name or None)
        except LedgerError as exc:
            return refusal(exc, language_of(request))
        response.headers["Set-Cookie"] = set_cookie(request, SESSION_COOKIE, token, int(SESSION_TTL_S))
        response.headers["Cache-Control"] = "no-store"
        return response

    def _refusal(self, request: Request, wait_s: float, next_page: str = "", *, as_json: bool) -> Response:
        is_early = wait_s < math.inf
        seconds = math.ceil(wait_s) if is_early else 0
        text = translate(language_of(request), "sign_in_wait" if is_early else "sign_in_wrong", seconds=seconds)
        response = JSONResponse({"message": text}) if as_json else self._page(request, next_page, text)
        response.status_code = 429 if is_early else 401
        if is_early:
            response.headers["Retry-After"] = str(seconds)
        return response

    def _page(self, request: Request, next_page: str, problem: str = "") -> Response:
        language = language_of(request)

        def text(key: str, **values: str) -> str:
            return html.escape(translate(language, key, **values))

        body = ""
        profile = self._authenticator.permissions.hugging_face(request)
        if profile:
            body = f"""<p>{text("signed_in_as", name=profile.name)}</p>
<p><a class="button" href="../logout">{text("sign_out")}</a></p>"""
        elif self._authenticator.permissions.uses_hugging_face:
            # In a tab of its own: Hugging Face's page does not open in the frame that shows a Space.
            body = f"""<p><a class="button" href="../login/huggingface" target="_blank"
rel="noopener">{text("sign_in_hugging_face")}</a></p>"""
        if session := self._authenticator.permissions.session(request):
            who = text("signed_in_as", name=session.name) if session.name else text("signed_in_owner")
            body += f"""<p>{who}</p>
<form method="post" action="sign-out"><button>{text("sign_out")}</button></form>"""
        elif self._authenticator.is_closed or self._authenticator.has_owner_password:
            alert = f'<p role="alert">{html.escape(problem)}</p>' if problem else ""
            both = self._authenticator.is_closed and self._authenticator.has_owner_password
            note = f"<small>{text('sign_in_name_hint')}</small>" if both else ""
            focus = "" if self._authenticator.is_closed else " autofocus"
            name = f"""<label>{text("sign_in_name")}{note}
<input name="username" autofocus autocomplete="username" autocapitalize="none" maxlength="200"></label>
"""
            body += f"""{alert}<form method="post" action="sign-in">
<input type="hidden" name="next" value="{html.escape(next_page if next_page in NEXT_PAGES else "")}">
{name if self._authenticator.is_closed else ""}<label>
{text("sign_in_password" if self._authenticator.is_closed else "sign_in_owner_password")}
<input type="password" name="password" required{focus}
autocomplete="current-password" maxlength="1000"></label>
<button>{text("sign_in")}</button></form>"""
        is_outside = self._authenticator.is_closed and not session
        back = "" if is_outside else f'<p><a href="../">{text("sign_in_back")}</a></p>'
        logo = asset_path("logo.svg").removeprefix(f"{PREFIX}/")
        page = f"""<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><title>{text("sign_in")} · Dreamina UI</title>
<meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">
{head_links("sign-in.css")}{self._forgetting_script(request)}</head>
<body><main><h1><img src="{logo}" alt="" width="32" height="32">Dreamina UI</h1>{body}{back}</main></body></html>"""
        return Response(page, media_type="text/html", headers={"Cache-Control": "no-store"})

    def _forgetting_script(self, request: Request) -> str:
        """What removes this installation's entries from the browser's storage, right after signing out; else `""`."""
        if not self._shared_site_id or _SIGNED_OUT not in request.query_params:
            return ""
        prefix = json_in_html(f"dreamina.{self._shared_site_id}.")
        return f"""<script nonce="{nonce_of(request.scope)}">
for (const store of [localStorage, sessionStorage])
  for (const key of Object.keys(store)) if (key.startsWith({prefix})) store.removeItem(key);
</script>"""


async def _read_form(request: Request) -> dict[str, object]:
    async with request.form(max_files=0, max_fields=16) as form:
        return dict(form)


def _text(fields: dict[str, object], key: str) -> str:
    value = fields.get(key)
    return value if isinstance(value, str) else ""
