"""A copy with settings: the same pixels, the settings inside, and readers that no file can upset."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import random
import re
import struct
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from playwright.sync_api import Browser, Page

from dreamina_ui.errors import DiskError, MediaError
from dreamina_ui.media.embedded_metadata import read_settings, size_with_settings, with_settings
from dreamina_ui.media.store import StoredFile
from tests.support.fuzzing import fuzz
from tests.support.png_chunks import png_chunk, png_chunks

SCRIPT = Path(__file__).resolve().parents[2] / "dreamina_ui" / "web" / "static" / "form" / "metadata.js"
XMP_ID = b"http://ns.adobe.com/xap/1.0/\0"
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
DESCRIPTION = "{http://purl.org/dc/elements/1.1/}description"
SETTINGS_TAG = "{urn:dreamina-ui:1.0:}settings"
OWN_XMP = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="uuid:1" '
    b'xmlns:label="urn:label:"><label:AIGC>{"Label":"1"}</label:AIGC></rdf:Description></rdf:RDF></x:xmpmeta>'
    b'          <?xpacket end="w"?>'
)
AWKWARD_PROMPTS = {
    "emoji": "a fox 🦊 👩‍👩‍👧‍👦 🇯🇵",
    "right to left": "שלום עולם \u202e مرحبا",
    "script": "<script>alert(1)</script>",
    "xml": "]]> & &amp; &#60; <!DOCTYPE x> </rdf:RDF> </dreamina:settings> 'one' \"two\"",
    "control characters": "a\0b\x01\x1f\x7f\x85\ufffe\uffff",
    "lines": "one\r\ntwo\n\n\tthree ",
    "800 of four bytes": "🦊" * 800,
    "800 ampersands": "&" * 800,
    "half a character": "\ud83e",
    "empty": "",
}


def made_by(prompt: str = "a red fox 🦊", **inputs: Any) -> dict[str, Any]:
    return {
        "app": "Dreamina UI",
        "model_id": "bytedance/dreamina-4-0/text-to-image",
        "request_id": "r-1",
        "inputs": {"prompt": prompt, "width×height": "2048x2048(1:1)", "scale": 0.5, "force_single": False} | inputs,
        "created_at": "2026-01-02T03:04:05Z",
    }


def draw(mode: str = "RGB", width: int = 37, height: int = 23) -> Image.Image:
    """Noise, so that a wrong byte anywhere shows; odd sizes, so that a wrong pad byte does."""
    noise = random.Random(7).randbytes(width * height * 4)
    return Image.frombytes("RGBA", (width, height), noise).convert(mode)


def encode(image: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def exif() -> bytes:
    tags = Image.Exif()
    tags[0x0112] = 6
    tags[0x010E] = "from the camera"
    return tags.tobytes()


def depth_16() -> Image.Image:
    return Image.frombytes("I;16", (37, 23), random.Random(7).randbytes(37 * 23 * 2))


PICTURES = {
    "png-rgb.png": encode(draw(), "PNG"),
    "png-rgba.png": encode(draw("RGBA"), "PNG"),
    "png-palette.png": encode(draw().quantize(16), "PNG", transparency=3),
    "png-16-bit.png": encode(depth_16(), "PNG"),
    "png-many.png": encode(draw(), "PNG", save_all=True, append_images=[draw().rotate(90)]),
    "jpeg.jpg": encode(draw(), "JPEG"),
    "jpeg-progressive.jpg": encode(draw(), "JPEG", progressive=True),
    "jpeg-grey.jpg": encode(draw("L"), "JPEG"),
    "jpeg-exif.jpg": encode(draw(), "JPEG", exif=exif(), icc_profile=b"profile" * 20_000, comment=b"hello"),
    "jpeg-xmp.jpg": encode(draw(), "JPEG", exif=exif(), xmp=OWN_XMP),
    "jpeg-bare.jpg": b"\xff\xd8\xff" + encode(draw(), "JPEG")[20:],  # No JFIF, and a fill byte before the first marker.
    "webp-lossy.webp": encode(draw(), "WEBP"),
    "webp-lossless.webp": encode(draw(), "WEBP", lossless=True),
    "webp-lossy-alpha.webp": encode(draw("RGBA"), "WEBP"),
    "webp-lossless-alpha.webp": encode(draw("RGBA"), "WEBP", lossless=True, exact=True),
    "webp-exif.webp": encode(draw(), "WEBP", exif=exif(), icc_profile=b"profile"),
    "webp-xmp.webp": encode(draw(), "WEBP", exif=exif(), xmp=OWN_XMP),
    "webp-many.webp": encode(draw(), "WEBP", save_all=True, append_images=[draw().rotate(90)]),
    "webp-trailer.webp": encode(draw(), "WEBP") + b"something behind the picture",
}
ONE_OF_EACH = ("png-rgb.png", "jpeg.jpg", "webp-lossy.webp")

each_picture = pytest.mark.parametrize("name", PICTURES)
one_of_each = pytest.mark.parametrize("name", ONE_OF_EACH)

Store = Callable[[bytes, str], Path]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Puts bytes into a file; one folder for all, because a property test needs thousands."""
    folder = tmp_path_factory.mktemp("metadata")

    def write(data: bytes, name: str = "original.bin") -> Path:
        path = folder / name
        path.write_bytes(data)
        return path

    return write


