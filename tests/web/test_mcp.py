"""The endpoints as tools for assistants, by a real MCP client: the same three, the same limits, and honest words."""

from __future__ import annotations

import asyncio
import importlib
import json
import re
import sys
from typing import Any

import pytest
import requests
from fastapi import FastAPI
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client
from mcp.types import CallToolResult
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from dreamina_ui.errors import SettingsError
from dreamina_ui.models.schema import Model, load_models
from dreamina_ui.ops.passwords import read_logins
from dreamina_ui.spending.limits import Limits
from dreamina_ui.web import mcp as tools
from dreamina_ui.web.auth.login_wall import Authenticator, LoginWall
from dreamina_ui.web.auth.permissions import Permissions
from dreamina_ui.web.auth.visitor import person_id
from dreamina_ui.web.gradio_page.endpoints import KEY_HEADER, Endpoints
from dreamina_ui.web.http import client_ip_hash
from tests.support.browser import SMALL, AppProcess, last_event
from tests.support.harness import MODEL_ID, Harness, ScriptedApi

GENERATE = {"prompt": "a red fox", "size": SMALL, "force_single": True}
UNDER_WAY = ("submitting", "queued", "running", "saving")
OTHER = "generate_bytedance_dreamina_4_0_edit"
ASKED: list[tuple[str, dict[str, Any]]] = [
    ("generate", GENERATE),
    ("generate", GENERATE | {"scale": 3}),
    ("generate", {}),
    ("generate", GENERATE | {"steps": 5}),
    ("job", {"job_id": "0" * 32}),
    ("cancel", {"job_id": ["x"]}),
    ("upload", {}),
    (OTHER, {"prompt": "a hat on it", "image_urls": ["http://127.0.0.1/fox.png"]}),
    ("generate", GENERATE | {"prompt": "\u2060 \ufeff"}),
]


class Seen:
    """What a client saw that listed the tools and then called each of `ASKED`."""

    def __init__(self, app: AppProcess) -> None:
        self.progress: list[str] = []
        asyncio.run(self._ask(f"{app.url}{tools.PATH}/"))

    async def _ask(self, url: str) -> None:
        async def on_progress(progress: float, total: float | None, message: str | None) -> None:
            self.progress.append(message or "")

        async with streamablehttp_client(url) as (reading, writing, _), ClientSession(reading, writing) as session:
            self.instructions = (await session.initialize()).instructions
            self.tools = {tool.name: tool for tool in (await session.list_tools()).tools}
            self.responses = [await session.call_tool(*asked, progress_callback=on_progress) for asked in ASKED]


@pytest.fixture(scope="module")
def seen(app: AppProcess) -> Seen:
    return Seen(app)


def text_of(response: CallToolResult) -> str:
    return str(response.content[0].text)  # type: ignore[union-attr]


def test_an_assistant_finds_the_endpoints_and_nothing_else(seen: Seen, app: AppProcess) -> None:
    """What the page does inside is nobody's tool."""
    catalog = ["list_models", "generate_with_model"]
    assert list(seen.tools) == ["generate", OTHER, *catalog, "job", "cancel"]
    endpoints = requests.get(f"{app.url}/gradio_api/info", timeout=10).json()["named_endpoints"]
    assert {f"/{name}" for name in seen.tools if name not in catalog} <= set(endpoints)


def test_another_model_is_a_tool_of_its_own(seen: Seen) -> None:
    """An assistant that can make pictures can change them, too, with the inputs of that model."""
    other = seen.tools[OTHER]
    assert set(other.inputSchema["properties"]) == {"prompt", "image_urls", "idempotency_key"}
    assert "Dreamina 4.0 Edit" in str(other.description)
    assert "Dreamina 4.0 Edit" not in str(seen.tools["generate"].description)


