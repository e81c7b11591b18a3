"""A visitor's whole history as one ZIP, written while it is sent: what they need to go elsewhere, or to keep it.

`manifest.json` has every job with its files, ratings and boards, one job a line; `manifest.csv` the same for a
spreadsheet. `history_import` reads it. It holds no key of a job or a file: whole ids are replaced by hashes.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import tempfile
import zipfile
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timezone
from typing import Any, BinaryIO, cast

from dreamina_ui.ledger.job import SANDBOX_ORIGIN, Job, Output, iso
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.personal.erasure import all_visitors
from dreamina_ui.library.boards import Boards
from dreamina_ui.library.naming import file_name, shorten_name
from dreamina_ui.library.prompt_tools import Preset, PromptTools
from dreamina_ui.library.zip_stream import CHUNK_BYTES, Sink, add_file, entry_info, free_name
from dreamina_ui.media.store import MediaStore, held

FORMAT = "dreamina-ui-history"
VERSION = 1
_FOLDER = "images/"
_COLUMNS = (
    "file", "prompt", "model_id", "size", "state", "created_at", "cost_usd", "width", "height", "format", "size_bytes",
    "sha256", "favorite", "rating", "boards", "job",
)  # fmt: skip


_FORMULAS = (*"=+-@|", "\t", "\r", "\n", *"\uff1d\uff0b\uff0d\uff20")
"""What some spreadsheet takes for the beginning of a formula or of a program to run, also in full width."""


class HistoryExport:
    """Writes exports; reads rows and files only."""

    def __init__(self, ledger: Ledger, media: MediaStore, boards: Boards, prompts: PromptTools) -> None:
        self._ledger = ledger
        self._media = media
        self._boards = boards
        self._prompts = prompts

    def stream(self, visitor_id: str, scope: str | None = None) -> Iterator[bytes]:
        """The ZIP, in pieces.

        Args:
            visitor_id: whose boards and prompt tools; they come before those of others.
            scope: whose jobs; None for everybody's, then also their boards and prompt tools.

        Raises:
            OSError, DiskError: a file cannot be read.
            LedgerError: the ledger could not be read.
        """
        sink, names = Sink(), set[str]()
        makers = [visitor_id] if scope is not None else self._everybody(visitor_id)
        boards = {board.board_id: board.name for maker in makers for board in self._boards.of_visitor(maker)}
        with (
            tempfile.SpooledTemporaryFile(CHUNK_BYTES) as manifest,
            tempfile.SpooledTemporaryFile(CHUNK_BYTES) as table,
            zipfile.ZipFile(cast(Any, sink), "w", zipfile.ZIP_STORED, allowZip64=True) as archive,
        ):
            head = {"format": FORMAT, "version": VERSION, "exported_at": iso(self._ledger.clock())}
            head |= {"boards": list(dict.fromkeys(boards.values()))} | self._prompt_tools(makers)
            manifest.write((json.dumps(head, ensure_ascii=False)[:-1] + ', "jobs": [').encode())
            table.write(_csv_line(_COLUMNS))
            for number, job in enumerate(self._ledger.every_job(visitor_id=scope)):
                files: list[dict[str, Any]] = []
                on_boards = self._boards_of(visitor_id if scope is not None else None, job, boards)
                for output in job.outputs:
                    if output.state == "kept" and output.deleted_at is None:
                        name = yield from self._add_original(archive, sink, names, job, output)
                        files.append(_file_facts(output, name, on_boards.get(output.file_key, [])))
                    yield sink.take()
                facts = job_facts(job, files)
                manifest.write((",\n" if number else "\n").encode() + json.dumps(facts, ensure_ascii=False).encode())
                table.writelines(_csv_line(row) for row in _rows(facts))
            manifest.write(b"\n]}\n")
            now = datetime.now(timezone.utc).timetuple()[:6]
            for name, file in (("manifest.json", manifest), ("manifest.csv", table)):
                yield from add_file(archive, sink, zipfile.ZipInfo(name, now), cast(BinaryIO, file))
        yield sink.take()

    def _everybody(self, visitor_id: str) -> list[str]:
        """All visitors, this one first."""
        with self._ledger.reading() as reader:
            others = all_visitors(reader)
        return list(dict.fromkeys([visitor_id, *(other for other in others if other is not None)]))

    def _prompt_tools(self, makers: Sequence[str]) -> dict[str, Any]:
        """What these visitors have for prompts; of several of one name, all stay, under names with numbers."""
        wildcards: dict[str, list[str]] = {}
        presets: dict[str, Preset] = {}
        for maker in makers:
            for name, lines in self._prompts.wildcards(maker).items():
                if wildcards.get(name) != lines:
                    wildcards[free_name(name, wildcards, "{name}-{number}")] = lines
            for preset in self._prompts.presets(maker):
                if presets.get(preset.name) != preset:
                    name = free_name(preset.name, presets, "{name} {number}")
                    presets[name] = replace(preset, name=name)
        pins = dict.fromkeys(prompt for maker in makers for prompt in self._prompts.pinned(maker))
        models = dict.fromkeys(model for maker in makers for model in self._prompts.favorite_models(maker))
        return {
            "wildcards": wildcards,
            "favorite_models": list(models),
            "pinned_prompts": list(pins),
            "presets": [asdict(preset) for preset in presets.values()],
        }

    def _boards_of(self, visitor_id: str | None, job: Job, boards: Mapping[str, str]) -> dict[str, list[str]]:
        if not boards or not job.outputs:
            return {}
        by_key = self._boards.of_files(visitor_id, [output.file_key for output in job.outputs])
        return {
            key: list(dict.fromkeys(boards[board_id] for board_id in ids if board_id in boards))
            for key, ids in by_key.items()
        }

    def _add_original(
        self, archive: zipfile.ZipFile, sink: Sink, names: set[str], job: Job, output: Output
    ) -> Generator[bytes, None, str | None]:
        """Add an original; the generator's value is its name, or None if the file is missing."""
        original = self._media.find(job.job_id, output.index, "original", output.sha256)
        if original is None:
            return None
        name = free_name(_FOLDER + shorten_name(file_name(job, output, "original"), 180), names)
        try:
            with held(original) as file:
                yield from add_file(archive, sink, entry_info(name, job), file)
        except FileNotFoundError:
            return None
        names.add(name)
        return name


