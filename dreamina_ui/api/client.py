"""The only place that talks to the Model API: submit, status, result, cancel and price.

Three promises:
- A submit is sent at most once. When its answer is lost, that is a `SubmitUnclearError`, never a second POST.
- Every other call may be repeated, and is, with growing pauses.
- The token travels to the API's own origin and nowhere else. No redirect is followed, no address out of an answer
  is used, and no message, log line or `repr` holds it.
"""

from __future__ import annotations

import io
import json
import logging
import random
import re
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, Timeout

from dreamina_ui import errors
from dreamina_ui.api import responses as answers
from dreamina_ui.api.responses import Answer

_log = logging.getLogger(__name__)

_ENDED_BADLY = ("failed", "cancelled", "canceled")
_REFUSALS: dict[int | None, tuple[type[errors.ResponseError], str]] = {
    401: (errors.AuthError, "Check the API token and the account."),
    402: (errors.BalanceError, "Add balance to the RunComfy account."),
    403: (errors.AuthError, "Check the API token and the account."),
    404: (errors.RequestNotFoundError, "Check the id; the service forgets old requests."),
    429: (errors.RateLimitError, "Wait, then try again."),
}
# Strict on purpose: with one odd character, two libraries may read two different hosts out of one address.
_BASE_URL = re.compile(
    r"(?:https?://(?P<local>localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])|https://(?:[a-z0-9.-]+|\[[0-9a-f:]+\]))"
    r"(?::[0-9]{1,5})?(?:/[\w.~%/-]*)?",
    re.ASCII | re.IGNORECASE,
)


@dataclass(frozen=True)
class StatusResponse:
    """How far a request has come; `status` is as the service spells it, also one nobody has heard of."""

    status: str
    queue_position: int | None = None  # 0 or more; None outside the queue
    instance_id: str | None = None


@dataclass(frozen=True)
class ResultResponse:
    """What a request has come to; what the service does not say is None."""

    status: str | None
    output: dict[str, Any] | None = None  # unchanged, such as {"images": [str]}
    cost_usd: float | None = None
    created_at: str | None = None  # times as the service writes them
    finished_at: str | None = None
    error: str | None = None  # why the request failed, in the service's words


@dataclass(frozen=True)
class CancelResponse:
    """What came of a wish to cancel; `outcome` is `cancelled` or `not_cancellable`, or None if it is not said."""

    outcome: str | None = None
    status: str | None = None


@dataclass(frozen=True)
class Price:
    """What a model costs: USD for one `price_unit`, such as `image`; what the service does not say is None."""

    base_price_usd: float | None = None
    price_unit: str | None = None
    pricing_note: str | None = None


