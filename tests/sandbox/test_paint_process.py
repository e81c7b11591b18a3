"""The process that paints for the embedded sandbox."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest
from PIL import Image

from dreamina_ui.sandbox.paint_process import PaintProcess
from dreamina_ui.sandbox.painter import paint

ARGUMENTS = {"prompt": "a lake", "width": 40, "height": 30, "seed": 7, "index": 0, "count": 1}


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_a_process_paints_and_takes_its_memory_along(tmp_path: Path) -> None:
    """Eight large pictures must not leave the server with hundreds of megabytes; a process that dies costs one try."""
    path, process = tmp_path / "one.png", PaintProcess(idle_s=3600.0)
    try:
        process.paint(ARGUMENTS, path)
        with Image.open(path) as painted:
            assert painted.tobytes() == paint("a lake", 40, 30, seed=7).tobytes()
        with pytest.raises(OSError, match="TypeError"):
            process.paint({"prompt": "a lake"}, path)
        first_id = process.process_id
        assert first_id
        os.kill(first_id, signal.SIGKILL)
        path.unlink()
        process.paint(ARGUMENTS, path)
        assert path.exists()
        assert process.process_id != first_id
    finally:
        process.close()
    with pytest.raises(OSError, match="stopped"):
        process.paint(ARGUMENTS, path)
    assert process.process_id is None


def test_the_process_ends_when_there_is_nothing_to_paint(tmp_path: Path) -> None:
    """What it took is free for others while nobody generates."""
    ended = threading.Event()

    class Watched(PaintProcess):
        def _end(self) -> None:
            super()._end()
            ended.set()

    process = Watched(idle_s=0.01)
    process.paint(ARGUMENTS, tmp_path / "one.png")
    assert ended.wait(30)
    assert process.process_id is None
