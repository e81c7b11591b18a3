"""A word in a prompt makes the sandbox misbehave as the real service does, so that people can see what happens then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests

from dreamina_ui.models.schema import load_models
from dreamina_ui.sandbox.scenarios import SCENARIOS
from dreamina_ui.sandbox.server import Sandbox
from tests.support.browser import wait_for

MODEL = "bytedance/dreamina-4-0/text-to-image"
INPUTS = {"width×height": "1024x1024(1:1)", "force_single": True}


class Clock:
    """Stands still until the test moves it."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class Caller:
    """One request with a prompt, on a sandbox whose clock the test moves."""

    def __init__(self, folder: Path, prompt: str, **more: Any) -> None:
        self.clock = Clock()
        self.sandbox = Sandbox(folder, load_models(), token="secret", clock=self.clock, **more)
        self.url = self.sandbox.start()
        self.http = requests.Session()
        self.http.headers["Authorization"] = "Bearer secret"
        body = INPUTS | {"prompt": prompt}
        self.id = self.http.post(f"{self.url}/v1/models/{MODEL}", json=body, timeout=10).json()["request_id"]

    def ask(self, verb: str) -> requests.Response:
        return self.http.get(f"{self.url}/v1/requests/{self.id}/{verb}", timeout=10)

    def cancel(self) -> dict[str, Any]:
        return dict(self.http.post(f"{self.url}/v1/requests/{self.id}/cancel", timeout=10).json())

    def finish(self) -> None:
        """Let the time pass until the request has ended."""
        self.clock.advance(60)
        wait_for(lambda: self.ask("status").json().get("status") in ("completed", "failed"))

    def file(self) -> requests.Response:
        return requests.get(self.ask("result").json()["output"]["image"], timeout=10)


@pytest.fixture
def call(tmp_path: Path) -> Any:
    made: list[Caller] = []

    def start(prompt: str, **more: Any) -> Caller:
        made.append(Caller(tmp_path, prompt, **more))
        return made[-1]

    yield start
    for caller in made:
        caller.sandbox.stop()


def test_a_request_fails_with_the_reason_that_the_prompt_gives(call: Any) -> None:
    """The status has an object, the result a text, as both do in real traffic."""
    caller = call("a fox [fail: no foxes today]")
    caller.clock.advance(60)
    status = caller.ask("status").json()
    assert (status["status"], status["error"]["message"]) == ("failed", "no foxes today")
    result = caller.ask("result").json()
    assert (result["status"], result["error"], "output" in result) == ("failed", "no foxes today", False)


def test_a_request_is_completed_and_then_failed(call: Any) -> None:
    """The result decides; a client that trusts the status shows an empty gallery."""
    caller = call("a fox [completed-then-failed]")
    caller.finish()
    assert caller.ask("status").json()["status"] == "completed"
    assert caller.ask("result").json()["failure_reason"]


def test_a_result_is_not_ready_at_first(call: Any) -> None:
    """400005 is how the service says it."""
    caller = call("a fox [not-ready]", queue_s=0.0, run_s=0.0)
    wait_for(lambda: caller.ask("status").json()["status"] == "completed")
    assert (caller.ask("result").status_code, caller.ask("result").json()["error_code"]) == (400, 400005)
    caller.clock.advance(11)
    assert caller.ask("result").json()["status"] == "succeeded"


@pytest.mark.parametrize("code", [404, 502, 504])
def test_a_gateway_responds_in_place_of_the_api(call: Any, code: int) -> None:
    """Its page is HTML and says nothing about the request."""
    caller = call(f"a fox [gateway-{code}]")
    for verb in ("status", "result"):
        assert (caller.ask(verb).status_code, caller.ask(verb).text[:6]) == (code, "<html>")
    caller.clock.advance(11)
    assert caller.ask("status").status_code == 200


def test_a_cancel_is_slow(call: Any) -> None:
    """It is accepted at once and carried out later; the status still says that the request waits."""
    caller = call("a fox [slow-cancel]")
    assert caller.cancel()["outcome"] == "cancellation_requested"
    caller.clock.advance(9)
    assert caller.ask("status").json()["status"] == "in_queue"
    caller.clock.advance(2)
    assert caller.ask("status").json()["status"] == "cancelled"


def test_files_come_late_and_odd(call: Any) -> None:
    """A host needs a while, and has headers of its own."""
    caller = call("a fox [late-files] [odd-headers] [odd-images]", queue_s=0.0, run_s=0.0)
    wait_for(lambda: caller.ask("status").json()["status"] == "completed")
    assert caller.file().status_code == 404
    caller.clock.advance(16)
    file = caller.file()
    assert (file.headers["Content-Encoding"], file.headers["Content-Type"][:10]) == ("", "text/plain")
    assert b"tEXtComment" in file.content


def test_a_scenario_can_be_given_to_every_request(call: Any) -> None:
    """For whoever tests from outside, without words in the prompts."""
    caller = call("a fox", scenarios=["fail"])
    caller.clock.advance(60)
    assert caller.ask("status").json()["status"] == "failed"


def test_every_scenario_is_documented() -> None:
    """A switch that nobody knows of is of no use."""
    text = (Path(__file__).parents[2] / "docs" / "running.md").read_text(encoding="utf-8")
    assert [name for name in SCENARIOS if f"`{name}`" not in text] == []
