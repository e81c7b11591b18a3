"""One server for each data folder."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dreamina_ui.errors import SettingsError
from dreamina_ui.ops.data_dir import DataDir

HOLD = """
import sys
from pathlib import Path
from dreamina_ui.ops.data_dir import DataDir
folder = DataDir(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def another_server(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the folder until it is stopped or killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_server_reads_who_holds_the_folder(tmp_path: Path) -> None:
    """Two servers on one ledger would each ask for and save the other one's jobs."""
    folder = tmp_path / "data"
    with another_server(folder) as other:
        with pytest.raises(SettingsError) as caught:
            DataDir(folder)
        assert f"process {other.pid}" in str(caught.value)
        assert str(folder) in str(caught.value)
        assert "DREAMINA_DATA_DIR" in str(caught.value)
        assert (folder / "server.pid").read_text() == f"{other.pid}\n"


def test_a_killed_server_lets_go(tmp_path: Path) -> None:
    """After a crash or a power loss nobody has to delete a lock file by hand."""
    with another_server(tmp_path) as other:
        other.kill()
        other.wait()
        DataDir(tmp_path).release()


def test_a_released_folder_can_be_taken_again(tmp_path: Path) -> None:
    """Also by the same process, as a restart in a notebook does."""
    first = DataDir(tmp_path)
    with pytest.raises(SettingsError, match=f"process {os.getpid()}"):
        DataDir(tmp_path)
    first.release()
    second = DataDir(tmp_path)
    assert (tmp_path / "server.pid").read_text() == f"{os.getpid()}\n"
    second.release()


def test_the_folder_is_made_for_its_owner_only(tmp_path: Path) -> None:
    """Prompts and pictures are private on a machine with other users."""
    folder = DataDir(tmp_path / "deep" / "data")
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert {folder.ledger.parent, folder.media.parent, folder.sandbox.parent} == {folder.path}
    folder.release()


def test_a_relative_path_stays_the_same_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later change of the working directory must not move the pictures."""
    monkeypatch.chdir(tmp_path)
    folder = DataDir(Path("data"))
    assert folder.path == tmp_path / "data"
    folder.release()


@pytest.mark.parametrize("in_the_way", ["data", "data/server.lock", "data/server.pid"])
def test_a_folder_that_cannot_be_used_is_reported_before_anything_is_bought(tmp_path: Path, in_the_way: str) -> None:
    """The owner gets the path and the setting, not a traceback."""
    if in_the_way == "data":
        (tmp_path / in_the_way).write_text("a file where the folder should be")
    else:
        (tmp_path / in_the_way).mkdir(parents=True)
    with pytest.raises(SettingsError) as caught:
        DataDir(tmp_path / "data")
    assert str(tmp_path / "data") in str(caught.value)
    assert "DREAMINA_DATA_DIR" in str(caught.value)


def test_a_folder_below_a_file_is_reported_too(tmp_path: Path) -> None:
    """A typo in the path is the most common error."""
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="cannot be written"):
        DataDir(tmp_path / "file" / "data")


def test_after_a_refusal_the_folder_is_free(tmp_path: Path) -> None:
    """Whoever fixes the error can start at once."""
    (tmp_path / "server.pid").mkdir()
    with pytest.raises(SettingsError):
        DataDir(tmp_path)
    (tmp_path / "server.pid").rmdir()
    DataDir(tmp_path).release()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_an_existing_folder_is_closed_to_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever shares the machine must not read prompts, images and secrets."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    DataDir(folder).release()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert str(folder) in caplog.text
    caplog.clear()
    DataDir(folder).release()
    assert caplog.text == ""
