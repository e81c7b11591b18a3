"""What a refusal of RunComfy stands for: its numbers and HTTP statuses, and the errors of ours."""

from __future__ import annotations

import json
from typing import Any

from dreamina_ui import errors
from dreamina_ui.api.http_session import Call
from dreamina_ui.api.redaction import Redactor
from dreamina_ui.api.responses import ApiResponse
from dreamina_ui.api.status_words import phase_of

NOT_READY = 400005
FOREIGN_REQUEST = 403001
_MAX_DETAIL_CHARACTERS = 4000
_REFUSALS: dict[int | None, tuple[type[errors.ResponseError], str]] = {
    401: (errors.AuthError, "Check the API token and the account."),
    402: (errors.BalanceError, "Add balance to the RunComfy account."),
    403: (errors.AuthError, "Check the API token and the account."),
    404: (errors.RequestNotFoundError, "Check the id; the service forgets old requests."),
    429: (errors.RateLimitError, "Wait, then try again."),
}
_SLOW_DOWN = 429
"""The status that counts whatever the body is; any other page comes from something between, and says nothing."""


def refusal_of(response: ApiResponse, call: Call, redactor: Redactor) -> errors.ApiError | None:
    """The error that a response stands for; None if it is none.

    The service's `error_code` decides before the HTTP status does: some errors arrive with HTTP 200. Without one, a 404
    about a request is the word of a gateway, and not that the request is unknown; and a page of any status says neither
    that the token is refused nor that the balance is empty.

    Source: RunComfy Model API documentation, errors.
    """
    code, meaning = response.error_code, response.meaning
    if meaning is None and not response.body.get("error_code"):
        return None
    is_read = call.name != "submit"
    if call.request_id and response.ok and meaning not in _REFUSALS and _ended_badly(response):
        return None  # the request's own error, in a good response
    if code == NOT_READY and call.name == "result":
        return None
    parts = [f"HTTP {response.status_code}", code and f"error {code}", redactor.line(response.message, 300)]
    why = f"{call.what} ({', '.join(str(part) for part in parts if part)})"
    is_page = response.flaw is not None and meaning != _SLOW_DOWN and (is_read or meaning == 404)
    is_gateways = is_page or (meaning == 404 and code is None and call.request_id is not None)
    exc: errors.ApiError
    if meaning is not None and (meaning >= 500 or meaning == 408 or is_gateways):
        text = redactor.redact(f"The service could not answer about {why}.{call.advice}")
        exc = errors.TransportError(text, request_id=call.request_id)
    else:
        exc = _refusal(meaning, response, call, redactor, why)
    exc.reason = redactor.line(response.message, 1000) if code else None
    return exc


def _refusal(
    meaning: int | None, response: ApiResponse, call: Call, redactor: Redactor, why: str
) -> errors.ResponseError:
    code = response.error_code
    error_class, advice = _REFUSALS.get(meaning, (errors.ResponseError, "Read the reason and change what was asked."))
    if code == FOREIGN_REQUEST or (meaning == 404 and not call.request_id):
        error_class = errors.ForeignRequestError if call.request_id else errors.ResponseError
        advice = "Check the id and which account it belongs to."
    # A firewall's, or another account's; or a gateway's, which does not know the service's numbers.
    is_of_request = meaning == 403 or (code is None and (response.flaw is not None or call.request_id is not None))
    return error_class(
        redactor.redact(f"The service refused {why}. {advice}"),
        status_code=response.status_code,
        error_code=code,
        detail=_detail(response, redactor),
        request_id=call.request_id,
        scope="request" if is_of_request else None,
        **({"retry_after_s": response.retry_after_s} if error_class is errors.RateLimitError else {}),
    )


def _ended_badly(response: ApiResponse) -> bool:
    status = response.body.get("status")
    return isinstance(status, str) and phase_of(status) in ("failed", "cancelled")


def _detail(response: ApiResponse, redactor: Redactor) -> Any:
    detail = response.safe_body.get("detail")
    is_long = len(json.dumps(detail)) > _MAX_DETAIL_CHARACTERS
    return redactor.line(detail, _MAX_DETAIL_CHARACTERS) if is_long else detail
