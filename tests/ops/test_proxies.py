"""Proxies of the environment: none stands before the program's own page, and a useless one is named."""

from __future__ import annotations

import os

import pytest

from dreamina_ui.errors import SettingsError
from dreamina_ui.ops.proxies import prepare_proxies

NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests must not depend on who runs them."""
    for name in NAMES:
        for variable in (name, name.upper()):
            monkeypatch.setenv(variable, "")  # so that it is put back
            monkeypatch.delenv(variable)


def test_this_machine_is_reached_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradio requests its own page at its start; through a company's proxy it could not start."""
    prepare_proxies()
    assert "NO_PROXY" not in os.environ
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "intranet.example, ")
    prepare_proxies("192.168.1.7")
    assert os.environ["NO_PROXY"] == os.environ["no_proxy"] == "intranet.example,localhost,127.0.0.1,::1,192.168.1.7"
    monkeypatch.setenv("no_proxy", "*")
    prepare_proxies()
    assert os.environ["no_proxy"] == "*"


def test_the_spelling_of_desktops_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    """GNOME writes it for all programs, and no library knows it."""
    monkeypatch.setenv("ALL_PROXY", "socks://127.0.0.1:1080/")
    prepare_proxies()
    assert os.environ["ALL_PROXY"] == "socks5://127.0.0.1:1080/"


@pytest.mark.parametrize("proxy", ["socks4://user:secret@proxy.example:1080", "ftp://proxy.example"])
def test_a_proxy_that_no_library_knows_is_named_at_start(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    """The page could not start with it either."""
    monkeypatch.setenv("https_proxy", proxy)
    with pytest.raises(SettingsError, match="https_proxy") as caught:
        prepare_proxies()
    assert "secret" not in str(caught.value)
