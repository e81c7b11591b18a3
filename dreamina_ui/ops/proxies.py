"""The proxies that the environment names, made usable for every library here; Gradio fails on some of them."""

from __future__ import annotations

import os
from urllib.request import getproxies_environment

from dreamina_ui.errors import SettingsError

_VARIABLES = ("http_proxy", "https_proxy", "all_proxy")
_KINDS = ("http", "https", "socks5", "socks5h")
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


def prepare_proxies(server_name: str = "") -> None:
    """Let no proxy stand between this program and its own page; call it before Gradio is imported.

    Gradio requests its own page at its start, through the proxy if there is one, and `NO_PROXY` rarely names this
    machine. GNOME writes `socks://`, which no library knows.

    Args:
        server_name: the IP address or name that the page is served at, if the owner chose one.

    Raises:
        SettingsError: a proxy is of a kind that is not supported.
    """
    names = [name for name, value in os.environ.items() if name.lower() in _VARIABLES and value]
    for name in names:
        kind, separator, rest = os.environ[name].partition("://")
        if separator and kind.lower() == "socks":
            os.environ[name] = f"socks5://{rest}"
        elif separator and kind.lower() not in _KINDS:
            raise SettingsError(f"{name}: proxies of this kind are not supported; use http:// or socks5://.")
    exceptions = getproxies_environment().get("no", "")
    if names and exceptions.strip() != "*":
        all_exceptions = ",".join(filter(None, (exceptions.strip(" ,"), *_THIS_MACHINE, server_name)))
        os.environ["NO_PROXY"] = os.environ["no_proxy"] = all_exceptions
