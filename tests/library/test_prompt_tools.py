"""A visitor's prompt tools: history with pins and search, presets, and wildcard lists; theirs alone, and bounded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from dreamina_ui.errors import InputError
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.library import prompt_tools
from dreamina_ui.library.prompt_tools import MAX_PROMPTS, Preset, PromptTools
from dreamina_ui.web.auth.permissions import Permissions
from dreamina_ui.web.auth.visitor import VISITOR_COOKIE, visitor_id
from dreamina_ui.web.routes.personal.prompts import build_prompt_routes
from tests.support.databases import Engine
from tests.support.harness import Clock
from tests.support.ledger_jobs import new_job

ME, YOU = "me", "you"


@pytest.fixture
def ledger(engine: Engine, tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger(tmp_path / "ledger.sqlite3")) as opened:
        yield opened


@pytest.fixture
def tools(ledger: Ledger) -> PromptTools:
    return PromptTools(ledger, Clock())


def add(ledger: Ledger, *prompts: str, visitor: str = ME) -> None:
    """Jobs with these prompts, each newer than the one before."""
    for number, prompt in enumerate(prompts):
        ledger.add(new_job(visitor_id=visitor, inputs={"prompt": prompt}, created_at=1000.0 + number))


def history(tools: PromptTools, text: str = "", visitor: str = ME) -> list[tuple[str, bool]]:
    return [(item.prompt, item.is_pinned) for item in tools.history(visitor, text)]


def test_the_history_has_each_prompt_once_pinned_ones_first(ledger: Ledger, tools: PromptTools) -> None:
    """The newest is the likeliest; a pinned one is there also when its jobs are long gone; nobody else's is."""
    add(ledger, "a fox", "a whale", "a fox", "an owl")
    add(ledger, "secret", visitor=YOU)
    tools.pin(ME, "a whale", None)
    tools.pin(ME, "never used", None)
    assert history(tools) == [("never used", True), ("a whale", True), ("an owl", False), ("a fox", False)]
    tools.unpin(ME, "never used")
    assert history(tools)[0] == ("a whale", True)
    assert history(tools, visitor=YOU) == [("secret", False)]


def test_search_finds_prompts_as_the_library_does(ledger: Ledger, tools: PromptTools) -> None:
    """Accents, case and width do not matter, and all words must be there."""
    add(ledger, "a red fox", "Café at night", "100% red_wine")
    tools.pin(ME, "the CAFE", None)
    assert [prompt for prompt, _ in history(tools, "cafe")] == ["the CAFE", "Café at night"]
    assert [prompt for prompt, _ in history(tools, "fox red")] == ["a red fox"]
    assert [prompt for prompt, _ in history(tools, "0% red_")] == ["100% red_wine"]


def test_the_history_ends_after_the_newest_hundred(ledger: Ledger, tools: PromptTools) -> None:
    """More would not be read, and would make each opening slower."""
    add(ledger, *(f"prompt {number}" for number in range(MAX_PROMPTS + 5)))
    tools.pin(ME, "prompt 104", None)
    newest = history(tools)
    assert len(newest) == MAX_PROMPTS + 1
    assert (newest[0], newest[-1]) == (("prompt 104", True), ("prompt 4", False))


def test_a_preset_is_stored_replaced_and_removed(tools: PromptTools) -> None:
    """A style that was found once is there in the next session, and on the next device of a login."""
    tools.put_preset(ME, Preset(" Noir ", "{prompt}, film noir", "m", {"size": "1:1"}), None)
    tools.put_preset(ME, Preset("Noir", "{prompt}, noir", "m", {}), None)
    assert tools.presets(ME) == [Preset("Noir", "{prompt}, noir", "m", {})]
    assert tools.presets(YOU) == []
    tools.remove_preset(YOU, "Noir")
    tools.remove_preset(ME, "Noir")
    assert tools.presets(ME) == []


def test_a_list_is_read_from_a_text_file(tools: PromptTools) -> None:
    """Files from elsewhere have comments, empty lines, and a name with an ending."""
    assert tools.put_wildcards(ME, "Big Colors.txt", "\ufeff# mine\nred\r\n\n blue \n", None) == "big-colors"
    assert tools.wildcards(ME) == {"big-colors": ["red", "blue"]}


@pytest.mark.parametrize(
    ("name", "text", "field"),
    [
        ("", "red", "name"),
        ("a__b", "red", "name"),
        ("_a", "red", "name"),
        ("../a", "red", "name"),
        ("a" * 61, "red", "name"),
        ("a", " \n# only a comment", "text"),
        ("a", "x\n" * 2001, "text"),
        ("a", "x" * 50_001, "text"),
    ],
)
def test_a_list_that_cannot_be_used_is_refused(tools: PromptTools, name: str, text: str, field: str) -> None:
    """What could not be written as `__name__` would never be drawn."""
    with pytest.raises(InputError) as caught:
        tools.put_wildcards(ME, name, text, None)
    assert caught.value.field == field


