"""The promises of a batch: a few jobs at a time, fair, honestly paused and canceled, and nothing sent twice."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from dreamina_ui.batches.dispatcher import MAX_ACTIVE_JOBS, Dispatcher
from dreamina_ui.batches.store import MAX_WAITING, Batch, BatchStore
from dreamina_ui.errors import (
    BatchError,
    BlockedError,
    BlockedWordError,
    DispatchError,
    InputError,
    JobNotFoundError,
    KeyNeededError,
    LedgerError,
    LimitError,
    PriceError,
    RequestConflictError,
    StateError,
    StoppedError,
)
from dreamina_ui.ledger import batch_grid_rows
from dreamina_ui.ledger.job import Job
from dreamina_ui.ledger.tables import batch_items as items
from dreamina_ui.ledger.tables import batches, jobs
from dreamina_ui.ledger.transaction import Transaction
from dreamina_ui.media.fetching.reachability import Reachability
from dreamina_ui.spending.accounts import Account
from dreamina_ui.spending.limits import Limits
from dreamina_ui.web.batch_presenter import BatchPresenter
from dreamina_ui.web.i18n.error_texts import error_text, pause_text
from dreamina_ui.web.i18n.translate import languages, translate
from tests.support.bad_server import BadServer, ScriptedResponse, json_response
from tests.support.browser import wait_for
from tests.support.databases import Engine
from tests.support.harness import INPUTS, MODEL_ID, SUBMIT, Harness, ScriptedApi

KEY = "visitor-key-AAAA"
SMALL = {"width×height": "1024x1024(1:1)", "force_single": True}


class BatchRunner:
    """The job services and their batches, against any service; they can be restarted as after a crash."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness
        self._open()

    def _open(self) -> None:
        self.batches = BatchStore(self.harness.ledger, self.harness.moderation, self.harness.clock)
        self.dispatcher = Dispatcher(self.harness.services, self.batches)

    def start(self) -> None:
        self.harness.services.start()
        self.dispatcher.start()

    def restart(self) -> None:
        """Start again on the same folder."""
        self.dispatcher.stop()
        self.harness.restart()
        self._open()
        self.dispatcher.start()

    def begin(self, count: int = 6, visitor: str = "v", press_id: str = "t", **more: Any) -> Batch:
        """A batch of `count` jobs; their prompts are the visitor and a number."""
        model = self.harness.models[MODEL_ID]
        planned = [model.validate_inputs({"prompt": f"{visitor}{number}", **SMALL}) for number in range(count)]
        account = more.pop("account", None) or self.harness.accounts.account(None)
        return self.batches.begin(MODEL_ID, planned, visitor_id=visitor, account=account, press_id=press_id, **more)

    def counts(self, batch: Batch) -> dict[str, int]:
        return dict(self.batches.batch(batch.batch_id).counts)

    def wait(self, batch: Batch, until: Callable[[Batch], bool]) -> Batch:
        def read() -> Batch | None:
            now = self.batches.batch(batch.batch_id)
            return now if until(now) else None

        result: Batch = wait_for(read, 10.0)
        return result

    def paused(self, batch: Batch) -> Batch:
        return self.wait(batch, lambda now: now.state == "paused")

    def close(self) -> None:
        self.dispatcher.stop()
        self.harness.close()


class Held:
    """A service that accepts everything and finishes nothing until the test says so."""

    def __init__(self, server: BadServer) -> None:
        self._server = server
        server.default = json_response({"status": "in_queue"})
        self._result = {"output": {"image": ScriptedApi(server).picture()}}
        server.script(f"POST {SUBMIT}", *(json_response({"request_id": f"r-{number}"}) for number in range(300)))
        self.url = server.url

    def finish(self) -> None:
        """Finish everything that was accepted so far."""
        for number in range(len(self.prompts())):
            self._server.script(f"/v1/requests/r-{number}/status", json_response({"status": "completed"}))
            self._server.script(f"/v1/requests/r-{number}/result", json_response(self._result))

    def wait_for(self, count: int) -> None:
        """Wait until so many jobs were submitted."""
        wait_for(lambda: len(self.prompts()) == count)

    def prompts(self) -> list[str]:
        """The prompts of all submits that arrived, oldest first."""
        return [json.loads(seen.body)["prompt"] for seen in self._server.requests_for("POST", SUBMIT)]


