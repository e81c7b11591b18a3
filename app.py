"""Settings -> wire the parts -> launch. README.md tells how to run it."""

from __future__ import annotations

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

from starlette.middleware import Middleware

from dreamina_ui.data_folder import DataFolder
from dreamina_ui.errors import DreaminaError
from dreamina_ui.logs import set_up_logging, take_over_uvicorn
from dreamina_ui.parts import build_parts
from dreamina_ui.passwords import read_logins
from dreamina_ui.settings import forget_secrets, read_settings
from dreamina_ui.ui.access import Access
from dreamina_ui.ui.batch_routes import build_batch_routes
from dreamina_ui.ui.cost_routes import build_cost_routes
from dreamina_ui.ui.doors import Doors, without_cors
from dreamina_ui.ui.form_routes import build_form_routes
from dreamina_ui.ui.gate import Gate, Wall
from dreamina_ui.ui.headers import SafeHeaders
from dreamina_ui.ui.library_routes import build_library_routes
from dreamina_ui.ui.own_key import build_key_routes
from dreamina_ui.ui.owner_routes import build_owner_routes
from dreamina_ui.ui.page import build_page
from dreamina_ui.ui.page_language import PageLanguage
from dreamina_ui.ui.probes import build_probe_routes
from dreamina_ui.ui.proxies import Proxies
from dreamina_ui.ui.routes import build_routes
from dreamina_ui.ui.sign_in import build_sign_in_routes
from dreamina_ui.ui.visitor import VisitorCookie

log = logging.getLogger("dreamina_ui")


def main() -> None:
    """Run until SIGTERM or Ctrl+C."""
    stop: SimpleQueue[int] = SimpleQueue()  # its put may be interrupted by itself; an Event's set deadlocks there
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: stop.put(number))
    try:
        settings = read_settings()
        forget_secrets()  # programs that Gradio starts, such as the end of its tunnel, need none
        logs_json = settings.log_format == "json"
        set_up_logging(settings.log_level, as_json=logs_json)
        folder = DataFolder(settings.data_dir)
        parts = build_parts(settings, folder)
        logins = read_logins(settings.auth.get_secret_value(), settings.auth_file)
        access = Access(
            is_shared=settings.is_shared,
            owners=settings.owners,
            uses_hugging_face=settings.offers_hugging_face and not logins,  # one kind of names: two might clash
        )
        gate = Gate(access, logins, settings.owner_password)
        page, launch = build_page(
            parts.studio,
            parts.model,
            access,
            uses_sandbox=settings.uses_sandbox,
            keeps_data=settings.keeps_data,
            is_closed=gate.is_closed,
        )
        routes = build_routes(parts.studio, access) + build_library_routes(parts.studio, parts.library, access)
        routes += build_cost_routes(parts.costs, access, parts.studio.now)
        routes += build_key_routes(parts.studio, access)
        routes += build_sign_in_routes(gate)
        routes += build_batch_routes(
            parts.studio, parts.batches, parts.sender, access, uses_sandbox=settings.uses_sandbox
        )
        token = settings.metrics_token
        routes += build_probe_routes(parts.health, parts.metrics, access, token.get_secret_value() if token else None)
        routes += build_owner_routes(parts.studio, access, can_sign_in=gate.has_sign_in)
        routes += build_form_routes(
            parts.studio, parts.library, parts.links, access, uses_sandbox=settings.uses_sandbox
        )
        if settings.wants_tools:
            from dreamina_ui.ui.tools import build_tool_routes  # its package is optional, and half a second to load

            routes += build_tool_routes(parts.studio, parts.model, access, uses_sandbox=settings.uses_sandbox)
        parts.start()
        middleware = [
            Middleware(Proxies, settings.believed_proxies),
            Middleware(SafeHeaders, settings.frame_sites),
            Middleware(Doors, is_private=not settings.is_shared and not settings.uses_sandbox),
            *([Middleware(Wall, gate)] if gate.is_closed else []),
            Middleware(VisitorCookie),
            Middleware(PageLanguage),
        ]
        app_kwargs = {"routes": routes, "middleware": middleware, "lifespan": without_cors}
        share = settings.wants_share_link  # without a word, Gradio shares the page of a hosted notebook by itself
        page.launch(app_kwargs=app_kwargs, share=share, quiet=logs_json, prevent_thread_lock=True, **launch)
        take_over_uvicorn()
        page.server.config.encoded_headers = []  # strangers need not know the server by name
    except (DreaminaError, OSError) as fault:
        print(f"Dreamina UI cannot start.\n{fault}", file=sys.stderr, flush=True)
        os._exit(1)  # a sandbox or a worker may be running already
    if logs_json:  # Gradio prints it otherwise
        log.info("The page is at %s", page.share_url or page.local_url)
    log.info("Pictures are made by %s and kept in %s", parts.studio.accounts.api_origin, folder.path)
    if not settings.keeps_data:
        log.warning("This Space has no persistent storage: all pictures and jobs are gone when it restarts")
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
