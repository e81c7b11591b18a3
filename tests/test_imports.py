"""The imports between packages run one way; pyproject.toml lists the contracts."""

from __future__ import annotations

from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "dreamina_ui"
MAX_MODULES = 15
MAX_TOP_MODULES = 5


def test_imports_follow_the_contracts(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A package that imports one above it can be neither understood, nor tested, nor replaced without it."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(
        "logging.config.dictConfig", lambda _config: None
    )  # it would silence all loggers of this process
    status = lint_imports(config_filename="pyproject.toml", no_cache=True, no_logo=True)
    assert status == 0, capsys.readouterr().out


def test_packages_stay_small() -> None:
    """Whoever looks for something reads the names in a folder, and stops reading when there are too many."""
    folders = [PACKAGE, *(path.parent for path in PACKAGE.rglob("__init__.py"))]
    counts = {folder: sum(path.name != "__init__.py" for path in folder.glob("*.py")) for folder in folders}
    assert counts.pop(PACKAGE) <= MAX_TOP_MODULES
    assert {folder: count for folder, count in counts.items() if count > MAX_MODULES} == {}
