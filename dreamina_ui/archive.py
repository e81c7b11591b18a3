"""Pictures as one ZIP, written while it is sent: memory stays flat, whatever the size.

Originals go in byte for byte and uncompressed, as pictures are compressed already; `manifest.json` says what they are.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from dreamina_ui.job import Job, Output, iso

CHUNK_BYTES = 1 << 20


class _Sink:
    """A file that cannot seek: what ZipFile writes is taken away piece by piece."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> int:
        self._pieces.append(bytes(piece))
        return len(piece)

    def flush(self) -> None:
        pass

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


def stream_zip(files: Iterable[tuple[Job, Output, Path, str]]) -> Iterator[bytes]:
    """A ZIP of originals with their manifest, in pieces of about a megabyte.

    Args:
        files: job, output, where its original is, and its name in the ZIP; read one by one.
    """
    sink = _Sink()
    manifest: list[dict[str, Any]] = []
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:  # type: ignore[call-overload]
        for job, output, path, name in files:
            made = datetime.fromtimestamp(job.created_at, timezone.utc)
            entry = zipfile.ZipInfo(name, max(made, datetime(1980, 1, 1, tzinfo=timezone.utc)).timetuple()[:6])
            entry.external_attr = 0o644 << 16
            problem = None
            try:
                with path.open("rb") as original, archive.open(entry, "w", force_zip64=True) as target:
                    while chunk := original.read(CHUNK_BYTES):
                        target.write(chunk)
                        yield sink.take()
            except FileNotFoundError:
                problem = "the file is missing on disk"
            manifest.append(_manifest_entry(job, output, None if problem else name, problem))
            yield sink.take()
        archive.writestr("manifest.json", json.dumps(manifest, ensure_ascii=False, indent=1))
    yield sink.take()


def _manifest_entry(job: Job, output: Output, name: str | None, problem: str | None) -> dict[str, Any]:
    entry = {
        "file": name,
        "prompt": job.inputs.get("prompt"),
        "inputs": dict(job.inputs),
        "model_id": job.model_id,
        "job_id": job.job_id,
        "request_id": job.request_id,
        "cost_usd": job.cost_usd,
        "created_at": iso(job.created_at),
        "finished_at": iso(job.finished_at),
        "index": output.index,
        "width": output.width,
        "height": output.height,
        "format": output.format,
        "size_bytes": output.size_bytes,
        "sha256": output.sha256,
    }
    return entry | {"problem": problem} if problem else entry
