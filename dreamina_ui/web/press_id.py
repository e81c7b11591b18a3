"""The id of a request that costs money, made by whoever sends it: repeated, it is the same job."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, overload

from starlette.requests import HTTPConnection

from dreamina_ui.errors import InputError
from dreamina_ui.ledger.job import validate_press_id

IDEMPOTENCY_HEADER = "idempotency-key"
"""How a program names a request. Source: draft-ietf-httpapi-idempotency-key-header, which puts the key in quotes."""

MIN_SHARED_LENGTH = 16
"""The shortest id for callers that share a scope; 64 random bits as hexadecimal digits."""

_FORM = re.compile(r"[A-Za-z0-9_-]{8,64}")
_FORM_TEXT = "8 to 64 letters, digits, hyphens or underscores"


@overload
def read_press_id(body: Mapping[str, Any], *, is_required: Literal[True]) -> str: ...
@overload
def read_press_id(body: Mapping[str, Any]) -> str | None: ...
def read_press_id(body: Mapping[str, Any], *, is_required: bool = False) -> str | None:
    """The `press_id` of a request of the page: 8 to 64 letters, digits, hyphens or underscores; None without one.

    Raises:
        InputError: it is of another form, or missing though it is required.
    """
    press_id = body.get("press_id")
    if press_id is None and not is_required:
        return None
    if not isinstance(press_id, str) or not _FORM.fullmatch(press_id):
        raise InputError("press_id", "format", _FORM_TEXT, press_id)
    return press_id


def read_idempotency_key(request: HTTPConnection, argument: Any = None, *, is_alone: bool = True) -> str | None:
    """The id of a program's request: the argument of a call, or else the header; None without either.

    An empty header is refused: a variable that was not set must not take the protection away unseen.

    Args:
        is_alone: whether nobody else's ids have the same scope. Others behind the same IP address could otherwise name
            a request as this one is named, by chance or on purpose, and get its job.

    Raises:
        InputError: it cannot be one, see `validate_press_id`; or it is too easy to guess.
    """
    header = request.headers.get(IDEMPOTENCY_HEADER)
    if argument not in (None, "") and not isinstance(argument, str):
        raise InputError("idempotency_key", "type", "string", argument)
    if not argument and header is None:
        return None
    press_id = validate_press_id(argument or str(header).strip().strip('"'))
    if len(press_id) < MIN_SHARED_LENGTH and not is_alone:
        form = f"text of at least {MIN_SHARED_LENGTH} characters that nobody can guess, such as a UUID"
        raise InputError("idempotency_key", "format", form, press_id)
    return press_id
