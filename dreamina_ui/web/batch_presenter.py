"""A batch as JSON: the table that a person sees before anything is sent, and the card that the page shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from dreamina_ui.batches.dispatcher import Dispatcher
from dreamina_ui.batches.line_notices import find_notices
from dreamina_ui.batches.store import Batch
from dreamina_ui.ledger.job import Job
from dreamina_ui.library.naming import prompt_of
from dreamina_ui.models.schema import Model
from dreamina_ui.web.i18n.error_texts import error_text, field_titles, pause_text
from dreamina_ui.web.i18n.translate import translate
from dreamina_ui.web.presenters import MAX_ALT_CHARACTERS, JobPresenter

COUNTS = ("done", "running", "waiting", "failed", "unclear", "cancelled", "refused")
MAX_REFUSALS = 10
"""How many refused jobs a card names."""


class BatchPresenter:
    """Makes JSON of batches.

    Args:
        models: by model_id.
        dispatcher: knows which batches this program can run.
    """

    def __init__(self, jobs: JobPresenter, models: Mapping[str, Model], dispatcher: Dispatcher) -> None:
        self._jobs = jobs
        self._models = models
        self._dispatcher = dispatcher

    def item(self, model_id: str, inputs: Mapping[str, Any], language: str) -> dict[str, str]:
        """A job to be: `{"prompt": str, "settings": str}`; of a long prompt only the beginning."""
        job = Job(job_id="", model_id=model_id, api_origin="", inputs=inputs, created_at=0, updated_at=0)
        return {
            "prompt": prompt_of(job)[:MAX_ALT_CHARACTERS],
            "settings": self._jobs.settings_text(model_id, inputs, language),
        }

    def card(self, batch: Batch, language: str) -> dict[str, Any]:
        """What the page shows of a batch, in the visitor's language."""
        total = sum(batch.counts.values())
        counts = {name: batch.counts.get(name, 0) for name in COUNTS}
        shown = [name for name in COUNTS if counts[name] or name == "done"]
        summary = (translate(language, f"batch_count_{name}", count=counts[name], total=total) for name in shown)
        return {
            "batch_id": batch.batch_id,
            "state": batch.state,
            "active": batch.state != "ended" or counts["running"] > 0,
            "created_at": batch.created_at,
            "total": total,
            "counts": counts,
            "summary": " · ".join(summary),
            "message": self._message(batch, language),
            "refusals": [
                self.item(batch.model_id, refusal.inputs, language)
                | {"reason": error_text(refusal.problem, language, self._titles(batch, language))}
                for refusal in batch.refusals[:MAX_REFUSALS]
            ],
        }

    def _message(self, batch: Batch, language: str) -> str:
        if batch.state == "paused" and batch.problem:
            return pause_text(batch.problem, language, self._titles(batch, language))
        if batch.state == "paused":
            return translate(language, "batch_paused")
        if batch.state == "running" and not self._dispatcher.can_run(batch):
            return translate(language, "batch_elsewhere", origin=batch.api_origin, model=batch.model_id)
        return ""

    def _titles(self, batch: Batch, language: str) -> dict[str, str]:
        model = self._models.get(batch.model_id)
        return field_titles(model, language) if model else {}


def line_notices(text: Any, language: str) -> list[dict[str, Any]]:
    """The odd lines of a batch's text: `[{"line": int, "kind": str, "excerpt": str, "message": str}]`."""
    notices = []
    for notice in find_notices(text if isinstance(text, str) else ""):
        problem = translate(language, f"batch_notice_{notice.kind}")
        sentence = translate(language, "batch_notice", line=notice.line, excerpt=notice.excerpt, text=problem)
        notices.append(asdict(notice) | {"message": sentence})
    return notices