class RunComfy:
    """A client of RunComfy's Model API, safe to use from up to 64 threads.

    Every call but `submit` tries `attempts` times (None: the client's own number) and may raise
        InputError: this can be no request_id or model_id. Nothing was sent.
        TransportError: no answer, or a server error; asking again is safe.
        RequestNotFoundError: the service does not know the request_id, or no longer.
        ResponseError: refused; AuthError, BalanceError and RateLimitError tell why.
        ProtocolError: an answer that is not as documented, or a redirect.

    Source: RunComfy Model API documentation, submit, status, result, cancel and price.
    """

    def __init__(
        self,
        base_url: str,
        token: str,
        *,
        connect_timeout_s: float = 10.0,
        read_timeout_s: float = 30.0,
        submit_timeout_s: float = 90.0,
        attempts: int = 4,
        on_call: Callable[[str, str], object] = lambda verb, outcome: None,
        pause: Callable[[float], object] = time.sleep,
        random: Callable[[], float] = random.random,
    ) -> None:
        """Check the settings; nothing is sent.

        Args:
            base_url: https; or http, to this machine only. It may have a path.
            token: visible ASCII.
            read_timeout_s, submit_timeout_s: seconds of silence, or of reading a body, until an answer counts as lost.
            on_call: hears of each try of each call, from any thread: the verb, and `ok`, the `kind` of the error it
                became, or `broken`.
            attempts: how often a call other than submit is tried; `random` (0 to 1) spreads the `pause` (seconds).

        Raises:
            SettingsError: the address or the token cannot be used.
        """
        address = _BASE_URL.fullmatch(base_url)
        if address is None:
            raise errors.SettingsError("The API's base URL must be https://host, or http:// on this machine only.")
        if not re.fullmatch(r"[!-~]+", token):
            raise errors.SettingsError("The API token is empty, or has a space, a line break or a non-ASCII character.")
        self._base_url, self._token = base_url.rstrip("/"), token
        self._trust_env = address["local"] is None  # a proxy cannot reach this machine's loopback
        self._path = urlsplit(self._base_url).path
        self._timeout = Timeout(connect=connect_timeout_s, read=read_timeout_s)
        self._submit_timeout = Timeout(connect=connect_timeout_s, read=submit_timeout_s)
        self._on_call = on_call
        self._attempts, self._pause, self._random = attempts, pause, random
        self._pool = self._open_pool()

    def __repr__(self) -> str:
        return f"RunComfy({self._base_url!r})"

    def close(self) -> None:
        """Close the pooled connections."""
        self._pool.close()

    def submit(self, model_id: str, inputs: Mapping[str, object]) -> str:
        """Start one request and return its request_id. It costs money, so it is never sent again by itself.

        Args:
            model_id: such as `bytedance/dreamina-4-0/text-to-image`.
            inputs: what the input schema asks for; it goes over the wire unchanged.

        Raises:
            InputError: the model_id or the inputs cannot be sent. Nothing was sent.
            TransportError: no connection. Nothing was sent.
            ResponseError: refused; AuthError, BalanceError and RateLimitError tell why. Nothing runs.
            SubmitUnclearError: sent, and the answer lost; it may be running and billed. `request_id` is set if known.
        """
        call = _Call("POST", f"/v1/models/{_model_path(model_id)}", f"the submit to {model_id}", "submit", advice="")
        try:
            payload = _Payload(json.dumps(dict(inputs), ensure_ascii=False, allow_nan=False).encode())
        except (TypeError, ValueError, RecursionError) as exc:
            raise errors.InputError("inputs", "format", "JSON object", type(exc).__name__) from exc
        with self._handled(call):
            return self._submit_once(call, payload)

    def _submit_once(self, call: _Call, payload: _Payload) -> str:
        try:
            # A connection of its own: a pooled one that the service has just closed would lose the answer for nothing.
            with self._open_pool() as pool:
                answer = self._exchange(pool, call, self._submit_timeout, payload)
        except errors.TransportError as lost:
            if not payload.touched:
                raise errors.TransportError(f"{lost} Nothing was sent; you can submit it again.") from lost
            raise self._unclear(call, str(lost), None) from lost
        given = answer.reply.get("request_id")
        given = str(given) if type(given) is int else given
        request_id = given if _is_segment(given) else None
        refusal = self._refusal(answer, call)
        if isinstance(refusal, errors.ResponseError) and (answer.meaning or (answer.ok and not request_id)):
            raise refusal
        if refusal is None and answer.ok and request_id:
            return request_id
        # A redirect ends here too: it is not documented, and a 303 after a POST even means "done, look there".
        said = self._said(answer.reply) or "no request_id that can be used"
        raise self._unclear(call, f"The answer was HTTP {answer.status_code}: {said}.", request_id) from answer.flaw

    def status(self, request_id: str, *, attempts: int | None = None) -> StatusResponse:
        """Ask how far one request has come; a status that nobody has heard of is returned as it came."""
        call = self._request_call("GET", request_id, "status")
        reply = self._ask(call, attempts)
        status = self._text(reply.get("status"), 60)
        if status is None or not isinstance(reply["status"], str):
            raise self._odd(call, "no status")
        return StatusResponse(
            status, answers.count(reply.get("queue_position")), self._text(reply.get("instance_id"), 200)
        )

    def result(self, request_id: str, *, attempts: int | None = None) -> ResultResponse:
        """Fetch what one request has come to; for an unfinished one its present status, and no output.

        A request that failed may be told with an `error_code`. Then that is the request's own error and stands in
        `error`; it is raised only if the code speaks of us: the token, the balance, the id, the pace.
        """
        call = self._request_call("GET", request_id, "result", "?include_cost=true")
        reply = self._ask(call, attempts)
        status, output = self._text(reply.get("status"), 60), reply.get("output")
        error = self._text(reply.get("error"), 1000)
        if error is None and reply.get("error_code"):
            error = self._said(reply) or f"error {self._text(reply['error_code'], 60)}"
        if not isinstance(output, dict | None) or (output is None and status is None and error is None):
            raise self._odd(call, "neither status nor output" if output is None else "an output that is no object")
        return ResultResponse(
            status=status,
            output=output,
            cost_usd=answers.usd(reply.get("cost", reply.get("cost_usd"))),
            created_at=self._text(reply.get("created_at"), 60),
            finished_at=self._text(reply.get("finished_at"), 60),
            error=error,
        )

    def cancel(self, request_id: str, *, attempts: int | None = None) -> CancelResponse:
        """Ask the service to drop a request that waits in the queue; a running one cannot be cancelled.

        Asking twice does no harm. After any error the request may be cancelled or not: ask for its status.
        """
        reply = self._ask(self._request_call("POST", request_id, "cancel"), attempts)
        return CancelResponse(self._text(reply.get("outcome"), 60), self._text(reply.get("status"), 60))

    def price(self, model_id: str, *, attempts: int | None = None) -> Price:
        """Ask what a model costs, in USD."""
        reply = self._ask(
            _Call("GET", f"/v1/models/{_model_path(model_id)}", f"the price of {model_id}", "price"), attempts
        )
        unit, note = self._text(reply.get("price_unit"), 60), self._text(reply.get("pricing_note"), 300)
        return Price(answers.usd(reply.get("base_price_usd")), unit, note)

    def _ask(self, call: _Call, attempts: int | None) -> dict[str, Any]:
        """Make a call that may be repeated; the reply is a JSON object that is no error."""
        left = max(1, self._attempts if attempts is None else attempts)
        pause_s = 0.5
        while True:
            left -= 1
            try:
                with self._handled(call):
                    return self._ask_once(call)
            except errors.ApiError as exc:
                final = isinstance(exc, errors.ResponseError) and exc.status_code != 425
                if left == 0 or (final and not isinstance(exc, errors.RateLimitError)):
                    raise
                asked_s = exc.retry_after_s or 0.0 if isinstance(exc, errors.RateLimitError) else 0.0
            self._pause(max(pause_s * (0.5 + self._random() / 2), min(asked_s, 60.0)))
            pause_s = min(pause_s * 2, 8.0)

    def _ask_once(self, call: _Call) -> dict[str, Any]:
        answer = self._exchange(self._pool, call, self._timeout)
        refusal = self._refusal(answer, call)
        if refusal is not None:
            raise refusal
        if not answer.ok or answer.flaw:
            flaw = answer.flaw if answer.ok else "and a redirect is never followed"
            raise self._odd(call, f"HTTP {answer.status_code}, {flaw}") from answer.flaw
        return answer.reply

    @contextmanager
    def _handled(self, call: _Call) -> Iterator[None]:
        outcome = "broken"
        try:
            yield
            outcome = "ok"
        except errors.ApiError as exc:
            outcome = exc.kind
            raise
        finally:
            self._on_call(call.name, outcome)

    def _exchange(
        self, pool: HTTPConnectionPool, call: _Call, timeout: Timeout, payload: _Payload | None = None
    ) -> Answer:
        """Send one call once and read its whole answer; whatever goes wrong becomes a TransportError."""
        began, status_code = time.monotonic(), 0
        headers = {"Accept": "application/json", "User-Agent": "dreamina-ui", "Authorization": f"Bearer {self._token}"}
        if payload:
            headers |= {"Content-Type": "application/json", "Content-Length": str(payload.size_bytes)}
        try:
            with pool.urlopen(
                call.verb,
                self._path + call.path,
                body=payload,
                headers=headers,
                timeout=timeout,
                retries=False,
                redirect=False,
                preload_content=False,
            ) as response:
                status_code = response.status
                body = answers.read_body(response, time.monotonic() + (timeout.read_timeout or 0.0))
                return Answer.parse(status_code, response.headers.get("Retry-After"), body)
        except Exception as caught:  # noqa: BLE001 - whatever a library raises once a submit is sent, it is unclear
            exc = caught
        finally:
            spent_ms = (time.monotonic() - began) * 1000
            _log.debug("%s %s %d %.0f ms", call.verb, self._redact(call.path), status_code, spent_ms)
        text = self._redact(f"There was no usable answer about {call.what} ({type(exc).__name__}).{call.advice}")
        # The libraries quote a garbled answer, and it may echo the token.
        cause = None if self._token in "".join(traceback.format_exception(exc)) else exc
        raise errors.TransportError(text, request_id=call.request_id) from cause

    def _refusal(self, answer: Answer, call: _Call) -> errors.ApiError | None:
        """The error that an answer stands for; None if it is no error.

        The service's `error_code` decides before the HTTP status does: some errors arrive with HTTP 200.
        """
        reply, code, meaning = answer.reply, answer.error_code, answer.meaning
        if meaning is None and not reply.get("error_code"):
            return None
        if call.request_id and answer.ok and meaning not in _REFUSALS and reply.get("status") in _ENDED_BADLY:
            return None  # the request's own error, in a good answer
        parts = [f"HTTP {answer.status_code}", code and f"error {code}", self._said(reply)]
        why = f"{call.what} ({', '.join(str(part) for part in parts if part)})"
        if meaning is not None and (meaning >= 500 or meaning == 408):
            text = self._redact(f"The service could not answer about {why}.{call.advice}")
            return errors.TransportError(text, request_id=call.request_id)
        kind, advice = _REFUSALS.get(meaning, (errors.ResponseError, "Read the reason and change what was asked."))
        if code == 403001 or (meaning == 404 and not call.request_id):
            kind = errors.ForeignRequestError if call.request_id else errors.ResponseError
            advice = "Check the id and which account it belongs to."
        detail = answers.map_texts(reply.get("detail"), self._redact)
        if len(json.dumps(detail)) > 4000:
            detail = self._text(detail, 4000)
        return kind(
            self._redact(f"The service refused {why}. {advice}"),
            status_code=answer.status_code,
            error_code=code,
            detail=detail,
            request_id=call.request_id,
            scope="request" if meaning == 403 else None,  # a firewall's, or another account's: not the token's fault
            **({"retry_after_s": answers.retry_after_s(answer.retry_after)} if kind is errors.RateLimitError else {}),
        )

    def _unclear(self, call: _Call, reason: str, request_id: str | None) -> errors.SubmitUnclearError:
        text = f"{reason} It is unclear whether {call.what} was accepted: it may be running and billed."
        text += f" It may be request {request_id}." if request_id else ""
        text += " Look at the requests in your RunComfy account before you submit it again."
        return errors.SubmitUnclearError(self._redact(text), request_id=request_id)

    def _odd(self, call: _Call, flaw: str) -> errors.ProtocolError:
        text = self._redact(f"The answer about {call.what} is not as documented: {flaw}.{call.advice}")
        return errors.ProtocolError(text, request_id=call.request_id)

    def _said(self, reply: Mapping[str, Any]) -> str | None:
        """The service's own words about an error, if it found any."""
        texts = (self._text(reply.get(key), 300) for key in ("error_message", "message", "error", "detail"))
        return next((text for text in texts if text), None)

    def _text(self, value: Any, limit: int) -> str | None:
        """A text from outside, safe to show: one line, without the token, and short; None if there is none."""
        if value is None:
            return None
        value = answers.map_texts(value, self._redact)  # before json.dumps, which may put a backslash into the token
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        text = self._redact(" ".join("".join(c if c.isprintable() else " " for c in text).split()))
        return (text if len(text) <= limit else text[: limit - 1] + "…") or None

    def _redact(self, text: str) -> str:
        return text.replace(self._token, "***")

    def _request_call(self, verb: str, request_id: str, word: str, query: str = "") -> _Call:
        # People paste ids, and now and then their token instead: that must not reach a log or a message.
        if request_id == self._token or not _is_segment(request_id):
            raise errors.InputError("request_id", "format", "request id", self._redact(str(request_id)))
        path = f"/v1/requests/{quote(request_id, safe='')}/{word}{query}"
        return _Call(verb, path, f"the {word} of request {request_id}", word, request_id)

    def _open_pool(self) -> HTTPConnectionPool:
        """Connections to the API: requests finds the way, a proxy or certificates of the environment, and urllib3 goes
        it for each call. Measured on loopback: a status took 1.4 ms of processor time through requests, so 0.7."""
        session = requests.Session()
        session.trust_env = self._trust_env
        request = session.prepare_request(requests.Request("GET", self._base_url))
        way = session.merge_environment_settings(self._base_url, {}, None, None, None)
        verify, cert = way["verify"], way["cert"]
        adapter = HTTPAdapter(pool_maxsize=64)
        pool = adapter.get_connection_with_tls_context(request, verify, way["proxies"], cert)
        adapter.cert_verify(pool, self._base_url, verify, cert)  # type: ignore[no-untyped-call]
        return cast(HTTPConnectionPool, pool)


class _Payload(io.BytesIO):
    """A submit's body that knows whether sending it has begun; until then the service cannot have the inputs."""

    touched = False

    @property
    def size_bytes(self) -> int:
        return self.getbuffer().nbytes

    def read(self, size: int | None = -1, /) -> bytes:
        self.touched = True
        return super().read(size)


@dataclass(frozen=True)
class _Call:
    verb: str
    path: str
    what: str  # for messages: "the status of request abc"
    name: str  # for counting: "status"
    request_id: str | None = None
    advice: str = " Ask again later."


def _is_segment(value: object) -> bool:
    """Whether this can be one segment of a path: visible, not too long, no way out of its place."""
    good = isinstance(value, str) and value.isprintable() and re.fullmatch(r"[^\s/\\]{1,200}", value)
    return bool(good) and value not in (".", "..")


def _model_path(model_id: str) -> str:
    if not all(_is_segment(segment) for segment in model_id.split("/")):
        raise errors.InputError("model_id", "format", "model id", model_id)
    return quote(model_id, safe="/")
