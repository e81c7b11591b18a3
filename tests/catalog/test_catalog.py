"""The service's catalog: every model of it makes a form, a check and a job, and a broken one takes nothing away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from dreamina_ui.api.catalog import PAGE_SIZE
from dreamina_ui.api.client import RunComfy
from dreamina_ui.api.pacing import Pace
from dreamina_ui.catalog.registry import ModelRegistry
from dreamina_ui.catalog.service import REFRESH_INTERVAL_S, Catalog
from dreamina_ui.errors import ApiError, InputError, LimitError
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.models.schema import load_models
from dreamina_ui.spending.limits import Limits, SpendingGuard
from dreamina_ui.web.gradio_page.form import build_form, read_form
from tests.support.bad_server import BadServer, ScriptedResponse, closed_port, json_response
from tests.support.catalog_schemas import RATIO, SCHEMAS, entry, given_for, of
from tests.support.harness import MODEL_ID, TOKEN, Clock, Harness, ScriptedApi, no_pause

ORIGIN = "https://service.example"
PACKAGED = load_models()


def pages(*entries: Any, total: int | None = None) -> ScriptedResponse:
    return json_response({"models": list(entries), "total": total or len(entries), "limit": PAGE_SIZE, "offset": 0})


class Service:
    """A catalog of its own over a ledger, read from a scripted service only when a test says so."""

    def __init__(self, folder: Path, server: BadServer) -> None:
        self.server = server
        self.clock = Clock()
        self.ledger = Ledger(folder / "ledger.sqlite3", clock=self.clock)
        self.guard = SpendingGuard(Limits(), ORIGIN)
        self.api = RunComfy(server.url, TOKEN, account_url=server.url, pause=no_pause, attempts=1)
        self.open()

    def open(self, api: RunComfy | None = None) -> None:
        self.registry = ModelRegistry(PACKAGED)
        self.catalog = Catalog(
            api, self.ledger, self.registry, api_origin=ORIGIN, set_price=self.guard.set_catalog_price,
            pace=Pace(), clock=self.clock,
        )  # fmt: skip

    def script(self, *responses: ScriptedResponse) -> None:
        self.server.script("/v1/models", *responses)

    def read(self, *entries: Any) -> None:
        """Read a catalog with these entries."""
        self.script(pages(*entries))
        self.clock.advance(REFRESH_INTERVAL_S + 1)
        self.catalog.refresh(self.api)

    def ids(self, *, is_owner: bool = True) -> list[str]:
        return [model.model_id.split("/")[1] for model in self.catalog.models(is_owner=is_owner)]


@pytest.fixture
def service(tmp_path: Path, server: BadServer) -> Iterator[Service]:
    service = Service(tmp_path, server)
    yield service
    service.ledger.close()


def test_every_kind_of_model_makes_a_form_a_check_and_a_stored_image(tmp_path: Path, server: BadServer) -> None:
    """A person with one key has hundreds of models, and nobody writes code for any of them."""
    api = ScriptedApi(server)
    api.completes()
    server.script("/v1/models", pages(*map(entry, SCHEMAS)))
    for name in SCHEMAS:
        server.script(f"POST /v1/models/{entry(name)['model_id']}", json_response({"request_id": name}))
        server.script(f"/v1/requests/{name}/status", json_response({"status": "completed"}))
        result = {"status": "completed", "cost": 0.05, "output": {"image": api.picture()}}
        server.script(f"/v1/requests/{name}/result", json_response(result))
    harness = Harness(tmp_path, server.url)
    harness.reads_catalog = True
    harness.rebuild()
    harness.start()
    assert harness.catalog.was_read.wait(30)
    assert harness.catalog.left_out() == []
    jobs = {}
    for name in SCHEMAS:
        model = harness.models[entry(name)["model_id"]]
        with gr.Blocks():
            form = build_form(model, str)
        values = {key: component.value for key, component in form.items()}
        jobs[name] = harness.jobs.generate(model.model_id, read_form(model, values) | given_for(name))
    for name, job in jobs.items():
        done = harness.wait(job.job_id)
        assert (done.state, len(done.outputs)) == ("done", 1)
        assert done.reserved_usd == pytest.approx(0.05)
        sent = json.loads(server.requests_for("POST", f"/v1/models/{done.model_id}")[0].body)
        assert sent == done.inputs == harness.models[done.model_id].validate_inputs(sent)
        assert harness.presenter.card(done, "en", for_owner=True)["model"] == entry(name)["display_name"]
    harness.close()


def test_it_is_there_while_the_service_is_down(service: Service) -> None:
    """A restart during an outage must not take the models away."""
    service.read(entry("ratio"), entry("seed"))
    read_at = service.catalog.state().read_at
    service.open(RunComfy(f"http://127.0.0.1:{closed_port()}", TOKEN, pause=no_pause, attempts=1))
    service.catalog.start()
    assert service.catalog.was_read.wait(30)
    service.catalog.stop()
    assert service.ids() == ["ratio", "seed"]
    assert (service.catalog.state().read_at, service.catalog.state().problem) == (read_at, "transport")
    assert service.registry["example/ratio/text-to-image"].fields[1].choices == tuple(RATIO["enum"])


@pytest.mark.parametrize(
    "response",
    [
        ScriptedResponse(502, b"<html>502</html>"), ScriptedResponse(200, b"<html>hello</html>"),
        ScriptedResponse(hang_up=True), json_response([]), json_response({"models": 5}),
        json_response({"models": None}), json_response({"error_code": 400004, "message": "wrong token"}),
        ScriptedResponse(200, b'{"models": [' + b"1," * 3_000_000 + b"1]}"),
        ScriptedResponse(200, b'{"models": ' + b"[" * 10_000 + b"]" * 10_000 + b"}"),
    ],
)  # fmt: skip
def test_a_broken_response_takes_nothing_away(service: Service, response: ScriptedResponse) -> None:
    """What was read yesterday is better than nothing."""
    service.read(entry("ratio"))
    service.script(response)
    service.clock.advance(REFRESH_INTERVAL_S + 1)
    with pytest.raises(ApiError):
        service.catalog.refresh(service.api)
    assert service.ids() == ["ratio"]


ODD: list[Any] = [
    5, None, "text", [], {}, {"model_id": 5}, {"model_id": ""}, {"model_id": "a\nb"}, {"model_id": "x" * 1000},
    entry("seed", display_name=["a"], categories="image", base_price_usd="free", price_unit=5, kind=7),
    entry("steps", categories=[5, None, "text-to-image"], description={"a": 1}, required_inputs={"a": 1}),
    entry("guidance", base_price_usd=-1, pricing_note="\x00\u202e" * 10, display_name="x" * 5000),
]  # fmt: skip


def test_odd_entries_are_read_as_far_as_they_go(service: Service) -> None:
    """One entry that nobody foresaw must not hide hundreds of good ones."""
    service.read(*ODD, entry("ratio"))
    assert service.ids() == ["steps", "guidance", "ratio"]
    titles = {model.model_id: model.title for model in service.catalog.models(is_owner=True)}
    assert len(titles["example/guidance/text-to-image"]) <= 120
    assert service.guard.price("example/guidance/text-to-image") is None


def test_a_page_that_is_repeated_forever_ends(service: Service) -> None:
    """A service that ignores `offset` must not keep us reading."""
    full = [entry("ratio", model_id=f"example/m{number}") for number in range(PAGE_SIZE)]
    service.read(*full)
    assert len(service.ids()) == PAGE_SIZE
    assert len(service.server.requests_for("GET", "/v1/models")) == 2


def test_what_cannot_be_used_is_left_out_with_its_reason(service: Service) -> None:
    """The owner looks for a model that the service has, and must learn why it is not here."""
    service.read(
        entry("ratio"),
        entry("prompt-only", model_id="example/sound", kind="audio", categories=["text-to-audio"]),
        entry("broken", {"properties": {"a": {"$ref": "#/properties/a"}}}),
        entry("huge", of(a={"enum": ["x" * 1000] * 100})),
        entry("silent", None, input_schema=None),
        entry("film", of(duration={"enum": ["auto", "5", "10"]}), kind=None, categories=["text-to-video"]),
    )
    assert service.ids() == ["ratio", "film"]
    assert service.catalog.state().left_out == {"output": 1, "schema": 3}
    with pytest.raises(InputError):
        service.registry.require("example/sound")


def test_a_model_that_is_gone_is_known_and_not_offered(service: Service) -> None:
    """Its old jobs keep their settings; a new one would only be refused."""
    service.read(entry("ratio"), entry("seed"))
    service.read(entry("seed"))
    gone = "example/ratio/text-to-image"
    assert (service.ids(), gone in service.registry, service.catalog.may_use(gone, is_owner=True)) == (
        ["seed"], True, False,
    )  # fmt: skip
    service.read(entry("ratio"), entry("seed"))
    assert service.ids() == ["ratio", "seed"]


def test_visitors_use_what_the_owner_chose(service: Service) -> None:
    """On a shared page strangers spend the owner's money: of the catalog they have nothing until the owner says so."""
    service.read(entry("ratio"), entry("seed"))
    chosen = "example/seed/text-to-image"
    assert service.ids(is_owner=False) == []
    with pytest.raises(InputError) as caught:
        service.catalog.ensure_usable(chosen, is_owner=False)
    assert chosen not in caught.value.limit
    service.catalog.ensure_usable(MODEL_ID, is_owner=False)
    service.catalog.offer([chosen])
    assert service.ids(is_owner=False) == ["seed"]
    service.open()
    service.read(entry("ratio"), entry("seed"))
    assert service.ids(is_owner=False) == ["seed"], "the choice survives a restart"
    service.catalog.offer(["*"])
    assert service.ids(is_owner=False) == ["ratio", "seed"]
    for wrong in (["no/such"], [5], [None]):
        with pytest.raises(InputError):
            service.catalog.offer(wrong)


