"""Settings -> wire the parts -> launch. README.md tells how to run it."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import sys
from queue import SimpleQueue

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # telemetry is the owner's choice
os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", "100000000")  # else each event tabulates all past events

from starlette.middleware import Middleware

from dreamina_ui.addresses import AddressGuard
from dreamina_ui.data_folder import DataFolder
from dreamina_ui.errors import DreaminaError
from dreamina_ui.ledger import Ledger
from dreamina_ui.media import MediaStore
from dreamina_ui.runcomfy import RunComfy
from dreamina_ui.sandbox.server import Sandbox
from dreamina_ui.schema import load_models
from dreamina_ui.settings import Settings, read_settings
from dreamina_ui.studio import Studio
from dreamina_ui.ui.page import build_page
from dreamina_ui.ui.routes import build_routes
from dreamina_ui.ui.visitor import VisitorCookie

log = logging.getLogger("dreamina_ui")


def main() -> None:
    """Run until SIGTERM or Ctrl+C."""
    stop: SimpleQueue[int] = SimpleQueue()  # its put may be interrupted by itself; an Event's set deadlocks there
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: stop.put(number))
    try:
        settings = read_settings()
        logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        for noisy in ("httpx", "urllib3", "PIL", "asyncio"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        folder = DataFolder(settings.data_dir)
        studio, sandbox = build_studio(settings, folder)
    except DreaminaError as fault:
        sys.exit(f"Dreamina UI cannot start.\n{fault}")
    page, launch = build_page(studio, uses_sandbox=sandbox is not None)
    app_kwargs = {"routes": build_routes(studio), "middleware": [Middleware(VisitorCookie)]}
    try:
        studio.start()
        page.launch(app_kwargs=app_kwargs, prevent_thread_lock=True, **launch)
    except (DreaminaError, OSError) as fault:
        studio.stop()
        sys.exit(f"Dreamina UI cannot start.\n{fault}")
    log.info("Pictures are made by %s and kept in %s", studio.api_origin, folder.path)
    stop.get()

    log.info("Stopping")
    studio.stop(timeout_s=2.0)
    page.server.config.timeout_graceful_shutdown = 1  # open streams would keep the server for ever
    page.close(verbose=False)
    if sandbox:
        sandbox.stop()
    folder.release()
    logging.shutdown()
    os._exit(0)  # a download or a POST that nobody answers must not keep the process; its job goes on at the next start


def build_studio(settings: Settings, folder: DataFolder) -> tuple[Studio, Sandbox | None]:
    """Wire the parts below the page; without a token, with a sandbox in place of RunComfy.

    Raises:
        DreaminaError: a setting, a model file or the data folder makes it impossible.
    """
    models = load_models()
    sandbox: Sandbox | None = None
    if settings.api_token is None:
        token = secrets.token_urlsafe(16)
        sandbox = Sandbox(
            folder.sandbox,
            models,
            token=token,
            queue_s=settings.sandbox_queue_s,
            run_s=settings.sandbox_run_s,
            parallel=settings.sandbox_parallel,
        )
        base_url, origin = sandbox.start(), "sandbox"
    else:
        base_url, origin, token = settings.api_base_url, settings.api_base_url, settings.api_token.get_secret_value()
    guard = AddressGuard(exempt_origin=base_url, allowed_hosts=settings.media_hosts)
    studio = Studio(
        client=RunComfy(base_url, token),
        api_origin=origin,
        models=models,
        ledger=Ledger(folder.ledger),
        media=MediaStore(folder.media, guard),
    )
    return studio, sandbox


if __name__ == "__main__":
    main()
