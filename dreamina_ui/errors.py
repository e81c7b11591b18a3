"""Every error this program raises on purpose, as one tree.

    DreaminaError
    ├─ SettingsError            a missing or impossible setting
    ├─ InputError               breaks the input schema                    .field .rule .limit .value
    ├─ LimitError               a limit of the owner's is reached          .limit .most .until
    ├─ StoppedError             no new job is taken now                    .reason
    ├─ FilesUnreachableError    result files could not be fetched
    ├─ BlockedError             this visitor or client IP may start no job
    ├─ BlockedWordError         a text holds a blocked word                .word
    ├─ BatchError               no batch can be made of what was written   .rule .line .most .exc
    ├─ DispatchError            jobs of a batch could not be sent
    ├─ PriceError               costs more than a person agreed to         .was_usd .now_usd .left_usd
    ├─ KeyNeededError           needs a visitor's own key
    ├─ LedgerError              the ledger cannot be read or written
    ├─ JobNotFoundError         no such job
    ├─ RequestConflictError     the id of a request names another one      .press_id
    ├─ RequesterError           somebody else signed in since the click
    ├─ StateError               not possible in the job's present state
    ├─ ApiError                                                            .request_id
    │  ├─ TransportError        no response; reading again is safe
    │  ├─ SubmitUnclearError    sent, and the response lost: it may be running and billed
    │  ├─ ProtocolError         a response that is not as documented
    │  └─ ResponseError         refused                                    .scope .status_code .error_code .detail
    │     ├─ AuthError  ├─ BalanceError  ├─ RequestNotFoundError  ├─ ForeignRequestError
    │     └─ RateLimitError                                                .retry_after_s
    ├─ JobFailedError           the service finished the request with an error
    └─ MediaError               a file that is not what it should be
       ├─ UrlError              a URL that must not be fetched             .rule
       └─ DiskError             the disk is full or refuses
          └─ StorageError       the bucket of all files refuses, or cannot be reached

A message says what happened, to which id, and what to do next; it is short, technical English for logs and the command
line. What a visitor reads instead stands in `web/i18n/languages`, found by `kind`. No message ever holds the token.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any, ClassVar, Literal

Scope = Literal["token", "balance", "request", "pace"]
"""What a refusal of the service concerns: the token or account, its balance, this request alone, or our pace."""


class DreaminaError(Exception):
    """Root of the tree: catch this to catch everything we raise on purpose.

    Attributes:
        kind: a short stable name; the ledger stores it.
        http_status: what a route of ours responds with.
        fact_names: the constructor's arguments, which are attributes, too: what the error is made of.
        message: what `str` gives.
    """

    kind: ClassVar[str] = "error"
    http_status: ClassVar[int] = 409
    fact_names: ClassVar[tuple[str, ...]] = ("message",)

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.message = message

    def to_facts(self) -> dict[str, Any]:
        """What the error is made of, by name."""
        return {name: getattr(self, name) for name in self.fact_names}

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> DreaminaError:
        """An error that equals the one which gave these facts."""
        return cls(**facts)


class SettingsError(DreaminaError):
    """A missing or impossible setting."""

    kind = "settings"
    http_status = 422


class InputError(DreaminaError):
    """An input breaks the model's input schema; nothing was submitted.

    Attributes:
        field: the schema's key of the input, such as `scale`.
        rule: the JSON Schema keyword that was broken, such as `maximum`, or `address_` and a rule for given files.
        limit: what that keyword asks for, such as `1`.
        value: what was given.
    """

    kind = "input"
    http_status = 422
    fact_names = ("field", "rule", "limit", "value")

    def __init__(self, field: str, rule: str, limit: Any, value: Any) -> None:
        self.field = field
        self.rule = rule
        self.limit = limit
        self.value = value
        asked = rule if limit is None else f"{rule} ({limit})"
        super().__init__(f"{field}: breaks the rule {asked}; got {shorten(value)}. Nothing was submitted.")


class LimitError(DreaminaError):
    """A limit of the owner's is reached; there is no job and nothing was sent.

    Attributes:
        limit: which one, as a name of `limits.Limits`, or `own_key_at_once`.
        most: how much it allows.
        until: when there is room again, in seconds since 1970; None if as soon as a job has ended.
    """

    kind = "limit"
    http_status = 429
    fact_names = ("limit", "most", "until")

    def __init__(self, limit: str, most: float, until: float | None) -> None:
        self.limit = limit
        self.most = most
        self.until = until
        again = (
            "when a job has ended"
            if until is None
            else f"{datetime.fromtimestamp(until, timezone.utc):%Y-%m-%d %H:%M} UTC"
        )
        super().__init__(
            f"The limit {limit} of {most:g} is reached; there is room again {again}. Nothing was submitted."
        )


class StoppedError(DreaminaError):
    """No new job is taken now; there is no job and nothing was sent.

    Attributes:
        reason: `owner`; or, where the program stopped by itself, `auth` or `balance`.
    """

    kind = "stopped"
    http_status = 503
    fact_names = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"New jobs are stopped (reason: {reason}). Nothing was submitted.")


class FilesUnreachableError(DreaminaError):
    """Result files could not be fetched from this machine; there is no job and nothing was sent."""

    kind = "files_unreachable"
    http_status = 503


class BlockedError(DreaminaError):
    """This visitor or client IP may start no job; there is no job and nothing was sent."""

    kind = "shut_out"
    http_status = 403
    fact_names = ()

    def __init__(self) -> None:
        super().__init__("This visitor or client IP is blocked. Nothing was submitted.")


class BlockedWordError(DreaminaError):
    """A text holds a blocked word; there is no job and nothing was sent.

    Attributes:
        word: as the owner wrote it.
    """

    kind = "forbidden_word"
    http_status = 422
    fact_names = ("word",)

    def __init__(self, word: str) -> None:
        self.word = word
        super().__init__(f"The word {word!r} is blocked. Nothing was submitted.")


class BatchError(DreaminaError):
    """No batch can be made of what was written; there is no job and nothing was sent.

    Attributes:
        rule: `unclosed` or `nested` braces, `empty`, too `many` jobs, too long inputs (`size`), `waiting` if too many
            wait already, `waiting_size` if they take too much room, `input` for a job that breaks the schema, or
            `changed` where another table was shown.
        line: which line of the prompts, from 1; None for all of them.
        most: how many jobs are allowed, for `many` and `waiting`.
        exc: what is wrong with the inputs, for `input`.
    """

    kind = "plan"
    http_status = 422
    fact_names = ("rule", "line", "most", "exc")

    def __init__(
        self, rule: str, *, line: int | None = None, most: int | None = None, exc: InputError | None = None
    ) -> None:
        self.rule = rule
        self.line = line
        self.most = most
        self.exc = exc
        where = f"Line {line}: " if line else ""
        limit = f" (at most {most} jobs)" if most else ""
        super().__init__(f"{where}{exc or f'no batch: {rule}{limit}. Nothing was submitted.'}")

    def to_facts(self) -> dict[str, Any]:
        return super().to_facts() | {"exc": self.exc and self.exc.to_facts()}

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> BatchError:
        return cls(**{**facts, "exc": InputError(**facts["exc"]) if facts["exc"] else None})


class DispatchError(DreaminaError):
    """Jobs of a batch could not be sent, or their outcome is unknown; their rows tell why."""

    kind = "sending"


class PriceError(DreaminaError):
    """A file is expected to cost more than a person agreed to.

    Attributes:
        was_usd, now_usd: what one file cost then, and costs now.
        left_usd: what all that is left to send would cost at most now.
    """

    kind = "price"
    fact_names = ("was_usd", "now_usd", "left_usd")

    def __init__(self, was_usd: float, now_usd: float, left_usd: float) -> None:
        super().__init__(f"One file costs about {now_usd:g} USD now, and cost {was_usd:g} when this was begun.")
        self.was_usd = was_usd
        self.now_usd = now_usd
        self.left_usd = left_usd


class KeyNeededError(DreaminaError):
    """This needs a visitor's own RunComfy key, and it is not here."""

    kind = "key_needed"
    http_status = 403


