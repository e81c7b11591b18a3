"""The sandbox keeps the contract of the RunComfy Model API documentation, over real HTTP and on a clock of ours."""

from __future__ import annotations

import base64
import io
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from dreamina_ui.errors import SettingsError
from dreamina_ui.media.formats import recognise
from dreamina_ui.models.schema import Model, load_models
from dreamina_ui.sandbox import server
from dreamina_ui.sandbox.catalog import sample_models
from dreamina_ui.sandbox.film import FRAMES_PER_S
from dreamina_ui.sandbox.painter import paint, paint_file
from dreamina_ui.sandbox.server import Sandbox
from dreamina_ui.sandbox.service import Service, picture_size
from tests.support.browser import wait_for

DREAMINA = "bytedance/dreamina-4-0/text-to-image"
SIZE = "width×height"
SMALL = {"prompt": "a quiet sea", SIZE: "1024x1024(1:1)", "force_single": True}
OTHER = Model.from_json(
    {
        "model_id": "somebody/other",
        "title": "Other",
        "input_schema": {
            "type": "object",
            "required": ["text", "sources"],
            "properties": {
                "text": {"type": "string"},
                "sources": {"type": "array", "items": {"type": "string", "format": "uri"}, "maxItems": 3},
                "steps": {"type": "integer", "minimum": 1, "maximum": 50, "default": 20},
                "aspect": {"type": "string", "enum": ["1:1", "16:9"], "default": "16:9"},
                "extra": {"type": "object", "properties": {"strength": {"type": "number", "default": 0.7}}},
            },
        },
        "output_schema": {"output": {"type": "object", "properties": {"images": {"type": "array"}}}},
    }
)
MODELS = {**load_models(), OTHER.model_id: OTHER}


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class Client:
    """A caller who knows only the documentation."""

    def __init__(self, base_url: str, token: str = "secret") -> None:
        self.base_url = base_url
        self.http = requests.Session()
        self.http.headers["Authorization"] = f"Bearer {token}"

    def submit(self, inputs: Any, model_id: str = DREAMINA) -> str:
        response = self.post(f"/v1/models/{model_id}", json=inputs)
        assert response.status_code == 200, response.text
        return str(response.json()["request_id"])

    def post(self, path: str, **more: Any) -> requests.Response:
        return self.http.post(self.base_url + path, timeout=10, **more)

    def get(self, path: str) -> requests.Response:
        return self.http.get(self.base_url + path, timeout=10)

    def status(self, request_id: str) -> dict[str, Any]:
        return dict(self.get(f"/v1/requests/{request_id}/status").json())

    def result(self, request_id: str, query: str = "") -> dict[str, Any]:
        """The result; asked again while painting takes longer than one answer waits."""
        for _ in range(5):
            response = dict(self.get(f"/v1/requests/{request_id}/result{query}").json())
            if response.get("status") != "in_progress":
                break
        return response

    def cancel(self, request_id: str) -> dict[str, Any]:
        return dict(self.post(f"/v1/requests/{request_id}/cancel").json())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def start(tmp_path: Path, clock: Clock) -> Iterator[Callable[..., tuple[Sandbox, Client]]]:
    running: list[Sandbox] = []

    def start(**more: Any) -> tuple[Sandbox, Client]:
        sandbox = Sandbox(tmp_path, more.pop("models", MODELS), token="secret", clock=clock, **more)
        client = Client(sandbox.start())
        running.append(sandbox)
        return sandbox, client

    yield start
    for sandbox in running:
        sandbox.stop()


@pytest.fixture
def client(start: Callable[..., tuple[Sandbox, Client]]) -> Client:
    return start()[1]


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """One sandbox for all calls that it must refuse: they leave nothing behind."""
    sandbox = Sandbox(tmp_path_factory.mktemp("sandbox"), MODELS, token="secret")
    yield Client(sandbox.start())
    sandbox.stop()


def test_submit_returns_at_once_with_an_id_and_three_urls(client: Client) -> None:
    """All that follows hangs on these four values."""
    response = client.post(f"/v1/models/{DREAMINA}", json=SMALL).json()
    for verb in ("status", "result", "cancel"):
        assert response[f"{verb}_url"] == f"{client.base_url}/v1/requests/{response['request_id']}/{verb}"


