"""The table `pace`: how fast the servers together may call an API, as a text that `api.pacing` understands."""

from __future__ import annotations

import sqlalchemy as sa

from dreamina_ui.ledger.tables import pace
from dreamina_ui.ledger.transaction import Transaction

_ENSURE = sa.text("INSERT INTO pace (api_origin, state) VALUES (:api_origin, '') ON CONFLICT (api_origin) DO NOTHING")


def lock_pace(transaction: Transaction, api_origin: str) -> str:
    """The state of an API's pace, which only this transaction can change from now on; "" for a new one."""
    transaction.connection.execute(_ENSURE, {"api_origin": api_origin})
    query = sa.select(pace.c.state).where(pace.c.api_origin == api_origin).with_for_update()
    return str(transaction.connection.execute(query).scalar_one())


def write_pace(transaction: Transaction, api_origin: str, state: str) -> None:
    """Write the state that follows."""
    transaction.connection.execute(pace.update().where(pace.c.api_origin == api_origin).values(state=state))
