"""Every private thing of Gradio that the program relies on; docs/architecture.md says what for."""

from __future__ import annotations

import inspect
from importlib.metadata import version
from pathlib import Path

import gradio as gr
import pytest
import requests
from gradio import component_meta, queueing, route_utils, routes, utils

from dreamina_ui.web.middleware.gradio_patches import skip_unused_apps
from tests.support.browser import AppProcess

ROOT = Path(__file__).parents[3]
TEMPLATE = (Path(gr.__file__).parent / "templates/frontend/index.html").read_text(encoding="utf-8")
UNNEEDED = (
    "upload", "file=/etc/passwd", "file/x", "proxy=http://example.com", "run/generate", "api/generate", "cancel",
    "stream/x", "component_server", "process_recording", "run-history/records", "runs", "vibe-edit", "undo-vibe-edit",
    "vibe-starter-queries", "custom_component/a/b/c/d", "dev/reload", "deep_link", "profiling/traces", "user", "token",
    "reset", "queue/status", "upload_progress?upload_id=x", "whatever-the-next-version-has",
)  # fmt: skip


def test_the_requirements_allow_one_minor_version() -> None:
    """What is private may change with any minor version, and only this file would say so."""
    major, minor = version("gradio").split(".")[:2]
    requirement = (ROOT / "requirements.txt").read_text().splitlines()[0]
    assert requirement == f"gradio[oauth]>={major}.{minor},<{major}.{int(minor) + 1}"


@pytest.mark.parametrize(
    ("owner", "names"),
    [
        (gr.Blocks, ("validate_inputs",)),
        (queueing.Queue, ("push",)),
        (route_utils, ("CustomCORSMiddleware", "get_root_url")),
        (utils, ("LRUCache",)),
        (component_meta, ("ComponentMeta", "create_or_modify_pyi")),
        (routes, ("templates",)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_used_is_still_there(owner: object, names: tuple[str, ...]) -> None:
    """A name that moved would break a request, not the start."""
    assert [name for name in names if not hasattr(owner, name)] == []


def test_the_queue_has_what_is_bounded() -> None:
    """Otherwise the limits would be set on attributes that nobody reads."""
    with gr.Blocks() as page:
        gr.Textbox()
    page.queue()
    assert {"pending_event_ids_session", "sleep_when_free", "push"} <= set(dir(page._queue))
    assert "OSError" in inspect.getsource(component_meta.create_or_modify_pyi)


def test_gradio_makes_the_app_of_a_page_when_it_is_launched() -> None:
    """Those that it makes before serve nobody, and each has all of its routes."""
    with skip_unused_apps(), gr.Blocks() as page:
        gr.Textbox()
    assert page.app is None
    page.queue()
    assert page.app is not None, "only within the block"
    assert "self.server_app = self.app = App.create_app(" in inspect.getsource(gr.Blocks.launch)


def test_a_component_of_ours_triggers_events_of_its_own() -> None:
    """`gr.HTML` finds the names of events in `js_on_load`."""
    component = gr.HTML(html_template="<x-y></x-y>", js_on_load="trigger('fill')", render=False)
    assert callable(component.fill)
    assert "visible" in inspect.signature(gr.HTML.__init__).parameters


def test_the_template_has_what_is_replaced() -> None:
    """The link preview and the manifest would be Gradio's again."""
    assert "<head>" in TEMPLATE
    assert 'property="og:image"' in TEMPLATE
    assert 'rel="manifest"' in TEMPLATE
    assert 'lang="en"' in TEMPLATE


@pytest.mark.parametrize("path", UNNEEDED)
def test_only_needed_routes_of_gradio_are_there(app: AppProcess, path: str) -> None:
    """Each route that nothing here needs is one more way in."""
    for method in ("GET", "POST"):
        response = requests.request(method, f"{app.url}/gradio_api/{path}", timeout=10)
        assert response.status_code == 404, method


def test_a_link_preview_shows_our_name_and_image(app: AppProcess) -> None:
    """Whoever sends the link to a friend sends this with it."""
    page = requests.get(app.url, timeout=10).text
    assert '<meta property="og:title" content="Dreamina UI">' in page
    image = page.partition('property="og:image" content="')[2].partition('"')[0]
    assert requests.get(image, timeout=10).headers["content-type"] == "image/png"
    assert "raw.githubusercontent.com" not in page
    manifest = page.partition('rel="manifest"')[2].partition('href="')[2].partition('"')[0]
    facts = requests.get(f"{app.url}/{manifest}", timeout=10).json()
    base = f"{app.url}/{manifest}".rpartition("/")[0]
    for icon in facts["icons"]:
        assert requests.get(f"{base}/{icon['src']}", timeout=10).status_code == 200
