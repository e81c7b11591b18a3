"""Whoever finds a vulnerability finds whom to tell."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from dreamina_ui.errors import SettingsError
from dreamina_ui.settings import read_settings
from dreamina_ui.web.routes.security_txt import build_security_txt_routes

NOW = datetime(2026, 11, 29, tzinfo=timezone.utc)


def test_the_owners_contact_is_at_the_usual_place() -> None:
    """Source: RFC 9116; it expires, so that nobody writes to a contact of years ago."""
    contact = "mailto:security@example.com"
    client = TestClient(Starlette(routes=build_security_txt_routes(contact, NOW.timestamp)))
    response = client.get("/.well-known/security.txt")
    assert response.headers["content-type"].startswith("text/plain")
    fields = dict(line.split(": ", 1) for line in response.text.splitlines())
    assert fields["Contact"] == contact
    assert 30 < (datetime.fromisoformat(fields["Expires"].replace("Z", "+00:00")) - NOW).days < 366
    assert "en" in fields["Preferred-Languages"].split(", ")


def test_without_a_contact_there_is_no_file() -> None:
    """A made-up one would be worse."""
    assert build_security_txt_routes("", NOW.timestamp) == []


@pytest.mark.parametrize(
    ("value", "contact"),
    [
        ("security@example.com", "mailto:security@example.com"), ("https://example.com/security",) * 2,
        ("tel:+1-201-555-0123",) * 2, ("example.com", None), ("http://example.com", None), ("a@b.c\nPolicy: x", None),
    ],
)  # fmt: skip
def test_a_contact_is_a_url(monkeypatch: pytest.MonkeyPatch, value: str, contact: str | None) -> None:
    """A line break would add fields of its own."""
    monkeypatch.setenv("DREAMINA_SECURITY_CONTACT", value)
    if contact is None:
        with pytest.raises(SettingsError, match="DREAMINA_SECURITY_CONTACT"):
            read_settings()
    else:
        assert read_settings().security_contact == contact