def test_two_servers_read_it_once(service: Service) -> None:
    """Servers that share a ledger need not all ask for the same thing."""
    service.read(entry("ratio"))
    first, service.registry = service.catalog, ModelRegistry(PACKAGED)
    service.open()
    service.catalog.refresh(service.api)
    assert service.ids() == [model.model_id.split("/")[1] for model in first.models(is_owner=True)] == ["ratio"]
    assert len(service.server.requests_for("GET", "/v1/models")) == 1


@pytest.mark.parametrize(
    ("schema", "unit", "inputs", "usd"),
    [
        (SCHEMAS["ratio"], "output", {}, 0.05),
        (SCHEMAS["count"], "output", {"num_images": 3}, 0.15),
        (SCHEMAS["count"], "output", {}, 0.20),
        (of(force_single={"type": "boolean"}), "image", {}, 0.20),
        (of(force_single={"type": "boolean"}), "image", {"force_single": True}, 0.05),
        (of(duration={"type": "integer", "maximum": 30}), "second", {"duration": 4}, 0.20),
        (of(duration={"type": "integer", "maximum": 30}), "second", {}, 1.50),
        (of(duration={"enum": ["auto", "5", "10"]}), "second", {"duration": "auto"}, 0.50),
        (of(duration={"enum": ["auto", "5", "10"]}), "second", {"duration": "5"}, 0.25),
        (of(), "second", {}, None),
    ],
)
def test_each_model_has_its_own_price_and_unit(
    service: Service, schema: Any, unit: str, inputs: dict[str, Any], usd: float | None
) -> None:
    """A limit in USD that reckons with another model's price is none."""
    service.read(entry("ratio", schema, price_unit=unit))
    expected = service.guard.expected_usd("example/ratio/text-to-image", inputs)
    assert expected == (None if usd is None else pytest.approx(usd))


