"""A ledger of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dreamina_ui.ledger.ledger import Ledger
from tests.support.databases import Engine


@pytest.fixture
def path(tmp_path: Path, engine: Engine) -> Path:
    return tmp_path / "ledger.sqlite3"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    made = Ledger(path)
    yield made
    made.close()
