"""The tables `input_images` and `job_inputs`: the images that visitors gave, and the jobs that each is an input of.

An image stays as long as a job that used it is under way or has a stored file, and at least until `keep_until`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from dreamina_ui.errors import InputError
from dreamina_ui.ledger.job import ACTIVE, INPUT_SCHEME, Job, input_key, input_keys
from dreamina_ui.ledger.tables import input_images, job_inputs, jobs, outputs
from dreamina_ui.ledger.transaction import Reader, Transaction

USED_TTL_S = 30 * 86400.0
"""How long an image stays after a job or a batch was made with it, whatever became of that."""


@dataclass(frozen=True)
class InputImage:
    """An image that a visitor gave.

    Attributes:
        input_key: 128 random bits.
        client_hash: a hash of the client's IP address, for limits.
        source_sha256: of the file as it came.
        extension: of the stored file: `png` or `jpg`.
        width, height, size_bytes: of the stored file.
        keep_until: seconds since 1970.
    """

    input_key: str
    visitor_id: str
    client_hash: str | None
    source_sha256: str
    extension: str
    width: int
    height: int
    size_bytes: int
    created_at: float
    keep_until: float

    @property
    def file_name(self) -> str:
        """The name of its file in the store of given images."""
        return f"{self.input_key}.{self.extension}"

    @property
    def thumbnail_name(self) -> str:
        """The name of its thumbnail there."""
        return f"{self.input_key}.webp"

    @property
    def url(self) -> str:
        """What stands for it in the inputs of a job."""
        return f"{INPUT_SCHEME}{self.input_key}"


def find_image(reader: Reader, key: str) -> InputImage | None:
    """The image with this key, if there is one."""
    row = reader.connection.execute(sa.select(input_images).where(input_images.c.input_key == key)).first()
    return InputImage(*row) if row else None


def find_same(reader: Reader, visitor_id: str, source_sha256: str) -> InputImage | None:
    """The image that a visitor made of the same file before, if there is one."""
    query = sa.select(input_images).where(
        input_images.c.visitor_id == visitor_id, input_images.c.source_sha256 == source_sha256
    )
    row = reader.connection.execute(query).first()
    return InputImage(*row) if row else None


def insert_image(transaction: Transaction, image: InputImage) -> None:
    """Write a new image's row."""
    transaction.connection.execute(input_images.insert().values(**vars(image)))


def keep_images(transaction: Transaction, keys: Sequence[str], until: float) -> None:
    """Keep images at least until then."""
    rows = input_images.c.input_key.in_(keys) & (input_images.c.keep_until < until)
    if keys:
        transaction.connection.execute(input_images.update().where(rows).values(keep_until=until))


def use_in_job(transaction: Transaction, job: Job) -> None:
    """Keep the given images of a new job with it; call it after the job's row is written.

    Raises:
        InputError: one of them is not there, or belongs to somebody else.
    """
    keys = input_keys(job.inputs)
    if not keys:
        return
    query = sa.select(input_images.c.input_key).where(
        input_images.c.input_key.in_(keys), input_images.c.visitor_id == (job.visitor_id or "")
    )
    present = set(transaction.connection.execute(query).scalars())
    if missing := [key for key in keys if key not in present]:
        raise missing_input(job.inputs, missing[0])
    rows = [{"job_id": job.job_id, "input_key": key} for key in keys]
    transaction.connection.execute(job_inputs.insert(), rows)
    keep_images(transaction, keys, job.created_at + USED_TTL_S)


def missing_input(inputs: Mapping[str, Any], key: str) -> InputError:
    """The refusal of inputs with a given image that is not there for whoever asks."""
    for name, value in inputs.items():
        if key in input_keys(value):
            index = next((f".{at}" for at, entry in enumerate(value) if input_key(entry) == key), "")
            return InputError(f"{name}{index if isinstance(value, list) else ''}", "address_missing", None, None)
    return InputError("inputs", "address_missing", None, None)


def usage(reader: Reader, column: Literal["visitor_id", "client_hash"], beginning: str) -> tuple[int, int]:
    """How many images a visitor, or the clients whose hash begins so, have given, and their bytes."""
    owner = input_images.c[column]
    is_theirs = owner == beginning if column == "visitor_id" else owner.startswith(beginning, autoescape=True)
    query = sa.select(sa.func.count(), sa.func.sum(input_images.c.size_bytes)).where(is_theirs)
    count, size_bytes = reader.connection.execute(query).one()
    return count, int(size_bytes or 0)


def total_bytes(reader: Reader) -> int:
    """The bytes of all images."""
    return int(reader.connection.execute(sa.select(sa.func.sum(input_images.c.size_bytes))).scalar() or 0)


def unneeded_images(reader: Reader, now: float, limit: int, visitor_id: str | None = None) -> list[InputImage]:
    """Images that no job needs any more, the oldest first.

    Args:
        visitor_id: only this visitor's, and also those that would be kept for a while, but that no job ever used.
    """
    is_needed = sa.exists().where(
        job_inputs.c.input_key == input_images.c.input_key,
        jobs.c.job_id == job_inputs.c.job_id,
        jobs.c.state.in_(ACTIVE)
        | sa.exists().where(
            outputs.c.job_id == jobs.c.job_id, outputs.c.state == "kept", outputs.c.deleted_at.is_(None)
        ),
    )
    is_unused = ~sa.exists().where(job_inputs.c.input_key == input_images.c.input_key)
    if visitor_id is None:
        condition = (input_images.c.keep_until < now) & ~is_needed
    else:
        condition = (input_images.c.visitor_id == visitor_id) & is_unused
        condition &= input_images.c.keep_until < now + USED_TTL_S / 2  # a batch that waits keeps what it needs
    query = sa.select(input_images).where(condition).order_by(input_images.c.created_at).limit(limit)
    return [InputImage(*row) for row in reader.connection.execute(query)]


def every_image(reader: Reader) -> list[InputImage]:
    """All images that anybody gave."""
    return [InputImage(*row) for row in reader.connection.execute(sa.select(input_images))]


def images_of_visitor(reader: Reader, visitor_id: str) -> list[InputImage]:
    """All images that a visitor gave."""
    query = sa.select(input_images).where(input_images.c.visitor_id == visitor_id)
    return [InputImage(*row) for row in reader.connection.execute(query)]


def delete_images(transaction: Transaction, keys: Sequence[str]) -> None:
    """Delete images' rows, and what links them to jobs."""
    for table in (job_inputs, input_images):
        transaction.connection.execute(table.delete().where(table.c.input_key.in_(keys)))
