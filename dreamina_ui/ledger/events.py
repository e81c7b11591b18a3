"""Who wants to hear of a job's changes: the ledger publishes, open pages and programs subscribe."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable

from dreamina_ui.ledger.job import Job

log = logging.getLogger(__name__)
EVERY_JOB = "every job"
"""The topic of all changes that this program writes, whosever job it is."""

Listener = Callable[[Job | None], object]


class JobEvents:
    """Subscriptions by topic: a job_id, a visitor_id for all jobs of one visitor, or `EVERY_JOB`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: dict[str, dict[object, Listener]] = defaultdict(dict)

    def subscribe(self, topic: str, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every change under `topic`, from any thread, and with None when the program stops.

        It must not block. The result ends the subscription.
        """
        subscription = object()
        with self._lock:
            self._listeners[topic][subscription] = listener

        def unsubscribe() -> None:
            with self._lock:
                self._listeners[topic].pop(subscription, None)
                if not self._listeners[topic]:
                    del self._listeners[topic]

        return unsubscribe

    def has_listener(self, *topics: str) -> bool:
        """Whether anybody listens to one of these topics."""
        with self._lock:
            return any(topic in self._listeners for topic in topics)

    def topics(self) -> list[str]:
        """The jobs and visitors that somebody listens to."""
        with self._lock:
            return [topic for topic in self._listeners if topic != EVERY_JOB]

    def publish(self, job: Job, *, is_ours: bool = True) -> None:
        """Tell everyone who listens to this job, to its visitor or to all.

        Args:
            is_ours: False for what another program wrote, which is no news for those who listen to all.
        """
        with self._lock:
            listeners = [
                listener
                for topic in {job.job_id, job.visitor_id, EVERY_JOB if is_ours else None}
                if topic
                for listener in self._listeners.get(topic, {}).values()
            ]
        _publish(listeners, job)

    def close(self) -> None:
        """Tell every listener that the program stops: open streams end, instead of being cut off."""
        with self._lock:
            listeners = [listener for topic in self._listeners.values() for listener in topic.values()]
        _publish(listeners, None)


def _publish(listeners: list[Listener], job: Job | None) -> None:
    for listener in listeners:
        try:
            listener(job)
        except Exception:  # one closed page must not keep the news from the others
            log.exception("A listener to job %s failed", job.job_id[:8] if job else "of all")