@pytest.fixture
def held(server: BadServer) -> Held:
    return Held(server)


@pytest.fixture
def runner(tmp_path: Path, held: Held, engine: Engine) -> Iterator[BatchRunner]:
    """A started runner on a service that finishes nothing by itself."""
    made = BatchRunner(Harness(tmp_path / "data", held.url))
    made.start()
    yield made
    made.close()


@pytest.fixture
def scripted(harness: Harness) -> Iterator[BatchRunner]:
    """A started runner on a scripted service."""
    made = BatchRunner(harness)
    made.start()
    yield made
    made.close()


# --- sending


def test_a_batch_is_sent_in_order_a_few_jobs_at_a_time_each_once(runner: BatchRunner, held: Held) -> None:
    """A large batch must not flood the owner's account with requests."""
    batch = runner.begin(5)
    for sent in (2, 4, 5):
        held.wait_for(sent)
        assert runner.counts(batch)["running"] <= MAX_ACTIVE_JOBS
        held.finish()
    end = runner.wait(batch, lambda now: now.counts.get("done") == 5)
    assert (end.state, dict(end.counts)) == ("ended", {"done": 5})
    assert sorted(held.prompts()) == [f"v{number}" for number in range(5)]


def test_repeats_are_jobs_of_their_own(runner: BatchRunner, held: Held) -> None:
    """Equal inputs within a second are a double click at a button, but two jobs in a batch."""
    planned = [runner.harness.models[MODEL_ID].validate_inputs({"prompt": "same"})] * 2
    account = runner.harness.accounts.account(None)
    runner.batches.begin(MODEL_ID, planned, visitor_id="v", account=account, press_id="t")
    wait_for(lambda: held.prompts() == ["same", "same"])


def test_a_long_batch_delays_nobody(runner: BatchRunner, held: Held) -> None:
    """While one visitor has two hundred items waiting, others' jobs and batches start at once."""
    runner.begin(200, "a")
    wait_for(lambda: len(held.prompts()) == MAX_ACTIVE_JOBS)
    runner.harness.jobs.generate(MODEL_ID, INPUTS, visitor_id="b")
    runner.begin(3, "c")
    wait_for(lambda: len(held.prompts()) == 2 * MAX_ACTIVE_JOBS + 1)
    assert Counter(prompt[:1] for prompt in held.prompts()) == {"a": MAX_ACTIVE_JOBS + 1, "c": MAX_ACTIVE_JOBS}
    assert INPUTS["prompt"] in held.prompts()


def test_visitors_take_turns_when_there_are_few_slots(runner: BatchRunner, held: Held) -> None:
    """Whoever came first must not get every slot first."""
    runner.harness.guard.limits = Limits(at_once=2)  # one of them is left for presses
    first, second = runner.begin(3, "a"), runner.begin(3, "b")
    for count in range(1, 7):
        held.wait_for(count)
        held.finish()
    for batch in (first, second):
        runner.wait(batch, lambda now: now.counts.get("done") == 3)
    assert [prompt[0] for prompt in held.prompts()] == list("ababab")


def test_a_visitor_with_many_batches_gets_no_more_turns(runner: BatchRunner, held: Held) -> None:
    """A second window must not bypass the limit."""
    batches = [runner.begin(3, press_id=str(number)) for number in range(3)]
    wait_for(lambda: len(held.prompts()) == MAX_ACTIVE_JOBS)
    assert sum(runner.counts(batch).get("running", 0) for batch in batches) == MAX_ACTIVE_JOBS
    assert runner.counts(batches[0])["running"] == MAX_ACTIVE_JOBS