class LedgerError(DreaminaError):
    """The ledger cannot be opened, read or written."""

    kind = "ledger"
    http_status = 503


class JobNotFoundError(DreaminaError):
    """No job with this id is known here."""

    kind = "job_not_found"
    http_status = 404


class RequestConflictError(DreaminaError):
    """The id of a request names another request already; there is no new job and nothing was sent.

    Attributes:
        press_id: the id.
    """

    kind = "press_conflict"
    fact_names = ("press_id",)

    def __init__(self, press_id: str) -> None:
        self.press_id = press_id
        super().__init__(f"The id {press_id!r} belongs to a request with other inputs. Nothing was submitted.")


class RequesterError(DreaminaError):
    """The request was made by somebody who is no longer signed in here; there is no job and nothing was sent."""

    kind = "other_requester"
    fact_names = ()

    def __init__(self) -> None:
        super().__init__("Somebody else has signed in since this was requested. Nothing was submitted.")


class StateError(DreaminaError):
    """A job cannot do this in its present state."""

    kind = "move"


class ApiError(DreaminaError):
    """Anything that went wrong between us and the Model API.

    Its `http_status` is no 502 or 504: proxies put a page of their own in place of such a response.

    Attributes:
        request_id: the request it happened to, if one is known.
        reason: what the service itself says about the request, or None; no fact, as the message has it, too.
    """

    kind = "api"
    fact_names: ClassVar[tuple[str, ...]] = ("message", "request_id")
    reason: str | None = None

    def __init__(self, message: str, *, request_id: str | None = None) -> None:
        super().__init__(message)
        self.request_id = request_id


