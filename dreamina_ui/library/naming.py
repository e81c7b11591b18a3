"""Names that a person understands, for the files of a job."""

from __future__ import annotations

import re

from dreamina_ui.ledger.job import Job, Output
from dreamina_ui.media.store import COPY_PX

_ENDING = re.compile(r"(-[0-9a-f]{6}-\d+)?\.\w{1,8}\Z")


def file_name(job: Job, output: Output, tier: str) -> str:
    """A file name that a person understands, such as `dreamina-a-red-fox-2048x2048-1f3a9c-1.png`."""
    words = re.sub(r"[\W_]+", "-", prompt_of(job)[:48]).strip("-").lower()
    size = f"{output.width}x{output.height}" if output.width else ""
    is_copy = tier in COPY_PX
    suffix = output.file_name.rpartition(".")[2] if output.file_name and not is_copy else "webp"
    parts = ["dreamina", words, size, job.job_id[:6], str(output.index + 1)]
    return "-".join(part for part in parts if part) + ("" if tier == "original" else f"-{tier}") + f".{suffix}"


def plain_file_name(output: Output) -> str:
    """A file name that tells nothing of the job, such as `image.png`."""
    suffix = output.file_name.rpartition(".")[2] if output.file_name else ""
    return f"{output.kind}.{suffix}" if suffix else output.kind


def shorten_name(name: str, max_bytes: int) -> str:
    """A file name of at most so many bytes: the words lose their end, the job's id and the number stay."""
    ending = match[0] if (match := _ENDING.search(name)) else ""
    head = name[: len(name) - len(ending)].encode()[: max_bytes - len(ending.encode())]
    return head.decode(errors="ignore").rstrip("-") + ending


def ascii_name(name: str) -> str:
    """A file name for file systems that take no other letters, such as a USB drive's with an old code page."""
    return re.sub(r"-+", "-", re.sub(r"[^!-~]", "-", name))


def prompt_of(job: Job) -> str:
    """The prompt, or the first text among the inputs of a model that has none."""
    texts = [value for value in job.inputs.values() if isinstance(value, str)]
    return str(job.inputs.get("prompt") or (texts[0] if texts else "") or job.request_id or "")
