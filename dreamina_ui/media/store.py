"""Where outputs are stored: a small protocol, so that no other module knows whether that is a folder or a bucket.

The promise of every implementation: an output is there whole, or not at all. A draft becomes an output in one step.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import BinaryIO, Protocol, cast

CHUNK_BYTES = 256 * 1024
COPY_PX = {"large": 2560, "preview": 1280, "thumbnail": 400}
"""The longer side of each copy in pixels; originals that are smaller are not enlarged."""

TIERS = ("original", *COPY_PX)
"""What there may be of one output; all but the first are WebP files."""


@dataclass(frozen=True)
class FileFacts:
    """What is known about one original.

    Attributes:
        kind: `image` if it has previews, `video`, or `file` for all else; this is what came, whatever was expected.
        file_name: its stored name, such as `original.png`.
        media_type: such as `image/png`.
        format: such as `PNG`.
        width, height: of the stored image in pixels, before any EXIF orientation; None if unknown.
        size_bytes, sha256: of the file, byte for byte.
        colors: of an image, as `decoding.colors.color_bits`; None if it was not decoded.
    """

    kind: str
    file_name: str
    media_type: str
    format: str
    width: int | None
    height: int | None
    size_bytes: int
    sha256: str
    colors: int | None = None


@dataclass(frozen=True)
class StoredFile:
    """One file of a store, to be read as a whole or by ranges.

    Attributes:
        name: such as `original.png`.
        modified_at: seconds since 1970.
        opener: opens the file for reading at a position; the stream can seek.
        signer: makes a URL by which anybody can read the file for a while, given the headers that it is to be served
            with; None where there are no such URLs.
    """

    name: str
    size_bytes: int
    modified_at: float
    opener: Callable[[int], BinaryIO]
    signer: Callable[[Mapping[str, str]], str] | None = None

    def open(self, start: int = 0) -> BinaryIO:
        """Open it for reading at `start`; the stream can seek.

        Raises:
            OSError: it cannot be read; FileNotFoundError if it was removed meanwhile.
        """
        return self.opener(start)

    def read(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Read the bytes from `start` up to `stop`, in chunks; raises OSError as `open` does."""
        with self.open(start) as stream:
            yield from read_range(stream, start, self.size_bytes if stop is None else stop)


class Draft(Protocol):
    """An output that is being written."""

    @property
    def file(self) -> BinaryIO:
        """The original, empty at first: open for writing, reading and seeking."""
        ...

    def sync(self) -> None:
        """Bring the original to the disk; another thread may read it meanwhile."""
        ...

    def store(self, extension: str, previews: Mapping[str, bytes], sha256: str | None = None) -> None:
        """Make it the output, in one step; an older one is replaced.

        Args:
            extension: of the original, such as `png`.
            previews: the other tiers by name.
            sha256: of the original, in lower-case hex, if it is known.
        """
        ...

    def set_aside(self, extension: str) -> None:
        """Keep the original as the output's damaged file, in place of an older one; nothing happens to an empty one."""
        ...


class MediaStore(Protocol):
    """Stores the outputs of jobs. Safe to call from many threads.

    Every method raises ValueError for a `job_id`, index or tier that cannot be, and DiskError if the storage refuses.
    """

    def prepare(self, job_id: str) -> None:
        """Prove that the storage takes files of a job; call it before money is spent."""
        ...

    def discard(self, job_id: str) -> None:
        """Undo `prepare` for a job that there will not be; what is in use stays, and nothing is raised."""
        ...

    def draft(self, job_id: str, index: int) -> AbstractContextManager[Draft]:
        """Begin an output; unless it is stored, nothing is left of it when the context ends.

        An OSError out of the context becomes a DiskError.

        Args:
            index: which output of the job, from 0.
        """
        ...

    def find(self, job_id: str, index: int, tier: str, sha256: str | None = None) -> StoredFile | None:
        """The file of a tier of an output; None if it is not there.

        Args:
            sha256: of the original, as its row says; where several programs write, each may have stored one. None for
                the newest.
        """
        ...

    def add_copy(self, job_id: str, index: int, tier: str, data: bytes, sha256: str | None = None) -> None:
        """Add a copy to an output that is there, in one step; DiskError if it is not. `sha256` is as in `find`."""
        ...

    def find_damaged(self, job_id: str, index: int) -> StoredFile | None:
        """The damaged file of an output that was set aside last; None if there is none."""
        ...

    def remove(self, job_id: str, index: int) -> None:
        """Remove an output; nothing happens if it is not there."""
        ...

    def clean_up(self) -> int:
        """Remove what a crash left half-made, and return how many. Call it at start only, before any draft."""
        ...


@contextmanager
def held(file: StoredFile) -> Iterator[BinaryIO]:
    """The content of a file, which cannot go away meanwhile, and is fetched once however often it is read.

    A folder's file stays while it is open. An object may not, so it is copied to the local disk.

    Raises:
        OSError: as `StoredFile.open` does, or the disk refuses.
    """
    with file.open() as stream:
        if isinstance(getattr(stream, "name", None), str):
            yield stream
            return
        with TemporaryFile() as copy:
            shutil.copyfileobj(stream, copy, CHUNK_BYTES)
            copy.seek(0)
            yield cast(BinaryIO, copy)


def read_range(stream: BinaryIO, start: int, stop: int, chunk_bytes: int = CHUNK_BYTES) -> Iterator[bytes]:
    """Read the bytes from `start` up to `stop` of a stream, in chunks; fewer if the stream is shorter."""
    stream.seek(start)
    left = stop - start
    while left > 0 and (chunk := stream.read(min(chunk_bytes, left))):
        left -= len(chunk)
        yield chunk
