"""Wildcards in prompts: `__name__` stands for an entry of the list of that name, drawn by a seed.

The same seed, lists and text draw the same entries, on every machine: nothing here depends on hashes of Python or on
time. Within a line, each entry of a list is drawn once before any of them is drawn again.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from random import Random

from dreamina_ui.errors import InputError

MAX_SEED = 2**32 - 1
MAX_DEPTH = 5
"""How deep entries may refer to other lists."""

Lists = Mapping[str, Sequence[str]]

_WILDCARD = re.compile(r"(\\?)__([^\W_](?:(?!__)[\w-])*?)__")


def has_wildcards(text: str) -> bool:
    """Whether something of a text would be drawn, or is protected from it."""
    return _WILDCARD.search(text) is not None


def draw(text: str, lists: Lists, *, seed: int, salt: str, number: int) -> tuple[str, tuple[str, ...]]:
    """A text with an entry in the place of each wildcard; a backslash before one makes it literal.

    Args:
        lists: the entries by name, in lower case.
        salt: what else tells the text from others of the batch: each draws by itself.
        number: which of the repeats it is, from 0.

    Returns:
        The text, and what was drawn in order, without what entries drew in turn.

    Raises:
        InputError: there is no such list (`wildcard`), or lists refer to each other (`wildcard_depth`).
    """
    counts = Counter(match[2].lower() for match in _WILDCARD.finditer(text) if not match[1])
    seen: Counter[str] = Counter()
    drawn: list[str] = []

    def replace(match: re.Match[str]) -> str:
        if match[1]:
            return match[0][1:]
        name = match[2].lower()
        position = number * counts[name] + seen[name]
        seen[name] += 1
        entry = _entry(lists, name, seed, salt, position, depth=1)
        drawn.append(entry)
        return entry

    return _WILDCARD.sub(replace, text), tuple(drawn)


def draw_known(text: str, lists: Lists, *, seed: int) -> tuple[str, tuple[str, ...]]:
    """As `draw`, but a name without a list stays as it is, and so does a text without a wildcard of any list."""
    if not any(not match[1] and lists.get(match[2].lower()) for match in _WILDCARD.finditer(text)):
        return text, ()

    def protected(match: re.Match[str]) -> str:
        is_known = match[1] or lists.get(match[2].lower())
        return match[0] if is_known else f"\\{match[0]}"

    return draw(_WILDCARD.sub(protected, text), lists, seed=seed, salt="", number=0)


def _entry(lists: Lists, name: str, seed: int, salt: str, position: int, depth: int) -> str:
    if not lists.get(name):
        raise InputError("text", "wildcard", name, None)
    if depth > MAX_DEPTH:
        raise InputError("text", "wildcard_depth", name, None)
    entries = lists[name]
    turn, index = divmod(position, len(entries))
    entry = entries[_order(seed, f"{salt}/{name}/{turn}", len(entries))[index]]

    def replace(match: re.Match[str]) -> str:
        if match[1]:
            return match[0][1:]
        return _entry(lists, match[2].lower(), seed, f"{salt}/{name}/{match.start()}", position, depth + 1)

    return _WILDCARD.sub(replace, entry)


@lru_cache(maxsize=512)
def _order(seed: int, salt: str, count: int) -> tuple[int, ...]:
    order = list(range(count))
    Random(f"{seed}/{salt}").shuffle(order)
    return tuple(order)
