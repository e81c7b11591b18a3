"""The operator's command line: it tells the truth about a data folder, beside a running server, and harms nothing."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dreamina_ui import __version__
from dreamina_ui.cli.commands import app
from dreamina_ui.cli.data_dir_reader import LEDGER_NAME, Records, open_records
from dreamina_ui.cli.export import backup
from dreamina_ui.cli.verify import Report, verify
from dreamina_ui.ledger.job import Job, Output
from dreamina_ui.ledger.job_rows import PAGE_JOBS
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ops.data_dir import DataDir
from dreamina_ui.ops.passwords import read_logins
from tests.support.bad_server import json_response
from tests.support.browser import OUR_VARIABLES, ROOT, wait_for
from tests.support.commands import Ended, Run, forget_settings, run_command
from tests.support.harness import TOKEN, Harness, ScriptedApi, no_pause, png
from tests.support.library_rows import NOON, LibraryRows, add_rows, make_job

SERVER = """
import sys
from dataclasses import replace
from pathlib import Path
from dreamina_ui.ops.data_dir import DataDir
from tests.support.harness import FAST, Harness
folder = DataDir(Path(sys.argv[1]))
harness = Harness(folder.path, sys.argv[2])
harness.pace = replace(FAST, pick_up_interval_s=0.02)
harness.restart()
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _no_settings_of_the_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_settings(monkeypatch)


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run one command on the data folder `data`, in this process."""

    return partial(run_command, capsys, tmp_path / "data")


@pytest.fixture
def rows(tmp_path: Path) -> Iterator[LibraryRows]:
    """A data folder that a test fills by hand."""
    made = LibraryRows(tmp_path / "data")
    yield made
    made.ledger.close()


@pytest.fixture
def records(rows: LibraryRows) -> Records:
    return Records(rows.path.parent, rows.ledger)


@pytest.fixture
def made(harness: Harness, service: ScriptedApi) -> Job:
    """A job with two pictures that the worker fetched."""
    service.completes(service.picture("1.png"), service.picture("2.png", (30, 90)))
    harness.start()
    job = harness.wait(harness.generate().job_id)
    assert job.state == "done"
    return job


@pytest.fixture
def running(harness: Harness) -> Iterator[Harness]:
    """The data folder of a server that runs in another process."""
    command = [sys.executable, "-c", SERVER, str(harness.folder), harness.base_url]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        try:
            assert server.stdout.readline() == "ready\n"
            yield harness
        finally:
            server.kill()


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch, service: ScriptedApi) -> str:
    """The owner's token, for a scripted service where RunComfy would be."""
    monkeypatch.setenv("RUNCOMFY_API_BASE_URL", service.server.url)
    monkeypatch.setenv("RUNCOMFY_API_TOKEN", TOKEN)
    return TOKEN


# --- list and show


def test_a_list_names_every_job_newest_first(run: Run, rows: LibraryRows) -> None:
    """An operator who looks for a job sees it, also when the page shows it no longer."""
    old = rows.add("an old\nfox", cost_usd=0.03, archived_at=NOON)
    gone = rows.add("a deleted fox", files=0, created_at=NOON + 1)
    new = rows.add("x" * 300, files=2, created_at=NOON + 2, state="failed")
    header, *lines = run("list").out.splitlines()
    assert header.split() == ["JOB", "STATE", "CREATED", "SIZE", "FILES", "USD", "PROMPT"]
    assert [line.split(maxsplit=6)[:6] for line in lines] == [
        [new.job_id[:8], "failed", "2026-11-18T11:06:42Z", "1024x1024(1:1)", "2", "-"],
        [gone.job_id[:8], "done", "2026-11-18T11:06:41Z", "1024x1024(1:1)", "0", "-"],
        [old.job_id[:8], "done", "2026-11-18T11:06:40Z", "1024x1024(1:1)", "1", "0.0300"],
    ]
    assert lines[0].endswith("  " + "x" * 59 + "…")
    assert lines[2].endswith("  an old fox")


def test_a_list_can_be_narrowed(run: Run, rows: LibraryRows) -> None:
    """Among thousands of jobs, the failed ones about foxes are found."""
    for number, (prompt, state) in enumerate([("Red FOX", "failed"), ("red hen", "failed"), ("red fox", "done")]):
        rows.add(prompt, files=0, state=state, created_at=NOON + number)
    assert _prompts(run("list", "--json")) == ["red fox", "red hen", "Red FOX"]
    assert _prompts(run("list", "--json", "--state", "failed", "--text", "fox red")) == ["Red FOX"]
    assert _prompts(run("list", "--json", "--limit", 2)) == ["red fox", "red hen"]
    assert _prompts(run("list", "--json", "--text", "owl")) == []
    assert run("list", "--text", "owl").out.count("\n") == 1


