"""The job services, once with each database engine."""

from __future__ import annotations

import pytest

from tests.support.databases import Engine
from tests.support.harness import Harness


@pytest.fixture
def harness(engine: Engine, harness: Harness) -> Harness:
    return harness
