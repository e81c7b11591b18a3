"""Imports Gradio without the stub files for editors that it would write into its own folder at each start."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def skip_stub_files() -> Iterator[None]:
    """Define Gradio's components without writing stub files; use it around the first import of Gradio.

    Writing them takes two fifths of that import, and Gradio's folder may be read-only. Gradio skips them where it finds
    no source; can be deleted when Gradio has a setting for it.
    """
    original = inspect.getfile

    def hide_components(of: Any) -> str:
        if isinstance(of, type) and type(of).__name__ == "ComponentMeta":
            raise OSError("hidden, so that no stub file is written")
        return original(of)

    inspect.getfile = hide_components  # type: ignore[assignment]
    try:
        yield
    finally:
        inspect.getfile = original
