"""Visitors take everything away: into a ZIP, into another installation, or for good; with each database."""

from __future__ import annotations

import csv
import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest

from dreamina_ui.errors import InputError
from dreamina_ui.ledger.budget_rows import day_of, read_usages
from dreamina_ui.ledger.job import IMPORT_ORIGIN, Job
from dreamina_ui.library.boards import Boards
from dreamina_ui.library.erasure import Erasure
from dreamina_ui.library.history_export import FORMAT, HistoryExport, _cell
from dreamina_ui.library.history_import import (
    BYTES_PER_MANIFEST_VALUE,
    JOB_BYTES,
    MAX_DIRECTORY_BYTES,
    MAX_MANIFEST_BYTES,
    MAX_PENDING_OF_CLIENT,
    MAX_PENDING_OF_STRANGERS,
    HistoryImport,
    ImportProgress,
    ImportTasks,
)
from dreamina_ui.library.library import LibraryFilter
from dreamina_ui.library.prompt_tools import Preset, PromptTools
from dreamina_ui.library.retention import Retention
from dreamina_ui.library.shares import Shares
from tests.support.decoding import decoder
from tests.support.harness import png
from tests.support.library_rows import NOON, ORIGIN, LibraryRows

BIG = 10**9


@pytest.fixture
def importer(rows: LibraryRows, boards: Boards) -> HistoryImport:
    return HistoryImport(rows.ledger, rows.media, boards, PromptTools(rows.ledger, rows.clock), decoder(), rows.clock)


def exported(rows: LibraryRows, boards: Boards, visitor: str = "v") -> bytes:
    prompts = PromptTools(rows.ledger, rows.clock)
    return b"".join(HistoryExport(rows.ledger, rows.media, boards, prompts).stream(visitor, visitor))


def import_zip(importer: HistoryImport, data: bytes, visitor: str = "w", max_bytes: int = BIG) -> ImportProgress:
    progress = ImportProgress()
    importer.run(io.BytesIO(data), visitor, max_bytes, progress)
    return progress


def jobs_of(rows: LibraryRows, visitor: str) -> list[Job]:
    return list(rows.ledger.every_job(visitor_id=visitor))


def test_an_export_has_everything_and_an_import_brings_it_elsewhere(
    rows: LibraryRows, boards: Boards, importer: HistoryImport
) -> None:
    """Nobody is held here by their own images, and moving costs nothing."""
    fox = rows.add("=a red fox", files=2, created_at=NOON - 50, cost_usd=0.12, request_id="r-1")
    rows.add("a failure", files=0, state="failed", created_at=NOON - 40)
    rows.add("another's", visitor_id="x")
    keys = [output.file_key for output in fox.outputs]
    rows.library.mark(keys[:1], "v", rating=4)
    rows.library.mark(keys[:1], "v", favorite_at=NOON)
    for name, files in (("Later", []), ("Foxes", keys)):
        boards.create("v", name, files, "v")
    prompts = PromptTools(rows.ledger, rows.clock)
    prompts.put_preset("v", Preset("animal", "{prompt}, noir", "m", {"scale": 1}), None)
    prompts.pin("v", "a pinned fox", None)
    prompts.put_wildcards("v", "animal", "fox\nhen", None)
    prompts.set_favorite_model("v", "a/model", True, None)
    data = exported(rows, boards)
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert archive.testzip() is None
    manifest = json.loads(archive.read("manifest.json"))
    assert (manifest["format"], manifest["boards"], len(manifest["jobs"])) == (FORMAT, ["Later", "Foxes"], 2)
    assert fox.job_id not in archive.read("manifest.json").decode()
    table = list(csv.DictReader(io.StringIO(archive.read("manifest.csv").decode())))
    assert [(row["prompt"], row["rating"], row["boards"]) for row in table] == [
        ("a failure", "", ""), ("'=a red fox", "4", "Foxes"), ("'=a red fox", "", "Foxes"),
    ]  # fmt: skip

    progress = import_zip(importer, data)
    assert (progress.jobs, progress.images, progress.skipped, progress.known) == (2, 2, 0, 0)
    assert prompts.wildcards("w") == {"animal": ["fox", "hen"]}
    assert prompts.favorite_models("w") == ["a/model"]
    assert prompts.presets("w") == prompts.presets("v")
    assert prompts.pinned("w") == ["a pinned fox"]
    moved = next(job for job in jobs_of(rows, "w") if job.state == "done")
    assert (moved.inputs, moved.created_at, moved.api_origin) == (dict(fox.inputs), fox.created_at, IMPORT_ORIGIN)
    assert [(output.rating, output.favorite_at is not None) for output in moved.outputs] == [(4, True), (None, False)]
    assert [output.sha256 for output in moved.outputs] == [output.sha256 for output in fox.outputs]
    assert all(output.colors for output in moved.outputs)
    assert rows.media.find(moved.job_id, 1, "thumbnail")
    assert [(board.name, board.files) for board in boards.of_visitor("w")] == [("Later", 0), ("Foxes", 2)]
    with rows.ledger.reading() as reader:
        for origin in (IMPORT_ORIGIN, ORIGIN):
            assert read_usages(reader, origin, day_of(NOON), visitor_id="w")["visitor"] == (0, 0, 0, 0)
    assert rows.ledger.find_budget_differences() == []
    again = import_zip(importer, data)
    assert (again.known, again.images) == (2, 0)
    assert len(jobs_of(rows, "w")) == 2
    assert import_zip(importer, data, "v").known == 2, "one's own jobs are here already"


