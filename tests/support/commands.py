"""Runs the operator's commands in the process of a test."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from dreamina_ui.cli.commands import app
from tests.support.browser import OUR_VARIABLES


@dataclass(frozen=True)
class Ended:
    """What a command left behind."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]


def forget_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run without the settings of whoever runs the tests."""
    for name in list(os.environ):
        if OUR_VARIABLES.search(name):
            monkeypatch.delenv(name)


def run_command(capsys: pytest.CaptureFixture[str], data_dir: Path | None, *words: object) -> Ended:
    """Run one command on a data folder, or on what the environment says."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        app([*map(str, words), *(["--data-dir", str(data_dir)] if data_dir else [])])
    return Ended(int(end.value.code or 0), *capsys.readouterr())