def stored(path: Path) -> StoredFile:
    """A file on the disk, as a store gives it."""
    size_bytes = path.stat().st_size if path.exists() else 0
    return StoredFile(path.name, size_bytes, 0.0, lambda start: path.open("rb"))


def copy_of(path: Path, made: dict[str, Any] | None = None) -> bytes:
    return b"".join(with_settings(stored(path), made or made_by()))


def read_back(data: bytes) -> dict[str, Any] | None:
    return read_settings(io.BytesIO(data))


def frames(data: bytes) -> list[tuple[str, tuple[int, int], bytes]]:
    with Image.open(io.BytesIO(data)) as image:
        result = []
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            result.append((image.mode, image.size, image.tobytes()))
        return result


def jpeg_segments(data: bytes) -> list[bytes]:
    """The segments before the first scan, and as the last one all the rest."""
    result, at = [data[:2]], 2
    while data[at : at + 2] != b"\xff\xda":
        fill = 1 if data[at + 1] == 0xFF else 0
        stop = at + fill + 2 + struct.unpack_from(">H", data, at + fill + 2)[0]
        result.append(data[at + fill : stop])
        at = stop
    return [*result, data[at:]]


def webp_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    end, result, at = 8 + struct.unpack_from("<I", data, 4)[0], [], 12
    while at < end:
        (length,) = struct.unpack_from("<I", data, at + 4)
        result.append((data[at : at + 4], data[at + 8 : at + 8 + length]))
        at += 8 + length + length % 2
    assert at == end
    return result


def xmp_of(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data)) as image:
        packet = image.info["xmp"]
    assert isinstance(packet, bytes)
    return packet


def png_with(content: bytes, kind: bytes = b"iTXt") -> bytes:
    original = PICTURES["png-rgb.png"]
    return original[:33] + png_chunk(kind, content) + original[33:]


def jpeg_with(packet: bytes) -> bytes:
    segment = b"\xff\xe1" + struct.pack(">H", 2 + len(XMP_ID) + len(packet)) + XMP_ID + packet
    original = PICTURES["jpeg.jpg"]
    return original[:2] + segment + original[2:]


def xmp_with(body: str) -> bytes:
    rdf = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
    return f'<rdf:RDF xmlns:rdf="{rdf}" xmlns:dreamina="urn:dreamina-ui:1.0:">{body}</rdf:RDF>'.encode()


class CountingFile(io.BytesIO):
    """Counts how often and how much was read."""

    reads = 0
    bytes_read = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.reads += 1
        self.bytes_read += len(data)
        return data


@each_picture
def test_a_copy_knows_its_settings_and_shows_the_same_pixels(name: str, store: Store) -> None:
    """The whole point: the settings travel with the picture, and the picture is the one that was paid for."""
    path = store(PICTURES[name], name)
    copy = copy_of(path)
    assert read_back(copy) == made_by()
    assert frames(copy) == frames(PICTURES[name])
    with Image.open(io.BytesIO(copy)) as after, Image.open(path) as before:
        assert dict(after.info) | dict(before.info) | {"xmp": 0} == dict(after.info) | {"xmp": 0}
    assert path.read_bytes() == PICTURES[name]
    assert read_back(PICTURES[name]) is None


@each_picture
def test_the_length_is_known_before_the_copy_is_made(name: str, store: Store) -> None:
    """A wrong Content-Length breaks a download or leaves it hanging."""
    path = store(PICTURES[name], name)
    for prompt in ("", "x", "xy", AWKWARD_PROMPTS["800 of four bytes"]):
        assert size_with_settings(stored(path), made_by(prompt)) == len(copy_of(path, made_by(prompt)))


@pytest.mark.parametrize("chunk_bytes", [1, 7, 65_536])
def test_a_copy_is_the_same_in_small_pieces_and_in_large_ones(chunk_bytes: int, store: Store) -> None:
    """Where a piece ends is nobody's business."""
    for name in ONE_OF_EACH:
        path = store(PICTURES[name], name)
        pieces = list(with_settings(stored(path), made_by(""), chunk_bytes))
        assert b"".join(pieces) == copy_of(path, made_by(""))
        assert max(map(len, pieces)) <= max(chunk_bytes, 2000)


