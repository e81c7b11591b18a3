"""A batch over HTTP: the table first, one start, nobody else's business; and the real program killed in the middle."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest
import requests

from dreamina_ui.batches.expansion import MAX_JOBS
from dreamina_ui.web.i18n.translate import languages, translate
from tests.support.bad_server import json_response
from tests.support.browser import SMALL, AppProcess, HeldSandbox, ScriptedApp, Visitor, wait_for
from tests.support.harness import MODEL_ID, SUBMIT

COMMON = {"prompt": "not this", "width×height": SMALL, "scale": 0.5, "force_single": True}


def wishes(text: str, **more: Any) -> dict[str, Any]:
    return {"model_id": MODEL_ID, "inputs": COMMON, "text": text, "repeats": 1} | more


def post(visitor: Visitor, path: str, body: Any, **headers: str) -> requests.Response:
    return visitor.http.post(f"{visitor.app.url}/dreamina/{path}", json=body, headers=headers, timeout=20)


def plan(visitor: Visitor, text: str, **more: Any) -> dict[str, Any]:
    response = post(visitor, "batch/plan", wishes(text, **more))
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def start(visitor: Visitor, text: str, press_id: str = "id-of-one-start", **more: Any) -> dict[str, Any]:
    """See the table, then start it."""
    body = wishes(text, **more) | {"digest": plan(visitor, text, **more)["digest"], "press_id": press_id}
    response = post(visitor, "batches", body)
    assert response.status_code == 200, response.text
    card: dict[str, Any] = response.json()
    return card


def act(visitor: Visitor, batch: dict[str, Any], action: str) -> requests.Response:
    return post(visitor, f"batches/{batch['batch_id']}/{action}", {})


def batches(visitor: Visitor) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = visitor.http.get(f"{visitor.app.url}/dreamina/batches", timeout=10).json()
    return rows


def test_the_table_shows_every_job_and_writes_nothing(held: HeldSandbox) -> None:
    """How many and at what price is known before a cent is spent."""
    visitor, before = Visitor(held.app), held.app.count_jobs()
    table = plan(visitor, "a {red|blue} fox\n\na bear", values={"scale": [0.2, 0.8]}, repeats=2)
    assert (table["count"], len(table["jobs"])) == (12, 12)
    assert [job["prompt"] for job in table["jobs"][::4]] == ["a red fox", "a blue fox", "a bear"]
    assert "0.2" in table["jobs"][0]["settings"]
    assert table["jobs"][0]["inputs"] == COMMON | {"prompt": "a red fox", "scale": 0.2}
    prices = {job["expected_usd"] for job in table["jobs"]}
    assert prices == {None} or table["expected_usd"] == pytest.approx(12 * prices.pop())
    assert (None in prices) == (table["expected_usd"] is None), "what is not known is not nothing"
    assert (held.app.count_jobs(), batches(visitor)) == (before, [])


@pytest.mark.parametrize("language", ["en", "ja"])
def test_odd_lines_are_named_with_the_table(held: HeldSandbox, language: str) -> None:
    """What nobody sees in a pasted text must be known before it is paid for."""
    text = "\ufeffa red fox\r\n\u200b\r\n\r\nfirst\u2028second\r\n# a note\r\n"
    response = post(Visitor(held.app), f"batch/plan?language={language}", wishes(text))
    table = response.json()
    assert [job["prompt"] for job in table["jobs"]] == ["a red fox", "first\u2028second", "# a note"]
    notices = [(notice["line"], notice["kind"]) for notice in table["notices"]]
    assert notices == [(1, "byte_order_mark"), (2, "invisible"), (4, "line_break"), (5, "comment")]
    message = translate(
        language, "batch_notice", line=2, excerpt="<U+200B>", text=translate(language, "batch_notice_invisible")
    )
    assert table["notices"][1]["message"] == message
    assert plan(Visitor(held.app), "a fox\n\na hen")["notices"] == []


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (wishes("a {red fox"), "error_plan_unclosed"),
        (wishes(" "), "error_plan_empty"),
        (wishes("\u200b\n\ufeff\n\u3164"), "error_plan_empty"),
        (wishes("{a|b}" * 1000), "error_plan_many"),
        (wishes("a", values={"scale": [7]}), "rule_maximum"),
        (wishes("a", values={"scale": {}}), None),
        (wishes("a", values=5, inputs=5, repeats={}), "rule_type"),
        (wishes("a") | {"model_id": ["x"]}, "rule_enum"),
        ([], "rule_enum"),
    ],
)
@pytest.mark.parametrize("language", ["en", "ja"])
def test_what_cannot_be_planned_is_an_error(held: HeldSandbox, body: Any, key: str | None, language: str) -> None:
    """In the reader's language, with the line; and nothing of it is sent."""
    response = post(Visitor(held.app), f"batch/plan?language={language}", body)
    assert response.status_code in (200, 422)
    if key:
        assert (
            translate(language, key, limit=1 if key == "rule_maximum" else "integer", most=MAX_JOBS)
            in response.json()["message"]
        )


