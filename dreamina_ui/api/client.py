"""The client of RunComfy's Model API: submit, status, result, cancel, price, catalog, and the account's balance.

- A submit is sent at most once. When its response is lost, that is a `SubmitUnclearError`, never a second POST.
- Every other call may be repeated, and is, with growing pauses.
- What the service says is translated here: the rest of the program knows the neutral words of `model_api` only.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_random_exponential

from dreamina_ui import errors
from dreamina_ui.api.catalog import BALANCE_PATH, MAX_PAGES, PAGE_SIZE, balance_of, entries_of, page_path, price_of
from dreamina_ui.api.http_session import Call, HttpSession, Payload
from dreamina_ui.api.model_api import (
    Balance,
    CancelResponse,
    CatalogEntry,
    Price,
    ResultResponse,
    StatusResponse,
)
from dreamina_ui.api.output_files import copies_of, files_of, has_place_for_files
from dreamina_ui.api.redaction import Redactor
from dreamina_ui.api.refusals import NOT_READY, refusal_of
from dreamina_ui.api.responses import ApiResponse, parse_count, parse_usd
from dreamina_ui.api.status_words import outcome_of, phase_of

_BACKOFF = wait_random_exponential(multiplier=0.5, min=0.25, max=8.0)
_MAX_ASKED_PAUSE_S = 60.0
_TOO_EARLY = 425
_ACCEPTED = (202, 204)
_REQUEST_URL = re.compile(r"/v1/requests/([^/?#]+)/(?:status|result|cancel)(?:[?#]|$)")


class RunComfy:
    """A `ModelApi` that speaks to RunComfy, safe to use from up to 64 threads.

    Source: RunComfy Model API documentation, submit, status, result, cancel and price.
    """

    def __init__(
        self,
        base_url: str,
        token: str,
        *,
        account_url: str | None = None,
        connect_timeout_s: float = 10.0,
        read_timeout_s: float = 30.0,
        submit_timeout_s: float = 90.0,
        attempts: int = 4,
        on_call: Callable[[str, str], object] = lambda verb, outcome: None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Check the settings; nothing is sent.

        Args:
            base_url: https; or http, to this machine only. It may have a path.
            token: visible ASCII.
            account_url: where the same service tells the balance, as `base_url`; the token travels there, too. None if
                nobody may be asked.
            read_timeout_s, submit_timeout_s: seconds of silence, or of reading a body, until a response counts as lost.
            attempts: how often a call other than submit is tried.
            on_call: called after each try of each call, from any thread: the verb, and `ok`, the `kind` of the error it
                became, or `broken`.
            pause: called with seconds between two tries.

        Raises:
            SettingsError: the base URL or the token cannot be used.
        """
        self._http = HttpSession(base_url, token, connect_timeout_s=connect_timeout_s)
        self._account_http = account_url and HttpSession(account_url, token, connect_timeout_s=connect_timeout_s)
        self._token = token
        self._redactor = Redactor(token)
        self._read_timeout_s = read_timeout_s
        self._submit_timeout_s = submit_timeout_s
        self._attempts = attempts
        self._on_call = on_call
        self._pause = pause

    def __repr__(self) -> str:
        return f"RunComfy({self._http.base_url!r})"

    def close(self) -> None:
        """Close the idle connections."""
        self._http.close()
        if self._account_http:
            self._account_http.close()

    def submit(
        self, model_id: str, inputs: Mapping[str, object], before_send: Callable[[], object] = lambda: None
    ) -> str:
        """Start one request; see `ModelApi.submit`.

        Args:
            model_id: such as `bytedance/dreamina-4-0/text-to-image`.
            inputs: what the input schema asks for; it goes over the wire unchanged.
            before_send: is called with the connection open, right before the inputs are written to it.
        """
        call = Call("POST", f"/v1/models/{_model_path(model_id)}", f"the submit to {model_id}", "submit", advice="")
        try:
            payload = Payload(json.dumps(dict(inputs), ensure_ascii=False, allow_nan=False).encode(), before_send)
        except (TypeError, ValueError, RecursionError) as exc:
            raise errors.InputError("inputs", "format", "JSON object", type(exc).__name__) from exc
        with self._counted(call):
            return self._submit_once(call, payload)

    def _submit_once(self, call: Call, payload: Payload) -> str:
        try:
            response = self._http.exchange(call, self._submit_timeout_s, payload)
        except errors.TransportError as lost:
            if payload.withheld:
                raise payload.withheld from None
            if not payload.touched:
                raise errors.TransportError(f"{lost} Nothing was sent; you can submit it again.") from lost
            raise self._unclear(call, str(lost), None) from lost
        request_id = _request_id_of(response.body)
        refusal = refusal_of(response, call, self._redactor)
        if isinstance(refusal, errors.ResponseError) and (response.meaning or (response.ok and not request_id)):
            raise refusal
        if refusal is None and response.ok and request_id:
            return request_id
        # A redirect ends here too: it is not documented, and a 303 after a POST even means "done, look there".
        said = self._redactor.line(response.message, 300) or "no request_id that can be used"
        reason = f"The response was HTTP {response.status_code}: {said}."
        raise self._unclear(call, reason, request_id) from response.flaw

    def status(self, request_id: str, *, attempts: int | None = None) -> StatusResponse:
        """Ask how far one request has come; a status that nobody has heard of is returned as it came."""
        call = self._request_call("GET", request_id, "status")
        response = self._ask(call, attempts)
        body = response.body
        status = self._redactor.line(body.get("status"), 60)
        if status is None or not isinstance(body["status"], str):
            raise self._undocumented(call, "no status")
        phase = phase_of(status)
        return StatusResponse(
            phase=phase,
            status=status,
            queue_position=parse_count(body.get("queue_position")),
            instance_id=self._redactor.line(body.get("instance_id"), 200),
            reason=self._reason(response, has_failed=phase == "failed"),
        )

    def result(self, request_id: str, *, attempts: int | None = None) -> ResultResponse:
        """Ask what one request has come to; of an unfinished one its present phase, and no files.

        A request that failed may be reported with an `error_code`. Then that is the request's own error and stands in
        `reason`; it is raised only if the code speaks of us: the token, the balance, the id, the pace.
        """
        call = self._request_call("GET", request_id, "result", "?include_cost=true")
        response = self._ask(call, attempts)
        body = response.body
        if response.error_code == NOT_READY:
            return ResultResponse(None, None, is_ready=False)
        status = self._redactor.line(body["status"], 60) if isinstance(body.get("status"), str) else None
        output = body.get("output")
        phase = phase_of(status)
        has_failed = phase == "failed" or bool(body.get("error_code")) or body.get("success") is False
        reason = self._reason(response, has_failed=has_failed)
        is_its_own = "output" in body or body.get("request_id") == request_id or bool(body.get("error_code"))
        if status is None and (output is None and not (reason and is_its_own)):  # else it comes from a gateway
            raise self._undocumented(call, "neither status nor output")
        files = files_of(output, self._http.origin)
        copies = () if any(file.url for file in files) else copies_of(output, self._http.origin)
        if not files and not has_place_for_files(output):  # so nothing else will come
            files = copies
        return ResultResponse(
            phase=phase,
            status=status,
            files=files,
            copies=copies,
            cost_usd=parse_usd(body.get("cost", body.get("cost_usd"))),
            reason=reason,
            created_at=self._redactor.line(body.get("created_at"), 60),
            finished_at=self._redactor.line(body.get("finished_at"), 60),
        )

    def cancel(self, request_id: str, *, attempts: int | None = None) -> CancelResponse:
        """Ask the service to drop a request that waits in the queue; a running one cannot be canceled.

        The `status` of the response is not read: the documentation's own example says `completed` beside `cancelled`.
        """
        response = self._ask(self._request_call("POST", request_id, "cancel"), attempts)
        outcome = outcome_of(self._redactor.line(response.body.get("outcome"), 60))
        return CancelResponse(outcome or ("accepted" if response.status_code in _ACCEPTED else None))

    def price(self, model_id: str, *, attempts: int | None = None) -> Price:
        """Ask what a model costs, in USD, and which inputs it takes."""
        call = Call("GET", f"/v1/models/{_model_path(model_id)}", f"the price of {model_id}", "price")
        return price_of(self._ask(call, attempts).safe_body, self._redactor)

    def catalog(self, *, attempts: int | None = None) -> tuple[CatalogEntry, ...]:
        """Every model that the service has, each once, with its price and its input schema."""
        models: dict[str, CatalogEntry] = {}
        for page in range(MAX_PAGES):
            call = Call("GET", page_path(page * PAGE_SIZE), "the list of models", "catalog")
            body = self._ask(call, attempts).safe_body
            if not isinstance(body.get("models"), list):
                raise self._undocumented(call, "no list of models")
            new = {entry.model_id: entry for entry in entries_of(body, self._redactor)}
            if new.keys() <= models.keys():
                break
            models = {**new, **models}
            if len(body["models"]) < PAGE_SIZE:
                break
        return tuple(models.values())

    def balance(self, *, attempts: int | None = None) -> Balance | None:
        """What is left in the account; None where the account is not at a service that this client knows."""
        if not self._account_http:
            return None
        call = Call("GET", BALANCE_PATH, "the balance of the account", "balance")
        response = self._ask(call, attempts, self._account_http)
        balance = balance_of(response.safe_body, self._redactor)
        if balance is None:
            raise self._undocumented(call, "no balance")
        return balance

    def _ask(self, call: Call, attempts: int | None, http: HttpSession | None = None) -> ApiResponse:
        """Make a call that may be repeated; the response is a JSON object that is no error."""
        retrying = Retrying(
            stop=stop_after_attempt(max(1, self._attempts if attempts is None else attempts)),
            wait=_pause_s,
            retry=retry_if_exception(_is_worth_repeating),
            sleep=self._pause,
            reraise=True,
        )
        return retrying(self._ask_once, call, http or self._http)

    def _ask_once(self, call: Call, http: HttpSession) -> ApiResponse:
        with self._counted(call):
            response = http.exchange(call, self._read_timeout_s)
            refusal = refusal_of(response, call, self._redactor)
            if refusal is not None:
                raise refusal
            if call.name == "cancel" and response.status_code in _ACCEPTED:
                return response  # its body may be empty
            if response.flaw or not (response.ok or response.error_code == NOT_READY):
                flaw = response.flaw if response.ok else "and a redirect is never followed"
                raise self._undocumented(call, f"HTTP {response.status_code}, {flaw}") from response.flaw
            return response

    @contextmanager
    def _counted(self, call: Call) -> Iterator[None]:
        outcome = "broken"
        try:
            yield
            outcome = "ok"
        except errors.ApiError as exc:
            outcome = exc.kind
            raise
        finally:
            self._on_call(call.name, outcome)

    def _reason(self, response: ApiResponse, *, has_failed: bool) -> str | None:
        """Why a request failed, or a part of it; what is said beside a good one is no reason."""
        text = response.reason or (response.message or response.output_message if has_failed else None)
        if text is None and (code := response.body.get("error_code")):
            text = f"error {self._redactor.line(code, 60)}"
        return self._redactor.line(text, 1000)

    def _unclear(self, call: Call, reason: str, request_id: str | None) -> errors.SubmitUnclearError:
        text = f"{reason} It is unclear whether {call.what} was accepted: it may be running and billed."
        text += f" It may be request {request_id}." if request_id else ""
        text += " Look at the requests in your RunComfy account before you submit it again."
        return errors.SubmitUnclearError(self._redactor.redact(text), request_id=request_id)

    def _undocumented(self, call: Call, flaw: str) -> errors.ProtocolError:
        text = f"The response about {call.what} is not as documented: {flaw}.{call.advice}"
        return errors.ProtocolError(self._redactor.redact(text), request_id=call.request_id)

    def _request_call(self, method: str, request_id: str, word: str, query: str = "") -> Call:
        # People paste ids, and now and then their token instead: that must not reach a log or a message.
        if request_id == self._token or not _is_segment(request_id):
            raise errors.InputError("request_id", "format", "request id", self._redactor.redact(str(request_id)))
        path = f"/v1/requests/{quote(request_id, safe='')}/{word}{query}"
        return Call(method, path, f"the {word} of request {request_id}", word, request_id)