def test_a_request_goes_through_queue_and_run_to_its_picture(client: Client, clock: Clock) -> None:
    """The whole life of a request, as the documentation tells it."""
    request_id = client.submit(SMALL)
    waiting = client.status(request_id)
    assert (waiting["status"], waiting["queue_position"], "instance_id" in waiting) == ("in_queue", 0, False)
    assert "output" not in client.result(request_id)
    clock.advance(2.1)
    running = client.status(request_id)
    assert (running["status"], "queue_position" in running) == ("in_progress", False)
    assert running["instance_id"]
    clock.advance(20)
    result = client.result(request_id)
    assert (result["status"], client.status(request_id)["status"]) == ("succeeded", "completed")
    assert result["input"]["prompt"] == SMALL["prompt"]
    assert result["created_at"] == "2027-01-15T08:00:00.000Z"
    assert result["finished_at"] > result["created_at"]
    assert set(result["output"]) == {"image"}
    file = requests.get(result["output"]["image"], timeout=10)
    picture = Image.open(io.BytesIO(file.content))
    assert (file.headers["content-type"], picture.format, picture.size) == ("image/png", "PNG", (1024, 1024))
    assert picture.info["Software"] == "Dreamina UI sandbox"


def test_without_force_single_several_different_pictures_come(client: Client, clock: Clock) -> None:
    """Several pictures per request are the service's normal case."""
    request_id = client.submit({**SMALL, "force_single": False})
    clock.advance(60)
    result = client.result(request_id, "?include_cost=true")
    urls = result["output"]["images"]
    assert 2 <= len(urls) <= 4
    assert "image" not in result["output"]
    assert len({requests.get(url, timeout=10).content for url in urls}) == len(urls)
    assert result["cost"] == pytest.approx(0.03 * len(urls))


def test_a_model_of_films_makes_one_that_browsers_play(start: Callable[..., tuple[Sandbox, Client]]) -> None:
    """Whoever tries a video model must see a video, and a bill by the second."""
    _, client = start(models=sample_models(), queue_s=0, run_s=0)
    model_id = "sandbox/short-film/text-to-video"
    assert client.get(f"/v1/models/{model_id}").json()["price_unit"] == "second"
    request_id = client.submit({"prompt": "a red fox", "duration": 1}, model_id)
    wait_for(lambda: client.status(request_id)["status"] == "completed")
    result = client.result(request_id, "?include_cost=true")
    assert (set(result["output"]), result["cost"]) == ({"video"}, 0.03)
    file = requests.get(result["output"]["video"], timeout=10)
    form = recognise(file.content[:64])
    assert form is not None
    assert (file.headers["content-type"], form.name, form.kind) == ("video/webm", "WEBM", "video")
    assert file.content.count(b"\x9d\x01\x2a") >= FRAMES_PER_S, "each frame begins like a key frame of VP8"


def test_cost_is_given_only_on_request_and_after_the_end(client: Client, clock: Clock) -> None:
    """The program must live without it."""
    request_id = client.submit(SMALL)
    assert "cost" not in client.result(request_id, "?include_cost=true")
    clock.advance(60)
    assert "cost" not in client.result(request_id)
    assert client.result(request_id, "?include_cost=true")["cost"] == 0.03


def test_the_price_is_play_money_for_each_picture(client: Client) -> None:
    """Estimates need a number, and people must not take it for a bill."""
    price = client.get(f"/v1/models/{DREAMINA}").json()
    assert (price["base_price_usd"], price["price_unit"]) == (0.03, "output")
    assert "play money" in price["pricing_note"]


def test_slots_are_limited_and_positions_count_down(client: Client, clock: Clock) -> None:
    """A queue position that moves is what keeps people patient."""
    ids = [client.submit(SMALL) for _ in range(5)]
    assert [client.status(item)["queue_position"] for item in ids] == [0, 1, 2, 3, 4]
    clock.advance(2.5)
    assert [client.status(item)["status"] for item in ids] == ["in_progress"] * 2 + ["in_queue"] * 3
    assert [client.status(item)["queue_position"] for item in ids[2:]] == [0, 1, 2]
    for _ in range(100):
        clock.advance(0.5)
        # One that is due stays in progress until it is painted, in real time; its slot is free by then.
        wait_for(lambda: [client.status(item)["status"] for item in ids].count("in_progress") <= 2)
    wait_for(lambda: all(client.status(item)["status"] == "completed" for item in ids))


