"""The documents name nothing that is not there, and the Japanese README says what the English one says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dreamina_ui.settings import Settings
from tests.support.browser import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")])
ENGLISH, JAPANESE = (ROOT.joinpath(name).read_text(encoding="utf-8") for name in ("README.md", "README.ja.md"))


def commands(text: str) -> list[str]:
    """The lines of its blocks of commands, without their comments, which are in its language."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    return [line.partition(" #")[0].rstrip() for block in blocks for line in block.splitlines()]


def variables(text: str) -> list[str]:
    """What the first column of the settings table names, in its order."""
    return [
        name
        for line in re.findall(r"^\| (`[A-Z_]+`.*?) \|", text, flags=re.MULTILINE)
        for name in re.findall(r"[A-Z_]{4,}", line)
    ]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_of_the_documents_leads_to_a_file(document: Path) -> None:
    """A newcomer has only these words to follow."""
    targets = re.findall(r"""(?:\]\(|src=")([^)"#\s]+)""", document.read_text(encoding="utf-8"))
    missing = [each for each in targets if "://" not in each and not (document.parent / each).exists()]
    assert missing == []


def test_every_setting_is_in_the_table() -> None:
    """A setting that nobody can find is none."""
    read = {
        str(each.validation_alias) for each in Settings.model_fields.values() if isinstance(each.validation_alias, str)
    }
    ours = {name for name in read if name.startswith(("DREAMINA_", "RUNCOMFY_"))}
    assert ours - {*variables(ENGLISH)} == set()
    assert {name for name in variables(ENGLISH) if name.startswith("DREAMINA_")} - read == set()


def test_the_japanese_readme_has_the_chapters_commands_and_settings_of_the_english_one() -> None:
    """Its readers are told no less."""
    chapters = re.compile(r"^#+ ", flags=re.MULTILINE)
    fences = re.compile(r"^```.*?^```", flags=re.DOTALL | re.MULTILINE)
    assert chapters.findall(fences.sub("", JAPANESE)) == chapters.findall(fences.sub("", ENGLISH))
    assert commands(JAPANESE) == commands(ENGLISH)
    assert variables(JAPANESE) == variables(ENGLISH)
    assert JAPANESE.split("\n## ")[-1].count("\n- ") == ENGLISH.split("\n## ")[-1].count("\n- ")
