"""The operator's command line; it works beside a running server and needs no page."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import threading
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, closing
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from filelock import Timeout
from typer.core import TyperGroup

from dreamina_ui import __version__
from dreamina_ui.api.pacing import Pace
from dreamina_ui.cli import export as copies
from dreamina_ui.cli.data_dir_reader import (
    Records,
    find_job,
    open_bucket,
    open_database,
    open_records,
    open_shared_records,
)
from dreamina_ui.cli.restore import restore as restore_backup
from dreamina_ui.cli.verify import verify as verify_records
from dreamina_ui.cli.verify_bucket import verify_bucket
from dreamina_ui.errors import DreaminaError, SettingsError
from dreamina_ui.jobs.services import JobServices
from dreamina_ui.ledger.job import TRANSITIONS, Job, iso
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.library.library import Library, LibraryFilter
from dreamina_ui.library.naming import prompt_of
from dreamina_ui.ops.data_dir import DataDir
from dreamina_ui.ops.passwords import hash_password
from dreamina_ui.settings import TOKEN_VARIABLES, Settings, read_settings

PROMPT_SHOWN = 60
"""How many characters of a prompt stand in a list."""


class _Commands(TyperGroup):
    """Commands whose failures are one line and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # `| head` has enough: no failure to tell of
            raise
        except (DreaminaError, OSError) as exc:
            _say(" ".join(str(exc).split()), err=True)
            raise typer.Exit(1) from None


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dreamina-ui {__version__}")
        raise typer.Exit


app = typer.Typer(
    cls=_Commands,
    help="Run Dreamina UI, or look after its data folder, also while the server runs. "
    "Exit codes: 0 success, 1 a failure or a finding, 2 wrong usage. Times are UTC.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, help="Print the version.", callback=_print_version)
    ] = False,
) -> None:
    pass


def _check_state(state: str) -> str:
    if state and state not in TRANSITIONS:
        raise typer.BadParameter(f"must be one of {', '.join(TRANSITIONS)}")
    return state


_DATES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]
DataDirOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="The data folder. Without it: the database of DREAMINA_DATABASE_URL, or DREAMINA_DATA_DIR, or else data.",
    ),
]
State = Annotated[str, typer.Option(callback=_check_state, help="Only jobs in this state, such as done.")]
Text = Annotated[str, typer.Option(help="Only jobs with all these words in the prompt.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_jobs(
    state: State = "",
    text: Text = "",
    limit: Annotated[int, typer.Option(min=0, help="How many jobs at most; 0 for all.")] = 20,
    as_json: AsJson = False,
    data_dir: DataDirOption = None,
) -> None:
    """List jobs, newest first, also those that the page no longer shows.

    Each line: short job id, state, time, size, files kept, cost in USD, prompt.
    """
    with _records(data_dir) as records:
        result = islice(records.ledger.every_job(state=state, text=text), limit or None)
        if as_json:
            _print_array(records.described(job) for job in result)
            return
        _say(f"{'JOB':8}  {'STATE':14}  {'CREATED':20}  {'SIZE':20}  {'FILES':>5}  {'USD':>7}  PROMPT")
        for job in result:
            _say(_line(job))


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="JOB", help="A job_id, its first 6 or more digits, or a request_id.")],
    as_json: AsJson = False,
    data_dir: DataDirOption = None,
) -> None:
    """Show one job: every field, its states with their times, its files."""
    with _records(data_dir) as records:
        job = find_job(records.ledger, name)
        result = records.described(job)
        states = [{"state": state, "changed_at": iso(at)} for state, at in records.ledger.state_changes(job.job_id)]
    if as_json:
        typer.echo(_as_json(result | {"state_changes": states}, indent=1))
        return
    outputs, inputs = result.pop("outputs"), result.pop("inputs")
    for key, value in result.items():
        _say(f"{key}: {_text(value)}")
    _say_all("inputs", [f"{key}: {_text(value)}" for key, value in inputs.items()])
    _say_all("states", [f"{item['changed_at']} {item['state']}" for item in states])
    _say_all("files", [", ".join(f"{key} {_text(value)}" for key, value in item.items()) for item in outputs])


@app.command()
def attach(
    request_id: Annotated[str, typer.Argument(help="As RunComfy names it.")],
    data_dir: DataDirOption = None,
) -> None:
    """Bring in any request of your RunComfy account.

    A running server fetches the files. Without one, this command stays until they are here.
    """
    settings = _settings(data_dir)
    if settings.api_token is None:
        raise SettingsError(
            f"{TOKEN_VARIABLES[0]} is not set. Without it the server runs its own sandbox, whose port and token no "
            "other process knows: a request of that one is attached on the page only."
        )
    token = settings.api_token.get_secret_value()
    if settings.database_url:
        with _opened(settings) as records:
            _attach_beside(_job_services(settings, token, records), request_id)
        return
    try:
        folder = DataDir(settings.data_dir)
    except SettingsError as exc:
        if not isinstance(exc.__context__, Timeout):  # it cannot be written
            raise
        with open_records(settings.data_dir, settings.bucket) as records:
            _attach_beside(_job_services(settings, token, records), request_id)
        return
    try:
        with closing(Ledger(folder.ledger)) as ledger:
            records = Records(folder.path, ledger, open_bucket(folder.path, settings.bucket))
            job = _attach_alone(_job_services(settings, token, records), request_id)
    finally:
        folder.release()
    for output in job.outputs:
        _say(f"{output.state}: {records.location(job, output) if output.state == 'kept' else output.note}")
    if job.state != "done":
        raise typer.Exit(1)


