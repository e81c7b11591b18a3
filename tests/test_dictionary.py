"""The terms that CONTRIBUTING.md replaces stay out of names, comments, docstrings, messages and documents."""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "CONTRIBUTING.md"


@dataclass(frozen=True)
class Term:
    """One entry of the left column of the table in CONTRIBUTING.md.

    Attributes:
        text: the entry, as in the table.
        names: words that no name contains; `_` joins words, a leading `=` means the whole name. Case does not matter,
            except for words in capitals, which are the beginning of a constant.
        prose: a regular expression that no comment, docstring, message or document matches, in any case.
    """

    text: str
    names: str = ""
    prose: str = ""


TERMS = (
    Term("fault (of an exception)", "fault faults", r"faults?\b"),
    Term(
        "look, looker (at a job)",
        "look looks looked looker",
        r"(a|each|every|no|next|last|first|sooner|later) looks?\b",
    ),
    Term("told, heed, hear", "told heed hear heard hears", r"told\b|heed(s|ed)?\b"),
    Term("found, each, one, here (as names)", "=found =each =one =here"),
    Term("address (of a file)", "", r"(?<!IP )(?<!IPv4 )(?<!IPv6 )(?<!private )(?<!e-mail )address(es)?\b(?! bar)"),
    Term("address (of a client)", "address addresses"),
    Term("law, learn", "law laws learn learned learns", r"laws?\b"),
    Term(
        "adopt, at rest, goes on",
        "adopt adopted at_rest goes_on",
        r"adopt(s|ed)?\b|at rest\b|go(es|ing)? on\b|went on\b",
    ),
    Term("kept, UNKEPT, KEPT_S", "kept unkept"),
    Term("MOST_, LEAST_, LONGEST_", "MOST_ LEAST_ LONGEST_"),
    Term("LAW_S, ASK_S, PATIENCE_S", "law_s ask_s patience", r"patience\b"),
    Term("place (cursor, slot, index)", "=place =places"),
    Term("key_mark, hint", "key_mark hint hints", r"key marks?\b"),
    Term(
        "twin, press (as a noun)",
        "twin twins presses a_press no_press each_press every_press one_press next_press of_press by_press "
        "press_conflict =PRESS",
        r"twins?\b|(a|each|every|one|next|refused) press\b|the presses\b|press (of|ids?)\b",
    ),
    Term(
        "put aside, bring back",
        "put_aside bring_back brought_back",
        r"put(s|ting)? aside\b|(bring(s|ing)?|brought) back\b",
    ),
    Term(
        "shut out, let in, forbidden words",
        "shut_out let_in forbidden_words forbid",
        r"shuts? out\b|lets? in\b|forbidden words?\b",
    ),
    Term("purse, Use, Trouble, Left", "purse =Use =Trouble =Left", r"purses?\b"),
    Term("Shown, Wishes, Next, Sum", "=Shown =Wishes =Next =Sum"),
    Term("Doors, Wall, Tries, Leash", "door doors leash =Wall =Tries", r"doors?\b|leash(es)?\b"),
    Term(
        "Python's lock, processor time, power cut",
        "processor_time",
        r"(Python|interpreter)'s (own )?lock\b|processor time\b|power cuts?\b",
    ),
    Term(
        "reply, answer",
        "reply replies answer answers",
        r"repl(y|ies)\b|that answer\b|(an?|the|no|any|each|every|its|this|lost|late|first|last) answers?\b",
    ),
    Term(
        "for ever, time-out, check sum, half a character",
        "for_ever time_out check_sum",
        r"for ever\b|time-outs?\b|check sums?\b|half a character\b",
    ),
    Term("a hole, mended, doors that are shut", "mend mended mends", r"(a|the|security) holes?\b|mend(s|ed|ing)?\b"),
    Term("owner's view, several at once, what it cost", "", r"owner's view\b|several at once\b|what it costs?\b"),
)

