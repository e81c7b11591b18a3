"""A backup becomes a data folder again, or a bucket and a database: files first, each verified, the ledger last."""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from dreamina_ui.cli.data_dir_reader import INPUTS_NAME, LEDGER_NAME, MEDIA_NAME, input_store
from dreamina_ui.cli.export import Copied
from dreamina_ui.errors import DiskError
from dreamina_ui.ledger.job import Job, Output
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.personal.input_image_rows import every_image
from dreamina_ui.ledger.sharing.transfer import copy_ledger
from dreamina_ui.media.folder_store import FolderStore
from dreamina_ui.media.input_store import InputStore
from dreamina_ui.media.object_store import ObjectStore
from dreamina_ui.media.store import CHUNK_BYTES, COPY_PX, Draft, MediaStore
from dreamina_ui.ops.data_dir import DataDir

_MAX_COPY_BYTES = 20_000_000
"""A larger preview is none of ours: a backup may come from anybody."""


def restore(source: Path, folder: DataDir, bucket: ObjectStore | None, database: Ledger | None = None) -> Copied:
    """Read a backup into a data folder without a ledger, and its images into a bucket, if there is one.

    Args:
        database: an empty ledger that gets the rows, instead of a file in the folder.

    Returns:
        What is there now, and the files that the backup does not have, or that are not what its rows say.

    Raises:
        DiskError: there is a ledger already, `source` is no backup, or the disk or the bucket refuses.
        LedgerError: the ledger of the backup cannot be read, or the database has jobs or refuses.
    """
    if database and next(database.every_job(), None):
        raise DiskError("There are jobs in the database already, and they were not overwritten. Choose an empty one.")
    if database is None and folder.ledger.exists():
        raise DiskError(f"{folder.path} has a ledger already, and it was not overwritten. Choose another folder.")
    store: MediaStore = bucket or FolderStore(folder.media)
    copied = Copied()
    try:
        with zipfile.ZipFile(source) as archive, TemporaryDirectory(prefix=".dreamina-", dir=folder.path) as scratch:
            ledger_copy = Path(scratch) / LEDGER_NAME
            with archive.open(LEDGER_NAME) as stream, ledger_copy.open("wb") as target:
                shutil.copyfileobj(stream, target, CHUNK_BYTES)
            with closing(Ledger(ledger_copy)) as ledger:
                for job in ledger.every_job():
                    for output in job.outputs:
                        if output.state == "kept":
                            _restore_output(archive, store, job, output, copied)
                _restore_inputs(archive, input_store(folder.path, bucket), ledger, copied)
                if database:
                    copy_ledger(ledger, database)
                    return copied
            with ledger_copy.open("rb+") as file:
                os.fsync(file.fileno())
            ledger_copy.replace(folder.ledger)
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, RuntimeError) as exc:
        raise DiskError(f"{source} is no backup: {exc}.") from exc
    except OSError as exc:
        raise DiskError(f"{source} could not be restored: {exc.strerror or exc}.") from exc
    return copied


def _restore_output(archive: zipfile.ZipFile, store: MediaStore, job: Job, output: Output, copied: Copied) -> None:
    there = store.find(job.job_id, output.index, "original", output.sha256)
    if there and there.size_bytes == output.size_bytes:  # by an earlier attempt
        copied.count(output)
        return
    folder = f"{MEDIA_NAME}/{job.job_id[:2]}/{job.job_id}/{output.index}"
    extension = (output.file_name or "").rpartition(".")[2]
    name = f"{folder}/original.{extension}"
    previews, missing = _previews(archive, folder, output)
    copied.missing += missing
    store.prepare(job.job_id)
    with store.draft(job.job_id, output.index) as draft:
        if not extension.isalnum() or not _write_original(archive, name, draft, output):
            copied.missing.append(name)
            return
        draft.store(extension, previews, output.sha256)
    copied.count(output)


def _restore_inputs(archive: zipfile.ZipFile, inputs: InputStore, ledger: Ledger, copied: Copied) -> None:
    """Write the images that visitors gave, which older backups do not have; their names come from rows."""
    with ledger.reading() as reader:
        images = every_image(reader)
    for name in (name for image in images for name in (image.file_name, image.thumbnail_name)):
        path = f"{INPUTS_NAME}/{name}"
        if path not in archive.NameToInfo:
            copied.missing.append(path)
        elif archive.NameToInfo[path].file_size <= _MAX_COPY_BYTES and inputs.find(name) is None:
            inputs.put(name, archive.read(path))


def _write_original(archive: zipfile.ZipFile, name: str, draft: Draft, output: Output) -> bool:
    """Write an original; False if the backup does not have it as its row says."""
    digest, left = hashlib.sha256(), output.size_bytes or 0
    try:
        with archive.open(name) as stream:
            while chunk := stream.read(CHUNK_BYTES):
                left -= len(chunk)
                if left < 0:
                    return False
                digest.update(chunk)
                draft.file.write(chunk)
    except KeyError:
        return False
    draft.sync()
    return left == 0 and digest.hexdigest() == output.sha256


def _previews(archive: zipfile.ZipFile, folder: str, output: Output) -> tuple[Mapping[str, bytes], list[str]]:
    """The copies that the backup has, and the names of those that it should have and does not."""
    previews, missing = {}, []
    for tier in COPY_PX:
        name = f"{folder}/{tier}.webp"
        try:
            if archive.getinfo(name).file_size <= _MAX_COPY_BYTES:
                previews[tier] = archive.read(name)
        except KeyError:
            if output.kind == "image" and tier != "large":
                missing.append(name)
    return previews, missing
