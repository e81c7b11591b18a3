"""The commands on images in a bucket: they say the same as on a folder, and a move there and back loses nothing."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest

from dreamina_ui.media.bucket import Bucket
from dreamina_ui.media.folder_store import FolderStore
from dreamina_ui.media.object_store import ObjectStore
from tests.support.commands import Ended, Run, forget_settings, run_command
from tests.support.harness import TOKEN, ScriptedApi, png
from tests.support.library_rows import LibraryRows
from tests.support.s3_server import KEY_ID, SECRET, S3Server


@pytest.fixture(autouse=True)
def _no_settings_of_the_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_settings(monkeypatch)


@pytest.fixture
def run(tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run one command, with its images in the bucket unless `in_folder` is set."""

    def run(*words: object, data: str = "data", in_folder: bool = False) -> Ended:
        monkeypatch.setenv("DREAMINA_MEDIA_URL", "" if in_folder else bucket.access.url)
        monkeypatch.setenv("DREAMINA_S3_ENDPOINT", bucket.access.endpoint)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        return run_command(capsys, tmp_path / data, *words)

    return run


@pytest.fixture
def rows(tmp_path: Path) -> LibraryRows:
    """Three images in a folder, in two jobs."""
    made = LibraryRows(tmp_path / "folder")
    made.add("a red fox", files=2)
    made.add("a blue bird")
    made.ledger.close()
    return made


@pytest.fixture
def moved(run: Run, rows: LibraryRows, tmp_path: Path) -> LibraryRows:
    """The same in the bucket, with the ledger in `data`."""
    assert run("backup", tmp_path / "there.zip", data="folder", in_folder=True).code == 0
    assert run("restore", tmp_path / "there.zip").out == f"{tmp_path / 'data'}: 3 files, 0.0 MB.\n"
    return rows


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_move_into_a_bucket_and_home_loses_nothing(
    run: Run, moved: LibraryRows, bucket: Bucket, tmp_path: Path
) -> None:
    """Whoever outgrows one disk, and whoever was wrong about that, takes everything along."""
    assert len([item for item in bucket.list("media") if "/original." in item.key]) == 3
    assert "3 files" in run("verify").out
    assert run("verify").code == 0
    assert run("backup", tmp_path / "back.zip").code == 0
    assert run("restore", tmp_path / "back.zip", data="home", in_folder=True).code == 0
    assert run("verify", data="home", in_folder=True).code == 0
    assert contents(tmp_path / "home" / "media") == contents(tmp_path / "folder" / "media")
    before, after = (json.loads(run("list", "--json", data=name, in_folder=True).out) for name in ("folder", "home"))
    for job in (*before, *after):
        for output in job["outputs"]:
            del output["path"]
    assert before == after


def test_images_that_visitors_gave_are_in_a_backup(run: Run, rows: LibraryRows, tmp_path: Path) -> None:
    """A job that is edited again after a move would otherwise have lost its inputs."""
    given = rows.input_images.add(io.BytesIO(png()), "v", None).image
    folder = rows.path.parent / "inputs"
    before = contents(folder)
    assert set(before) == {given.file_name, given.thumbnail_name}
    assert run("backup", tmp_path / "back.zip", data="folder", in_folder=True).code == 0
    assert run("restore", tmp_path / "back.zip", data="home", in_folder=True).code == 0
    assert contents(tmp_path / "home" / "inputs") == before
    (folder / given.file_name).unlink()
    ended = run("backup", tmp_path / "hole.zip", data="folder", in_folder=True)
    assert f"inputs/{given.file_name}" in ended.out + ended.err
    rows.input_images.remove_visitor("v")
    assert run("backup", tmp_path / "gone.zip", data="folder", in_folder=True).code == 0


def test_a_backup_from_a_bucket_is_a_data_folder_too(run: Run, moved: LibraryRows, tmp_path: Path) -> None:
    """It can be unpacked by hand, where there is no time for anything else."""
    run("backup", tmp_path / "back.zip")
    zipfile.ZipFile(tmp_path / "back.zip").extractall(tmp_path / "unpacked")
    assert run("verify", data="unpacked", in_folder=True).code == 0
    assert contents(tmp_path / "unpacked" / "media") == contents(tmp_path / "folder" / "media")


