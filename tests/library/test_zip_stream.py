"""The ZIP's promises: originals byte for byte, a manifest that tells everything, and flat memory."""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import subprocess
import sys
import tracemalloc
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from dreamina_ui.errors import MediaError
from dreamina_ui.ledger.job import Job, Output
from dreamina_ui.library.naming import file_name
from dreamina_ui.library.zip_stream import stream_zip
from dreamina_ui.media.folder_store import stored_file
from dreamina_ui.media.store import StoredFile
from dreamina_ui.web.auth.permissions import Permissions
from dreamina_ui.web.routes.library import build_library_routes
from tests.support.harness import Harness, png
from tests.support.library_rows import NOON, LibraryRows, make_job, read_zip, stored_output

PNG_HEAD = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def rows(harness: Harness) -> Iterator[LibraryRows]:
    made = LibraryRows(harness.folder)
    yield made
    made.ledger.close()


@pytest.fixture
def http(harness: Harness, rows: LibraryRows) -> Iterator[TestClient]:
    """The library's routes, as the person at this machine reaches them."""
    routes = build_library_routes(
        harness.reader, harness.presenter, rows.library, Permissions(is_shared=False), harness.clock
    )
    with TestClient(Starlette(routes=routes), base_url="http://127.0.0.1", client=("127.0.0.1", 50000)) as client:
        yield client


def files_of(rows: LibraryRows, *jobs: Job) -> Iterator[tuple[Job, Output, StoredFile | None, str]]:
    for job in jobs:
        for output in job.outputs:
            original = rows.media.find(job.job_id, output.index, "original")
            yield job, output, original, file_name(job, output, "original")


# --- the file