@app.command()
def export(
    target: Annotated[Path, typer.Argument(metavar="FOLDER_OR_ZIP", help="A folder, or a name that ends in .zip.")],
    text: Text = "",
    state: State = "",
    favorites: Annotated[bool, typer.Option("--favourites", help="Only favourites.")] = False,
    since: Annotated[
        datetime | None, typer.Option(formats=_DATES, metavar="DATE", help="Only jobs made then or later.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=_DATES, metavar="DATE", help="Only jobs made before.")
    ] = None,
    data_dir: DataDirOption = None,
) -> None:
    """Copy originals with a manifest into a folder or a new ZIP.

    Takes what the library shows: nothing deleted, nothing archived. Overwrites no picture; what a folder has already,
    byte for byte, is not copied again. A DATE is such as 2026-11-22 or 2026-11-22T12:30, in UTC.
    """
    shown = LibraryFilter(text=text, state=state, favorites=favorites, since=_moment(since), until=_moment(until))
    with _records(data_dir) as records:
        entries = Library(records.ledger, records.media).entries(shown)
        as_zip = target.suffix.lower() == ".zip"
        copied = (copies.export_zip if as_zip else copies.export_folder)(records, entries, target)
    if not copied.files and not copied.missing:
        _say("No picture matches: nothing was written.")
        return
    _tell_copied(copied, target)


@app.command()
def verify(
    quick: Annotated[bool, typer.Option("--quick", help="Compare sizes, not SHA-256.")] = False,
    recount: Annotated[bool, typer.Option("--recount", help="First count all budgets and totals anew.")] = False,
    data_dir: DataDirOption = None,
) -> None:
    """Compare every row with every file, and the budgets and totals with the rows.

    Prints each file that is missing, changed, unreadable, orphaned (no row names it) or left over from a crash, and
    each budget or total that was miscounted.
    """
    with _records(data_dir) as records:
        if recount:
            records.ledger.recount()
        if records.bucket:
            report = verify_bucket(records, records.bucket, quick=quick)
        else:
            report = verify_records(records, quick=quick)
    for finding in report.findings:
        _say(f"{finding.kind}: {finding.path}" + (f" ({finding.detail})" if finding.detail else ""))
    counts = Counter(finding.kind for finding in report.findings)
    result = ", ".join(f"{count} {kind}" for kind, count in counts.items()) or "all is well"
    _say(f"Looked at {report.jobs} jobs and {report.files} files, {_megabytes(report.size_bytes)}: {result}.")
    if counts:
        raise typer.Exit(1)


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(metavar="FILE", help="The ZIP to write.")],
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    data_dir: DataDirOption = None,
) -> None:
    """Write the ledger and all its files into one ZIP.

    It is consistent also while the server runs.

    To restore: run `restore`, or unpack it into an empty folder and point DREAMINA_DATA_DIR at that folder.
    """
    with _records(data_dir) as records:
        copied = copies.backup(records, target, force=force)
    _tell_copied(copied, target)


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="A ZIP that `backup` wrote.")],
    data_dir: DataDirOption = None,
) -> None:
    """Read a backup into a new data folder, and its images into the bucket of DREAMINA_MEDIA_URL, if that is set.

    With DREAMINA_DATABASE_URL, and without --data-dir, the ledger goes into that database, which must have no jobs.
    Verifies the SHA-256 of each original. The ledger comes last; after an interruption, the same command resumes.
    """
    settings = _settings(data_dir)
    with contextlib.ExitStack() as stack:
        folder = DataDir(settings.data_dir)
        stack.callback(folder.release)
        database = None
        if settings.database_url:
            database = stack.enter_context(closing(open_database(settings.database_url.get_secret_value())))
        restored = restore_backup(source, folder, open_bucket(folder.path, settings.bucket), database)
    _tell_copied(restored, settings.media_url if database else folder.path)


def _records(data_dir: Path | None) -> AbstractContextManager[Records]:
    return _opened(_settings(data_dir))


def _opened(settings: Settings) -> AbstractContextManager[Records]:
    if settings.database_url:
        return open_shared_records(settings.database_url.get_secret_value(), settings.data_dir, settings.bucket)
    return open_records(settings.data_dir, settings.bucket)


