"""What the service gets in the place of images that a visitor gave: a signed URL of ours, or the image itself.

A signed URL where this installation has a public URL; else a `data:` URI, as the service's own clients send them.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dreamina_ui.ledger.job import Job, input_key, input_keys
from dreamina_ui.ledger.personal.input_image_rows import missing_input
from dreamina_ui.library.input_images import InputImages
from dreamina_ui.media.input_store import MEDIA_TYPES
from dreamina_ui.media.signed_urls import SignedUrls

MAX_INLINE_AT_ONCE = 2
"""How many requests with images in their bodies are sent at once: each takes up to 200 MB of memory."""


class SentInputs:
    """Makes the body of a submit from a job's inputs."""

    def __init__(self, images: InputImages, links: SignedUrls) -> None:
        self._images = images
        self._links = links
        self._inline = threading.BoundedSemaphore(MAX_INLINE_AT_ONCE)

    @contextmanager
    def opened(self, job: Job) -> Iterator[Mapping[str, Any]]:
        """The inputs as the service gets them; send them within the context.

        Raises:
            InputError: an image is gone.
            LedgerError, DiskError: it cannot be read now.
        """
        if not input_keys(job.inputs):
            yield job.inputs
        elif self._links.public_url:
            yield _replaced(job.inputs, lambda key: self._signed_url(job, key))
        else:
            with self._inline:
                yield _replaced(job.inputs, lambda key: self._data_uri(job, key))

    def _signed_url(self, job: Job, key: str) -> str:
        match = self._images.file(key)
        if match is None:
            raise missing_input(job.inputs, key)
        return self._links.url_of(key, f"input.{match[0].extension}")

    def _data_uri(self, job: Job, key: str) -> str:
        match = self._images.file(key)
        if match is None:
            raise missing_input(job.inputs, key)
        image, stored = match
        content = base64.b64encode(b"".join(stored.read())).decode("ascii")
        return f"data:{MEDIA_TYPES[image.extension]};base64,{content}"


def _replaced(value: Any, replacement: Callable[[str], str]) -> Any:
    """A value with something else in the place of each given image."""
    if isinstance(value, Mapping):
        return {name: _replaced(entry, replacement) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_replaced(entry, replacement) for entry in value]
    key = input_key(value)
    return replacement(key) if key else value
