"""Each error tells what it is made of, and can be made of that again."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from dreamina_ui import errors
from dreamina_ui.errors import DreaminaError, InputError, pack, unpack

SAMPLES = [
    errors.SettingsError("DREAMINA_X is wrong."),
    InputError("scale", "maximum", 1, 2.5),
    errors.LimitError("visitor_per_day", 20, 1795392000.0),
    errors.LimitError("at_once", 3, None),
    errors.StoppedError("balance"),
    errors.BlockedError(),
    errors.BlockedWordError("fox"),
    errors.BatchError("nested", line=3),
    errors.BatchError("many", most=200),
    errors.BatchError("input", line=1, exc=InputError("scale", "minimum", 0, -1)),
    errors.PriceError(0.03, 0.05, 1.5),
    errors.DispatchError("Jobs could not be sent."),
    errors.RequestConflictError("p-1"),
    errors.KeyNeededError("Give the key."),
    errors.ApiError("odd", request_id="r-1"),
    errors.TransportError("no response", request_id="r-1"),
    errors.ResponseError("no", status_code=422, error_code=422001, detail=[{"loc": ["body", "scale"]}]),
    errors.AuthError("no", status_code=403, scope="request"),
    errors.BalanceError("empty", status_code=402, request_id="r-1"),
    errors.RateLimitError("slow", status_code=429, retry_after_s=7.5),
    errors.UrlError("not public", "public"),
    errors.StorageError("it cannot be reached"),
]


def tree(error_class: type[DreaminaError]) -> Iterator[type[DreaminaError]]:
    yield error_class
    for child in error_class.__subclasses__():
        yield from tree(child)


@pytest.mark.parametrize("exc", SAMPLES, ids=lambda exc: type(exc).__name__)
def test_an_error_that_was_stored_is_the_same_error(exc: DreaminaError) -> None:
    """Why a batch was paused is read in any language, also after a restart."""
    again = unpack(json.loads(json.dumps(pack(exc))))
    assert type(again) is type(exc)
    assert str(again) == str(exc)
    assert pack(again) == pack(exc)


def test_a_kind_that_is_no_longer_known_still_says_something() -> None:
    """A batch of a newer version must not break the page of an older one."""
    assert str(unpack({"kind": "of_tomorrow", "facts": {"message": "It rains."}})) == "It rains."
    assert str(unpack({"kind": "of_tomorrow", "facts": {"x": 1}})) == "of_tomorrow"


def test_errors_stored_as_lists_are_still_read() -> None:
    """Batches that were paused before the facts had names are still there."""
    price = unpack({"kind": "price", "facts": [0.03, 0.05, 1.5]})
    assert isinstance(price, errors.PriceError)
    assert price.now_usd == 0.05
    assert str(unpack({"kind": "sending", "facts": ["Not sent."]})) == "Not sent."


def test_every_kind_belongs_to_one_class() -> None:
    """What was stored under a kind must come back as that class."""
    kinds = [error_class.kind for error_class in tree(DreaminaError) if error_class.__module__ == errors.__name__]
    assert len(kinds) == len(set(kinds))


def test_the_tree_in_the_docstring_names_every_class() -> None:
    """Who catches an error looks there first."""
    names = {error_class.__name__ for error_class in tree(DreaminaError) if error_class.__module__ == errors.__name__}
    assert {name for name in names if name in (errors.__doc__ or "")} == names


def test_every_refusal_has_a_scope() -> None:
    """Whether the owner's token, the balance, this request or our pace is meant decides what stops."""
    scopes = {
        errors.AuthError: "token",
        errors.BalanceError: "balance",
        errors.RequestNotFoundError: "request",
        errors.ForeignRequestError: "request",
        errors.RateLimitError: "pace",
    }
    assert set(scopes) == set(errors.ResponseError.__subclasses__())
    for error_class, scope in scopes.items():
        assert error_class("no", status_code=400).scope == scope
