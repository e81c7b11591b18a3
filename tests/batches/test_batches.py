"""A batch's promises: a few at a time, fair, paused and cancelled honestly, and nothing sent twice."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from dreamina_ui.batches.dispatcher import AT_ONCE, Dispatcher
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
    StateError,
    StoppedError,
)
from dreamina_ui.ledger.job import Job
from dreamina_ui.ledger.tables import batch_items as items
from dreamina_ui.ledger.tables import batches, jobs
from dreamina_ui.spending.accounts import Account
from dreamina_ui.spending.limits import Limits
from dreamina_ui.web.i18n.translate import pause_text
from tests.support.bad_server import Answer, Misbehaving, json_answer
from tests.support.browser import wait_for
from tests.support.harness import INPUTS, MODEL_ID, SUBMIT, Scene, Service

KEY = "visitor-key-AAAA"
SMALL = {"width×height": "1024x1024(1:1)", "force_single": True}


class Desk:
    """The job services with their batches, against any service; they can be opened again as after a crash."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self._open()

    def _open(self) -> None:
        self.batches = BatchStore(self.scene.ledger, self.scene.moderation, self.scene.clock)
        self.sender = Dispatcher(self.scene.services, self.batches)

    def start(self) -> None:
        self.scene.services.start()
        self.sender.start()

    def restart(self) -> None:
        """Begin anew on the same folder."""
        self.sender.stop()
        self.scene.restart()
        self._open()
        self.sender.start()

    def begin(self, count: int = 6, visitor: str = "v", token: str = "t", **more: Any) -> Batch:
        """A batch of `count` jobs; their prompts are the visitor and a number."""
        model = self.scene.models[MODEL_ID]
        planned = [model.validate_inputs({"prompt": f"{visitor}{place}", **SMALL}) for place in range(count)]
        account = more.pop("account", None) or self.scene.accounts.account(None)
        return self.batches.begin(MODEL_ID, planned, visitor_id=visitor, account=account, token=token, **more)

    def counts(self, batch: Batch) -> dict[str, int]:
        return dict(self.batches.batch(batch.batch_id).counts)

    def wait(self, batch: Batch, until: Callable[[Batch], bool]) -> Batch:
        def found() -> Batch | None:
            now = self.batches.batch(batch.batch_id)
            return now if until(now) else None

        result: Batch = wait_for(found, 10.0)
        return result

    def paused(self, batch: Batch) -> Batch:
        return self.wait(batch, lambda now: now.state == "paused")

    def close(self) -> None:
        self.sender.stop()
        self.scene.close()


class Held:
    """A service that accepts everything, and whose requests stand still until the test says so."""

    def __init__(self, server: Misbehaving) -> None:
        self._server = server
        server.default = json_answer({"status": "in_queue"})
        self._result = {"output": {"image": Service(server).picture()}}
        server.script(f"POST {SUBMIT}", *(json_answer({"request_id": f"r-{number}"}) for number in range(300)))
        self.url = server.url

    def finish(self) -> None:
        """Let all that was accepted so far end."""
        for number in range(len(self.prompts())):
            self._server.script(f"/v1/requests/r-{number}/status", json_answer({"status": "completed"}))
            self._server.script(f"/v1/requests/r-{number}/result", json_answer(self._result))

    def wait_for(self, count: int) -> None:
        """Wait until so many jobs were submitted."""
        wait_for(lambda: len(self.prompts()) == count)

    def prompts(self) -> list[str]:
        """The prompts of all submits that arrived, oldest first."""
        return [json.loads(seen.body)["prompt"] for seen in self._server.requests_for("POST", SUBMIT)]


@pytest.fixture
def held(server: Misbehaving) -> Held:
    return Held(server)


@pytest.fixture
def desk(tmp_path: Path, held: Held) -> Iterator[Desk]:
    """A started desk on a service that stands still."""
    made = Desk(Scene(tmp_path / "data", held.url))
    made.start()
    yield made
    made.close()


@pytest.fixture
def scripted(scene: Scene) -> Iterator[Desk]:
    """A started desk on a scripted service."""
    made = Desk(scene)
    made.start()
    yield made
    made.close()


# --- going out


