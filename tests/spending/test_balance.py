"""The balance of the owner's account: a free test of the token, a warning in time, and never a reason to stop."""

from __future__ import annotations

from typing import Any

import pytest

from dreamina_ui.api.client import RunComfy
from dreamina_ui.spending.balance import BalanceReader
from tests.support.bad_server import BadServer, ScriptedResponse, json_response
from tests.support.harness import TOKEN, Clock, no_pause

PATH = "/prod/v2/balance"


def reader_at(server: BadServer, *, has_account: bool = True) -> tuple[BalanceReader, RunComfy]:
    url = server.url if has_account else None
    api = RunComfy("http://127.0.0.1:9", TOKEN, account_url=url, pause=no_pause, attempts=1)
    return BalanceReader(api, low_usd=1.0, clock=Clock()), api


@pytest.mark.parametrize(
    ("body", "amount", "is_low"),
    [
        ({"balance_usd": 25.5, "currency": "USD"}, 25.5, False),
        ({"balance_usd": "0.4"}, 0.4, True),
        ({"balance_microdollars": 990_000}, 0.99, True),
        ({"balance_usd": -2}, -2, True),
        ({"balance_usd": 0.4, "currency": "EUR"}, 0.4, False),
    ],
)
def test_the_balance_is_read_and_a_low_one_warns(
    server: BadServer, body: dict[str, Any], amount: float, is_low: bool
) -> None:
    """An empty account refuses every job; the owner should know before the visitors do."""
    server.script(PATH, json_response(body))
    reader, api = reader_at(server)
    assert reader.read(api)
    state = reader.state()
    assert state is not None
    assert (state.amount, state.is_low, state.problem) == (amount, is_low, None)
    assert server.requests[0].header("authorization") == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    ("response", "problem"),
    [
        (json_response({"error_code": 400004, "message": "wrong token"}, 401), "auth"),
        (json_response({"balance": "much"}), "protocol"),
        (ScriptedResponse(502, b"<html>"), "transport"),
    ],
)
def test_a_balance_that_cannot_be_read_says_why(server: BadServer, response: ScriptedResponse, problem: str) -> None:
    """A wrong token is found at the start, without a job; what was known stays."""
    reader, api = reader_at(server)
    server.script(PATH, json_response({"balance_usd": 3}), response)
    assert reader.read(api)
    assert reader.read(api)
    state = reader.state()
    assert state is not None
    assert (state.amount, state.problem) == (3, problem)


def test_the_token_goes_to_no_account_of_another_service(server: BadServer) -> None:
    """Whoever names another base URL did not agree that the token travels elsewhere."""
    reader, api = reader_at(server, has_account=False)
    assert not reader.read(api)
    assert reader.state() is None
    assert server.requests == []
