"""What is shown of a job while its files are fetched."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from dreamina_ui.ledger.job import Job
from dreamina_ui.web.i18n.translate import file_size
from tests.support.bad_server import ScriptedResponse
from tests.support.harness import Harness, ScriptedApi


def test_what_has_arrived_of_a_jpeg_is_shown(
    harness: Harness, service: ScriptedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a slow line an image takes half a minute, and its beginning tells whether it is worth waiting for."""
    monkeypatch.setattr("dreamina_ui.jobs.saving.SAVING_S", 0.01)
    file = io.BytesIO()
    Image.effect_noise((600, 400), 120).save(file, "JPEG", quality=98)
    half = len(file.getvalue()) // 2
    response = ScriptedResponse(200, file.getvalue(), piece_bytes=half, piece_pause_s=60)
    service.completes(service.file("slow.jpg", response))
    harness.start()

    def output(job: Job) -> dict[str, Any]:
        return next(iter(harness.presenter.card(job, "en", for_owner=True)["outputs"]), {})

    job = harness.wait(harness.generate().job_id, lambda job: "early_preview" in output(job), timeout_s=45)
    assert (job.state, output(job)["state"]) == ("saving", "pending")
    assert output(job)["facts"] == file_size("en", half)
    assert output(job)["early_preview"].startswith("data:image/webp;base64,UklGR")
