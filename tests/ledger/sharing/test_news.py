"""Several servers on one PostgreSQL database: a change that one writes reaches the pages of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue

import psycopg
import pytest

from dreamina_ui.ledger.events import EVERY_JOB
from dreamina_ui.ledger.job import Job
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.sharing import news
from dreamina_ui.ledger.sharing.news import News
from tests.support.databases import PostgresqlEngine
from tests.support.ledger_jobs import new_job

WAIT_S = 30.0


class Server:
    """A ledger and its news, as one of several servers has them."""

    def __init__(self, engine: PostgresqlEngine, path: Path) -> None:
        self.ledger = Ledger(engine.open(path))
        channel = self.ledger.open_channel()
        assert channel is not None
        self.news = News(self.ledger, channel)
        self.news.start()

    def listen(self, topic: str) -> SimpleQueue[Job | None]:
        changes: SimpleQueue[Job | None] = SimpleQueue()
        self.ledger.changes.subscribe(topic, changes.put)
        return changes

    def close(self) -> None:
        self.news.stop()
        self.ledger.close()


@pytest.fixture
def start(tmp_path: Path, pg: PostgresqlEngine) -> Iterator[Callable[[], Server]]:
    servers: list[Server] = []

    def start_one() -> Server:
        servers.append(Server(pg, tmp_path / "ledger"))
        return servers[-1]

    yield start_one
    for server in servers:
        server.close()


def test_a_change_at_one_server_reaches_a_page_of_another(start: Callable[[], Server]) -> None:
    """Whichever server a load balancer chooses, the page shows what happens."""
    first, second = start(), start()
    changes, all_changes = second.listen("v1"), second.listen(EVERY_JOB)
    job = first.ledger.add(new_job(visitor_id="v1"))
    first.ledger.add(new_job(visitor_id="v2"))
    first.ledger.change(job, "queued", request_id="r-1")
    seen = changes.get(timeout=WAIT_S)
    while seen and seen.state != "queued":
        seen = changes.get(timeout=WAIT_S)
    assert seen
    assert (seen.job_id, seen.request_id) == (job.job_id, "r-1")
    assert all_changes.empty(), "what counts and sends for all must not act twice"


def test_other_installations_in_the_database_get_nothing(
    tmp_path: Path, pg: PostgresqlEngine, start: Callable[[], Server]
) -> None:
    """Two installations may share a database, and their visitors have nothing to do with each other."""
    first, second, stranger = start(), start(), Server(pg, tmp_path / "another")
    try:
        changes, unwanted = second.listen("v1"), stranger.listen("v1")
        ours, last = new_job(visitor_id="v1"), new_job(visitor_id="v1")
        first.ledger.add(ours)
        assert changes.get(timeout=WAIT_S)
        stranger.ledger.add(last)
        assert unwanted.get(timeout=WAIT_S) == last, "its own, and only that"
    finally:
        stranger.close()


def test_what_happened_while_the_connection_was_cut_is_caught_up_on(
    start: Callable[[], Server], pg: PostgresqlEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL repeats nothing: without the rows, a page would show `running` until it is loaded again."""
    monkeypatch.setattr(news, "RETRY_INTERVAL_S", 0.01)
    first, second = start(), start()
    changes = second.listen("v1")
    job = first.ledger.add(new_job(visitor_id="v1"))
    assert changes.get(timeout=WAIT_S)
    first.news.stop()  # nobody gets what follows, as between a cut and the next connection
    first.ledger.change(job, "queued", request_id="r-1")
    cut = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND pid <> pg_backend_pid()"
    )
    with suppress(psycopg.Error):
        pg.rows(tmp_path / "ledger", cut)
    seen = changes.get(timeout=WAIT_S)
    while seen and seen.state != "queued":
        seen = changes.get(timeout=WAIT_S)
    assert seen


def test_more_than_is_remembered_is_read_from_the_rows(
    start: Callable[[], Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that is away for an hour must neither fill the memory nor hide what happened."""
    monkeypatch.setattr(news, "MAX_UNSENT", 0)
    first, second = start(), start()
    changes = second.listen("v1")
    job = first.ledger.add(new_job(visitor_id="v1", updated_at=first.ledger.clock()))
    seen = changes.get(timeout=WAIT_S)
    assert seen
    assert seen.job_id == job.job_id


def test_long_names_fit_into_messages(start: Callable[[], Server]) -> None:
    """PostgreSQL refuses a message of 8000 bytes: all news in it would be lost."""
    first = start()
    unsent = {f"{number:032x}": "person-" + "f" * 57 for number in range(1000)}
    messages = list(first.news._messages(unsent, has_missed=True))
    assert max(len(message.encode()) for message in messages) < 7_900
    assert sum(message.count("person-") for message in messages) == 1000


def test_a_server_that_ends_has_reported_everything(start: Callable[[], Server]) -> None:
    """An update of the program must not freeze the pages of the others."""
    first, second = start(), start()
    changes = second.listen("v1")
    job = first.ledger.add(new_job(visitor_id="v1"))
    first.ledger.change(job, "failed", problem="rejected")
    first.news.stop()
    while (seen := changes.get(timeout=WAIT_S)) and seen.state != "failed":
        pass
    assert seen
