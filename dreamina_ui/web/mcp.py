"""The endpoints as tools of the Model Context Protocol (MCP), for assistants; they cost what the endpoints cost.

Gradio's own MCP server (6.31) is not used: it calls the page from this machine, so all its callers share the limits of
one IP address, and it cannot sign in where the page is closed with logins.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import gradio as gr
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from dreamina_ui.errors import SettingsError
from dreamina_ui.jobs.services import JobServices
from dreamina_ui.models.schema import Model
from dreamina_ui.web.gradio_page.endpoints import IDEMPOTENCY_ARGUMENT, KEY_HEADER, Endpoints, endpoint_name

try:
    import mcp
    from mcp.server.lowlevel import Server
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
    from mcp.types import CallToolResult, TextContent, Tool, ToolAnnotations

    from dreamina_ui.web.mcp_models import GENERATE as GENERATE_WITH_MODEL
    from dreamina_ui.web.mcp_models import LIST as LIST_MODELS
    from dreamina_ui.web.mcp_models import CatalogTools
except ImportError as exc:
    raise SettingsError('GRADIO_MCP_SERVER needs one more package: pip install "mcp>=1.21,<2"') from exc

PATH = "/gradio_api/mcp"
MAX_NAME_LENGTH = 40
"""The maximum length of a tool's name. Clients allow 64 characters with a prefix such as `mcp__dreamina-ui__`."""

KNOWN_FORMATS = ("date-time",)
"""The formats of JSON Schema that every common client accepts; some refuse all tools because of another one."""

WAIT_TIMEOUT_S = 45.0
"""How long a call waits for a job's end. Clients give up after a minute, and the job_id must reach them before."""

INSTRUCTIONS = (
    "Makes pictures. `generate` begins a job, a `generate_...` does so with another model, `job` looks at it again, "
    "`cancel` cancels it. Keep each job_id: it is the only key to the job and its pictures. Never repeat a job that "
    "seems lost, except with its `idempotency_key`, without asking the person: it is paid again."
)

_IDEMPOTENCY_HELP = (
    "A new random name, such as a UUID, for each job that is wanted. Repeated after a lost response, a call with the "
    "same name and inputs is the same job and is not paid again."
)

_IDEMPOTENCY = {"type": "string", "maxLength": 200, "description": _IDEMPOTENCY_HELP}

_LIBRARY_FOLDER = Path(mcp.__file__).parent

log = logging.getLogger(__name__)


def build_tool_routes(
    services: JobServices, first: Model, endpoints: Endpoints, *, uses_sandbox: bool
) -> list[BaseRoute]:
    """The route that MCP clients call, by streamable HTTP and without sessions.

    Args:
        uses_sandbox: say that pictures cost nothing.
    """
    # It logs each call and what clients send, in errors, too; those that reach nobody else, `RequestLimits` logs.
    logging.getLogger("mcp").setLevel(logging.CRITICAL)
    logging.getLogger().addFilter(_is_not_of_library)  # it uses this logger, too
    tools = _Tools(services, first, endpoints, uses_sandbox)
    return [Route(path, tools, methods=["GET", "POST", "DELETE"]) for path in (PATH, f"{PATH}/")]