def test_only_a_waiting_request_can_be_cancelled(client: Client, clock: Clock) -> None:
    """An honest cancel has two answers."""
    first, second = client.submit(SMALL), client.submit(SMALL)
    response = client.cancel(first)
    assert (response["outcome"], response["status"]) == ("cancelled", "cancelled")
    assert client.cancel(first)["outcome"] == "not_cancellable"
    clock.advance(2.5)
    response = client.cancel(second)
    assert (response["outcome"], response["status"]) == ("not_cancellable", "in_progress")
    clock.advance(60)
    wait_for(lambda: client.status(second)["status"] == "completed")
    result = client.result(first, "?include_cost=true")
    assert (result["status"], result["cost"], "output" in result) == ("cancelled", 0, False)


def test_a_cancelled_request_lets_those_behind_it_move_up(tmp_path: Path, clock: Clock) -> None:
    """A place in the queue that nobody needs must not cost anybody time."""
    service = Service(tmp_path, MODELS, clock=clock, parallel=1)
    running, waiting, last = (service.submit(DREAMINA, SMALL) for _ in range(3))
    assert running.ends_at == waiting.starts_at
    assert waiting.ends_at == last.starts_at
    clock.advance(3)
    assert service.cancel(waiting.request_id)[0]
    last = service.get(last.request_id)
    assert (last.starts_at, service.queue_position(last)) == (running.ends_at, 0)
    service.close()


@pytest.mark.parametrize("token", ["wrong", "", "sécret"])
def test_a_wrong_token_opens_nothing(refusing: Client, token: str) -> None:
    """A program that forgets the token must learn it here, not from a bill."""
    headers = {"Authorization": f"Bearer {token}".encode()}
    for method, path in (
        ("POST", f"/v1/models/{DREAMINA}"),
        ("GET", f"/v1/models/{DREAMINA}"),
        ("GET", "/v1/requests/x/status"),
        ("GET", "/v1/requests/x/result"),
        ("POST", "/v1/requests/x/cancel"),
        ("GET", "/sandbox/requests"),
    ):
        response = requests.request(method, refusing.base_url + path, headers=headers, json=SMALL, timeout=10)
        assert (response.status_code, response.json()["error_code"]) == (401, 401001)


def test_an_unknown_model_is_refused(refusing: Client) -> None:
    """400001 is how the service says it."""
    for response in (refusing.post("/v1/models/no/such", json=SMALL), refusing.get("/v1/models/no/such")):
        assert (response.status_code, response.json()["error_code"]) == (400, 400001)


def test_an_unknown_request_is_not_found(refusing: Client) -> None:
    """404001 is how the service says that a request is unknown or has expired."""
    responses = [refusing.get("/v1/requests/nope/status"), refusing.get("/v1/requests/nope/result")]
    for response in (*responses, refusing.post("/v1/requests/nope/cancel")):
        assert (response.status_code, response.json()["error_code"]) == (404, 404001)


@pytest.mark.parametrize(
    ("inputs", "field", "rule"),
    [
        ({}, "prompt", "required"),
        ({"prompt": "x" * 801}, "prompt", "maxLength"),
        ({"prompt": "x", "scale": 1.5}, "scale", "maximum"),
        ({"prompt": "x", SIZE: "1x1"}, SIZE, "enum"),
        ({"prompt": "x", "negative": "y"}, "negative", "unknown"),
        ([], "inputs", "type"),
    ],
)
def test_inputs_that_break_the_schema_are_refused_with_the_field(
    refusing: Client, inputs: Any, field: str, rule: str
) -> None:
    """The detail list says which field to fix; nothing is stored."""
    response = refusing.post(f"/v1/models/{DREAMINA}", json=inputs)
    assert (response.status_code, response.json()["error_code"]) == (422, 422001)
    (detail,) = response.json()["detail"]
    assert (detail["loc"], detail["type"]) == (["body", field], rule)
    assert detail["msg"]
    assert refusing.get("/sandbox/requests").json() == []


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"prompt": "x", "scale": NaN}', b"[" * 100_000])
def test_a_body_that_is_no_json_is_refused(refusing: Client, body: bytes) -> None:
    """A broken client gets a response, not a crash."""
    response = refusing.post(f"/v1/models/{DREAMINA}", data=body)
    assert (response.status_code, response.json()["error_code"]) == (422, 422001)


def test_a_request_may_carry_large_images(start: Callable[..., tuple[Sandbox, Client]]) -> None:
    """An image of the library as an input is megabytes, and the service takes it."""
    _, client = start(models=sample_models())
    noise = io.BytesIO()
    Image.effect_noise((1800, 1800), 90).save(noise, "PNG", compress_level=0)
    image = f"data:image/png;base64,{base64.b64encode(noise.getvalue()).decode()}"
    assert len(image) > 4_000_000
    assert client.submit({"prompt": "a fox", "image_urls": [image]}, "google/nano-banana-2-lite/edit")


