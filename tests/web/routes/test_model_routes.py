"""The model chooser: who sees which models, and the form of one of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from dreamina_ui.library.prompt_tools import PromptTools
from dreamina_ui.web.auth.permissions import KEY_COOKIE, Permissions
from dreamina_ui.web.mcp_models import CatalogTools
from dreamina_ui.web.routes.form import build_form_routes
from dreamina_ui.web.routes.models import build_model_routes
from dreamina_ui.web.routes.personal.prompts import build_prompt_routes
from tests.support.bad_server import BadServer, json_response
from tests.support.browser import wait_for
from tests.support.catalog_schemas import entry
from tests.support.harness import MODEL_ID, Harness

SECRET = "s" * 32


@pytest.fixture
def harness(tmp_path: Path, server: BadServer) -> Iterator[Harness]:
    entries = [entry(name) for name in ("ratio", "deep", "count", "edit-list")]
    sound = entry("ratio", model_id="example/sound", kind="audio", display_name="Sound")
    server.script("/v1/models", json_response({"models": [*entries, sound], "total": 5}))
    server.default = json_response({"request_id": "r-1"})
    harness = Harness(tmp_path, server.url)
    harness.reads_catalog = True
    harness.rebuild()
    harness.start()
    assert harness.catalog.was_read.wait(30)
    yield harness
    harness.close()


def client(harness: Harness, *, is_owner: bool) -> TestClient:
    access, tools = Permissions(is_shared=not is_owner), PromptTools(harness.ledger, harness.clock)
    routes = [
        *build_model_routes(harness.services, tools, access, uses_sandbox=False),
        *build_prompt_routes(tools, access),
        *build_form_routes(harness.services, harness.presenter, access, uses_sandbox=False),
    ]
    headers = {"cookie": f"dreamina_visitor={SECRET}"}
    return TestClient(
        Starlette(routes=routes), base_url="http://127.0.0.1", client=("127.0.0.1", 50000), headers=headers
    )


def form_of(site: TestClient, name: str) -> dict[str, Any]:
    response = site.get("/dreamina/models/form", params={"model_id": entry(name)["model_id"]})
    assert response.status_code == 200, response.text
    return dict(response.json())


def test_the_owner_chooses_from_all_and_a_visitor_from_what_is_offered(harness: Harness) -> None:
    """A stranger must neither spend money on a model that the owner did not offer, nor learn that it is there."""
    owner, visitor = client(harness, is_owner=True), client(harness, is_owner=False)
    rows = owner.get("/dreamina/models").json()
    names = [row["title"] for row in rows["models"]]
    assert names[-4:] == ["Ratio", "Deep", "Count", "Edit List"]
    assert MODEL_ID in [row["model_id"] for row in rows["models"] if row.get("packaged")]
    assert rows["left_out"] == [{"model_id": "example/sound", "title": "Sound", "reason": "output"}]
    body = {"model_id": entry("ratio")["model_id"], "inputs": {"prompt": "a fox"}}
    hidden = visitor.get("/dreamina/models").json()
    assert [row for row in hidden["models"] if not row.get("packaged")] == hidden["left_out"] == []
    assert visitor.get("/dreamina/models/form", params={"model_id": body["model_id"]}).status_code == 422
    assert visitor.post("/dreamina/generate", json=body).status_code == 422
    harness.catalog.offer([body["model_id"]])
    assert form_of(visitor, "ratio")["title"] == "Ratio"
    assert visitor.post("/dreamina/generate", json=body).json()["model"] == "Ratio"


def test_a_form_says_all_that_the_page_needs(harness: Harness) -> None:
    """The page knows no model: what it shows, and what it says beside the button, comes from here."""
    site = client(harness, is_owner=True)
    ratio = form_of(site, "ratio")
    assert ratio["price"] == {"one_usd": 0.05, "unit": "output"}
    prompt, choice = ratio["fields"]
    assert (prompt["component"], prompt["required"], prompt["is_text"]) == ("Textbox", True, True)
    assert (choice["component"], choice["choices"][0], choice["arguments"]["value"]) == ("Dropdown", "auto", "auto")
    camera = form_of(site, "deep")["fields"][1]
    assert (camera["typed_as"], "JSON" in camera["help"]) == ("json", True)
    count = form_of(site, "count")
    assert (count["price"]["count"], count["fields"][1]["component"]) == ("num_images", "Slider")
    images = form_of(site, "edit-list")["fields"][1]
    assert (images["holds_urls"], images["file_kind"], images["max_items"]) == (True, "image", 10)


def test_two_tools_stand_for_hundreds_of_models(harness: Harness) -> None:
    """An assistant that has a tool for each model has no room left for its task."""
    tools = CatalogTools(harness.services)
    assert tools.tools({}, is_owner=False) == []
    assert [tool.name for tool in tools.tools({}, is_owner=True)] == ["list_models", "generate_with_model"]
    listed = tools.list_models({"search": "edit list"}, is_owner=True)
    model_id = entry("edit-list")["model_id"]
    facts = {"title": "Edit List", "kind": "image", "category": "text-to-image", "usd": 0.05, "unit": "output"}
    assert listed == {"models": [{"model_id": model_id, **facts}], "total": 1}
    described = tools.list_models({"model_id": model_id}, is_owner=True)["models"][0]
    assert described["input_schema"]["required"] == ["prompt", "image_urls"]
    for arguments, is_owner in (
        ({"model_id": model_id}, False),
        ({"model_id": "no/such"}, True),
        ({"model_id": [5]}, True),
    ):
        with pytest.raises(gr.Error):
            tools.model(arguments, is_owner=is_owner)


def test_favorites_and_what_was_used_come_with_the_list(harness: Harness) -> None:
    """They follow a login to another browser, and no one else sees them."""
    site, model_id = client(harness, is_owner=True), entry("count")["model_id"]
    assert site.post("/dreamina/models/favorite", json={"model_id": model_id}).json() == {"favorites": [model_id]}
    body = {"model_id": entry("ratio")["model_id"], "inputs": {"prompt": "a fox"}}
    assert site.post("/dreamina/generate", json=body).status_code == 200
    listed = site.get("/dreamina/models").json()
    assert (listed["favorites"], listed["recent"]) == ([model_id], [body["model_id"]])
    stranger = client(harness, is_owner=False)
    stranger.headers["cookie"] = f"dreamina_visitor={'z' * 32}"
    assert stranger.get("/dreamina/models").json()["favorites"] == []
    off = {"model_id": model_id, "is_favorite": False}
    assert site.post("/dreamina/models/favorite", json=off).json() == {"favorites": []}


def test_inputs_that_a_models_file_does_not_know_are_in_its_form(harness: Harness) -> None:
    """The service may take more tomorrow than the file says today, and nobody waits for a new version."""
    site = client(harness, is_owner=True)
    live = {
        "type": "object",
        "properties": {"strength": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.5}},
    }
    harness.models.set_live_schema(MODEL_ID, live)
    assert harness.catalog.extended() == [MODEL_ID]
    form = site.get("/dreamina/models/form", params={"model_id": MODEL_ID}).json()
    strength = form["fields"][-1]
    assert (strength["parameter"], strength["component"], strength["arguments"]["value"]) == ("strength", "Slider", 0.5)
    inputs = {"prompt": "a fox", "width×height": "1024x1024(1:1)", "scale": 0.5, "force_single": True}
    refused = site.post("/dreamina/generate", json={"model_id": MODEL_ID, "inputs": inputs | {"strength": 7}})
    assert refused.status_code == 422
    made = site.post("/dreamina/generate", json={"model_id": MODEL_ID, "inputs": inputs | {"strength": 0.9}})
    assert harness.ledger.job(made.json()["job_id"]).inputs["strength"] == 0.9


def test_titles_of_image_inputs_are_words(harness: Harness) -> None:
    """Nobody looks for their images under "Image urls"."""
    assert form_of(client(harness, is_owner=True), "edit-list")["fields"][1]["title"] == "Images"


def test_a_visitors_key_opens_the_catalog_where_the_owner_has_no_token(tmp_path: Path, server: BadServer) -> None:
    """Whoever pays alone chooses alone; without a key there is nothing more to see."""
    server.script("/v1/models", json_response({"models": [entry("ratio")], "total": 1}))
    server.default = json_response({"request_id": "r-1"})
    harness = Harness(tmp_path, server.url)
    harness.token = ""
    harness.rebuild()
    harness.start()
    without, keyed = client(harness, is_owner=False), client(harness, is_owner=False)
    keyed.headers["cookie"] = f"dreamina_visitor={SECRET}; {KEY_COOKIE}={'k' * 40}"
    session = "a-session"
    harness.api_keys.give("visitor-key-AAAA", session)
    wait_for(lambda: bool(harness.catalog.models(is_owner=False, has_key=True)))
    asked = server.requests_for("GET", "/v1/models")
    assert [request.header("authorization") for request in asked] == ["Bearer visitor-key-AAAA"]
    harness.api_keys.give("visitor-key-BBBB", "another")
    titles = [row["title"] for row in keyed.get("/dreamina/models").json()["models"]]
    assert titles[-1] == "Ratio"
    assert form_of(keyed, "ratio")["price"] == {"one_usd": 0.05, "unit": "output"}
    assert "Ratio" not in without.get("/dreamina/models").text
    assert without.get("/dreamina/models/form", params={"model_id": entry("ratio")["model_id"]}).status_code == 422
    tools, call = CatalogTools(harness.services), {"model_id": entry("ratio")["model_id"]}
    assert len(tools.tools({}, is_owner=False, has_key=True)) == 2
    assert tools.list_models({}, is_owner=False, has_key=True)["models"][-1]["title"] == "Ratio", "programs, too"
    assert tools.model(call, is_owner=False, has_key=True).title == "Ratio"
    with pytest.raises(gr.Error, match="list_models"):
        tools.model(call, is_owner=False)
    assert len(server.requests_for("GET", "/v1/models")) == 1, "one read is enough for all"
    harness.close()
