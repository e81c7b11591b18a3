"""What the rest of the program needs of a service that runs models: calls, and neutral responses.

Nothing here knows RunComfy. A vendor is one class that fulfills `ModelApi`; its words, error numbers and the shapes of
its output stay in its own module. Calls raise the `ApiError`s of `dreamina_ui.errors`; a `ResponseError` says by its
`scope` what the refusal concerns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

Phase = Literal["queued", "running", "canceling", "completed", "failed", "cancelled"]
"""How far a request has come, in our words."""

CancelOutcome = Literal["accepted", "refused"]
FileKind = Literal["image", "video"]


@dataclass(frozen=True)
class StatusResponse:
    """How far a request has come.

    Attributes:
        phase: in our words; None for a status that nobody has heard of.
        status: in the service's word, as it spells it.
        queue_position: 0 or more; None outside the queue.
        instance_id: which machine runs it, if the service says so.
        reason: why it failed, as text.
    """

    phase: Phase | None
    status: str
    queue_position: int | None = None
    instance_id: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class OutputFile:
    """One file that a result names.

    Attributes:
        kind: what it should be; its bytes decide.
        url: exactly as it came; None for a file that the service did not deliver.
        reason: why it is missing, if the service says so.
    """

    kind: FileKind
    url: str | None
    reason: str | None = None


@dataclass(frozen=True)
class ResultResponse:
    """What a request has come to; what the service does not say is None.

    Attributes:
        phase, status: as for `StatusResponse`; None if the result does not say.
        files: images first, in a stable order: a file's index stays its index.
        copies: what stands beside the files as their previews, if none of the files is there.
        reason: why the request, or a part of it, failed, as text.
        is_ready: False if the service says that there is no result yet.
        created_at, finished_at: times as the service writes them.
    """

    phase: Phase | None
    status: str | None
    files: tuple[OutputFile, ...] = ()
    copies: tuple[OutputFile, ...] = ()
    cost_usd: float | None = None
    reason: str | None = None
    is_ready: bool = True
    created_at: str | None = None
    finished_at: str | None = None


@dataclass(frozen=True)
class CancelResponse:
    """What came of a wish to cancel: it may be carried out later, so only a status or a result is proof.

    Attributes:
        outcome: None if the service does not say.
    """

    outcome: CancelOutcome | None


@dataclass(frozen=True)
class Price:
    """What a model costs, and what it takes; what the service does not say is None.

    Attributes:
        base_price_usd: USD for one `price_unit`, such as `output` or `second`.
        input_schema: the JSON Schema of the inputs, as the service has it now.
    """

    base_price_usd: float | None = None
    price_unit: str | None = None
    pricing_note: str | None = None
    input_schema: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class CatalogEntry:
    """A model that the service has; what it does not say is None or empty.

    Attributes:
        kind: what it makes, such as `image` or `video`.
        categories: such as `text-to-image`.
        price: with the JSON Schema of the inputs, which is not checked yet.
        required_inputs: keys that must be given, as the service says beside the schema.
    """

    model_id: str
    title: str
    kind: str | None = None
    categories: tuple[str, ...] = ()
    description: str = ""
    price: Price = Price()
    required_inputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Balance:
    """What is left in an account; `currency` is such as `USD`."""

    amount: float
    currency: str


@runtime_checkable
class CatalogApi(Protocol):
    """A service that also lists its models and tells the balance of the account; raises as `ModelApi` does."""

    def catalog(self, *, attempts: int | None = None) -> tuple[CatalogEntry, ...]:
        """Every model that the service has, each once."""

    def balance(self, *, attempts: int | None = None) -> Balance | None:
        """What is left in the account; None if nobody may ask here."""


class ModelApi(Protocol):
    """A service that runs models, in the name of one account. Safe to use from many threads.

    Every call but `submit` may be repeated and tries up to `attempts` times (None: the client's own number). It raises
        InputError: this can be no request_id or model_id. Nothing was sent.
        TransportError: no response, a server error, or a page of something between; asking again is safe.
        RequestNotFoundError: the service does not know the request_id, or no longer.
        ResponseError: refused; its class and `scope` tell why.
        ProtocolError: a response that is not as documented.
    """

    def submit(
        self, model_id: str, inputs: Mapping[str, object], before_send: Callable[[], object] = lambda: None
    ) -> str:
        """Start one request and return its request_id. It costs money, so it is never sent again by itself.

        Args:
            before_send: is called once the service is reached, right before it gets the inputs. What it raises is
                raised here, and nothing was sent.

        Raises:
            InputError: the model_id or the inputs cannot be sent. Nothing was sent.
            TransportError: no connection. Nothing was sent.
            ResponseError: refused. Nothing runs.
            SubmitUnclearError: sent, and the response lost; it may be running and billed. `request_id` is set if known.
        """

    def status(self, request_id: str, *, attempts: int | None = None) -> StatusResponse:
        """Ask how far one request has come."""

    def result(self, request_id: str, *, attempts: int | None = None) -> ResultResponse:
        """Ask what one request has come to; of an unfinished one its present phase, and no files."""

    def cancel(self, request_id: str, *, attempts: int | None = None) -> CancelResponse:
        """Ask the service to drop a request. Asking twice does no harm; after any error it may be canceled or not."""

    def price(self, model_id: str, *, attempts: int | None = None) -> Price:
        """Ask what a model costs, in USD, and which inputs it takes."""
