"""The promises to programs: three endpoints, files that are what they say, and nobody else's business."""

from __future__ import annotations

import hashlib
import io
import json
from typing import Any
from urllib.parse import quote

import pytest
import requests
from gradio_client import Client
from gradio_client.exceptions import AppError
from PIL import Image

from dreamina_ui.ledger.job import TERMINAL
from dreamina_ui.models.schema import load_models
from dreamina_ui.web.i18n.error_texts import field_titles
from dreamina_ui.web.i18n.translate import translate
from tests.support.browser import (
    SMALL,
    AppProcess,
    HeldSandbox,
    ScriptedApp,
    Visitor,
    call,
    last_event,
    read_events,
    wait_for,
)
from tests.support.harness import MODEL_ID

OBJECT_KEYS = {
    "job_id", "request_id", "model_id", "inputs", "state", "status", "queue_position", "message", "created_at",
    "updated_at", "elapsed_s", "cost_usd", "images", "videos",
}  # fmt: skip
FILE_KEYS = {"index", "original_url", "large_url", "preview_url", "width", "height", "format", "size_bytes", "sha256"}
GOOD = ["a red fox", SMALL, 0.5, True]


@pytest.fixture(scope="module")
def client(app: AppProcess) -> Client:
    return Client(app.url, verbose=False)


@pytest.fixture(scope="module")
def changes(client: Client) -> list[dict[str, Any]]:
    """All objects of one finished `/generate`."""
    return list(client.submit("a red fox, 赤い狐", SMALL, 0.25, True, api_name="/generate"))


@pytest.fixture(scope="module")
def picture(changes: list[dict[str, Any]]) -> dict[str, Any]:
    image: dict[str, Any] = changes[-1]["images"][0]
    return image


# --- the three endpoints


def test_there_are_exactly_three_endpoints_and_one_more_for_each_other_model(client: Client) -> None:
    """The page's inner events are nobody's interface: only these must stay as they are."""
    api = client.view_api(return_format="dict", print_info=False)
    assert set(api["named_endpoints"]) == {"/generate", "/job", "/cancel", "/generate_bytedance_dreamina_4_0_edit"}
    assert api["unnamed_endpoints"] == {}


def test_generate_takes_the_schemas_inputs_in_its_order(client: Client) -> None:
    """A program may leave out what has a default, and never meets a key that is no name."""
    fields = load_models()[MODEL_ID].fields
    parameters = client.view_api(return_format="dict", print_info=False)["named_endpoints"]["/generate"]["parameters"]
    names = [parameter["parameter_name"] for parameter in parameters]
    assert names == [*(field.parameter for field in fields), "idempotency_key"]
    assert names[:-1] == ["prompt", "size", "scale", "force_single"]
    assert [parameter["parameter_has_default"] for parameter in parameters] == [False, True, True, True, True]
    assert [parameter["parameter_default"] for parameter in parameters][1:-1] == [field.default for field in fields][1:]


def test_the_stream_follows_the_job_to_its_end(changes: list[dict[str, Any]]) -> None:
    """A program sees each change, and its last object is the result."""
    assert all(set(change) == OBJECT_KEYS for change in changes)
    states = list(dict.fromkeys(change["state"] for change in changes))
    road = ["submitting", "queued", "running", "saving", "done"]
    assert states == [state for state in road if state in states]
    assert not TERMINAL.intersection(states[:-1])
    end = changes[-1]
    assert (end["state"], end["status"], end["queue_position"]) == ("done", "completed", None)
    assert end["inputs"] == {"prompt": "a red fox, 赤い狐", "width×height": SMALL, "scale": 0.25, "force_single": True}
    assert end["cost_usd"] == 0.03
    assert [set(image) for image in end["images"]] == [FILE_KEYS]


def test_left_out_inputs_get_the_schemas_defaults(held: HeldSandbox) -> None:
    """The defaults of the schema are the only ones."""
    client = Client(held.app.url, verbose=False)
    job = client.submit("only a prompt", api_name="/generate")
    wait_for(lambda: any(change["request_id"] for change in job.outputs()))
    assert job.outputs()[-1]["inputs"] == {
        "prompt": "only a prompt", "width×height": "2048x2048(1:1)", "scale": 0.5, "force_single": False,
    }  # fmt: skip
    client.predict(job.outputs()[-1]["job_id"], api_name="/cancel")


