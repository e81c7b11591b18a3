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


def read_idempotency_key(request: HTTPConnection, argument: Any = None) -> str | None:
    """The id of a program's request: the argument of a call, or else the header; None without either.

    An empty header is refused: a variable that was not set must not take the protection away unseen.

    Raises:
        InputError: it cannot be one; see `validate_press_id`.
    """
    header = request.headers.get(IDEMPOTENCY_HEADER)
    if argument in (None, ""):
        return None if header is None else validate_press_id(header.strip().strip('"'))
    if not isinstance(argument, str):
        raise InputError("idempotency_key", "type", "string", argument)
    return validate_press_id(argument)
