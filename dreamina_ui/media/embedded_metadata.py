"""Copies of pictures that know how they were made: the settings lie inside the file, beside pixels nobody touched.

The original is never changed. Its bytes stream through as they are, and one piece is added:

- PNG: the settings as JSON in an iTXt chunk `dreamina` after IHDR, and the prompt in another one, `Description`.
- JPEG: XMP in an APP1 segment after JFIF and EXIF: JSON in `dreamina:settings`, the prompt in `dc:description`.
- WebP: the same XMP in a chunk; a simple file becomes an extended one, because only that has room for it.

XMP that the picture brought along (some services label there what a machine made) stays word for word: ours is added
to it, and its own description wins. A signature over the whole file, such as C2PA, is valid in the original only.
The script `assets/metadata.js` reads the same in the browser: change both together. Sources: the PNG
Specification, 11.3.3.4; the XMP Specification, part 3; the WebP Container Specification.
"""

from __future__ import annotations

import contextlib
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, NamedTuple
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from dreamina_ui.errors import DiskError, MediaError
from dreamina_ui.media.store import StoredFile, read_range

_PNG = b"\x89PNG\r\n\x1a\n"
_KEYWORD = b"dreamina\0"
_XMP_KEYWORD = b"XML:com.adobe.xmp\0"
_XMP_ID = b"http://ns.adobe.com/xap/1.0/\0"
_MAX_PACKET_BYTES = 65_502  # What one JPEG segment holds; one rule for all formats is easier to keep in mind.
_MAX_CHUNK_BYTES = 60_000  # Of settings and prompt, so that a new packet always has room for them.
_MAX_PARTS = 1024  # Far more than an image has beside its pixels, and soon walked.
_MAX_CHUNKS = 20_000  # With those of the pixels: 160 MB in chunks of 8 KiB.
_MAX_TEXT_BYTES = 1 << 18  # Of an unpacked text.
_PNG_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_NAMESPACE = "urn:dreamina-ui:1.0:"
_PROPERTY = f"{{{_NAMESPACE}}}settings"
_XMLNS = 'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:dc="http://purl.org/dc/elements/1.1/"'
_EMPTY_PACKET = (
    f'<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    f'<rdf:RDF {_XMLNS}></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
).encode()
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_Piece = bytes | range  # Of a copy: new bytes, or where they lie in the original.


class _Unfit(ValueError):
    """Why the settings cannot be put into, or read from, this file."""


class _Part(NamedTuple):
    """A chunk or segment: its header is at `begin`, its content at `start` to `stop`, the next part at `end`."""

    kind: bytes
    begin: int
    start: int
    stop: int
    end: int


def with_settings(original: StoredFile, settings: Mapping[str, Any], chunk_bytes: int = 65_536) -> Iterator[bytes]:
    """Stream a copy of a picture with its settings inside; memory stays flat, however large the file is.

    Everything is checked in the call itself, so that a response that has begun does not fail because of its content.

    Args:
        original: a PNG, JPEG or WebP file, animated or not.
        settings: JSON values; a text at `settings["inputs"]["prompt"]` also becomes the picture's description.
        chunk_bytes: the most bytes of the original in one piece.

    Raises:
        MediaError: another or a damaged format; more than 60,000 bytes of settings; XMP in the original that nothing
            can be added to. While streaming: the original became shorter.
        DiskError: the original cannot be read; also while streaming.
        TypeError, ValueError: `settings` cannot be written as JSON.
    """
    return _stream(original, _plan(original, settings), chunk_bytes)


def size_with_settings(original: StoredFile, settings: Mapping[str, Any]) -> int:
    """Say how many bytes `with_settings` gives: the Content-Length of the copy. It raises the same errors."""
    return sum(map(len, _plan(original, settings)))