class TransportError(ApiError):
    """No response, or a server error without one; reading again is safe."""

    kind = "transport"


class SubmitUnclearError(ApiError):
    """A submit was sent and its response lost: the request may be running and billed."""

    kind = "submit_unclear"


class ProtocolError(ApiError):
    """A response that is not as documented."""

    kind = "protocol"


class ResponseError(ApiError):
    """The service refused, and said so.

    Attributes:
        scope: what the refusal concerns.
        status_code: the HTTP status code.
        error_code: the service's own number, such as `422001`, if it gave one; for people and logs only.
        detail: the service's `detail`, as it came, or None.
    """

    kind = "refused"
    default_scope: ClassVar[Scope] = "request"
    fact_names: ClassVar[tuple[str, ...]] = ("message", "status_code", "error_code", "detail", "request_id", "scope")

    def __init__(
        self,
        message: str,
        *,
        status_code: int,
        error_code: int | None = None,
        detail: Any = None,
        request_id: str | None = None,
        scope: Scope | None = None,
    ) -> None:
        super().__init__(message, request_id=request_id)
        self.scope: Scope = scope or self.default_scope
        self.status_code = status_code
        self.error_code = error_code
        self.detail = detail

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> ResponseError:
        return cls(facts["message"], **{name: facts[name] for name in cls.fact_names if name != "message"})


class AuthError(ResponseError):
    """The token or account was refused; with the scope `request`, perhaps for this request alone."""

    kind = "auth"
    http_status = 403
    default_scope = "token"


class BalanceError(ResponseError):
    """The account has no balance left."""

    kind = "balance"
    default_scope = "balance"


class RequestNotFoundError(ResponseError):
    """The service does not know the request, or no longer."""

    kind = "not_found"


class ForeignRequestError(ResponseError):
    """The request belongs to another account."""

    kind = "foreign"


class RateLimitError(ResponseError):
    """Too many calls.

    Attributes:
        retry_after_s: seconds the service asked us to wait, or None.
    """

    kind = "rate_limit"
    default_scope = "pace"
    fact_names = (*ResponseError.fact_names, "retry_after_s")

    def __init__(self, message: str, *, retry_after_s: float | None = None, **more: Any) -> None:
        super().__init__(message, **more)
        self.retry_after_s = retry_after_s


class JobFailedError(DreaminaError):
    """The service finished the request with an error."""

    kind = "failed_at_service"


class MediaError(DreaminaError):
    """A result file that could not be fetched, or is not the image or video it should be.

    Attributes:
        is_temporary: whether the file may still come by itself: it is late, its URL has expired, or its host is down.
    """

    kind = "media"

    def __init__(self, message: str, *, is_temporary: bool = False) -> None:
        super().__init__(message)
        self.is_temporary = is_temporary


class UrlError(MediaError):
    """A URL that must not be fetched: not https, not public, not in the allowed hosts.

    Attributes:
        rule: which rule it breaks: `shape`, `https`, `public`, `host` or `redirect`.
    """

    kind = "address"
    fact_names = ("message", "rule")

    def __init__(self, message: str, rule: str = "shape") -> None:
        super().__init__(message)
        self.rule = rule


class DiskError(MediaError):
    """The disk is full or refuses; the job waits and loses nothing."""

    kind = "disk"


class StorageError(DiskError):
    """The bucket of all files refuses, or cannot be reached; the job waits and loses nothing."""

    kind = "storage"
    http_status = 503


def pack(exc: DreaminaError) -> dict[str, Any]:
    """An error as JSON: `{"kind": str, "facts": {name: value}}`."""
    return {"kind": exc.kind, "facts": exc.to_facts()}


def unpack(packed: Mapping[str, Any]) -> DreaminaError:
    """The error that `pack` was given; of a kind that is no longer known, its root."""
    kinds: dict[str, type[DreaminaError]] = {}
    for error_class in _tree(DreaminaError):
        kinds.setdefault(error_class.kind, error_class)
    matching = kinds.get(packed["kind"])
    facts = packed["facts"]
    if isinstance(facts, list):  # as they were written at first; batches that were paused then are still there
        facts = dict(zip((matching or DreaminaError).fact_names, facts, strict=False))
    if matching is None:
        return DreaminaError(str(facts.get("message", packed["kind"])))
    return matching.from_facts(facts)


def _tree(error_class: type[DreaminaError]) -> Iterator[type[DreaminaError]]:
    yield error_class
    for child in error_class.__subclasses__():
        yield from _tree(child)


def shorten(value: Any, limit: int = 80) -> str:
    """Show a value in a message without letting it flood the message."""
    if isinstance(value, str) and len(value) > limit:
        return f"{value[:limit]!r}… ({len(value)} characters)"
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}…"
