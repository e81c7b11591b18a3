"""A second model is a second file and no code: form, check, endpoint and submit follow from its schema."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from dreamina_ui.api.client import RunComfy
from dreamina_ui.errors import InputError
from dreamina_ui.jobs.services import JobServices
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.media.fetching.fetch import OutputFetcher
from dreamina_ui.media.fetching.ssrf_guard import UrlGuard
from dreamina_ui.media.folder_store import FolderStore
from dreamina_ui.models.schema import Model, load_models
from dreamina_ui.spending.accounts import Accounts
from dreamina_ui.web.auth.permissions import Permissions
from dreamina_ui.web.gradio_page.endpoints import Endpoints
from dreamina_ui.web.gradio_page.form import build_form, read_form
from dreamina_ui.web.gradio_page.page import build_page
from dreamina_ui.web.presenters import JobPresenter
from tests.support.bad_server import BadServer, json_response
from tests.support.decoding import decoder
from tests.support.harness import FAST, TOKEN, no_pause


def accounts_at(server: BadServer) -> Accounts:
    return Accounts(RunComfy(server.url, TOKEN), server.url, secret=b"", connect=lambda key: RunComfy(server.url, key))


MODEL = {
    "model_id": "example/edit",
    "title": "Example",
    "input_schema": {
        "type": "object",
        "required": ["prompt", "image_urls"],
        "properties": {
            "prompt": {"title": "Prompt", "type": "string", "maxLength": 300},
            "image_urls": {
                "title": "Pictures",
                "type": "array",
                "minItems": 1,
                "maxItems": 3,
                "items": {"type": "string", "format": "uri"},
            },
            "steps": {"title": "Steps", "type": "integer", "minimum": 1, "maximum": 50, "default": 20},
            "seed": {"title": "Seed", "type": "integer"},
            "ratio": {"title": "Ratio", "type": "string", "enum": ["auto", "16:9"], "default": "auto"},
            "options": {
                "title": "Options",
                "type": "object",
                "properties": {
                    "strength": {"type": "float", "minimum": 0, "maximum": 1, "default": 0.7},
                    "mask": {"type": "object", "properties": {"blur": {"type": "integer", "default": 4}}},
                },
            },
        },
    },
    "output_schema": {"output": {"type": "object"}},
}
URLS = ["https://example.com/a.png", "https://example.com/b.png"]


@pytest.fixture
def model(tmp_path: Path) -> Model:
    """The model, read from a file as an owner would add it."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "example.json").write_text(json.dumps(MODEL))
    return load_models(tmp_path / "models")["example/edit"]


def form_of(model: Model) -> dict[str, Any]:
    with gr.Blocks():
        return build_form(model, lambda key: key)


def test_each_kind_of_input_gets_its_component(model: Model) -> None:
    """Nobody writes a form by hand."""
    form = form_of(model)
    kinds = {key: type(component) for key, component in form.items()}
    assert kinds == {
        "prompt": gr.Textbox,
        "image_urls": gr.Textbox,
        "steps": gr.Slider,
        "seed": gr.Number,
        "ratio": gr.Dropdown,
        "options": gr.Textbox,
    }
    assert (form["steps"].minimum, form["steps"].maximum, form["steps"].step, form["steps"].value) == (1, 50, 1, 20)


def test_what_the_form_holds_is_checked_and_submitted_with_nested_defaults(
    model: Model, tmp_path: Path, server: BadServer
) -> None:
    """From the form's values to the body on the wire."""
    server.script("/v1/models/example/edit", json_response({"request_id": "r-1"}))
    server.script("/v1/requests/r-1/status", json_response({"status": "in_queue"}))
    values = {
        "prompt": "a hat",
        "image_urls": "\n".join(URLS),
        "steps": 30,
        "seed": None,
        "ratio": "16:9",
        "options": "",
    }
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    services = JobServices(
        accounts=accounts_at(server),
        models={model.model_id: model},
        ledger=ledger,
        media=(media := FolderStore(tmp_path / "media")),
        fetcher=OutputFetcher(media, UrlGuard(exempt_origin=server.url), pause=no_pause, decoder=decoder()),
        pace=FAST,
    )
    services.start()
    services.jobs.generate(model.model_id, read_form(model, values))
    services.stop()
    assert json.loads(server.requests_for("POST", "/v1/models/example/edit")[0].body) == {
        "prompt": "a hat",
        "image_urls": URLS,
        "steps": 30,
        "ratio": "16:9",
        "options": {"strength": 0.7, "mask": {"blur": 4}},
    }
    ledger.close()


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"steps": 51}, "steps"),
        ({"steps": 2.5}, "steps"),
        ({"image_urls": []}, "image_urls"),
        ({"image_urls": ["not an address"]}, "image_urls.0"),
        ({"options": {"strength": 2}}, "options.strength"),
        ({"options": {"mask": {"blurr": 1}}}, "options.mask.blurr"),
        ({"options": "{broken"}, "options"),
    ],
)
def test_each_broken_rule_names_its_field(model: Model, changed: dict[str, Any], field: str) -> None:
    """Also inside of lists and objects."""
    with pytest.raises(InputError) as caught:
        model.validate_inputs({"prompt": "a hat", "image_urls": URLS} | changed)
    assert caught.value.field == field


def test_the_page_and_the_endpoint_offer_it(model: Model, tmp_path: Path, server: BadServer) -> None:
    """Required inputs first, then the others with their defaults."""
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    services = JobServices(
        accounts=accounts_at(server),
        models={model.model_id: model},
        ledger=ledger,
        media=(media := FolderStore(tmp_path / "media")),
        fetcher=OutputFetcher(media, UrlGuard()),
    )
    access = Permissions(is_shared=False)
    presenter = JobPresenter(services.reader, services.accounts, services.models)
    endpoints = Endpoints(services, presenter, access)
    page, _, _ = build_page(services.models, model, access, endpoints, uses_sandbox=False)
    generate = next(item.fn for item in page.fns.values() if item.api_name == "generate")
    assert generate is not None
    parameters = [(item.name, item.default) for item in inspect.signature(generate).parameters.values()][1:]
    empty = inspect.Parameter.empty
    assert parameters == [
        ("prompt", empty), ("image_urls", empty), ("steps", 20), ("seed", None), ("ratio", "auto"), ("options", None),
        ("idempotency_key", ""),
    ]  # fmt: skip
    ledger.close()
