"""Copies that leave the data folder: pictures with their manifest, and a backup; each whole, or not there at all.

Nothing that exists is overwritten, unless force is asked for.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from itertools import chain, product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dreamina_ui.cli.data_dir_reader import LEDGER_NAME, RecordFile, Records
from dreamina_ui.cli.verify import SETTLE_S
from dreamina_ui.errors import DiskError
from dreamina_ui.ledger.engines.sqlite import copy_sqlite
from dreamina_ui.ledger.job import Job, Output
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.personal.input_image_rows import every_image, find_image
from dreamina_ui.ledger.sharing.transfer import copy_ledger
from dreamina_ui.library.library import Entry
from dreamina_ui.library.naming import ascii_name, file_name, shorten_name
from dreamina_ui.library.zip_stream import manifest_entry, stream_zip
from dreamina_ui.media.bucket import BucketError
from dreamina_ui.media.store import StoredFile, held

MANIFEST_NAME = "manifest.json"

_NAME_BYTES = (255, 143, 100, 60)
"""How long a file's name may be: on most file systems, in encrypted folders (eCryptfs), and in ever tighter places."""

_NAME_ERRORS = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL)
"""What a file system says of a name that is too long, or has letters that it cannot store."""

_MAX_NUMBER = 99
"""How many files of one name a folder takes."""

_COPY_BYTES = 1 << 20
_Original = tuple[Job, Output, RecordFile]


@dataclass
class Copied:
    """What came of a copy: originals and their bytes that are in it now, and where files are not that should be."""

    files: int = 0
    size_bytes: int = 0
    missing: list[str] = field(default_factory=list)

    def count(self, output: Output) -> None:
        self.files += 1
        self.size_bytes += output.size_bytes or 0


def export_zip(records: Records, entries: Iterable[Entry], target: Path) -> Copied:
    """Write the originals of entries and a manifest into one new ZIP; without any file there is no ZIP.

    Raises:
        DiskError: `target` exists already, or the disk refuses.
        LedgerError: the ledger could not be read.
    """
    copied = Copied()

    def files() -> Iterator[tuple[Job, Output, StoredFile | None, str]]:
        for job, output, original in _originals(records, entries):
            if original.stored:
                copied.count(output)
            else:
                copied.missing.append(original.location)  # the manifest says so too
            yield job, output, original.stored, file_name(job, output, "original")

    _refuse_existing(target)
    made = files()
    first = next(made, None)
    if first:
        with _whole(target) as whole, whole.open("wb") as file:
            file.writelines(stream_zip(chain([first], made)))
    return copied


def export_folder(records: Records, entries: Iterable[Entry], folder: Path) -> Copied:
    """Write the originals of entries and a manifest into a folder; what is there already byte for byte stays.

    A manifest of an earlier export keeps its other entries.

    Raises:
        DiskError: a file in the way is none of ours, or the disk refuses.
        LedgerError: the ledger could not be read.
    """
    copied = Copied()
    manifest = _old_manifest(folder / MANIFEST_NAME)
    old = dict(manifest)
    try:
        for job, output, original in _originals(records, entries):
            if not original.stored:
                copied.missing.append(original.location)
                continue
            name = _put(original.stored, folder, file_name(job, output, "original"))
            manifest[name] = manifest_entry(job, output, name, None)
            copied.count(output)
    finally:  # also when the disk is full: the manifest names what is there
        if manifest != old:
            with _whole(folder / MANIFEST_NAME, force=True) as whole:
                whole.write_text(json.dumps(list(manifest.values()), ensure_ascii=False, indent=1), encoding="utf-8")
    return copied


def backup(
    records: Records, target: Path, *, force: bool = False, pause: Callable[[float], object] = time.sleep
) -> Copied:
    """Write a ZIP of the ledger as it is now, and of every file that this copy of it names, given images included.

    `restore` reads it. Unpacked into an empty folder, it is a data folder, too, wherever the images were.

    Args:
        force: replace a file that is there.
        pause: called with the seconds to wait before a file that is not there is looked for again.

    Raises:
        DiskError: `target` exists already, or the disk refuses.
        LedgerError: the ledger could not be read.
    """
    copied = Copied()
    _refuse_existing(target, force)
    with _whole(target, force=force) as whole:
        copy = whole.with_name(LEDGER_NAME)
        if records.ledger_name == LEDGER_NAME:
            copy_sqlite(records.folder / LEDGER_NAME, copy)
        else:
            with closing(Ledger(copy)) as ledger:
                copy_ledger(records.ledger, ledger)
        whole.touch(mode=0o600)  # it holds everybody's prompts
        with zipfile.ZipFile(whole, "w", strict_timestamps=False) as archive:
            with closing(Ledger(copy)) as ledger:
                absent = []
                for job in ledger.every_job():
                    for output in job.outputs:
                        if output.state != "kept":
                            continue
                        if _pack(archive, records.stored_files(job, output)):
                            copied.count(output)
                        else:
                            absent.append((job, output))
                if absent:
                    pause(SETTLE_S)
                for job, output in absent:
                    _settle(archive, records, ledger, job, output, copied)
                _pack_inputs(archive, records, ledger, copied)
            archive.write(copy, LEDGER_NAME)
    return copied


