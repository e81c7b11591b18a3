"""The commands on a ledger in a database: a move from one machine to many and home again loses nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.sharing.transfer import copy_ledger
from dreamina_ui.media.bucket import Bucket
from tests.cli.test_bucket_commands import contents
from tests.support.commands import Ended, Run, forget_settings, run_command
from tests.support.databases import PostgresqlEngine
from tests.support.harness import TOKEN, ScriptedApi
from tests.support.ledger_jobs import new_job
from tests.support.library_rows import LibraryRows
from tests.support.s3_server import KEY_ID, SECRET


@pytest.fixture
def run(
    tmp_path: Path,
    pg: PostgresqlEngine,
    bucket: Bucket,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Run one command on the database and the bucket, or on the data folder `data`, with its images in it."""
    forget_settings(monkeypatch)
    monkeypatch.setenv("DREAMINA_DATABASE_URL", pg.url(tmp_path / "shared"))
    monkeypatch.setenv("DREAMINA_DATA_DIR", str(tmp_path / "local"))
    monkeypatch.setenv("DREAMINA_S3_ENDPOINT", bucket.access.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)

    def run(*words: object, data: str = "") -> Ended:
        monkeypatch.setenv("DREAMINA_MEDIA_URL", "" if data else bucket.access.url)
        return run_command(capsys, tmp_path / data if data else None, *words)

    return run


@pytest.fixture
def rows(tmp_path: Path) -> LibraryRows:
    """Three images in a folder, in two jobs."""
    made = LibraryRows(tmp_path / "folder")
    made.add("a red fox", files=2)
    made.add("a blue bird")
    made.ledger.secret("installation")
    made.ledger.close()
    return made


def test_a_move_to_many_machines_and_home_loses_nothing(run: Run, rows: LibraryRows, tmp_path: Path) -> None:
    """Whoever outgrows one machine, and whoever was wrong about that, takes everything along."""
    assert run("backup", tmp_path / "there.zip", data="folder").code == 0
    restored = run("restore", tmp_path / "there.zip")
    assert (restored.code, restored.err) == (0, "")
    assert run("verify").out.endswith("2 jobs and 3 files, 0.0 MB: all is well.\n")
    assert "a red fox" in run("list").out
    assert run("export", tmp_path / "pictures").out.startswith(f"{tmp_path / 'pictures'}: 3 files")
    again = run("restore", tmp_path / "there.zip")
    assert (again.code, "not overwritten" in again.err) == (1, True)

    assert run("backup", tmp_path / "home.zip").code == 0
    assert run("restore", tmp_path / "home.zip", data="home").code == 0
    assert run("verify", data="home").code == 0
    assert contents(tmp_path / "home" / "media") == contents(tmp_path / "folder" / "media")
    before, after = (json.loads(run("list", "--json", data=name).out) for name in ("folder", "home"))
    for job in (*before, *after):
        for output in job["outputs"]:
            del output["path"]
    assert before == after


def test_verify_finds_what_is_missing_and_miscounted(
    run: Run, rows: LibraryRows, bucket: Bucket, pg: PostgresqlEngine, tmp_path: Path
) -> None:
    """An operator of several servers must be able to trust them, too."""
    run("backup", tmp_path / "there.zip", data="folder")
    run("restore", tmp_path / "there.zip")
    original = next(item.key for item in bucket.list("media") if "/original." in item.key)
    bucket.delete([original])
    pg.rows(tmp_path / "shared", "UPDATE budgets SET made = made + 1 WHERE scope = 'installation' AND day >= 0")
    verified = run("verify")
    assert verified.code == 1
    assert "missing: " in verified.out
    assert "miscounted: the database" in verified.out
    assert "miscounted" not in run("verify", "--recount").out


def test_a_request_is_brought_in_for_the_servers(
    run: Run, pg: PostgresqlEngine, service: ScriptedApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row is nobody's, so that the next server that looks follows it."""
    monkeypatch.setenv("RUNCOMFY_API_TOKEN", TOKEN)
    monkeypatch.setenv("RUNCOMFY_API_BASE_URL", service.server.url)
    service.status("in_progress")
    attached = run("attach", "r-1")
    assert attached.code == 0, attached.err
    assert pg.rows(tmp_path / "shared", "SELECT request_id, replica_id FROM jobs") == [("r-1", None)]


def test_what_was_being_sent_is_never_sent_by_a_copy(pg: PostgresqlEngine, tmp_path: Path) -> None:
    """A backup knows that a request was about to go out, not whether it did: a second one could be paid twice."""
    source, target = Ledger(tmp_path / "one.sqlite3"), Ledger(pg.open(tmp_path / "shared"))
    job = source.add(new_job(visitor_id="v1"))
    copy_ledger(source, target)
    assert target.job(job.job_id).armed_at == job.created_at
    assert target.secret("installation") != b""
    source.close()
    target.close()