def read_settings(file: BinaryIO) -> dict[str, Any] | None:
    """Read the settings back from a file open for reading, wherever it stands; None for a file without, and garbage.

    Anybody can write anything into a file: check the values as you would check a form. Work and memory are bounded.

    Raises:
        OSError: the disk refuses.
    """
    try:
        settings = json.loads(_find_json(file), parse_constant=int)  # That is: refuse NaN, as browsers do.
    except (ValueError, RecursionError):
        return None
    return settings if isinstance(settings, dict) else None


def _plan(original: StoredFile, settings: Mapping[str, Any]) -> list[_Piece]:
    # ASCII: JSON then escapes all that XML cannot hold, such as NUL.
    text = json.dumps(dict(settings), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    inputs = settings.get("inputs")
    prompt = inputs.get("prompt") if isinstance(inputs, Mapping) else None
    prompt = _NOT_IN_XML.sub("\ufffd", prompt) if isinstance(prompt, str) else ""
    length = len(escape(text + prompt).encode())
    try:
        with _opened(original) as file:
            if length > _MAX_CHUNK_BYTES:
                raise _Unfit(f"they are too long, {length} bytes where {_MAX_CHUNK_BYTES} fit")
            plan = {"PNG": _plan_png, "JPEG": _plan_jpeg, "WEBP": _plan_webp}.get(_recognise(file))
            if not plan:
                raise _Unfit("only PNG, JPEG and WebP pictures have a place for them here")
            return plan(file, text, prompt)
    except _Unfit as exc:
        raise MediaError(
            f"The settings cannot be put into a copy of {original.name}: {exc}. Download the original instead."
        ) from exc


def _stream(original: StoredFile, pieces: list[_Piece], chunk_bytes: int) -> Iterator[bytes]:
    with _opened(original) as file:
        for piece in pieces:
            if isinstance(piece, bytes):
                yield piece
                continue
            left = len(piece)
            for chunk in read_range(file, piece.start, piece.stop, chunk_bytes):
                left -= len(chunk)
                yield chunk
            if left:
                raise MediaError(f"{original.name} became shorter while it was copied. Download it again.")


@contextlib.contextmanager
def _opened(original: StoredFile) -> Iterator[BinaryIO]:
    try:
        with original.open() as file:
            yield file
    except OSError as exc:
        raise DiskError(f"Cannot read {original.name}: {exc.strerror}. Fix permissions, then retry.") from exc


def _recognise(file: BinaryIO) -> str:
    head = _read(file, 0, 12)
    if head.startswith(_PNG):
        return "PNG"
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    return "WEBP" if head[:4] == b"RIFF" and head[8:] == b"WEBP" else ""


def _plan_png(file: BinaryIO, text: str, prompt: str) -> list[_Piece]:
    header = _read(file, 0, 33)
    if len(header) < 33 or header[8:16] != b"\0\0\0\x0dIHDR":
        raise _Unfit("its beginning is damaged")
    chunks = b""
    for keyword, value in ((_KEYWORD, text), (b"Description\0", prompt))[: 2 if prompt else 1]:
        content = b"iTXt" + keyword + bytes(4) + value.encode()  # The NULs: not compressed, no language.
        chunks += (len(content) - 4).to_bytes(4, "big") + content + zlib.crc32(content).to_bytes(4, "big")
    return [range(33), chunks, range(33, file.seek(0, 2))]


def _plan_jpeg(file: BinaryIO, text: str, prompt: str) -> list[_Piece]:
    parts = list(_jpeg_parts(file))
    if not parts or parts[-1].kind != b"\xda":
        raise _Unfit("its beginning is damaged")
    at = next(part.begin for part in parts if part.kind not in (b"\xe0", b"EXIF"))  # JFIF and EXIF must be first.
    packet, span = _packet(file, parts, text, prompt, at)
    segment = b"\xff\xe1" + (2 + len(_XMP_ID) + len(packet)).to_bytes(2, "big") + _XMP_ID + packet
    return [range(span.start), segment, range(span.stop, file.seek(0, 2))]


def _plan_webp(file: BinaryIO, text: str, prompt: str) -> list[_Piece]:
    parts, riff_end, size = list(_chunks(file)), _riff_end(file), file.seek(0, 2)
    if not parts or parts[-1].end != riff_end or riff_end > min(size, 0xFFFF_0000):
        raise _Unfit("it is damaged or cut off")
    packet, span = _packet(file, parts, text, prompt, riff_end)
    chunk = b"XMP " + len(packet).to_bytes(4, "little") + packet + bytes(len(packet) % 2)
    body = [*_extended_header(file, parts[0]), range(parts[0].end, span.start), chunk, range(span.stop, riff_end)]
    riff_bytes = len(b"WEBP") + sum(map(len, body))
    return [b"RIFF" + riff_bytes.to_bytes(4, "little") + b"WEBP", *body, range(riff_end, size)]


def _extended_header(file: BinaryIO, first: _Part) -> list[_Piece]:
    """Give the first chunk of the copy with the flag for XMP; in a simple file it stands before the pixels."""
    content, flags, width, height = _read(file, first.start, 10), 0x04, 0, 0
    if first.kind == b"VP8X" and first.stop - first.start >= 10:
        return [range(first.begin, first.start), bytes([content[0] | flags]), range(first.start + 1, first.end)]
    if first.kind == b"VP8 " and content[3:6] == b"\x9d\x01\x2a":
        width, height = (int.from_bytes(content[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    elif first.kind == b"VP8L" and content[:1] == b"\x2f":
        bits = int.from_bytes(content[1:5], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        flags |= (bits >> 28 & 1) << 4  # It has an alpha channel.
    if not width or not height:
        raise _Unfit("its beginning is damaged")
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return [b"VP8X\x0a\0\0\0" + bytes([flags, 0, 0, 0]) + canvas, range(first.begin, first.end)]


def _packet(file: BinaryIO, parts: list[_Part], text: str, prompt: str, at: int) -> tuple[bytes, range]:
    """Make the XMP packet, and say what it replaces: nothing, `at` this place, or the one that is there."""
    old = next((part for part in parts if part.kind == b"XMP "), None)
    packet = _content(file, old) if old else _EMPTY_PACKET
    before, end_tag, after = packet.rpartition(b"</rdf:RDF>")
    # All entries of one packet must be about the same thing.
    about = (re.search(rb"rdf:about=(\"[^\"<]*\"|'[^'<]*')", packet) or [b'rdf:about=""'])[0].decode(errors="replace")
    line = f'<rdf:Alt><rdf:li xml:lang="x-default">{escape(prompt)}</rdf:li></rdf:Alt>'
    entry = (
        f'<rdf:Description {about} {_XMLNS} xmlns:dreamina="{_NAMESPACE}">'
        + (f"<dc:description>{line}</dc:description>" if prompt and b"dc:description" not in packet else "")
        + f"<dreamina:settings>{escape(text)}</dreamina:settings></rdf:Description>"
    )
    packet = before + entry.encode() + end_tag + after
    if not end_tag or len(packet) > _MAX_PACKET_BYTES or _json_in(packet) != text:
        raise _Unfit("nothing can be added to the XMP that it already has")
    return packet, range(old.begin, old.end) if old else range(at, at)


def _find_json(file: BinaryIO) -> str:
    form = _recognise(file)
    if form != "PNG":
        parts = _jpeg_parts(file) if form == "JPEG" else _chunks(file) if form else iter(())
        packet = next((part for part in parts if part.kind == b"XMP "), None)
        return _json_in(_content(file, packet)) if packet else ""
    xmp = None
    for part in _chunks(file):
        if part.kind not in _PNG_TEXTS:
            continue
        keyword = _read(file, part.start, min(len(_XMP_KEYWORD), part.stop - part.start))
        if keyword.startswith(_KEYWORD):
            return _png_text(part.kind, _content(file, part)[len(_KEYWORD) :])
        if keyword == _XMP_KEYWORD and part.kind == b"iTXt":
            xmp = xmp or part
    # A JPEG or WebP copy that another program saved as PNG.
    return _json_in(_png_text(b"iTXt", _content(file, xmp)[len(_XMP_KEYWORD) :]).encode()) if xmp else ""


def _png_text(kind: bytes, content: bytes) -> str:
    """The text of a chunk, behind its keyword: programs that rewrite a PNG pack it, or choose another kind of chunk."""
    if kind == b"tEXt":
        return content.decode("latin-1")
    if kind == b"zTXt":
        return _unpacked(content[1:]).decode("latin-1") if content[:1] == b"\0" else ""
    # A flag and a method of compression; then the language and the translated keyword, each ended by a NUL.
    fields = content[2:].split(b"\0", 2)
    if len(fields) < 3 or content[1:2] != b"\0" or content[0] > 1:
        return ""
    return (_unpacked(fields[2]) if content[0] else fields[2]).decode()


def _unpacked(data: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        text = inflater.decompress(data, _MAX_TEXT_BYTES)
    except zlib.error as exc:
        raise _Unfit("its packed text is damaged") from exc
    if not inflater.eof or inflater.unused_data:
        raise _Unfit("its packed text is cut off or too long")
    return text


def _json_in(packet: bytes) -> str:
    """Find the settings in XMP, the last ones, as element or (so do other programs rewrite it) as attribute."""
    try:
        if b"<!DOCTYPE" in packet:
            return ""
        nodes = list(ElementTree.fromstring(packet.decode().rstrip("\0")).iter())  # noqa: S314  Small, and no DTD.
    except (ElementTree.ParseError, ValueError):
        return ""
    values = [node.text if node.tag == _PROPERTY else node.get(_PROPERTY) for node in nodes]
    return next(filter(None, reversed(values)), "")


def _chunks(file: BinaryIO) -> Iterator[_Part]:
    """Walk all chunks of a PNG or a WebP, the pixels of a PNG left out: some programs move texts behind them."""
    is_png = _recognise(file) == "PNG"
    at, others = len(_PNG) if is_png else 12, 0
    for _ in range(_MAX_CHUNKS):
        head = _read(file, at, 8)
        kind, number = (head[4:], head[:4]) if is_png else (head[:4], head[4:])
        if len(head) < 8 or kind == b"IEND" or others == _MAX_PARTS or not (is_png or at < _riff_end(file)):
            return
        length = int.from_bytes(number, "big" if is_png else "little")
        part = _Part(kind, at, at + 8, at + 8 + length, at + 8 + length + (4 if is_png else length % 2))
        if not is_png or kind != b"IDAT":
            others += 1
            yield part
        at = part.end


def _riff_end(file: BinaryIO) -> int:
    return 8 + int.from_bytes(_read(file, 4, 4), "little")


def _jpeg_parts(file: BinaryIO) -> Iterator[_Part]:
    """Walk the segments up to the first scan; `kind` is the marker, or `EXIF` or `XMP ` for what an APP1 holds."""
    at = 2
    for _ in range(_MAX_PARTS):
        head = _read(file, at, 4)
        if head[:2] == b"\xff\xff":  # Any number of these may come before a marker.
            at += 1
            continue
        length = int.from_bytes(head[2:], "big")
        if len(head) < 4 or head[0] != 0xFF or head[1] < 0xC0 or 0xD0 <= head[1] <= 0xD9 or length < 2:
            return
        kind, start, stop = head[1:2], at + 4, at + 2 + length
        name = _read(file, start, min(len(_XMP_ID), stop - start)) if kind == b"\xe1" else b""
        if name == _XMP_ID:
            kind, start = b"XMP ", start + len(_XMP_ID)
        elif name.startswith(b"Exif\0"):
            kind = b"EXIF"
        yield _Part(kind, at, start, stop, stop)
        if kind == b"\xda":
            return
        at = stop


def _content(file: BinaryIO, part: _Part) -> bytes:
    length = part.stop - part.start
    content = _read(file, part.start, min(length, 0xFFFF))
    if len(content) != length:
        raise _Unfit("the XMP that it already has is cut off or too long")
    return content


def _read(file: BinaryIO, start: int, size: int) -> bytes:
    file.seek(start)
    return file.read(size)
