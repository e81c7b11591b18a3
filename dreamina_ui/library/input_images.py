"""Images that visitors give, uploaded or out of their library: checked, made anew, bounded, and gone after a time.

An image belongs to one visitor. It stands in the inputs of a job as a URL of our own scheme, which only we can read;
`library/sent_inputs.py` puts in its place what the service gets.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO

from dreamina_ui.errors import InputError, MediaError
from dreamina_ui.ledger.job import networks_of, new_id
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.personal import input_image_rows as rows
from dreamina_ui.ledger.personal.input_image_rows import InputImage
from dreamina_ui.ledger.transaction import Reader
from dreamina_ui.media.decoding.bounds import is_photo
from dreamina_ui.media.decoding.copies import Bounds, ImageError
from dreamina_ui.media.decoding.workers import DecodeWorkers
from dreamina_ui.media.formats import Format, recognise
from dreamina_ui.media.input_files import InputFacts
from dreamina_ui.media.input_store import InputStore
from dreamina_ui.media.store import CHUNK_BYTES, StoredFile

log = logging.getLogger(__name__)

UNUSED_TTL_S = 86_400.0
"""How long an image stays that no job was made with."""

MAX_UNUSED = 40
"""How many such images a visitor has; another one takes the place of the oldest."""

MAX_IMAGES = 1000
MAX_BYTES = 1_000_000_000
CLIENT_FACTOR = 4
"""How many images one visitor has, and how many bytes they take; one client IP may have so many times that."""

MAX_TOTAL_BYTES = 20_000_000_000
"""How many bytes all images take."""

BOUNDS = Bounds(max_pixels=40_000_000, cpu_s=20, wall_s=45.0)

MIN_PIXELS_OF_STRANGERS = 8_400_000
MIN_PHOTO_PIXELS_OF_STRANGERS = 12_600_000
PIXELS_PER_BYTE_OF_STRANGERS = 8
"""How many pixels an upload of somebody unknown may have: a screenshot of a 4K screen always, a photo of a usual phone,
which is quicker to decode, and more if the size of the file says that something is in them. A small file can hold a
large and empty image, which costs a second of CPU time."""

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "AVIF", "TIFF", "BMP")


@dataclass(frozen=True)
class GivenImage:
    """An image as it was taken; `source_width` and `source_height` are those of the file, upright, in pixels.

    They are 0 where it had been given before.
    """

    image: InputImage
    source_width: int = 0
    source_height: int = 0

    @property
    def is_smaller(self) -> bool:
        """Whether it had to be scaled down."""
        return self.image.width < self.source_width


class InputImages:
    """The given images of all visitors. Safe to call from many threads.

    Args:
        clock: gives the time, in seconds since 1970.
    """

    def __init__(self, ledger: Ledger, store: InputStore, decoder: DecodeWorkers, clock: Callable[[], float]) -> None:
        self._ledger = ledger
        self._store = store
        self._decoder = decoder
        self._clock = clock

    def scratch_file(self) -> AbstractContextManager[BinaryIO]:
        """An empty file for an upload, which is gone afterwards. Raises DiskError."""
        return self._store.scratch_file()

    def add_file(self, stored: StoredFile, visitor_id: str, client_hash: str | None) -> GivenImage:
        """Take an image that is stored here; raises as `add`."""
        with self.scratch_file() as file:
            with stored.open() as stream:
                shutil.copyfileobj(stream, file, CHUNK_BYTES)
            return self.add(file, visitor_id, client_hash)

    def add(self, file: BinaryIO, visitor_id: str, client_hash: str | None, *, is_stranger: bool = False) -> GivenImage:
        """Take an image: read it to its end in a process of its own, and store what that made of it; blocks meanwhile.

        The same file of the same visitor is the same image.

        Args:
            file: the whole upload.
            client_hash: a hash of the client's IP address, for limits.
            is_stranger: whether nobody knows who gives it; see `PIXELS_PER_BYTE_OF_STRANGERS`.

        Raises:
            InputError: it is no image that can be taken, or there are too many.
            DiskError, LedgerError: it could not be stored.
        """
        file.flush()
        sha256 = _sha256(file)
        with self._ledger.reading() as reader:
            same = rows.find_same(reader, visitor_id, sha256)
            if same is None:
                self._enforce_bounds(reader, visitor_id, client_hash)
        if same and self._store.find(same.file_name):
            with self._ledger.writing() as transaction:
                rows.keep_images(transaction, [same.input_key], self._clock() + UNUSED_TTL_S)
            return GivenImage(same)
        return self._make(file, sha256, visitor_id, client_hash, is_stranger=is_stranger)

    def _make(
        self, file: BinaryIO, sha256: str, visitor_id: str, client_hash: str | None, *, is_stranger: bool
    ) -> GivenImage:
        file.seek(0)
        form = recognise(file.read(64))
        if form is None or form.name not in FORMATS:
            raise InputError("file", "upload_kind", ", ".join(FORMATS), form.name if form else None)
        bounds = _bounds_of_stranger(file, form) if is_stranger else BOUNDS
        try:
            copy = self._decoder.make_input(file, form, bounds)
        except ImageError as exc:
            raise InputError("file", "upload_damaged" if exc.is_damage else "upload_pixels", str(exc), None) from exc
        except RuntimeError as exc:  # decoding has stopped
            raise MediaError("The program is stopping. Try again in a moment.") from exc
        now = self._clock()
        image = InputImage(
            input_key=new_id(),
            visitor_id=visitor_id,
            client_hash=client_hash,
            source_sha256=sha256,
            extension=copy.extension,
            width=copy.width,
            height=copy.height,
            size_bytes=len(copy.data) + len(copy.thumbnail),
            created_at=now,
            keep_until=now + UNUSED_TTL_S,
        )
        self._store.put(image.thumbnail_name, copy.thumbnail)
        self._store.put(image.file_name, copy.data)
        with self._ledger.writing() as transaction:
            rows.insert_image(transaction, image)
            surplus = rows.unneeded_images(transaction, now, MAX_IMAGES, visitor_id)[:-MAX_UNUSED]
            rows.delete_images(transaction, [old.input_key for old in surplus])
        self._remove_files(surplus)
        return GivenImage(image, copy.source_width, copy.source_height)

    def find(self, key: str, visitor_id: str | None) -> InputImage | None:
        """A visitor's own image; None if there is none. Raises LedgerError."""
        with self._ledger.reading() as reader:
            image = rows.find_image(reader, key)
        return image if image and image.visitor_id == visitor_id else None

    def file(self, key: str) -> tuple[InputImage, StoredFile] | None:
        """An image, whoever gave it, and its file, for the service alone. Raises LedgerError, DiskError."""
        with self._ledger.reading() as reader:
            image = rows.find_image(reader, key)
        stored = self._store.find(image.file_name) if image else None
        return (image, stored) if image and stored else None

    def thumbnail(self, key: str, visitor_id: str | None) -> StoredFile | None:
        """The thumbnail (WebP, 400 px) of a visitor's own image; None if there is none."""
        image = self.find(key, visitor_id)
        return self._store.find(image.thumbnail_name) if image else None

    def facts(self, key: str, visitor_id: str | None) -> InputFacts | None:
        """What rules for inputs need to know about a visitor's own image; None if there is none."""
        image = self.find(key, visitor_id)
        return InputFacts(image.width, image.height, image.size_bytes) if image else None

    def remove_old(self) -> int:
        """Remove images whose time is over and that no job needs; returns how many. Raises DiskError, LedgerError."""
        with self._ledger.writing() as transaction:
            old = rows.unneeded_images(transaction, self._clock(), MAX_IMAGES)
            rows.delete_images(transaction, [image.input_key for image in old])
        self._remove_files(old)
        return len(old)

    def remove_visitor(self, visitor_id: str) -> int:
        """Remove all images of a visitor, also those that jobs need; returns how many."""
        with self._ledger.writing() as transaction:
            theirs = rows.images_of_visitor(transaction, visitor_id)
            rows.delete_images(transaction, [image.input_key for image in theirs])
        self._remove_files(theirs)
        return len(theirs)

    def clean_up(self) -> None:
        """Remove what a kill left half-made; call it at start only."""
        self._store.clean_up()

    def _remove_files(self, images: list[InputImage]) -> None:
        self._store.remove(name for image in images for name in (image.file_name, image.thumbnail_name))

    def _enforce_bounds(self, reader: Reader, visitor_id: str, client_hash: str | None) -> None:
        owners = [(rows.usage(reader, "visitor_id", visitor_id), 1)]
        for beginning, factor in networks_of(client_hash) if client_hash else ():
            owners.append((rows.usage(reader, "client_hash", beginning), factor * CLIENT_FACTOR))
        is_full = any(count >= factor * MAX_IMAGES or size >= factor * MAX_BYTES for (count, size), factor in owners)
        if is_full or rows.total_bytes(reader) >= MAX_TOTAL_BYTES:
            raise InputError("file", "upload_full", MAX_IMAGES, None)


def _bounds_of_stranger(file: BinaryIO, form: Format) -> Bounds:
    """What the upload of a stranger may take; more for a larger file."""
    least = MIN_PHOTO_PIXELS_OF_STRANGERS if is_photo(file, form.name) else MIN_PIXELS_OF_STRANGERS
    if form.name == "JPEG":  # which may have twice as many, see `Bounds`
        least //= 2
    size_bytes = file.seek(0, os.SEEK_END)
    pixels = max(least, PIXELS_PER_BYTE_OF_STRANGERS * size_bytes)
    seconds = min(BOUNDS.cpu_s, 3 + size_bytes // 1_000_000)
    return Bounds(max_pixels=min(BOUNDS.max_pixels, pixels), cpu_s=seconds, wall_s=BOUNDS.wall_s)


def _sha256(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    file.seek(0)
    while chunk := file.read(CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()
