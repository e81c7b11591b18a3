"""The sandbox's HTTP routes: the Model API on 127.0.0.1, so that the program runs whole without a key.

It speaks the verbs of the RunComfy Model API documentation, plus two of its own:
- `GET /sandbox/requests`, behind the same token: every stored request with inputs and status, so that tests and
  benchmarks can count what was accepted;
- `GET /files/{request_id}/{key}/{index}.png`: a picture; like a pre-signed URL it needs no token, but the key.

`queue_position` counts the requests ahead in the queue: 0 is next.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import shutil
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NoReturn

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from dreamina_ui.errors import SettingsError
from dreamina_ui.models.schema import Model
from dreamina_ui.sandbox.catalog import list_categories, list_models, model_entry
from dreamina_ui.sandbox.paint_process import PaintProcess
from dreamina_ui.sandbox.scenarios import with_bad_checksum
from dreamina_ui.sandbox.service import Refusal, Request, Service

BODY_LIMIT_BYTES = 64 * 1024**2
BALANCE_USD = 25.0
"""Play money; it never gets less."""
KEEP_PICTURES = 100
"""The newest pictures kept on disk; an older one is painted again when somebody asks for it."""

PAINT_WAIT_S = 10.0
"""How long a response waits for images that are due but not painted yet, before it says `in_progress`: the next poll
may come much later. Shorter than any client waits for a response."""

Handler = Callable[[HttpRequest], Awaitable[Response]]


class Sandbox:
    """A Model API of our own in a thread of this process.

    Args:
        folder: where requests and pictures are kept; a restart on the same folder forgets nothing.
        models: what can be asked for, by model_id.
        token: the bearer token that callers must show.
        queue_s: the least seconds a request waits in the queue.
        run_s: the usual seconds a request runs; see `Service`.
        parallel: how many requests run at the same time.
        port: 0 for any free port.
        scenarios: what goes wrong with every request; names of `scenarios.SCENARIOS`.
        clock: the present time in epoch seconds; tests bring their own.
        paints_apart: whether a process of its own paints, which takes its memory along when it ends.
    """

    def __init__(
        self,
        folder: Path,
        models: Mapping[str, Model],
        *,
        token: str,
        queue_s: float = 2.0,
        run_s: float = 6.0,
        parallel: int = 2,
        port: int = 0,
        scenarios: Iterable[str] = (),
        clock: Callable[[], float] = time.time,
        paints_apart: bool = False,
    ) -> None:
        self._paints_apart = paints_apart
        self._folder = folder
        self._models = models
        self._token = token
        self._times = {"queue_s": queue_s, "run_s": run_s}
        self._parallel = parallel
        self._port = port
        self._scenarios = tuple(scenarios)
        self._clock = clock

    def start(self) -> str:
        """Serve until `stop`.

        Returns:
            The base URL, such as `http://127.0.0.1:41234`; it answers already.

        Raises:
            SettingsError: the port is taken, or the folder cannot be used.
        """
        # With the protocol named asyncio sets TCP_NODELAY on it; without it, each response takes 40 ms longer.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind(("127.0.0.1", self._port))
            pictures = Pictures(self._folder / "pictures", PaintProcess() if self._paints_apart else None)
            self._service = Service(
                self._folder,
                self._models,
                clock=self._clock,
                parallel=self._parallel,
                scenarios=self._scenarios,
                **self._times,
            )
        except Exception as exc:
            self._socket.close()
            raise SettingsError(f"The sandbox cannot start on port {self._port} with {self._folder}: {exc}") from exc
        self._pictures = pictures
        config = uvicorn.Config(
            Api(self._service, pictures, self._token).app(),
            lifespan="off",
            ws="none",
            log_config=None,  # The program's logging is its own to set up.
            log_level="warning",
            access_log=False,
            # Longer than clients keep idle connections: a submit on a connection that the server is just closing
            # would look like a lost response.
            timeout_keep_alive=120,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="sandbox", daemon=True
        )
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            time.sleep(0.005)
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def stop(self) -> None:
        """Stop serving, within 2 seconds even if connections are open; what was accepted stays on disk."""
        self._server.should_exit = True
        self._pictures.close()
        self._thread.join(1.7)
        self._server.force_exit = True
        self._thread.join(0.3)
        self._socket.close()
        if not self._thread.is_alive():
            self._service.close()


class Pictures:
    """The painted files in one folder; painted by one thread of their own, away from the event loop.

    Args:
        process: paints them; None to paint in this process.
    """

    def __init__(self, folder: Path, process: PaintProcess | None = None) -> None:
        self._process = process
        self._folder = folder
        self._unfinished = folder / "unfinished"
        shutil.rmtree(self._unfinished, ignore_errors=True)
        self._unfinished.mkdir(parents=True)
        self._painter = ThreadPoolExecutor(1, thread_name_prefix="sandbox-painter")
        self._under_way: dict[str, asyncio.Task[None]] = {}

    def path(self, request: Request, index: int) -> Path:
        """Where a picture of a request lies once it is painted."""
        return self._folder / f"{request.request_id}-{index}.{request.extension}"

    def paint(self, request: Request, done: Callable[[str], None]) -> asyncio.Task[None]:
        """See to it that all pictures of a request are on disk, then call `done` with its id."""
        task = self._under_way.get(request.request_id)
        if task is None:
            task = asyncio.create_task(self._paint_missing(request, done))
            self._under_way[request.request_id] = task
            task.add_done_callback(lambda _task: self._under_way.pop(request.request_id))
        return task

    def close(self) -> None:
        """Paint no more; a picture half done is dropped or finished whole."""
        self._painter.shutdown(wait=False, cancel_futures=True)
        if self._process:
            self._process.close()

    async def _paint_missing(self, request: Request, done: Callable[[str], None]) -> None:
        loop = asyncio.get_running_loop()
        for index in range(request.count):
            if not self.path(request, index).exists():
                await loop.run_in_executor(self._painter, self._paint_one, request, index)
        done(request.request_id)

    def _paint_one(self, request: Request, index: int) -> None:
        width, height = request.size
        arguments: dict[str, Any] = {
            "prompt": request.prompt, "width": width, "height": height,
            "seed": request.seed, "index": index, "count": request.count, "seconds": request.seconds,
        }  # fmt: skip
        path = self._unfinished / f"{request.request_id}-{index}.{request.extension}"
        if self._process:
            self._process.paint(arguments, path)
        else:
            from dreamina_ui.sandbox.painter import paint_file  # numpy is loaded when there is something to paint

            paint_file(path, **arguments)
        path.replace(self.path(request, index))
        files = [path for path in self._folder.iterdir() if path.is_file()]
        by_age = sorted(files, key=lambda path: path.stat().st_mtime)
        for path in by_age[:-KEEP_PICTURES]:
            path.unlink(missing_ok=True)


class Api:
    """The routes, each one verb of the Model API."""

    def __init__(self, service: Service, pictures: Pictures, token: str) -> None:
        self._service = service
        self._pictures = pictures
        self._token = token

    def app(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/v1/models", self._guarded(self._catalog)),
                Route("/v1/models/categories", self._guarded(self._categories)),
                Route("/prod/v2/balance", self._guarded(self._balance)),
                Route("/v1/models/{model_id:path}", self._guarded(self._submit), methods=["POST"]),
                Route("/v1/models/{model_id:path}", self._guarded(self._price)),
                Route("/v1/requests/{request_id}/status", self._guarded(self._status)),
                Route("/v1/requests/{request_id}/result", self._guarded(self._result)),
                Route("/v1/requests/{request_id}/cancel", self._guarded(self._cancel), methods=["POST"]),
                Route("/sandbox/requests", self._guarded(self._requests)),
                Route("/files/{request_id}/{key}/{index:int}.{extension}", self._file),
            ],
            exception_handlers={Refusal: _refuse, HTTPException: _refuse, Exception: _break_down},
        )

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(http: HttpRequest) -> Response:
            expected = f"Bearer {self._token}".encode()
            if not hmac.compare_digest(http.headers.get("authorization", "").encode("latin-1"), expected):
                raise Refusal(401, 401001, "The bearer token is missing or wrong.")
            return await handler(http)

        return guarded

    async def _submit(self, http: HttpRequest) -> Response:
        request = self._service.submit(http.path_params["model_id"], await _json_body(http))
        return JSONResponse({"request_id": request.request_id, **_urls(request, http, "status", "result", "cancel")})

    async def _price(self, http: HttpRequest) -> Response:
        model = self._service.model(http.path_params["model_id"])
        return JSONResponse(model_entry(model, str(http.base_url), include_schema=True))

    async def _catalog(self, http: HttpRequest) -> Response:
        models = self._service.models.values()
        return JSONResponse(list_models(models, http.query_params, str(http.base_url)))

    async def _categories(self, http: HttpRequest) -> Response:
        return JSONResponse(list_categories(self._service.models.values()))

    async def _balance(self, http: HttpRequest) -> Response:
        balance = {"balance_usd": BALANCE_USD, "balance_microdollars": round(BALANCE_USD * 1e6), "currency": "USD"}
        return JSONResponse(balance)

    async def _status(self, http: HttpRequest) -> Response:
        request = await self._find_request(http)
        now = self._service.clock()
        if page := request.gateway_status(now):
            return _gateway_page(page)
        status = request.status(now)
        response: dict[str, Any] = {"request_id": request.request_id, "status": status}
        response |= _urls(request, http, "status", "result")
        if status == "failed":
            response["error"] = {"type": "sandbox_scenario", "message": request.reason, "details": None}
        if status == "in_queue":
            response["queue_position"] = self._service.queue_position(request)
        if status == "in_progress":
            response["instance_id"] = f"sandbox-{request.seed % 1000:03}"
        return JSONResponse(response)

    async def _result(self, http: HttpRequest) -> Response:
        request = await self._find_request(http)
        now = self._service.clock()
        if page := request.gateway_status(now):
            return _gateway_page(page)
        response = self._summary(request) | {"input": request.inputs}
        if response["status"] == "completed":
            if not request.is_ready(now):
                raise Refusal(400, 400005, "The result is not ready yet.")
            if "completed-then-failed" in request.scenarios:
                response |= {"status": "failed", "failure_reason": request.reason}
            else:
                response |= {"status": "succeeded", "output": self._output(request, http)}
        elif response["status"] == "failed":
            response["error"] = request.reason
        if response["finished_at"] and http.query_params.get("include_cost") == "true":
            response["cost"] = request.cost_usd
        return JSONResponse(response)

    async def _cancel(self, http: HttpRequest) -> Response:
        outcome, request = self._service.cancel(http.path_params["request_id"])
        status = request.status(self._service.clock())
        return JSONResponse({"request_id": request.request_id, "outcome": outcome, "status": status}, 202)

    async def _requests(self, http: HttpRequest) -> Response:
        more = ("model_id", "inputs", "count")
        return JSONResponse(
            [
                {**self._summary(request), **{key: getattr(request, key) for key in more}}
                for request in self._service.all()
            ]
        )

    async def _file(self, http: HttpRequest) -> Response:
        request = self._service.get(http.path_params["request_id"])
        index = http.path_params["index"]
        right_key = hmac.compare_digest(http.path_params["key"].encode(), request.key.encode())
        now = self._service.clock()
        is_known = right_key and index < request.count and http.path_params["extension"] == request.extension
        if not is_known or request.status(now) != "completed" or not request.has_files(now):
            raise HTTPException(404)
        if not self._pictures.path(request, index).exists():
            await asyncio.shield(self._pictures.paint(request, self._service.painted))
        path = self._pictures.path(request, index)
        headers = {"Content-Encoding": ""} if "odd-headers" in request.scenarios else {}
        media_type = "video/webm" if request.seconds else "image/png"
        media_type = "text/plain" if "odd-headers" in request.scenarios else media_type
        if "odd-images" in request.scenarios and not request.seconds:
            content = with_bad_checksum(await asyncio.to_thread(path.read_bytes))
            return Response(content, media_type=media_type, headers=headers)
        return FileResponse(path, media_type=media_type, headers=headers)

    async def _find_request(self, http: HttpRequest) -> Request:
        """The request asked for; painting begins once it runs, and is waited for shortly once it is due."""
        request = self._service.get(http.path_params["request_id"])
        if request.status(self._service.clock()) != "in_progress" or request.painted_at is not None:
            return request
        painting = self._pictures.paint(request, self._service.painted)
        if self._service.clock() >= request.ends_at:
            await asyncio.wait([painting], timeout=PAINT_WAIT_S)
            if painting.done():
                painting.result()
        return self._service.get(request.request_id)

    def _summary(self, request: Request) -> dict[str, Any]:
        now = self._service.clock()
        times = {"created_at": _utc(request.created_at), "finished_at": _utc(request.finished_at(now))}
        return {"request_id": request.request_id, "status": request.status(now), **times}

    def _output(self, request: Request, http: HttpRequest) -> dict[str, Any]:
        """One picture as `image` where the model's output schema has it, several as `images`; so for films."""
        # URLs are built for each response: the port changes between restarts.
        folder = f"{http.base_url}files/{request.request_id}/{request.key}"
        urls = [f"{folder}/{index}.{request.extension}" for index in range(request.count)]
        if request.seconds:
            return {"video": urls[0]} if len(urls) == 1 else {"videos": urls}
        known = self._service.model(request.model_id).output_schema.get("output", {}).get("properties", {})
        single = len(urls) == 1 and ("image" in known or "images" not in known)
        return {"image": urls[0]} if single else {"images": urls}