@pytest.mark.parametrize(
    ("data", "headers"),
    [
        ([*GOOD, "request-of-a-program"], {}),
        (GOOD, {"Idempotency-Key": "request-of-a-program"}),
        ([*GOOD, ""], {"Idempotency-Key": '"request-of-a-program"'}),
    ],
    ids=["argument", "header", "quoted header"],
)
def test_a_program_repeats_a_request_under_its_id(held: HeldSandbox, data: list[Any], headers: dict[str, str]) -> None:
    """A program whose call broke sends it again: one job, and never a second bill."""
    first = first_job(held.app, [*GOOD, "request-of-a-program"], {})
    client = Client(held.app.url, verbose=False)
    wait_for(lambda: client.predict(first["job_id"], api_name="/job")["request_id"])
    before = len(held.requests())
    assert first_job(held.app, data, headers)["job_id"] == first["job_id"]
    assert len(held.requests()) == before
    refused = [*GOOD[:2], 0.7, True, "request-of-a-program"]
    _, error = last_event(held.app, "generate", json.dumps({"data": refused}))
    assert "request-of-a-program was sent before" in error["error"]


def test_a_program_from_before_that_argument_gives_one_value_less(held: HeldSandbox) -> None:
    """What worked with the first version works still."""
    first, other = (first_job(held.app, GOOD, {}) for _ in range(2))
    assert first["job_id"] != other["job_id"], "without an id, each call is a job of its own"


def first_job(app: AppProcess, data: list[Any], headers: dict[str, str]) -> dict[str, Any]:
    """The first object of a `/generate` that stays open."""
    path = f"{app.url}/gradio_api/call/generate"
    event_id = requests.post(path, json={"data": data}, headers=headers, timeout=10).json()["event_id"]
    with requests.get(f"{path}/{event_id}", stream=True, timeout=10) as stream:
        for line in stream.iter_lines(chunk_size=1, decode_unicode=True):
            if line.startswith("data: ["):
                job: dict[str, Any] = json.loads(line.removeprefix("data: "))[0]
                return job
    raise AssertionError("nothing came")


def test_a_job_can_be_asked_for_later(client: Client, changes: list[dict[str, Any]]) -> None:
    """A program that lost its stream finds its pictures by the job_id."""
    assert client.predict(changes[-1]["job_id"], api_name="/job") == changes[-1]


@pytest.mark.parametrize("name", ["/job", "/cancel"])
def test_an_unknown_job_is_an_error(client: Client, name: str) -> None:
    """Guessing ids gives nothing away."""
    with pytest.raises(AppError, match=translate("en", "error_job_not_found")):
        client.predict("0" * 32, api_name=name)


@pytest.mark.parametrize("job_id", ["5", "null", '["x"]', '{"a": 1}', '"' + "x" * 60_000 + '"'])
def test_a_job_id_of_any_shape_is_answered(app: AppProcess, job_id: str) -> None:
    """Nonsense is an unknown job, not a broken server."""
    name, data = last_event(app, "job", f'{{"data": [{job_id}]}}')
    assert name == "error"
    assert translate("en", "error_job_not_found") in data["error"]


# --- cancel


def test_cancel_of_a_waiting_job_says_cancelled(held: HeldSandbox) -> None:
    """Said only because the service said so."""
    client = Client(held.app.url, verbose=False)
    job = client.submit("to be cancelled", SMALL, api_name="/generate")
    job_id = wait_for(lambda: next((change["job_id"] for change in job.outputs() if change["request_id"]), None))
    verdict = client.predict(job_id, api_name="/cancel")
    assert set(verdict) == {"outcome", "job"}
    assert (verdict["outcome"], verdict["job"]["state"]) == ("cancelled", "cancelled")
    assert job.result()["state"] == "cancelled"
    assert (
        next(sent for sent in held.requests() if sent["inputs"]["prompt"] == "to be cancelled")["status"] == "cancelled"
    )


def test_cancel_of_a_finished_job_says_too_late(client: Client, changes: list[dict[str, Any]]) -> None:
    """The pictures stay."""
    verdict = client.predict(changes[-1]["job_id"], api_name="/cancel")
    assert (verdict["outcome"], verdict["job"]["state"]) == ("too_late", "done")
    assert verdict["job"]["images"] == changes[-1]["images"]


