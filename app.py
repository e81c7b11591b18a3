"""Settings -> wire the parts -> launch. README.md tells how to run it."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
from queue import SimpleQueue

for name in [name for name, value in os.environ.items() if name.startswith("GRADIO_") and not value]:
    del os.environ[name]  # empty is unset, as for our own settings; Gradio would break on it
os.environ["FORWARDED_ALLOW_IPS"] = ""  # uvicorn would believe every client on this machine; ui/proxies.py decides
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # telemetry is the owner's choice
os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", "100000000")  # else each event tabulates all past events

from dreamina_ui.errors import DreaminaError
from dreamina_ui.ops.data_dir import DataDir
from dreamina_ui.ops.file_limits import allow_many
from dreamina_ui.ops.log_format import set_up_logging, take_over_uvicorn
from dreamina_ui.settings import forget_secrets, read_settings
from dreamina_ui.web.gradio_page.import_patch import without_stubs
from dreamina_ui.wiring import build_services

with without_stubs():
    from dreamina_ui.web.app import build_app

log = logging.getLogger("dreamina_ui")


def main() -> None:
    """Run until SIGTERM or Ctrl+C."""
    # Each statement in the ledger lets go of Python's lock and wants it back; by default others keep it 5 ms each time.
    sys.setswitchinterval(0.0005)
    allow_many()
    stop: SimpleQueue[int] = SimpleQueue()  # its put may be interrupted by itself; an Event's set deadlocks there
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: stop.put(number))
    try:
        settings = read_settings()
        forget_secrets()  # programs that Gradio starts, such as the end of its tunnel, need none
        logs_json = settings.log_format == "json"
        set_up_logging(settings.log_level, as_json=logs_json)
        folder = DataDir(settings.data_dir)
        parts = build_services(settings, folder)
        page, launch = build_app(settings, parts)
        parts.start()
        page.launch(quiet=logs_json, prevent_thread_lock=True, **launch)
        take_over_uvicorn()
        page.server.config.encoded_headers = []  # strangers need not know the server by name
    except (DreaminaError, OSError) as exc:
        print(f"Dreamina UI cannot start.\n{exc}", file=sys.stderr, flush=True)
        os._exit(1)  # a sandbox or a worker may be running already
    if logs_json:  # Gradio prints it otherwise
        log.info("The page is at %s", page.share_url or page.local_url)
    log.info("Pictures are made by %s and kept in %s", parts.studio.accounts.api_origin, folder.path)
    if not settings.keeps_data:
        log.warning("This Space has no persistent storage: all pictures and jobs are gone when it restarts")
    gc.freeze()  # what the start has made stays: the collector need not walk through it again and again
    stop.get()

    log.info("Stopping")
    parts.stop(timeout_s=2.0)
    page.server.config.timeout_graceful_shutdown = 1  # open streams would keep the server for ever
    page.close(verbose=False)
    folder.release()
    logging.shutdown()
    os._exit(0)  # a download or a POST that nobody answers must not keep the process; its job goes on at the next start


if __name__ == "__main__":
    main()
