"""Gradio is imported without the stubs for editors that it would write into its own folder at each start."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def without_stubs() -> Iterator[None]:
    """Let components of Gradio be defined without stubs; around the first import of Gradio.

    Making them is two fifths of that import (measured: 4.8 s of processor time with them, 2.9 s without), and a folder
    that cannot be written is none the worse. Gradio leaves them out where it finds no source; a setting of its own for
    that would let us delete this.
    """
    find = inspect.getfile

    def find_no_component(of: Any) -> str:
        if isinstance(of, type) and type(of).__name__ == "ComponentMeta":
            raise OSError("not looked for")
        return find(of)

    inspect.getfile = find_no_component  # type: ignore[assignment]
    try:
        yield
    finally:
        inspect.getfile = find
