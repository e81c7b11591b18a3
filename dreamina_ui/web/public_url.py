"""By which URL the service reaches this page, where that is known only after the start."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import requests

from dreamina_ui.media.signed_urls import SignedUrls
from dreamina_ui.settings import Settings
from dreamina_ui.web.middleware.security_headers import MARKER
from dreamina_ui.web.paths import READYZ

ATTEMPTS = 10
PAUSE_S = 6.0
"""How often, and with which pauses, a Space is asked: it is reached from outside only some time after its start."""

log = logging.getLogger(__name__)


def set_public_url(links: SignedUrls, settings: Settings, share_url: str | None) -> None:
    """Use the share link, or a Space's host once a stranger has reached us there, unless the owner named a URL."""
    if settings.public_url:
        return
    if share_url:
        links.public_url = share_url.rstrip("/")
    elif url := settings.reachable_url:
        threading.Thread(target=confirm_public_url, args=(links, url), name="public-url", daemon=True).start()


def confirm_public_url(links: SignedUrls, url: str, pause: Callable[[float], None] = time.sleep) -> None:
    """Use a URL for links if it leads here without a sign-in: a private Space asks everybody for one.

    Args:
        pause: waits for so many seconds.
    """
    for attempt in range(ATTEMPTS):
        if attempt:
            pause(PAUSE_S)
        try:
            response = requests.get(f"{url}{READYZ}", timeout=10, allow_redirects=False)
        except requests.RequestException:
            continue
        if MARKER in response.headers:
            links.public_url = url
            return
    log.info("Input images are sent within requests: strangers do not reach %s, where RunComfy would fetch them", url)
