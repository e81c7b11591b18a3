"""Every error this program raises on purpose, as one tree.

A message says what happened, to which id, and what to do next. No message ever holds the token.
`kind` is a short stable name: the ledger stores it and `ui/wording.py` finds the text for it.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any


class DreaminaError(Exception):
    """Root of the tree: catch this to catch everything we raise on purpose."""

    kind = "error"


class SettingsError(DreaminaError):
    """A missing or impossible setting."""

    kind = "settings"


class InputError(DreaminaError):
    """An input breaks the model's input schema; nothing was submitted.

    Attributes:
        field: the schema's key of the input, such as `scale`.
        rule: the JSON Schema keyword that was broken, such as `maximum`, or `address_` and a rule for given files.
        limit: what that keyword asks for, such as `1`.
        value: what was given.
    """

    kind = "input"

    def __init__(self, field: str, rule: str, limit: Any, value: Any) -> None:
        self.field = field
        self.rule = rule
        self.limit = limit
        self.value = value
        super().__init__(f"{field}: {describe_rule(rule, limit)}; got {shorten(value)}. Nothing was submitted.")


class LimitError(DreaminaError):
    """A limit of the owner's is reached; there is no job and nothing was sent.

    Attributes:
        limit: which one, as a name of `limits.Limits`, or `own_key_at_once`.
        most: how much it allows.
        until: when there is room again, in seconds since 1970; None if as soon as a job has ended.
    """

    kind = "limit"

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

    def __init__(self, reason: str) -> None:
        self.reason = reason
        why = {
            "auth": "The service refuses the owner's token. The owner has been told.",
            "balance": "The owner's account has no balance left. The owner has been told.",
        }
        super().__init__(f"{why.get(reason, 'The owner has stopped new jobs.')} Nothing was submitted.")


class BlockedError(DreaminaError):
    """The owner lets this visitor or address start no job; there is no job and nothing was sent."""

    kind = "shut_out"

    def __init__(self) -> None:
        super().__init__("The owner does not let you start jobs here. Nothing was submitted.")


class BlockedWordError(DreaminaError):
    """A text holds a word that the owner forbids; there is no job and nothing was sent.

    Attributes:
        word: as the owner wrote it.
    """

    kind = "forbidden_word"

    def __init__(self, word: str) -> None:
        self.word = word
        super().__init__(f"The owner does not allow the word {word!r} here. Nothing was submitted.")


class BatchError(DreaminaError):
    """No batch can be made of what was written; there is no job and nothing was sent.

    Attributes:
        rule: `unclosed` or `nested` braces, `empty`, too `many` jobs, `waiting` if too many wait already, `input` for
            a job that breaks the schema, or `changed` where another table was shown.
        line: which line of the prompts, from 1; None for all of them.
        most: how many jobs are allowed, for `many` and `waiting`.
        fault: what is wrong with the inputs, for `input`.
    """

    kind = "plan"

    def __init__(
        self, rule: str, *, line: int | None = None, most: int | None = None, exc: InputError | None = None
    ) -> None:
        self.rule = rule
        self.line = line
        self.most = most
        self.exc = exc
        texts = {
            "unclosed": "A brace is not closed; write \\{ for a brace that is one",
            "nested": "Braces within braces are not understood; write \\{ for a brace that is one",
            "empty": "There is no prompt",
            "many": f"These would be more than {most} jobs",
            "waiting": f"More than {most} jobs would wait to be sent",
            "changed": "The jobs or their price are no longer those of the table",
        }
        where = f"Line {line}: " if line else ""
        super().__init__(f"{where}{exc}" if exc else f"{where}{texts[rule]}. Nothing was submitted.")


class DispatchError(DreaminaError):
    """Jobs of a batch could not be sent, or their outcome is unknown; their rows tell why."""

    kind = "sending"


class KeyNeededError(DreaminaError):
    """This needs a visitor's own RunComfy key, and it is not here."""

    kind = "key_needed"


class LedgerError(DreaminaError):
    """The ledger cannot be opened, read or written."""

    kind = "ledger"


class JobNotFoundError(DreaminaError):
    """No job with this id is known here."""

    kind = "job_not_found"


class StateError(DreaminaError):
    """A job cannot do this in its present state."""

    kind = "move"


class ApiError(DreaminaError):
    """Anything that went wrong between us and the Model API.

    Attributes:
        request_id: the request it happened to, if one is known.
    """

    kind = "api"

    def __init__(self, message: str, *, request_id: str | None = None) -> None:
        super().__init__(message)
        self.request_id = request_id


class TransportError(ApiError):
    """No answer, or a server error without one; reading again is safe."""

    kind = "transport"


class SubmitUnclearError(ApiError):
    """A submit was sent and its answer lost: the request may be running and billed."""

    kind = "submit_unclear"


