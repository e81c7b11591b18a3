"""A model's file is compared with what the service asks for now."""

from __future__ import annotations

import json
import logging
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dreamina_ui.models.schema import load_models
from dreamina_ui.models.schema_diff import schema_differences
from dreamina_ui.web.routes.admin import overview_json
from tests.support.bad_server import json_response
from tests.support.harness import MODEL_ID, Harness, ScriptedApi

OURS = load_models()[MODEL_ID].input_schema
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def changed(key: str, **more: Any) -> dict[str, Any]:
    """The schema with some keywords of one input changed."""
    live = deepcopy(dict(OURS))
    live["properties"][key] = {**live["properties"][key], **more}
    return live


def test_the_same_schema_differs_in_nothing() -> None:
    """Every start would warn of nothing; titles, descriptions and spellings of a type are not worth it."""
    assert schema_differences(OURS, OURS) == []
    assert schema_differences(OURS, changed("scale", title="Strength", description="new", type="number")) == []


def test_what_differs_is_named_with_both_values() -> None:
    """The owner sees what to change in the file."""
    assert schema_differences(OURS, changed("scale", maximum=2)) == ["scale: maximum is 2, the file says 1"]
    assert schema_differences(OURS, changed("prompt", maxLength=None)) == [
        "prompt: maxLength is not there, the file says 800"
    ]
    live = deepcopy(dict(OURS))
    live["properties"]["seed"] = {"type": "integer"}
    del live["properties"]["force_single"]
    live["required"] = [*live.get("required", []), "scale"]
    assert schema_differences(OURS, live) == [
        "seed: the service has this input, the file does not",
        "force_single: the service has this input no longer",
        "scale: required now",
    ]


@given(st.dictionaries(st.sampled_from(["properties", "required", "type"]), JSON))
def test_any_schema_can_be_compared(live: dict[str, Any]) -> None:
    """The service may send anything where its schema was."""
    assert all(isinstance(line, str) for line in schema_differences(OURS, live))


def test_the_owner_reads_what_differs(harness: Harness, service: ScriptedApi, caplog: pytest.LogCaptureFixture) -> None:
    """In the log, once, and on the dashboard; jobs continue."""
    price = {"base_price_usd": 0.03, "price_unit": "output", "input_schema": changed("scale", maximum=2)}
    service.price(json_response(price))
    with caplog.at_level(logging.WARNING, "dreamina_ui.spending.prices"):
        harness.start()
        assert harness.prices.were_read.wait(5)
    lines = [
        record.getMessage()
        for record in caplog.records
        if "scale: maximum is 2, the file says 1" in record.getMessage()
    ]
    assert len(lines) == 1
    assert MODEL_ID in lines[0]
    overview = overview_json(harness.spending.dashboard(), "en")
    (notice,) = json.loads(json.dumps(overview))["notices"]
    assert (notice["title"], notice["lines"]) == (f"Model file: {MODEL_ID}", ["scale: maximum is 2, the file says 1"])
    assert "Update Dreamina UI" in notice["text"]