def test_originals_come_out_byte_for_byte(rows: LibraryRows, tmp_path: Path) -> None:
    """What was paid for is what is packed, and every common program can unpack it."""
    contents = [PNG_HEAD + os.urandom(3_000_000), PNG_HEAD, png()]
    job = rows.add("a red fox", files=contents)
    path = tmp_path / "all.zip"
    path.write_bytes(b"".join(stream_zip(files_of(rows, job))))
    archive, manifest = read_zip(path.read_bytes())
    assert [archive.read(entry["file"]) for entry in manifest] == contents
    assert [entry["sha256"] for entry in manifest] == [hashlib.sha256(content).hexdigest() for content in contents]
    assert {entry.date_time for entry in archive.infolist()[:-1]} == {(2026, 11, 18, 11, 6, 40)}
    for reader in readers():
        done = subprocess.run([*reader, str(path)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def readers() -> Iterator[list[str]]:
    """Other programs that test a ZIP."""
    yield [sys.executable, "-m", "zipfile", "-t"]
    if unzip := shutil.which("unzip"):
        yield [unzip, "-t"]


STREAM_READER = """
import java.io.*;
import java.util.zip.*;

class ReadAsStream {
    public static void main(String[] words) throws IOException {
        ZipInputStream zip = new ZipInputStream(new FileInputStream(words[0]));
        byte[] buffer = new byte[65536];
        for (ZipEntry entry; (entry = zip.getNextEntry()) != null; ) {
            long size = 0;
            for (int count; (count = zip.read(buffer)) > 0; ) size += count;
            System.out.println(size + " " + entry.getName());
        }
    }
}
"""


def test_the_zip_can_be_read_as_a_stream(rows: LibraryRows, tmp_path: Path) -> None:
    """Readers that cannot jump to the end need size and checksum before each file, where it is not compressed."""
    contents = [PNG_HEAD + os.urandom(3_000_000), b"", png()]
    data = b"".join(stream_zip(files_of(rows, rows.add("a red fox", files=contents))))
    offset, sizes = 0, []
    while data[offset : offset + 4] == b"PK\x03\x04":
        flags, method, _, _, checksum, packed, size, name_length, extra_length = struct.unpack_from(
            "<HHHHIIIHH", data, offset + 6
        )
        start = offset + 30 + name_length + extra_length
        assert (flags & 0x08, method, packed) == (0, 0, size)
        assert zlib.crc32(data[start : start + size]) == checksum
        sizes.append(size)
        offset = start + size
    assert sizes[:-1] == [len(content) for content in contents]
    assert data[offset : offset + 4] == b"PK\x01\x02"
    if java := shutil.which("java"):
        (tmp_path / "ReadAsStream.java").write_text(STREAM_READER)
        (tmp_path / "all.zip").write_bytes(data)
        command = [java, str(tmp_path / "ReadAsStream.java"), str(tmp_path / "all.zip")]
        done = subprocess.run(command, capture_output=True, text=True)
        if "compiler" not in done.stderr:  # a runtime without one cannot run the reader
            assert [int(line.split()[0]) for line in done.stdout.splitlines()] == sizes, done.stderr


def test_a_file_that_changes_while_it_is_packed_breaks_the_download(rows: LibraryRows) -> None:
    """Its checksum has been sent already, and a reader would call the whole ZIP damaged."""
    job = rows.add(files=[b"x" * 5_000_000])
    pieces = stream_zip(files_of(rows, job))
    next(pieces)
    (rows.folder_of(job, job.outputs[0]) / "original.png").write_bytes(b"y" * 4_000_000)
    with pytest.raises(MediaError, match="changed while it was packed"):
        list(pieces)


def test_the_manifest_tells_everything(rows: LibraryRows) -> None:
    """Years later a folder of pictures still knows what was asked, when, and for how much."""
    job = rows.add('狐 🦊 "quoted"', request_id="r-1", cost_usd=0.03, created_at=NOON)
    _, manifest = read_zip(b"".join(stream_zip(files_of(rows, job))))
    assert manifest == [
        {
            "file": f"dreamina-狐-quoted-8x8-{job.job_id[:6]}-1.png",
            "prompt": '狐 🦊 "quoted"',
            "inputs": dict(job.inputs),
            "model_id": "bytedance/dreamina-4-0/text-to-image",
            "job_id": job.job_id[:8],
            "request_id": "r-1",
            "cost_usd": 0.03,
            "created_at": "2026-11-18T11:06:40.000Z",
            "finished_at": "2026-11-18T11:06:49.000Z",
            "index": 0,
            "width": 8,
            "height": 8,
            "format": "PNG",
            "size_bytes": len(png((8, 8))),
            "sha256": hashlib.sha256(png((8, 8))).hexdigest(),
        }
    ]


def test_no_key_to_a_job_is_passed_on(rows: LibraryRows) -> None:
    """Who gets the ZIP gets its pictures, and not the right to read or cancel the jobs."""
    jobs = [rows.add("same", files=2, job_id=f"abcdef{number:026x}") for number in range(3)]
    zipped = b"".join(stream_zip(files_of(rows, *jobs)))
    for job in jobs:
        assert job.job_id.encode() not in zipped
        assert not any(output.file_key.encode() in zipped for output in job.outputs)


@pytest.mark.parametrize(
    "prompt",
    ["../../etc/passwd", "C:\\windows\\x", "雪の中の狐" * 100, "🦊" * 800, "مرحبا بالعالم", "é" * 60,
     "\0\n\r\t", "", ".", "İ" * 60, "con", "-rf *"],
)  # fmt: skip
def test_any_prompt_makes_a_name_that_can_be_unpacked(rows: LibraryRows, tmp_path: Path, prompt: str) -> None:
    """Anyone may write anything; what comes out is one plain file in the folder where it was unpacked."""
    job = rows.add(prompt)
    archive, manifest = read_zip(b"".join(stream_zip(files_of(rows, job))))
    archive.extractall(tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").rglob("*.png")] == [manifest[0]["file"]]
    assert (tmp_path / "out" / manifest[0]["file"]).read_bytes() == png((8, 8))


def test_no_file_overwrites_another(rows: LibraryRows) -> None:
    """Ten thousand tries of one prompt are ten thousand files, also where their ids begin alike."""
    jobs = [rows.add("same", files=2, job_id=f"abcdef{number:026x}") for number in range(3)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        archive, manifest = read_zip(b"".join(stream_zip(files_of(rows, *jobs))))
    names = [entry["file"] for entry in manifest]
    assert len(set(names)) == 6
    assert set(archive.namelist()) == {*names, "manifest.json"}


def test_a_missing_file_is_listed(rows: LibraryRows) -> None:
    """A picture that somebody moved away spoils neither the ZIP nor the truth."""
    job = rows.add(files=3)
    result = list(files_of(rows, job))
    for output in job.outputs[:2]:
        shutil.rmtree(rows.folder_of(job, output))
    result[1] = (*result[1][:2], None, result[1][3])
    archive, manifest = read_zip(b"".join(stream_zip(result)))
    assert [entry["file"] for entry in manifest] == [None, None, result[2][3]]
    assert [entry.get("problem") for entry in manifest] == ["the file is missing on disk"] * 2 + [None]
    assert archive.namelist() == [result[2][3], "manifest.json"]


def test_an_empty_choice_is_a_good_zip() -> None:
    """A ZIP without pictures opens like every other."""
    archive, manifest = read_zip(b"".join(stream_zip([])))
    assert (archive.namelist(), manifest) == (["manifest.json"], [])


def test_memory_stays_flat_whatever_the_size(rows: LibraryRows) -> None:
    """A library of gigabytes is packed on a machine with little memory."""
    job = rows.add(files=[b""] * 4)
    for output in job.outputs:
        os.truncate(rows.folder_of(job, output) / "original.png", 50_000_000)
    sent, peak = measure(files_of(rows, job))
    assert sent > 200_000_000
    assert peak < 20_000_000


def test_memory_stays_small_whatever_the_number(rows: LibraryRows) -> None:
    """The manifest of thousands of pictures waits on the disk, not in memory."""
    small = rows.path.with_name("small")
    small.touch()
    inputs = {"prompt": "x" * 3000}
    many = (make_job(inputs=inputs, outputs=(stored_output(0, b""),)) for _ in range(2000))
    files = ((job, job.outputs[0], stored_file(small), f"{job.job_id}.png") for job in many)
    sent, peak = measure(files)
    assert sent > 8_000_000
    assert peak < 8_000_000


def measure(files: Iterator[tuple[Job, Output, StoredFile | None, str]]) -> tuple[int, int]:
    """Bytes of the ZIP, and the most memory that was held while it was made."""
    tracemalloc.start()
    sent = sum(len(piece) for piece in stream_zip(files))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return sent, peak


# --- the route


def test_what_was_chosen_is_what_comes(http: TestClient, rows: LibraryRows) -> None:
    """The ZIP holds the chosen pictures, each once, in the order of the choice."""
    first, second = rows.add("one", files=2), rows.add("two")
    keys = [second.outputs[0].file_key, first.outputs[1].file_key, second.outputs[0].file_key, "no such key", ""]
    response = http.post("/dreamina/library/zip", data={"files": ",".join(keys)})
    assert response.headers["content-type"] == "application/zip"
    assert response.headers["content-disposition"].startswith('attachment; filename="dreamina-20')
    _, manifest = read_zip(response.content)
    assert [(entry["prompt"], entry["index"]) for entry in manifest] == [("two", 0), ("one", 1)]


def test_what_is_shown_is_what_comes(http: TestClient, rows: LibraryRows) -> None:
    """`Download all` obeys the search."""
    rows.add("a red fox", files=2)
    rows.add("a blue fox", state="failed", files=0)
    rows.add("a wolf")
    _, manifest = read_zip(http.get("/dreamina/library/zip", params={"text": "FOX"}).content)
    assert [(entry["prompt"], entry["index"]) for entry in manifest] == [("a red fox", 0), ("a red fox", 1)]
    assert http.get("/dreamina/library/zip", params={"text": "bear"}).status_code == 404


def test_deleted_pictures_are_in_no_zip(http: TestClient, rows: LibraryRows) -> None:
    """Who deleted a picture does not hand it on by accident; who undoes it has it back."""
    job = rows.add(files=2)
    keys = [output.file_key for output in job.outputs]
    assert http.post("/dreamina/library/mark", json={"files": keys[:1], "deleted": True}).json()["count"] == 1
    for response in (http.get("/dreamina/library/zip"), post_keys(http, keys)):
        _, manifest = read_zip(response.content)
        assert [entry["index"] for entry in manifest] == [1]
    assert post_keys(http, keys[:1]).status_code == 404
    http.post("/dreamina/library/mark", json={"files": keys[:1], "deleted": False})
    assert len(read_zip(post_keys(http, keys).content)[1]) == 2


def post_keys(http: TestClient, keys: list[str]) -> Any:
    return http.post("/dreamina/library/zip", data={"files": ",".join(keys)})


def test_the_route_tells_of_missing_files_too(http: TestClient, rows: LibraryRows) -> None:
    """Nobody believes to have saved everything when something was missing."""
    job = rows.add(files=2)
    shutil.rmtree(rows.folder_of(job, job.outputs[0]))
    _, manifest = read_zip(http.get("/dreamina/library/zip").content)
    assert [bool(entry["file"]) for entry in manifest] == [False, True]


def test_others_pictures_are_in_no_zip(harness: Harness, rows: LibraryRows) -> None:
    """a URL that leaked is not enough where strangers share the page."""
    key = rows.add().outputs[0].file_key
    routes = build_library_routes(
        harness.reader, harness.presenter, rows.library, Permissions(is_shared=True), harness.clock
    )
    with TestClient(Starlette(routes=routes), base_url="http://127.0.0.1", client=("127.0.0.1", 50000)) as stranger:
        assert post_keys(stranger, [key]).status_code == 404
        assert stranger.get("/dreamina/library/zip").status_code == 404


@pytest.mark.parametrize("body", [{}, {"files": 5, "deleted": True}, {"files": None, "deleted": True}, {"files": []},
                                  {"files": ["a"]}, {"files": ["a"], "deleted": True, "favourite": True}])  # fmt: skip
def test_a_broken_mark_is_refused(http: TestClient, body: dict[str, Any]) -> None:
    """A script's mistake marks nothing, and the server says so."""
    assert http.post("/dreamina/library/mark", json=body).status_code == 400
