"""The app without its page: reads inputs as JSON lines from stdin and writes job ids to stdout.

It starts several times faster than the app with its page. The end of stdin stops it.
"""

from __future__ import annotations

import json
import os
import sys

from dreamina_ui.errors import DreaminaError
from dreamina_ui.ops.data_dir import DataDir
from dreamina_ui.settings import read_settings
from dreamina_ui.wiring import build_services


def main() -> None:
    """Wire the services from the environment as `app.py` does, and create a job for each line."""
    settings = read_settings()
    parts = build_services(settings, DataDir(settings.data_dir))
    services = parts.job_services
    services.start()
    print("ready", flush=True)
    for line in sys.stdin:
        try:
            job = services.jobs.generate(parts.model.model_id, json.loads(line))
        except DreaminaError as exc:
            print(f"A request was refused: {exc}", file=sys.stderr, flush=True)
        else:
            print(job.job_id, flush=True)
    services.stop()
    os._exit(0)


if __name__ == "__main__":
    main()
