"""The service's catalog: read in the background, stored in the ledger with its time, used while the service is away.

Who may use what: a model that has a file is offered to everybody; of the catalog, the owner has every model, and
visitors those that the owner chose.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import random
from typing import Any

from dreamina_ui.api.model_api import CatalogApi, CatalogEntry
from dreamina_ui.api.pacing import Pace
from dreamina_ui.catalog.entries import CatalogModel
from dreamina_ui.catalog.registry import ModelRegistry
from dreamina_ui.errors import ApiError, DreaminaError, InputError, LedgerError
from dreamina_ui.ledger.catalog.catalog_rows import read_catalog, read_time, store_catalog
from dreamina_ui.ledger.control_rows import names_of_kind, replace_kind
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.models.units import JobUnits, units_of_schema

log = logging.getLogger(__name__)

REFRESH_INTERVAL_S = 3600.0
RETRY_INTERVAL_S = 60.0
"""How long no visitor's key is used again where the last one read no catalog."""

MAX_MODELS = 3000
MAX_RETIRED = 500
"""How many models that the service has no longer stay known: their jobs still have settings and a title."""

MAX_CONTENT_CHARACTERS = 20_000_000
EVERY_MODEL = "*"
"""What stands for all models of the catalog in the owner's choice."""

SetPrice = Callable[[str, float, str | None, JobUnits], object]


@dataclass(frozen=True)
class CatalogState:
    """What the owner may know about the catalog.

    Attributes:
        read_at: seconds since 1970; None if it never was.
        problem: the kind of error that the last attempt ended with; None if it did well.
        models: how many can be used.
        left_out: how many cannot, by reason.
        offered: the model_ids that visitors may use; `*` for all.
    """

    read_at: float | None
    problem: str | None
    models: int
    left_out: Mapping[str, int]
    offered: tuple[str, ...]


