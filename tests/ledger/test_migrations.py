"""A ledger of an older version opens in this one, and nothing in it is lost."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.library_queries import page_of_entries
from dreamina_ui.ledger.migrations import MIGRATIONS
from dreamina_ui.ledger.search import renew_sqlite_search_index, search_words, text_conditions
from dreamina_ui.ledger.tables import TOTALS, jobs, outputs, state_changes
from dreamina_ui.library.library import Library, LibraryFilter
from tests.support.library_rows import ORIGIN, LibraryRows

FIRST = Path(__file__).parent / "fixtures" / "ledger-1.sqlite3"
"""Written by the first version: a job in each state, of 狐🦊 too."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return Path(shutil.copy(FIRST, tmp_path / "ledger.sqlite3"))


def read_rows(path: Path, table: str) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2")]


def version_of(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute("SELECT version FROM ledger_version")]


def test_the_fixture_is_of_the_first_version() -> None:
    """Else these tests prove nothing."""
    assert version_of(FIRST) == [1]
    assert "search_text" not in read_rows(FIRST, "jobs")[0]
    assert {row["state"] for row in read_rows(FIRST, "jobs")} == {
        "submitting", "submit_unclear", "queued", "running", "saving", "done", "failed", "cancelled",
    }  # fmt: skip


@pytest.mark.parametrize("table", ["jobs", "outputs", "state_changes"])
def test_every_row_survives_as_it_was(path: Path, table: str) -> None:
    """An update of the program loses no job, no picture and no request id."""
    Ledger(path).close()
    before = read_rows(FIRST, table)
    assert [{name: row[name] for name in before[0]} for row in read_rows(path, table)] == before


def test_the_new_columns_are_there(path: Path, tmp_path: Path) -> None:
    """A ledger that was updated is the same as one made today."""
    Ledger(path).close()
    Ledger(tmp_path / "new.sqlite3").close()
    assert shape(path) == shape(tmp_path / "new.sqlite3")
    for table in (jobs, outputs, state_changes):
        assert set(read_rows(path, table.name)[0]) == {column.name for column in table.columns}


def shape(path: Path) -> dict[str, Any]:
    with closing(sqlite3.connect(path)) as connection:
        columns = {
            table: sorted(row[1:4] for row in connection.execute(f"PRAGMA table_info({table})"))
            for table in ("jobs", "outputs", "state_changes")
        }
        indexes = connection.execute("SELECT name FROM sqlite_master WHERE type = 'index' ORDER BY name").fetchall()
    return columns | {"indexes": indexes}


def test_old_prompts_are_found_however_their_letters_were_typed(path: Path) -> None:
    """The form in which prompts are stored for search changed; old rows must have the new one."""
    prompt = "cafe\u0301 \u304b\u3099 \uff23\uff21\uff34 \uff76\uff9e"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE jobs SET inputs = ?", [json.dumps({"prompt": prompt})])
    Ledger(path).close()
    rows = LibraryRows(path.parent)
    for searched in ("caf\u00e9", "\u304c", "cat", "\u30ac", "cafe\u0301", "CAFE"):
        assert set(rows.prompts(text=searched)) == {prompt}


def test_old_prompts_can_be_searched(path: Path) -> None:
    """The library finds what was made before there was one."""
    Ledger(path).close()
    assert [row["search_text"] for row in read_rows(path, "jobs")][5] == "a red fox, done 狐 🦊"
    rows = LibraryRows(path.parent)
    assert rows.prompts(text="RED 狐 done") == ["A Red Fox, done 狐 🦊"]
    rows.ledger.close()


def test_old_jobs_read_like_new_ones(path: Path) -> None:
    """Nothing old is archived, favorite or deleted; unfinished jobs stay unfinished."""
    ledger = Ledger(path)
    entries = Library(ledger, LibraryRows(path.parent).media).page(LibraryFilter())
    assert [entry.job.job_id[-1] for entry in entries] == list("76543210")
    done = entries[2]
    assert done.output is not None
    assert (done.output.file_key, done.output.favorite_at, done.output.deleted_at) == ("5" + "0" * 31, None, None)
    assert [job.state for job in ledger.unfinished("sandbox")] == ["submitting", "queued", "running", "saving"]
    assert ledger.unfinished(ORIGIN) == []
    ledger.close()


def test_opening_again_changes_nothing(path: Path) -> None:
    """Each step is taken once; a start is no event."""
    Ledger(path).close()
    once = [read_rows(path, table) for table in ("jobs", "outputs", "state_changes")]
    Ledger(path).close()
    assert [read_rows(path, table) for table in ("jobs", "outputs", "state_changes")] == once
    assert version_of(path) == [len(MIGRATIONS)]


def test_an_index_of_texts_that_counted_on_numbers_of_rows_is_made_anew(path: Path) -> None:
    """A ledger of last week finds what it found, and what comes."""
    Ledger(path).close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TABLE jobs_search_docs")
        for name in ("add", "change", "remove"):
            connection.execute(f"DROP TRIGGER jobs_search_{name}")
        connection.execute("DELETE FROM budgets WHERE scope = 'model'")  # a later step counts them
        for name in ("budgets_day", "jobs_problems"):
            connection.execute(f"DROP INDEX {name}")
        for total in TOTALS:  # later steps create what follows
            for ending in ("add", "change", "remove"):
                connection.execute(f"DROP TRIGGER {total.name}_{ending}")
            connection.execute(f"DROP TABLE {total.name}")
        connection.execute("ALTER TABLE ledger_version DROP COLUMN readable_from")
        for name in ("prices", "batch_retries"):
            connection.execute(f"DROP TABLE {name}")
        before = next(number for number, step in enumerate(MIGRATIONS) if renew_sqlite_search_index in step)
        connection.execute("UPDATE ledger_version SET version = ?", [before])
        prompt, *_ = connection.execute("SELECT search_text FROM jobs WHERE length(search_text) > 3").fetchone()
    ledger = Ledger(path)
    with ledger.reading() as reader:
        assert len(text_conditions(reader, prompt)) > len(search_words(prompt)), "the index was not used"
        assert page_of_entries(reader, LibraryFilter(text=prompt), "", 10)
    ledger.close()