class Switch(Reachability):
    """Says that no file could be fetched, until the test says otherwise."""

    def __init__(self) -> None:
        self.text: str | None = "Set DREAMINA_MEDIA_HOSTS."

    def start(self) -> None:
        pass

    def problem(self) -> str | None:
        return self.text


def test_a_batch_that_cannot_be_sent_for_now_says_why_and_continues_by_itself(runner: BatchRunner, held: Held) -> None:
    """A batch that stands still without a word looks broken, and only the owner reads the log."""
    runner.harness.reachability = switch = Switch()
    runner.restart()
    batch = runner.begin(2)
    waiting = runner.wait(batch, lambda now: now.problem is not None)
    assert (waiting.state, waiting.changed_at) == ("running", batch.changed_at), "errors of its jobs still count"
    assert waiting.problem
    presenter = BatchPresenter(runner.harness.presenter, runner.harness.models, runner.dispatcher)
    assert presenter.card(waiting, "en")["prompt"] == "v0", "a list of dates tells nobody which batch is which"
    for language in languages():
        message = presenter.card(waiting, language)["message"]
        assert message == translate(language, "batch_waits", reason=error_text(waiting.problem, language))
        assert "DREAMINA_MEDIA_HOSTS" in message
    assert held.prompts() == []
    switch.text = None

    def is_sent() -> bool:
        runner.batches.work_available.set()  # as it happens after some time by itself
        return len(held.prompts()) == 2

    wait_for(is_sent)
    assert presenter.card(runner.batches.batch(batch.batch_id), "en")["message"] == ""


# --- limits, stops, keys


def test_a_concurrency_limit_makes_it_wait_and_leaves_a_slot_for_a_job(runner: BatchRunner, held: Held) -> None:
    """A batch must not block its own visitor's single jobs."""
    runner.harness.guard.limits = Limits(visitor_at_once=2)
    batch = runner.begin(3)
    wait_for(lambda: held.prompts() == ["v0"])
    runner.harness.jobs.generate(MODEL_ID, INPUTS, visitor_id="v")
    wait_for(lambda: len(held.prompts()) == 2)
    with pytest.raises(LimitError):
        runner.harness.jobs.generate(MODEL_ID, INPUTS | {"prompt": "one too many"}, visitor_id="v")
    assert runner.batches.batch(batch.batch_id).state == "running"
    for count in (3, 4):
        held.finish()
        held.wait_for(count)
    held.finish()
    assert dict(runner.wait(batch, lambda now: now.counts.get("done") == 3).counts) == {"done": 3}


def test_a_daily_limit_pauses_it_with_the_reason_until_a_person_resumes_it(runner: BatchRunner, held: Held) -> None:
    """Money must not be spent at midnight without anybody knowing."""
    runner.harness.guard.limits = Limits(visitor_per_day=2)
    batch = runner.begin(3)
    wait_for(lambda: len(held.prompts()) == 2)
    held.finish()
    paused = runner.paused(batch)
    assert isinstance(paused.problem, LimitError)
    assert (paused.problem.limit, paused.problem.most) == ("visitor_per_day", 2)
    assert paused.problem.until is not None
    runner.harness.clock.advance(86_400)
    runner.batches.resume(batch.batch_id)
    wait_for(lambda: len(held.prompts()) == 3)


def test_a_price_that_rises_pauses_it_until_a_person_agrees(runner: BatchRunner, held: Held) -> None:
    """A person agreed to a total; two hundred jobs must not become more expensive unnoticed."""
    guard = runner.harness.guard
    guard.set_price(MODEL_ID, 0.03, "image")
    batch = runner.begin(5, price_usd=0.03)
    wait_for(lambda: len(held.prompts()) == 2)
    guard.set_price(MODEL_ID, 0.05, "image")
    held.finish()
    problem = runner.paused(batch).problem
    assert isinstance(problem, PriceError)
    assert (problem.was_usd, problem.now_usd, problem.left_usd) == pytest.approx((0.03, 0.05, 0.15))
    for language in ("en", "de"):
        assert all(amount in pause_text(problem, language, {}).replace(",", ".") for amount in ("0.03", "0.05", "0.15"))
    guard.set_price(MODEL_ID, 0.08, "image")
    runner.batches.resume(batch.batch_id)
    again = runner.paused(batch).problem
    assert isinstance(again, PriceError), "what a person has not seen is not agreed to"
    assert (again.was_usd, again.now_usd) == (0.05, 0.08)
    assert len(held.prompts()) == 2
    runner.batches.resume(batch.batch_id)
    wait_for(lambda: len(held.prompts()) == 4)
    guard.set_price(MODEL_ID, 0.01, "image")
    held.finish()
    wait_for(lambda: len(held.prompts()) == 5)