class Catalog:
    """Reads the catalog on a thread of its own, and gives it to the registry.

    Args:
        api: None where there is no owner's token: then visitors' keys read the catalog, see `read_with`.
        api_origin: the name of the API in the ledger.
        set_price: stores what each model costs, and what a job of it makes at most.
        pace: bounds of the pauses while the service does not respond.
        clock: the time in seconds since 1970.

    Attributes:
        was_read: set after each attempt, whatever came of it.
        version: grows whenever the models change.
    """

    def __init__(
        self,
        api: CatalogApi | None,
        ledger: Ledger,
        registry: ModelRegistry,
        *,
        api_origin: str,
        set_price: SetPrice,
        pace: Pace,
        clock: Callable[[], float],
    ) -> None:
        self._api = api
        self._ledger = ledger
        self._registry = registry
        self._api_origin = api_origin
        self._set_price = set_price
        self._pace = pace
        self._clock = clock
        self._models: dict[str, CatalogModel] = {}
        self._read_at: float | None = None
        self._problem: str | None = None
        self._offered: frozenset[str] = frozenset()
        self._lock = threading.Lock()
        self._not_before = 0.0  # when a visitor's key may be used again
        self.was_read = threading.Event()
        self.version = 0
        self._wanted = threading.Event()
        self._stopping = threading.Event()

    def start(self) -> None:
        """Take what the ledger has, and keep it up to date from now on, if there is an owner's token."""
        self._load()
        if self._api is None:
            self.was_read.set()
            return
        threading.Thread(target=self._run, args=(self._api,), name="catalog", daemon=True).start()

    def stop(self) -> None:
        """Read nothing more."""
        self._stopping.set()
        self._wanted.set()

    def refresh_soon(self) -> None:
        """Read it anew in the background."""
        self._wanted.set()

    def models(self, *, is_owner: bool, has_key: bool = False) -> list[CatalogModel]:
        """The models that can be used, in the service's order: all for the owner, else those that visitors may use.

        Args:
            has_key: whether a key of their own pays: where the owner has no token, it opens all models.
        """
        usable = [model for model in self._models.values() if model.reason is None]
        if self._sees_all(is_owner, has_key):
            return usable
        return [model for model in usable if self._is_offered(model.model_id)]

    def left_out(self) -> list[CatalogModel]:
        """The models that cannot be used; each has its `reason`."""
        return [model for model in self._models.values() if model.reason not in (None, "retired")]

    def has_more(self, *, is_owner: bool, has_key: bool = False) -> bool:
        """Whether there is or will be more to choose than the models with a file."""
        will_be = has_key if self._api is None else is_owner
        return will_be or bool(self.models(is_owner=is_owner, has_key=has_key))

    def extended(self) -> list[str]:
        """The model_ids of those with a file that have more inputs at the service."""
        return self._registry.extended()

    def find(self, model_id: str) -> CatalogModel | None:
        """One model of the catalog."""
        return self._models.get(model_id)

    def may_use(self, model_id: Any, *, is_owner: bool, has_key: bool = False) -> bool:
        """Whether somebody may make a job with a model, which may be none at all."""
        if not isinstance(model_id, str):
            return False
        if model_id in self._registry.packaged:
            return True
        model = self._models.get(model_id)
        if model is None or model.reason is not None:
            return False
        return self._sees_all(is_owner, has_key) or self._is_offered(model.model_id)

    def ensure_usable(self, model_id: Any, *, is_owner: bool, has_key: bool = False) -> None:
        """Refuse a model that whoever asks may not use.

        Raises:
            InputError: as for a model that does not exist, so that nobody learns what the owner has.
        """
        if not self.may_use(model_id, is_owner=is_owner, has_key=has_key):
            raise InputError("model_id", "enum", sorted(self._registry.packaged), model_id)

    def state(self) -> CatalogState:
        """What the owner may know."""
        left_out: dict[str, int] = {}
        for model in self.left_out():
            left_out[str(model.reason)] = left_out.get(str(model.reason), 0) + 1
        usable = len(self.models(is_owner=True))
        return CatalogState(self._read_at, self._problem, usable, left_out, tuple(sorted(self._offered)))

    def offer(self, model_ids: Sequence[Any]) -> None:
        """Let visitors use these models of the catalog and no others; `*` stands for all.

        Raises:
            InputError: one of them is none that can be used.
            LedgerError: not written.
        """
        if len(model_ids) > MAX_MODELS:
            raise InputError("models", "maxItems", MAX_MODELS, len(model_ids))
        for model_id in model_ids:
            if model_id == EVERY_MODEL:
                continue
            if not self.may_use(model_id, is_owner=True):
                raise InputError("models", "enum", None, model_id)
        names = sorted(set(model_ids) - set(self._registry.packaged))
        with self._ledger.writing() as transaction:
            replace_kind(transaction, "model", names, set_at=self._clock())
        self._offered = frozenset(names)
        log.info("Visitors may use %d models of the catalog", len(names))

    @property
    def waits_for_keys(self) -> bool:
        """Whether a visitor's key may read the catalog now: the owner has no token, and nobody read it recently."""
        return self._api is None and self._clock() >= self._not_before

    def read_with(self, api: CatalogApi) -> None:
        """Read the catalog with a visitor's key where the owner has no token, unless it was read recently; blocks."""
        with self._lock:  # of many keys that come at once, one is enough
            if not self.waits_for_keys:
                return
            self._not_before = self._clock() + RETRY_INTERVAL_S
            try:
                self.refresh(api)
                self._problem, self._not_before = None, self._clock() + REFRESH_INTERVAL_S
            except DreaminaError as exc:
                self._problem = exc.kind
                log.warning("The list of models could not be read with a visitor's key: %s", exc)

    def refresh(self, api: CatalogApi) -> None:
        """Read the catalog now, or take what another server has read since; blocks until the service responds.

        Raises:
            ApiError: the service does not say; what is known stays.
            LedgerError: it is known from now on, and not stored.
        """
        self._read_offered()
        with self._ledger.reading() as reader:
            stored_at = read_time(reader, self._api_origin)
        now = self._clock()
        if stored_at is not None and stored_at > (self._read_at or 0.0) and now - stored_at < REFRESH_INTERVAL_S:
            self._load()
            return
        models = self._judged(api.catalog())
        self._take(models, now)
        with self._ledger.writing() as transaction:
            store_catalog(transaction, self._api_origin, [model.to_json() for model in models], read_at=now)

    def _sees_all(self, is_owner: bool, has_key: bool) -> bool:
        return is_owner or (has_key and self._api is None)

    def _is_offered(self, model_id: str) -> bool:
        return EVERY_MODEL in self._offered or model_id in self._offered

    def _judged(self, entries: Iterable[CatalogEntry]) -> list[CatalogModel]:
        """The models of the catalog, with reasons where they are left out; one that is as before keeps its reason."""
        judged: dict[str, CatalogModel] = {}
        characters = 0
        for entry in entries:
            model = CatalogModel.from_entry(entry)
            before = self._models.get(model.model_id)
            characters += len(str(model.input_schema))
            if len(judged) >= MAX_MODELS or characters > MAX_CONTENT_CHARACTERS:
                log.warning("The catalog is too long: only its first %d models are used", len(judged))
                break
            is_known = before is not None and before.reason != "retired"
            same = is_known and before is not None and replace(before, reason=None) == model
            judged[model.model_id] = before if same and before else model.judged()
            self._stopping.wait(0)  # other threads go first
        gone = [model for model_id, model in self._models.items() if model_id not in judged]
        known = [replace(model, reason="retired") for model in gone if model.reason in (None, "retired")]
        return [*judged.values(), *known[:MAX_RETIRED]]

    def _take(self, models: Iterable[CatalogModel], read_at: float) -> None:
        self._models = {model.model_id: model for model in models}
        self._read_at = read_at
        self.version += 1
        known = {model_id: model for model_id, model in self._models.items() if model.reason in (None, "retired")}
        self._registry.set_catalog(known)
        for model in known.values():
            if model.price_usd is not None and model.model_id not in self._registry.packaged:
                units = units_of_schema(model.input_schema)
                self._set_price(model.model_id, model.price_usd, model.price_unit, units)

    def _load(self) -> None:
        """Take what is stored; what cannot be read is read from the service again."""
        try:
            self._read_offered()
            with self._ledger.reading() as reader:
                stored = read_catalog(reader, self._api_origin)
        except LedgerError as exc:
            log.warning("The stored catalog cannot be read: %s", exc)
            return
        if stored is not None:
            models = [model for data in stored.models if (model := CatalogModel.from_json(data))]
            self._take(models, stored.read_at)

    def _read_offered(self) -> None:
        with self._ledger.reading() as reader:
            self._offered = frozenset(names_of_kind(reader, "model"))

    def _run(self, api: CatalogApi) -> None:
        failures = 0
        while not self._stopping.is_set():
            self._wanted.clear()
            try:
                self.refresh(api)
                self._problem, failures = None, 0
            except DreaminaError as exc:
                failures += 1
                if exc.kind != self._problem:
                    log.warning("The list of models could not be read: %s", exc)
                self._problem = exc.kind
                is_passing = isinstance(exc, ApiError | LedgerError)
            except Exception:
                log.exception("The list of models could not be used")
                self._problem, failures, is_passing = "broken", failures + 1, False
            self.was_read.set()
            pause_s = self._pace.retry_pause_s(failures, random()) if failures and is_passing else REFRESH_INTERVAL_S
            self._wanted.wait(pause_s)
