"""Lines of a pasted batch that may not mean what they look like, named before anything is sent.

Text that was copied from a spreadsheet, a chat or a PDF brings characters that nobody sees. Nothing is changed here:
a notice names the line, and the person decides. Only lines without a visible character are skipped, and a byte order
mark at the beginning of the text is removed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal, get_args

import regex

from dreamina_ui.models.text import is_blank

NoticeKind = Literal[
    "invisible", "byte_order_mark", "line_break", "control", "direction", "hidden", "damaged", "comment", "braces",
    "quotes", "duplicate",
]  # fmt: skip
"""What is odd about a line:

- `invisible`: it shows nothing; it is skipped.
- `byte_order_mark`: the text began with one; it was removed.
- `line_break`: it contains a character that looks like a line break, and is still one prompt.
- `control`: it contains control characters, such as a tab from a spreadsheet.
- `direction`: it contains characters that change the direction of writing, so that it may read otherwise than it is.
- `hidden`: it contains other characters that nobody sees.
- `damaged`: it contains characters that were lost in a conversion, or that no font knows.
- `comment`: it begins like a comment, and is a prompt all the same.
- `braces`: its braces are full-width ones, which make no alternatives.
- `quotes`: it looks like a row of a CSV file, or like one part of a quoted text.
- `duplicate`: an earlier line is the same.
"""

NOTICE_KINDS: tuple[NoticeKind, ...] = get_args(NoticeKind)
MAX_SHOWN = 60
"""The maximum length of a line's excerpt in a notice, in characters."""
MAX_NOTICES = 100
"""The maximum number of notices of one text: more of them would not be read."""

_LINE_END = re.compile(r"\r\n|\r|\n")
_LINE_BREAK = re.compile("[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_CONTROL = regex.compile(r"\p{Cc}")
_DIRECTION = regex.compile(r"\p{Bidi_Control}")
_EMOJI_FLAG = regex.compile(r"\p{Emoji_Presentation}[\U000E0020-\U000E007F]+")
_HIDDEN = regex.compile(r"[\p{Default_Ignorable_Code_Point}\p{Cf}--\p{Join_Control}--\p{Variation_Selector}]", regex.V1)
_DAMAGED = regex.compile(r"[\uFFFD\p{Unassigned}\p{Private_Use}]")
_COMMENT = re.compile(r"\s*(?:#|//)")
_BRACES = re.compile("[\uff5b\uff5d]")
_CSV_ROW = re.compile(r'\s*"[^"]*"\s*[,;\t]')


@dataclass(frozen=True)
class LineNotice:
    """What is odd about one line.

    Attributes:
        line: its number, from 1.
        kind: see `NoticeKind`.
        excerpt: the beginning of the line, with a visible symbol or `<U+200B>` for each character that shows nothing.
    """

    line: int
    kind: NoticeKind
    excerpt: str


def split_lines(text: str) -> list[str]:
    """The lines of a batch's text, without a byte order mark at its beginning."""
    return _LINE_END.split(text.removeprefix("\ufeff"))


def find_notices(text: str) -> list[LineNotice]:
    """The first `MAX_NOTICES` odd things about the lines of a batch, in reading order; white space is not odd."""
    return list(islice(_all_notices(text), MAX_NOTICES))


def _all_notices(text: str) -> Iterator[LineNotice]:
    seen: set[str] = set()
    for number, line in enumerate(split_lines(text), 1):
        if number == 1 and text.startswith("\ufeff"):
            yield LineNotice(number, "byte_order_mark", _excerpt(line))
        for kind in _kinds_of(line, seen):
            yield LineNotice(number, kind, _excerpt(line))


def _kinds_of(line: str, seen: set[str]) -> Iterator[NoticeKind]:
    if is_blank(line):
        if line.strip():
            yield "invisible"
        return
    content = _EMOJI_FLAG.sub("", line.strip())
    if _LINE_BREAK.search(content):
        yield "line_break"
    if _CONTROL.search(_LINE_BREAK.sub("", content)):
        yield "control"
    if _DIRECTION.search(content):
        yield "direction"
    if _HIDDEN.search(_DIRECTION.sub("", content)):
        yield "hidden"
    if _DAMAGED.search(content):
        yield "damaged"
    if _COMMENT.match(content):
        yield "comment"
    if _BRACES.search(content):
        yield "braces"
    if content.count('"') % 2 or _CSV_ROW.match(content):
        yield "quotes"
    if content in seen:
        yield "duplicate"
    seen.add(content)


def _excerpt(line: str) -> str:
    shown = "".join(_visible(char) for char in line.strip(" \t")[:MAX_SHOWN])
    return shown + ("…" if len(line) > MAX_SHOWN else "")


def _visible(char: str) -> str:
    if char < "\x20":
        return chr(0x2400 + ord(char))  # the block Control Pictures has a symbol for each
    is_hidden = unicodedata.category(char) in ("Cc", "Cf", "Cs", "Cn", "Zl", "Zp") or (is_blank(char) and char != " ")
    is_mark = unicodedata.category(char) in ("Mn", "Me")
    return f"<U+{ord(char):04X}>" if is_hidden and not is_mark else char