def test_cancel_without_a_response_says_unconfirmed(scripted: ScriptedApp) -> None:
    """What nobody confirmed is not called cancelled: it may run and be billed."""
    service = scripted.service()
    service.status({"status": "in_queue", "queue_position": 4})
    client = Client(scripted.app.url, verbose=False)
    job = client.submit("unconfirmed", SMALL, api_name="/generate")
    job_id = wait_for(lambda: next((change["job_id"] for change in job.outputs() if change["request_id"]), None))
    verdict = client.predict(job_id, api_name="/cancel")
    assert (verdict["outcome"], verdict["job"]["state"]) == ("unconfirmed", "queued")
    service.completes()
    assert job.result()["state"] == "done"


# --- bad input


@pytest.mark.parametrize(
    ("index", "value", "field"),
    [
        (0, json.dumps("😀" * 801), "prompt"),
        (0, '""', "prompt"),
        (0, "null", "prompt"),
        (0, "7", "prompt"),
        (0, '["a", "b"]', "prompt"),
        (0, '{"text": "a"}', "prompt"),
        (0, '"\\ud800"', "prompt"),
        (0, '"\\u200b"', "prompt"),
        (0, '"\\ufeff \\u3164"', "prompt"),
        (1, '"1023x1024(1:1)"', "width×height"),
        (1, '["1024x1024(1:1)"]', "width×height"),
        (1, "1024", "width×height"),
        (2, "NaN", "scale"),
        (2, "Infinity", "scale"),
        (2, "1.0001", "scale"),
        (2, '"0.5"', "scale"),
        (2, "true", "scale"),
        (2, "[0.5]", "scale"),
        (3, '"yes"', "force_single"),
        (3, "1", "force_single"),
        (3, "[]", "force_single"),
    ],
)
def test_bad_input_is_an_error_that_names_the_field(app: AppProcess, index: int, value: str, field: str) -> None:
    """A run that cannot succeed makes no job and no bill, and the caller learns which input it was."""
    before = app.count_jobs()
    data = [json.dumps(good) for good in GOOD]
    data[index] = value
    name, response = last_event(app, "generate", f'{{"data": [{", ".join(data)}]}}')
    assert name == "error"
    assert response["error"].startswith(f"{field} ")
    assert app.count_jobs() == before


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("generate", '{"data": "a red fox"}'),
        ("generate", '{"data": []}'),
        ("generate", '{"data": null}'),
        ("generate", "[]"),
        ("generate", "{"),
        ("v2/generate", '{"prompt": "a", "steps": 5}'),
        ("v2/generate", '{"prompt": "a", "width×height": "1024x1024(1:1)"}'),
        ("v2/generate", "{}"),
    ],
)
def test_a_call_that_is_none_makes_no_job(app: AppProcess, name: str, body: str) -> None:
    """An input that would be dropped in silence must not be paid for."""
    before = app.count_jobs()
    event, _ = last_event(app, name, body)
    assert event in ("error", "refused")
    assert app.count_jobs() == before


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("generate", '["a red fox"]', "these values: prompt, size, scale, force_single, idempotency_key; it got 1."),
        ("generate", '["a red fox", "1024x1024(1:1)", 0.5, true, "id", 42]', "it got 6."),
        ("job", "[]", "these values: job_id; it got 0."),
        ("cancel", '["x", "y"]', "it got 2."),
    ],
)
def test_too_few_or_too_many_values_are_an_error_that_names_them(
    app: AppProcess, name: str, data: str, text: str
) -> None:
    """What is dropped in silence is paid for all the same; nobody has to guess what is missing."""
    before = app.count_jobs()
    event, response = last_event(app, name, f'{{"data": {data}}}')
    assert event == "error"
    assert text in response["error"]
    assert f"/gradio_api/call/v2/{name}" in response["error"]
    assert app.count_jobs() == before


def test_a_call_by_wrong_names_says_where_the_names_are(app: AppProcess) -> None:
    """Nobody has to guess."""
    for name, body in (("v2/generate", '{"prompt": "a", "steps": 5}'), ("v2/nothing", "{}")):
        event, text = last_event(app, name, body)
        assert event == "refused"
        assert "/gradio_api/info" in text


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ({"prompt": "😀" * 801}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"prompt": ["a"]}, "prompt"),
        ({"prompt": "\u200b\ufeff"}, "prompt"),
        ({"size": "9x9"}, "width×height"),
        ({"size": None, "scale": "much"}, "scale"),
        ({"scale": float("nan")}, "scale"),
        ({"scale": 2}, "scale"),
        ({"force_single": "no"}, "force_single"),
    ],
)
def test_the_pages_own_request_with_bad_values_makes_no_job(app: AppProcess, bad: dict[str, Any], field: str) -> None:
    """The page's limits hold for those, too, who go around the page."""
    before = app.count_jobs()
    response = Visitor(app).press(**bad)
    assert not response["success"]
    titles = field_titles(load_models()[MODEL_ID], "en")
    assert response["message"].startswith(titles[field])
    assert app.count_jobs() == before


