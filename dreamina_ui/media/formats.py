"""What a file is, by its first bytes: the formats of stored files."""

from __future__ import annotations

from typing import NamedTuple

HEAD_BYTES = 64
"""How much of a file `recognise` needs."""


class Format(NamedTuple):
    """A format of stored files, such as `("PNG", "image", "png", "image/png")`.

    Attributes:
        kind: `image` where previews can be made, `video`, or `file` for all else.
        is_common: whether browsers show it and the service takes it as an input.
    """

    name: str
    kind: str
    extension: str
    media_type: str
    is_common: bool = True


FORMATS = (
    Format("PNG", "image", "png", "image/png"),
    Format("JPEG", "image", "jpg", "image/jpeg"),
    Format("WEBP", "image", "webp", "image/webp"),
    Format("GIF", "image", "gif", "image/gif"),
    Format("AVIF", "image", "avif", "image/avif"),
    Format("MP4", "video", "mp4", "video/mp4"),
    Format("MOV", "video", "mov", "video/quicktime"),
    Format("WEBM", "video", "webm", "video/webm"),
    Format("MKV", "video", "mkv", "video/x-matroska"),
    Format("TIFF", "image", "tif", "image/tiff", is_common=False),
    Format("BMP", "image", "bmp", "image/bmp", is_common=False),
    Format("PSD", "image", "psd", "image/vnd.adobe.photoshop", is_common=False),
    Format("HEIC", "file", "heic", "image/heic", is_common=False),
    Format("JXL", "file", "jxl", "image/jxl", is_common=False),
    Format("SVG", "file", "svg", "image/svg+xml", is_common=False),
    Format("EXR", "file", "exr", "image/x-exr", is_common=False),
    Format("AVI", "file", "avi", "video/x-msvideo", is_common=False),
    Format("WAV", "file", "wav", "audio/wav", is_common=False),
    Format("MP3", "file", "mp3", "audio/mpeg", is_common=False),
    Format("FLAC", "file", "flac", "audio/flac", is_common=False),
    Format("OGG", "file", "ogg", "audio/ogg", is_common=False),
    Format("GLB", "file", "glb", "model/gltf-binary", is_common=False),
    Format("PDF", "file", "pdf", "application/pdf", is_common=False),
    Format("ZIP", "file", "zip", "application/zip", is_common=False),
    Format("GZIP", "file", "gz", "application/gzip", is_common=False),
)
_BY_NAME = {form.name: form for form in FORMATS}
SVG = _BY_NAME["SVG"]
SHOWN_MEDIA_TYPES = frozenset(form.media_type for form in FORMATS if form.is_common)
"""What a browser may show by itself; everything else, such as an SVG with a script in it, it may only download."""

UNKNOWN = Format("BIN", "file", "bin", "application/octet-stream", is_common=False)
"""What is stored though nobody knows what it is."""

_MAGIC = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"8BPS": "PSD",
    b"\xff\x0a": "JXL",
    b"\0\0\0\x0cJXL ": "JXL",
    b"\x76\x2f\x31\x01": "EXR",
    b"ID3": "MP3",
    b"\xff\xfb": "MP3",
    b"fLaC": "FLAC",
    b"OggS": "OGG",
    b"glTF": "GLB",
    b"%PDF-": "PDF",
    b"PK\x03\x04": "ZIP",
    b"\x1f\x8b\x08": "GZIP",
}
_RIFF = {b"WEBP": "WEBP", b"WAVE": "WAV", b"AVI ": "AVI"}


def recognise(head: bytes) -> Format | None:
    """Recognize a file by its first 64 bytes; what a server calls it proves nothing."""
    for magic, name in _MAGIC.items():
        if head.startswith(magic):
            return _BY_NAME[name]
    if head.startswith(b"RIFF") and (name := _RIFF.get(head[8:12], "")):
        return _BY_NAME[name]
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return _BY_NAME["WEBM" if b"webm" in head else "MKV"]
    if head.startswith(b"BM") and head[6:10] == bytes(4):
        return _BY_NAME["BMP"]
    if head[4:8] == b"ftyp":
        return _BY_NAME[_format_of_brands(head[8:12], head[16 : int.from_bytes(head[:4], "big")])]
    return None


def _format_of_brands(major: bytes, others: bytes) -> str:
    if major in (b"avif", b"avis") or (major in (b"mif1", b"msf1") and b"avi" in others):
        return "AVIF"
    if major in (b"mif1", b"msf1") or major.startswith((b"hei", b"hev")):
        return "HEIC"
    return "MOV" if major == b"qt  " else "MP4"
