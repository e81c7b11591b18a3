"""A decoding process: reads requests from its standard input, one at a time, and responds on its standard output.

It gets paths of files and gives copies; it has no secrets, writes no file and reaches no network. Its memory and CPU
time are limited by the system where it can do that, so that an image may end the process and nothing else.

A request is one line of JSON: `{"path": str, "format": str, "tiers": [str], "is_input": bool, "is_whole": bool,
"max_pixels": int, "cpu_s": int}`. The response is one line of JSON too: `{"width": int, "height": int, "sizes":
{tier: bytes}, "colors": int | null}` with the copies behind it in this order, or with `"is_input": true` in the request
the facts of an `InputCopy` and its two files, `{"error": str, "is_damage": bool, "size": [int, int] | null}`,
`{"errno": int, "error": str}` for a file that cannot be read, or
`{"no_memory": true}`.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from typing import Any, BinaryIO

from dreamina_ui.media.decoding.copies import Copies, ImageError
from dreamina_ui.media.decoding.images import make_copies, make_input
from dreamina_ui.media.formats import FORMATS

if sys.platform != "win32":
    import resource

_JPEG_END = b"\xff\xd9"
"""Of a JPEG that is not whole: the decoder fills in what is missing instead of calling it damaged."""

_FORMATS = {form.name: form for form in FORMATS}


def main(memory_bytes: int) -> None:
    """Serve requests until the standard input ends.

    Args:
        memory_bytes: how much memory may be used on top of what the process has now.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C in a terminal is for the server, which then ends this
    requests, responses = _take_pipes()
    _limit_memory(memory_bytes)
    for line in requests:
        request = json.loads(line)
        _limit_cpu(request["cpu_s"])
        try:
            head, files = _respond(request, memory_bytes)
        except MemoryError:
            head, files = {"no_memory": True}, []
        responses.write(json.dumps(head).encode() + b"\n")
        for file in files:
            responses.write(file)
        responses.flush()


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The pipes to the server; what a library prints must not get between the responses."""
    requests, responses = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    return requests, responses


def _respond(request: dict[str, Any], memory_bytes: int) -> tuple[dict[str, Any], list[bytes]]:
    try:
        with open(request["path"], "rb") as file:
            if request["is_input"]:
                form, bounds = _FORMATS[request["format"]], {"max_pixels": request["max_pixels"]}
                made = make_input(file, form, max_bytes=memory_bytes, **bounds)._asdict()
                files = [made.pop("data"), made.pop("thumbnail")]
                return made | {"sizes": {"data": len(files[0]), "thumbnail": len(files[1])}}, files
            copies: Copies = make_copies(
                file if request["is_whole"] else io.BytesIO(file.read() + _JPEG_END),
                _FORMATS[request["format"]],
                request["tiers"],
                max_pixels=request["max_pixels"],
                max_bytes=memory_bytes,
            )
    except ImageError as exc:
        return {"error": str(exc), "is_damage": exc.is_damage, "size": exc.size}, []
    except OSError as exc:
        return {"errno": exc.errno, "error": exc.strerror or type(exc).__name__}, []
    sizes = {tier: len(data) for tier, data in copies.files.items()}
    head = {"width": copies.width, "height": copies.height, "sizes": sizes, "colors": copies.colors}
    return head, list(copies.files.values())


def _limit_memory(memory_bytes: int) -> None:
    """Linux counts reserved memory; macOS cannot limit it, and Windows has other means."""
    if sys.platform == "linux":
        with open("/proc/self/statm", encoding="ascii") as file:
            now_bytes = int(file.read().split()[0]) * resource.getpagesize()
        _lower(resource.RLIMIT_AS, now_bytes + memory_bytes)
        _lower(resource.RLIMIT_CORE, 0)


def _limit_cpu(cpu_s: int) -> None:
    """End this process when it has used so many more seconds."""
    if sys.platform != "win32":
        usage = resource.getrusage(resource.RUSAGE_SELF)
        _lower(resource.RLIMIT_CPU, int(usage.ru_utime + usage.ru_stime) + 1 + cpu_s)


def _lower(limit: int, value: int) -> None:
    """Set a limit, or leave it where it is lower already."""
    if sys.platform != "win32":
        hard = resource.getrlimit(limit)[1]
        resource.setrlimit(limit, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


if __name__ == "__main__":
    main(int(sys.argv[1]))
