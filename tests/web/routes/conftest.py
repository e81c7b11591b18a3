"""A library beside the job services."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.harness import Harness
from tests.support.library_rows import LibraryRows


@pytest.fixture
def rows(harness: Harness) -> Iterator[LibraryRows]:
    made = LibraryRows(harness.folder, harness.clock)
    yield made
    made.ledger.close()