def test_every_job_is_read_once_across_pages(rows: LibraryRows) -> None:
    """Jobs of the very same moment must not get lost between two pages."""
    made = [make_job(created_at=NOON + number // 7) for number in range(2 * PAGE_JOBS + 3)]
    add_rows(rows.ledger, made)
    result = [(job.created_at, job.job_id) for job in rows.ledger.every_job()]
    assert result == sorted([(job.created_at, job.job_id) for job in made], reverse=True)


def test_show_tells_every_field_state_and_file(run: Run, harness: Harness, made: Job) -> None:
    """Who asks what happened to a paid job gets the whole answer."""
    reported = json.loads(run("show", made.job_id, "--json").out)
    fields = set(Job.__dataclass_fields__) - {"client_hash"} | {"address", "state_changes"}  # its name for scripts
    assert set(reported) == fields
    assert reported["inputs"] == dict(made.inputs)
    assert [item["state"] for item in reported["state_changes"]] == ["submitting", "queued", "saving", "done"]
    assert [hashlib.sha256(Path(item["path"]).read_bytes()).hexdigest() for item in reported["outputs"]] == [
        output.sha256 for output in made.outputs
    ]
    text = run("show", made.job_id).out
    assert all(f"\n{name}:" in f"\n{text}" for name in fields - {"outputs", "state_changes"})
    assert f"sha256 {made.outputs[1].sha256}" in text
    assert str(harness.media.path(made.job_id, 1, "original")) in text
    assert not any(output.file_key in text + str(reported) for output in made.outputs), (
        "who has the key may see the file"
    )


def test_a_job_is_found_by_the_start_of_its_id_and_by_its_request(run: Run, rows: LibraryRows) -> None:
    """Logs show short ids, and RunComfy's site shows request ids."""
    item = rows.add(job_id="abcdef01" + "0" * 24, request_id="r%one")
    two = rows.add(job_id="abcdef02" + "0" * 24, request_id="abcdef03")
    for name in (item.job_id, "abcdef01", " ABCDEF01 ", "r%one"):
        assert json.loads(run("show", name, "--json").out)["job_id"] == item.job_id
    assert json.loads(run("show", "abcdef03", "--json").out)["job_id"] == two.job_id
    several = run("show", "abcdef")
    assert several.code == 1
    assert item.job_id in several.err
    assert two.job_id in several.err
    assert [run("show", name).code for name in ("abcde", "abcdef04", "r%", "")] == [1, 1, 1, 1]


def test_no_prompt_commands_the_terminal(run: Run, rows: LibraryRows) -> None:
    """A stranger's prompt must not clear the operator's screen, set its title, or turn text around."""
    job = rows.add("\x1b]0;owned\x07\x1b[2J\u202e\x9b31m fox\r日本\u3000語", detail="\x1b[8m")
    for ended in (run("list"), run("show", job.job_id), run("list", "--json"), run("show", job.job_id, "--json")):
        assert ended.code == 0
        assert all(character.isprintable() or character in "\n\u3000" for character in ended.out)
    assert "\\x1b[2J\\u202e\\x9b31m fox 日本 語" in run("list").out
    assert "日本\u3000語" in run("show", job.job_id).out
    assert "\\x1b[2J" in run("show", "\x1b[2J").err


# --- attach


def test_a_request_comes_in_without_a_server(
    run: Run, harness: Harness, service: ScriptedApi, token: str, tmp_path: Path
) -> None:
    """A request made elsewhere is fetched by one command, to its last byte."""
    service.status("in_queue", "in_queue", "completed")
    service.result({"status": "completed", "cost": 0.03, "output": {"images": [service.picture()]}})
    ended = run("attach", "r-1")
    assert ended.code == 0, ended.err
    job = harness.ledger.by_request(service.server.url, "r-1")
    assert job
    path = harness.media.path(job.job_id, 0, "original")
    assert path
    assert path.read_bytes() == png()
    assert ended.out.splitlines()[0] == f"Job {job.job_id}: queued."
    assert ended.out.splitlines()[-2:] == [f"Job {job.job_id}: done.", f"kept: {path}"]
    assert token not in ended.out + ended.err
    assert service.posts == 0
    DataDir(tmp_path / "data").release()


def test_a_request_that_failed_is_reported_and_is_a_failure(run: Run, service: ScriptedApi, token: str) -> None:
    """A script that attaches requests must see which one brought nothing."""
    service.status("failed")
    service.result({"status": "failed", "error": "the model broke"})
    ended = run("attach", "r-1")
    assert ended.code == 1
    assert "failed. the model broke" in ended.out


def test_a_running_server_fetches_what_was_attached(
    run: Run, running: Harness, service: ScriptedApi, token: str, tmp_path: Path
) -> None:
    """The server holds the folder; the command only writes the row, and the files come."""
    service.completes(service.picture())
    ended = run("attach", "r-1")
    assert (ended.code, ended.err) == (0, "")
    job = running.ledger.by_request(service.server.url, "r-1")
    assert job
    assert ended.out.startswith(f"Job {job.job_id} follows request r-1: queued.")
    done = wait_for(lambda: (now := running.ledger.job(job.job_id)).is_settled and now)
    assert (done.state, done.outputs[0].sha256) == ("done", hashlib.sha256(png()).hexdigest())
    assert run("attach", "r-1").out == f"Request r-1 is job {job.job_id} already: done.\n"
    assert run("verify").code == 0
    assert run("backup", tmp_path / "copy.zip").code == 0
    assert service.posts == 0


@pytest.mark.parametrize("beside", [True, False], ids=["beside a server", "without one"])
def test_an_unknown_request_leaves_no_row(
    request: pytest.FixtureRequest, run: Run, harness: Harness, service: ScriptedApi, token: str, beside: bool
) -> None:
    """A typo must not leave a job that waits forever."""
    if beside:
        request.getfixturevalue("running")
    service.status(json_response({"error_code": 404001, "message": "unknown"}, 404))
    for wrong in ("r-1", "../r-1", token):
        ended = run("attach", wrong)
        assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
        assert token not in ended.err
    assert list(harness.ledger.every_job()) == []


def test_the_sandbox_of_a_server_is_out_of_reach(run: Run, rows: LibraryRows) -> None:
    """Without a token there is nobody to ask, and that is said."""
    ended = run("attach", "r-1")
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert "sandbox" in ended.err


# --- export


def test_an_export_holds_the_originals_byte_for_byte(run: Run, made: Job, tmp_path: Path) -> None:
    """What was paid for leaves the program exactly as the service made it, and with its settings."""
    folder, archive = tmp_path / "out" / "pictures", tmp_path / "out" / "pictures.ZIP"
    assert run("export", folder).out == f"{folder}: 2 files, 0.0 MB.\n"
    assert run("export", archive).code == 0
    entries = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert [entry["sha256"] for entry in entries] == [output.sha256 for output in made.outputs]
    assert {entry["prompt"] for entry in entries} == {"a red fox"}
    assert [hashlib.sha256((folder / entry["file"]).read_bytes()).hexdigest() for entry in entries] == [
        entry["sha256"] for entry in entries
    ]
    with zipfile.ZipFile(archive) as opened:
        assert opened.testzip() is None
        assert json.loads(opened.read("manifest.json")) == entries
        assert {name: opened.read(name) for name in opened.namelist() if name != "manifest.json"} == {
            entry["file"]: (folder / entry["file"]).read_bytes() for entry in entries
        }
    assert sorted(path.name for path in folder.parent.iterdir()) == ["pictures", "pictures.ZIP"]


def test_an_export_takes_what_was_asked_for(run: Run, rows: LibraryRows, tmp_path: Path) -> None:
    """The pictures of one week about foxes, and nothing that was deleted or archived."""
    day = 86_400.0
    fox, *_ = [rows.add(text, created_at=NOON + n * day) for n, text in enumerate(["fox", "hen", "fox"])]
    rows.add("fox aside", archived_at=NOON)
    deleted = rows.add("fox deleted")
    rows.ledger.change(deleted.job_id, outputs=[replace(deleted.outputs[0], deleted_at=NOON)])
    rows.ledger.change(fox.job_id, outputs=[replace(fox.outputs[0], favorite_at=NOON)])
    assert _exported(run, tmp_path) == ["fox", "fox", "hen"]
    assert _exported(run, tmp_path, "--text", "fox") == ["fox", "fox"]
    assert _exported(run, tmp_path, "--favourites") == ["fox"]
    assert _exported(run, tmp_path, "--since", "2026-11-19", "--until", "2026-11-20T11:06") == ["hen"]
    assert _exported(run, tmp_path, "--state", "failed") == []
    assert run("export", tmp_path / "none.zip", "--text", "owl").out == "No picture matches: nothing was written.\n"
    assert not (tmp_path / "none.zip").exists()


def test_an_export_repeated_adds_only_what_is_new(run: Run, rows: LibraryRows, tmp_path: Path) -> None:
    """A nightly export into one folder costs no second copy, and its manifest names all of it."""
    folder = tmp_path / "pictures"
    rows.add("first")
    run("export", folder)
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.png")}
    rows.add("second", created_at=NOON + 1)
    assert run("export", folder, "--text", "second").code == 0
    assert run("export", folder).code == 0
    after = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.png")}
    assert before.items() <= after.items()
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert sorted(entry["file"] for entry in manifest) == sorted(after)
    assert len(after) == 2


def test_an_export_overwrites_nothing_of_anybody(run: Run, rows: LibraryRows, tmp_path: Path) -> None:
    """A picture that somebody retouched in that folder is theirs."""
    folder, archive = tmp_path / "pictures", tmp_path / "pictures.zip"
    rows.add()
    run("export", folder)
    (name,) = (path.name for path in folder.glob("*.png"))
    (folder / name).write_bytes(b"retouched")
    for _ in range(2):
        assert run("export", folder).code == 0
    assert {path.name: path.read_bytes() for path in folder.glob("*.png")} == {
        name: b"retouched", f"2-{name}": png((8, 8)),
    }  # fmt: skip
    (folder / f"2-{name}").write_bytes(b"retouched too")
    assert run("export", folder).code == 0
    assert (folder / f"3-{name}").read_bytes() == png((8, 8))
    for number in range(3, 100):
        (folder / f"{number}-{name}").write_bytes(b"retouched")
    for target in (folder, archive, tmp_path / "folder.zip"):
        archive.write_bytes(b"theirs")
        (tmp_path / "folder.zip").mkdir(exist_ok=True)
        ended = run("export", target)
        assert (ended.code, ended.err.count("\n")) == (1, 1)
        assert "was not overwritten" in ended.err
    assert archive.read_bytes() == b"theirs"
    other = tmp_path / "other"
    other.mkdir()
    (other / "manifest.json").write_text('{"name": "a web app"}')
    assert run("export", other).code == 1
    assert [path.name for path in other.iterdir()] == ["manifest.json"]


@pytest.mark.parametrize("max_bytes", [143, 100, 64])
def test_an_export_fits_names_into_a_folder_that_takes_short_ones_only(
    run: Run, rows: LibraryRows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, max_bytes: int
) -> None:
    """Encrypted home folders end names at 143 bytes, and the export stopped at the first long one."""
    replace_file, exists = Path.replace, Path.exists

    def limited(path: Path) -> Path:
        if len(path.name.encode()) > max_bytes:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), str(path))
        return path

    monkeypatch.setattr(Path, "replace", lambda path, target: replace_file(path, limited(Path(target))))
    monkeypatch.setattr(Path, "exists", lambda path: exists(limited(path)))
    jobs = [rows.add("雪の中の狐" * 20, created_at=NOON + number) for number in range(2)]
    folder = tmp_path / "pictures"
    for _ in range(2):
        assert run("export", folder).code == 0
    names = sorted(path.name for path in folder.glob("*.png"))
    assert len(names) == 2
    assert all(f"-{job.job_id[:6]}-1.png" in "".join(names) for job in jobs)
    assert all(len(name.encode()) <= max_bytes for name in names)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert sorted(entry["file"] for entry in manifest) == names