def test_a_batch_goes_out_in_order_a_few_at_a_time_each_job_once(desk: Desk, held: Held) -> None:
    """A batch of many must not fill the owner's account with requests."""
    batch = desk.begin(5)
    for sent in (2, 4, 5):
        held.wait_for(sent)
        assert desk.counts(batch)["running"] <= AT_ONCE
        held.finish()
    end = desk.wait(batch, lambda now: now.counts.get("done") == 5)
    assert (end.state, dict(end.counts)) == ("ended", {"done": 5})
    assert sorted(held.prompts()) == [f"v{place}" for place in range(5)]


def test_repeats_are_jobs_of_their_own(desk: Desk, held: Held) -> None:
    """Equal inputs within a second are one double click at a button, and two jobs of a batch."""
    planned = [desk.scene.models[MODEL_ID].validate_inputs({"prompt": "same"})] * 2
    account = desk.scene.accounts.account(None)
    desk.batches.begin(MODEL_ID, planned, visitor_id="v", account=account, token="t")
    wait_for(lambda: held.prompts() == ["same", "same"])


def test_a_long_batch_stands_before_nobody(desk: Desk, held: Held) -> None:
    """Two hundred jobs of one visitor: another's press goes out at once, and so does another's batch."""
    desk.begin(200, "a")
    wait_for(lambda: len(held.prompts()) == AT_ONCE)
    desk.scene.jobs.generate(MODEL_ID, INPUTS, visitor_id="b")
    desk.begin(3, "c")
    wait_for(lambda: len(held.prompts()) == 2 * AT_ONCE + 1)
    assert Counter(prompt[:1] for prompt in held.prompts()) == {"a": AT_ONCE + 1, "c": AT_ONCE}
    assert INPUTS["prompt"] in held.prompts()


def test_where_there_is_little_room_visitors_take_turns(desk: Desk, held: Held) -> None:
    """Who came first must not have everything first."""
    desk.scene.guard.limits = Limits(at_once=2)  # one of them is left for presses
    first, second = desk.begin(3, "a"), desk.begin(3, "b")
    for count in range(1, 7):
        held.wait_for(count)
        held.finish()
    for batch in (first, second):
        desk.wait(batch, lambda now: now.counts.get("done") == 3)
    assert [prompt[0] for prompt in held.prompts()] == list("ababab")


def test_one_visitor_with_many_batches_has_no_more_turns(desk: Desk, held: Held) -> None:
    """Two windows are no way around."""
    batches = [desk.begin(3, token=str(number)) for number in range(3)]
    wait_for(lambda: len(held.prompts()) == AT_ONCE)
    assert sum(desk.counts(batch).get("running", 0) for batch in batches) == AT_ONCE
    assert desk.counts(batches[0])["running"] == AT_ONCE


# --- limits, stops, keys


def test_a_limit_at_once_makes_it_wait_and_leaves_room_for_a_press(desk: Desk, held: Held) -> None:
    """A batch must not answer its own visitor's press with "wait"."""
    desk.scene.guard.limits = Limits(visitor_at_once=2)
    batch = desk.begin(3)
    wait_for(lambda: held.prompts() == ["v0"])
    desk.scene.jobs.generate(MODEL_ID, INPUTS, visitor_id="v")
    wait_for(lambda: len(held.prompts()) == 2)
    with pytest.raises(LimitError):
        desk.scene.jobs.generate(MODEL_ID, INPUTS | {"prompt": "one too many"}, visitor_id="v")
    assert desk.batches.batch(batch.batch_id).state == "running"
    for count in (3, 4):
        held.finish()
        held.wait_for(count)
    held.finish()
    assert dict(desk.wait(batch, lambda now: now.counts.get("done") == 3).counts) == {"done": 3}


def test_a_limit_per_day_pauses_it_with_the_reason_and_a_person_lets_it_go_on(desk: Desk, held: Held) -> None:
    """Money is not spent at midnight behind anybody's back."""
    desk.scene.guard.limits = Limits(visitor_per_day=2)
    batch = desk.begin(3)
    wait_for(lambda: len(held.prompts()) == 2)
    held.finish()
    paused = desk.paused(batch)
    assert isinstance(paused.problem, LimitError)
    assert (paused.problem.limit, paused.problem.most) == ("visitor_per_day", 2)
    assert paused.problem.until is not None
    desk.scene.clock.advance(86_400)
    desk.batches.resume(batch.batch_id)
    wait_for(lambda: len(held.prompts()) == 3)