@pytest.mark.parametrize("name", [name for name in PICTURES if name.startswith("png")])
def test_a_png_copy_is_the_original_with_two_texts_behind_its_header(name: str, store: Store) -> None:
    """Every byte of the original is still there, pixels and all; other programs find the texts where they look."""
    chunks = png_chunks(copy_of(store(PICTURES[name], name)))
    assert [kind for kind, _ in chunks[:3]] == [b"IHDR", b"iTXt", b"iTXt"]
    assert [chunks[0], *chunks[3:]] == png_chunks(PICTURES[name])
    with Image.open(io.BytesIO(copy_of(store(PICTURES[name], name)))) as image:
        assert json.loads(image.info["dreamina"]) == made_by()
        assert image.info["Description"] == "a red fox 🦊"


@pytest.mark.parametrize("name", [name for name in PICTURES if name.startswith("jpeg")])
def test_a_jpeg_copy_is_the_original_with_one_segment_behind_jfif_and_exif(name: str, store: Store) -> None:
    """EXIF that is not in front is not found by every program, and the rest of the file is not ours to move."""
    copy = copy_of(store(PICTURES[name], name))
    before, after = jpeg_segments(PICTURES[name]), jpeg_segments(copy)
    ours = [segment for segment in after if segment[4:].startswith(XMP_ID)]
    assert len(ours) == 1
    assert [part for part in after if part not in ours] == [part for part in before if not part[4:].startswith(XMP_ID)]
    assert all(part[1:2] == b"\xe0" or part[4:8] == b"Exif" for part in after[1 : after.index(ours[0])])


@pytest.mark.parametrize("name", [name for name in PICTURES if name.startswith("webp")])
def test_a_webp_copy_is_the_original_in_an_extended_file(name: str, store: Store) -> None:
    """The pixels keep their bytes, and the header says what is in the file: programs skip XMP that it does not tell."""
    copy = copy_of(store(PICTURES[name], name))
    before, after = webp_chunks(PICTURES[name]), webp_chunks(copy)
    (kind, header), *rest = after
    width, height = (1 + int.from_bytes(header[at : at + 3], "little") for at in (4, 7))
    assert (kind, header[0] & 0x04, width, height) == (b"VP8X", 0x04, 37, 23)
    assert bool(header[0] & 0x10) == name.endswith("alpha.webp")
    assert [kind for kind, _ in rest].count(b"XMP ") == 1
    skipped = (b"VP8X", b"XMP ")
    assert [part for part in rest if part[0] not in skipped] == [part for part in before if part[0] not in skipped]
    assert copy.endswith(b"something behind the picture") == (name == "webp-trailer.webp")


@pytest.mark.parametrize("name", [name for name in PICTURES if not name.startswith("png")])
def test_other_programs_find_prompt_and_settings_in_xmp(name: str, store: Store) -> None:
    """XMP is what picture programs show; it must be the XML that they expect."""
    tree = ElementTree.fromstring(xmp_of(copy_of(store(PICTURES[name], name))))
    assert [node.text for node in tree.findall(f".//{RDF}Description/{DESCRIPTION}/{RDF}Alt/*")] == ["a red fox 🦊"]
    assert [json.loads(node.text or "") for node in tree.iter(SETTINGS_TAG)] == [made_by()]


@one_of_each
@pytest.mark.parametrize("case", AWKWARD_PROMPTS)
def test_no_prompt_is_too_awkward(name: str, case: str, store: Store) -> None:
    """A prompt comes back character for character, and breaks no other program's reader on the way."""
    prompt = AWKWARD_PROMPTS[case]
    copy = copy_of(store(PICTURES[name], name), made_by(prompt))
    assert read_back(copy) == made_by(prompt)
    with Image.open(io.BytesIO(copy)) as image:
        shown = image.info.get("Description", "")
        if name != "png-rgb.png":
            tree = ElementTree.fromstring(image.info["xmp"])
            shown = "".join(node.text or "" for node in tree.findall(f".//{DESCRIPTION}/{RDF}Alt/*"))
            prompt = prompt.replace("\r\n", "\n")  # XML reads line ends so.
    assert shown == re.sub("[\0-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]", "\ufffd", prompt)