@pytest.mark.parametrize("number", [errno.EILSEQ, errno.EINVAL])
def test_an_export_finds_names_for_a_folder_that_takes_ascii_only(
    run: Run, rows: LibraryRows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A drive with an old code page refuses the letters of most prompts."""
    replace_file = Path.replace

    def plain(path: Path) -> Path:
        if not path.name.isascii():
            raise OSError(number, os.strerror(number), str(path))
        return path

    monkeypatch.setattr(Path, "replace", lambda path, target: replace_file(path, plain(Path(target))))
    job = rows.add("雪の中の fox", created_at=NOON)
    folder = tmp_path / "pictures"
    for _ in range(2):
        assert run("export", folder).code == 0
    [name] = [path.name for path in folder.glob("*.png")]
    assert name.startswith("dreamina-fox-")
    assert name.endswith(f"-{job.job_id[:6]}-1.png")


def test_a_ledger_from_elsewhere_copies_no_other_file(run: Run, rows: LibraryRows, tmp_path: Path) -> None:
    """A row can name any file of this machine, and a backup that a stranger made is easily unpacked."""
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"secret")
    for name in (str(secret), "../../../../../secret.png", "..", "original.png/../../../../../../secret.png"):
        job = rows.add(name)
        rows.ledger.change(job.job_id, outputs=[replace(job.outputs[0], file_name=name)])
    for target in ("pictures", "pictures.zip"):
        assert run("export", tmp_path / target).code == 1
    run("backup", tmp_path / "backup.zip")
    assert [path.name for path in tmp_path.glob("pictures/*.png")] == []
    with zipfile.ZipFile(tmp_path / "backup.zip") as archive:
        assert all(archive.read(name) != b"secret" for name in archive.namelist())


def test_an_export_tells_of_files_that_are_missing(run: Run, rows: LibraryRows, tmp_path: Path) -> None:
    """An incomplete copy must not pass for a whole one."""
    job = rows.add(files=2)
    lost = rows.folder_of(job, job.outputs[0]) / "original.png"
    lost.unlink()
    for target in (tmp_path / "pictures", tmp_path / "pictures.zip"):
        ended = run("export", target)
        assert ended.code == 1
        assert ended.out == f"missing: {lost}\n{target}: 1 files, 0.0 MB.\n"
        assert target.exists()


# --- verify


def test_a_sound_folder_is_said_to_be_sound(run: Run, harness: Harness, service: ScriptedApi, made: Job) -> None:
    """A false alarm teaches people to look away."""
    service.accept(json_response({"error_code": 422001, "message": "no"}, 422))
    refused = harness.wait(harness.generate(prompt="refused").job_id)
    assert refused.state == "failed"
    for words in (["verify"], ["verify", "--quick"]):
        assert run(*words) == Ended(0, "Looked at 2 jobs and 2 files, 0.0 MB: all is well.\n", "")


def _flip(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


@pytest.mark.parametrize(
    ("where", "damage", "kind", "is_found_quickly"),
    [
        ("0/original.png", Path.unlink, "missing", True),
        ("0/preview.webp", Path.unlink, "missing", True),
        ("0/original.png", lambda path: path.write_bytes(path.read_bytes()[:-1]), "changed", True),
        ("0/original.png", _flip, "changed", False),
        ("0/more.txt", Path.touch, "orphaned", True),
        ("1", Path.mkdir, "orphaned", True),
        ("0.partial-0123456789abcdef", Path.mkdir, "leftover", True),
        ("0.damaged", Path.mkdir, "orphaned", True),
        ("../" + "f" * 32, Path.mkdir, "leftover", True),
        ("../../notes.txt", Path.touch, "orphaned", True),
        ("../../zz/" + "z" * 32, lambda path: path.mkdir(parents=True), "leftover", True),
    ],
)
def test_each_kind_of_damage_is_found(
    rows: LibraryRows, records: Records, where: str, damage: Callable[[Path], object], kind: str, is_found_quickly: bool
) -> None:
    """A disk forgets in many ways; each is reported with its path, and nothing else is."""
    rows.add("sound")
    job = rows.add("to be damaged")
    path = Path(os.path.normpath(records.store.job_folder(job.job_id) / where))
    damage(path)
    for quick in (False, True):
        report = verify(records, quick=quick, pause=no_pause)
        wanted = [(kind, path)] if is_found_quickly or not quick else []
        assert [(finding.kind, finding.path) for finding in report.findings] == wanted


def test_findings_are_listed_counted_and_a_failure(run: Run, rows: LibraryRows, records: Records) -> None:
    """A cron job mails what `verify` prints when it fails."""
    job = rows.add(files=2)
    lost = rows.folder_of(job, job.outputs[0])
    shutil.rmtree(lost)
    stranger = records.store.folder / "ab" / ("ab" + "0" * 30) / "0" / "original.png"
    stranger.parent.mkdir(parents=True)
    stranger.touch()
    ended = run("verify", "--quick")
    assert (ended.code, ended.err) == (1, "")
    assert ended.out.splitlines() == [
        *(f"missing: {lost / name}" for name in ("original.png", "preview.webp", "thumbnail.webp")),
        f"orphaned: {stranger.parents[1]} (no row of the ledger names it)",
        "Looked at 1 jobs and 2 files, 0.0 MB: 3 missing, 1 orphaned.",
    ]


def test_what_a_running_job_does_is_no_finding(rows: LibraryRows, records: Records) -> None:
    """While the server fetches, files come and go; what it has kept must be there all the same."""
    job = rows.add(state="saving")
    folder = records.store.job_folder(job.job_id)
    (folder / "1.partial-0123456789abcdef").mkdir()
    (folder / "1").mkdir()
    assert _findings(verify(records, pause=no_pause)) == []
    (folder / "0" / "original.png").unlink()
    assert _findings(verify(records, pause=no_pause)) == ["missing"]


def test_a_large_copy_is_neither_missed_nor_a_stranger(rows: LibraryRows, records: Records) -> None:
    """Older images have none, and others get theirs while `verify` runs."""
    job = rows.add()
    assert _findings(verify(records, pause=no_pause)) == []
    (rows.folder_of(job, job.outputs[0]) / "large.webp").write_bytes(b"a large copy")
    assert _findings(verify(records, pause=no_pause)) == []


def test_verify_names_a_budget_that_was_counted_wrong(rows: LibraryRows, records: Records) -> None:
    """A counter that drifts lets strangers spend more than the owner allowed, or stops everybody without a reason."""
    rows.add()
    with closing(sqlite3.connect(records.folder / LEDGER_NAME)) as connection, connection:
        connection.execute("UPDATE budgets SET made = made + 5 WHERE scope = 'installation' AND day >= 0")
    [finding] = verify(records, pause=no_pause).findings
    assert finding.kind == "miscounted"
    rows.ledger.recount()
    assert verify(records, pause=no_pause).findings == ()
    assert re.search(r"installation \S+, \d{4}-\d\d-\d\d: Usage\(.*\) instead of Usage\(", finding.detail)


def test_damaged_files_set_aside_belong_to_their_row(rows: LibraryRows, records: Records) -> None:
    """A damaged file stays for inspection: no finding as long as its row says so."""
    job = rows.add(state="failed")
    rows.ledger.change(job.job_id, outputs=[Output(1, "image", "k", "damaged", note="cut")])
    (records.store.job_folder(job.job_id) / "1.damaged").mkdir()
    assert _findings(verify(records, pause=no_pause)) == []


def test_what_the_server_does_meanwhile_is_no_finding(rows: LibraryRows, records: Records) -> None:
    """A file is removed just before its row says so, and a folder is made just before its job's row."""
    removed = rows.add("deleted by a person")
    shutil.rmtree(records.store.job_folder(removed.job_id) / "0")
    born = make_job("made at this moment", state="submitting")
    records.store.job_folder(born.job_id).mkdir(parents=True)
    fleeting = records.store.folder / "ab" / ("ab" + "0" * 30)
    fleeting.mkdir(parents=True)

    def meanwhile(_seconds: float) -> None:
        rows.ledger.change(removed.job_id, outputs=[replace(removed.outputs[0], state="deleted", note="person")])
        rows.ledger.add(born)
        fleeting.rmdir()

    assert _findings(verify(records, pause=meanwhile)) == []


def test_a_folder_of_all_media_that_is_gone_is_all_missing(rows: LibraryRows, records: Records) -> None:
    """A disk that is not mounted is no reason to say that all is well."""
    rows.add(files=2)
    shutil.rmtree(records.store.folder)
    assert _findings(verify(records, quick=True, pause=no_pause)) == ["missing"] * 6


def test_a_file_that_cannot_be_read_is_a_finding(rows: LibraryRows, records: Records) -> None:
    """One bad sector must not keep the rest from being looked at."""
    job, other = rows.add(), rows.add()
    folder = records.store.job_folder(job.job_id)
    shutil.rmtree(folder)
    folder.symlink_to(folder)  # a loop: the one error that is the same for every user
    (rows.folder_of(other, other.outputs[0]) / "original.png").unlink()
    result = _findings(verify(records, pause=no_pause))
    assert set(result) == {"missing", "unreadable"}


# --- backup


def test_a_backup_opens_as_a_data_folder(
    run: Run, harness: Harness, service: ScriptedApi, made: Job, tmp_path: Path
) -> None:
    """A backup that nobody restored is a hope: this one opens, whole, and its jobs resume."""
    service.request_id = "r-2"
    service.accept()
    service.status("in_queue")
    waiting = harness.wait(harness.generate(prompt="waits").job_id, "queued")
    target = tmp_path / "copies" / "copy.zip"
    assert run("backup", target).out == f"{target}: 2 files, 0.0 MB.\n"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600, "it holds everybody's prompts"
    harness.close()
    restored = _restore(target, tmp_path / "restored")
    assert _verified(restored) == []
    service.completes(service.picture("late.png"))
    again = Harness(restored, harness.base_url)
    with closing(again):
        again.start()
        assert again.wait(waiting.job_id).state == "done"
        assert again.reader.job(made.job_id) == made
        assert again.fetcher.stored_facts(made.job_id, 1)
    assert _verified(restored) == []


def test_a_backup_is_consistent_while_rows_are_written(rows: LibraryRows, records: Records, tmp_path: Path) -> None:
    """The server keeps running: every row in the copy has its files in the copy, and none is half there."""
    enough = threading.Event()

    def work() -> None:
        while not enough.is_set():
            job = rows.add(files=2)
            shutil.rmtree(rows.folder_of(job, job.outputs[0]))
            rows.ledger.change(job.job_id, outputs=[replace(job.outputs[0], state="deleted", note="limit")])

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    try:
        wait_for(lambda: sum(1 for _ in rows.ledger.every_job()) > 5)
        counts = []
        for number in range(3):
            copied = backup(records, tmp_path / f"{number}.zip")
            assert copied.missing == []
            counts.append(copied.files)
    finally:
        enough.set()
        for worker in workers:
            worker.join()
    assert counts[0] < counts[2]
    for number in range(3):
        assert _verified(_restore(tmp_path / f"{number}.zip", tmp_path / str(number))) == []


def test_a_file_deleted_during_a_backup_is_deleted_in_it(rows: LibraryRows, records: Records, tmp_path: Path) -> None:
    """The copy's rows and files agree, also where the live ones moved on."""
    job = rows.add(files=2)
    shutil.rmtree(rows.folder_of(job, job.outputs[0]))

    def meanwhile(_seconds: float) -> None:
        rows.ledger.change(job.job_id, outputs=[replace(job.outputs[0], state="deleted", note="person")])

    assert backup(records, tmp_path / "copy.zip", pause=meanwhile).missing == []
    restored = _restore(tmp_path / "copy.zip", tmp_path / "restored")
    assert _verified(restored) == []
    with closing(Ledger(restored / "ledger.sqlite3")) as ledger:
        assert [output.state for output in ledger.job(job.job_id).outputs] == ["deleted", "kept"]


def test_a_backup_with_a_hole_says_so_and_keeps_the_rest(run: Run, rows: LibraryRows, tmp_path: Path) -> None:
    """A lost preview is no reason to leave the original out."""
    job = rows.add(files=2)
    lost = rows.folder_of(job, job.outputs[0]) / "preview.webp"
    lost.unlink()
    ended = run("backup", tmp_path / "copy.zip")
    assert ended.code == 1
    assert ended.out.splitlines() == [f"missing: {lost}", f"{tmp_path / 'copy.zip'}: 2 files, 0.0 MB."]
    restored = _restore(tmp_path / "copy.zip", tmp_path / "restored")
    assert _verified(restored) == ["missing"]


def test_a_backup_overwrites_only_by_force(run: Run, rows: LibraryRows, tmp_path: Path) -> None:
    """Yesterday's backup may be the only good one."""
    rows.add()
    target = tmp_path / "copy.zip"
    target.write_bytes(b"yesterday")
    ended = run("backup", target)
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert target.read_bytes() == b"yesterday"
    assert run("backup", target, "--force").code == 0
    assert zipfile.ZipFile(target).testzip() is None
    assert run("backup", tmp_path, "--force").code == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.zip", "data"], "nothing half-made is left"


def test_a_backup_that_fails_leaves_the_old_one(run: Run, rows: LibraryRows, tmp_path: Path) -> None:
    """A full disk or a broken ledger costs the new copy, never the old one."""
    rows.add()
    target = tmp_path / "copy.zip"
    target.write_bytes(b"yesterday")
    rows.ledger.close()
    rows.path.write_bytes(b"no database at all, but longer than the head of one" * 20)
    assert run("backup", target, "--force").code == 1
    (tmp_path / "file").touch()
    assert run("backup", tmp_path / "file" / "copy.zip").code == 1
    assert target.read_bytes() == b"yesterday"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.zip", "data", "file"]


# --- every command


COMMANDS = (["list"], ["show", "abcdef"], ["export", "out.zip"], ["verify"], ["backup", "out.zip"])


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: str(words[0]))
def test_a_folder_without_a_ledger_stays_as_it_is(run: Run, tmp_path: Path, words: list[str]) -> None:
    """A slip in the folder's name must not make an empty library that looks like a loss."""
    ended = run(*words)
    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert str(tmp_path / "data") in ended.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: str(words[0]))