def test_a_price_that_rises_pauses_it_until_a_person_agrees(desk: Desk, held: Held) -> None:
    """A person agreed to a total; two hundred jobs must not become dearer while nobody looks."""
    guard = desk.scene.guard
    guard.learn_price(MODEL_ID, 0.03, "image")
    batch = desk.begin(5, price_usd=0.03)
    wait_for(lambda: len(held.prompts()) == 2)
    guard.learn_price(MODEL_ID, 0.05, "image")
    held.finish()
    told = desk.paused(batch).problem
    assert isinstance(told, PriceError)
    assert (told.was_usd, told.now_usd, told.left_usd) == pytest.approx((0.03, 0.05, 0.15))
    for language in ("en", "de"):
        assert all(amount in pause_text(told, language, {}).replace(",", ".") for amount in ("0.03", "0.05", "0.15"))
    guard.learn_price(MODEL_ID, 0.08, "image")
    desk.batches.resume(batch.batch_id)
    again = desk.paused(batch).problem
    assert isinstance(again, PriceError), "what a person has not seen is not agreed to"
    assert (again.was_usd, again.now_usd) == (0.05, 0.08)
    assert len(held.prompts()) == 2
    desk.batches.resume(batch.batch_id)
    wait_for(lambda: len(held.prompts()) == 4)
    guard.learn_price(MODEL_ID, 0.01, "image")
    held.finish()
    wait_for(lambda: len(held.prompts()) == 5)


@pytest.mark.parametrize(("agreed", "price"), [(None, (0.05, "image")), (0.03, None), (0.03, (0.5, "second"))])
def test_a_batch_goes_on_where_no_price_can_be_compared(
    desk: Desk, held: Held, agreed: float | None, price: tuple[float, str] | None
) -> None:
    """No total was agreed to, or nobody knows the price: to wait would be to wait for ever."""
    if price:
        desk.scene.guard.learn_price(MODEL_ID, *price)
    desk.begin(1, price_usd=agreed)
    wait_for(lambda: len(held.prompts()) == 1)


@pytest.mark.parametrize("how", ["stop", "visitor"])
def test_what_the_owner_forbids_pauses_it_and_takes_no_new_one(desk: Desk, held: Held, how: str) -> None:
    """The switch holds for batches too, from the next job on."""
    visitor = "a" * 32
    batch = desk.begin(4, visitor)
    wait_for(lambda: len(held.prompts()) == 2)
    controls = desk.scene.moderation
    controls.stop() if how == "stop" else controls.block("visitor", visitor, out=True)
    held.finish()
    assert isinstance(desk.paused(batch).problem, StoppedError if how == "stop" else BlockedError)
    with pytest.raises(StoppedError if how == "stop" else BlockedError):
        desk.begin(1, visitor, token="another")
    assert len(held.prompts()) == 2
    controls.resume() if how == "stop" else controls.block("visitor", visitor, out=False)
    desk.batches.resume(batch.batch_id)
    wait_for(lambda: len(held.prompts()) == 4)


def test_a_forbidden_word_refuses_its_job_and_the_others_go_out(desk: Desk, held: Held) -> None:
    """One bad line of fifty is told, and costs the others nothing."""
    batch = desk.begin(4)
    wait_for(lambda: len(held.prompts()) == 2)
    desk.scene.moderation.block_words(["v2"])
    held.finish()
    wait_for(lambda: "v3" in held.prompts())
    held.finish()
    end = desk.wait(batch, lambda now: now.counts.get("done") == 3)
    assert dict(end.counts) == {"done": 3, "refused": 1}
    assert [(each.inputs["prompt"], type(each.problem)) for each in end.refusals] == [("v2", BlockedWordError)]


def test_it_pauses_when_its_own_key_is_gone_and_goes_on_with_it(scripted: Desk, service: Service) -> None:
    """It must never go on at the owner's cost."""
    service.status("in_queue")
    scripted.scene.api_keys.give(KEY, "session")
    account = scripted.scene.accounts.account("session")
    scripted.scene.api_keys.take_back("session")
    batch = scripted.begin(1, account=account)
    assert isinstance(scripted.paused(batch).problem, KeyNeededError)
    assert service.posts == 0
    scripted.scene.api_keys.give(KEY, "session")
    scripted.batches.resume(batch.batch_id)
    wait_for(lambda: service.posts == 1)
    assert {seen.header("authorization") for seen in service.server.requests_for("POST")} == {f"Bearer {KEY}"}


