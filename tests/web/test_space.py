"""On a Hugging Face Space: what is stored there, and that people read when nothing is."""

from __future__ import annotations

from pathlib import Path

import pytest

from dreamina_ui.models.schema import load_models
from dreamina_ui.settings import is_stored_by_space, read_settings
from dreamina_ui.web.auth.permissions import Permissions
from dreamina_ui.web.gradio_page.endpoints import Endpoints
from dreamina_ui.web.gradio_page.page import build_page
from tests.support.harness import MODEL_ID, Harness

ACCESS = Permissions(is_shared=False)


def test_only_the_storage_of_a_space_lasts(tmp_path: Path) -> None:
    """An image may have a folder of the same name; it is gone at the next restart all the same."""
    assert not is_stored_by_space(tmp_path / "data", storage=tmp_path)
    assert not is_stored_by_space(tmp_path / "data", storage=Path("/proc"))
    assert is_stored_by_space(Path("/proc/data"), storage=Path("/proc"))


def test_only_a_space_is_said_to_forget(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A warning that is wrong is soon a warning that nobody reads."""
    monkeypatch.delenv("SPACE_ID", raising=False)
    monkeypatch.setenv("DREAMINA_DATA_DIR", str(tmp_path))
    assert read_settings().keeps_data
    monkeypatch.setenv("SPACE_ID", "somebody/pictures")
    assert not read_settings().keeps_data


def test_a_page_that_forgets_says_so(harness: Harness) -> None:
    """Whoever knows beforehand downloads in time."""
    model = load_models()[MODEL_ID]
    endpoints = Endpoints(harness.services, harness.presenter, ACCESS)
    for keeps_data in (True, False):
        _, _, head = build_page(harness.models, model, ACCESS, endpoints, uses_sandbox=False, keeps_data=keeps_data)
        assert head.facts["keeps_data"] is keeps_data