def _urls(request: Request, http: HttpRequest, *verbs: str) -> dict[str, str]:
    return {f"{verb}_url": f"{http.base_url}v1/requests/{request.request_id}/{verb}" for verb in verbs}


def _gateway_page(status: int) -> Response:
    """What stands in front of a service says while that is deployed anew."""
    return Response(f"<html><body><h1>{status}</h1></body></html>", status, media_type="text/html")


async def _json_body(http: HttpRequest) -> Any:
    body = bytearray()
    size_bytes = 0
    async for chunk in http.stream():
        # Read to the end even when it is too much: a client cut off in mid-body never sees the response.
        size_bytes += len(chunk)
        if size_bytes <= BODY_LIMIT_BYTES:
            body += chunk
    if size_bytes > BODY_LIMIT_BYTES:
        raise Refusal(413, None, f"The body is larger than {BODY_LIMIT_BYTES} bytes.")
    try:
        return json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as exc:
        detail = {"loc": ["body"], "msg": "must be valid JSON", "type": "json"}
        raise Refusal(422, 422001, "The body is not valid JSON.", detail=[detail]) from exc


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


async def _refuse(_http: HttpRequest, exc: Exception) -> Response:
    if isinstance(exc, Refusal):
        return JSONResponse(exc.body, exc.status_code)
    assert isinstance(exc, HTTPException)
    return JSONResponse({"error_message": exc.detail}, exc.status_code, exc.headers)


async def _break_down(_http: HttpRequest, _exc: Exception) -> Response:
    return JSONResponse({"error_code": 500001, "error_message": "The sandbox broke down; see its log."}, 500)


def _utc(time_s: float | None) -> str | None:
    if time_s is None:
        return None
    return datetime.fromtimestamp(time_s, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
