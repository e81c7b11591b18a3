"""A batch as JSON: the table that a person sees before anything is sent, and the card that the page shows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from dreamina_ui.batches.dispatcher import Dispatcher
from dreamina_ui.batches.layout import ALTERNATIVES, PROMPT, REPEAT, Label, Layout
from dreamina_ui.batches.line_notices import find_notices
from dreamina_ui.batches.store import Batch, BatchGrid, GridCell
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
            "prompt": self.item(batch.model_id, batch.first_inputs, language)["prompt"],
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

    def axes(self, model_id: str, axes: Sequence[str], columns: Sequence[str], language: str) -> list[dict[str, Any]]:
        """What varies in a batch: `[{"key": str, "title": str, "is_column": bool}]`."""
        model = self._models[model_id]
        titles = field_titles(model, language) | {
            ALTERNATIVES: translate(language, "batch_axis_alternatives"),
            REPEAT: translate(language, "batch_repeats"),
        }
        return [{"key": axis, "title": titles[axis], "is_column": axis in columns} for axis in axes]

    def labels(self, model_id: str, layout: Layout, language: str) -> dict[str, list[dict[str, str]]]:
        """The labels of rows and columns: `{"rows": [{"title": str, "detail": str}], "columns": [...]}`."""
        return {
            "rows": [self._label(model_id, label, language) for label in layout.rows],
            "columns": [self._label(model_id, label, language) for label in layout.columns],
        }

    def _label(self, model_id: str, label: Label, language: str) -> dict[str, str]:
        values = dict(label)
        repeat = values.pop(REPEAT, None)
        title = str(values.pop(PROMPT, None) or values.pop(ALTERNATIVES, ""))
        details = [self._jobs.settings_text(model_id, values, language)]
        if repeat is not None:
            details.append(translate(language, "batch_repeat", number=repeat))
        detail = " · ".join(filter(None, details))
        return {"title": title, "detail": detail} if title else {"title": detail, "detail": ""}

    def grid(self, grid: BatchGrid, language: str, *, since: float, for_owner: bool) -> dict[str, Any]:
        """A batch with its cells; jobs that did not change since a moment (seconds since 1970) are left out."""
        changed = [cell.job for cell in grid.cells if cell.job and cell.job.updated_at >= since]
        cards = {card["job_id"]: card for card in self._jobs.cards(changed, language, for_owner=for_owner)}
        cells = zip(grid.cells, grid.layout.cells, strict=True)
        return {
            "batch": self.card(grid.batch, language),
            "model_id": grid.batch.model_id,
            **self.labels(grid.batch.model_id, grid.layout, language),
            "cells": [self._cell(grid, cell, row, column, cards, language) for cell, (row, column) in cells],
            "read_at": max((cell.job.updated_at for cell in grid.cells if cell.job), default=0.0),
            "request": json.loads(grid.request) if grid.request else None,
        }

    def _cell(
        self, grid: BatchGrid, cell: GridCell, row: int, column: int, cards: Mapping[str, Any], language: str
    ) -> dict[str, Any]:
        job_id = cell.job.job_id if cell.job else None
        facts = {"job": cards[job_id]} if job_id is not None and job_id in cards else {}
        reason = error_text(cell.problem, language, self._titles(grid.batch, language)) if cell.problem else ""
        state = "waiting" if cell.state == "planned" else cell.state
        known = {"position": cell.position, "row": row, "column": column}
        return known | {"state": state, "job_id": job_id, "reason": reason} | facts

    def _message(self, batch: Batch, language: str) -> str:
        if batch.state == "paused" and batch.problem:
            return pause_text(batch.problem, language, self._titles(batch, language))
        if batch.state == "paused":
            return translate(language, "batch_paused")
        if batch.state == "running" and not self._dispatcher.can_run(batch):
            return translate(language, "batch_elsewhere", origin=batch.api_origin, model=batch.model_id)
        if batch.state == "running" and batch.problem:
            reason = error_text(batch.problem, language, self._titles(batch, language))
            return translate(language, "batch_waits", reason=reason)
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
