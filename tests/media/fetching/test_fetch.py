"""A result is on the disk whole, byte for byte, or not at all; and people read what happened."""

from __future__ import annotations

import base64
import contextlib
import errno
import gzip
import hashlib
import io
import logging
import os
import random
import re
import resource
import shutil
import socket
import stat
import struct
import threading
import time
import traceback
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFile

from dreamina_ui import __version__
from dreamina_ui.errors import DiskError, MediaError, UrlError
from dreamina_ui.media.decoding.copies import Bounds
from dreamina_ui.media.fetching.download import Downloader, DownloadError
from dreamina_ui.media.fetching.fetch import OutputFetcher
from dreamina_ui.media.fetching.ssrf_guard import Origin, UrlGuard
from dreamina_ui.media.folder_store import FolderStore
from tests.support.bad_server import BadServer, ScriptedResponse
from tests.support.decoding import decoder
from tests.support.file_server import FileServer, HostResponse

JOB = "0123456789abcdef0123456789abcdef"
MP4 = b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2avc1mp41" + bytes(500)
QUERY = "?X-Amz-Signature=s3cret"


def draw(width: int = 90, height: int = 60, mode: str = "RGB") -> Image.Image:
    """A picture that is red at the left, blue at the right, and no plain area anywhere."""
    noise = random.Random(1).randbytes(width * height * 3)
    image = Image.frombytes("RGB", (width, height), noise)
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 0, width // 3, height), fill=(250, 10, 10))
    pen.rectangle((2 * width // 3, 0, width, height), fill=(10, 10, 250))
    return image.convert(mode)


def encode(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


PNG = encode(draw())
TGA = encode(draw(), "TGA")


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer() as running:
        yield running


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    made = FolderStore(tmp_path / "media")
    made.prepare(JOB)
    return made


@pytest.fixture
def make_fetcher(store: FolderStore, server: FileServer, pauses: list[float]) -> Callable[..., OutputFetcher]:
    def make(**options: Any) -> OutputFetcher:
        guard = UrlGuard(exempt_origin=server.origin)
        return OutputFetcher(store, guard, **{"pause": pauses.append, "decoder": decoder(), **options})

    return make


@pytest.fixture
def fetcher(make_fetcher: Callable[..., OutputFetcher]) -> OutputFetcher:
    return make_fetcher()


def names(tmp_path: Path) -> list[str]:
    """Every file under the media folder, by its path in the job's folder."""
    job_folder = tmp_path / "media" / JOB[:2] / JOB
    return sorted(str(path.relative_to(job_folder)) for path in job_folder.rglob("*") if path.is_file())


def opened(store: FolderStore, tier: str, index: int = 0) -> Image.Image:
    path = store.path(JOB, index, tier)
    assert path is not None
    return Image.open(path)


@pytest.mark.parametrize(
    ("form", "file_name"),
    [
        ("PNG", "original.png"),
        ("JPEG", "original.jpg"),
        ("WEBP", "original.webp"),
        ("GIF", "original.gif"),
        ("AVIF", "original.avif"),
    ],
)
def test_an_image_is_stored_byte_for_byte_in_four_tiers(
    server: FileServer, store: FolderStore, fetcher: OutputFetcher, tmp_path: Path, form: str, file_name: str
) -> None:
    """People paid for the original, and the page wants something lighter."""
    body = encode(draw(1500, 1000), form)
    facts = fetcher.fetch(JOB, 0, "image", server.script("/a", HostResponse(body)) + QUERY)
    assert names(tmp_path) == ["0/large.webp", f"0/{file_name}", "0/preview.webp", "0/thumbnail.webp"]
    original = store.path(JOB, 0, "original")
    assert original is not None
    assert original.read_bytes() == body
    assert (facts.file_name, facts.format, facts.kind) == (file_name, form, "image")
    assert (facts.width, facts.height, facts.size_bytes) == (1500, 1000, len(body))
    assert facts.sha256 == hashlib.sha256(body).hexdigest()
    assert facts.media_type == f"image/{form.lower()}"
    for tier, size in (("large", (1500, 1000)), ("preview", (1280, 853)), ("thumbnail", (400, 267))):
        with opened(store, tier) as copy:
            assert (copy.format, copy.size) == ("WEBP", size)
    assert facts.colors, "they come with the copies"
    assert fetcher.stored_facts(JOB, 0) == replace(facts, colors=None)


@pytest.mark.parametrize("chunked", [True, False])
def test_a_file_of_unknown_length_is_stored(server: FileServer, fetcher: OutputFetcher, chunked: bool) -> None:
    """Hosts may leave the length out, and that is no error."""
    url = server.script("/a", HostResponse(PNG, length=None, chunked=chunked))
    assert fetcher.fetch(JOB, 0, "image", url).size_bytes == len(PNG)


def test_a_stored_file_and_all_folders_above_it_are_flushed_to_the_disk(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power loss a row must not name a file that is empty, or in no folder."""
    flushed: list[str] = []
    fsync = os.fsync

    def note(handle: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{handle}")).relative_to(tmp_path)
        flushed.append(re.sub(r"partial-[0-9a-f]+", "partial", str(path)))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", note)
    store = FolderStore(tmp_path / "media")
    store.prepare(JOB)
    fetcher = OutputFetcher(store, UrlGuard(exempt_origin=server.origin), decoder=decoder())
    assert flushed[:2] == ["media", f"media/{JOB[:2]}"]
    flushed.clear()
    fetcher.fetch(JOB, 0, "image", server.script("/a", HostResponse(PNG)))
    job = f"media/{JOB[:2]}/{JOB}"
    *files, partial, last = flushed
    assert sorted(files) == [f"{job}/0.partial/{name}" for name in ("fetched", "preview.webp", "thumbnail.webp")]
    assert (partial, last) == (f"{job}/0.partial", job)


def test_a_job_whose_folder_is_gone_gets_it_back(
    server: FileServer, store: FolderStore, fetcher: OutputFetcher
) -> None:
    """At a start, empty folders are cleaned up, also that of an unfinished job."""
    store.prepare(JOB)
    store.clean_up()
    assert fetcher.fetch(JOB, 0, "image", server.script("/a", HostResponse(PNG))).size_bytes == len(PNG)


def test_bytes_after_the_end_of_an_image_are_stored_too(server: FileServer, fetcher: OutputFetcher) -> None:
    """Byte for byte means the odd ones as well."""
    facts = fetcher.fetch(JOB, 0, "image", server.script("/a", HostResponse(PNG + b"trailing")))
    assert facts.size_bytes == len(PNG) + 8


def test_small_pictures_are_not_enlarged(server: FileServer, store: FolderStore, fetcher: OutputFetcher) -> None:
    """Blown-up pixels look like a bad model."""
    fetcher.fetch(JOB, 0, "image", server.script("/a", HostResponse(PNG)))
    for tier in ("preview", "thumbnail"):
        with opened(store, tier) as copy:
            assert copy.size == (90, 60)


def _sixteen_bits() -> bytes:
    image = Image.new("I;16", (90, 60))
    for x in range(90):
        for y in range(60):
            image.putpixel((x, y), 60000 if x < 45 else 5000)
    return encode(image)


@pytest.mark.parametrize(
    ("body", "left", "right"),
    [
        (encode(draw(mode="P")), (250, 10, 10), (10, 10, 250)),
        (encode(draw(mode="RGBA")), (250, 10, 10), (10, 10, 250)),
        (encode(draw(mode="CMYK"), "JPEG"), (250, 10, 10), (10, 10, 250)),
        (encode(draw(mode="L")), (81, 81, 81), (37, 37, 37)),
        (encode(draw(mode="LA")), (81, 81, 81), (37, 37, 37)),
        (encode(draw(mode="1")), None, None),
        (_sixteen_bits(), (234, 234, 234), (20, 20, 20)),
    ],
    ids=["P", "RGBA", "CMYK", "L", "LA", "1", "I;16"],
)
def test_previews_are_right_in_every_color_mode(
    server: FileServer,
    store: FolderStore,
    fetcher: OutputFetcher,
    body: bytes,
    left: tuple[int, ...] | None,
    right: tuple[int, ...] | None,
) -> None:
    """A preview in false colours makes people throw away a good picture."""
    fetcher.fetch(JOB, 0, "image", server.script("/a", HostResponse(body)))
    with opened(store, "preview") as copy:
        for x, color in ((10, left), (80, right)):
            pixel = copy.convert("RGB").getpixel((x, 30))
            assert isinstance(pixel, tuple)
            assert color is None or all(abs(a - b) < 25 for a, b in zip(pixel, color, strict=True))


def test_transparency_survives_in_previews(server: FileServer, store: FolderStore, fetcher: OutputFetcher) -> None:
    """A cut-out shown on black is not what was made."""
    fetcher.fetch(JOB, 0, "image", server.script("/a", HostResponse(encode(Image.new("RGBA", (90, 60), (9, 9, 9, 0))))))
    with opened(store, "thumbnail") as copy:
        assert copy.convert("RGBA").getpixel((5, 5))[3] == 0  # type: ignore[index]


def test_exif_orientation_turns_previews_and_leaves_the_facts(
    server: FileServer, store: FolderStore, fetcher: OutputFetcher
) -> None:
    """Browsers turn the original by its EXIF, so the preview has to be turned as well."""
    exif = Image.Exif()
    exif[0x0112] = 6
    facts = fetcher.fetch(JOB, 0, "image", server.script("/a", HostResponse(encode(draw(), "JPEG", exif=exif))))
    assert (facts.width, facts.height) == (90, 60)
    with opened(store, "preview") as copy:
        assert copy.size == (60, 90)
        assert copy.getpixel((30, 5))[0] > 200  # type: ignore[index]
    assert not list(copy.getexif())


def test_damaged_exif_does_not_spoil_a_good_picture(server: FileServer, fetcher: OutputFetcher) -> None:
    """The pixels are what was paid for."""
    body = encode(draw(), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff garbage")
    assert fetcher.fetch(JOB, 0, "image", server.script("/a", HostResponse(body))).format == "JPEG"


def _with_broken_checksum() -> bytes:
    start = PNG.index(b"IDAT") - 4
    length = struct.unpack(">I", PNG[start : start + 4])[0]
    end = start + 8 + length
    assert zlib.crc32(PNG[start + 4 : end]) == struct.unpack(">I", PNG[end : end + 4])[0]
    return PNG[:end] + b"\x00\x00\x00\x00" + PNG[end + 4 :]


HALF_JPEG = encode(draw(900, 600), "JPEG")
BAD_RESPONSES = {
    "cut": HostResponse(PNG[:-40], length=len(PNG)),
    "cut chunks": HostResponse(PNG[:-40], chunked=True, cut=True),
    "empty": HostResponse(b""),
    "web page": HostResponse(b"<!doctype html><title>Sign in</title>", headers={"Content-Type": "image/png"}),
    "nonsense": HostResponse(b"what is this?"),
    "too large by its length, and cut": HostResponse(PNG[:-40], length=300_000),
    "endless": HostResponse(PNG, endless=True),
    "check sum": HostResponse(_with_broken_checksum()),
    "half a PNG": HostResponse(PNG[: len(PNG) // 2]),
    "a PNG without its last chunk": HostResponse(PNG[:-12]),
    "half a JPEG": HostResponse(HALF_JPEG[: len(HALF_JPEG) // 2], length=None),
    "half a WebP": HostResponse(encode(draw(), "WEBP")[:-500]),
    "half a GIF": HostResponse(encode(draw(), "GIF")[:-500]),
    "half an AVIF": HostResponse(encode(draw(), "AVIF")[:-500]),
    "compressed, and cut": HostResponse(zlib.compress(PNG)[:-9], headers={"Content-Encoding": "deflate"}),
    "compressed in an odd way": HostResponse(b"\x8b\x01" + PNG, headers={"Content-Encoding": "br"}),
    "gone": HostResponse(status=404),
    "refused": HostResponse(status=403),
    "fault": HostResponse(status=500),
    "busy": HostResponse(status=503),
    "part": HostResponse(PNG[:-40], status=206),
}


@pytest.mark.parametrize("bad", BAD_RESPONSES.values(), ids=BAD_RESPONSES.keys())
def test_a_bad_file_is_fetched_again_and_then_stored_whole(
    server: FileServer,
    make_fetcher: Callable[..., OutputFetcher],
    tmp_path: Path,
    pauses: list[float],
    bad: HostResponse,
    store: FolderStore,
) -> None:
    """Hosts stumble, and a paid picture is worth a second try."""
    fetcher = make_fetcher(max_bytes=200_000, bounds=Bounds(max_pixels=1_000_000))
    fetcher.fetch(JOB, 0, "image", server.script("/a", bad, HostResponse(PNG)))
    assert len(server.requests) == 2
    assert len(pauses) == 1
    assert names(tmp_path) == ["0/original.png", "0/preview.webp", "0/thumbnail.webp"]
    assert store.find_damaged(JOB, 0) is None


@pytest.mark.parametrize("bad", BAD_RESPONSES.values(), ids=BAD_RESPONSES.keys())
def test_a_file_that_stays_bad_is_a_plain_error_and_nothing_half_made(
    server: FileServer,
    make_fetcher: Callable[..., OutputFetcher],
    tmp_path: Path,
    pauses: list[float],
    bad: HostResponse,
    store: FolderStore,
) -> None:
    """Half a picture shown as a whole one is a lie; a message without the next step is no help."""
    fetcher = make_fetcher(max_bytes=200_000, bounds=Bounds(max_pixels=1_000_000))
    with pytest.raises(MediaError) as caught:
        fetcher.fetch(JOB, 2, "image", server.script("/a", bad) + QUERY)
    assert type(caught.value) is MediaError
    assert len(server.requests) == 4
    assert len(pauses) == 3
    assert store.path(JOB, 2, "original") is None
    assert fetcher.stored_facts(JOB, 2) is None
    assert all(name.startswith("2.damaged/") for name in names(tmp_path))
    message = str(caught.value)
    for part in ("Output 2", JOB[:8], "127.0.0.1", "'Fetch again'"):
        assert part in message
    aside = store.find_damaged(JOB, 2)
    assert (aside is None) == ("set aside" not in message)
    assert aside is None or aside.name in message
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))
    assert str(tmp_path) not in message


UNENDED_RESPONSES = {
    "chunks without the last one": HostResponse(PNG, chunked=True, cut=True),
    "a length that is too large": HostResponse(PNG, length=len(PNG) + 7),
    "a length beyond all limits": HostResponse(PNG, length=300_000),
    "a part, without a word of which": HostResponse(PNG, status=206),
    "packed, and the checksum is missing": HostResponse(
        zlib.compress(PNG)[:-4], headers={"Content-Encoding": "deflate"}
    ),
    "a JPEG": HostResponse(HALF_JPEG, chunked=True, cut=True),
    "a WebP": HostResponse(encode(draw(), "WEBP"), chunked=True, cut=True),
    "a GIF": HostResponse(encode(draw(), "GIF"), chunked=True, cut=True),
    "an AVIF": HostResponse(encode(draw(), "AVIF"), chunked=True, cut=True),
}


@pytest.mark.parametrize("unended", UNENDED_RESPONSES.values(), ids=UNENDED_RESPONSES.keys())
def test_a_whole_image_is_stored_though_its_host_promises_more(
    server: FileServer, store: FolderStore, make_fetcher: Callable[..., OutputFetcher], unended: HostResponse
) -> None:
    """A wrong header loses nothing that was paid for; but a download that broke off is tried again first."""
    fetcher = make_fetcher(max_bytes=200_000)
    facts = fetcher.fetch(JOB, 0, "image", server.script("/a", unended))
    assert (facts.kind, len(server.requests)) == ("image", 3)
    original = store.find(JOB, 0, "original")
    assert original
    body = b"".join(original.read())
    assert (facts.size_bytes, facts.sha256) == (len(body), hashlib.sha256(body).hexdigest())
    fetcher.fetch(JOB, 1, "image", server.script("/b", unended, HostResponse(body + b"more")))
    assert store.find(JOB, 1, "original").size_bytes == len(body) + 4  # type: ignore[union-attr]


def test_a_damaged_file_is_set_aside_unchanged(server: FileServer, store: FolderStore, fetcher: OutputFetcher) -> None:
    """It may be half of something that cannot be made again."""
    with pytest.raises(MediaError):
        fetcher.fetch(
            JOB, 0, "image", server.script("/a", HostResponse(b"first"), HostResponse(PNG[:-20], length=None))
        )
    aside = store.find_damaged(JOB, 0)
    assert aside is not None
    assert (aside.name, b"".join(aside.read())) == ("0.damaged/original.png", PNG[:-20])


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (BAD_RESPONSES["gone"], "gone"),
        (BAD_RESPONSES["refused"], "refused"),
        (BAD_RESPONSES["web page"], "web page"),
        (BAD_RESPONSES["cut"], "cut off"),
        (BAD_RESPONSES["empty"], "empty"),
        (BAD_RESPONSES["endless"], "larger than 200000 bytes"),
    ],
)
def test_the_message_says_what_was_wrong(
    server: FileServer, make_fetcher: Callable[..., OutputFetcher], response: HostResponse, words: str
) -> None:
    """A file that is gone and a file that was cut off call for different steps."""
    with pytest.raises(MediaError, match=words):
        make_fetcher(max_bytes=200_000).fetch(JOB, 0, "image", server.script("/a", response))


def test_pauses_grow_and_a_host_that_names_a_time_is_heeded(
    server: FileServer, fetcher: OutputFetcher, pauses: list[float]
) -> None:
    """Asking a busy host at once makes it busier; a host that asks for an hour is not waited for."""
    later = formatdate(time.time() + 30, usegmt=True)
    busy = [HostResponse(status=503, headers={"Retry-After": text}) for text in ("7", "3600", later)]
    fetcher.fetch(JOB, 0, "image", server.script("/a", *busy, HostResponse(PNG)))
    assert pauses[:2] == [7, 60]
    assert 25 < pauses[2] <= 30
    pauses.clear()
    fetcher.fetch(JOB, 1, "image", server.script("/b", *[HostResponse(status=500)] * 3, HostResponse(PNG)))
    for number, pause_s in enumerate(pauses):
        assert 0.5 * 2**number <= pause_s <= 1.5 * 2**number


def test_a_trickling_host_is_given_up(server: FileServer, make_fetcher: Callable[..., OutputFetcher]) -> None:
    """A byte now and then keeps every single read alive, and a worker busy forever."""
    fetcher = make_fetcher(total_timeout_s=0.03)
    with pytest.raises(MediaError, match="slowly"):
        fetcher.fetch(JOB, 0, "image", server.script("/a", HostResponse(trickle_s=0.001)))
    assert len(server.requests) == 1


def test_each_download_ends_at_its_own_deadline(server: FileServer, tmp_path: Path) -> None:
    """One thread minds them all, those that lie closer than the one it waits for, too."""
    guard = UrlGuard(exempt_origin=server.origin)
    downloader = Downloader(guard, max_bytes=10**6, connect_timeout_s=5, read_timeout_s=5)
    url = server.script("/a", HostResponse(trickle_s=0.001))

    def fetch(name: str, seconds: float) -> str:
        with (tmp_path / name).open("w+b") as file, pytest.raises(DownloadError) as caught:
            downloader.fetch(url, file, time.monotonic() + seconds)
        return caught.value.rule

    with ThreadPoolExecutor(4) as pool:
        patient = pool.submit(fetch, "patient", 1.0)
        hasty = [pool.submit(fetch, f"hasty {number}", 0.05) for number in range(3)]
        assert [item.result(10) for item in hasty] == ["slow"] * 3
        assert not patient.done()
        assert patient.result(10) == "slow"
    whole = server.script("/b", HostResponse(PNG))
    assert downloader.fetch(whole, io.BytesIO(), time.monotonic() + 5)[0] == len(PNG)


def test_a_silent_host_is_given_up(store: FolderStore) -> None:
    """A host that takes the call and says nothing must not hold a worker forever."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        origin = f"http://127.0.0.1:{silent.getsockname()[1]}"
        guard = UrlGuard(exempt_origin=origin)
        fetcher = OutputFetcher(store, guard, read_timeout_s=0.02, pause=lambda _: None)
        with pytest.raises(MediaError, match="silent"):
            fetcher.fetch(JOB, 0, "image", origin + "/a" + QUERY)
    with pytest.raises(MediaError, match="connection failed") as caught:
        fetcher.fetch(JOB, 0, "image", origin + "/a" + QUERY)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def test_a_name_that_does_not_resolve_is_asked_again(pauses: list[float], store: FolderStore) -> None:
    """Name servers fail for a moment."""

    def resolve(*_: Any) -> Any:
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    fetcher = OutputFetcher(store, UrlGuard(resolve=resolve), pause=pauses.append)
    with pytest.raises(MediaError) as caught:
        fetcher.fetch(JOB, 0, "image", "https://files.runcomfy.net/a")
    assert type(caught.value) is MediaError
    assert len(pauses) == 3


def test_a_url_that_must_not_be_fetched_is_never_repeated(fetcher: OutputFetcher, pauses: list[float]) -> None:
    """It would be as wrong the second time."""
    for url in ("https://10.0.0.1/a", "http://127.0.0.1:1/a", "nonsense", "https://a.example:x/"):
        with pytest.raises(UrlError):
            fetcher.fetch(JOB, 0, "image", url)
    assert pauses == []


def test_redirects_are_followed_and_end(server: FileServer, fetcher: OutputFetcher) -> None:
    """Hosts send people on to where the file lies, but not in circles."""
    server.script("/file", HostResponse(PNG))
    hop = server.script("/hop", HostResponse(status=302, headers={"Location": "/file" + QUERY}))
    assert fetcher.fetch(JOB, 0, "image", hop).format == "PNG"
    endless = server.script("/hop", HostResponse(PNG, status=302, headers={"Location": "/file"}, endless=True))
    assert fetcher.fetch(JOB, 0, "image", endless).format == "PNG"
    circle = server.script("/circle", HostResponse(status=307, headers={"Location": "/circle"}))
    with pytest.raises(MediaError, match="redirects"):
        fetcher.fetch(JOB, 1, "image", circle)


@pytest.mark.parametrize(
    "page",
    [
        HostResponse(headers={"Refresh": "0; url=/b"}),
        HostResponse(b"<html>Your download begins.", headers={"Refresh": "1;URL='b'"}),
        HostResponse(b'<!doctype html><meta http-equiv="refresh" content="0; url=/b">'),
    ],
    ids=["no page", "a header", "a page"],
)
def test_a_refresh_is_a_redirect(server: FileServer, fetcher: OutputFetcher, page: HostResponse) -> None:
    """Browsers end at the file; it goes through the guard like each redirect."""
    server.script("/b", HostResponse(PNG))
    assert fetcher.fetch(JOB, 0, "image", server.script("/a", page)).sha256 == hashlib.sha256(PNG).hexdigest()
    inside = HostResponse(b"<html>", headers={"Refresh": "0; url=https://127.0.0.1/"})
    with pytest.raises(UrlError, match="not on the public internet"):
        fetcher.fetch(JOB, 0, "image", server.script("/c", inside))


def test_a_refresh_beside_a_file_says_nothing(server: FileServer, fetcher: OutputFetcher) -> None:
    """The bytes are what was paid for."""
    url = server.script("/a", HostResponse(PNG, headers={"Refresh": "30; url=/elsewhere"}))
    assert fetcher.fetch(JOB, 0, "image", url).sha256 == hashlib.sha256(PNG).hexdigest()
    assert len(server.requests) == 1


def test_a_host_that_wants_its_cookie_back_gets_it_and_nobody_else_does(store: FolderStore) -> None:
    """Some hosts send a browser around until it brings the cookie that they set; other hosts must not see it."""
    with BadServer() as host, BadServer() as other:
        set_cookies = b"Set-Cookie: seen=1; Path=/; Secure\r\nSet-Cookie: id=a b\r\nSet-Cookie: seen=2\r\n"
        bounce = b"HTTP/1.1 302 Found\r\n" + set_cookies + b"Location: %s\r\nContent-Length: 0\r\n\r\n"
        host.script(
            "/a", ScriptedResponse(raw=bounce % b"/a?again"), ScriptedResponse(raw=bounce % f"{other.url}/b".encode())
        )
        other.script("/b", ScriptedResponse(200, PNG))
        guard = UrlGuard(exempt_origin=[host.url, other.url])
        fetcher = OutputFetcher(store, guard, attempts=1, decoder=decoder())
        fetcher.fetch(JOB, 0, "image", f"{host.url}/a")
        assert [request.header("Cookie") for request in host.requests] == [None, "seen=2; id=a"]
        assert [request.header("Cookie") for request in other.requests] == [None]


@pytest.mark.parametrize(
    "target", ["http://127.0.0.1:1/", "https://169.254.169.254/", "https://[::1", "file:///etc/passwd", "//localhost/"]
)
def test_a_redirect_goes_through_the_guard(server: FileServer, fetcher: OutputFetcher, target: str) -> None:
    """A public host could otherwise send us into our own network."""
    hop = server.script("/hop", HostResponse(status=302, headers={"Location": target}))
    with pytest.raises(UrlError):
        fetcher.fetch(JOB, 0, "image", hop)
    assert len(server.requests) == 1


def test_a_foreign_host_cannot_redirect_into_the_exempt_origin(server: FileServer, store: FolderStore) -> None:
    """The exemption is for URLs the API gave, not for what a stranger points at."""
    inner = server.script("/inner", HostResponse(PNG))
    with FileServer() as stranger:
        hop = stranger.script("/hop", HostResponse(status=302, headers={"Location": inner}))

        class BothPass(UrlGuard):
            def resolve_checked(self, origin: Origin) -> list[str]:
                return ["127.0.0.1"]

        fetcher = OutputFetcher(store, BothPass(exempt_origin=server.origin), attempts=1, decoder=decoder())
        with pytest.raises(UrlError, match="own origin"):
            fetcher.fetch(JOB, 0, "image", hop)
    assert server.requests == []


def test_no_credentials_travel_and_the_bytes_are_asked_for_as_they_are(
    server: FileServer, fetcher: OutputFetcher
) -> None:
    """The token belongs to the API alone."""
    fetcher.fetch(JOB, 0, "image", server.script("/a", HostResponse(PNG, headers={"Set-Cookie": "a=b"})))
    headers = server.requests[0][1]
    assert headers["Accept-Encoding"] == "identity"
    assert not {"Authorization", "Cookie", "Referer"} & set(headers)


@pytest.mark.parametrize(
    ("body", "file_name", "media_type"),
    [
        (MP4, "original.mp4", "video/mp4"),
        (b"\x00\x00\x00\x14ftypqt  " + bytes(99), "original.mov", "video/quicktime"),
        (b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm" + bytes(99), "original.webm", "video/webm"),
        (b"\x1a\x45\xdf\xa3\xa3\x42\x82\x88matroska" + bytes(99), "original.mkv", "video/x-matroska"),
    ],
)
def test_a_video_is_stored_unopened(
    server: FileServer,
    store: FolderStore,
    fetcher: OutputFetcher,
    tmp_path: Path,
    body: bytes,
    file_name: str,
    media_type: str,
) -> None:
    """Other models of the same service make videos."""
    facts = fetcher.fetch(JOB, 0, "video", server.script("/a", HostResponse(body)))
    assert (facts.kind, facts.file_name, facts.media_type) == ("video", file_name, media_type)
    assert (facts.width, facts.height) == (None, None)
    assert names(tmp_path) == [f"0/{file_name}"]
    assert fetcher.stored_facts(JOB, 0) == facts
    assert store.path(JOB, 0, "preview") is None


@pytest.mark.parametrize("body", [b"<html>", b"", b"not found", b'{"error": "gone"}'])
def test_a_page_or_a_short_text_is_not_stored_as_a_video(
    server: FileServer, fetcher: OutputFetcher, body: bytes
) -> None:
    """A web page in the player helps nobody."""
    with pytest.raises(MediaError):
        fetcher.fetch(JOB, 0, "video", server.script("/a", HostResponse(body)))
    assert fetcher.stored_facts(JOB, 0) is None


OTHER_FILES = {
    "TIFF": (encode(draw(), "TIFF"), "image", "original.tif", "image/tiff"),
    "BMP": (encode(draw(), "BMP"), "image", "original.bmp", "image/bmp"),
    "a TIFF that Pillow cannot open": (b"II*\0" + bytes(99), "file", "original.tif", "image/tiff"),
    "HEIC": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99), "file", "original.heic", "image/heic"),
    "SVG": (b'<?xml version="1.0"?>\n<!-- drawn --><svg/>', "file", "original.svg", "image/svg+xml"),
    "a sound": (b"RIFF\x24\0\0\0WAVEfmt " + bytes(99), "file", "original.wav", "audio/wav"),
    "an unknown type": (b"\x01\x02what is this?\xff", "file", "original.bin", "application/octet-stream"),
    "a long XML document": (
        b"<?xml version='1.0'?><COLLADA>" + b"<p/>" * 2000,
        "file",
        "original.bin",
        "application/octet-stream",
    ),
    "a long text": (b"v 0.1 0.2 0.3\n" * 1000, "file", "original.bin", "application/octet-stream"),
    "a video": (MP4, "video", "original.mp4", "video/mp4"),
}


@pytest.mark.parametrize("name", OTHER_FILES)
@pytest.mark.parametrize("expected", ["image", "video"])
def test_the_original_is_stored_whatever_it_is(
    server: FileServer, store: FolderStore, fetcher: OutputFetcher, name: str, expected: str
) -> None:
    """It was paid for; that we cannot show it is no reason to throw it away."""
    body, kind, file_name, media_type = OTHER_FILES[name]
    facts = fetcher.fetch(JOB, 0, expected, server.script("/a", HostResponse(body)))
    assert (facts.kind, facts.file_name, facts.media_type) == (kind, file_name, media_type)
    original = store.find(JOB, 0, "original")
    assert original
    assert b"".join(original.read()) == body
    assert bool(store.find(JOB, 0, "thumbnail")) == (kind == "image")
    assert fetcher.stored_facts(JOB, 0) == replace(facts, colors=None), "colors need the image decoded once more"


def test_an_image_too_large_to_open_is_stored_without_previews(
    server: FileServer, store: FolderStore, make_fetcher: Callable[..., OutputFetcher]
) -> None:
    """Opening it would take the memory of everything else here."""
    body = encode(Image.new("RGB", (1001, 1000)))
    fetcher = make_fetcher(bounds=Bounds(max_pixels=1_000_000))
    facts = fetcher.fetch(JOB, 0, "image", server.script("/a", HostResponse(body)))
    assert (facts.kind, facts.format, facts.width, facts.height) == ("file", "PNG", 1001, 1000)
    assert store.find(JOB, 0, "original")
    assert store.find(JOB, 0, "preview") is None
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("", PNG),
        ("identity", PNG),
        ("aws-chunked", PNG),
        ("aws-chunked, identity", PNG),
        ("gzip", PNG),
        ("deflate", PNG),
        ("br", PNG),
        ("none of them", PNG),
        ("utf-8", TGA),
        ("none, identity", TGA),
        ("gzip", gzip.compress(PNG[:50]) + gzip.compress(PNG[50:])),
        ("gzip", gzip.compress(PNG)),
        ("x-gzip", gzip.compress(PNG)),
        ("GZIP, aws-chunked", gzip.compress(PNG)),
        ("deflate", zlib.compress(PNG)),
        ("deflate", zlib.compress(PNG)[2:-4]),
    ],
    ids=lambda value: value or "empty" if isinstance(value, str) else "as it is" if value in (PNG, TGA) else "packed",
)
def test_an_encoding_counts_only_if_the_bytes_agree(
    server: FileServer, store: FolderStore, fetcher: OutputFetcher, encoding: str, body: bytes
) -> None:
    """Hosts send this header over untouched bytes, and the file is good."""
    url = server.script("/a", HostResponse(body, headers={"Content-Encoding": encoding}))
    facts = fetcher.fetch(JOB, 0, "image", url)
    original = store.find(JOB, 0, "original")
    assert original
    file = TGA if body == TGA else PNG
    assert b"".join(original.read()) == file
    assert (facts.size_bytes, facts.sha256) == (len(file), hashlib.sha256(file).hexdigest())


def test_a_packed_file_that_would_grow_too_large_is_refused(
    server: FileServer, make_fetcher: Callable[..., OutputFetcher]
) -> None:
    """A thousand bytes can become a million."""
    body = gzip.compress(PNG + bytes(10_000_000))
    with pytest.raises(MediaError, match="larger than 200000 bytes") as caught:
        make_fetcher(max_bytes=200_000).fetch(
            JOB, 0, "image", server.script("/a", HostResponse(body, headers={"Content-Encoding": "gzip"}))
        )
    assert not caught.value.is_temporary


@pytest.mark.parametrize("status", [401, 403, 404, 410, 429, 500, 502, 503])
def test_a_file_that_may_still_come_is_a_temporary_error(
    server: FileServer, fetcher: OutputFetcher, status: int
) -> None:
    """Files are late, and URLs expire: the job is worth more attempts, with fresh URLs."""
    with pytest.raises(MediaError) as caught:
        fetcher.fetch(JOB, 0, "image", server.script("/a", HostResponse(status=status)))
    assert caught.value.is_temporary


HEADS = {
    "a redirect that is named twice": b"302 Found\r\nLocation: /b\r\nLocation: /b\r\nContent-Length: 0",
    "a redirect with a page": b"301 Moved\r\nLocation: b\r\nContent-Length: 6\r\n\r\n<html>",
    "a redirect to a part of a page": b"308 x\r\nlocation:\t/b#top \r\nContent-Length: 0",
    "a redirect without a reason": b"307\r\nLocation: ./x/../b\r\nContent-Length: 0",
}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS.keys())
def test_a_redirect_is_followed_however_it_is_written(store: FolderStore, head: bytes) -> None:
    """Proxies repeat headers, and hosts leave things out."""
    with BadServer() as host:
        host.script("/a", ScriptedResponse(raw=b"HTTP/1.1 " + head + b"\r\n\r\n"))
        host.script("/b", ScriptedResponse(200, PNG))
        fetcher = OutputFetcher(store, UrlGuard(exempt_origin=host.url), attempts=1, decoder=decoder())
        assert fetcher.fetch(JOB, 0, "image", f"{host.url}/a").sha256 == hashlib.sha256(PNG).hexdigest()