def test_nobody_stores_without_bound(tools: PromptTools, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither one visitor, nor one network with ever new cookies."""
    monkeypatch.setattr(prompt_tools, "MAX_TOOLS", {"pin": 2, "preset": 2, "wildcard": 2})
    tools.pin(ME, "one", "client")
    tools.pin(ME, "two", "client")
    tools.pin(ME, "two", "client")
    with pytest.raises(InputError):
        tools.pin(ME, "three", "client")
    monkeypatch.setattr(prompt_tools, "MAX_CHARACTERS", 10)
    with pytest.raises(InputError):
        tools.put_wildcards(YOU, "long", "0123456789a", "elsewhere")
    monkeypatch.setattr(prompt_tools, "_CLIENT_FACTOR", 1)
    with pytest.raises(InputError):
        tools.pin(YOU, "12345", "client")


def test_the_routes_are_each_visitors_own(ledger: Ledger, tools: PromptTools) -> None:
    """The page asks for nothing by a visitor's name: who asks is who it is about."""
    app = Starlette(routes=build_prompt_routes(tools, Permissions(is_shared=True)))
    me, you = (
        TestClient(app, "https://studio.example", cookies={VISITOR_COOKIE: letter * 40}) for letter in ("m", "y")
    )
    add(ledger, "mine", visitor=visitor_id(f"{VISITOR_COOKIE}={'m' * 40}") or "")
    preset: dict[str, Any] = {"name": "Noir", "template": "{prompt}, noir", "model_id": "m", "parameters": {"scale": 1}}
    assert me.post("/dreamina/presets", json=preset).status_code == 200
    assert me.post("/dreamina/wildcards", json={"name": "color", "text": "red\nblue"}).json() == {"name": "color"}
    assert me.post("/dreamina/prompts/pin", json={"prompt": "pinned"}).status_code == 200
    assert [item["prompt"] for item in me.get("/dreamina/prompts").json()["prompts"]] == ["pinned", "mine"]
    assert me.get("/dreamina/presets").json() == {"presets": [preset]}
    assert me.get("/dreamina/wildcards").json()["wildcards"] == [
        {"name": "color", "count": 2, "lines": ["red", "blue"]}
    ]
    assert me.get("/dreamina/wildcards/color").json()["lines"] == ["red", "blue"]
    refused = me.post("/dreamina/wildcards", json={"name": "a b__c", "text": "x"})
    assert (refused.status_code, "Name" in refused.json()["message"]) == (422, True)
    stranger = TestClient(app, "https://studio.example")
    for client in (you, stranger):
        assert client.get("/dreamina/prompts").json() == {"prompts": []}
        assert client.get("/dreamina/presets").json() == {"presets": []}
        assert client.get("/dreamina/wildcards").json() == {"wildcards": []}
    assert stranger.post("/dreamina/prompts/pin", json={"prompt": "x"}).status_code == 403
    assert you.post("/dreamina/wildcards", json={"name": "color", "remove": True}).status_code == 200
    assert me.get("/dreamina/wildcards/color").json()["count"] == 2


# --- models


def test_favorite_and_used_models_are_the_visitors_own(ledger: Ledger, tools: PromptTools) -> None:
    """Whoever comes back by another browser of the same login finds the models that they use."""
    for number, model_id in enumerate(["a/one", "a/two", "a/one", "a/three"]):
        ledger.add(new_job(visitor_id=ME, model_id=model_id, created_at=1000.0 + number))
    ledger.add(new_job(visitor_id=YOU, model_id="a/secret", created_at=2000.0))
    assert tools.used_models(ME) == ["a/three", "a/one", "a/two"]
    for model_id in ("a/one", "b/two", "a/one"):
        tools.set_favorite_model(ME, model_id, True, None)
    assert (tools.favorite_models(ME), tools.favorite_models(YOU)) == (["b/two", "a/one"], [])
    for model_id in ("a/one", "b/two", "b/two"):
        tools.set_favorite_model(ME, model_id, False, None)
    assert tools.favorite_models(ME) == []


def test_favorite_models_are_bounded(tools: PromptTools, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody fills the ledger with ids that no model has."""
    monkeypatch.setattr(prompt_tools, "MAX_FAVORITES", 2)
    for model_id in ("a", "b"):
        tools.set_favorite_model(ME, model_id, True, None)
    for model_id in ("c", "", "x" * 201):
        with pytest.raises(InputError):
            tools.set_favorite_model(ME, model_id, True, None)
    assert tools.favorite_models(ME) == ["a", "b"]
