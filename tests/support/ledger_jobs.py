"""Jobs as they are before the ledger has them."""

from __future__ import annotations

from typing import Any

from dreamina_ui.ledger.job import Job, new_id

ORIGIN = "https://model-api.runcomfy.net"


def new_job(**fields: Any) -> Job:
    """A job with these fields; `prompt` stands for inputs with nothing else."""
    inputs = {"prompt": fields.pop("prompt", "fox")}
    required = {"job_id": new_id(), "model_id": "m", "api_origin": ORIGIN, "inputs": inputs}
    return Job(**{**required, "created_at": 1.0, "updated_at": 1.0, **fields})