def _is_worth_repeating(exc: BaseException) -> bool:
    if isinstance(exc, errors.ResponseError) and not isinstance(exc, errors.RateLimitError):
        return exc.status_code == _TOO_EARLY
    return isinstance(exc, errors.ApiError)


def _pause_s(state: RetryCallState) -> float:
    """Seconds until the next try: growing and spread, or as long as the service asks for."""
    exc = state.outcome.exception() if state.outcome else None
    asked_s = exc.retry_after_s if isinstance(exc, errors.RateLimitError) else None
    return max(_BACKOFF(state), min(asked_s or 0.0, _MAX_ASKED_PAUSE_S))


def _request_id_of(body: Mapping[str, Any]) -> str | None:
    """The id of an accepted request: without it, what was paid for could not be asked for."""
    values = [body.get(key) for key in ("request_id", "requestId")]
    urls = [body.get(key) for key in ("status_url", "result_url", "cancel_url")]
    values += [match[1] for url in urls if isinstance(url, str) and (match := _REQUEST_URL.search(url))]
    texts = (str(value).strip() for value in values if type(value) in (int, str))
    return next(filter(_is_segment, texts), None)


def _is_segment(value: Any) -> bool:
    """Whether this can be one segment of a path: visible and whole, not too long, no way out of its place."""
    good = isinstance(value, str) and value.isprintable() and re.fullmatch(r"[^\s/\\\ufffd]{1,200}", value)
    return bool(good) and value not in (".", "..")


def _model_path(model_id: str) -> str:
    if not all(_is_segment(segment) for segment in model_id.split("/")):
        raise errors.InputError("model_id", "format", "model id", model_id)
    return quote(model_id, safe="/")
