"""Signed in with Hugging Face: who somebody is comes from the session that Gradio signs, and from nowhere else."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable

import gradio.oauth
import itsdangerous
import pytest
from gradio.routes import App
from starlette.routing import Route
from starlette.testclient import TestClient

from dreamina_ui.settings import read_settings
from dreamina_ui.web.auth.login_wall import Authenticator
from dreamina_ui.web.auth.permissions import Permissions
from dreamina_ui.web.auth.visitor import person_id
from dreamina_ui.web.gradio_page.endpoints import Endpoints
from dreamina_ui.web.gradio_page.page import build_page
from dreamina_ui.web.routes.login import build_login_routes
from tests.support.harness import MODEL_ID, Harness
from tests.web.gradio_page.test_login_page import tell

SECRET = "the-secret-of-the-space"
SPACE = {"SYSTEM": "spaces", "SPACE_ID": "me/dreamina", "OAUTH_CLIENT_ID": "id"}


@pytest.fixture
def space(monkeypatch: pytest.MonkeyPatch, harness: Harness) -> Callable[..., TestClient]:
    """The page with Gradio's own sign-in, as on a Space; `/who` tells who asks."""
    for name, value in SPACE.items():
        monkeypatch.setenv(name, value)
    provider = {"CLIENT_ID": "id", "CLIENT_SECRET": SECRET, "SCOPES": "openid profile"}
    for name, value in provider.items():
        monkeypatch.setattr(gradio.oauth, f"OAUTH_{name}", value)
    monkeypatch.setattr(gradio.oauth, "OPENID_PROVIDER_URL", "https://huggingface.co")
    access = Permissions(is_shared=True, owners=["olga"], uses_hugging_face=True)
    endpoints = Endpoints(harness.services, harness.presenter, access)
    page, _, _ = build_page(harness.models, harness.models[MODEL_ID], access, endpoints, uses_sandbox=False)
    routes = [Route("/who", tell(access)), *build_login_routes(Authenticator(access))]
    app = App.create_app(page, app_kwargs={"routes": routes})
    assert all(item.fn is None or item.api_name for item in page.fns.values() if item.api_visibility == "public")

    def browse(session: str = "") -> TestClient:
        cookies = {"session": session} if session else None
        return TestClient(app, "https://me-dreamina.hf.space", cookies=cookies, follow_redirects=False)

    return browse


def signed(name: str, number: str, secret: str = SECRET, lasts_s: float = 3600) -> str:
    """A session cookie as Gradio makes it after Hugging Face vouched for somebody."""
    info = {"userinfo": {"sub": number, "preferred_username": name}, "expires_at": time.time() + lasts_s}
    key = hashlib.sha256(f"{secret}-v4".encode()).hexdigest()
    return itsdangerous.TimestampSigner(key).sign(base64.b64encode(json.dumps({"oauth_info": info}).encode())).decode()


def test_a_signed_session_is_a_visitor_by_number(space: Callable[..., TestClient]) -> None:
    """The same person on every device, and not whoever takes over a name that was given up."""
    phone, runner = space(signed("anna", "7")), space(signed("anna-renamed", "7"))
    assert phone.get("/who").json()["visitor"] == runner.get("/who").json()["visitor"] == person_id("hugging face", "7")
    assert space(signed("anna", "8")).get("/who").json()["visitor"] == person_id("hugging face", "8")
    assert phone.get("/who").json()["scope"] == person_id("hugging face", "7")
    assert "anna" in phone.get("/dreamina/sign-in").text


def test_a_name_that_is_listed_is_the_owner(space: Callable[..., TestClient]) -> None:
    """On a Space nobody sits at the machine."""
    assert space(signed("olga", "9")).get("/who").json()["scope"] is None


@pytest.mark.parametrize(
    "session",
    [
        signed("olga", "9", secret="another"), signed("olga", "9", lasts_s=-1), 
        signed("olga", "9").replace(".", "x.", 1),
        base64.b64encode(b'{"oauth_info": {"userinfo": {"sub": "9", "preferred_username": "olga"}}}').decode(),
    ],
    ids=["foreign", "ended", "changed", "unsigned"],
)  # fmt: skip
def test_a_session_that_was_not_signed_here_is_nobody(space: Callable[..., TestClient], session: str) -> None:
    """Anybody can write a cookie."""
    assert space(session).get("/who").json() == {"scope": "nobody", "visitor": None}


def test_a_name_in_a_header_is_nobody(space: Callable[..., TestClient]) -> None:
    """Programs write what they like into headers."""
    headers = {"X-Forwarded-User": "olga", "X-HF-Username": "olga", "Authorization": "Basic b2xnYTo="}
    assert space().get("/who", headers=headers).json()["visitor"] is None


def test_the_sign_in_page_leads_to_hugging_face(space: Callable[..., TestClient]) -> None:
    """Gradio's own routes do the rest."""
    page = space().get("/dreamina/sign-in").text
    assert 'href="../login/huggingface"' in page
    assert "password" not in page
    assert space(signed("anna", "7")).get("/logout").status_code == 307
    paths = {getattr(route, "path", "") for route in space().app.routes}  # type: ignore[attr-defined]
    assert {"/login/huggingface", "/login/callback", "/logout"} <= paths


@pytest.mark.parametrize("missing", SPACE)
def test_elsewhere_than_on_a_space_nothing_changes(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    """There Gradio would stage a sign-in that makes everybody the same person."""
    for name, value in SPACE.items():
        monkeypatch.setenv(name, value)
    assert read_settings().offers_hugging_face
    monkeypatch.delenv(missing)
    assert not read_settings().offers_hugging_face