@pytest.mark.parametrize("length", [1, 20, 31, 32, 80, 200])
def test_tool_names_are_short_enough_for_clients(length: int) -> None:
    """Clients put a prefix before the name and refuse more than 64 characters."""
    data = {"title": "M", "input_schema": {"properties": {}}, "output_schema": {}}
    ids = [f"vendor/{'m' * length}{end}" for end in ("/text-to-image", "/text-to-video")]
    names = [tools.tool_name(Model.from_json(data | {"model_id": model_id})) for model_id in ids]
    assert len(set(names)) == 2
    for name in names:
        assert len(f"mcp__dreamina-ui__{name}") <= 64
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name)


def test_tool_schemas_have_only_formats_that_clients_know(seen: Seen) -> None:
    """Some clients refuse every tool of a server because of one unknown format."""
    schemas = json.dumps([tool.inputSchema for tool in seen.tools.values()])
    assert set(re.findall(r'"format": "([^"]*)"', schemas)) <= {"date-time"}
    assert seen.tools[OTHER].inputSchema["properties"]["image_urls"]["items"] == {"type": "string"}


def test_each_tool_says_what_it_does_and_takes(seen: Seen) -> None:
    """An assistant knows nothing but these words: what may be given, and what comes next."""
    generate = seen.tools["generate"].inputSchema
    fields = load_models()[MODEL_ID].fields
    assert list(generate["properties"]) == ["prompt", "size", "scale", "force_single", "idempotency_key"]
    assert generate["required"] == ["prompt"]
    assert generate["properties"]["size"]["enum"] == list(fields[1].choices)
    assert generate["properties"]["scale"]["type"] == "number"
    for tool in seen.tools.values():
        assert "cost" in str(tool.description).lower()
        assert all(schema["description"] for schema in tool.inputSchema["properties"].values())
    assert "job_id" in str(seen.tools["generate"].description)
    assert "sandbox" in str(seen.tools["generate"].description)
    assert "paid again" in str(seen.instructions)


def test_generate_gives_the_job_when_it_has_ended(app: AppProcess, seen: Seen) -> None:
    """One call is enough for a quick picture, and the response is the endpoints' own object."""
    response = seen.responses[0]
    assert not response.isError
    job = response.structuredContent
    assert job is not None
    assert json.loads(text_of(response)) == job
    assert (job["state"], len(job["images"])) == ("done", 1)
    assert last_event(app, "job", json.dumps({"data": [job["job_id"]]}))[1] == [job]


def test_the_first_news_of_a_job_has_its_job_id(seen: Seen) -> None:
    """A client that gives up meanwhile can still find what was paid for."""
    job = seen.responses[0].structuredContent
    assert job is not None
    assert seen.progress[0].startswith(job["job_id"])
    assert seen.progress[-1] == f"{job['job_id']}: Done."


@pytest.mark.parametrize(
    ("index", "text"),
    [
        (1, "scale must be at most 1"),
        (2, "prompt is required"),
        (3, "There is no input steps; there are: prompt, size, scale, force_single. Nothing was submitted."),
        (4, "Job not found."),
        (5, "Job not found."),
        (6, f"There is no such tool; there are: generate, {OTHER}, job, cancel"),
        (7, "image_urls.0 must begin with https://"),
        (8, "prompt is required"),
    ],
)
def test_what_is_wrong_is_said_in_the_endpoints_words(seen: Seen, index: int, text: str) -> None:
    """An assistant corrects its call only if it reads what was wrong."""
    assert seen.responses[index].isError
    assert text in text_of(seen.responses[index])


def test_a_wrong_call_makes_no_job(seen: Seen, app: AppProcess) -> None:
    """Only one of all those calls was worth its money."""
    assert sum(not response.isError for response in seen.responses) == 1
    assert app.output.count("WARNING mcp") == 0, "what strangers send is not for the log"


# --- on a service that costs money, without a process