@pytest.mark.parametrize("interim", [b"103 Early Hints\r\nLink: </a.css>; rel=preload", b"100 Continue", b"102 x"])
def test_an_interim_response_is_not_the_file(store: FolderStore, interim: bytes) -> None:
    """Content networks send hints before they have the file."""
    head = b"HTTP/1.1 " + interim + b"\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(PNG)
    with BadServer() as host:
        host.script("/a", ScriptedResponse(raw=head + PNG))
        fetcher = OutputFetcher(store, UrlGuard(exempt_origin=host.url), attempts=1, decoder=decoder())
        assert fetcher.fetch(JOB, 0, "image", f"{host.url}/a").sha256 == hashlib.sha256(PNG).hexdigest()


LENGTHS = {
    "named twice": b"Content-Length: %d\r\nContent-Length: %d" % (len(PNG), len(PNG)),
    "not named": b"X: y",
    "no number": b"Content-Length: many",
    "in two parts": b"Content-Length: %d, %d" % (len(PNG), len(PNG)),
}


@pytest.mark.parametrize("length", LENGTHS.values(), ids=LENGTHS.keys())
def test_a_length_that_is_oddly_written_costs_no_file(store: FolderStore, length: bytes) -> None:
    """The end of the connection ends the file as well."""
    with BadServer() as host:
        host.script("/a", ScriptedResponse(raw=b"HTTP/1.1 200 OK\r\n" + length + b"\r\n\r\n" + PNG))
        fetcher = OutputFetcher(store, UrlGuard(exempt_origin=host.url), attempts=1, decoder=decoder())
        assert fetcher.fetch(JOB, 0, "image", f"{host.url}/a").size_bytes == len(PNG)


