"""Create a library of any size in seconds: rows written in bulk, and a few images hard-linked many times."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from random import Random

from dreamina_ui.ledger.budget_rows import rebuild_budgets
from dreamina_ui.ledger.engines.sqlite import open_sqlite
from dreamina_ui.ledger.job import Job, Output
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.search import search_text
from dreamina_ui.ledger.tables import jobs, outputs
from dreamina_ui.ledger.transaction import Transaction
from dreamina_ui.library.library import Entry
from dreamina_ui.media.decoding.images import make_copies
from dreamina_ui.media.formats import recognise
from dreamina_ui.media.store import TIERS
from dreamina_ui.models.schema import load_models
from dreamina_ui.sandbox.painter import paint_file

SIZES = ("1024x1024(1:1)", "2048x2048(1:1)", "2304x1728(4:3)")
PICTURES_PER_JOB = 3
RARE_WORD = "axolotl"
"""Only in the prompt of the oldest job, so that a search reaches it last."""

_SUBJECTS = ("a red fox", "a lighthouse above the sea", "a city at night", "mountains and a lake", "an old forest",
             "a desert under stars", "a river in spring", "snow on a quiet village")  # fmt: skip
_STYLES = ("at dawn", "in autumn", "in the rain", "as an oil painting", "in soft light", "seen from far above")
_NOON = 1_795_000_000.0


def make_library(data: Path, job_count: int, visitor_id: str, api_origin: str) -> list[Entry]:
    """Fill an empty data folder with jobs of three images each, and one failed job for every four.

    Args:
        visitor_id: the owner of every tenth job.

    Returns:
        All entries, newest first.
    """
    painted = _paint(data.parent / "painted")
    made = list(_jobs(job_count, visitor_id, api_origin, painted))
    Ledger(data / "ledger.sqlite3").close()
    engine = open_sqlite(data / "ledger.sqlite3", busy_timeout_s=10.0)
    with engine.begin() as connection:
        connection.execute(jobs.insert(), [_row(job) for job in made])
        connection.execute(outputs.insert(), [_file_row(job, output) for job in made for output in job.outputs])
        rebuild_budgets(Transaction(connection))
    engine.dispose()
    for number, job in enumerate(made):
        for output in job.outputs:
            _link(painted[(number + output.index) % len(painted)], data / "media", job, output)
    newest_first = sorted(made, key=lambda job: (job.created_at, job.job_id), reverse=True)
    return [Entry(job, output) for job in newest_first for output in (job.outputs or (None,))]


def _paint(folder: Path) -> list[Path]:
    """Paint a few images and make their previews with the code of the app, once for all libraries of a folder."""
    folders = [folder / str(number) for number in range(len(_SUBJECTS))]
    for number, home in enumerate(folders):
        if home.exists():
            continue
        home.mkdir(parents=True)
        prompt = f"{_SUBJECTS[number]} {_STYLES[number % len(_STYLES)]}"
        paint_file(home / "original.png", prompt, 1024, 1024, seed=number, index=0, count=1)
        form = recognise((home / "original.png").read_bytes()[:64])
        assert form
        with (home / "original.png").open("rb") as file:
            copies = make_copies(file, form, TIERS[1:], max_pixels=2 * 10**6)
        for tier, data in copies.files.items():
            (home / f"{tier}.webp").write_bytes(data)
    return folders


def _jobs(job_count: int, visitor_id: str, api_origin: str, painted: Sequence[Path]) -> Iterator[Job]:
    random = Random(1)
    facts = [_facts(folder / "original.png") for folder in painted]
    model_id = next(name for name, model in load_models().items() if "width×height" in model.input_schema["properties"])
    prompts = list(product(_SUBJECTS, _STYLES))
    for number in range(job_count + job_count // 4):
        failed = number >= job_count
        words = " ".join(random.choice(prompts))
        size = random.choice(SIZES)
        created_at = _NOON + (random.uniform(1, job_count) if failed else number) * 60
        inputs = {
            "prompt": f"{words}, number {number}" + (f", {RARE_WORD}" if number == 0 else ""),
            "width×height": size, "scale": 0.5, "force_single": False,
        }  # fmt: skip
        yield Job(
            job_id=f"{random.getrandbits(128):032x}",
            visitor_id=visitor_id if number % 10 == 0 else f"{number % 50:032x}",
            model_id=model_id,
            api_origin=api_origin,
            inputs=inputs,
            size=size,
            state="failed" if failed else "done",
            problem="failed_at_service" if failed else None,
            request_id=f"{random.getrandbits(128):032x}",
            cost_usd=None if failed else 0.09,
            created_at=created_at,
            updated_at=created_at + 20,
            accepted_at=created_at + 1,
            started_at=created_at + 5,
            completed_at=None if failed else created_at + 18,
            finished_at=created_at + 20,
            outputs=()
            if failed
            else tuple(
                replace(
                    facts[(number + index) % len(facts)],
                    index=index,
                    file_key=f"{random.getrandbits(128):032x}",
                    favorite_at=created_at + 60 if random.random() < 0.1 else None,
                )
                for index in range(PICTURES_PER_JOB)
            ),
        )


def _facts(original: Path) -> Output:
    content = original.read_bytes()
    return Output(
        0, "image", "", "kept", "original.png", "image/png", "PNG", 1024, 1024,
        len(content), hashlib.sha256(content).hexdigest(),
    )  # fmt: skip


def _row(job: Job) -> dict[str, object]:
    facts = {column.key: getattr(job, column.key, None) for column in jobs.columns}
    return facts | {"inputs": json.dumps(dict(job.inputs)), "search_text": search_text(job.inputs)}


def _file_row(job: Job, output: Output) -> dict[str, object]:
    values = asdict(output)
    return {"job_id": job.job_id, "output_index": values.pop("index"), **values}


def _link(painted: Path, media: Path, job: Job, output: Output) -> None:
    folder = media / job.job_id[:2] / job.job_id / str(output.index)
    folder.mkdir(parents=True)
    for file in painted.iterdir():
        os.link(file, folder / file.name)