class Assistants:
    """Callers from anywhere, before the tools."""

    def __init__(self, harness: Harness) -> None:
        access = Permissions(is_shared=True)
        model = load_models()[MODEL_ID]
        endpoints = Endpoints(harness.services, harness.presenter, access)
        self._routes = tools.build_tool_routes(harness.services, model, endpoints, uses_sandbox=False)
        self._gate = Authenticator(access, read_logins("alice:wonderland", None))

    def ask(self, method: str, *, closed: bool = False, client_ip: str = "198.51.100.1", **given: Any) -> Any:
        """The result of one message, or the status of a refusal; `headers` and the message's parameters are given."""
        headers = {"Accept": "application/json, text/event-stream"} | given.pop("headers", {})
        app = FastAPI(routes=self._routes, middleware=[Middleware(LoginWall, self._gate)] if closed else [])
        auth = given.pop("auth", None)
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": given}
        with TestClient(app, "http://pictures.example", client=(client_ip, 5000)) as client:
            response = client.post(tools.PATH, json=message, headers=headers, auth=auth)
        if response.status_code != 200:
            return response.status_code
        return json.loads(response.text.split("data: ")[-1])["result"]

    def call(self, name: str, arguments: dict[str, Any], **given: Any) -> Any:
        return self.ask("tools/call", name=name, arguments=arguments, **given)


@pytest.fixture
def assistants(harness: Harness, service: ScriptedApi, monkeypatch: pytest.MonkeyPatch) -> Assistants:
    """Their jobs stay in the queue until the test says more, and nobody waits for them."""
    monkeypatch.setattr(tools, "WAIT_TIMEOUT_S", 0.05)
    service.status("in_queue")
    harness.start()
    return Assistants(harness)


def test_nothing_that_an_assistant_sends_is_logged(app: AppProcess) -> None:
    """The library writes what it cannot read to the log, prompts included."""
    mark = "a wish that is nobody else's business"
    before = len(app.output)
    for method, params in [
        ("tools/call", {"name": ["generate"], "arguments": {"prompt": mark}}),
        ("tools/call", {"name": "generate", "arguments": mark}),
        ("initialize", {"prompt": mark}),
        ("x" * 1000, {"prompt": mark}),
        ("notifications/progress", {"progressToken": mark}),
    ]:
        for more in ({"id": 1}, {}, {"id": {mark: 1}}):
            body = {"jsonrpc": "2.0", "method": method, "params": params, **more}
            accepts = {"Accept": "application/json, text/event-stream"}
            assert requests.post(f"{app.url}/gradio_api/mcp/", json=body, headers=accepts, timeout=10).status_code < 500
    assert mark not in app.output[before:]
    assert "validation error" not in app.output[before:]


