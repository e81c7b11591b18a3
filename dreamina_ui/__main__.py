"""`python -m dreamina_ui`: the operator's command line."""

from __future__ import annotations

import contextlib
import io
import os
import sys

from dreamina_ui.cli.commands import app


def main() -> None:
    """Run one command and end with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a pipe may not take every character of a prompt
    code: object = 1
    try:
        app(prog_name="python -m dreamina_ui")
    except SystemExit as end:
        code = end.code
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    os._exit(code if isinstance(code, int) else 0)  # other jobs' downloads would keep it; a server takes them up again


if __name__ == "__main__":
    main()