class ProtocolError(ApiError):
    """An answer that is not as documented."""

    kind = "protocol"


class ResponseError(ApiError):
    """The service refused, and said so.

    Attributes:
        status_code: the HTTP status code.
        error_code: the service's own number, such as `422001`, if it gave one.
        detail: the service's `detail`, as it came, or None.
    """

    kind = "refused"

    def __init__(
        self,
        message: str,
        *,
        status_code: int,
        error_code: int | None = None,
        detail: Any = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, request_id=request_id)
        self.status_code = status_code
        self.error_code = error_code
        self.detail = detail


class AuthError(ResponseError):
    """The token or account was refused."""

    kind = "auth"


class BalanceError(ResponseError):
    """The account has no balance left."""

    kind = "balance"


class RequestNotFoundError(ResponseError):
    """The service does not know the request, or no longer."""

    kind = "not_found"


class RateLimitError(ResponseError):
    """Too many calls.

    Attributes:
        retry_after_s: seconds the service asked us to wait, or None.
    """

    kind = "rate_limit"

    def __init__(self, message: str, *, retry_after_s: float | None = None, **more: Any) -> None:
        super().__init__(message, **more)
        self.retry_after_s = retry_after_s


class PriceError(DreaminaError):
    """A file is expected to cost more than a person agreed to.

    Attributes:
        was_usd, now_usd: what one file cost then, and costs now.
        left_usd: what all that is left to send would cost at most now.
    """

    kind = "price"

    def __init__(self, was_usd: float, now_usd: float, left_usd: float) -> None:
        super().__init__(f"One file costs about {now_usd:g} USD now, and cost {was_usd:g} when this was begun.")
        self.was_usd = was_usd
        self.now_usd = now_usd
        self.left_usd = left_usd


class JobFailedError(DreaminaError):
    """The service finished the request with an error."""

    kind = "failed_at_service"


class MediaError(DreaminaError):
    """A result file that is not the picture or video it should be."""

    kind = "media"


class UrlError(MediaError):
    """An address that must not be fetched: not https, not public, not in the allowed hosts.

    Attributes:
        rule: which rule it breaks: `shape`, `https`, `public`, `host` or `redirect`.
    """

    kind = "address"

    def __init__(self, message: str, rule: str = "shape") -> None:
        super().__init__(message)
        self.rule = rule


class DiskError(MediaError):
    """The disk is full or refuses; the job waits and loses nothing."""

    kind = "disk"


def describe_rule(rule: str, limit: Any) -> str:
    """Say in English what a JSON Schema rule asks for, for example `must be at most 1`."""
    texts = {
        "required": "must be given and not be empty",
        "unknown": "is not an input of this model",
        "unicode": "must be valid Unicode text",
        "type": f"must be of type {limit}",
        "enum": f"must be one of {limit}",
        "const": f"must be {limit}",
        "minimum": f"must be at least {limit}",
        "maximum": f"must be at most {limit}",
        "exclusiveMinimum": f"must be more than {limit}",
        "exclusiveMaximum": f"must be less than {limit}",
        "multipleOf": f"must be a multiple of {limit}",
        "minLength": f"must have at least {limit} characters",
        "maxLength": f"must have at most {limit} characters",
        "minItems": f"must have at least {limit} entries",
        "maxItems": f"must have at most {limit} entries",
        "format": f"must be a valid {limit}",
        "address_shape": "must look like https://host/path, with no user name in it",
        "address_https": "must begin with https://",
        "address_public": "must lie on the public internet, also behind its redirects",
        "address_redirect": "must lead to the file without so many redirects",
        "address_unknown": "its host's name is not known",
        "address_unreachable": "its host cannot be reached",
        "address_certificate": "its host's certificate is not accepted",
        "address_login": "must need no login; it was refused",
        "address_gone": "there is no file at it",
        "address_status": f"must answer with the file, not with the status {limit}",
        "address_page": "must lead to the file itself; a web page came, perhaps a login",
        "address_kind": f"must lead to a file of this kind: {limit}",
        "address_compressed": "must answer with the file as it is, not compressed",
        "address_cut": "the file broke off",
        "address_slow": f"must answer within {limit} seconds",
        "address_size": f"must lead to a file of at most {limit} MB",
        "address_expired": "this address of a picture made here has run out, or the picture is gone",
        "address_busy": "too many addresses are being checked; try again in a moment",
    }
    return texts.get(rule, f"breaks the rule {rule} ({limit})")


def shorten(value: Any, limit: int = 80) -> str:
    """Show a value in a message without letting it flood the message."""
    if isinstance(value, str) and len(value) > limit:
        return f"{value[:limit]!r}… ({len(value)} characters)"
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}…"
