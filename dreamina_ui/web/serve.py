"""Settings -> wire the services -> launch: what `python app.py` and `dreamina-ui serve` do.

A server of the role `worker` has no page, and does not import Gradio.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
from queue import SimpleQueue

from dreamina_ui.errors import DreaminaError
from dreamina_ui.ops.data_dir import DataDir
from dreamina_ui.ops.file_limits import allow_many, max_connections
from dreamina_ui.ops.log_capture import capture_failures, capture_output, log_captured_output
from dreamina_ui.ops.log_format import set_up_logging, take_over_uvicorn
from dreamina_ui.ops.proxies import prepare_proxies
from dreamina_ui.settings import Settings, forget_secrets, read_settings
from dreamina_ui.web.gradio_page.import_patch import skip_stub_files
from dreamina_ui.web.middleware.connections import ConnectionLimits
from dreamina_ui.web.public_url import set_public_url
from dreamina_ui.web.routes.probes import ProbeServer, build_probe_routes
from dreamina_ui.wiring import Services, build_services

log = logging.getLogger("dreamina_ui")

GC_THRESHOLDS = (20_000, 20, 20)
"""How much is allocated between two runs of the garbage collector. By default it runs so often that thousands of open
streams, which are no garbage, take a sixth of the CPU time."""

STOP_TIMEOUT_S = 2.0
DRAIN_TIMEOUT_S = 100.0
"""How long a stop waits for the responses to requests that were sent: longer than the API takes, where other servers
continue all else meanwhile."""


def serve() -> None:
    """Run until SIGTERM or Ctrl+C, then end the process."""
    # Each SQL statement releases the GIL and takes it again; by default another thread holds it for 5 ms meanwhile.
    sys.setswitchinterval(0.0005)
    allow_many()
    os.umask(0o077)  # other users of this machine read none of our files
    stop: SimpleQueue[int] = SimpleQueue()  # its `put` may interrupt itself; an Event's `set` would deadlock
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: stop.put(number))
    prepare_environment()
    try:
        settings = read_settings()
        prepare_proxies(settings.server_name)
        forget_secrets()  # programs that Gradio starts, such as its tunnel, must not inherit them
        set_up_logging(settings.log_level, as_json=settings.log_format == "json")
        capture_failures()
        data_dir = DataDir(settings.data_dir)
        services = build_services(settings, data_dir)
        page = None if settings.role == "worker" else _Page(settings, services)
        probes = _open_probes(settings, services) if settings.role == "worker" else None
        services.start()
        if page:
            page.launch()
        set_public_url(services.links, settings, page.share_url if page else None)
    except (DreaminaError, OSError) as exc:
        print(f"Dreamina UI cannot start.\n{exc}", file=sys.stderr, flush=True)
        os._exit(1)  # a sandbox or a worker may be running already
    log.info("Jobs go to %s; their files are stored in %s", services.job_services.accounts.api_origin, data_dir.path)
    if not settings.keeps_data:
        log.warning("This Space has no persistent storage: all pictures and jobs are lost when it restarts")
    if page:
        log.info("The page is at %s", page.url)
    gc.freeze()  # what exists now stays until the end: the garbage collector need not visit it
    gc.set_threshold(*GC_THRESHOLDS)
    stop.get()

    log.info("Stopping")
    services.stop(timeout_s=DRAIN_TIMEOUT_S if settings.database_url else STOP_TIMEOUT_S)
    if probes:
        probes.stop()
    if page:
        page.close()
    data_dir.release()
    log_captured_output()
    logging.shutdown()
    os._exit(0)  # do not wait for an unanswered download or POST: its job resumes at the next start


def _open_probes(settings: Settings, services: Services) -> ProbeServer | None:
    """The port of a server without a page, if it has one; raises OSError."""
    if settings.probe_port is None:
        return None
    token = settings.metrics_token.get_secret_value() if settings.metrics_token else None
    routes = build_probe_routes(services.health, services.metrics, token)
    return ProbeServer(routes, settings.server_name or "127.0.0.1", settings.probe_port)


class _Page:
    """The page in its server."""

    def __init__(self, settings: Settings, services: Services) -> None:
        with skip_stub_files():
            from dreamina_ui.web.app import build_app  # it imports Gradio, which takes seconds
        self._page, self._launch = build_app(settings, services)
        self._connections = ConnectionLimits(max_connections(), settings.believed_proxies)

    @property
    def share_url(self) -> str | None:
        """Its public URL through Gradio's tunnel, if it has one."""
        url: str | None = self._page.share_url
        return url

    @property
    def url(self) -> str:
        return self.share_url or str(self._page.local_url)

    def launch(self) -> None:
        # Quiet, as Gradio would name an argument for a public link that nobody here can give.
        self._page.launch(quiet=True, prevent_thread_lock=True, **self._launch)
        take_over_uvicorn()
        capture_output()  # what Gradio prints until here is for the person who starts it
        self._page.server.config.encoded_headers = []  # no Server header
        self._connections.apply(self._page.server)

    def close(self) -> None:
        self._page.server.config.timeout_graceful_shutdown = 1  # otherwise open streams keep the server forever
        self._page.close(verbose=False)


def prepare_environment() -> None:
    """Set what Gradio and uvicorn read from the environment; call it before Gradio is imported."""
    for name in [name for name, value in os.environ.items() if name.startswith("GRADIO_") and not value]:
        del os.environ[name]  # empty means unset, as for our own settings; Gradio would fail on it
    os.environ["FORWARDED_ALLOW_IPS"] = ""  # uvicorn would trust every client on this machine; ProxyHeaders decides
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # telemetry is the owner's choice
    os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", "100000000")  # else each event tabulates all past ones
