"""The promises of the process: a kill loses no job, and a stop is quick and clean."""

from __future__ import annotations

import importlib
import inspect
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from dreamina_ui.web.gradio_page.import_patch import skip_stub_files
from tests.support.bad_server import closed_port
from tests.support.browser import ROOT, AppProcess, Visitor, accepted, read_events, wait_for

TOKEN = "a-token-that-nobody-may-see-0123456789"
STOPS = {"SIGTERM": [signal.SIGTERM], "SIGTERM twice": [signal.SIGTERM] * 2, "SIGINT": [signal.SIGINT]}
COMMANDS = {"SIGTERM": ["app.py"]}
"""The first one really starts with `python app.py`."""


def test_an_argument_starts_nothing_and_names_the_place_of_the_settings(tmp_path: Path) -> None:
    """Who tries `--help` or `--port` would otherwise get a server that ignores it."""
    command = [sys.executable, str(ROOT / "app.py"), "--help"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "docs/settings.md" in ended.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def sandbox_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A sandbox as a process of its own, where RunComfy would be."""
    port = closed_port()
    options = ["--port", port, "--token", TOKEN, "--queue-s", 0.6, "--run-s", 0.8]
    folder = tmp_path_factory.mktemp("service")
    service = AppProcess(folder, "-m", "dreamina_ui.sandbox", *map(str, options), "--data-dir", str(folder))
    service.launch()
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: _is_up(service, url))
        yield url
    finally:
        service.end(signal.SIGTERM)


@pytest.fixture(scope="module")
def app_with_token(sandbox_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    """The app with a token, in what looks like a hosted notebook, with proxies that lead nowhere."""
    settings = {"RUNCOMFY_API_BASE_URL": sandbox_url, "RUNCOMFY_API_TOKEN": TOKEN, "KAGGLE_KERNEL_RUN_TYPE": "Batch"}
    proxy = f"127.0.0.1:{closed_port()}"
    settings |= {"HTTP_PROXY": f"http://{proxy}", "https_proxy": f"http://{proxy}", "ALL_PROXY": f"socks://{proxy}"}
    with AppProcess(tmp_path_factory.mktemp("app"), **settings) as running:
        yield running


@pytest.fixture(scope="module")
def stopping_apps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, AppProcess]]:
    """One app for each way to stop it, started side by side."""
    apps = {
        name: AppProcess(tmp_path_factory.mktemp("stop"), *COMMANDS.get(name, []), DREAMINA_SANDBOX_QUEUE_S="600")
        for name in STOPS
    }
    for app in apps.values():
        app.launch()
    try:
        for app in apps.values():
            app.wait_until_up()
        yield apps
    finally:
        for app in apps.values():
            app.__exit__(None, None, None)


def test_a_kill_in_mid_job_loses_nothing_and_pays_once(app_with_token: AppProcess, sandbox_url: str) -> None:
    """A request already paid for is resumed, and never bought again."""
    app = app_with_token
    visitor = Visitor(app)
    visitor.press(prompt="through a kill")
    wait_for(lambda: visitor.jobs()[0]["request_id"])
    app.end(signal.SIGKILL)
    app.start()
    job = wait_for(lambda: next((job for job in visitor.jobs() if job["state"] == "done"), None))
    submitted = [item for item in accepted(sandbox_url, TOKEN) if item["inputs"]["prompt"] == "through a kill"]
    assert [item["request_id"] for item in submitted] == [job["request_id"]]
    assert requests.get(f"{app.url}/dreamina/{job['outputs'][0]['original']}", timeout=10).status_code == 200


def test_a_page_is_shared_only_if_its_owner_says_so(app_with_token: AppProcess) -> None:
    """In a hosted notebook Gradio would do it by itself, and no limits would hold."""
    wait_for(lambda: "Jobs go to" in app_with_token.output)
    assert not re.search("hosted Jupyter|public URL", app_with_token.output)


def test_a_second_server_on_the_same_folder_names_the_first(app_with_token: AppProcess, tmp_path: Path) -> None:
    """Two servers on one ledger would do everything twice."""
    second = AppProcess(tmp_path, DREAMINA_DATA_DIR=str(app_with_token.data)).launch()
    assert second.end() == 1
    assert str(app_with_token.process.pid) in second.output
    assert str(app_with_token.data) in second.output
    assert "Traceback" not in second.output
    assert requests.get(app_with_token.url, timeout=10).status_code == 200


def test_an_impossible_token_stops_the_start_and_is_not_shown(tmp_path: Path) -> None:
    """A bad token must be reported at the start, not with the first job, and must not be logged."""
    app = AppProcess(tmp_path, RUNCOMFY_API_TOKEN="pasted-0123456789 badly-9876543210").launch()
    assert app.end() == 1
    assert "RUNCOMFY_API_TOKEN" in app.output
    assert not re.search("Traceback|pasted-0123456789|badly-9876543210", app.output)


@pytest.mark.parametrize("name", STOPS)
def test_a_stop_is_quick_and_clean(stopping_apps: dict[str, AppProcess], name: str) -> None:
    """An open page must not hold up a restart."""
    app = stopping_apps[name]
    visitor = Visitor(app)
    visitor.press()
    events: list[tuple[str, Any]] = []
    with visitor.http.get(f"{app.url}/dreamina/events", stream=True, timeout=30) as response:
        reader = threading.Thread(target=lambda: _read_all(response, events))
        reader.start()
        wait_for(lambda: events and events[-1][1][0]["state"] == "queued")
        assert app.end(*STOPS[name], timeout_s=5.0) == 0
        reader.join(5)
    assert "rest" not in [event for event, _ in events], "the job goes on at the next start"


def _read_all(response: requests.Response, events: list[tuple[str, Any]]) -> None:
    try:
        events.extend(iter(read_events(response)))
    except requests.RequestException:
        return


def _is_up(service: AppProcess, url: str) -> bool:
    assert service.process.poll() is None, service.output
    try:
        return requests.get(f"{url}/sandbox/requests", timeout=5).status_code == 401
    except requests.RequestException:
        return False


def test_the_page_goes_out_compressed(app_with_token: AppProcess) -> None:
    """A phone on a train waits for its bytes at each reload; nothing but the page itself may be touched."""
    with requests.get(app_with_token.url, headers={"Accept-Encoding": "gzip"}, stream=True, timeout=10) as page:
        assert page.headers["Content-Encoding"] == "gzip"
        size_bytes = len(page.raw.read(decode_content=False))
    plain = requests.get(app_with_token.url, headers={"Accept-Encoding": "identity"}, timeout=10)
    assert "Content-Encoding" not in plain.headers
    assert "gradio_config" in plain.text
    assert size_bytes < len(plain.content) / 3


def test_no_start_writes_stubs_into_gradios_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are for editors, and cost two seconds of each start; a Gradio that writes them all the same is noticed."""
    monkeypatch.syspath_prepend(tmp_path)
    code = "from gradio.components import HTML\n\n\nclass Own(HTML):\n    EVENTS = []\n"
    for name in ("stubbed", "unstubbed"):
        (tmp_path / f"{name}.py").write_text(code)
    importlib.import_module("stubbed")
    with skip_stub_files():
        importlib.import_module("unstubbed")
    assert [path.name for path in tmp_path.glob("*.pyi")] == ["stubbed.pyi"]
    assert inspect.getfile(AppProcess).endswith("browser.py")
