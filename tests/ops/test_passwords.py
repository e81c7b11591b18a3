"""Names and passwords are kept as hashes, and a mistake in their list stops the start without showing them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from dreamina_ui.errors import SettingsError
from dreamina_ui.ops.passwords import hash_password, read_logins


def test_a_list_and_a_file_may_be_used_together(tmp_path: Path) -> None:
    """A password may have a colon; a name is looked at as it is written."""
    file = tmp_path / "logins"
    file.write_text(f"# of the studio\n\ncarol:{hash_password('three, four')}\n", encoding="utf-8")
    logins = read_logins("alice:one:two, bob:五", file)
    assert logins
    for name, password in (("alice", "one:two"), ("bob", "五"), ("carol", "three, four")):
        assert logins.are_right(name, password)
    for name, password in (("alice", "五"), ("Alice", "one:two"), ("", ""), ("carol", ""), ("dave", "\ud800")):
        assert not logins.are_right(name, password)
    assert not read_logins("", None)


def test_two_hashes_of_one_password_differ() -> None:
    """Who reads the file does not see who shares a password."""
    assert hash_password("one") != hash_password("one")
    assert "one" not in hash_password("one")


def test_an_unknown_name_takes_as_long_as_a_known_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a clock tells which names exist."""
    file = tmp_path / "logins"
    file.write_text(f"carol:{hash_password('three')}\n", encoding="utf-8")
    logins = read_logins("", file)

    scrypt = hashlib.scrypt
    costs: list[dict[str, Any]] = []

    def counted(password: bytes, **cost: Any) -> bytes:
        costs.append({name: value for name, value in cost.items() if name != "salt"})
        return scrypt(password, **cost)

    monkeypatch.setattr(hashlib, "scrypt", counted)
    logins.are_right("nobody", "x")
    logins.are_right("carol", "x")
    of_nobody, of_carol = costs
    assert of_nobody == of_carol


@pytest.mark.parametrize("entries", ["alice", "alice:", ":hunter2", "alice:hunter2,alice:other", ",", " "])
def test_a_broken_list_is_refused_and_not_shown(entries: str) -> None:
    """Starting anyway would lock somebody out, or admit everybody."""
    with pytest.raises(SettingsError, match="DREAMINA_AUTH") as caught:
        read_logins(entries, None)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("text", ["alice:hunter2", "alice:scrypt$x$y", "alice:sha256$AAAA$AAAA", "# nobody\n", ""])
def test_a_broken_file_is_refused_and_not_shown(tmp_path: Path, text: str) -> None:
    """A file of plain passwords is a mistake, and an empty one would open the page to everybody."""
    file = tmp_path / "logins"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match="DREAMINA_AUTH_FILE") as caught:
        read_logins("", file)
    assert "hunter2" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The page must not be open because of a typing mistake."""
    with pytest.raises(SettingsError, match="nowhere"):
        read_logins("", tmp_path / "nowhere")