def test_only_the_table_that_was_seen_can_be_started_and_only_once(held: HeldSandbox) -> None:
    """A double click, a resend and a changed mind on the way must not cost more than was shown."""
    visitor, before = Visitor(held.app), len(held.requests())
    digest = plan(visitor, "one\ntwo\nthree")["digest"]
    body = wishes("one\ntwo\nthree") | {"digest": digest, "press_id": "id-of-one-start"}
    other = post(visitor, "batches", body | {"text": "one\ntwo\nthree\nfour"})
    assert (other.status_code, other.json()["message"]) == (422, languages()["en"]["error_plan_changed"])
    assert post(visitor, "batches", body | {"press_id": "short"}).status_code == 422
    assert post(visitor, "batches", body, **{"Sec-Fetch-Site": "cross-site"}).status_code == 403
    responses: list[requests.Response] = []
    threads = [threading.Thread(target=lambda: responses.append(post(visitor, "batches", body))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {response.status_code for response in responses} == {200}
    assert len({response.json()["batch_id"] for response in responses}) == 1
    [mine] = batches(visitor)
    assert (mine["total"], mine["active"], mine["state"]) == (3, True, "running")
    wait_for(lambda: len(held.requests()) == before + 2)
    assert act(visitor, mine, "cancel").json()["not_sent"] == 1
    [end] = batches(visitor)
    assert (end["state"], end["counts"]["cancelled"], end["counts"]["running"]) == ("ended", 1, 2)
    assert act(visitor, mine, "explode").status_code == 422


def test_a_batch_keeps_its_rows_columns_and_request(held: HeldSandbox) -> None:
    """The same grid is there after a reload, and can be edited and started again."""
    visitor = Visitor(held.app)
    asked: dict[str, Any] = {"values": {"scale": [0.2, 0.8]}, "columns": ["scale"]}
    table = plan(visitor, "a {red|blue} fox", **asked)
    assert [axis["key"] for axis in table["axes"] if axis["is_column"]] == ["scale"]
    batch = start(visitor, "a {red|blue} fox", **asked)
    url = f"{held.app.url}/dreamina/batches/{batch['batch_id']}"
    grid = visitor.http.get(url, timeout=10).json()
    assert [label["title"] for label in grid["rows"]] == ["a red fox", "a blue fox"]
    assert (grid["rows"], grid["columns"]) == (table["rows"], table["columns"])
    assert [[cell["row"], cell["column"]] for cell in grid["cells"]] == table["cells"]
    assert (grid["request"]["text"], grid["request"]["columns"]) == ("a {red|blue} fox", ["scale"])
    assert (grid["retry"], post(visitor, f"batches/{batch['batch_id']}/retry", {"digest": ""}).status_code) == (
        None,
        422,
    )
    assert Visitor(held.app).http.get(url, timeout=10).status_code in (200, 404), "the owner of a private page sees all"
    act(visitor, batch, "cancel")


def test_a_browser_without_an_identity_starts_nothing(held: HeldSandbox) -> None:
    """Nobody could pause or find it again."""
    body = wishes("one") | {"digest": plan(Visitor(held.app), "one")["digest"], "press_id": "id-of-one-start"}
    response = requests.post(f"{held.app.url}/dreamina/batches", json=body, timeout=10)
    assert (response.status_code, response.json()["message"]) == (403, languages()["en"]["error_no_cookie"])


def test_a_batch_is_its_visitors_alone(shared: AppProcess) -> None:
    """On a shared page a stranger neither sees, nor stops, nor drives another's batch."""
    mine, stranger = Visitor(shared), Visitor(shared)
    batch = start(mine, "\n".join(f"mine {number}" for number in range(5)))
    assert batches(stranger) == []
    for action in ("pause", "resume", "cancel", "retry"):
        assert act(stranger, batch, action).status_code == 404
    assert stranger.http.get(f"{shared.url}/dreamina/batches/{batch['batch_id']}", timeout=10).status_code == 404
    assert batches(mine)[0]["state"] == "running"
    paused = act(mine, batch, "pause").json()
    assert (paused["state"], paused["message"]) == ("paused", languages()["en"]["batch_paused"])
    assert act(mine, batch, "cancel").json()["state"] == "ended"


def test_killed_in_the_middle_it_resumes_and_sends_each_job_once(
    scripted: ScriptedApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The power goes while a batch is under way: what was paid is not paid again, and the rest still comes."""
    prompts = [f"press {number}" for number in range(12)]
    app, server, service = scripted.app, scripted.server, scripted.service()
    monkeypatch.setattr(server, "default", json_response({"status": "completed"}))
    server.script(f"POST {SUBMIT}", *(json_response({"request_id": f"r-{n}"}) for n in range(40)))
    result = json_response({"status": "completed", "output": {"image": service.picture()}})
    for number in range(40):
        server.script(f"/v1/requests/r-{number}/result", result)

    def sent() -> list[str]:
        posts = server.requests_for("POST", SUBMIT)
        return [prompt for seen in posts for prompt in prompts if f'"{prompt}"' in seen.body.decode()]

    visitor = Visitor(app)
    batch = start(visitor, "\n".join(prompts))
    paused = start(visitor, "paused 1\npaused 2\npaused 3", "id-of-another-start")
    act(visitor, paused, "pause")
    wait_for(lambda: len(sent()) >= 4)
    app.process.kill()
    app.process.wait()
    count = len(sent())
    app.start()
    path = f"{app.url}/dreamina/batches/{batch['batch_id']}"

    def is_over() -> bool:
        response = visitor.http.get(path, timeout=10)
        return (
            response.ok and response.json()["batch"]["active"] is False
        )  # whoever asks this often is refused at times

    wait_for(is_over, 60.0)
    wait_for(lambda: isinstance(batches(visitor), list))
    after = {row["batch_id"]: row for row in batches(visitor)}
    assert 4 <= count < len(prompts), "it was killed in the middle"
    twice = {prompt for prompt, times in Counter(sent()).items() if times > 1}
    assert twice == set()
    unclear = after[batch["batch_id"]]["counts"]["unclear"]  # under way at the kill: never sent by itself again
    assert len(set(prompts) - set(sent())) <= unclear <= 2
    assert after[batch["batch_id"]]["counts"]["done"] == len(prompts) - unclear
    still = after[paused["batch_id"]]
    assert (still["state"], sum(still["counts"].values())) == ("paused", 3)