def test_a_huge_body_is_refused(refusing: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody fills the memory with one call."""
    monkeypatch.setattr(server, "BODY_LIMIT_BYTES", 1_000_000)
    assert refusing.post(f"/v1/models/{DREAMINA}", data=b" " * 1_500_000).status_code == 413


def test_every_accepted_request_can_be_counted(client: Client) -> None:
    """Tests that fear a double submit need the service's side of the story."""
    ids = [client.submit({"prompt": prompt}) for prompt in ("海", "mountain")]
    stored = client.get("/sandbox/requests").json()
    assert [row["request_id"] for row in stored] == ids
    assert [row["inputs"]["prompt"] for row in stored] == ["海", "mountain"]
    assert stored[0]["inputs"] == {"prompt": "海", SIZE: "2048x2048(1:1)", "scale": 0.5, "force_single": False}
    assert {row["status"] for row in stored} == {"in_queue"}


def test_a_restart_forgets_nothing_and_urls_follow_the_port(
    start: Callable[..., tuple[Sandbox, Client]], clock: Clock, tmp_path: Path
) -> None:
    """A request already accepted is finished by the next process, lost files and all."""
    sandbox, before = start()
    done, waiting = before.submit(SMALL), before.submit(SMALL)
    clock.advance(30)
    old_url = before.result(done)["output"]["image"]
    content = requests.get(old_url, timeout=10).content
    sandbox.stop()
    for path in (tmp_path / "pictures").glob("*.png"):
        path.unlink()
    _, after = start()
    assert after.base_url != before.base_url
    url = after.result(done)["output"]["image"]
    assert url == old_url.replace(before.base_url, after.base_url)
    assert requests.get(url, timeout=10).content == content
    assert after.result(waiting)["status"] == "succeeded"


def test_a_picture_needs_its_key_and_nothing_else(client: Client, clock: Clock) -> None:
    """URLs of files are like pre-signed ones: no token, and not to be guessed."""
    request_id = client.submit(SMALL)
    clock.advance(60)
    url = client.result(request_id)["output"]["image"]
    head = requests.head(url, timeout=10)
    part = requests.get(url, headers={"Range": "bytes=1-3"}, timeout=10)
    assert (head.status_code, head.content, part.status_code, part.content) == (200, b"", 206, b"PNG")
    assert head.headers["etag"]
    key = url.split("/")[-2]
    for wrong in (url.replace(key, "guess"), url.replace("/0.png", "/1.png"), url.replace(request_id, "nope")):
        assert requests.get(wrong, timeout=10).status_code == 404


def test_any_input_schema_can_be_served(client: Client, clock: Clock) -> None:
    """A new model is one more JSON file, for the sandbox too."""
    inputs = {"sources": ["https://example.com/cat.png"], "text": "a cat on the moon"}
    request_id = client.submit(inputs, OTHER.model_id)
    clock.advance(60)
    (url,) = client.result(request_id)["output"]["images"]
    (stored,) = client.get("/sandbox/requests").json()
    assert stored["inputs"] == {**inputs, "steps": 20, "aspect": "16:9", "extra": {"strength": 0.7}}
    picture = Image.open(io.BytesIO(requests.get(url, timeout=10).content))
    assert picture.size == (1886, 1061)


@pytest.mark.parametrize(
    ("inputs", "size"),
    [
        ({SIZE: "6198x2656(21:9)"}, (6198, 2656)),
        ({"resolution": "640x480", "ratio": "1:1"}, (640, 480)),
        ({"width": 800, "height": 600}, (800, 600)),
        ({"ratio": "1:1"}, (1414, 1414)),
        ({"prompt": "no size"}, (2048, 2048)),
        ({"size": "99999x1"}, (8192, 64)),
        ({"ratio": "0:1"}, (2048, 2048)),
    ],
)
def test_the_size_is_found_whatever_its_key(inputs: dict[str, Any], size: tuple[int, int]) -> None:
    """Every model names its size in its own way."""
    assert picture_size(inputs) == size


def test_a_request_is_on_disk_before_submit_returns(tmp_path: Path, clock: Clock) -> None:
    """A killed process must not forget what it said yes to."""
    killed, next_one = (Service(tmp_path, MODELS, clock=clock) for _ in range(2))
    request = killed.submit(DREAMINA, SMALL)
    assert next_one.get(request.request_id) == request
    killed.close()
    next_one.close()


def test_hundreds_of_old_requests_cost_nothing(tmp_path: Path, clock: Clock) -> None:
    """A long evening with the sandbox does not slow it down."""
    service = Service(tmp_path, MODELS, clock=clock)
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    def steps_of_one() -> int:
        nonlocal steps
        steps = 0
        request = service.submit(DREAMINA, SMALL)
        assert service.queue_position(request) == 0
        assert service.cancel(request.request_id)[0]
        return steps

    service._db.set_progress_handler(count, 1)  # of each instruction of SQLite
    first = steps_of_one()
    for _ in range(300):
        service.submit(DREAMINA, SMALL)
        clock.advance(100)
    assert steps_of_one() < 1.5 * first
    service.close()


def test_stop_does_not_wait_for_open_connections(start: Callable[..., tuple[Sandbox, Client]]) -> None:
    """Ctrl+C ends the program, browsers or not."""
    sandbox, client = start()
    client.submit(SMALL)
    host, port = client.base_url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as silent:
        silent.sendall(b"POST /v1/models/x HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
        sandbox.stop()
    with pytest.raises(requests.ConnectionError):
        client.get("/sandbox/requests")


def test_a_taken_port_is_a_setting_error(start: Callable[..., tuple[Sandbox, Client]], tmp_path: Path) -> None:
    """The message names the port, so that people can choose another."""
    _, client = start()
    port = int(client.base_url.rsplit(":", 1)[1])
    with pytest.raises(SettingsError, match=str(port)):
        Sandbox(tmp_path, MODELS, token="secret", port=port).start()


def test_the_command_prints_its_url_and_stops_on_a_signal(tmp_path: Path) -> None:
    """It is meant for trying things out, so its first lines must be enough."""
    command = [sys.executable, "-m", "dreamina_ui.sandbox", "--port", "0", "--data-dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        assert process.stdout is not None
        base_url = process.stdout.readline().split(" at ")[1].split(". ")[0]
        assert f"RUNCOMFY_API_BASE_URL={base_url} " in process.stdout.readline()
        assert Client(base_url, "sandbox").get("/sandbox/requests").json() == []
        process.terminate()
        assert process.wait(5) == 0


def test_loading_the_server_loads_neither_numpy_nor_pillow() -> None:
    """Those who use the real service should not wait for a painter."""
    code = "import sys, dreamina_ui.sandbox.server as _; print({'numpy', 'PIL'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert result.stdout.strip() == "set()"


def test_the_same_request_is_painted_the_same() -> None:
    """A file lost on disk comes back byte for byte; variants and other seeds are other pictures."""
    first, again = (paint("森と湖, a fox", 640, 400, seed=7) for _ in range(2))
    assert first.tobytes() == again.tobytes()
    others = [paint("森と湖, a fox", 640, 400, seed=seed, index=index) for seed, index in ((7, 1), (8, 0))]
    assert len({picture.tobytes() for picture in (first, *others)}) == 3


@pytest.mark.parametrize("choice", MODELS[DREAMINA].input_schema["properties"][SIZE]["enum"])
def test_every_size_of_the_model_is_painted_exactly(choice: str) -> None:
    """A picture one pixel off would be refused as a broken download."""
    size = picture_size({SIZE: choice})
    picture = paint("", *size, seed=1)
    assert (picture.size, picture.mode) == (size, "RGB")
    assert choice.startswith(f"{size[0]}x{size[1]}")


@pytest.mark.parametrize("size", [(64, 64), (64, 2000), (2000, 64), (1, 1)])
@pytest.mark.parametrize("prompt", ["", "\ud800", "雪 森 海 山 街 砂漠 花 桜 雨 オーロラ 月 星 雲 女 猫 狐 舟 鳥 家"])
def test_any_prompt_and_shape_gives_a_picture(tmp_path: Path, prompt: str, size: tuple[int, int]) -> None:
    """Whatever people type, a demonstration must not break."""
    path = tmp_path / "painted.png"
    paint_file(path, prompt, *size, seed=2**64 - 1, index=3, count=4)
    with Image.open(path) as painted:
        assert painted.tobytes() == paint(prompt, *size, seed=2**64 - 1, index=3, count=4).tobytes()
        assert (painted.size, painted.info["Software"]) == (size, "Dreamina UI sandbox")