def _settings(data_dir: Path | None) -> Settings:
    """The settings; a data folder that is named is read, whatever database there is."""
    settings = read_settings()
    return settings.model_copy(update={"chosen_data_dir": data_dir, "database_url": None}) if data_dir else settings


def _job_services(settings: Settings, token: str, records: Records) -> JobServices:
    from dreamina_ui.wiring import build_job_services  # it imports the server's parts, which no other command needs

    return build_job_services(settings, token, records.ledger, records.media)


def _attach_beside(services: JobServices, request_id: str) -> None:
    """Write the row only: the server that holds the folder takes it up."""
    try:
        job = services.attacher.attach(request_id)
    finally:
        services.stop(timeout_s=0.0)
    if job.is_settled:
        _say(f"Request {job.request_id} is job {job.job_id} already: {job.state}.")
        return
    _say(
        f"Job {job.job_id} follows request {job.request_id}: {job.state}. The server that runs on this folder fetches "
        f"its files; it begins within {Pace().pick_up_interval_s:g} seconds, if its API is "
        f"{services.accounts.api_origin} too."
    )


def _attach_alone(services: JobServices, request_id: str) -> Job:
    """Follow the request until its job is settled."""
    moved = threading.Event()
    try:
        job = services.attacher.attach(request_id)
        services.reader.changes.subscribe(job.job_id, lambda _: moved.set())
        if not job.is_settled:
            services.start()
        reported: tuple[str, str | None] | None = None
        while True:
            moved.clear()
            job = services.reader.job(job.job_id)
            if reported != (reported := (job.state, job.detail)):
                _say(f"Job {job.job_id}: {job.state}. {job.detail or ''}".rstrip())
            if job.is_settled:
                return job
            moved.wait(1.0)  # with an end, so that Ctrl+C gets through everywhere
    finally:
        services.stop(timeout_s=0.0)


def _tell_copied(copied: copies.Copied, target: Path | str) -> None:
    for path in copied.missing:
        _say(f"missing: {path}")
    _say(f"{target}: {copied.files} files, {_megabytes(copied.size_bytes)}.")
    if copied.missing:
        raise typer.Exit(1)


def _line(job: Job) -> str:
    stored = sum(output.state == "kept" for output in job.outputs)
    prompt = " ".join(prompt_of(job).split())
    prompt = prompt if len(prompt) <= PROMPT_SHOWN else prompt[: PROMPT_SHOWN - 1] + "…"
    cost = "-" if job.cost_usd is None else f"{job.cost_usd:.4f}"
    created = (iso(job.created_at) or "")[:19] + "Z"
    return f"{job.job_id[:8]}  {job.state:14}  {created}  {job.size or '-':20}  {stored:>5}  {cost:>7}  {prompt}"


@app.command("hash-password")
def hash_a_password(
    name: Annotated[str, typer.Argument(help="Who is to sign in with it.")],
    password: Annotated[str, typer.Option(prompt=True, confirmation_prompt=True, hide_input=True, hidden=True)],
) -> None:
    """Ask for a password and print the line for the file that DREAMINA_AUTH_FILE names."""
    if ":" in name or not name.strip():
        raise typer.BadParameter("a name is not empty and has no colon")
    _say(f"{name.strip()}:{hash_password(password)}")


def _moment(date: datetime | None) -> float | None:
    return date.replace(tzinfo=timezone.utc).timestamp() if date else None


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB"


def _text(value: object) -> str:
    return "-" if value is None else str(value)


def _as_json(value: object, indent: int | None = None) -> str:
    return json.dumps(value, indent=indent)  # as ASCII: it gets through every pipe, and no terminal obeys it


def _print_array(values: Iterable[object]) -> None:
    """Print a JSON array, one entry on each line."""
    before = "["
    for value in values:
        typer.echo(before + _as_json(value))
        before = ","
    typer.echo("]" if before == "," else "[]")


def _say_all(title: str, lines: Sequence[str]) -> None:
    _say(f"{title}:" + ("" if lines else " -"))
    for line in lines:
        _say(f"  {line}")


def _say(text: str, *, err: bool = False) -> None:
    """Print a line; what a terminal might obey is shown as an escape, such as `\\x1b`."""
    harmless = (
        character
        if character.isprintable() or unicodedata.category(character) == "Zs"
        else character.encode("unicode_escape").decode()
        for character in text
    )
    typer.echo("".join(harmless), err=err)


def run() -> None:
    """Run the command of this process's arguments and end the process with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a pipe may not take every character of a prompt
    program = Path(sys.argv[0]).stem
    code: object = 1
    try:
        app(prog_name="python -m dreamina_ui" if program == "__main__" else program)
    except SystemExit as end:
        code = end.code
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    os._exit(code if isinstance(code, int) else 0)  # other jobs' downloads would hold it; a server resumes them