ODD_RESPONSES = {
    "an XML error": HostResponse(b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>"),
    "a page": HostResponse(b"\xef\xbb\xbf\r\n<!DOCTYPE html>" + b" " * 9000),
    "a JSON error": HostResponse(b'{"error": "not found"}'),
    "a text": HostResponse(b"Not ready"),
    "202": HostResponse(status=202),
    "204": HostResponse(status=204, length=None),
    "304": HostResponse(status=304, length=None),
    "400": HostResponse(b"<Error/>", status=400),
    "409": HostResponse(status=409),
    "416": HostResponse(status=416),
    "451": HostResponse(status=451),
    "522": HostResponse(status=522),
    "a picture that says 404": HostResponse(PNG, status=404),
    "a part": HostResponse(PNG[:50], status=206, headers={"Content-Range": f"bytes 0-49/{len(PNG)}"}),
    "a redirect to a login": HostResponse(status=302, headers={"Location": "/login"}),
    "a redirect without a place": HostResponse(status=302),
    "a broken gzip": HostResponse(b"\x1f\x8b" + b"x" * 30, headers={"Content-Encoding": "gzip"}),
    "an image that is still being written": HostResponse(PNG[:100]),
    "room for a file": HostResponse(bytes(5000)),
    "a word in an old encoding": HostResponse("文件不存在".encode("gbk")),
}


WHOLE_FILES = {
    "203": HostResponse(PNG, status=203),
    "a 206 with all of it": HostResponse(
        PNG, status=206, headers={"Content-Range": f"bytes 0-{len(PNG) - 1}/{len(PNG)}"}
    ),
    "chunks": HostResponse(PNG, chunked=True),
    "text/html in Latin-1": HostResponse(PNG, headers={"Content-Type": "text/html; charset=iso-8859-1"}),
    "a caching host": HostResponse(PNG, headers={"Age": "-1", "ETag": "x", "Content-Disposition": "inline; filename="}),
}


@pytest.mark.parametrize("response", WHOLE_FILES.values(), ids=WHOLE_FILES.keys())
def test_a_whole_file_is_stored_whatever_the_host_says_of_it(
    server: FileServer, make_fetcher: Callable[..., OutputFetcher], response: HostResponse
) -> None:
    """The bytes are what was paid for."""
    facts = make_fetcher(attempts=1).fetch(JOB, 0, "image", server.script("/a", response))
    assert facts.sha256 == hashlib.sha256(PNG).hexdigest()


@pytest.mark.parametrize("status", [202, 403, 404, 425, 429, 503])
def test_a_host_may_name_a_time_with_every_status(
    server: FileServer, fetcher: OutputFetcher, pauses: list[float], status: int
) -> None:
    """A file that is still being written says when it will be there."""
    early = HostResponse(status=status, headers={"Retry-After": "9"})
    fetcher.fetch(JOB, 0, "image", server.script("/a", early, HostResponse(PNG)))
    assert pauses == [9]


@pytest.mark.parametrize("response", ODD_RESPONSES.values(), ids=ODD_RESPONSES.keys())
def test_a_host_that_has_no_file_yet_is_asked_again(
    server: FileServer, make_fetcher: Callable[..., OutputFetcher], response: HostResponse
) -> None:
    """Storages say in many ways that a file is not there yet; none of them is the file."""
    with pytest.raises(MediaError) as caught:
        make_fetcher(attempts=1).fetch(JOB, 0, "image", server.script("/a", response))
    assert caught.value.is_temporary


DATA = base64.b64encode(PNG).decode()
DATA_URLS = {
    "plain": f"data:image/png;base64,{DATA}",
    "line breaks": "data:image/png;base64,\n" + base64.encodebytes(PNG).decode(),
    "escapes": "data:image/png;base64," + DATA.replace("+", "%2B").replace("=", "%3D"),
    "a parameter": f"data:image/png;name=a.png;base64,{DATA}",
    "the alphabet of URLs": "data:image/png;base64," + base64.urlsafe_b64encode(PNG).decode(),
    "no padding": "data:image/png;base64," + DATA.rstrip("="),
    "in capitals": f"DATA:IMAGE/PNG;BASE64,{DATA}",
}


@pytest.mark.parametrize("url", DATA_URLS.values(), ids=DATA_URLS.keys())
def test_a_file_in_the_url_itself_is_stored(store: FolderStore, fetcher: OutputFetcher, url: str) -> None:
    """Some models put the picture into the response."""
    assert fetcher.fetch(JOB, 0, "image", url).sha256 == hashlib.sha256(PNG).hexdigest()


def test_damage_and_a_forbidden_url_are_final(server: FileServer, fetcher: OutputFetcher) -> None:
    """Asking for them for minutes would change nothing."""
    for url in (server.script("/a", HostResponse(_with_broken_checksum())), "https://10.0.0.1/a"):
        with pytest.raises(MediaError) as caught:
            fetcher.fetch(JOB, 0, "image", url)
        assert not caught.value.is_temporary


def test_fetching_again_replaces_the_output_by_a_whole_one_only(server: FileServer, fetcher: OutputFetcher) -> None:
    """A second try that fails must not cost the first one's picture."""
    fetcher.fetch(JOB, 0, "image", server.script("/a", HostResponse(PNG)))
    with pytest.raises(MediaError):
        fetcher.fetch(JOB, 0, "image", server.script("/b", HostResponse(status=500)))
    before = fetcher.stored_facts(JOB, 0)
    assert before is not None
    assert before.format == "PNG"
    fetcher.fetch(JOB, 0, "image", server.script("/c", HostResponse(encode(draw(), "JPEG"))))
    after = fetcher.stored_facts(JOB, 0)
    assert after is not None
    assert after.format == "JPEG"


def test_what_a_crash_left_over_is_removed_and_nothing_else(
    server: FileServer, make_fetcher: Callable[..., OutputFetcher], tmp_path: Path, store: FolderStore
) -> None:
    """Half-made folders would fill the disk over the months."""
    fetcher = make_fetcher()
    assert store.clean_up() == 0
    store.prepare(JOB)
    fetcher.fetch(JOB, 0, "image", server.script("/a", HostResponse(PNG)))
    with pytest.raises(MediaError):
        fetcher.fetch(JOB, 1, "image", server.script("/b", HostResponse(b"x")))
    before = names(tmp_path)
    job_folder = tmp_path / "media" / JOB[:2] / JOB
    (job_folder / "1.partial-00aa").mkdir()
    (job_folder / "1.partial-00aa" / "fetched").write_bytes(PNG)
    (job_folder / "probe.partial-00bb").write_bytes(b"")
    assert store.clean_up() == 2
    assert names(tmp_path) == before


def test_a_missing_piece_means_not_stored(server: FileServer, store: FolderStore, fetcher: OutputFetcher) -> None:
    """The ledger must not list an image that cannot be shown."""
    fetcher.fetch(JOB, 0, "image", server.script("/a", HostResponse(PNG)))
    thumbnail = store.path(JOB, 0, "thumbnail")
    assert thumbnail is not None
    thumbnail.unlink()
    assert fetcher.stored_facts(JOB, 0) is None


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """The system refuses to let any file grow beyond 1000 bytes, as a full disk would.

    No fixture: the limit is the whole process's, and pytest may be writing its own output to a file.
    """
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_is_not_a_damaged_file(
    server: FileServer,
    make_fetcher: Callable[..., OutputFetcher],
    tmp_path: Path,
    pauses: list[float],
    store: FolderStore,
) -> None:
    """The picture is fine and still out there; only room is missing."""
    fetcher = make_fetcher()
    with full_disk(), pytest.raises(DiskError, match=JOB[:8]) as caught:
        fetcher.fetch(JOB, 0, "image", server.script("/a", HostResponse(PNG)))
    assert isinstance(caught.value.__cause__, OSError)
    with full_disk(), pytest.raises(DiskError):
        store.prepare(JOB)
    assert pauses == []


def test_a_disk_that_fills_up_midway_leaves_nothing_half_made(
    server: FileServer, store: FolderStore, fetcher: OutputFetcher, tmp_path: Path, pauses: list[float]
) -> None:
    """What is left over would fill the disk further."""
    with full_disk(), pytest.raises(DiskError):
        fetcher.fetch(JOB, 0, "image", server.script("/a", HostResponse(PNG)))
    assert names(tmp_path) == []
    assert len(server.requests) == 1
    assert pauses == []
    assert store.find_damaged(JOB, 0) is None


def test_a_folder_that_is_gone_is_a_disk_error_and_does_not_come_back_empty(
    server: FileServer, fetcher: OutputFetcher, tmp_path: Path
) -> None:
    """An unplugged disk must not be replaced by a folder on another one."""
    shutil.rmtree(tmp_path / "media")
    with pytest.raises(DiskError):
        fetcher.fetch(JOB, 0, "image", server.script("/a", HostResponse(PNG)))
    assert not (tmp_path / "media").exists()


def assert_fetches(store: FolderStore, server: FileServer) -> None:
    """Assert that a file arrives in a store."""
    fetcher = OutputFetcher(store, UrlGuard(exempt_origin=server.origin), decoder=decoder())
    assert fetcher.fetch(JOB, 0, "image", server.script("/a", HostResponse(PNG))).format == "PNG"


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_a_file_system_that_cannot_sync_folders_is_used_all_the_same(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """SMB shares, FUSE and the drives of WSL answer so, and every request was refused."""
    fsync = os.fsync

    def refuse_folders(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(number, os.strerror(number))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    store = FolderStore(tmp_path / "elsewhere")
    assert not store.can_sync_folders()
    store.prepare(JOB)
    assert_fetches(store, server)


def test_a_folder_that_cannot_be_opened_is_used_all_the_same(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some file systems open no folders; files are made in them all the same."""
    open_file = os.open

    def refuse_folders(path: Any, flags: int, *more: Any, **options: Any) -> int:
        if flags == os.O_RDONLY and Path(path).is_dir():
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return open_file(path, flags, *more, **options)

    with monkeypatch.context() as patch:  # `rmtree` opens folders, too
        patch.setattr(os, "open", refuse_folders)
        store = FolderStore(tmp_path / "elsewhere")
        assert not store.can_sync_folders()
        store.prepare(JOB)
    assert_fetches(store, server)


def test_a_disk_that_fails_to_sync_is_still_an_error(store: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that breaks says so here first."""

    def fail(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(DiskError):
        store.prepare(JOB)


def test_prepare_finds_out_before_money_is_spent(tmp_path: Path, store: FolderStore) -> None:
    """A run whose picture cannot be stored should not be started."""
    assert names(tmp_path) == []
    shutil.rmtree(tmp_path / "media")
    (tmp_path / "media").write_text("a file in the way")
    with pytest.raises(DiskError) as caught:
        store.prepare(JOB)
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno in (errno.EEXIST, errno.ENOTDIR)


@given(st.text(max_size=40), st.one_of(st.integers(max_value=-1), st.text(), st.booleans(), st.none()))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_path_from_outside_gets_in(store: FolderStore, fetcher: OutputFetcher, text: str, index: Any) -> None:
    """A file name from outside must not lead anywhere else."""
    for call in (
        lambda: store.path(text, 0, "original"),
        lambda: store.path(JOB + "\n", 0, "original"),
        lambda: store.path(JOB, index, "original"),
        lambda: store.path(JOB, 0, "../" + text),
        lambda: fetcher.fetch(JOB, 0, text, "https://a.example/"),
        lambda: store.prepare(text),
        lambda: fetcher.stored_facts(text, 0),
        lambda: store.find_damaged(JOB, index),
    ):
        with pytest.raises(ValueError, match=r"job_id|index|tier|kind"):
            call()


WHOLE = {form: encode(draw(), form) for form in ("PNG", "JPEG", "WEBP", "GIF", "AVIF")}


@pytest.mark.parametrize("form", WHOLE)
@given(data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damage_is_a_media_error_or_a_picture(
    server: FileServer, make_fetcher: Callable[..., OutputFetcher], form: str, data: st.DataObject
) -> None:
    """Decoders raise a zoo of exceptions; none of them may reach the worker or be taken for an error of the disk."""
    body = bytearray(WHOLE[form])
    for index in data.draw(st.lists(st.integers(0, len(body) - 1), max_size=8)):
        body[index] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(body)))
    url = server.script("/a", HostResponse(bytes(body[: cut or None])))
    try:
        facts = make_fetcher(attempts=1).fetch(JOB, 0, "image", url)
    except MediaError as exc:
        kind: type[MediaError] | None = type(exc)
    else:
        kind = None
        assert facts.size_bytes == len(body[: cut or None])
    assert kind in (None, MediaError)


def test_cut_files_pass_for_whole_only_if_pillow_is_configured_so() -> None:
    """This switch is global: any code that turns it on would let half pictures through."""
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


def test_many_outputs_are_stored_at_the_same_time(
    server: FileServer, make_fetcher: Callable[..., OutputFetcher], store: FolderStore
) -> None:
    """Workers share one store, and decoding takes turns."""
    fetcher = make_fetcher()
    url = server.script("/a", HostResponse(PNG))
    threads = [threading.Thread(target=fetcher.fetch, args=(JOB, index, "image", url)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(fetcher.stored_facts(JOB, index) for index in range(8))


def test_files_that_follow_each_other_share_a_connection(server: FileServer, fetcher: OutputFetcher) -> None:
    """A handshake for each file would cost more than the file."""
    url = server.script("/a", HostResponse(PNG, keeps_alive=True))
    for index in range(5):
        fetcher.fetch(JOB, index, "image", url)
    assert len(set(server.connections)) == 1


def test_a_connection_that_brought_no_good_file_is_not_used_again(
    server: FileServer, make_fetcher: Callable[..., OutputFetcher]
) -> None:
    """Whatever still hangs in it would be taken for the next file."""
    fetcher = make_fetcher(max_bytes=len(PNG))
    server.script("/large", HostResponse(PNG + b"x" * 100_000, keeps_alive=True))
    server.script("/a", HostResponse(PNG, keeps_alive=True))
    with pytest.raises(MediaError):
        fetcher.fetch(JOB, 0, "image", f"{server.origin}/large")
    assert fetcher.fetch(JOB, 0, "image", f"{server.origin}/a").size_bytes == len(PNG)
    assert server.connections[-1] not in server.connections[:-1]


def test_an_idle_connection_is_closed_soon(server: FileServer, make_fetcher: Callable[..., OutputFetcher]) -> None:
    """The host may have closed it meanwhile."""
    fetcher = make_fetcher(idle_s=0.0)
    url = server.script("/a", HostResponse(PNG, keeps_alive=True))
    for index in range(3):
        fetcher.fetch(JOB, index, "image", url)
    assert len(set(server.connections)) == 3


def test_log_lines_hold_no_query_and_no_full_id(
    server: FileServer, fetcher: OutputFetcher, caplog: pytest.LogCaptureFixture
) -> None:
    """Logs get pasted into tickets."""
    with caplog.at_level(logging.DEBUG, "dreamina_ui"):
        fetcher.fetch(JOB, 0, "image", server.script("/a", HostResponse(PNG)) + QUERY)
    text = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("dreamina_ui"))
    assert JOB[:8] in text
    assert JOB not in text
    assert "s3cret" not in text


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/a%7Eb%2D.png?sig=%7E%2D", "/a%7Eb%2D.png?sig=%7E%2D"),
        ("/%e7%8b%90.png", "/%e7%8b%90.png"),
        ("/a/../b//c.png?x=../y", "/a/../b//c.png?x=../y"),
        ("/a b.png\n", "/a%20b.png"),
        ("/狐.png", "/%E7%8B%90.png"),
    ],
)
def test_a_url_is_sent_byte_for_byte_as_given(server: FileServer, fetcher: OutputFetcher, path: str, sent: str) -> None:
    """A host that signs its URLs refuses every other spelling; what a browser would encode is encoded."""
    server.script(sent.partition("?")[0], HostResponse(PNG))
    fetcher.fetch(JOB, 0, "image", server.origin + path)
    hop = server.script("/hop", HostResponse(status=302, headers={"Location": sent}))
    fetcher.fetch(JOB, 1, "image", hop)
    assert [requested for requested, _ in server.requests] == [sent, "/hop", sent]


def test_a_redirect_in_raw_utf8_is_followed(server: FileServer, fetcher: OutputFetcher) -> None:
    """Hosts write the name of a file as it is."""
    server.script("/%E7%8B%90%20x.png", HostResponse(PNG))
    hop = server.script("/hop", HostResponse(status=302, headers={"Location": "/狐 x.png".encode().decode("latin-1")}))
    assert fetcher.fetch(JOB, 0, "image", hop).format == "PNG"


def test_requests_name_our_own_user_agent(server: FileServer, fetcher: OutputFetcher) -> None:
    """Some hosts refuse the one of a Python library."""
    fetcher.fetch(JOB, 0, "image", server.script("/a", HostResponse(PNG)))
    assert server.requests[0][1]["User-Agent"] == f"dreamina-ui/{__version__}"


def test_a_connection_that_the_host_closed_costs_no_attempt(
    server: FileServer, fetcher: OutputFetcher, pauses: list[float]
) -> None:
    """Between two files a host may close an idle connection at any moment."""
    url = server.script("/a", HostResponse(PNG, keeps_alive=True))
    fetcher.fetch(JOB, 0, "image", url)
    server.close_connections()
    fetcher.fetch(JOB, 1, "image", url)
    assert pauses == []
    assert len(set(server.connections)) == 2