def test_a_limit_in_usd_holds_with_the_price_of_the_model(tmp_path: Path, server: BadServer) -> None:
    """An expensive model uses up the day's money as fast as it costs."""
    server.script("/v1/models", pages(entry("ratio", base_price_usd=3.0)))
    server.default = json_response({"request_id": "r-1"})
    harness = Harness(tmp_path, server.url)
    harness.reads_catalog = True
    harness.rebuild()
    harness.start()
    assert harness.catalog.was_read.wait(30)
    harness.spending.change_limits({"usd_per_day": 5.0})
    model_id = "example/ratio/text-to-image"
    harness.jobs.generate(model_id, {"prompt": "one"})
    with pytest.raises(LimitError, match="usd_per_day"):
        harness.jobs.generate(model_id, {"prompt": "two"})
    harness.close()


def test_a_file_that_the_service_contradicts_is_completed_and_wins(tmp_path: Path, server: BadServer) -> None:
    """The file of Dreamina 4.0 Edit is a guess: the first real response settles what it does not know."""
    edit = "bytedance/dreamina-4-0/edit"
    live = of(["prompt", "image_urls"], prompt={"type": "string", "maxLength": 500}, image_urls={"type": "array"},
              scale={"type": "number", "maximum": 1})  # fmt: skip
    server.script(f"GET /v1/models/{edit}", json_response({"input_schema": live, "base_price_usd": 0.05}))
    harness = Harness(tmp_path, server.url)
    harness.start()
    assert harness.prices.were_read.wait(30)
    given = {"prompt": "night", "image_urls": ["https://files.example/a.png"]}
    model = harness.models[edit]
    assert model.validate_inputs(given | {"scale": 0.7})["scale"] == 0.7
    for wrong, rule in (
        ({"scale": 2}, "maximum"),
        ({"prompt": "x" * 501}, "maxLength"),
        ({"image_urls": []}, "minItems"),
    ):
        with pytest.raises(InputError) as caught:
            model.validate_inputs(given | wrong)
        assert caught.value.rule == rule
    assert [field.key for field in harness.models.packaged[edit].fields] == ["prompt", "image_urls"]
    assert (
        "scale: the service has this input, the file does not" in harness.spending.dashboard().schema_differences[edit]
    )
    harness.close()
