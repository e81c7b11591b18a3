"""A bucket that is away for a while costs nobody anything: jobs wait for it, and nothing new is paid for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dreamina_ui.errors import StorageError
from dreamina_ui.media.bucket import Bucket
from dreamina_ui.media.object_store import ObjectStore
from dreamina_ui.media.store import Draft
from tests.support.harness import Harness, ScriptedApi


class Outage(ObjectStore):
    """A bucket that can be away."""

    is_away = False

    def check_writable(self) -> None:
        self._require_it()
        super().check_writable()

    @contextmanager
    def draft(self, job_id: str, index: int) -> Iterator[Draft]:
        self._require_it()
        with super().draft(job_id, index) as draft:
            yield draft

    def _require_it(self) -> None:
        if self.is_away:
            raise StorageError("it cannot be reached")


@pytest.fixture
def store(harness: Harness, bucket: Bucket, tmp_path: Path) -> Outage:
    made = Outage(bucket, tmp_path / "scratch")
    harness.make_store = lambda _: made
    harness.rebuild()
    return made


def test_jobs_wait_for_the_bucket_and_finish_when_it_is_back(
    store: Outage, harness: Harness, service: ScriptedApi
) -> None:
    """Their images are paid for, and the service deletes them some day."""
    harness.start()
    service.status("in_progress")
    job = harness.wait(harness.generate().job_id, "running")
    store.is_away = True
    service.completes(service.picture("1.png"), service.picture("2.png", (30, 90)))
    stuck = harness.wait(job.job_id, lambda job: job.problem == "storage")
    assert stuck.state == "saving"
    assert service.server.requests_for("GET", "/files/1.png") == [], "what cannot be stored is not fetched"
    store.is_away = False
    done = harness.wait(job.job_id)
    assert (done.state, done.problem, service.posts) == ("done", None, 1)
    for output in done.outputs:
        original = harness.reader.original(done, output)
        assert original
        assert original.size_bytes == output.size_bytes


def test_nothing_is_paid_for_while_the_bucket_is_away(store: Outage, harness: Harness, service: ScriptedApi) -> None:
    """Images that cannot be stored must not be bought."""
    harness.start()
    store.is_away = True
    with pytest.raises(StorageError):
        harness.generate()
    assert service.posts == 0