def test_a_request_without_a_cookie_is_refused(app: AppProcess) -> None:
    """A job that nobody could find again is not begun."""
    nobody = Visitor(app)
    nobody.http.cookies.clear()
    before = app.count_jobs()
    response = nobody.press()
    assert (response["success"], response["message"]) == (False, translate("en", "error_no_cookie"))
    assert app.count_jobs() == before


def test_the_pages_own_events_refuse_what_the_page_never_sends(app: AppProcess) -> None:
    """There is no other way to a job."""
    visitor = Visitor(app)
    before = app.count_jobs()
    for event in visitor.config["dependencies"]:
        for data in ([], None, {}, [1]):  # type: ignore[var-annotated]
            assert not visitor.call_event(event["id"], data)["success"]
    assert app.count_jobs() == before


def test_twenty_calls_at_once_are_all_accepted_before_the_first_ends(held: HeldSandbox) -> None:
    """Nobody waits for another's picture before his own is even ordered."""
    client = Client(held.app.url, verbose=False)
    prompts = [f"one of twenty, number {number}" for number in range(20)]
    jobs = [client.submit(prompt, SMALL, api_name="/generate") for prompt in prompts]
    newest = wait_for(lambda: _all_accepted([job.outputs() for job in jobs]))
    assert {job["state"] for job in newest} <= {"submitting", "queued"}
    assert len({job["request_id"] for job in newest}) == 20
    assert sorted(job["inputs"]["prompt"] for job in newest) == sorted(prompts)
    for job in newest:
        client.predict(job["job_id"], api_name="/cancel")
    assert {job.result()["state"] for job in jobs} == {"cancelled"}


def _all_accepted(outputs: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    newest = [changes[-1] for changes in outputs if changes and changes[-1]["request_id"]]
    return newest if len(newest) == len(outputs) else []


# --- files


def test_a_file_is_the_original_that_the_object_tells_of(picture: dict[str, Any]) -> None:
    """Size, sum and format can be checked without trust."""
    response = requests.get(picture["original_url"], timeout=10)
    assert (response.status_code, response.headers["content-type"]) == (200, "image/png")
    assert (len(response.content), hashlib.sha256(response.content).hexdigest()) == (
        picture["size_bytes"], picture["sha256"],
    )  # fmt: skip
    with Image.open(io.BytesIO(response.content)) as image:
        assert (
            (*image.size, image.format)
            == (picture["width"], picture["height"], picture["format"])
            == (1024, 1024, "PNG")
        )
    preview = requests.get(picture["preview_url"], timeout=10)
    assert (preview.status_code, preview.headers["content-type"]) == (200, "image/webp")


def test_a_file_is_cached_by_the_browser_forever(picture: dict[str, Any]) -> None:
    """Nobody loads the same picture twice."""
    first = requests.get(picture["original_url"], timeout=10)
    assert "immutable" in first.headers["cache-control"]
    again = requests.get(picture["original_url"], headers={"If-None-Match": first.headers["etag"]}, timeout=10)
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])


