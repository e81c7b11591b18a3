"""A small mock of the Model API for load tests; it runs in real time and records when each request completes.

    python -m benchmarks.load_service --port 8000 --token TOKEN [--allowed-per-s 10 [--retry-after-s 1]]
        [--pace 10] [--failing 0.1]

A request waits in the queue, then runs for a log-normal time between the bounds of `RUN_S`. Its status is computed on
request, so that the mock needs no CPU in between. Every result is one small image.
"""

from __future__ import annotations

import argparse
import io
import math
import random
import secrets
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

QUEUE_S = 0.5
RUN_S = (10.0, 20.0)
_SIGMA = math.log(RUN_S[1] / RUN_S[0]) / 4  # 95 % lie between the bounds; the others are clipped to them


@dataclass
class LoadCounts:
    """Requests by `request_id`; status calls answered and refused, by second since 1970."""

    requests: dict[str, dict[str, Any]] = field(default_factory=dict)
    answered: Counter[int] = field(default_factory=Counter)
    refused: Counter[int] = field(default_factory=Counter)


class LoadService:
    """The Model API as an ASGI application.

    Args:
        token: the only token it accepts.
        allowed_per_s: status calls per second of the clock; None for no limit.
        retry_after_s: the Retry-After of a refusal, in seconds; None for no header.
        seed: for the run times.
        pace: how many times faster than usual everything runs.
        failing: which share of the requests fail.

    Source: RunComfy Model API documentation, submit, status and result.
    """

    def __init__(
        self,
        token: str,
        allowed_per_s: int | None,
        retry_after_s: int | None,
        seed: int,
        pace: float = 1.0,
        failing: float = 0.0,
    ) -> None:
        self._token = token
        self._allowed_per_s = allowed_per_s
        self._retry_after_s = retry_after_s
        self._random = random.Random(seed)
        self._pace = pace
        self._failing = failing
        self._counts = LoadCounts()
        self._picture = _picture()
        requests = "/v1/requests/{request_id}"
        self.app = Starlette(
            routes=[
                Route("/v1/models/{model_id:path}", self.submit, methods=["POST"]),
                Route(f"{requests}/status", self.status),
                Route(f"{requests}/result", self.result),
                Route("/files/{request_id}.png", self.file),
                Route("/load/counts", self.counts),
            ]
        )

    async def submit(self, request: Request) -> Response:
        if not self._is_authorized(request):
            return _refusal(401, "unauthorized")
        inputs = await request.json()
        request_id = f"load-{secrets.token_hex(6)}"  # none of before a restart
        median_s = math.sqrt(RUN_S[0] * RUN_S[1])
        run_s = min(max(self._random.lognormvariate(math.log(median_s), _SIGMA), RUN_S[0]), RUN_S[1])
        started_at = time.time() + QUEUE_S / self._pace
        facts = {"prompt": inputs["prompt"], "started_at": started_at, "completed_at": started_at + run_s / self._pace}
        facts["fails"] = self._random.random() < self._failing
        self._counts.requests[request_id] = facts
        return JSONResponse({"request_id": request_id})

    async def status(self, request: Request) -> Response:
        if not self._is_authorized(request):
            return _refusal(401, "unauthorized")
        second = int(time.time())
        if self._allowed_per_s is not None and self._counts.answered[second] >= self._allowed_per_s:
            self._counts.refused[second] += 1
            return _refusal(429, "too many status calls", self._retry_after_s)
        self._counts.answered[second] += 1
        status = self._status(request)
        if status is None:
            return _refusal(404, "no such request")
        return JSONResponse({"status": status} | ({"queue_position": 0} if status == "in_queue" else {}))

    async def result(self, request: Request) -> Response:
        if not self._is_authorized(request):
            return _refusal(401, "unauthorized")
        status = self._status(request)
        if status is None:
            return _refusal(404, "no such request")
        if status != "completed":
            return JSONResponse({"status": status})
        url = f"{request.base_url}files/{request.path_params['request_id']}.png"
        return JSONResponse({"status": status, "cost": 0.03, "output": {"images": [url]}})

    async def file(self, request: Request) -> Response:
        return Response(self._picture, media_type="image/png")

    async def counts(self, request: Request) -> Response:
        """The counts so far, for the benchmark."""
        return JSONResponse(vars(self._counts))

    def _is_authorized(self, request: Request) -> bool:
        return request.headers.get("authorization") == f"Bearer {self._token}"

    def _status(self, request: Request) -> str | None:
        facts = self._counts.requests.get(request.path_params["request_id"])
        if facts is None:
            return None
        now = time.time()
        ended = "failed" if facts["fails"] else "completed"
        return "in_queue" if now < facts["started_at"] else "in_progress" if now < facts["completed_at"] else ended


def _refusal(status_code: int, text: str, retry_after_s: int | None = None) -> Response:
    headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    return JSONResponse({"message": text}, status_code, headers=headers)


def _picture() -> bytes:
    file = io.BytesIO()
    Image.radial_gradient("L").convert("RGB").save(file, "PNG")  # 256 x 256
    return file.getvalue()


def main() -> None:
    """Read the arguments and serve until killed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.load_service", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--allowed-per-s", type=int, help="status calls per second (default: no limit)")
    parser.add_argument("--retry-after-s", type=int, help="the Retry-After of a refusal (default: none)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the run times (default: 1)")
    parser.add_argument("--pace", type=float, default=1.0, help="how many times faster everything runs (default: 1)")
    parser.add_argument("--failing", type=float, default=0.0, help="share of requests that fail (default: 0)")
    options = parser.parse_args()
    limits = options.allowed_per_s, options.retry_after_s
    service = LoadService(options.token, *limits, options.seed, options.pace, options.failing)
    uvicorn.run(service.app, host="127.0.0.1", port=options.port, log_level="warning", backlog=2048)


if __name__ == "__main__":
    main()