@pytest.mark.parametrize("flaw", ["garbage", "newer", "folder"])
def test_a_broken_ledger_is_reported_in_one_line(run: Run, tmp_path: Path, words: list[str], flaw: str) -> None:
    """An operator needs the reason, not forty lines of program."""
    path = tmp_path / "data" / "ledger.sqlite3"
    path.parent.mkdir()
    if flaw == "garbage":
        path.write_bytes(b"not a database\n" * 100)
    elif flaw == "folder":
        path.mkdir()
    else:
        Ledger(path).close()
        with closing(sqlite3.connect(path)) as newer, newer:
            newer.execute("UPDATE ledger_version SET version = 999, readable_from = 999")
    ended = run(*words)
    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert str(path.parent) in ended.err


def test_a_bad_setting_is_reported_and_its_value_never_shown(
    run: Run, rows: LibraryRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token pasted badly must not land in a cron mail."""
    monkeypatch.setenv("RUNCOMFY_API_TOKEN", "two words-0123456789")
    ended = run("list")
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert "RUNCOMFY_API_TOKEN" in ended.err
    assert "words" not in ended.err


@pytest.mark.parametrize(
    "words",
    [
        ["lists"], ["list", "--limit", "-1"], ["list", "--state", "finished"], ["show"], ["export"],
        ["export", "x.zip", "--since", "yesterday"], ["backup"], ["verify", "--slow"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_wrong_call_ends_with_two(run: Run, rows: LibraryRows, words: list[str]) -> None:
    """A script can tell a slip of its author from a finding."""
    assert run(*words).code == 2


def test_every_command_explains_itself(run: Run) -> None:
    """Nobody reads a manual at night."""
    words = ["list", "show", "attach", "export", "verify", "backup"]
    for word in words:
        ended = run(word, "--help")
        assert ended.code == 0
        assert "--data-dir" in ended.out
    with pytest.raises(SystemExit) as end:
        app(["--help"])
    assert end.value.code == 0


def test_the_command_starts_without_what_takes_seconds() -> None:
    """Gradio takes seconds to import; a command in a loop cannot wait for that."""
    heavy = "{'gradio', 'numpy', 'uvicorn'} & {*sys.modules}"
    program = f"import sys, dreamina_ui.cli.commands; print(*{heavy})"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """A bug report begins with it."""
    with pytest.raises(SystemExit) as end:
        app(["--version"])
    assert (end.value.code, capsys.readouterr().out) == (0, f"dreamina-ui {__version__}\n")


def test_a_pipe_that_closes_or_knows_few_characters_is_no_trouble(rows: LibraryRows, tmp_path: Path) -> None:
    """`| head` and a terminal of another age are what a command line lives with."""
    add_rows(rows.ledger, [make_job("fuchs ö 日本") for _ in range(3000)])
    settings = {name: value for name, value in os.environ.items() if not OUR_VARIABLES.search(name)}
    settings |= {"DREAMINA_DATA_DIR": str(rows.path.parent), "PYTHONIOENCODING": "latin-1"}
    command = [sys.executable, "-m", "dreamina_ui", "list", "--limit", "0"]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "latin-1"}
    with subprocess.Popen(command, cwd=ROOT, env=settings, **pipes) as listing:
        assert listing.stdout
        assert listing.stderr
        assert listing.stdout.readline().startswith("JOB ")
        assert listing.stdout.readline().endswith("fuchs ö \\u65e5\\u672c\n")
        listing.stdout.close()
        assert listing.stderr.read() == ""
        listing.wait(10)


def _prompts(ended: Ended) -> list[str]:
    assert ended.code == 0
    return [job["inputs"]["prompt"] for job in json.loads(ended.out)]


def test_a_password_becomes_a_line_for_the_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """So that no password needs to stand in an environment."""
    with pytest.raises(SystemExit) as end:
        app(["hash-password", "alice", "--password", "wonderland"])
    assert end.value.code == 0
    (tmp_path / "logins").write_text(capsys.readouterr().out, encoding="utf-8")
    assert read_logins("", tmp_path / "logins").are_right("alice", "wonderland")


def _exported(run: Run, folder: Path, *words: str) -> list[str]:
    target = folder / "-".join(["pictures", *words]).replace(":", "")
    assert run("export", target, *words).code == 0
    if not target.exists():
        return []
    return sorted(entry["prompt"] for entry in json.loads((target / "manifest.json").read_text(encoding="utf-8")))


def _findings(report: Report) -> list[str]:
    return [finding.kind for finding in report.findings]


def _restore(archive: Path, folder: Path) -> Path:
    """What the help says: unpack it into an empty folder."""
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)
    return folder


def _verified(folder: Path) -> list[str]:
    with open_records(folder) as records:
        return _findings(verify(records, pause=no_pause))