class _Tools:
    """An ASGI application."""

    def __init__(self, services: JobServices, first: Model, endpoints: Endpoints, uses_sandbox: bool) -> None:
        self._accounts = services.accounts
        self._guard = services.guard
        others = {tool_name(model): model for model in services.models.packaged.values() if model is not first}
        self._models = {"generate": first, **others}
        self._endpoints = endpoints
        self._catalog = CatalogTools(services)
        self._uses_sandbox = uses_sandbox
        self._server: Server[Any, Any] = Server("Dreamina UI", instructions=INSTRUCTIONS)
        self._server.list_tools()(self._list)  # type: ignore[no-untyped-call]
        self._server.call_tool(validate_input=False)(self._call)  # the endpoints validate, with clearer messages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":  # no stream without a call, and no session to end
            await Response(status_code=405, headers={"Allow": "POST"})(scope, receive, send)
            return
        manager = StreamableHTTPSessionManager(self._server, stateless=True)
        async with manager.run():
            await manager.handle_request(scope, receive, send)

    async def _list(self) -> list[Tool]:
        job_id = {"type": "string", "description": "What `generate` gave. Who has it may read and cancel the job."}
        one_job = {"type": "object", "properties": {"job_id": job_id}, "required": ["job_id"]}
        costs_money = ToolAnnotations(
            readOnlyHint=False, destructiveHint=False, idempotentHint=False, openWorldHint=True
        )
        generates = [
            Tool(
                name=name,
                title=f"Make pictures with {model.title}",
                description=self._description(model),
                inputSchema=_input_schema(model),
                annotations=costs_money,
            )
            for name, model in self._models.items()
        ]
        request = gr.Request(self._server.request_context.request)
        return [
            *generates,
            *self._catalog.tools(_IDEMPOTENCY, is_owner=self._endpoints.is_owner(request), has_key=self._has_key),
            Tool(
                name="job",
                title="Read a job",
                description="One job by its job_id, as `generate` gives it: `state`, `message`, `cost_usd`, and the "
                f"URLs of its pictures. While it runs, this waits up to {WAIT_TIMEOUT_S:.0f} seconds for its end. "
                "Costs nothing.",
                inputSchema=one_job,
                annotations=ToolAnnotations(readOnlyHint=True),
            ),
            Tool(
                name="cancel",
                title="Cancel a job",
                description="Cancel one job by its job_id; only one that still waits in the queue can be cancelled. "
                "`outcome` is `cancelled`; `too_late`: its pictures come and are billed; or `unconfirmed`: nobody "
                "knows yet, look again with `job`. Costs nothing.",
                inputSchema=one_job,
                annotations=ToolAnnotations(readOnlyHint=False, destructiveHint=True, idempotentHint=True),
            ),
        ]

    @property
    def _has_key(self) -> bool:
        request = self._server.request_context.request
        return request is not None and KEY_HEADER in request.headers

    def _description(self, model: Model) -> str:
        accounts, guard = self._accounts, self._guard
        has_key = self._has_key
        origin = accounts.key_origin if has_key or accounts.requires_own_key else accounts.api_origin
        cost = "Each call costs real money; how much is not known here."
        if self._uses_sandbox and not has_key:
            cost = "It costs nothing here: a sandbox paints test pictures."
        elif guard.file_usd(model.model_id, origin) is not None:
            cost = f"Each call costs real money, at most about {guard.expected_usd(model.model_id, {}, origin):g} USD."
        return (
            f"Make pictures with {model.title}. {cost} Each call without an `idempotency_key` is a job of its own: "
            "do not repeat one that seems lost without asking the person, and tell them its job_id. The response comes "
            f"when the job has ended, or after {WAIT_TIMEOUT_S:.0f} seconds as the job is by then. While its `state` "
            "is submitting, queued, running or saving, call `job` with its job_id. `message` explains its state; "
            "`images` has an `original_url` for each picture; `cost_usd` is what was billed, null if that is not known."
        )

    async def _call(self, name: str, arguments: dict[str, Any]) -> CallToolResult:
        tools: dict[str, Callable[[dict[str, Any], gr.Request], Awaitable[dict[str, Any]]]]
        tools = {tool: partial(self._generate, model) for tool, model in self._models.items()}
        tools |= {"job": self._job, "cancel": self._cancel}
        tools |= {LIST_MODELS: self._list_models, GENERATE_WITH_MODEL: self._generate_with}
        request = gr.Request(self._server.request_context.request)
        try:
            if name not in tools:
                raise gr.Error("There is no such tool; there are: " + ", ".join(tools))
            result = await tools[name](arguments, request)
        except gr.Error as exc:
            return CallToolResult(content=[TextContent(type="text", text=exc.message)], isError=True)
        except Exception:
            log.exception("A tool failed")
            text = "Something went wrong here; it is in the log."
            return CallToolResult(content=[TextContent(type="text", text=text)], isError=True)
        text = json.dumps(result, ensure_ascii=False, indent=1)
        return CallToolResult(content=[TextContent(type="text", text=text)], structuredContent=result)

    async def _generate(self, model: Model, arguments: dict[str, Any], request: gr.Request) -> dict[str, Any]:
        idempotency_key = arguments.pop(IDEMPOTENCY_ARGUMENT, None)
        keys = {field.parameter: field.key for field in model.fields}
        if unknown := sorted(set(arguments) - set(keys)):
            named = ", ".join(name[:MAX_NAME_LENGTH] for name in unknown[:3])
            raise gr.Error(f"There is no input {named}; there are: {', '.join(keys)}. Nothing was submitted.")
        inputs = {keys[name]: value for name, value in arguments.items()}
        job = await self._endpoints.begin(model, inputs, request, idempotency_key)
        return await self._wait(job.job_id, request)

    async def _list_models(self, arguments: dict[str, Any], request: gr.Request) -> dict[str, Any]:
        has_key = await self._endpoints.has_key(request)
        return self._catalog.list_models(arguments, is_owner=self._endpoints.is_owner(request), has_key=has_key)

    async def _generate_with(self, arguments: dict[str, Any], request: gr.Request) -> dict[str, Any]:
        has_key = await self._endpoints.has_key(request)
        model = self._catalog.model(arguments, is_owner=self._endpoints.is_owner(request), has_key=has_key)
        inputs = arguments.get("inputs")
        if not isinstance(inputs, dict):
            raise gr.Error("`inputs` must be an object. Nothing was submitted.")
        job = await self._endpoints.begin(model, inputs, request, arguments.get(IDEMPOTENCY_ARGUMENT))
        return await self._wait(job.job_id, request)

    async def _job(self, arguments: dict[str, Any], request: gr.Request) -> dict[str, Any]:
        job = await self._endpoints.job(arguments.get("job_id", ""), request)
        return await self._wait(job["job_id"], request)

    async def _cancel(self, arguments: dict[str, Any], request: gr.Request) -> dict[str, Any]:
        return await self._endpoints.cancel(arguments.get("job_id", ""), request)

    async def _wait(self, job_id: str, request: gr.Request) -> dict[str, Any]:
        """The job when it has ended, or as it is when nobody should wait longer."""
        context = self._server.request_context
        token = context.meta.progressToken if context.meta else None
        with anyio.move_on_after(WAIT_TIMEOUT_S):
            async with aclosing(self._endpoints.follow(job_id, request)) as changes:
                step = 0
                async for job in changes:
                    step += 1
                    if token is not None:
                        await context.session.send_progress_notification(
                            token,
                            step,
                            message=f"{job_id}: {job['message']}",
                            related_request_id=str(context.request_id),
                        )
        return await self._endpoints.job(job_id, request)


