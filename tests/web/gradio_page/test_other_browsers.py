"""The main road in Firefox and in WebKitGTK, where they are installed."""

from __future__ import annotations

import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from tests.support.browser import HeldSandbox

ROAD = Path(__file__).parents[2] / "browsers" / "road.js"
STEPS = ["generate", "stage", "view", "zoom", "library", "batch", "cancel", "errors"]
NEEDED = {"firefox": ["firefox-esr"], "webkit": ["WebKitWebDriver", "Xvfb"]}
PACKAGES = {"firefox": "firefox-esr", "webkit": "webkit2gtk-driver xvfb"}


@pytest.mark.parametrize("name", NEEDED)
def test_the_main_road_works_in_another_browser(held: HeldSandbox, request: pytest.FixtureRequest, name: str) -> None:
    """Not everybody uses Chromium: generate, look, zoom, find, send a batch, and cancel, without a script's error."""
    if request.config.getoption("--no-browser"):
        pytest.skip("--no-browser")
    missing = [program for program in ["node", *NEEDED[name]] if not shutil.which(program)]
    if not (ROAD.parents[1] / "node_modules" / "puppeteer-core").exists():
        missing.append("puppeteer-core")
    if missing:
        pytest.skip(
            f"there is no {' and no '.join(missing)}; on Debian: apt-get install npm {PACKAGES[name]}, then run.py"
        )
    jobs_wait, is_over = threading.Event(), threading.Event()

    def move_the_clock() -> None:
        while not is_over.wait(0.5):  # again and again: the service may not have all jobs at the first time
            if jobs_wait.is_set():
                held.begin()
                held.finish()

    mover = threading.Thread(target=move_the_clock)
    mover.start()
    said = []
    with subprocess.Popen(["node", ROAD, name, held.app.url], stdout=subprocess.PIPE, text=True) as road:
        assert road.stdout
        for line in road.stdout:
            said.append(line.rstrip("\n"))
            if said[-1] == "sent":
                jobs_wait.set()
            elif said[-1] == "done":
                jobs_wait.clear()
    is_over.set()
    mover.join()
    assert [line.removeprefix("step: ") for line in said if line not in ("sent", "done")] == STEPS