def test_an_export_of_everybody_has_everybodys_boards_and_prompt_tools(
    rows: LibraryRows, boards: Boards, importer: HistoryImport
) -> None:
    """At one's own machine, deleting ends them all: what another browser made would be lost without this."""
    prompts = PromptTools(rows.ledger, rows.clock)
    for visitor, word in (("v", "fox"), ("x", "hen")):
        job = rows.add(f"a {word}", visitor_id=visitor)
        for name in ("Both", word):
            boards.create(visitor, name, [output.file_key for output in job.outputs], visitor)
        prompts.put_wildcards(visitor, "animal", word, None)
        prompts.put_preset(visitor, Preset("Noir", f"{{prompt}}, {word}", "m", {}), None)
        prompts.pin(visitor, f"pinned {word}", None)
    data = b"".join(HistoryExport(rows.ledger, rows.media, boards, prompts).stream("v", None))
    progress = import_zip(importer, data)
    assert (progress.jobs, progress.skipped) == (2, 0)
    assert {board.name: board.files for board in boards.of_visitor("w")} == {"Both": 2, "fox": 1, "hen": 1}
    assert prompts.wildcards("w") == {"animal": ["fox"], "animal-2": ["hen"]}
    assert [(preset.name, preset.template) for preset in prompts.presets("w")] == [
        ("Noir", "{prompt}, fox"), ("Noir 2", "{prompt}, hen"),
    ]  # fmt: skip
    assert sorted(prompts.pinned("w")) == ["pinned fox", "pinned hen"]
    with zipfile.ZipFile(io.BytesIO(exported(rows, boards, "x"))) as archive:
        assert b"fox" not in archive.read("manifest.json"), "a visitor's own export has nothing of others"


@pytest.mark.parametrize("prompt", ["=1+1", "+1", "-1", "@SUM(A1)", " =1+1", "\uff1d1+1", "\t=1", "|calc", "\r\n=1"])
def test_no_prompt_is_a_formula_in_a_spreadsheet(prompt: str) -> None:
    """Prompts come from visitors, and the owner opens the table."""
    assert _cell(prompt) == f"'{prompt}"


