"""How the library compares texts: without case, width, accents and invisible characters; and the index for it.

The index gives candidates, and the caller compares their texts. SQLite's is an FTS5 table of all trigrams, which
triggers keep up to date; PostgreSQL's belongs to pg_trgm and is used by the comparison itself. Where the engine has
none, texts are found all the same, by reading every row.
"""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import regex
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from dreamina_ui.ledger.tables import jobs
from dreamina_ui.ledger.transaction import Reader

log = logging.getLogger(__name__)

MAX_CANDIDATES = 2000
"""Where more texts match, the first page of them is found sooner by reading rows in the library's order."""

_GRAM = 3
_PAD = "char(10) || char(10)"
"""Behind each text, so that its last one and two letters begin a trigram, too."""

_ACCENTS = regex.compile(r"([\p{Latin}\p{Greek}])\p{Nonspacing_Mark}+")
_IGNORABLE = regex.compile(r"[\p{Default_Ignorable_Code_Point}\p{Cf}]")


def search_form(text: str) -> str:
    """The form in which texts are stored for search and searched for: `Café`, `cafe` and `ＣＡＦＥ` are the same.

    Accents of Latin and Greek letters are dropped. In other scripts a mark can make another letter, as in the Japanese
    `か` and `が`; there it only does not matter whether it is composed.
    """
    decomposed = unicodedata.normalize("NFKD", _IGNORABLE.sub("", text)).casefold()
    plain = _ACCENTS.sub(r"\1", unicodedata.normalize("NFKD", decomposed))
    return unicodedata.normalize("NFKC", plain)


def search_words(text: str) -> list[str]:
    """The words that a search asks for, in the form in which they are stored."""
    return search_form(text).split()


def search_text(inputs: Mapping[str, Any]) -> str:
    """What the library searches: the prompt, or every text of a model that has none, in its search form."""
    prompt = inputs.get("prompt")
    texts = [prompt] if isinstance(prompt, str) else [value for value in inputs.values() if isinstance(value, str)]
    return search_form("\n".join(texts))


def create_search_index(connection: sa.Connection) -> None:
    """Create the engine's index over `jobs.search_text`, if it has one, for all rows there are and will be.

    Of SQLite it is made anew if it is there.
    """
    statements = _SQLITE_INDEX if connection.dialect.name == "sqlite" else _POSTGRESQL_INDEX
    try:
        with connection.begin_nested():
            for statement in statements:
                connection.exec_driver_sql(statement)
    except DBAPIError:  # built without FTS5, or not allowed to create the extension
        log.warning("This database has no index for texts: a search reads every row")


def renew_sqlite_search_index(connection: sa.Connection) -> None:
    """Make the index anew that counted on the numbers of rows in `jobs`, which VACUUM may change."""
    if connection.dialect.name == "sqlite" and not _has_index(connection):
        create_search_index(connection)


def text_conditions(reader: Reader, text: str) -> list[sa.ColumnElement[bool]]:
    """Conditions on the table `jobs` that hold for rows whose text contains all words of `text`."""
    words = search_words(text)
    conditions = [jobs.c.search_text.contains(word, autoescape=True) for word in words]
    job_ids = _job_ids_that_may_match(reader, words)
    return conditions if job_ids is None else [jobs.c.job_id.in_(job_ids), *conditions]


def _job_ids_that_may_match(reader: Reader, words: Sequence[str]) -> list[str] | None:
    """Ids of all jobs whose text can contain all these words, as `search_words` gives them; some do not.

    Returns:
        None if there is no index for them, or if there are more than `MAX_CANDIDATES`.
    """
    if not words or reader.connection.dialect.name != "sqlite" or not _has_index(reader.connection):
        return None
    grams = {word[at : at + _GRAM] for word in words for at in range(len(word) - _GRAM + 1)}
    if grams:
        condition = "SELECT rowid FROM jobs_search WHERE jobs_search MATCH :words"
        values = {"words": " AND ".join('"' + gram.replace('"', '""') + '"' for gram in sorted(grams))}
    else:  # short words begin trigrams
        longest = max(words, key=len)
        condition = "SELECT DISTINCT doc FROM jobs_search_terms WHERE term >= :low AND term < :high"
        values = {"low": longest, "high": longest + "\U0010ffff"}
    docs = f"{condition} LIMIT {MAX_CANDIDATES + 1}"
    query = sa.text(f"SELECT job_id FROM jobs_search_docs WHERE doc IN ({docs})")  # noqa: S608
    job_ids = list(reader.connection.execute(query, values).scalars())
    return job_ids if len(job_ids) <= MAX_CANDIDATES else None


def _has_index(connection: sa.Connection) -> bool:
    query = "SELECT 1 FROM sqlite_master WHERE name = 'jobs_search_docs'"
    return connection.exec_driver_sql(query).first() is not None


_POSTGRESQL_INDEX = (
    # Installations in several schemas of one database share the extension.
    "CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA public",
    "CREATE INDEX jobs_search ON jobs USING gin (search_text public.gin_trgm_ops)",
)
_ADD_DOC = "INSERT INTO jobs_search_docs (job_id) VALUES (new.job_id)"
_ADD = f"""
    INSERT INTO jobs_search (rowid, text)
    SELECT doc, COALESCE(new.search_text, '') || {_PAD} FROM jobs_search_docs WHERE job_id = new.job_id
"""  # noqa: S608
_REMOVE = f"""
    INSERT INTO jobs_search (jobs_search, rowid, text)
    SELECT 'delete', doc, COALESCE(old.search_text, '') || {_PAD} FROM jobs_search_docs WHERE job_id = old.job_id
"""  # noqa: S608
_REMOVE_DOC = "DELETE FROM jobs_search_docs WHERE job_id = old.job_id"
_SQLITE_INDEX = (
    "DROP TRIGGER IF EXISTS jobs_search_add",
    "DROP TRIGGER IF EXISTS jobs_search_change",
    "DROP TRIGGER IF EXISTS jobs_search_remove",
    "DROP TABLE IF EXISTS jobs_search_terms",
    "DROP TABLE IF EXISTS jobs_search",
    "DROP TABLE IF EXISTS jobs_search_docs",
    # Not the number of the row in `jobs`: VACUUM may give that to another one.
    "CREATE TABLE jobs_search_docs (doc INTEGER PRIMARY KEY, job_id TEXT NOT NULL UNIQUE)",
    "CREATE VIRTUAL TABLE jobs_search USING fts5 "
    "(text, content = '', detail = 'none', tokenize = 'trigram case_sensitive 1')",
    "CREATE VIRTUAL TABLE jobs_search_terms USING fts5vocab (jobs_search, instance)",
    "INSERT INTO jobs_search_docs (job_id) SELECT job_id FROM jobs ORDER BY created_at",
    "INSERT INTO jobs_search (rowid, text) "  # noqa: S608
    f"SELECT doc, COALESCE(search_text, '') || {_PAD} FROM jobs_search_docs JOIN jobs USING (job_id) ORDER BY doc",
    f"CREATE TRIGGER jobs_search_add AFTER INSERT ON jobs BEGIN {_ADD_DOC}; {_ADD}; END",
    f"CREATE TRIGGER jobs_search_change AFTER UPDATE OF search_text ON jobs BEGIN {_REMOVE}; {_ADD}; END",
    f"CREATE TRIGGER jobs_search_remove AFTER DELETE ON jobs BEGIN {_REMOVE}; {_REMOVE_DOC}; END",
)