@fuzz(150)
@given(prompt=st.text(max_size=800), key=st.text(max_size=20), name=st.sampled_from(sorted(PICTURES)))
def test_any_settings_come_back(prompt: str, key: str, name: str, store: Store) -> None:
    """What the examples above forgot."""
    made = made_by(prompt, **{f"x{key}": [None, 1.5, {key: prompt}]})
    path = store(PICTURES[name], name)
    copy = copy_of(path, made)
    assert read_back(copy) == made
    assert size_with_settings(stored(path), made) == len(copy)


@pytest.mark.parametrize("made", [{}, {"inputs": {}}, {"inputs": None}, {"inputs": {"prompt": 5}}, {"inputs": [1]}])
def test_settings_without_a_prompt_are_settings_too(made: dict[str, Any], store: Store) -> None:
    """Other models may call their inputs as they like."""
    for name in ONE_OF_EACH:
        copy = b"".join(with_settings(stored(store(PICTURES[name], name)), made))
        assert read_back(copy) == made
        assert b"Description\0" not in copy
        assert b"dc:description" not in copy


@pytest.mark.parametrize("name", ["jpeg-xmp.jpg", "webp-xmp.webp"])
def test_xmp_that_was_there_stays_word_for_word(name: str, store: Store) -> None:
    """Services label there what a machine made, and removing such a label can be illegal."""
    packet = xmp_of(copy_of(store(PICTURES[name], name)))
    before, after = OWN_XMP.split(b"</rdf:RDF>")
    assert packet.startswith(before)
    assert packet.rstrip(b"\0").endswith(b"</rdf:RDF>" + after)
    tree = ElementTree.fromstring(packet)
    assert {node.get(f"{RDF}about") for node in tree.iter(f"{RDF}Description")} == {"uuid:1"}


def test_a_description_that_was_there_wins(store: Store) -> None:
    """Two descriptions would be an error for the programs that read them."""
    own = OWN_XMP.replace(b"<label:AIGC>", b'<dc:description xmlns:dc="http://purl.org/dc/elements/1.1/"/><label:AIGC>')
    copy = copy_of(store(jpeg_with(own), "described.jpg"))
    assert xmp_of(copy).count(b"<dc:description") == 1
    assert read_back(copy) == made_by()


@pytest.mark.parametrize(
    "own",
    [
        b"",
        b"   ",
        b"not XML",
        b"<rdf:RDF/>",
        b"</rdf:RDF>",
        OWN_XMP.decode().encode("utf-16"),
        OWN_XMP.replace(b'"1"', b'"\xff"'),
        b"<!DOCTYPE rdf:RDF>" + xmp_with(""),
        OWN_XMP.replace(b"          ", b" " * 65_000),
    ],
    ids=["empty", "blank", "text", "closed", "half", "UTF-16", "not UTF-8", "DTD", "full"],
)
def test_xmp_that_takes_no_more_is_a_clear_error(own: bytes, store: Store) -> None:
    """It is not ours to throw away, so people get the original instead, and read why."""
    with pytest.raises(MediaError, match=r"copy of own\.jpg: nothing can be added to the XMP .* Download the original"):
        with_settings(stored(store(jpeg_with(own), "own.jpg")), made_by())


@one_of_each
def test_the_latest_settings_win(name: str, store: Store) -> None:
    """A copy of a copy should not tell of its grandfather."""
    copy = copy_of(store(PICTURES[name], name), made_by("the first"))
    again = copy_of(store(copy, name), made_by("the second"))
    assert read_back(again) == made_by("the second")


def test_settings_are_found_after_other_programs_rewrote_the_xmp() -> None:
    """Some write properties as attributes, choose other prefixes or put NUL bytes at the end."""
    for body in (
        """<rdf:Description dreamina:settings='{"a":"&lt;&#38;"}'/>""",
        """<rdf:Description dreamina:settings="{&quot;a&quot;:&quot;&lt;&#x26;&quot;}"/>""",
        """<x:settings xmlns:x="urn:dreamina-ui:1.0:"><![CDATA[{"a":"<&"}]]></x:settings>""",
    ):
        assert read_back(jpeg_with(xmp_with(body))) == {"a": "<&"}
        assert read_back(jpeg_with(b"\xef\xbb\xbf" + xmp_with(body) + bytes(3))) == {"a": "<&"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>not found</html>",
        encode(draw(), "GIF"),
        b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2avc1mp41" + bytes(500),
        b"\x89PNG\r\n\x1a\n",
        b"\x89PNG\r\n\x1a\n" + bytes(500),
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8" + b"\xff" * 100_000,
        b"\xff\xd8" + b"\xff\xe0\x00\x02" * 100_000,
        b"RIFF\x04\x00\x00\x00WEBP",
        b"RIFF\xff\xff\xff\xffWEBPVP8 " + bytes(500),
        b"RIFF\x16\x00\x00\x00WEBPVP8 \x0a\x00\x00\x00\x00\x00\x00\x9d\x01\x2a\x00\x00\x00\x00",
        b"RIFF\x16\x00\x00\x00WEBPXMP \x0a\x00\x00\x00\x00\x00\x00\x9d\x01\x2a\x00\x00\x00\x00",
        PICTURES["webp-lossy.webp"][:-2],
    ],
    ids=lambda data: repr(data[:12]),
)
def test_a_file_that_can_take_no_settings_is_a_clear_error(data: bytes, store: Store) -> None:
    """People read it before the download begins, with what to do instead."""
    path = store(data, "original.x")
    for ask in (with_settings, size_with_settings):
        with pytest.raises(MediaError, match=r"copy of original\.x: .*\. Download the original instead\.$"):
            ask(stored(path), made_by())
    assert read_back(data) is None


