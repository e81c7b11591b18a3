"""What a model is expected to cost, as the page shows it beside Generate."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from dreamina_ui.jobs.services import JobServices
from dreamina_ui.models.schema import Model
from dreamina_ui.models.units import COUNT_KEYS, DURATION_KEYS, SINGLE_KEY
from dreamina_ui.spending.limits import MAX_FILES
from dreamina_ui.web.auth.permissions import Permissions


class ModelPrices:
    """Prices for whoever asks: with a key of their own, what that key pays.

    Args:
        uses_sandbox: whether the owner's jobs cost nothing.
    """

    def __init__(self, services: JobServices, permissions: Permissions, *, uses_sandbox: bool) -> None:
        self._packaged = services.models.packaged
        self._accounts = services.accounts
        self._guard = services.guard
        self._permissions = permissions
        self._uses_sandbox = uses_sandbox

    def all(self, request: Request) -> dict[str, Any]:
        """`{"play_money": bool, "models": {model_id: {...} | null}}`, of the models that have a file."""
        models = {model_id: self.of(model, request) for model_id, model in self._packaged.items()}
        has_key = self._permissions.key_session(request) is not None
        return {"play_money": self._uses_sandbox and not has_key, "models": models}

    def of(self, model: Model, request: Request) -> dict[str, Any] | None:
        """`{"one_usd": USD, "unit": str}`, and which inputs decide how many; None if nobody knows the price.

        `switch`, `count` and `duration` are parameters: of the switch for a single file, and of numbers of files and
        seconds. With a switch, `most_usd` and `most_files` hold without it.
        """
        accounts, guard = self._accounts, self._guard
        has_key = self._permissions.key_session(request) is not None
        origin = accounts.key_origin if has_key or accounts.requires_own_key else accounts.api_origin
        price = guard.price(model.model_id, origin)
        if price is None:
            return None
        facts: dict[str, Any] = {"one_usd": price[0], "unit": price[1]}
        for name, keys in (("switch", (SINGLE_KEY,)), ("count", COUNT_KEYS), ("duration", DURATION_KEYS)):
            parameter = next((field.parameter for field in model.fields if field.key in keys), None)
            facts |= {name: parameter} if parameter else {}
        if "switch" in facts:
            facts |= {"most_usd": guard.expected_usd(model.model_id, {}, origin), "most_files": MAX_FILES}
        return facts