def test_a_file_can_be_fetched_in_parts(picture: dict[str, Any]) -> None:
    """A cut download resumes where it stopped."""
    whole = requests.get(picture["original_url"], timeout=10).content
    part = requests.get(picture["original_url"], headers={"Range": "bytes=100-199"}, timeout=10)
    assert (part.status_code, part.content) == (206, whole[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(whole)}"


def test_a_file_has_a_speaking_name(changes: list[dict[str, Any]], picture: dict[str, Any]) -> None:
    """In a folder of downloads each picture says what it shows."""
    name = f"dreamina-a-red-fox-赤い狐-1024x1024-{changes[-1]['job_id'][:6]}-1.png"
    assert picture["original_url"].endswith("/" + quote(name))
    shown = requests.get(picture["original_url"], timeout=10).headers["content-disposition"]
    saved = requests.get(picture["original_url"] + "?download=1", timeout=10).headers["content-disposition"]
    assert shown == f"inline; filename*=utf-8''{quote(name)}"
    assert saved == f"attachment; filename*=utf-8''{quote(name)}"


@pytest.mark.parametrize("path", ["{key}x/original/a.png", "{key}/other/a.png", "../ledger.sqlite3", "{key}/original/"])
def test_a_wrong_url_is_no_file(app: AppProcess, picture: dict[str, Any], path: str) -> None:
    """Only who was given a URL sees the picture."""
    key = picture["original_url"].split("/")[-3]
    assert requests.get(f"{app.url}/dreamina/files/{path.format(key=key)}", timeout=10).status_code == 404


# --- visitors


def test_another_sites_page_is_refused(app: AppProcess) -> None:
    """A page that somebody opens must not read his pictures, nor cancel them."""
    visitor = Visitor(app)
    for site in ("cross-site", "same-site"):
        headers = {"Sec-Fetch-Site": site}
        for path in ("jobs", "events"):
            assert visitor.http.get(f"{app.url}/dreamina/{path}", headers=headers, timeout=10).status_code == 403
        act = f"{app.url}/dreamina/jobs/{'0' * 32}/cancel"
        assert visitor.http.post(act, headers=headers, timeout=10).status_code == 403


def test_an_empty_key_is_refused_and_not_paid_by_the_owner(held: HeldSandbox) -> None:
    """A program whose variable was not set would spend the owner's money, and believe that it is its own."""
    rows, mine = held.app.count_jobs(), {"X-RunComfy-Token": ""}
    url = f"{held.app.url}/gradio_api/call/generate"
    event = requests.post(url, json={"data": GOOD}, headers=mine, timeout=10).json()["event_id"]
    assert "token is empty" in requests.get(f"{url}/{event}", headers=mine, timeout=10).text
    assert held.app.count_jobs() == rows


def test_another_visitors_job_cannot_be_seen_or_cancelled(held: HeldSandbox) -> None:
    """Sharing a link shares the program, not the pictures."""
    owner, other = Visitor(held.app), Visitor(held.app)
    other.http.headers["Host"] = "studio.example"  # who is at the machine itself may see everything
    owner.press(prompt="mine")
    job = wait_for(lambda: next((job for job in owner.jobs() if job["state"] == "queued"), None))
    act = f"{held.app.url}/dreamina/jobs/{job['job_id']}"
    assert other.jobs() == []
    assert other.http.get(act, timeout=10).status_code == 404
    for action in ("cancel", "fetch-again"):
        assert other.http.post(f"{act}/{action}", json={}, timeout=10).status_code == 403
    assert owner.jobs()[0]["state"] == "queued"
    assert owner.http.post(f"{act}/cancel", json={}, timeout=10).json()["state"] == "cancelled"


def test_a_programs_job_id_opens_that_job_and_nothing_else(shared: AppProcess) -> None:
    """It is a key that programs hand on; a browser, and the rest of the page, do not take it."""
    with call(shared, "generate", json.dumps({"data": ["the program's own", SMALL, 0.5, True]})) as events:
        job = next(events)[1][0]
    assert last_event(shared, "job", json.dumps({"data": [job["job_id"]]}))[1][0]["job_id"] == job["job_id"]
    for http in (requests.Session(), Visitor(shared).http):
        url = f"{shared.url}/dreamina"
        assert http.get(f"{url}/jobs/{job['job_id']}", timeout=10).status_code == 404
        assert http.post(f"{url}/jobs/{job['job_id']}/cancel", json={}, timeout=10).status_code == 404
        assert http.get(f"{url}/jobs", timeout=10).json() == []
        assert http.get(f"{url}/library", timeout=10).json()["entries"] == []
        assert http.get(f"{url}/library/zip", timeout=10).status_code == 404
    assert last_event(shared, "cancel", json.dumps({"data": [job["job_id"]]}))[0] == "complete"


def test_the_event_stream_ends_when_nothing_runs(app: AppProcess) -> None:
    """A page that waits for nothing holds no connection."""
    visitor = Visitor(app)
    with visitor.http.get(f"{app.url}/dreamina/events", stream=True, timeout=10) as response:
        assert [name for name, _ in read_events(response)] == ["rest"]
