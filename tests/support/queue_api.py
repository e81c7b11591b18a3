"""A second `ModelApi`, of a vendor whose words and shapes are other ones: what the seam is proved with.

A queue with `IN_QUEUE`, `IN_PROGRESS` and `COMPLETED`; a result that holds `images: [{"url": ...}]` itself; refusals as
`{"detail": str}`. It is as small as a client can be, and is no example of a robust one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import requests

from dreamina_ui import errors
from dreamina_ui.api.model_api import (
    CancelResponse,
    OutputFile,
    Phase,
    Price,
    ResultResponse,
    StatusResponse,
)

_PHASES: Mapping[str, Phase] = {"IN_QUEUE": "queued", "IN_PROGRESS": "running", "COMPLETED": "completed"}
_REFUSALS = {401: errors.AuthError, 403: errors.BalanceError, 404: errors.RequestNotFoundError}


class QueueApi:
    """Speaks to `{base_url}/queue/...` in the name of `key`."""

    def __init__(self, base_url: str, key: str) -> None:
        self._base_url = base_url
        self._key = key

    def submit(
        self, model_id: str, inputs: Mapping[str, object], before_send: Callable[[], object] = lambda: None
    ) -> str:
        before_send()
        return str(self._call("POST", f"/queue/{model_id}", dict(inputs))["request_id"])

    def status(self, request_id: str, *, attempts: int | None = None) -> StatusResponse:
        body = self._call("GET", f"/queue/requests/{request_id}/status")
        return StatusResponse(_PHASES.get(body["status"]), body["status"], body.get("queue_position"))

    def result(self, request_id: str, *, attempts: int | None = None) -> ResultResponse:
        body = self._call("GET", f"/queue/requests/{request_id}")
        files = tuple(OutputFile("image", image["url"]) for image in body["images"])
        return ResultResponse("completed", None, files)

    def cancel(self, request_id: str, *, attempts: int | None = None) -> CancelResponse:
        body = self._call("PUT", f"/queue/requests/{request_id}/cancel")
        return CancelResponse("accepted" if body["status"] == "CANCELLATION_REQUESTED" else "refused")

    def price(self, model_id: str, *, attempts: int | None = None) -> Price:
        body = self._call("GET", f"/prices/{model_id}")
        return Price(body["unit_price"], body["unit"])

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Key {self._key}"}
        try:
            response = requests.request(method, self._base_url + path, json=body, headers=headers, timeout=5)
        except requests.RequestException as exc:
            raise errors.TransportError("no response") from exc
        if response.status_code == 429:
            raise errors.RateLimitError("too many", status_code=429)
        if response.status_code >= 500:
            raise errors.TransportError(f"HTTP {response.status_code}")
        if response.status_code >= 400:
            error_class = _REFUSALS.get(response.status_code, errors.ResponseError)
            detail = response.json().get("detail", "no reason")
            raise error_class(detail, status_code=response.status_code)
        return response.json()