@pytest.mark.parametrize("answer", [Answer(hang_up=True), json_answer({"code": 402001, "message": "no balance"}, 402)])
def test_trouble_with_the_service_pauses_it_before_all_is_spent(
    scripted: Desk, service: Service, answer: Answer
) -> None:
    """Two hundred lost answers may be two hundred bills."""
    service.accept(answer)
    batch = scripted.begin(20)
    paused = scripted.paused(batch)
    assert isinstance(paused.problem, DispatchError | StoppedError)
    assert service.posts <= AT_ONCE
    service.status("in_queue")
    service.accept(*(json_answer({"request_id": f"r-{number}"}) for number in range(3)))
    for number in range(3):
        service.server.script(f"/v1/requests/r-{number}/status", json_answer({"status": "in_queue"}))
    scripted.scene.moderation.resume()
    posts = service.posts
    scripted.batches.resume(batch.batch_id)
    wait_for(lambda: service.posts == posts + AT_ONCE)
    assert scripted.batches.batch(batch.batch_id).state == "running", "what a person has seen does not pause it again"


def test_inputs_that_the_service_refuses_concern_one_job(scripted: Desk, service: Service) -> None:
    """The next prompt may be fine."""
    service.accept(json_answer({"message": "bad prompt"}, 422))
    batch = scripted.begin(3)
    assert dict(scripted.wait(batch, lambda now: now.counts.get("failed") == 3).counts) == {"failed": 3}
    assert service.posts == 3


class Given:
    """Says of every given file what a test wants."""

    exc: InputError | None = None

    def check(self, *_asked: object) -> None:
        if self.exc:
            raise self.exc

    def clean_up(self) -> None:
        pass


def test_a_given_file_that_is_gone_pauses_it_instead_of_refusing_every_job(desk: Desk, held: Held) -> None:
    """All jobs of a batch need the same files; their host may be back in a minute."""
    edit = "bytedance/dreamina-4-0/edit"
    given = desk.scene.input_files = Given()  # type: ignore[assignment]
    desk.restart()
    given.exc = InputError("image_urls.0", "address_gone", None, "https://a.example/x.png")
    inputs = {"prompt": "a hat on it", "image_urls": ["https://a.example/x.png"]}
    account = desk.scene.accounts.account(None)
    batch = desk.batches.begin(edit, [inputs] * 2, visitor_id="v", account=account, token="t")
    paused = desk.paused(batch)
    assert (dict(paused.counts), getattr(paused.problem, "rule", "")) == ({"waiting": 2}, "address_gone")
    text = pause_text(InputError("image_urls.0", "address_gone", None, "https://a.example/x.png"), "en", {})
    assert "https://a.example/x.png" in text
    given.exc = None
    desk.batches.resume(batch.batch_id)
    desk.wait(batch, lambda now: now.counts.get("waiting", 0) < 2)


# --- pause, continue, cancel


def test_a_pause_sends_nothing_more_and_a_cancel_takes_back_what_was_not_sent(desk: Desk, held: Held) -> None:
    """Each button does what it says, and the numbers say what it did."""
    batch = desk.begin(5)
    wait_for(lambda: len(held.prompts()) == 2)
    desk.batches.pause(batch.batch_id)
    held.finish()
    now = desk.wait(batch, lambda now: now.counts.get("done") == 2)
    assert (now.state, now.problem, dict(now.counts)) == ("paused", None, {"done": 2, "waiting": 3})
    desk.batches.resume(batch.batch_id)
    wait_for(lambda: len(held.prompts()) == 4)
    assert desk.batches.cancel(batch.batch_id) == 1
    assert desk.batches.cancel(batch.batch_id) == 0
    for action in (desk.batches.resume, desk.batches.pause):
        action(batch.batch_id)
        assert desk.batches.batch(batch.batch_id).state == "ended"
    held.finish()
    end = desk.wait(batch, lambda now: now.counts.get("done") == 4)
    assert (end.state, dict(end.counts)) == ("ended", {"done": 4, "cancelled": 1})
    assert len(held.prompts()) == 4