@pytest.mark.parametrize(("agreed", "price"), [(None, (0.05, "image")), (0.03, None), (0.03, (0.5, "second"))])
def test_a_batch_continues_when_prices_cannot_be_compared(
    runner: BatchRunner, held: Held, agreed: float | None, price: tuple[float, str] | None
) -> None:
    """No total was agreed to, or the price is unknown: waiting would never end."""
    if price:
        runner.harness.guard.set_price(MODEL_ID, *price)
    runner.begin(1, price_usd=agreed)
    wait_for(lambda: len(held.prompts()) == 1)


@pytest.mark.parametrize("how", ["stop", "visitor"])
def test_the_owners_stop_pauses_it_and_allows_no_new_one(runner: BatchRunner, held: Held, how: str) -> None:
    """The switch applies to batches too, from the next item on."""
    visitor = "a" * 32
    batch = runner.begin(4, visitor)
    wait_for(lambda: len(held.prompts()) == 2)
    controls = runner.harness.moderation
    controls.stop() if how == "stop" else controls.block("visitor", visitor)
    held.finish()
    assert isinstance(runner.paused(batch).problem, StoppedError if how == "stop" else BlockedError)
    with pytest.raises(StoppedError if how == "stop" else BlockedError):
        runner.begin(1, visitor, press_id="another")
    assert len(held.prompts()) == 2
    controls.resume() if how == "stop" else controls.unblock("visitor", visitor)
    runner.batches.resume(batch.batch_id)
    wait_for(lambda: len(held.prompts()) == 4)


def test_a_blocked_word_refuses_its_item_and_the_others_are_sent(runner: BatchRunner, held: Held) -> None:
    """One bad line of fifty is reported, and does not stop the others."""
    batch = runner.begin(4)
    wait_for(lambda: len(held.prompts()) == 2)
    runner.harness.moderation.block_words(["v2"])
    held.finish()
    wait_for(lambda: "v3" in held.prompts())
    held.finish()
    end = runner.wait(batch, lambda now: now.counts.get("done") == 3)
    assert dict(end.counts) == {"done": 3, "refused": 1}
    assert [(item.inputs["prompt"], type(item.problem)) for item in end.refusals] == [("v2", BlockedWordError)]


def test_it_pauses_without_its_own_key_and_continues_with_it(scripted: BatchRunner, service: ScriptedApi) -> None:
    """It must never continue at the owner's cost."""
    service.status("in_queue")
    scripted.harness.api_keys.give(KEY, "session")
    account = scripted.harness.accounts.account("session")
    scripted.harness.api_keys.take_back("session")
    batch = scripted.begin(1, account=account)
    assert isinstance(scripted.paused(batch).problem, KeyNeededError)
    assert service.posts == 0
    scripted.harness.api_keys.give(KEY, "session")
    scripted.batches.resume(batch.batch_id)
    wait_for(lambda: service.posts == 1)
    assert {seen.header("authorization") for seen in service.server.requests_for("POST")} == {f"Bearer {KEY}"}