def _is_not_of_library(record: logging.LogRecord) -> bool:
    return _LIBRARY_FOLDER not in Path(record.pathname).parents


def tool_name(model: Model) -> str:
    """The endpoint's name, or a shorter one with a digest of the model_id if that is too long for clients."""
    name = endpoint_name(model)
    if len(name) <= MAX_NAME_LENGTH:
        return name
    digest = hashlib.sha256(model.model_id.encode()).hexdigest()[:6]
    return f"{name[: MAX_NAME_LENGTH - 7].rstrip('_')}_{digest}"


def _input_schema(model: Model) -> dict[str, Any]:
    """The model's inputs by the names that the endpoint has for them, as JSON Schema."""
    properties = {}
    for field in model.fields:
        schema = _with_known_formats(model.json_schema["properties"][field.key])
        schema["description"] = field.help or field.title
        if field.required:
            schema.pop("default", None)
        properties[field.parameter] = schema
    properties[IDEMPOTENCY_ARGUMENT] = _IDEMPOTENCY
    required = [field.parameter for field in model.fields if field.required]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _with_known_formats(schema: Any) -> Any:
    """A copy of a JSON Schema without the formats that some clients do not know; the endpoints validate all of them."""
    if isinstance(schema, list):
        return [_with_known_formats(entry) for entry in schema]
    if not isinstance(schema, Mapping):
        return schema
    copy = {key: _with_known_formats(value) for key, value in schema.items() if key not in ("default", "enum")}
    if isinstance(copy.get("format"), str) and copy["format"] not in KNOWN_FORMATS:
        del copy["format"]
    return copy | {key: schema[key] for key in ("default", "enum") if key in schema}