def export_id(job: Job) -> str:
    """What stands for a job in exports, always the same; nobody can get the `job_id` back from it."""
    return hashlib.sha256(f"export {job.job_id}".encode()).hexdigest()[:32]


def job_facts(job: Job, files: list[dict[str, Any]]) -> dict[str, Any]:
    """What the manifest says of a job."""
    return {
        "job": export_id(job),
        "model_id": job.model_id,
        "inputs": dict(job.inputs),
        "size": job.size,
        "state": job.state,
        "problem": job.problem,
        "cost_usd": job.cost_usd,
        "is_play_money": job.api_origin == SANDBOX_ORIGIN,
        "request_id": job.request_id,
        "created_at": iso(job.created_at),
        "finished_at": iso(job.finished_at),
        "archived": job.archived_at is not None,
        "files": files,
    }


def _file_facts(output: Output, name: Any, boards: list[str]) -> dict[str, Any]:
    names = ("index", "kind", "media_type", "format", "width", "height", "size_bytes", "sha256", "rating")
    facts = {key: getattr(output, key) for key in names}
    return {"file": name, **facts, "favorite": output.favorite_at is not None, "boards": boards}


def _rows(facts: Mapping[str, Any]) -> Iterator[list[Any]]:
    """The lines of a job in the table: one for each file, or one without."""
    prompt = facts["inputs"].get("prompt")
    for file in facts["files"] or [{}]:
        values = {**facts, **file, "prompt": prompt, "boards": ", ".join(file.get("boards", []))}
        yield [values.get(column) for column in _COLUMNS]


def _csv_line(values: Iterable[Any]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow([_cell(value) for value in values])
    return text.getvalue().encode("utf-8", "replace")


def _cell(value: Any) -> Any:
    """A text that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value.lstrip(" \u3000")[:1] in _FORMULAS else value