def _settle(archive: zipfile.ZipFile, records: Records, copy: Ledger, job: Job, output: Output, copied: Copied) -> None:
    """A file is gone: deleted since the ledger was copied, then the copy says so too; or missing."""
    now = next(item for item in records.ledger.job(job.job_id).outputs if item.index == output.index)
    if now.state == "deleted":
        copy.change(job.job_id, outputs=[now])
        return
    files = records.stored_files(job, output)
    missing = [file.location for file in files if not _pack(archive, [file])]
    copied.missing += missing
    if files[0].location not in missing:
        copied.count(output)


def _pack_inputs(archive: zipfile.ZipFile, records: Records, copy: Ledger, copied: Copied) -> None:
    """Add the images that visitors gave; one that was removed meanwhile is not missing."""
    with copy.reading() as reader:
        images = every_image(reader)
    for image in images:
        files = records.input_files(image)
        if _pack(archive, files):
            continue
        with records.ledger.reading() as reader:
            if find_image(reader, image.input_key):
                copied.missing.append(files[0].location)


def _pack(archive: zipfile.ZipFile, files: list[RecordFile]) -> bool:
    """Add files to a backup, all or none; False if one is not there."""
    with ExitStack() as stack:
        opened = []
        for file in files:
            try:
                if file.stored is None:
                    return False
                opened.append((_zip_info(file.name, file.stored), stack.enter_context(held(file.stored))))
            except BucketError:
                raise
            except OSError:
                return False
        for entry, stream in opened:
            with archive.open(entry, "w") as target:
                shutil.copyfileobj(stream, target, _COPY_BYTES)
    return True


def _zip_info(name: str, file: StoredFile) -> zipfile.ZipInfo:
    modified = time.localtime(file.modified_at)[:6]
    entry = zipfile.ZipInfo(name, modified if 1980 <= modified[0] <= 2107 else (1980, 1, 1, 0, 0, 0))
    entry.external_attr = 0o600 << 16
    entry.file_size = file.size_bytes
    return entry


def _originals(records: Records, entries: Iterable[Entry]) -> Iterator[_Original]:
    for entry in entries:
        if entry.output:
            yield entry.job, entry.output, records.stored_files(entry.job, entry.output)[0]


def _differs(there: Path, original: StoredFile) -> bool:
    if not there.exists():
        return False
    if not there.is_file() or there.stat().st_size != original.size_bytes:
        return True
    with there.open("rb") as mine, original.open() as theirs:
        while piece := mine.read(_COPY_BYTES):
            if piece != theirs.read(_COPY_BYTES):
                return True
    return False


def _put(original: StoredFile, folder: Path, wish: str) -> str:
    """Copy a file into a folder, under the wished name or a numbered or shorter one, and return that name.

    What is there already byte for byte stays. The name begins with a number if another file has it, as in a ZIP, and it
    loses words where names must be short, or must be ASCII.
    """
    for text, max_bytes in product(dict.fromkeys((wish, ascii_name(wish))), _NAME_BYTES):
        wishes = chain([text], (f"{number}-{text}" for number in range(2, _MAX_NUMBER + 1)))
        names = (shorten_name(wished, max_bytes) for wished in wishes)
        try:
            name = next((name for name in names if not _differs(folder / name, original)), None)
            if name is None:
                raise DiskError(f"{folder / wish} was not overwritten, nor were its numbered copies. Move them away.")
            if not (folder / name).exists():
                with _whole(folder / name) as whole, whole.open("wb") as target, original.open() as stream:
                    shutil.copyfileobj(stream, target, _COPY_BYTES)
        except (OSError, DiskError) as exc:
            if not _is_about_name(exc):
                raise
        else:
            return name
    raise DiskError(f"{folder} takes no name of {_NAME_BYTES[-1]} ASCII characters. Choose another folder.")


def _is_about_name(exc: BaseException | None) -> bool:
    """Whether the file system refused a name: it is too long, or has letters that it cannot store."""
    return exc is not None and (getattr(exc, "errno", None) in _NAME_ERRORS or _is_about_name(exc.__cause__))


def _old_manifest(path: Path) -> dict[str, dict[str, Any]]:
    """The entries of an earlier export, by file name."""
    try:
        return {entry["file"]: entry for entry in json.loads(path.read_text(encoding="utf-8"))}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError) as exc:
        raise DiskError(f"{path} is not the manifest of an export. Choose another folder.") from exc


@contextmanager
def _whole(target: Path, *, force: bool = False) -> Iterator[Path]:
    """A path to write to, beside `target`; it becomes `target` once it is whole and on the disk."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".dreamina-", dir=target.parent) as scratch:
            whole = Path(scratch) / "whole"
            yield whole
            with whole.open("rb+") as file:
                os.fsync(file.fileno())
            _refuse_existing(target, force)
            whole.replace(target)
    except OSError as exc:
        raise DiskError(f"{target} could not be written: {exc}.") from exc


def _refuse_existing(target: Path, force: bool = False) -> None:
    if target.is_dir() or (os.path.lexists(target) and not force):
        raise DiskError(f"{target} exists already and was not overwritten. Choose another name.")