@pytest.mark.parametrize(
    "response", [ScriptedResponse(hang_up=True), json_response({"code": 402001, "message": "no balance"}, 402)]
)
def test_errors_of_the_service_pause_it_before_everything_is_spent(
    scripted: BatchRunner, service: ScriptedApi, response: ScriptedResponse
) -> None:
    """Two hundred lost responses may be two hundred bills."""
    service.accept(response)
    batch = scripted.begin(20)
    paused = scripted.paused(batch)
    assert isinstance(paused.problem, DispatchError | StoppedError)
    assert service.posts <= MAX_ACTIVE_JOBS
    service.status("in_queue")
    service.accept(*(json_response({"request_id": f"r-{number}"}) for number in range(3)))
    for number in range(3):
        service.server.script(f"/v1/requests/r-{number}/status", json_response({"status": "in_queue"}))
    scripted.harness.moderation.resume()
    posts = service.posts
    scripted.batches.resume(batch.batch_id)
    wait_for(lambda: service.posts == posts + MAX_ACTIVE_JOBS)
    assert scripted.batches.batch(batch.batch_id).state == "running", (
        "an error that a person has seen does not pause it again"
    )


def test_inputs_that_the_service_refuses_concern_one_job_only(scripted: BatchRunner, service: ScriptedApi) -> None:
    """The next prompt may be fine."""
    service.accept(json_response({"message": "bad prompt"}, 422))
    batch = scripted.begin(3)
    assert dict(scripted.wait(batch, lambda now: now.counts.get("failed") == 3).counts) == {"failed": 3}
    assert service.posts == 3


class Given:
    """Reports about every input file what a test wants."""

    exc: InputError | None = None

    def validate_files(self, *_asked: object) -> None:
        if self.exc:
            raise self.exc

    def clean_up(self) -> None:
        pass


def test_a_missing_input_file_pauses_it_instead_of_refusing_every_item(runner: BatchRunner, held: Held) -> None:
    """All jobs of a batch need the same files; their host may be back in a minute."""
    edit = "bytedance/dreamina-4-0/edit"
    given = runner.harness.input_files = Given()  # type: ignore[assignment]
    runner.restart()
    given.exc = InputError("image_urls.0", "address_gone", None, "https://a.example/x.png")
    inputs = {"prompt": "a hat on it", "image_urls": ["https://a.example/x.png"]}
    account = runner.harness.accounts.account(None)
    batch = runner.batches.begin(edit, [inputs] * 2, visitor_id="v", account=account, press_id="t")
    paused = runner.paused(batch)
    assert (dict(paused.counts), getattr(paused.problem, "rule", "")) == ({"waiting": 2}, "address_gone")
    text = pause_text(InputError("image_urls.0", "address_gone", None, "https://a.example/x.png"), "en", {})
    assert "https://a.example/x.png" in text
    given.exc = None
    runner.batches.resume(batch.batch_id)
    runner.wait(batch, lambda now: now.counts.get("waiting", 0) < 2)


# --- pause, resume, cancel


def test_a_pause_sends_nothing_more_and_a_cancel_drops_what_was_not_sent(runner: BatchRunner, held: Held) -> None:
    """Each button does what it says, and the counts show it."""
    batch = runner.begin(5)
    wait_for(lambda: len(held.prompts()) == 2)
    runner.batches.pause(batch.batch_id)
    held.finish()
    now = runner.wait(batch, lambda now: now.counts.get("done") == 2)
    assert (now.state, now.problem, dict(now.counts)) == ("paused", None, {"done": 2, "waiting": 3})
    runner.batches.resume(batch.batch_id)
    wait_for(lambda: len(held.prompts()) == 4)
    assert runner.batches.cancel(batch.batch_id) == 1
    assert runner.batches.cancel(batch.batch_id) == 0
    for action in (runner.batches.resume, runner.batches.pause):
        action(batch.batch_id)
        assert runner.batches.batch(batch.batch_id).state == "ended"
    held.finish()
    end = runner.wait(batch, lambda now: now.counts.get("done") == 4)
    assert (end.state, dict(end.counts)) == ("ended", {"done": 4, "cancelled": 1})
    assert len(held.prompts()) == 4


