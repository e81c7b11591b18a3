"""Files as one ZIP, written while it is sent: memory stays flat, whatever the size.

Originals go in byte for byte and uncompressed, as images are compressed already; `manifest.json` says what they are.
"""

from __future__ import annotations

import json
import tempfile
import zipfile
import zlib
from collections.abc import Container, Iterable, Iterator
from datetime import datetime, timezone
from itertools import chain, count
from typing import IO, Any

from dreamina_ui.errors import MediaError
from dreamina_ui.ledger.job import Job, Output, iso
from dreamina_ui.media.store import StoredFile, held

CHUNK_BYTES = 1 << 20
SHORT_ID_LENGTH = 8


class Sink:
    """A file that only grows: what is written is taken away piece by piece."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def write(self, piece: bytes) -> int:
        self._pieces.append(bytes(piece))
        self._size += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._size

    def flush(self) -> None:
        pass

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


def stream_zip(files: Iterable[tuple[Job, Output, StoredFile | None, str]]) -> Iterator[bytes]:
    """A ZIP of originals with their manifest, in pieces of about a megabyte.

    Each file is read twice: its size and checksum stand before it, since readers that take the ZIP as a stream, such
    as Java's, cannot tell where an uncompressed file ends otherwise.

    Args:
        files: job, output, its original (None if it is not there), and its name in the ZIP; read one by one.

    Raises:
        OSError: a file cannot be read.
        MediaError: a file changed meanwhile.
    """
    sink = Sink()
    names: set[str] = set()
    with (
        # As objects in memory, the manifest of 30,000 files would take 150 MB.
        tempfile.SpooledTemporaryFile(CHUNK_BYTES) as manifest,
        zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED, allowZip64=True) as archive,  # type: ignore[call-overload]
    ):
        manifest.write(b"[")
        for number, (job, output, original, wish) in enumerate(files):
            name = free_name(wish, names)
            problem = None
            try:
                if original is None:
                    raise FileNotFoundError
                with held(original) as file:
                    yield from add_file(archive, sink, entry_info(name, job), file)
                names.add(name)
            except FileNotFoundError:
                problem = "the file is missing on disk"
            entry = manifest_entry(job, output, None if problem else name, problem)
            manifest.write((",\n" * bool(number) + json.dumps(entry, ensure_ascii=False)).encode())
            yield sink.take()
        manifest.write(b"]\n")
        now = datetime.now(timezone.utc).timetuple()[:6]
        yield from add_file(archive, sink, zipfile.ZipInfo("manifest.json", now), manifest)
    yield sink.take()


def add_file(archive: zipfile.ZipFile, sink: Sink, entry: zipfile.ZipInfo, file: IO[bytes]) -> Iterator[bytes]:
    """Add a file, uncompressed, behind a complete header; ZipFile itself would write size and checksum later."""
    entry.CRC, entry.file_size = _measure(file)
    entry.compress_size = entry.file_size
    entry.header_offset = sink.tell()
    sink.write(entry.FileHeader())
    file.seek(0)
    checksum, left = 0, entry.file_size
    while left and (chunk := file.read(min(CHUNK_BYTES, left))):
        checksum = zlib.crc32(chunk, checksum)
        left -= len(chunk)
        sink.write(chunk)
        yield sink.take()
    if left or checksum != entry.CRC:
        raise MediaError(f"{entry.filename} changed while it was packed. Download it again.")
    archive.filelist.append(entry)
    archive.start_dir = sink.tell()


def _measure(file: IO[bytes]) -> tuple[int, int]:
    """The CRC-32 and the size of a file."""
    file.seek(0)
    checksum = size = 0
    while chunk := file.read(CHUNK_BYTES):
        checksum = zlib.crc32(chunk, checksum)
        size += len(chunk)
    return checksum, size


def entry_info(name: str, job: Job) -> zipfile.ZipInfo:
    """The head of a job's file in a ZIP."""
    made = datetime.fromtimestamp(job.created_at, timezone.utc)
    entry = zipfile.ZipInfo(name, max(made, datetime(1980, 1, 1, tzinfo=timezone.utc)).timetuple()[:6])
    entry.external_attr = 0o644 << 16
    return entry


def free_name(wish: str, names: Container[str], pattern: str = "{number}-{name}") -> str:
    """The wished name, with a number as in `pattern` if it is taken."""
    numbered = (pattern.format(name=wish, number=number) for number in count(2))
    return next(name for name in chain([wish], numbered) if name not in names)


def manifest_entry(job: Job, output: Output, name: str | None, problem: str | None) -> dict[str, Any]:
    """What a manifest says about a file.

    A manifest is passed on with its files. The whole `job_id` is the key to the job: only its beginning is there.
    """
    entry = {
        "file": name,
        "prompt": job.inputs.get("prompt"),
        "inputs": dict(job.inputs),
        "model_id": job.model_id,
        "job_id": job.job_id[:SHORT_ID_LENGTH],
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
