"""What an input is, in plain words: standard names of types, and the property without its optional wrapping."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

TYPES = ("string", "number", "integer", "boolean", "array", "object", "null")
_ALIASES = {
    "float": "number", "double": "number", "decimal": "number", "int": "integer", "str": "string",
    "bool": "boolean", "list": "array", "dict": "object", "map": "object",
}  # fmt: skip
_FILE_FORMAT = re.compile(r"(image|video|audio)_ur[il](s?)")
_FILE_KEY = re.compile(r"(?:^|_)(?:urls?|uris?|images?|videos?|audios?|pictures?|photos?)$", re.IGNORECASE)
FILE_KINDS = ("image", "video", "audio")
CHECKED_KINDS = ("image", "video")
"""What is recognized by its bytes; sound is left to the service."""

URI = {"type": "string", "format": "uri"}


def plain_type(name: Any) -> str | None:
    """The standard name of a type, such as `number` for `float`; None for what nobody has heard of."""
    if not isinstance(name, str):
        return None
    lowered = name.lower()
    return _ALIASES.get(lowered, lowered if lowered in TYPES else None)


def plain_property(key: str, prop: Mapping[str, Any]) -> dict[str, Any]:
    """A property as the kinds of fields match it.

    An optional value (`anyOf` with null, a list of types with null) is what it is when it is given; URLs of files have
    the format `uri`, whether a format such as `image_uris` or the key says so.
    """
    plain = dict(prop)
    for word in ("anyOf", "oneOf", "allOf"):
        parts = plain.get(word)
        given = [part for part in parts if _type_of(part) != "null"] if isinstance(parts, list) else []
        if len(given) == 1 and isinstance(given[0], Mapping):
            del plain[word]
            plain = {**plain_property("", given[0]), **plain}
    plain["type"] = _type_of(plain)
    is_file = _FILE_FORMAT.fullmatch(str(plain.get("format"))) or _FILE_KEY.search(key)
    items = plain.get("items")
    if plain["type"] == "string" and "enum" not in plain and is_file and plain.get("format") in (None, *_formats()):
        plain["format"] = "uri"
    elif plain["type"] == "array" and is_file:
        item = plain_property("", items) if isinstance(items, Mapping) else {}
        if item.get("type") in (None, "string") and "enum" not in item and not _has_parts(item):
            plain["items"] = {**item, **URI}
    return plain


def file_kind_of(key: str, prop: Mapping[str, Any]) -> str | None:
    """`image` or `video`, what URLs in this input lead to; None if neither format nor key says so, and for sound."""
    match = _FILE_FORMAT.fullmatch(str(prop.get("format")))
    if match:
        return match[1] if match[1] in CHECKED_KINDS else None
    named = [name for name in CHECKED_KINDS if name in key.lower()]
    return named[0] if len(named) == 1 else None


def with_standard_formats(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema with `uri` in the place of the service's own formats of files; a list of them gets its items."""
    match = _FILE_FORMAT.fullmatch(str(schema.get("format")))
    if match is None:
        return dict(schema)
    copy = {key: value for key, value in schema.items() if key != "format"}
    if plain_type(copy.get("type")) == "array":
        items = copy.get("items")
        return copy | {"items": {**(items if isinstance(items, Mapping) else {}), **URI}}
    return copy | {"format": "uri"}


def _type_of(prop: Any) -> str | None:
    given = prop.get("type") if isinstance(prop, Mapping) else None
    if isinstance(given, list):
        names = [name for name in map(plain_type, given) if name != "null"]
        return names[0] if len(names) == 1 else None
    return plain_type(given)


def _formats() -> tuple[str, ...]:
    return tuple(f"{kind}_{word}{end}" for kind in FILE_KINDS for word in ("uri", "url") for end in ("", "s"))


def _has_parts(item: Mapping[str, Any]) -> bool:
    return any(word in item for word in ("properties", "anyOf", "oneOf", "allOf", "items"))
