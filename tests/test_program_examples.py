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
URL = "http://127.0.0.1:7860"


def example(title: str) -> str:
    """The first code block under a heading."""
    chapter = DOCUMENT.read_text(encoding="utf-8").split(f"## {title}\n")[1]
    match = re.search(r"```\w+\n(.*?)```", chapter, re.DOTALL)
    assert match
    return match[1]


@pytest.fixture(scope="module")
def folders(app: AppProcess, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Run all examples at once; returns the folder of each one that can run here, with its output in `output.txt`."""
    made = {title: tmp_path_factory.mktemp("example") for title, needed in NEEDED.items() if shutil.which(needed)}

    def run(title: str) -> None:
        code = example(title)
        assert URL in code
        command = COMMANDS[title]
        done = subprocess.run(
            command,
            input=code.replace(URL, app.url),
            cwd=made[title],
            capture_output=True,
            text=True,
            timeout=60,
        )
        (made[title] / "output.txt").write_text(done.stdout + done.stderr, encoding="utf-8")

    with ThreadPoolExecutor() as pool:
        list(pool.map(run, made))
    return made


def output_lines(title: str, folders: dict[str, Path]) -> list[str]:
    if title not in folders:
        pytest.skip(f"{NEEDED[title]} is not installed")
    return (folders[title] / "output.txt").read_text(encoding="utf-8").splitlines()


def test_the_example_with_curl_runs(folders: dict[str, Path]) -> None:
    """People copy examples from the documents, and this one most."""
    text = "\n".join(output_lines("With curl", folders))
    assert '"state": "done"' in text
    assert '"outcome": "too_late"' in text
    with Image.open(folders["With curl"] / "fox.png") as image:
        assert image.size == (1024, 1024)


def test_the_example_with_python_runs(folders: dict[str, Path]) -> None:
    """Gradio's own client is the shortest way for a Python program."""
    lines = output_lines("With Python", folders)
    assert "done Done." in lines[-3]
    assert lines[-2:] == ["0.03", "too_late"]
    with Image.open(folders["With Python"] / "fox-1.png") as image:
        assert image.size == (1024, 1024)


def test_the_example_with_javascript_runs(folders: dict[str, Path]) -> None:
    """Browsers and Node need no package for it."""
    lines = output_lines("With JavaScript", folders)
    assert "done Done." in lines[-4]
    assert re.fullmatch(r"\d{5,} bytes", lines[-3])
    assert lines[-2:] == ["0.03", "too_late"]
