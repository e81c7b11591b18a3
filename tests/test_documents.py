"""The documents name only what exists, and the Japanese ones say what the English ones say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dreamina_ui.settings import Settings
from tests.support.browser import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")])
PACKAGES = {path.parent.name for path in (ROOT / "dreamina_ui").glob("*/__init__.py")}
TOP_FOLDERS = ("assets", "benchmarks", "deploy", "docs", "dreamina_ui", "examples", "tests")
TRANSLATED = ("README.md", "docs/jobs.md", "docs/settings.md")


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def commands(text: str) -> list[str]:
    """The lines of its blocks of commands, without their comments, which are in its language."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    return [line.partition(" #")[0].rstrip() for block in blocks for line in block.splitlines()]


def variables(text: str) -> list[str]:
    """What the first column of the settings table names, in its order."""
    return [
        name
        for line in re.findall(r"^\| (`[A-Z0-9_]+`.*?) \|", text, flags=re.MULTILINE)
        for name in re.findall(r"[A-Z0-9_]{4,}", line)
    ]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_to_a_file(document: Path) -> None:
    """A newcomer follows these links first."""
    targets = re.findall(r"""(?:\]\(|src=")([^)"#\s]+)""", document.read_text(encoding="utf-8"))
    missing = [target for target in targets if "://" not in target and not (document.parent / target).exists()]
    assert missing == []


def test_every_code_path_in_the_documents_exists() -> None:
    """A page that sends a reader to a renamed module is worse than no page."""
    text = "".join(path.read_text(encoding="utf-8") for path in DOCUMENTS if path.name != "CHANGELOG.md")
    paths = {path.rstrip("/") for path in re.findall(r"`([\w-]+(?:/[\w.-]+)+/?|\w+\.py)`", text)}
    ours = {path for path in paths if path.split("/")[0] in {*TOP_FOLDERS, *PACKAGES} or path.endswith(".py")}
    assert len(ours) > 20
    roots = (ROOT, ROOT / "dreamina_ui", ROOT / "benchmarks")
    assert {path for path in ours if not any((root / path).exists() for root in roots)} == set()


def test_the_map_in_the_readme_names_every_package() -> None:
    """The map is where a stranger starts to read the code."""
    chapter = text_of("README.md").split("\n## The code\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.*?`) \|", chapter, flags=re.MULTILINE)
    names = [name for row in rows for name in re.findall(r"`([\w.]+)/?`", row)]
    modules = {path.name for path in (ROOT / "dreamina_ui").glob("*.py")} - {"__init__.py", "__main__.py"}
    assert sorted(names) == sorted(PACKAGES | modules)


def test_the_readme_says_what_every_dependency_is_for() -> None:
    """Every package is code that runs beside people's keys; it has to earn its place."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    required = [match[0] for line in lines if (match := re.match(r"\w[\w-]*", line))]
    table = text_of("README.md").split("\n| dependency | purpose |\n")[1].split("\n\n")[0]
    explained = [name for row in re.findall(r"^\| (\w.*?) \|", table, flags=re.MULTILINE) for name in row.split(", ")]
    extras = re.findall(r'^\w+ = \["([\w-]+)[^"]*[<>]\S*"\]$', text_of("pyproject.toml"), flags=re.MULTILINE)
    assert "mcp" in extras
    assert sorted(explained) == sorted([*required, *(f"{name} (optional)" for name in extras)])


def test_every_setting_is_in_the_table() -> None:
    """Nobody uses a setting that is documented nowhere."""
    read = {
        field.validation_alias for field in Settings.model_fields.values() if isinstance(field.validation_alias, str)
    }
    ours = {name for name in read if name.startswith(("DREAMINA_", "RUNCOMFY_"))}
    documented = variables(text_of("docs/settings.md"))
    assert ours - {*documented} == set()
    assert {name for name in documented if name.startswith("DREAMINA_")} - read == set()


@pytest.mark.parametrize("name", TRANSLATED)
def test_a_japanese_document_has_the_chapters_commands_and_settings_of_the_english_one(name: str) -> None:
    """Japanese readers get the same information."""
    english, japanese = text_of(name), text_of(name.replace(".md", ".ja.md"))
    chapters = re.compile(r"^#+ ", flags=re.MULTILINE)
    fences = re.compile(r"^```.*?^```", flags=re.DOTALL | re.MULTILINE)
    assert chapters.findall(fences.sub("", japanese)) == chapters.findall(fences.sub("", english))
    assert commands(japanese) == commands(english)
    assert variables(japanese) == variables(english)
    assert japanese.count("\n| ") == english.count("\n| ") or name == "README.md"
    assert japanese.split("\n## ")[-1].count("\n- ") == english.split("\n## ")[-1].count("\n- ")