def test_verify_finds_each_kind_of_damage(run: Run, moved: LibraryRows, bucket: Bucket) -> None:
    """A row without its file, another file, and a file without a row are three different mistakes."""
    first, second, third = (item.key for item in bucket.list("media") if "/original." in item.key)
    size_bytes = bucket.head(second).size_bytes
    bucket.delete([first])
    bucket.put(second, bytes(size_bytes), "image/png")
    other = third.replace(third.split("/")[4], "0" * 64)
    bucket.put(other, b"of a frozen program", "image/png")
    stranger = f"media/ff/{'f' * 32}/0/{'1' * 64}/original.png"
    bucket.put(stranger, b"of another installation", "image/png")
    ended = run("verify")
    lines = ended.out.splitlines()
    assert ended.code == 1
    assert {line.split(" (")[0] for line in lines[:-1]} == {
        f"missing: {bucket.name}/{first}",
        f"changed: {bucket.name}/{second}",
        f"leftover: {bucket.name}/{other}",
        f"orphaned: {bucket.name}/{stranger}",
    }
    assert "changed" not in run("verify", "--quick").out


def test_export_takes_originals_from_the_bucket(run: Run, moved: LibraryRows, tmp_path: Path) -> None:
    """People take their images with them, wherever those are."""
    originals = {content for name, content in contents(tmp_path / "folder" / "media").items() if "original" in name}
    assert run("export", tmp_path / "out").code == 0
    assert {content for name, content in contents(tmp_path / "out").items() if name != "manifest.json"} == originals
    assert run("export", tmp_path / "out").code == 0
    assert len(contents(tmp_path / "out")) == 4, "what is there already is not copied again"
    assert run("export", tmp_path / "out.zip").code == 0
    assert len(zipfile.ZipFile(tmp_path / "out.zip").namelist()) == 4


def test_a_restore_overwrites_nothing_and_resumes(
    run: Run, rows: LibraryRows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that breaks in the middle of 500 GB must not start it over, and a typo must not cost a library."""
    run("backup", tmp_path / "copy.zip", data="folder", in_folder=True)
    puts: list[str] = []
    put = Bucket.put

    def counted(bucket: Bucket, key: str, content: bytes | Path, media_type: str) -> None:
        if "/original." in key:
            puts.append(key)
            if len(puts) == 2:
                raise OSError("the network is gone")
        put(bucket, key, content, media_type)

    monkeypatch.setattr(Bucket, "put", counted)
    assert run("restore", tmp_path / "copy.zip").code == 1
    assert not (tmp_path / "data" / "ledger.sqlite3").exists()
    assert run("restore", tmp_path / "copy.zip").code == 0
    assert len(puts) == 4, "the first of three was there"
    assert run("verify").code == 0
    again = run("restore", tmp_path / "copy.zip")
    assert (again.code, "has a ledger already" in again.err) == (1, True)


def test_a_damaged_backup_restores_the_rest_and_says_so(run: Run, rows: LibraryRows, tmp_path: Path) -> None:
    """Two good images are worth more than none; a bad one must not look good."""
    run("backup", tmp_path / "copy.zip", data="folder", in_folder=True)
    with zipfile.ZipFile(tmp_path / "copy.zip") as good, zipfile.ZipFile(tmp_path / "bad.zip", "w") as bad:
        names = [name for name in good.namelist() if "original" in name]
        for name in good.namelist():
            content = good.read(name)
            if name == names[0]:
                content = content[:-1] + b"?"
            if name != names[1]:
                bad.writestr(name, content)
    ended = run("restore", tmp_path / "bad.zip", data="home", in_folder=True)
    assert ended.code == 1
    assert ended.out.splitlines()[:-1] == [f"missing: {name}" for name in names[:2]]
    assert "1 files" in ended.out
    job_id, index = names[2].split("/")[2:4]
    assert FolderStore(tmp_path / "home" / "media").find(job_id, int(index), "original")
    for name in ("not a zip", "nothing"):
        (tmp_path / name).write_bytes(b"no backup")
        assert "is no backup" in run("restore", tmp_path / name, data="other").err


def test_attach_stores_in_the_bucket(
    run: Run, moved: LibraryRows, bucket: Bucket, service: ScriptedApi, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A request that the page lost is brought in where all others are."""
    monkeypatch.setenv("RUNCOMFY_API_BASE_URL", service.server.url)
    monkeypatch.setenv("RUNCOMFY_API_TOKEN", TOKEN)
    service.request_id = "r-9"
    service.completes(service.picture())
    ended = run("attach", "r-9")
    assert (ended.code, f"kept: {bucket.name}/media/" in ended.out) == (0, True), ended
    assert len(list(ObjectStore(bucket, tmp_path).objects())) == 3 * 3 + 3


def test_a_bucket_that_is_away_is_one_line(run: Run, moved: LibraryRows, s3_server: S3Server, bucket: Bucket) -> None:
    """A cron job that mails a traceback is read by nobody; and nothing is called missing that merely cannot be read."""
    object.__setattr__(bucket, "access", s3_server.access("x", secret=SECRET))
    object.__setattr__(bucket.access, "endpoint", "http://127.0.0.1:9")
    ended = run("verify")
    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert "cannot be reached" in ended.err