@each_picture
def test_settings_that_are_too_long_are_a_clear_error(name: str, store: Store) -> None:
    """A JPEG segment has 65,533 bytes; what is longer would tear the file apart."""
    path = store(PICTURES[name], name)
    with pytest.raises(MediaError, match=r"too long, \d+ bytes where 60000 fit"):
        with_settings(stored(path), made_by("&" * 7000))
    longest = made_by("&" * 5960)
    assert read_back(copy_of(path, longest)) == longest


def test_a_disk_that_refuses_is_a_clear_error(tmp_path: Path, store: Store) -> None:
    """A file that is gone is no reason for a stack trace."""
    with pytest.raises(DiskError, match=r"Cannot read gone\.png: No such file"):
        with_settings(stored(tmp_path / "gone.png"), made_by())
    with pytest.raises(DiskError):
        size_with_settings(stored(tmp_path), made_by())
    path = store(PICTURES["png-rgb.png"], "soon-gone.png")
    stream = with_settings(stored(path), made_by())
    path.unlink()
    with pytest.raises(DiskError):
        next(stream)


def test_an_original_that_becomes_shorter_breaks_the_download(store: Store) -> None:
    """A copy that is cut off must not look finished."""
    path = store(PICTURES["png-rgb.png"], "shrinks.png")
    stream = with_settings(stored(path), made_by())
    path.write_bytes(PICTURES["png-rgb.png"][:-1])
    with pytest.raises(MediaError, match=r"shrinks\.png became shorter"):
        list(stream)


