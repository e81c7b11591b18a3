"""A library and its clock for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dreamina_ui.library.boards import Boards
from tests.support.databases import Engine
from tests.support.library_rows import LibraryRows, ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def rows(tmp_path: Path, clock: ManualClock, engine: Engine) -> Iterator[LibraryRows]:
    made = LibraryRows(tmp_path, clock)
    yield made
    made.ledger.close()


@pytest.fixture
def boards(rows: LibraryRows) -> Boards:
    return Boards(rows.ledger, rows.clock)
