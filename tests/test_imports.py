"""The imports between packages run one way; packages, modules, and functions stay small."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "dreamina_ui"
MAX_MODULES = 15
MAX_TOP_MODULES = 5
MAX_MODULE_LINES = 500
MAX_SCRIPT_LINES = 300
MAX_FUNCTION_LINES = 45


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


def test_modules_stay_small() -> None:
    """A second noun in a module deserves a second module, where people find it by its name."""
    modules = {path: MAX_MODULE_LINES for path in PACKAGE.rglob("*.py")}
    scripts = {path: MAX_SCRIPT_LINES for path in PACKAGE.glob("web/static/*/**/*.js")}
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in modules | scripts}
    assert {path: lengths[path] for path, most in (modules | scripts).items() if lengths[path] > most} == {}


def lengths_of_functions(path: Path) -> Iterator[tuple[str, int]]:
    """How many lines each function of a module has, without its docstring."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
            first = node.body[0]
            docstring = (first.end_lineno or 0) - first.lineno + 1 if ast.get_docstring(node) is not None else 0
            yield node.name, node.end_lineno - node.lineno + 1 - docstring


def test_functions_stay_small() -> None:
    """What fits on a screen is read; what needs scrolling is skimmed."""
    paths = [path for folder in (PACKAGE, ROOT / "benchmarks", ROOT / "tests/support") for path in folder.rglob("*.py")]
    lengths = {f"{path.name} {name}": lines for path in paths for name, lines in lengths_of_functions(path)}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_FUNCTION_LINES} == {}