def test_a_batch_that_is_paused_or_cancelled_at_the_last_moment_makes_no_job(desk: Desk, held: Held) -> None:
    """Between the choice of a job and its row, a person may press Cancel: then there must be no row."""
    batch = desk.begin(4)
    wait_for(lambda: len(held.prompts()) == 2)
    [chosen] = desk.batches.next_ones(0.0)
    desk.batches.pause(batch.batch_id)
    for stop in (
        lambda: None,
        lambda: desk.batches.cancel(batch.batch_id),
        lambda: desk.batches.resume(batch.batch_id),
    ):
        stop()
        with pytest.raises(StateError):
            desk.scene.jobs.generate(
                MODEL_ID, chosen.inputs, visitor_id="v",
                also=lambda connection, job: desk.batches.mark_sent(connection, chosen, job),
            )  # fmt: skip
    assert [job.inputs["prompt"] for job in reversed(desk.scene.reader.recent("v"))] == ["v0", "v1"]
    assert len(list(desk.scene.folder.glob("media/*/*"))) == 2, "the folder of a job that is none must go"


def test_many_threads_cannot_send_one_job_twice(desk: Desk, held: Held) -> None:
    """The row of the job and the mark of the plan are one transaction, whoever is quicker."""
    desk.sender.stop()
    batch = desk.begin(1)
    [chosen] = desk.batches.next_ones(0.0)
    gate, faults = threading.Barrier(6), []

    def press() -> None:
        gate.wait()
        try:
            desk.scene.jobs.generate(
                MODEL_ID, chosen.inputs, visitor_id="v", is_click=False,
                also=lambda connection, job: desk.batches.mark_sent(connection, chosen, job),
            )  # fmt: skip
        except StateError as exc:
            faults.append(exc)

    threads = [threading.Thread(target=press) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(faults) == 5
    wait_for(lambda: held.prompts() == ["v0"])
    assert desk.batches.batch(batch.batch_id).state == "ended"


# --- starting


def test_one_start_sent_twice_is_one_batch(desk: Desk, held: Held) -> None:
    """A double click and a resend after a lost answer cost nothing."""
    gate = threading.Barrier(4)
    found: list[Batch] = []

    def begin() -> None:
        gate.wait()
        found.append(desk.begin(2))

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({batch.batch_id for batch in found}) == 1
    wait_for(lambda: len(held.prompts()) == 2)
    held.finish()
    desk.wait(found[0], lambda now: now.counts.get("done") == 2)
    assert desk.begin(2).state == "ended", "even long after"
    assert desk.begin(2, token="another").batch_id != found[0].batch_id
    assert desk.begin(2, visitor="w").batch_id != found[0].batch_id, "another visitor's token is another start"


def test_so_much_may_wait_and_no_more(desk: Desk) -> None:
    """A stranger cannot fill the disk with plans."""
    desk.sender.stop()
    desk.begin(MAX_WAITING["visitor_id"] - 1, address="home")
    desk.begin(1, token="last", address="home")
    with pytest.raises(BatchError) as told:
        desk.begin(1, token="too much", address="home")
    assert told.value.rule == "waiting"
    for number in range(4):
        desk.begin(200, f"w{number}", address="home")
    with pytest.raises(BatchError):
        desk.begin(1, "one more", address="home")
    desk.begin(1, "elsewhere", address="away")
    desk.begin(1, "nowhere")


def test_starting_and_cancelling_for_ever_fills_no_disk(
    desk: Desk, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It costs nothing, and a cleared cookie makes a new visitor each time."""
    monkeypatch.setattr("dreamina_ui.batches.store.KEPT_EMPTY", 2)
    sent = desk.begin(1, address="home")
    desk.wait(sent, lambda now: now.state == "ended")
    desk.sender.stop()
    for number in range(5):
        empty = desk.begin(3, f"w{number}", address="home")
        desk.batches.cancel(empty.batch_id)
    with desk.scene.ledger.reading() as connection:
        kept = connection.execute(sa.select(batches.c.batch_id)).scalars().all()
        inputs = connection.execute(sa.select(items.c.inputs).where(items.c.state == "cancelled")).scalars().all()
    assert len(kept) == 2 + 2
    assert set(inputs) == {"{}"}
    assert len(inputs) == 3 * (2 + 1)
    assert desk.counts(empty) == {"cancelled": 3}
    assert desk.begin(1, address="home").batch_id in kept, "what was paid for once is known for ever"
    assert desk.counts(sent) == {"running": 1}


def test_an_unknown_batch_is_told(desk: Desk) -> None:
    """A page that is a year old asks for it."""
    with pytest.raises(JobNotFoundError):
        desk.batches.batch("nobody")
    assert desk.batches.recent("nobody") == []


# --- a restart


def test_a_restart_goes_on_with_what_ran_and_leaves_paused_what_was(desk: Desk, held: Held) -> None:
    """A server restarts at night; in the morning nothing is lost, and nothing was spent that should not be."""
    going, paused = desk.begin(4, "a"), desk.begin(4, "b")
    wait_for(lambda: len(held.prompts()) == 4)
    desk.scene.moderation.stop()
    held.finish()
    assert isinstance(desk.paused(going).problem, StoppedError)
    desk.paused(paused)
    desk.scene.moderation.resume()
    desk.batches.resume(going.batch_id)
    wait_for(lambda: len(held.prompts()) == 6)
    desk.restart()
    held.finish()
    desk.wait(going, lambda now: now.counts.get("done") == 4)
    still = desk.wait(paused, lambda now: now.counts.get("done") == 2)
    assert (still.state, dict(still.counts)) == ("paused", {"done": 2, "waiting": 2})
    assert isinstance(still.problem, StoppedError), "and why is still told"
    assert Counter(held.prompts()) == dict.fromkeys(["a0", "a1", "a2", "a3", "b0", "b1"], 1)


def test_a_restart_asks_for_the_price_before_it_goes_on(desk: Desk, held: Held, server: Misbehaving) -> None:
    """It rose while the program was away."""
    desk.sender.stop()
    batch = desk.begin(2, price_usd=0.03)
    server.script(f"GET {SUBMIT}", json_answer({"base_price_usd": 0.05, "price_unit": "image"}))
    desk.restart()
    assert isinstance(desk.paused(batch).problem, PriceError)
    assert held.prompts() == []


def test_a_batch_of_another_api_waits_for_it(desk: Desk, held: Held) -> None:
    """What was begun on the sandbox must not be sent where it costs money."""
    sandbox = Account(desk.scene.accounts.account(None).client, "sandbox")
    batch = desk.begin(2, account=sandbox)
    desk.begin(1, "w")
    wait_for(lambda: held.prompts() == ["w0"])
    assert (desk.counts(batch), desk.sender.is_here(desk.batches.batch(batch.batch_id))) == ({"waiting": 2}, False)


# --- what is kept


@pytest.mark.parametrize(
    "exc",
    [
        LimitError("per_day", 3, 5.0), StoppedError("auth"), BlockedError(), BlockedWordError("x"),
        KeyNeededError("give it"), DispatchError("trouble"), InputError("scale", "maximum", 1, [2]),
        LedgerError("full"),
        PriceError(0.03, 0.05, 1.5),
    ],
)  # fmt: skip
def test_a_reason_is_kept_as_it_was(desk: Desk, exc: Any) -> None:
    """It is told in the reader's language, also after a restart."""
    desk.sender.stop()
    batch = desk.begin(2)
    desk.batches.pause(batch.batch_id, exc)
    found = desk.batches.batch(batch.batch_id).problem
    assert str(found) == str(exc)
    assert isinstance(exc, LedgerError) or (type(found), vars(found)) == (type(exc), vars(exc))


def test_a_refused_ledger_leaves_the_plan_as_it_was(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """No job, no mark; it is tried again."""
    desk.sender.stop()
    batch = desk.begin(2)
    [chosen] = desk.batches.next_ones(0.0)

    def broken(connection: sa.Connection, job: Job) -> None:
        desk.batches.mark_sent(connection, chosen, job)
        connection.execute(sa.text("SELECT nothing FROM nowhere"))

    with pytest.raises(LedgerError):
        desk.scene.jobs.generate(MODEL_ID, chosen.inputs, visitor_id="v", also=broken)
    assert desk.counts(batch) == {"waiting": 2}
    with desk.scene.ledger.reading() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(jobs)).scalar() == 0
