"""A library that a test fills: rows in the ledger, and small files where the media store reads them."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from dreamina_ui.ledger.budget_rows import Budget, Usage, add_to_budgets, budget_changes
from dreamina_ui.ledger.job import SETTLED, Job, Output, new_id
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.search import search_text
from dreamina_ui.ledger.tables import jobs as job_rows
from dreamina_ui.ledger.tables import outputs as output_rows
from dreamina_ui.library.input_images import InputImages
from dreamina_ui.library.library import Entry, Library, LibraryFilter
from dreamina_ui.media.folder_store import FolderStore
from dreamina_ui.media.input_store import FolderInputs
from tests.support.databases import make_ledger
from tests.support.decoding import decoder
from tests.support.harness import MODEL_ID, png

ORIGIN = "https://model-api.runcomfy.net"
NOON = 1_795_000_000.0
SIZE = "1024x1024(1:1)"


class ManualClock:
    """A clock that only the test moves."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class LibraryRows:
    """A ledger, a media store and the library over them, in one folder."""

    def __init__(self, folder: Path, clock: Callable[[], float] | None = None) -> None:
        self.clock = clock or ManualClock()
        self.path = folder / "ledger.sqlite3"
        self.media_folder = folder / "media"
        make_ledger(self.path)
        self.ledger = Ledger(self.path, clock=self.clock)
        self.media = FolderStore(self.media_folder)
        self.library = Library(self.ledger, self.media)
        (folder / "inputs").mkdir(parents=True, exist_ok=True)
        self.input_images = InputImages(self.ledger, FolderInputs(folder / "inputs"), decoder(), self.clock)

    def add(self, prompt: str = "a red fox", *, files: int | Iterable[bytes] = 1, **fields: Any) -> Job:
        """Write a job (`done` by default) with originals of this content, or with so many small images."""
        made = make_job(prompt, **{"created_at": self.clock()} | fields)
        contents = [png((8 + index, 8)) for index in range(files)] if isinstance(files, int) else list(files)
        made = replace(made, outputs=tuple(stored_output(index, content) for index, content in enumerate(contents)))
        add_rows(self.ledger, [made])
        for output, content in zip(made.outputs, contents, strict=True):
            folder = self.folder_of(made, output)
            folder.mkdir(parents=True)
            (folder / "original.png").write_bytes(content)
            (folder / "preview.webp").write_bytes(webp((64, 48)))
            (folder / "thumbnail.webp").write_bytes(webp((32, 24)))
        return self.ledger.job(made.job_id)

    def folder_of(self, job: Job, output: Output) -> Path:
        """The folder of the original, preview and thumbnail of an output."""
        return self.media_folder / job.job_id[:2] / job.job_id / str(output.index)

    def files(self) -> list[str]:
        """The names of all files on disk."""
        return sorted(path.name for path in self.media_folder.rglob("*") if path.is_file())

    def entries(self, **filters: Any) -> list[Entry]:
        """All entries of a filter, read in pages of three."""
        return read_all_pages(self.library, LibraryFilter(**filters), limit=3)

    def prompts(self, **filters: Any) -> list[str]:
        """The distinct prompts of all entries, newest first."""
        return list(dict.fromkeys(str(entry.job.inputs["prompt"]) for entry in self.entries(**filters)))


def read_all_pages(
    library: Library, filters: LibraryFilter, limit: int, between: Callable[[], object] = lambda: None
) -> list[Entry]:
    """Read all pages; call `between` after each."""
    entries: list[Entry] = []
    while page := library.page(filters, entries[-1].cursor if entries else "", limit):
        entries += page
        between()
    return entries


def webp(size: tuple[int, int]) -> bytes:
    """A small WebP."""
    file = io.BytesIO()
    Image.new("RGB", size, "tomato").save(file, "WEBP")
    return file.getvalue()


def make_job(prompt: str = "a red fox", **fields: Any) -> Job:
    """A `done` job that is not in a ledger yet."""
    size = fields.get("size", SIZE)
    made = Job(
        job_id=new_id(),
        model_id=MODEL_ID,
        api_origin=ORIGIN,
        inputs={"prompt": prompt, "width×height": size, "scale": 0.5, "force_single": True},
        created_at=NOON,
        updated_at=NOON,
        size=size,
        state="done",
        visitor_id="v",
    )
    made = replace(made, **fields)
    return replace(made, finished_at=made.created_at + 9) if made.state in SETTLED else made


def stored_output(index: int, content: bytes) -> Output:
    """A stored output with this original; of small ones the size does not matter."""
    width, height = 8 + index, 8
    if len(content) > 2000:
        with contextlib.suppress(UnidentifiedImageError):  # some tests store what is no image
            width, height = Image.open(io.BytesIO(content)).size
    return Output(
        index, "image", new_id(), "kept", "original.png", "image/png", "PNG", width, height,
        len(content), hashlib.sha256(content).hexdigest(),
    )  # fmt: skip


def add_rows(ledger: Ledger, made: Iterable[Job]) -> None:
    """Write many jobs into a ledger in one transaction, and publish nothing, as another process would."""
    rows, files = [], []
    usage: dict[tuple[Budget, int], Usage] = {}
    for job in made:
        for key, change in budget_changes(None, job).items():
            usage[key] = Usage(*map(sum, zip(usage.get(key, Usage()), change, strict=True)))
        facts = {column.key: getattr(job, column.key, None) for column in job_rows.columns}
        rows.append(facts | {"inputs": json.dumps(dict(job.inputs)), "search_text": search_text(job.inputs)})
        for output in job.outputs:
            values = asdict(output)
            files.append({"job_id": job.job_id, "output_index": values.pop("index"), **values})
    with ledger.writing() as transaction:
        transaction.connection.execute(job_rows.insert(), rows)
        if files:
            transaction.connection.execute(output_rows.insert(), files)
        add_to_budgets(transaction, usage)


def read_zip(data: bytes) -> tuple[zipfile.ZipFile, list[dict[str, Any]]]:
    """A downloaded archive, which must be intact, and its manifest."""
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert archive.testzip() is None
    return archive, json.loads(archive.read("manifest.json"))