_DOCUMENTS = ("*.md", "docs/*.md", "benchmarks/*.md", ".github/**/*.md", ".github/**/*.yml", "deploy/*")
_CODE = ("app.py", "dreamina_ui/**/*.py", "benchmarks/*.py", "assets/*.py", "tests/**/*.py")
_SCRIPTS = ("dreamina_ui/web/static/**/*.js", "dreamina_ui/web/static/**/*.css")
_STATIC = ROOT / "dreamina_ui/web/static"
_ALLOWED = re.compile(r"(?i:press_id)|ip_address(es)?|(source|client|network)_address|address_(at_once|per_day)")
"""The published name of an idempotency key; IP addresses; names that the standard library chose; the limits that
`DREAMINA_ADDRESS_...` set."""
_SQL = {"migrations.py", "tables.py"}
"""Modules whose strings are SQL and names on disk, which stay as they are."""
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_PROSE = [(term.text, re.compile(rf"\b({term.prose})", re.IGNORECASE)) for term in TERMS if term.prose]
_JS_LITERAL = re.compile(
    r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`"
    r"|(?P<before>[=(,:!&|?{;]\s*)/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n])+/\w*",
    re.DOTALL,
)
"""A comment, a string, or a regular expression in JavaScript."""
_JS_NAMES = re.compile(
    r"\b(?:const|let|var)\s+(?P<variables>\{[^}]*\}|\[[^\]]*\]|[\w$]+)"
    r"|,\s*(?P<next_variable>\{[^{}]*\}|[\w$]+)\s*=(?![=>])"
    r"|\bclass\s+(?P<class>[\w$]+)"
    r"|(?P<function>[\w$]+)?\s*\((?P<parameters>[^()]*)\)\s*(?:=>|\{)"
    r"|(?P<parameter>[\w$]+)\s*=>"
)
_JS_CONTROL = {"if", "for", "while", "switch", "catch", "function", "with"}
_CODE_SPAN = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


def read_guide() -> list[str]:
    """The left column of the table in CONTRIBUTING.md, which is two columns beside each other."""
    rows = [row.strip("|").split("|") for row in GUIDE.read_text(encoding="utf-8").splitlines() if row.startswith("|")]
    return [row[column].strip() for row in rows[2:] for column in (0, 2) if len(row) == 4]


def names_in(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every name that the code itself chooses, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.lineno, node.name
        elif isinstance(node, ast.alias) and node.asname:
            yield 0, node.asname


def js_names(source: str) -> Iterator[tuple[int, str]]:
    """Variables, classes, functions, methods, and parameters of a script, with their lines."""
    plain = _JS_LITERAL.sub(lambda match: (match["before"] or "") + '""' + "\n" * match[0].count("\n"), source)
    for match in _JS_NAMES.finditer(plain):
        groups = {kind: text for kind, text in match.groupdict().items() if text}
        if groups.get("function") in _JS_CONTROL - {"catch", "function"}:
            continue
        number = plain.count("\n", 0, match.start()) + 1
        for text in groups.values():
            declared = re.sub(r"=[^,}\]]*|[\w$]+\s*:", "", text)  # neither defaults, nor keys that are renamed
            yield from ((number, name) for name in re.findall(r"[\w$]+", declared) if name not in _JS_CONTROL)


def terms_of_name(name: str) -> list[str]:
    """The terms that a name contains."""
    words = [word.lower() for word in _WORD.findall(_ALLOWED.sub("", name))]
    joined = f"_{'_'.join(words)}_"
    return [term.text for term in TERMS if any(_is_in(banned, name, joined) for banned in term.names.split())]


def _is_in(banned: str, name: str, joined: str) -> bool:
    if banned.startswith("="):
        return name.lstrip("_") == banned[1:]
    if banned.isupper():
        return name.lstrip("_").startswith(banned)
    return f"_{banned}_" in joined


def terms_of_prose(text: str) -> list[str]:
    """The terms that a text contains outside of code spans."""
    plain = " ".join(_CODE_SPAN.sub(" ", text).split())
    return [f"{term}: {match[0]!r}" for term, banned in _PROSE for match in banned.finditer(plain)]


def prose_in_code(source: str, tree: ast.AST, *, with_messages: bool) -> Iterator[tuple[int, str]]:
    """Comments, docstrings and, if wanted, all other strings of several words, with their lines."""
    comments: list[tuple[int, str]] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            comments.append((token.start[0], token.string.lstrip("# ")))
    yield from _joined(comments)
    docstrings = {
        id(node.value)
        for body in (node.body for node in ast.walk(tree) if hasattr(node, "body") and isinstance(node.body, list))
        for node in body
        if isinstance(node, ast.Expr)
    }
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and " " in node.value.strip()
            and (with_messages or id(node) in docstrings)
        ):
            yield node.lineno, node.value


def _joined(comments: list[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Comments on consecutive lines as one text, because a term may be broken over two of them."""
    block: list[tuple[int, str]] = []
    for number, text in comments:
        if block and number != block[-1][0] + 1:
            yield block[0][0], " ".join(line for _, line in block)
            block = []
        block.append((number, text))
    if block:
        yield block[0][0], " ".join(line for _, line in block)


def violations(path: Path) -> list[str]:
    """One line for each term in a file."""
    text = path.read_text(encoding="utf-8")
    lines: list[tuple[int, list[str]]] = []
    if path.suffix == ".py":
        tree = ast.parse(text)
        lines += [(number, [f"{term}: {name}" for term in terms_of_name(name)]) for number, name in names_in(tree)]
        has_messages = not path.is_relative_to(ROOT / "tests") and path.name not in _SQL
        lines += [
            (number, terms_of_prose(prose)) for number, prose in prose_in_code(text, tree, with_messages=has_messages)
        ]
    elif path.suffix == ".json":
        lines += [(0, terms_of_prose(value)) for value in json.loads(text).values() if isinstance(value, str)]
    elif path.suffix in (".js", ".css"):
        for match in re.finditer(r"/\*.*?\*/|(?:^|\s)//[^\n]*(?:\n\s*//[^\n]*)*", text, re.DOTALL):
            comment = re.sub(r"\n\s*(//|\*)", " ", match[0])
            lines.append((text.count("\n", 0, match.start()) + 1, terms_of_prose(comment)))
        if path.suffix == ".js" and path.parent != _STATIC:
            lines += [(number, [f"{term}: {name}" for term in terms_of_name(name)]) for number, name in js_names(text)]
    else:
        prose = "\n".join("" if row.startswith("| ") and path == GUIDE else row for row in text.splitlines())
        lines.append((0, terms_of_prose(prose)))
    return [f"{path.relative_to(ROOT)}:{number}: {term}" for number, found in lines for term in found]


def files() -> list[Path]:
    """All files with English text."""
    paths = [path for pattern in (*_DOCUMENTS, *_CODE, *_SCRIPTS) for path in ROOT.glob(pattern) if path.is_file()]
    paths += [ROOT / "dreamina_ui/web/i18n/languages/en.json"]
    return sorted({path for path in paths if path != Path(__file__) and not path.name.endswith(".ja.md")})


def test_every_row_of_the_dictionary_has_a_rule() -> None:
    """A word that is listed and not kept out comes back."""
    assert sorted(read_guide()) == sorted(term.text for term in TERMS)


def test_the_names_of_a_script_are_read() -> None:
    """A rule that misses half of the names keeps nothing out."""
    source = r"""
    /* const comment = 1 */ const first = "let text = 1", {second, key: third = 4} = /["'] x => 1/g.exec(a / b / c);
    export async function fourth(fifth, {sixth}) { if (first) { for (const seventh of second) call(seventh); } }
    class Eighth { ninth(tenth) { return eleventh => (twelfth, thirteenth) => `x => ${1}`; } }
    try { call(first) } catch (fourteenth) { while (third) { let [fifteenth] = []; } }
    """
    names = "first second third fourth fifth sixth seventh Eighth ninth tenth eleventh twelfth thirteenth fourteenth"
    assert [name for _, name in js_names(source)] == [*names.split(), "fifteenth"]


@pytest.mark.parametrize("path", files(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_terms_of_the_dictionary_are_used(path: Path) -> None:
    """A stranger searches for the standard term and must find every place that uses it."""
    assert violations(path) == []


if __name__ == "__main__":
    print("\n".join(line for path in files() for line in violations(path)))
