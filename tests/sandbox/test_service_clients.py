"""The request sequences of the service's own clients pass on the sandbox: its ComfyUI nodes, Zapier and Dify.

Written down from what is publicly known of them: which calls they make, and what they read in the responses.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from dreamina_ui.models.schema import load_models
from dreamina_ui.sandbox.server import Sandbox
from tests.support.browser import wait_for

MODEL = "bytedance/dreamina-4-0/text-to-image"
EDIT = "bytedance/dreamina-4-0/edit"
INPUTS = {"prompt": "a quiet sea", "width×height": "1024x1024(1:1)", "force_single": True}


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    sandbox = Sandbox(tmp_path_factory.mktemp("sandbox"), load_models(), token="secret", queue_s=0.0, run_s=0.05)
    yield sandbox.start()
    sandbox.stop()


@pytest.fixture
def http(base_url: str) -> requests.Session:
    session = requests.Session()
    session.headers["Authorization"] = "Bearer secret"
    return session


def get(http: requests.Session, url: str, **query: Any) -> dict[str, Any]:
    response = http.get(url, params=query, timeout=10)
    assert response.status_code == 200, response.text
    return dict(response.json())


def run(http: requests.Session, base_url: str, inputs: dict[str, Any]) -> dict[str, Any]:
    """Submit, follow `status_url` to the end, and read `result_url`."""
    submit = http.post(f"{base_url}/v1/models/{MODEL}", json=inputs, timeout=10)
    assert submit.status_code in (200, 202)
    status_url, result_url = submit.json()["status_url"], submit.json()["result_url"]
    wait_for(lambda: get(http, status_url)["status"] in ("completed", "failed", "cancelled"))
    assert get(http, status_url)["result_url"] == result_url
    return get(http, result_url, include_cost="true")


def test_the_comfyui_nodes_build_their_menu_and_run_a_model(http: requests.Session, base_url: str) -> None:
    """They load the whole catalog with its schemas, make a node for each model, and show the price by its unit."""
    categories = get(http, f"{base_url}/v1/models/categories")["categories"]
    assert {"text-to-image", "image-to-image"} <= set(categories)
    models, offset = [], 0
    while True:
        page = get(http, f"{base_url}/v1/models", include_schema="true", limit=1, offset=offset)
        models += page["models"]
        offset += page["limit"]
        if offset >= page["total"]:
            break
    assert {MODEL, EDIT} <= {model["model_id"] for model in models}
    for model in models:
        assert {"display_name", "description", "kind", "categories", "model_url"} <= set(model)
        assert model["price_unit"] in ("output", "second")
        assert set(model["required_inputs"]) <= set(model["input_schema"]["properties"])
    result = run(http, base_url, INPUTS)
    assert result["status"] in ("succeeded", "completed")
    assert result["cost"] == 0.03
    assert requests.get(result["output"]["image"], timeout=10).content.startswith(b"\x89PNG")


def test_zapier_tests_a_token_and_searches_a_model(http: requests.Session, base_url: str) -> None:
    """It reads the balance to test the token, searches by words, and offers the inputs of the schema as fields."""
    balance = get(http, f"{base_url}/prod/v2/balance")
    assert balance["balance_microdollars"] == balance["balance_usd"] * 1_000_000
    assert balance["currency"] == "USD"
    assert (
        requests.get(f"{base_url}/prod/v2/balance", headers={"Authorization": "Bearer no"}, timeout=10).status_code
        == 401
    )
    page = get(http, f"{base_url}/v1/models", search="dreamina edit", limit=20)
    assert [model["model_id"] for model in page["models"]] == [EDIT]
    assert "input_schema" not in page["models"][0]
    fields = get(http, f"{base_url}/v1/models/{MODEL}")["input_schema"]["properties"]
    assert run(http, base_url, {key: INPUTS[key] for key in fields if key in INPUTS})["output"]


def test_dify_lists_a_kind_and_reads_every_failed_check(http: requests.Session, base_url: str) -> None:
    """It filters the catalog by kind and category, and shows all that is wrong with the inputs at once."""
    page = get(http, f"{base_url}/v1/models", kind="image", category="text-to-image")
    assert MODEL in [model["model_id"] for model in page["models"]]
    assert get(http, f"{base_url}/v1/models", kind="audio")["models"] == []
    wrong = {"prompt": "x" * 900, "scale": 7, "colour": "red"}
    refused = http.post(f"{base_url}/v1/models/{MODEL}", json=wrong, timeout=10)
    assert refused.status_code == 422
    assert {check["loc"][-1] for check in refused.json()["detail"]} == {"prompt", "scale", "colour"}


def test_a_cancel_is_accepted_with_202(http: requests.Session, tmp_path: Path) -> None:
    """The documentation answers a cancel with 202 and an outcome."""
    sandbox = Sandbox(tmp_path, load_models(), token="secret", queue_s=60.0)
    url = sandbox.start()
    request_id = http.post(f"{url}/v1/models/{MODEL}", json=INPUTS, timeout=10).json()["request_id"]
    response = http.post(f"{url}/v1/requests/{request_id}/cancel", timeout=10)
    assert (response.status_code, response.json()["outcome"]) == (202, "cancelled")
    sandbox.stop()


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "501"}, {"limit": "many"}, {"offset": "-1"}])
def test_an_impossible_page_of_the_catalog_is_refused(
    http: requests.Session, base_url: str, query: dict[str, str]
) -> None:
    """A client that asks for too much must learn it."""
    assert http.get(f"{base_url}/v1/models", params=query, timeout=10).status_code == 422