def test_other_texts_stand_in_the_table_as_they_are() -> None:
    """A quotation mark before every prompt would be a nuisance."""
    assert [_cell(value) for value in ("a fox = red", "1-2", None, 3, "")] == ["a fox = red", "1-2", None, 3, ""]


def zip_of(files: dict[str, bytes], jobs: list[Any] | None = None, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """An export that somebody wrote by hand."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        if jobs is not None:
            archive.writestr("manifest.json", json.dumps({"format": FORMAT, "version": 1, "jobs": jobs}))
    return data.getvalue()


def job_of(file: str = "images/a.png", **changes: Any) -> dict[str, Any]:
    facts = {"job": "j", "model_id": "m", "inputs": {"prompt": "p"}, "state": "done", "files": [{"file": file}]}
    return facts | changes


@pytest.mark.parametrize(
    ("files", "job"),
    [
        ({"../../../evil.png": png()}, job_of("../../../evil.png")),
        ({"/etc/passwd.png": png()}, job_of("/etc/passwd.png")),
    ],
)
def test_names_in_a_zip_never_become_paths(
    rows: LibraryRows, importer: HistoryImport, tmp_path: Path, files: dict[str, bytes], job: dict[str, Any]
) -> None:
    """A ZIP from elsewhere writes nothing outside of the folder of media."""
    assert import_zip(importer, zip_of(files, [job])).images == 1
    assert [path for path in tmp_path.rglob("*evil*")] + [path for path in tmp_path.rglob("*passwd*")] == []
    assert rows.files() == ["original.png", "preview.webp", "thumbnail.webp"]


@pytest.mark.parametrize(
    "job",
    [
        job_of("missing.png"), job_of("text.png"), job_of("cut.png"), job_of("page.svg"), job_of("huge.png"),
        job_of(inputs=[]), job_of(inputs={"prompt": "x" * 30_000}), job_of(state="queued"), job_of(model_id=7),
        job_of(inputs={"prompt": "\x00"}), job_of(inputs={"prompt": "\ud800"}), job_of(files="x"), job_of(files=[7]),
        job_of(job=None), {}, job_of(model_id="m" * 300),
    ],
)  # fmt: skip
def test_what_is_not_good_is_left_out_and_the_rest_is_imported(
    rows: LibraryRows, importer: HistoryImport, job: dict[str, Any]
) -> None:
    """One bad file, or a whole manifest of them, costs nothing but itself."""
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    files = {"text.png": b"no image", "cut.png": png()[:60], "page.svg": svg, "huge.png": png() + bytes(400_000)}
    good = job_of("good.png", job="good")
    data = zip_of(files | {"good.png": png()}, [job, good])
    progress = import_zip(importer, data, max_bytes=300_000)
    assert progress.images == 1
    assert [job.inputs for job in jobs_of(rows, "w")] == [{"prompt": "p"}]


def test_prompt_tools_and_boards_that_are_not_good_are_left_out(
    rows: LibraryRows, boards: Boards, importer: HistoryImport
) -> None:
    """A text that no database takes must not end the import of all that is good."""
    bad: list[Any] = [
        "\ud800",
        "\x00",
        None,
        7,
        [],
        {"name": "\ud800", "template": "x", "model_id": "m", "parameters": {}},
    ]
    manifest = {"format": FORMAT, "version": 1, "jobs": [job_of("good.png")]}
    manifest |= {"boards": [*bad[:5], "Good"], "pinned_prompts": [*bad[:2], "good"], "favorite_models": [bad[0], "a/m"]}
    manifest |= {"presets": bad, "wildcards": {"\ud800": ["x"], "a": ["\x00"], "b": 7, "good": ["line"]}}
    progress = import_zip(importer, zip_of({"good.png": png(), "manifest.json": json.dumps(manifest).encode()}))
    prompts = PromptTools(rows.ledger, rows.clock)
    assert (progress.images, [board.name for board in boards.of_visitor("w")]) == (1, ["Good"])
    assert (prompts.pinned("w"), prompts.favorite_models("w"), prompts.presets("w")) == (["good"], ["a/m"], [])
    assert prompts.wildcards("w") == {"good": ["line"]}


@pytest.mark.parametrize(
    "data",
    [
        b"", b"no zip", b"PK\x05\x06" + bytes(18), zip_of({}), zip_of({"manifest.json": b"[" * 100_000}),
        zip_of({"manifest.json": b"{}"}), zip_of({"manifest.json": json.dumps({"format": "x"}).encode()}),
        zip_of({"manifest.json": bytes(30_000_000)}), zip_of({}, [])[:-30],
        b"PK\x05\x06" + struct.pack("<HHHHLLH", 0, 0, 9, 9, MAX_DIRECTORY_BYTES + 1, 0, 0),
    ],
    ids=["empty", "text", "hollow", "without manifest", "deep", "no jobs", "other", "bomb", "cut", "long directory"],
)  # fmt: skip
def test_what_is_no_export_imports_nothing(rows: LibraryRows, importer: HistoryImport, data: bytes) -> None:
    """Any file can be sent, and none takes the server's memory or leaves half of something."""
    with pytest.raises(InputError):
        import_zip(importer, data)
    assert jobs_of(rows, "w") == []


def test_a_manifest_of_millions_of_values_is_not_parsed(importer: HistoryImport) -> None:
    """A few kilobytes of packed empty lists would take hundreds of megabytes of memory."""
    with pytest.raises(InputError) as caught:
        import_zip(importer, zip_of({"manifest.json": b'{"jobs": [' + b"[]," * 1_000_000 + b"[]]}"}))
    assert caught.value.limit == MAX_MANIFEST_BYTES // BYTES_PER_MANIFEST_VALUE


def test_jobs_without_images_count_as_something(
    rows: LibraryRows, importer: HistoryImport, caplog: pytest.LogCaptureFixture
) -> None:
    """A kilobyte of packed empty jobs would otherwise keep a core busy for minutes, and fill the log."""
    caplog.set_level("INFO")
    jobs = [job_of(job=f"j{number}", state="failed", files=[]) for number in range(9)]
    progress = import_zip(importer, zip_of({}, jobs), max_bytes=3 * JOB_BYTES)
    assert (len(jobs_of(rows, "w")), progress.jobs, progress.skipped) == (3, 3, 6)
    assert caplog.records == []


def test_a_strangers_manifest_is_short(importer: HistoryImport) -> None:
    """A megabyte that nobody vouches for must not become a hundred in memory."""
    tasks, data = ImportTasks(importer), zip_of({"manifest.json": b" " * 5_000_000})
    for visitor, client in (("stranger", "c"), ("known", None)):
        assert tasks.begin(visitor, client)
        tasks.run(io.BytesIO(data), visitor, BIG)
    problems = [tasks.progress(visitor) for visitor in ("stranger", "known")]
    assert [progress.error for progress in problems if progress] == ["input", "input"]
    with pytest.raises(InputError) as caught:
        importer.run(io.BytesIO(data), "w", BIG, ImportProgress(), max_manifest_bytes=4_000_000)
    assert (caught.value.rule, caught.value.limit) == ("maxItems", 4_000_000)


def test_a_visitor_imports_one_thing_at_a_time(importer: HistoryImport) -> None:
    """Errors are kept for who asks."""
    tasks = ImportTasks(importer)
    assert tasks.begin("a")
    assert tasks.begin("a") is None
    tasks.run(io.BytesIO(b"no zip"), "a", BIG)
    progress = tasks.progress("a")
    assert progress is not None
    assert (progress.is_done, progress.error) == (True, "input")
    assert tasks.begin("a")


def test_slow_imports_of_strangers_keep_nobody_else_from_theirs(importer: HistoryImport) -> None:
    """Two that send a byte now and then once held the only two places."""
    tasks = ImportTasks(importer)
    hanging = [tasks.begin(f"visitor {number}", "one client") for number in range(9)]
    assert sum(progress is not None for progress in hanging) == MAX_PENDING_OF_CLIENT
    others = [tasks.begin(f"another {number}", f"client {number}") for number in range(20)]
    assert sum(progress is not None for progress in others) == MAX_PENDING_OF_STRANGERS - MAX_PENDING_OF_CLIENT
    assert all(tasks.begin(f"known {number}") for number in range(20))
    tasks.run(io.BytesIO(b"no zip"), "visitor 0", BIG)
    assert tasks.begin("a third", "client 99"), "a place that is free again"


def test_everything_of_a_visitor_is_deleted_in_one_act(rows: LibraryRows, boards: Boards) -> None:
    """Whoever leaves, leaves nothing; others, and the owner's accounts, keep what is theirs."""
    shares, prompts = Shares(rows.ledger, rows.clock), PromptTools(rows.ledger, rows.clock)
    erasure = Erasure(rows.ledger, rows.library, rows.input_images, rows.clock)
    given = rows.input_images.add(io.BytesIO(png()), "v", None)
    prompts.pin("v", "a secret prompt", None)
    fox = rows.add("a secret fox", files=2, cost_usd=0.12, request_id="r-1", detail="a secret detail")
    running = rows.add("a secret hen", files=0, state="running", request_id="r-2")
    other = rows.add("another's", visitor_id="x")
    keys = [output.file_key for output in fox.outputs]
    boards.create("v", "a secret board", keys, "v")
    owners = boards.create("owner", "All", [*keys, other.outputs[0].file_key], None)
    share = shares.share_file("v", keys[0], "v", shows_prompt=True)
    assert share
    today = day_of(rows.clock())
    with rows.ledger.reading() as reader:
        used = read_usages(reader, ORIGIN, today, visitor_id="v")

    assert erasure.erase("v") == 2
    assert jobs_of(rows, "v") == []
    assert boards.of_visitor("v") == []
    assert shares.read(share.share_id) is None
    assert rows.input_images.file(given.image.input_key) is None
    assert prompts.history("v") == []
    assert [board.files for board in boards.of_visitor("owner")] == [1]
    assert rows.library.count(LibraryFilter(visitor_id="v", trash=True)) == 0
    assert rows.ledger.output_by_key(keys[0]) is not None
    assert rows.media.find(fox.job_id, 0, "original") is None
    assert rows.media.find(other.job_id, 0, "original") is not None
    left = rows.ledger.job(fox.job_id)
    assert (dict(left.inputs), left.detail, left.cost_usd, left.created_at) == ({}, None, 0.12, fox.created_at)
    assert rows.prompts() == ["another's"]
    assert rows.ledger.find_budget_differences() == []
    with rows.ledger.reading() as reader:
        after = read_usages(reader, ORIGIN, today, visitor_id="v")
    assert after["visitor"].made == used["visitor"].made, "nobody gets a new budget for today"
    assert after["installation"] == used["installation"]

    rows.ledger.change(running.job_id, "saving")
    rows.ledger.change(running.job_id, "done")
    Retention(rows.library, clock=rows.clock, each_round=[erasure.finish]).tidy()
    assert dict(rows.ledger.job(running.job_id).inputs) == {}
    assert rows.ledger.find_budget_differences() == []
    assert boards.files(owners.board_id) == [other.outputs[0].file_key]


@pytest.mark.sqlite
def test_deleted_texts_are_not_left_in_the_file(rows: LibraryRows) -> None:
    """SQLite keeps deleted rows in free pages, where whoever gets the file or a backup of it can read them."""
    shown = "a very secret prompt " * 100
    for number in range(20):
        rows.add(f"{shown} {number}", visitor_id="v")
    Erasure(rows.ledger, rows.library, rows.input_images, rows.clock).erase("v")
    rows.ledger.close()
    assert b"secret prompt" not in rows.path.read_bytes()
