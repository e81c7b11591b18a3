"""Decoding processes that all tests of one process share: starting one takes a tenth of a second."""

from __future__ import annotations

from functools import cache

from dreamina_ui.media.decoding.workers import DecodeWorkers


@cache
def decoder() -> DecodeWorkers:
    """Never stopped; the processes end with the tests."""
    return DecodeWorkers(idle_s=600)
