"""The examples of docs/programs.md, as they stand there, against the real program."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from tests.support.browser import ROOT, AppProcess

DOCUMENT = ROOT / "docs" / "programs.md"
COMMANDS = {
    "With curl": ["bash"],
    "With Python": [sys.executable, "-"],
    "With JavaScript": ["node", "--input-type=module", "-"],
}
NEEDED = {"With curl": "curl", "With Python": sys.executable, "With JavaScript": "node"}
ADDRESS = "http://127.0.0.1:7860"


def example(title: str) -> str:
    """The first block of code under a title."""
    chapter = DOCUMENT.read_text(encoding="utf-8").split(f"## {title}\n")[1]
    found = re.search(r"```\w+\n(.*?)```", chapter, re.DOTALL)
    assert found
    return found[1]


@pytest.fixture(scope="module")
def ran(app: AppProcess, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """All examples run at the same time; the folder of each that can run here, with what it printed in `told.txt`."""
    folders = {title: tmp_path_factory.mktemp("example") for title, needed in NEEDED.items() if shutil.which(needed)}

    def run(title: str) -> None:
        code = example(title)
        assert ADDRESS in code
        command = COMMANDS[title]
        ended = subprocess.run(
            command,
            input=code.replace(ADDRESS, app.url),
            cwd=folders[title],
            capture_output=True,
            text=True,
            timeout=60,
        )
        (folders[title] / "told.txt").write_text(ended.stdout + ended.stderr, encoding="utf-8")

    with ThreadPoolExecutor() as pool:
        list(pool.map(run, folders))
    return folders


def told_by(title: str, ran: dict[str, Path]) -> list[str]:
    if title not in ran:
        pytest.skip(f"{NEEDED[title]} is not installed")
    return (ran[title] / "told.txt").read_text(encoding="utf-8").splitlines()


def test_the_example_with_curl_runs(ran: dict[str, Path]) -> None:
    """What is copied from a document must work; most people copy this one."""
    told = "\n".join(told_by("With curl", ran))
    assert '"state": "done"' in told
    assert '"outcome": "too_late"' in told
    with Image.open(ran["With curl"] / "fox.png") as picture:
        assert picture.size == (1024, 1024)


def test_the_example_with_python_runs(ran: dict[str, Path]) -> None:
    """Gradio's own client, with nothing besides."""
    told = told_by("With Python", ran)
    assert "done Done." in told[-3]
    assert told[-2:] == ["0.03", "too_late"]
    with Image.open(ran["With Python"] / "fox-1.png") as picture:
        assert picture.size == (1024, 1024)


def test_the_example_with_javascript_runs(ran: dict[str, Path]) -> None:
    """It needs no package, so it runs wherever there is a `fetch`."""
    told = told_by("With JavaScript", ran)
    assert "done Done." in told[-4]
    assert re.fullmatch(r"\d{5,} bytes", told[-3])
    assert told[-2:] == ["0.03", "too_late"]
