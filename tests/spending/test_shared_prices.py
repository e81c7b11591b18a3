"""Of several servers one asks for the prices, and all know them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dreamina_ui.api.model_api import Price
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.spending.shared_prices import SharedPrices
from tests.support.databases import Engine

ORIGIN, MODEL_ID, HOUR_S = "https://model-api.runcomfy.net", "vendor/model", 3600.0
PRICE = Price(0.03, "output", input_schema={"type": "object", "title": "\x00"})


@pytest.fixture
def ledger(engine: Engine, tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(engine.open(tmp_path / "ledger.sqlite3"))
    yield opened
    opened.close()


def make_older(engine: Engine, tmp_path: Path, seconds: float) -> None:
    engine.rows(tmp_path / "ledger.sqlite3", f"UPDATE prices SET read_at = read_at - {seconds}")


def test_one_server_asks_for_all(ledger: Ledger, engine: Engine, tmp_path: Path) -> None:
    """Ten servers do not ask ten times, and a limit in USD holds at each of them."""
    asking, other = (
        SharedPrices(ledger, ORIGIN, lambda _ttl_s: True),
        SharedPrices(ledger, ORIGIN, lambda _ttl_s: False),
    )
    assert other.find(MODEL_ID, HOUR_S) is None, "nobody has asked yet, so whoever needs it asks"
    asking.store(MODEL_ID, PRICE)
    assert other.find(MODEL_ID, HOUR_S) == asking.find(MODEL_ID, HOUR_S) == PRICE
    make_older(engine, tmp_path, 1.5 * HOUR_S)
    assert asking.find(MODEL_ID, HOUR_S) is None
    assert other.find(MODEL_ID, HOUR_S) == PRICE
    asking.store(MODEL_ID, Price(0.05, "output"))
    assert other.find(MODEL_ID, HOUR_S) == Price(0.05, "output")


def test_others_ask_if_the_one_whose_duty_it_is_does_not(ledger: Ledger, engine: Engine, tmp_path: Path) -> None:
    """A server that hangs leaves nobody with prices of yesterday."""
    other = SharedPrices(ledger, ORIGIN, lambda _ttl_s: False)
    other.store(MODEL_ID, PRICE)
    make_older(engine, tmp_path, 2.5 * HOUR_S)
    assert other.find(MODEL_ID, HOUR_S) is None