def test_a_long_job_is_given_before_the_client_gives_up_and_found_again(
    assistants: Assistants, service: ScriptedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An assistant that heard nothing would ask, and pay, again."""
    job = assistants.call("generate", {"prompt": "slow"})["structuredContent"]
    assert job["state"] in UNDER_WAY
    monkeypatch.setattr(tools, "WAIT_TIMEOUT_S", 20.0)
    service.completes()
    end = assistants.call("job", {"job_id": job["job_id"]})["structuredContent"]
    assert (end["job_id"], end["state"]) == (job["job_id"], "done")
    assert end["images"][0]["original_url"].startswith("http://pictures.example/dreamina/files/")
    assert service.posts == 1


def test_a_repeated_call_with_its_name_is_the_same_job(assistants: Assistants, service: ScriptedApi) -> None:
    """An assistant repeats what got no response; named, the call pays once."""
    named = GENERATE | {"idempotency_key": "one-picture-of-a-fox"}
    first, again = (assistants.call("generate", named)["structuredContent"] for _ in range(2))
    assert first["job_id"] == again["job_id"]
    other = assistants.call("generate", named | {"prompt": "another"})
    assert other["isError"]
    assert "one-picture-of-a-fox" in other["content"][0]["text"]
    bad = assistants.call("generate", GENERATE | {"idempotency_key": 7})
    assert bad["isError"]
    assert service.posts == 1


def test_cancel_tells_its_outcome(assistants: Assistants, harness: Harness, service: ScriptedApi) -> None:
    """Said only because the service said so."""
    job = assistants.call("generate", {"prompt": "a mistake"})["structuredContent"]
    harness.wait(job["job_id"], "queued")
    service.cancel({"outcome": "cancelled", "status": "cancelled"})
    service.status("cancelled")
    response = assistants.call("cancel", {"job_id": job["job_id"]})["structuredContent"]
    assert (response["outcome"], response["job"]["state"]) == ("cancelled", "cancelled")


def test_each_assistant_counts_for_its_own_ip_address(
    assistants: Assistants, harness: Harness, service: ScriptedApi
) -> None:
    """One of them must neither pass the limit of an IP address nor use up everybody's."""
    harness.guard.limits = Limits(address_at_once=1)
    first = assistants.call("generate", GENERATE)
    assert harness.reader.job(first["structuredContent"]["job_id"]).client_hash == client_ip_hash("198.51.100.1")
    again = assistants.call("generate", GENERATE)
    assert again["isError"]
    assert "limit" in again["content"][0]["text"]
    service.accept()
    assert not assistants.call("generate", GENERATE, client_ip="203.0.113.9")["isError"]


def test_an_own_key_pays_for_an_assistants_job(assistants: Assistants, harness: Harness, service: ScriptedApi) -> None:
    """The same header as for any other program."""
    response = assistants.call("generate", GENERATE, headers={KEY_HEADER: "visitor-key-AAAA"})
    job = harness.wait(response["structuredContent"]["job_id"], "queued")
    assert job.key_fingerprint is not None
    posted = service.server.requests_for("POST", f"/v1/models/{MODEL_ID}")
    assert [seen.header("authorization") for seen in posted] == ["Bearer visitor-key-AAAA"]


def test_a_closed_page_is_closed_to_assistants(assistants: Assistants, harness: Harness) -> None:
    """Who has a login is that person here, too; who has none does not even see the tools."""
    assert assistants.ask("tools/list", closed=True) == 401
    response = assistants.call("generate", GENERATE, closed=True, auth=("alice", "wonderland"))
    assert harness.reader.job(response["structuredContent"]["job_id"]).visitor_id == person_id("login", "alice")


def test_an_assistant_reads_the_price_of_a_call(assistants: Assistants, harness: Harness) -> None:
    """It spends somebody's money; where the price is not known, that is said."""

    def description() -> str:
        return str(assistants.ask("tools/list")["tools"][0]["description"])

    harness.guard.prices.clear()
    assert "real money; how much is not known" in description()
    harness.guard.set_price(MODEL_ID, 0.03, None)
    assert "real money, at most about 0.12 USD" in description()
    harness.guard.set_price(MODEL_ID, 0.03, "second")
    assert "real money; how much is not known" in description()


def test_an_assistant_with_a_key_of_its_own_does_not_read_that_it_is_free(app: AppProcess) -> None:
    """The page's sandbox is free, and the key is not."""
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    headers = {"Accept": "application/json, text/event-stream", KEY_HEADER: "visitor-key-AAAA"}
    response = requests.post(f"{app.url}{tools.PATH}/", json=message, headers=headers, timeout=10)
    description = json.loads(response.text.split("data: ")[-1])["result"]["tools"][0]["description"]
    assert "real money" in description
    assert "costs nothing" not in description


def test_what_fails_inside_is_hidden_from_assistants(assistants: Assistants, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error's text may hold what is nobody's business."""

    async def broken(*_: Any) -> None:
        raise ValueError("a secret")

    monkeypatch.setattr(Endpoints, "job", broken)
    response = assistants.call("job", {"job_id": "0" * 32})
    assert (response["isError"], response["content"][0]["text"]) == (
        True,
        "Something went wrong here; it is in the log.",
    )


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is optional: who switches the tools on reads what to install."""
    monkeypatch.setitem(sys.modules, "mcp.server.lowlevel", None)
    monkeypatch.delitem(sys.modules, tools.__name__)
    with pytest.raises(SettingsError, match="pip install"):
        importlib.import_module(tools.__name__)
