"""URLs as browsers read them, without changing a byte that need not change.

Hosts that sign their URLs compare them byte for byte, so percent-encodings stay as they are (`%7E`, `%e7`), and only
what cannot go over the wire is encoded: spaces, control characters and everything that is not ASCII. A host has one
spelling only, which is the one that `UrlGuard` judges: full-width letters, ideographic full stops and escapes are gone.

Source: the WHATWG URL Standard, basic URL parser, percent-encode sets and host parsing; Unicode UTS #46.
"""

from __future__ import annotations

import contextlib
import re
from html import unescape
from urllib.parse import unquote_to_bytes, urljoin

import idna
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

_EDGES = "".join(map(chr, range(0x21)))  # C0 controls and the space
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_PARTS = re.compile(r"(?P<origin>[A-Za-z][A-Za-z0-9+.-]*://[^/?#\\]*)(?P<rest>.*)", re.DOTALL)
_SLASHES = re.compile(r"^(https?):[/\\]*", re.IGNORECASE)
_PLAIN_HTTP = re.compile(r"^http://([^/?#:@]+)(?::80)?(?=[/?#]|$)", re.IGNORECASE)
_HOST = re.compile(r"(?<=://)[^@:\[\]]+(?=(?::\d*)?$)")
_NOT_IN_HOSTS = re.compile(r"[\x00-\x20\x7f#/:<>?@\[\\\]^|%]")
_REFRESH = re.compile(
    r"\s*\d+(?:\.\d*)?\s*[;,]\s*(?:url\s*=\s*)?(?P<quote>[\"']?)(?P<url>.+)", re.IGNORECASE | re.DOTALL
)
_META_REFRESH = re.compile(
    r"<meta\b(?=[^>]*\bhttp-equiv\s*=\s*[\"']?refresh\b)[^>]*\bcontent\s*=\s*(?P<quote>[\"'])(?P<text>.*?)(?P=quote)",
    re.IGNORECASE | re.DOTALL,
)
_PAGE_BYTES = 4096
_TO_ENCODE = re.compile(r"[\x00-\x20\x7f-\U0010ffff\"<>`\\]")


def browser_url(text: str) -> str:
    """Read a URL out of text as a browser does: trimmed, without line breaks, encoded where it must be.

    What a browser would not take either comes back unchanged enough for `UrlGuard` to refuse it.
    """
    text = _SLASHES.sub(r"\1://", re.sub(r"[\t\n\r]", "", text.strip(_EDGES)))
    parts = _PARTS.fullmatch(text)
    if parts is None:
        return text
    path, hash_mark, fragment = parts["rest"].partition("#")
    path, question_mark, query = path.partition("?")
    rest = path.replace("\\", "/") + question_mark + query + hash_mark + fragment
    return _HOST.sub(lambda match: _plain_host(match[0]), parts["origin"], count=1) + _TO_ENCODE.sub(_encode, rest)


def secure_url(url: str) -> str:
    """The https URL that a browser loads in the place of a plain http one on a secure page; others are unchanged.

    Source: W3C, Mixed Content Level 2, automatic upgrades. A host behind another port than 80 has no such URL.
    """
    return _PLAIN_HTTP.sub(r"https://\1", url)


def redirect_url(base: str, location: str) -> str:
    """Where a redirect leads.

    Args:
        base: the URL that redirects.
        location: the header's bytes, decoded as ISO 8859-1, which is how they come out of `http.client`.

    Raises:
        ValueError: it cannot be read.
    """
    location = re.sub(r"[\t\n\r]", "", location.strip(_EDGES))
    # Whatever their encoding is meant to be, a browser sends the very bytes.
    location = re.sub(r"[\x80-\xff]", lambda match: f"%{ord(match[0]):02X}", location)
    scheme, _, rest = base.partition("://")
    origin = f"{scheme}://{re.split(r'[/?#]', rest, maxsplit=1)[0]}"
    location = re.sub(r"^[^?#]*", lambda match: match[0].replace("\\", "/"), location)
    is_relative = re.match(rf"{re.escape(scheme)}:(?!//)", location, re.IGNORECASE)  # `https:next.png`
    location = location[len(scheme) + 1 :] if is_relative else location
    if _ABSOLUTE.match(location):
        return browser_url(location)
    if location.startswith("//"):
        return browser_url(f"{scheme}:{location}")
    if location.startswith("/"):
        return browser_url(origin + location)
    return browser_url(urljoin(base, location))


def refresh_url(base: str, header: str, page: bytes) -> str | None:
    """Where a page leads that a browser leaves by itself; None if it stays there.

    Args:
        header: its `Refresh` header, or "".
        page: its beginning.

    Raises:
        ValueError: it cannot be read.

    Source: the HTML Standard, shared declarative refresh steps.
    """
    if not header and (meta := _META_REFRESH.search(page[:_PAGE_BYTES].decode("latin-1"))):
        header = unescape(meta["text"])
    refresh = _REFRESH.match(header)
    if refresh is None:
        return None
    return redirect_url(base, refresh["url"].partition(refresh["quote"])[0] if refresh["quote"] else refresh["url"])


def request_target(url: str) -> str:
    """What stands behind the host in a request for this URL, such as `/a.png?b=c`."""
    parts = _PARTS.fullmatch(url)
    target = parts["rest"].partition("#")[0] if parts else ""
    return target if target.startswith("/") else f"/{target}"


def host_of(url: str) -> str:
    """The host of a URL: all of it that a message may show, as the rest may be a secret."""
    try:
        return parse_url(url).host or "?"
    except (ValueError, HTTPError):
        return "?"


def _plain_host(host: str) -> str:
    """A host in lower-case ASCII, as a browser asks for it; unchanged if no browser would."""
    if host.isascii() and "%" not in host:
        return host
    with contextlib.suppress(ValueError):  # an IDNAError is one, too
        mapped: str = idna.uts46_remap(unquote_to_bytes(host).decode(), std3_rules=False, transitional=False)
        labels = [
            label if label.isascii() else f"xn--{label.encode('punycode').decode()}" for label in mapped.split(".")
        ]
        if not _NOT_IN_HOSTS.search(mapped):
            return ".".join(labels)
    return host


def _encode(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "replace"))