def test_a_pause_or_cancel_at_the_last_moment_makes_no_job(runner: BatchRunner, held: Held) -> None:
    """A person may cancel between the choice of an item and its row: then there must be no row."""
    batch = runner.begin(4)
    wait_for(lambda: len(held.prompts()) == 2)
    [chosen] = runner.batches.next_items(0.0)
    runner.batches.pause(batch.batch_id)
    for stop in (
        lambda: None,
        lambda: runner.batches.cancel(batch.batch_id),
        lambda: runner.batches.resume(batch.batch_id),
    ):
        stop()
        with pytest.raises(StateError):
            runner.harness.jobs.generate(
                MODEL_ID, chosen.inputs, visitor_id="v",
                hook=lambda transaction, job: runner.batches.mark_sent(transaction, chosen, job),
            )  # fmt: skip
    assert [job.inputs["prompt"] for job in reversed(runner.harness.reader.recent("v"))] == ["v0", "v1"]
    assert len(list(runner.harness.folder.glob("media/*/*"))) == 2, "the folder of a job that is none must go"


def test_many_threads_cannot_send_an_item_twice(runner: BatchRunner, held: Held) -> None:
    """The row of the job and the mark of the item are one transaction."""
    runner.dispatcher.stop()
    batch = runner.begin(1)
    [chosen] = runner.batches.next_items(0.0)
    gate, refused = threading.Barrier(6), []

    def press() -> None:
        gate.wait()
        try:
            runner.harness.jobs.generate(
                MODEL_ID, chosen.inputs, visitor_id="v", is_click=False,
                hook=lambda transaction, job: runner.batches.mark_sent(transaction, chosen, job),
            )  # fmt: skip
        except StateError as exc:
            refused.append(exc)

    threads = [threading.Thread(target=press) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 5
    wait_for(lambda: held.prompts() == ["v0"])
    assert runner.batches.batch(batch.batch_id).state == "ended"


# --- starting


def test_a_start_that_is_sent_twice_is_one_batch(runner: BatchRunner, held: Held) -> None:
    """A double click or a repeat after a lost response must cost nothing."""
    gate = threading.Barrier(4)
    started: list[Batch] = []

    def begin() -> None:
        gate.wait()
        started.append(runner.begin(2))

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({batch.batch_id for batch in started}) == 1
    wait_for(lambda: len(held.prompts()) == 2)
    held.finish()
    runner.wait(started[0], lambda now: now.counts.get("done") == 2)
    assert runner.begin(2).state == "ended", "even long after"
    assert runner.begin(2, press_id="another").batch_id != started[0].batch_id
    assert runner.begin(2, visitor="w").batch_id != started[0].batch_id, "another visitor's token is another start"


def test_the_number_of_waiting_items_is_limited(runner: BatchRunner) -> None:
    """A stranger cannot fill the disk with waiting items."""
    runner.dispatcher.stop()
    runner.begin(MAX_WAITING["visitor_id"] - 1, client_hash="home")
    runner.begin(1, press_id="last", client_hash="home")
    with pytest.raises(BatchError) as caught:
        runner.begin(1, press_id="too much", client_hash="home")
    assert caught.value.rule == "waiting"
    for number in range(4):
        runner.begin(200, f"w{number}", client_hash="home")
    with pytest.raises(BatchError):
        runner.begin(1, "one more", client_hash="home")
    runner.begin(1, "elsewhere", client_hash="away")
    runner.begin(1, "nowhere")


def test_starting_and_canceling_again_and_again_does_not_fill_the_disk(
    runner: BatchRunner, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It costs nothing, and clearing the cookie makes a new visitor each time."""
    monkeypatch.setattr("dreamina_ui.batches.store.MAX_EMPTY_BATCHES", 2)
    sent = runner.begin(1, client_hash="home")
    runner.wait(sent, lambda now: now.state == "ended")
    runner.dispatcher.stop()
    for number in range(5):
        empty = runner.begin(3, f"w{number}", client_hash="home")
        runner.batches.cancel(empty.batch_id)
    with runner.harness.ledger.reading() as reader:
        stored = reader.connection.execute(sa.select(batches.c.batch_id)).scalars().all()
        inputs = (
            reader.connection.execute(sa.select(items.c.inputs).where(items.c.state == "cancelled")).scalars().all()
        )
    assert len(stored) == 2 + 2
    assert set(inputs) == {"{}"}
    assert len(inputs) == 3 * (2 + 1)
    assert runner.counts(empty) == {"cancelled": 3}
    assert runner.begin(1, client_hash="home").batch_id in stored, "a batch with a paid job is never forgotten"
    assert runner.counts(sent) == {"running": 1}


def test_an_unknown_batch_is_an_error(runner: BatchRunner) -> None:
    """A page that was open for a year may ask for it."""
    with pytest.raises(JobNotFoundError):
        runner.batches.batch("nobody")
    assert runner.batches.recent("nobody") == []


# --- a restart


def test_a_restart_continues_running_batches_and_leaves_paused_ones(runner: BatchRunner, held: Held) -> None:
    """After a restart at night, nothing is lost and nothing was spent without consent."""
    going, paused = runner.begin(4, "a"), runner.begin(4, "b")
    wait_for(lambda: len(held.prompts()) == 4)
    runner.harness.moderation.stop()
    held.finish()
    assert isinstance(runner.paused(going).problem, StoppedError)
    runner.paused(paused)
    runner.harness.moderation.resume()
    runner.batches.resume(going.batch_id)
    wait_for(lambda: len(held.prompts()) == 6)
    runner.restart()
    held.finish()
    runner.wait(going, lambda now: now.counts.get("done") == 4)
    still = runner.wait(paused, lambda now: now.counts.get("done") == 2)
    assert (still.state, dict(still.counts)) == ("paused", {"done": 2, "waiting": 2})
    assert isinstance(still.problem, StoppedError), "and the reason is still known"
    assert Counter(held.prompts()) == dict.fromkeys(["a0", "a1", "a2", "a3", "b0", "b1"], 1)


def test_a_restart_checks_the_price_before_it_continues(runner: BatchRunner, held: Held, server: BadServer) -> None:
    """It may have risen while the program was not running."""
    runner.dispatcher.stop()
    batch = runner.begin(2, price_usd=0.03)
    server.script(f"GET {SUBMIT}", json_response({"base_price_usd": 0.05, "price_unit": "image"}))
    runner.restart()
    assert isinstance(runner.paused(batch).problem, PriceError)
    assert held.prompts() == []


def test_a_batch_of_another_api_waits_for_it(runner: BatchRunner, held: Held) -> None:
    """A batch that was started on the sandbox must not be sent where it costs money."""
    sandbox = Account(runner.harness.accounts.account(None).client, "sandbox")
    batch = runner.begin(2, account=sandbox)
    runner.begin(1, "w")
    wait_for(lambda: held.prompts() == ["w0"])
    assert (runner.counts(batch), runner.dispatcher.can_run(runner.batches.batch(batch.batch_id))) == (
        {"waiting": 2},
        False,
    )


# --- stored reasons


@pytest.mark.parametrize(
    "exc",
    [
        LimitError("per_day", 3, 5.0), StoppedError("auth"), BlockedError(), BlockedWordError("x"),
        KeyNeededError("give it"), DispatchError("trouble"), InputError("scale", "maximum", 1, [2]),
        LedgerError("full"),
        PriceError(0.03, 0.05, 1.5),
    ],
)  # fmt: skip
def test_the_reason_of_a_pause_is_stored_completely(runner: BatchRunner, exc: Any) -> None:
    """It is shown in the reader's language, even after a restart."""
    runner.dispatcher.stop()
    batch = runner.begin(2)
    runner.batches.pause(batch.batch_id, exc)
    problem = runner.batches.batch(batch.batch_id).problem
    assert str(problem) == str(exc)
    assert isinstance(exc, LedgerError) or (type(problem), vars(problem)) == (type(exc), vars(exc))


def test_an_error_of_the_ledger_leaves_the_item_planned(runner: BatchRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """No job, no mark; the item is tried again."""
    runner.dispatcher.stop()
    batch = runner.begin(2)
    [chosen] = runner.batches.next_items(0.0)

    def broken(transaction: Transaction, job: Job) -> None:
        runner.batches.mark_sent(transaction, chosen, job)
        transaction.connection.execute(sa.text("SELECT nothing FROM nowhere"))

    with pytest.raises(LedgerError):
        runner.harness.jobs.generate(MODEL_ID, chosen.inputs, visitor_id="v", hook=broken)
    assert runner.counts(batch) == {"waiting": 2}
    with runner.harness.ledger.reading() as reader:
        assert reader.connection.execute(sa.select(sa.func.count()).select_from(jobs)).scalar() == 0


# --- failed jobs anew


def test_failed_jobs_are_made_anew_once_for_each_click(scripted: BatchRunner, service: ScriptedApi) -> None:
    """A click that is repeated, because its response was lost, must not pay again for what failed again."""
    service.accept(json_response({"message": "bad prompt"}, 422))
    batch = scripted.begin(3)
    scripted.wait(batch, lambda now: now.counts.get("failed") == 3)
    cells = scripted.batches.grid(batch.batch_id).cells
    click = {cell.position: cell.job.job_id for cell in cells if cell.job}
    assert scripted.batches.retry(batch.batch_id, click, price_usd=None) == 3
    wait_for(lambda: service.posts == 6)
    scripted.wait(batch, lambda now: now.state == "ended" and now.counts.get("failed") == 3)
    assert scripted.batches.retry(batch.batch_id, click, price_usd=None) == 0
    assert (scripted.batches.batch(batch.batch_id).state, service.posts) == ("ended", 6)


def test_a_retry_that_is_repeated_after_a_restart_counts_once(runner: BatchRunner) -> None:
    """Its response was lost with the server: items that are refused the same way each time would be paid for later."""
    runner.harness.moderation.block_words(["v1"])
    batch = runner.begin(2)
    refused_again = {"running": 1, "refused": 1}
    runner.wait(batch, lambda now: now.counts == refused_again)
    assert runner.batches.retry(batch.batch_id, {1: None}, price_usd=None, press_id="a-retry") == 1
    runner.wait(batch, lambda now: now.counts == refused_again and now.state == "ended")
    runner.restart()
    assert runner.batches.is_retried(batch.batch_id, "a-retry")
    assert runner.batches.retry(batch.batch_id, {1: None}, price_usd=None, press_id="a-retry") == 0
    other = runner.begin(1, press_id="of-another-batch")
    with pytest.raises(RequestConflictError):
        runner.batches.retry(other.batch_id, {1: None}, price_usd=None, press_id="a-retry")
    runner.harness.moderation.block_words([])
    assert runner.batches.retry(batch.batch_id, {1: None}, price_usd=None, press_id="another-retry") == 1


def test_only_the_last_retries_of_a_batch_are_remembered(runner: BatchRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """An item that is always refused costs nothing: a stranger who retries it forever must not fill the disk."""
    monkeypatch.setattr(batch_grid_rows, "MAX_RETRIES", 3)
    batch = runner.begin(1)
    for number in range(5):
        runner.batches.retry(batch.batch_id, {}, price_usd=None, press_id=f"retry-{number}")
        runner.harness.clock.advance(1)
    known = [runner.batches.is_retried(batch.batch_id, f"retry-{number}") for number in range(5)]
    assert known == [False, False, True, True, True]


def test_a_retry_does_not_resume_a_paused_batch(runner: BatchRunner, held: Held) -> None:
    """A click on the failed jobs is no click on those that wait."""
    batch = runner.begin(6)  # the last one waits for the two before it
    wait_for(lambda: len(held.prompts()) == 2)
    runner.harness.moderation.block_words(["v2"])
    held.finish()
    runner.wait(batch, lambda now: now.counts.get("refused") == 1)
    runner.batches.pause(batch.batch_id)
    assert runner.batches.retry(batch.batch_id, {2: None}, price_usd=None) == 1
    assert runner.batches.batch(batch.batch_id).state == "paused"