@pytest.mark.parametrize("bad", [{"inputs": {"scale": float("nan")}}, {"inputs": {"prompt": b"bytes"}}])
def test_what_is_no_json_is_never_written(bad: dict[str, Any], store: Store) -> None:
    """No browser could read it."""
    with pytest.raises((ValueError, TypeError)):
        with_settings(stored(store(PICTURES["png-rgb.png"], "a.png")), bad)


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", '"text"', "{", '{"a":NaN}', '{"a":-Infinity}', '{"a":' + "[" * 20_000, "[" * 60_000, "9" * 5000],
    ids=lambda text: text[:12] or "empty",
)
def test_what_is_no_settings_is_none(text: str) -> None:
    """Nobody keeps a stranger from writing nonsense into a file."""
    assert read_back(png_with(b"dreamina" + bytes(5) + text.encode())) is None
    assert read_back(jpeg_with(xmp_with(f"<dreamina:settings>{text}</dreamina:settings>"))) is None


def test_texts_that_are_not_ours_are_passed_by() -> None:
    """A reader that stops at the first text would miss the settings behind it."""
    ours = b"dreamina" + bytes(5) + b'{"a":1}'
    assert read_back(png_with(ours)) == {"a": 1}
    assert read_back(png_with(b"dreamina\0\0\0en\0von\0" + b'{"a":1}')) == {"a": 1}
    for other in (b"dreamina", b"dreamina\0", b"dreamin", b"dreamina\0\2\0\0\0" + zlib.compress(b'{"a":1}'), b""):
        assert read_back(png_with(other)) is None
    assert read_back(png_with(ours, b"tEXt")) is None
    comment = png_with(b"Comment" + bytes(5) + b"{}")
    chunk = comment[33 : len(comment) - len(PICTURES["png-rgb.png"]) + 33]
    assert read_back(comment[:33] + chunk + png_with(ours)[33:]) == {"a": 1}


PACKED = zlib.compress(b'{"a":1}')
IN_XMP = xmp_with('<dreamina:settings>{"a":1}</dreamina:settings>')
REWRITTEN = {
    "plain text": (b"tEXt", b"dreamina\0" + b'{"a":1}'),
    "packed text": (b"zTXt", b"dreamina\0\0" + PACKED),
    "packed international text": (b"iTXt", b"dreamina\0\1\0en\0von\0" + PACKED),
    "XMP, as in a JPEG that became a PNG": (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + IN_XMP),
    "packed XMP": (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(IN_XMP)),
}


def with_moved_text(kind: bytes, content: bytes) -> bytes:
    """A PNG whose text stands behind the pixels."""
    original = PICTURES["png-rgb.png"]
    return original[:-12] + png_chunk(kind, content) + original[-12:]


@pytest.mark.parametrize("name", REWRITTEN)
def test_settings_are_found_after_other_programs_rewrote_the_png(name: str) -> None:
    """Optimizers pack texts, choose another kind of chunk, and move it behind the pixels."""
    kind, content = REWRITTEN[name]
    assert read_back(png_with(content, kind)) == {"a": 1}
    assert read_back(with_moved_text(kind, content)) == {"a": 1}


PACKED_NONSENSE = {
    "a bomb": zlib.compress(b" " * 10_000_000 + b'{"a":1}'),
    "cut off": PACKED[:-5],
    "damaged": PACKED[:-1] + b"x",
    "more behind it": PACKED + b"more",
    "not packed": b'{"a":1}',
    "nothing": b"",
}


@pytest.mark.parametrize("name", PACKED_NONSENSE)
def test_packed_nonsense_is_none(name: str) -> None:
    """A few kilobytes can become gigabytes."""
    assert read_back(png_with(b"dreamina\0\0" + PACKED_NONSENSE[name], b"zTXt")) is None
    assert read_back(png_with(b"dreamina\0\1\0\0\0" + PACKED_NONSENSE[name])) is None
    assert read_back(png_with(b"dreamina\0\1" + PACKED, b"zTXt")) is None


def test_hostile_xml_is_none_at_once() -> None:
    """A few lines of XML can ask for gigabytes."""
    entities = '<!ENTITY a "0000000000">' + "".join(
        f'<!ENTITY {name} "{f"&{last};" * 10}">' for last, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    bomb = f"<!DOCTYPE x [{entities}]>".encode() + xmp_with("<dreamina:settings>&i;</dreamina:settings>")
    deep = b"<a>" * 9000 + b"</a>" * 9000
    for packet in (bomb, deep, deep[:30_000], b"<!DOCTYPE x SYSTEM 'file:///etc/passwd'><x/>", b"&" * 60_000):
        assert read_back(jpeg_with(packet)) is None


@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\r\n\x1a\n" + b"\0\0\0\0iTXt\0\0\0\0" * 300_000,
        b"\x89PNG\r\n\x1a\n" + (b"\0\0\xff\xffiTXtdreamina" + bytes(0xFFFF - 4)) * 3,
        b"\xff\xd8" + b"\xff" * 3_000_000,
        b"\xff\xd8" + b"\xff\xe1\x00\x02" * 800_000,
        b"\xff\xd8" + (b"\xff\xe1\xff\xff" + XMP_ID + bytes(0xFFFF - 31)) * 50,
        b"RIFF\xff\xff\xff\xffWEBP" + b"abcd\0\0\0\0" * 400_000,
        b"RIFF\xff\xff\xff\xffWEBPXMP \xf0\xff\xff\xff" + bytes(3_000_000),
    ],
    ids=["PNG", "PNG texts", "JPEG fill", "JPEG empty", "JPEG XMP", "WebP", "WebP XMP"],
)
def test_reading_is_bounded_whatever_the_file_says(data: bytes) -> None:
    """Anybody may drop a file here; it must not keep the server or the page busy."""
    file = CountingFile(data)
    assert read_settings(file) is None
    assert file.reads < 4 * 1024
    assert file.bytes_read < 500_000


@fuzz(300)
@given(
    head=st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\x40\x00\x00\x00WEBP", XMP_ID]),
    body=st.binary(max_size=200),
)
def test_garbage_upsets_nobody(head: bytes, body: bytes, store: Store) -> None:
    """A damaged file gives None or a clear error, never another exception."""
    survives(head + body, store)


@fuzz(300)
@given(
    name=st.sampled_from(sorted(PICTURES)), at=st.integers(0, 700), byte=st.integers(0, 255), cut=st.integers(0, 3000)
)
def test_a_damaged_copy_upsets_nobody(name: str, at: int, byte: int, cut: int, store: Store) -> None:
    """One wrong byte near the beginning, where lengths and markers are, or a file that is cut off."""
    copy = bytearray(copy_of(store(PICTURES[name], name)))
    copy[at % len(copy)] = byte
    survives(bytes(copy[: len(copy) - cut]), store)
    survives(bytes(copy[:cut]), store)


KEYWORDS = st.sampled_from([b"dreamina", b"XML:com.adobe.xmp", b"parameters", b""])
JSON_TEXTS = st.sampled_from([b'{"a":1}', b"{}", b"[1]", b'{"a":NaN}', b"\xff\xfe{", b'{"a":"\\ud800"}', b"[" * 2000])
XMP_TEXTS = st.sampled_from(
    [xmp_with("<dreamina:settings>" + body + "</dreamina:settings>") for body in ('{"a":1}', "[1]", "&x;", "<a/>")]
)
TEXT_CONTENTS = st.one_of(JSON_TEXTS, XMP_TEXTS, st.binary(max_size=40))
PACKED_TEXTS = (
    TEXT_CONTENTS
    | st.builds(zlib.compress, TEXT_CONTENTS)
    | st.builds(lambda text, cut: zlib.compress(text)[:cut], TEXT_CONTENTS, st.integers(0, 30))
)


@fuzz(300)
@given(
    kind=st.sampled_from([b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"IDAT"]),
    keyword=KEYWORDS,
    between=st.sampled_from([b"\0", b"\0\0", b"\0\1\0\0\0", b"\0\0\0\0\0", b"\0\0\0en\0\xff\0", b""]),
    text=PACKED_TEXTS,
)
def test_any_text_chunk_upsets_nobody(kind: bytes, keyword: bytes, between: bytes, text: bytes, store: Store) -> None:
    """Other programs write their own, packed and in every encoding."""
    survives(png_with(keyword + between + text, kind), store)


@fuzz(300)
@given(
    head=st.sampled_from([b"", b"\xef\xbb\xbf", b"<!DOCTYPE x>", b"\0"]), text=PACKED_TEXTS, tail=st.binary(max_size=9)
)
def test_any_xmp_upsets_nobody(head: bytes, text: bytes, tail: bytes, store: Store) -> None:
    """A packet is XML from anywhere."""
    survives(jpeg_with(head + text + tail), store)


def survives(data: bytes, store: Store) -> None:
    result = read_back(data)
    assert result is None or isinstance(result, dict)
    path = store(data, "original.bin")
    try:
        stream = with_settings(stored(path), made_by())
    except MediaError:
        return
    copy = b"".join(stream)
    assert len(copy) == size_with_settings(stored(path), made_by())
    assert read_back(copy) == made_by()


@one_of_each
def test_memory_stays_flat_for_a_file_of_200_mb(name: str, tmp_path: Path) -> None:
    """Two visitors who download at the same time must not fill a small server's memory."""
    path = tmp_path / name
    path.write_bytes(PICTURES[name])
    with path.open("r+b") as file:
        file.truncate(200 * 1024**2)  # Sparse: the disk holds next to nothing.
    tracemalloc.start()
    try:
        size_bytes = sum(map(len, with_settings(stored(path), made_by(), 1024**2)))
        with path.open("rb") as file:
            read_settings(file)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size_bytes == size_with_settings(stored(path), made_by())
    assert peak_bytes < 4 * 1024**2


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """A Chromium page that has the script and nothing else, served without any network."""
    page = browser.new_page()
    content = (
        "<!doctype html><script type=module>import * as read from './metadata.js'; window.metadata = read</script>"
    )
    page.route("**", lambda route: route.fulfill(body=content, content_type="text/html; charset=utf-8"))
    page.route("**/metadata.js", lambda route: route.fulfill(path=SCRIPT, content_type="text/javascript"))
    page.goto("https://page.test/")
    yield page
    page.close()


def in_browser(page: Page, files: list[bytes], call: str = "readSettings") -> list[Any]:
    """Call the script for each file."""
    results: list[Any] = page.evaluate(
        """([files, call]) => Promise.all(files.map((text) => {
            const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
            return metadata[call](new Blob([bytes]));
        }))""",
        [[base64.b64encode(data).decode() for data in files], call],
    )
    return results


def test_the_browser_reads_what_was_written(page: Page, store: Store) -> None:
    """A picture that is dropped on the page fills the form without a round trip to the server."""
    prompts = [prompt for case, prompt in AWKWARD_PROMPTS.items() if case != "half a character"]
    written = [(name, made_by()) for name in PICTURES]
    written += [(name, made_by(prompt)) for name in ONE_OF_EACH for prompt in prompts]
    copies = [copy_of(store(PICTURES[name], name), made) for name, made in written]
    assert in_browser(page, copies) == [made for _, made in written]
    assert in_browser(page, list(PICTURES.values())) == [None] * len(PICTURES)


def test_the_browser_agrees_with_python_about_every_file(page: Page, store: Store) -> None:
    """Two readers that differ are a riddle for whoever meets it."""
    chance = random.Random(3)
    files = [b"", b"<html>", b"\xff\xd8" + b"\xff" * 5000, encode(draw(), "GIF")]
    for body in (
        "<rdf:Description dreamina:settings='{}'/>",
        '<dreamina:settings>{"a":1}</dreamina:settings><dreamina:settings>{"a":2}</dreamina:settings>',
        "<dreamina:settings>[1]</dreamina:settings>",
        '<dreamina:settings>{"a":NaN}</dreamina:settings>',
        '<dreamina:settings>{"a":1}</dreamina:settings><broken>',
        '<settings>{"a":1}</settings>',
    ):
        files += [jpeg_with(xmp_with(body)), jpeg_with(b"\xef\xbb\xbf" + xmp_with(body) + bytes(3))]
        files += [jpeg_with(b"<!DOCTYPE x>" + xmp_with(body)), jpeg_with(xmp_with(body) + b"\xff")]
    files += [
        png_with(b"dreamina" + rest) for rest in (b"", b"\0", bytes(5) + b'{"a":1}', b"\0\1\0\0\0{}", b"\0\0\0{}")
    ]
    for kind, content in REWRITTEN.values():
        files += [png_with(content, kind), with_moved_text(kind, content)]
    for packed in PACKED_NONSENSE.values():
        files += [png_with(b"dreamina\0\0" + packed, b"zTXt"), png_with(b"dreamina\0\1\0\0\0" + packed)]
    for name in (*ONE_OF_EACH, "webp-xmp.webp", "jpeg-xmp.jpg", "jpeg-bare.jpg"):
        copy = copy_of(store(PICTURES[name], name))
        for _ in range(20):
            damaged = bytearray(copy)
            damaged[chance.randrange(min(len(copy), 900))] = chance.randrange(256)
            files += [bytes(damaged), copy[: chance.randrange(len(copy))]]
    assert in_browser(page, files) == [read_back(data) for data in files]


def counted_in_browser(page: Page, data: bytes, extra_bytes: int = 0) -> tuple[Any, int, int]:
    """Read one file, made longer by NUL bytes; returns the settings, how many slices were read and how many bytes."""
    settings, slices, read_bytes = page.evaluate(
        """async ([text, extraBytes]) => {
            const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
            const blob = new Blob([bytes, new Uint8Array(extraBytes)]);
            let [slices, readBytes] = [0, 0];
            const counted = { size: blob.size, slice: (start, stop) => {
                slices += 1;
                readBytes += stop - start;
                return blob.slice(start, stop);
            } };
            return [await metadata.readSettings(counted), slices, readBytes];
        }""",
        [base64.b64encode(data).decode(), extra_bytes],
    )
    return settings, slices, read_bytes


def test_the_browser_reads_a_few_slices_only(page: Page, store: Store) -> None:
    """A telephone should not load 40 MB into its memory for 1 kB of text."""
    for name in ONE_OF_EACH:
        copy = copy_of(store(PICTURES[name], name))
        result, slices, read_bytes = counted_in_browser(page, copy, 40 * 1024**2)
        assert result == made_by()
        assert slices < 30
        assert read_bytes < 5000


@pytest.mark.parametrize(
    "data",
    [b"\x89PNG\r\n\x1a\n" + b"\0\0\0\0iTXt\0\0\0\0" * 9000, b"\xff\xd8" + b"\xff" * 9000],
    ids=["PNG", "JPEG"],
)
def test_the_browser_stays_responsive(data: bytes, page: Page) -> None:
    """A file full of empty parts ends the search; the page stays alive."""
    result, slices, read_bytes = counted_in_browser(page, data)
    assert result is None
    assert slices < 2100
    assert read_bytes < 20_000


def test_the_browser_names_a_file_by_its_sha256(page: Page) -> None:
    """That is how the page knows an original that it made, settings inside or not."""
    files = [b"", PICTURES["png-rgb.png"], bytes(1_000_000)]
    assert in_browser(page, files, "sha256") == [hashlib.sha256(data).hexdigest() for data in files]


def test_without_https_there_is_no_sha256_and_no_error(page: Page) -> None:
    """Browsers lock it away on plain http, which is how a page in the living room is opened."""
    page.goto("http://page.test/")
    try:
        assert page.evaluate("isSecureContext") is False
        assert in_browser(page, [b"a"], "sha256") == [None]
        assert in_browser(page, [png_with(b"dreamina" + bytes(5) + b'{"a":1}')]) == [{"a": 1}]
    finally:
        page.goto("https://page.test/")
