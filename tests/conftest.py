"""Fixtures that many tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit import Scene, Service
from tests.misbehaving import Misbehaving


@pytest.fixture
def server() -> Iterator[Misbehaving]:
    with Misbehaving() as running:
        yield running


@pytest.fixture
def service(server: Misbehaving) -> Service:
    return Service(server)


@pytest.fixture
def scene(tmp_path: Path, service: Service) -> Iterator[Scene]:
    """A studio against the scripted service; not started."""
    made = Scene(tmp_path / "data", service.server.url)
    yield made
    made.close()
