"""A search finds a prompt however its letters were typed."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from dreamina_ui.ledger import search
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.library_queries import LibraryFilter, page_of_entries
from dreamina_ui.ledger.search import search_form, search_text, search_words, text_conditions
from tests.support.ledger_jobs import new_job

PROMPT = "cafe\u0301 \u3067 \u304b\u3099\u3093\u3070\u308b \uff23\uff21\uff34 \uff76\uff9e"


@pytest.mark.parametrize(
    "searched",
    [
        "caf\u00e9", "\u304c", "cat", "\u30ac", "cafe\u0301", "cafe", "CAFÉ", "ｃａｆｅ", "ＣＡＴ", "ｶﾞ", "がんばる",
        "か\u3099", "カ\u3099", "ca\u00adt", "c\u200bat", "cat がんばる",
    ],
)  # fmt: skip
def test_a_prompt_is_found_however_its_letters_were_typed(searched: str) -> None:
    """Keyboards and clipboards differ in case, width, accents and how they compose a letter."""
    stored = search_text({"prompt": PROMPT})
    assert all(word in stored for word in search_words(searched))


@pytest.mark.parametrize(
    ("stored", "searched"),
    [
        ("Müller", "muller"), ("muller", "MÜLLER"), ("Straße", "STRASSE"), ("ÅNGSTRÖM", "angstrom"), ("ﬁsh", "fish"),
        ("Ὀδυσσεύς", "οδυσσευς"), ("한국", "\u1112\u1161\u11ab국"), ("①②", "12"), ("ｱｲｳ", "アイウ"), ("Đặng", "đang"),
        ("İstanbul", "istanbul"), ("²", "2"), ("Ｗｉｄｅ　ｓｐａｃｅ", "wide space"),
    ],
)  # fmt: skip
def test_variants_of_a_text_have_one_form(stored: str, searched: str) -> None:
    """Either of them finds the other."""
    assert search_form(stored) == search_form(searched)


@pytest.mark.parametrize(("stored", "searched"), [("か", "が"), ("は", "ぱ"), ("и", "й"), ("कि", "का"), ("狐", "狸")])
def test_different_letters_stay_different(stored: str, searched: str) -> None:
    """A mark makes another letter in these scripts."""
    assert search_form(stored) != search_form(searched)


def test_a_model_without_a_prompt_is_found_by_any_of_its_texts() -> None:
    """No field is named in code but the prompt."""
    assert search_text({"words": "A FOX", "count": 3, "style": "Ink"}) == "a fox\nink"
    assert search_text({"prompt": "A FOX", "style": "Ink"}) == "a fox"


@settings(deadline=None, derandomize=True)
@given(st.text())
def test_the_form_of_a_form_is_itself(text: str) -> None:
    """A search for a text that was copied from the library finds it."""
    assert search_form(search_form(text)) == search_form(text)


PROMPTS = (
    "a red fox", "two foxes, 50% off", "富士山と桜", "桜 富士", "山", "狐🦊", "un café à Paris", 'the "old" fox\'s den',
    "under_score", "ab", "a", "fo xes", "OR AND NOT NEAR", "",
)  # fmt: skip


@pytest.mark.parametrize("most", [search.MAX_CANDIDATES, 1])
def test_the_index_finds_what_reading_every_text_would(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """A part of a word, one Chinese letter, a quotation mark: an index must not lose what was found without it."""
    monkeypatch.setattr(search, "MAX_CANDIDATES", most)
    for prompt in PROMPTS:
        ledger.add(new_job(prompt=prompt, state="failed"))
    for text in (
        "fox", "富士", "山", "桜", "富士山", "山と桜", "🦊", "狐🦊", "fé", "cafe", '"old"', "fox's", "50%", "r_s", "x",
        "a", "b", "ab", "red fox", "fox red", "fo xes", "OR", "not near", "nothing", "桜 山",
        "桜 a", "*", "x:y", "(", "_",
    ):  # fmt: skip
        with ledger.reading() as reader:
            entries = page_of_entries(reader, LibraryFilter(text=text), "", 100)
        expected = [prompt for prompt in PROMPTS if all(word in search_form(prompt) for word in search_words(text))]
        assert sorted(entry.job.inputs["prompt"] for entry in entries) == sorted(expected), text


@pytest.mark.sqlite
def test_the_index_follows_each_change_of_a_text(ledger: Ledger) -> None:
    """A row that comes, changes or goes must be found by what it says now."""
    ledger.add(new_job(prompt="a red fox"))

    def found_with_index(text: str) -> int:
        with ledger.reading() as reader:
            conditions = text_conditions(reader, text)
            assert len(conditions) == 2, "the index was not used"
            statement = sa.select(sa.func.count()).where(conditions[0])
            return int(reader.connection.execute(statement).scalar_one())

    assert [found_with_index(text) for text in ("fox", "re", "lake")] == [1, 1, 0]
    with ledger.writing() as transaction:
        transaction.connection.execute(sa.text("UPDATE jobs SET search_text = 'a lake'"))
    assert [found_with_index(text) for text in ("fox", "re", "lake", "ke")] == [0, 0, 1, 1]
    with ledger.writing() as transaction:
        transaction.connection.execute(sa.text("DELETE FROM state_changes"))
        transaction.connection.execute(sa.text("DELETE FROM jobs"))
    assert found_with_index("lake") == 0


@pytest.mark.sqlite
def test_the_index_survives_new_numbers_of_rows(ledger: Ledger) -> None:
    """VACUUM may number the rows of `jobs` anew, and a search would find other people's words."""
    for prompt in ("a red fox", "a lake"):
        ledger.add(new_job(prompt=prompt, state="failed"))
    with ledger.writing() as transaction:
        transaction.connection.execute(sa.text("UPDATE jobs SET rowid = rowid + 1000 WHERE search_text = 'a lake'"))
        transaction.connection.execute(sa.text("UPDATE jobs SET rowid = 2 WHERE search_text = 'a red fox'"))
    ledger.add(new_job(prompt="a blue fox", state="failed"))
    for text, expected in (("fox", ["a blue fox", "a red fox"]), ("lake", ["a lake"])):
        with ledger.reading() as reader:
            entries = page_of_entries(reader, LibraryFilter(text=text), "", 10)
        assert sorted(entry.job.inputs["prompt"] for entry in entries) == expected
