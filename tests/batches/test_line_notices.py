"""Odd lines of a pasted batch are named before anything is sent."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dreamina_ui.batches.expansion import BatchRequest, expand
from dreamina_ui.batches.line_notices import MAX_NOTICES, MAX_SHOWN, NOTICE_KINDS, find_notices, split_lines
from dreamina_ui.models.schema import load_models
from tests.support.harness import MODEL_ID

PASTED = (
    "\ufeffa red fox\r\n\u200b\r\n\u3164\r\n# a line that was meant as a comment\r\n\uff5b赤\uff5c青\uff5dの狐\r\n"
    'first half\x0bsecond half\r\nfirst\u2028second\r\n"a fox,\r\nin the snow",1024\r\n'
)


def notices(text: str) -> list[tuple[int, str]]:
    return [(notice.line, notice.kind) for notice in find_notices(text)]


def test_a_pasted_text_names_each_of_its_odd_lines() -> None:
    """Whoever pastes from a spreadsheet or a chat must see what is not a prompt before paying for it."""
    assert notices(PASTED) == [
        (1, "byte_order_mark"), (2, "invisible"), (3, "invisible"), (4, "comment"), (5, "braces"), (6, "line_break"),
        (7, "line_break"), (8, "quotes"), (9, "quotes"),
    ]  # fmt: skip


def test_lines_that_show_nothing_make_no_job_and_the_others_stay_as_written() -> None:
    """Two blank jobs of this text were once paid for."""
    jobs = expand(load_models()[MODEL_ID], BatchRequest(PASTED))
    assert [job["prompt"] for job in jobs] == [
        "a red fox", "# a line that was meant as a comment", "\uff5b赤\uff5c青\uff5dの狐", "first half\x0bsecond half",
        "first\u2028second", '"a fox,', 'in the snow",1024',
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("\u2060\u00ad", "invisible"), ("\u2800", "invisible"), ("\x00", "invisible"), ("\u202e", "invisible"),
        ("a\tb", "control"), ("a\x1b[31mb", "control"), ("a\x7f", "control"), ("a\x9bb", "control"),
        ("a\x0cb", "line_break"), ("a\x85b", "line_break"), ("a\u2029b", "line_break"),
        ("a \u202eb", "direction"), ("\u2066a\u2069", "direction"), ("a\u200e", "direction"),
        ("a\u200bb", "hidden"), ("a\ufeffb", "hidden"), ("a\u00adb", "hidden"), ("a\u3164b", "hidden"),
        ("a \U000e0041\U000e0042", "hidden"), ("a\u2060b", "hidden"),
        ("a \ufffd fox", "damaged"), ("a \ue000", "damaged"), ("a \U000fffff", "damaged"),
        ("// a note", "comment"), ("  # a note", "comment"),
        ('"a fox","1024"', "quotes"), ('"a ""red"" fox', "quotes"),
    ],
)  # fmt: skip
def test_each_kind_of_odd_line_is_named(line: str, kind: str) -> None:
    """A character that nobody sees changes a prompt that somebody pays for."""
    assert notices(f"fine\n{line}\nfine too") == [(2, kind)]


@pytest.mark.parametrize(
    "line",
    [
        "a {red|blue} fox",
        "", "   ", "\t", "\u3000", "👩‍👩‍👧 and 🏳️‍🌈", "❤️", "🏴\U000e0067\U000e0062\U000e007f", "e\u0301",
        "می\u200cخواهم", "שלום", 'a "quoted" word', "it's 5 o'clock", "rock & roll #1", "https://a.example/x.png",
        "狐、雪の中", "क्\u200dष",
    ],
)  # fmt: skip
def test_ordinary_lines_are_not_named(line: str) -> None:
    """A notice that is always there is not read."""
    assert notices(f"fine\n{line}") == []


def test_a_line_that_stands_twice_is_named_the_second_time() -> None:
    """It may be meant, and it is paid twice."""
    assert notices("a fox\na hen\n a fox \na fox") == [(3, "duplicate"), (4, "duplicate")]


def test_an_excerpt_shows_what_cannot_be_seen() -> None:
    """The person must be able to find the character."""
    [notice] = find_notices("a\tb\u200bc" + "x" * 100)[:1]
    assert notice.excerpt.startswith("a␉b<U+200B>cxx")
    assert notice.excerpt.endswith("…")
    assert len(notice.excerpt) < MAX_SHOWN + 20


def test_line_numbers_are_those_of_the_text_and_of_errors() -> None:
    """An editor, the notices and the errors must count alike."""
    assert split_lines("\ufeffa\r\nb\rc\nd\u2028e") == ["a", "b", "c", "d\u2028e"]


def test_a_megabyte_of_odd_text_is_read_once() -> None:
    """The text comes from strangers; if each part of it led to another look at all, this would take days."""
    for part in ('"', "\u200b", "a\u200b", "🏴\U000e0067", "\x0b\t", '"a"', "#", "a\n", "\u200b\n"):
        assert len(find_notices((part * 1_000_000)[:1_000_000])) <= MAX_NOTICES


@settings(deadline=None, derandomize=True)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_has_notices_of_known_kinds(text: str) -> None:
    """Text comes from outside."""
    lines = split_lines(text)
    for notice in find_notices(text):
        assert notice.kind in NOTICE_KINDS
        assert 1 <= notice.line <= len(lines)
        assert not any(char in notice.excerpt for char in "\n\r\x00\u202e\u200b")
