"""What each visitor has for prompts: a history with pins, presets, wildcard lists, and favorite models.

All of it is in the ledger.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dreamina_ui.errors import InputError
from dreamina_ui.ledger.job import networks_of
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.personal import prompt_rows as rows
from dreamina_ui.ledger.personal.prompt_rows import PromptTool, ToolKind
from dreamina_ui.ledger.search import search_form, search_words

MAX_PROMPTS = 100
MAX_TOOLS: Mapping[ToolKind, int] = {"pin": 100, "preset": 100, "wildcard": 100, "models": 1}
MAX_FAVORITES = 200
MAX_RECENT = 20
MAX_CHARACTERS = 1_000_000
"""How much all of it may take of one visitor; four times that, and as many rows, of one client IP."""

MAX_NAME = 60
MAX_MODEL_ID = 200
MAX_PRESET_CHARACTERS = 8000
MAX_LIST_CHARACTERS = 50_000
MAX_LIST_LINES = 2000
_CLIENT_FACTOR = 4
_LIST_NAME = re.compile(r"[^\W_](?:(?!__)[\w-])*(?<!_)")


@dataclass(frozen=True)
class RememberedPrompt:
    """A prompt that was used or pinned; `job_id`, `model_id` and `created_at` are of the newest job that has it."""

    prompt: str
    is_pinned: bool
    job_id: str | None = None
    model_id: str | None = None
    created_at: float | None = None


@dataclass(frozen=True)
class Preset:
    """A template for prompts and settings.

    Attributes:
        template: a prompt in which `{prompt}` stands for what is in the form.
        parameters: settings by parameter, as a job's card has them.
    """

    name: str
    template: str
    model_id: str
    parameters: Mapping[str, Any]


class PromptTools:
    """Reads and writes the prompt tools of visitors. Every method may raise LedgerError.

    Args:
        clock: gives the time, in seconds since 1970.
    """

    def __init__(self, ledger: Ledger, clock: Callable[[], float]) -> None:
        self._ledger = ledger
        self._clock = clock

    def history(self, visitor_id: str, text: str = "") -> list[RememberedPrompt]:
        """A visitor's pinned prompts, then the newest of their jobs; at most `MAX_PROMPTS` that were not pinned.

        Args:
            text: words that must all be in a prompt; case, width and accents do not matter.
        """
        words = search_words(text)
        with self._ledger.reading() as reader:
            pins = rows.tools_of_visitor(reader, visitor_id, "pin")
            used = {item.prompt: item for item in rows.used_prompts(reader, visitor_id, words, 2 * MAX_PROMPTS)}
        pinned = [pin.content for pin in pins if all(word in search_form(pin.content) for word in words)]
        others = [prompt for prompt in used if prompt not in pinned][:MAX_PROMPTS]
        return [
            RememberedPrompt(prompt, prompt in pinned, item.job_id, item.model_id, item.created_at)
            if (item := used.get(prompt))
            else RememberedPrompt(prompt, True)
            for prompt in [*pinned, *others]
        ]

    def pin(self, visitor_id: str, prompt: str, client_hash: str | None) -> None:
        """Keep a prompt at the top; raises InputError if there are too many, or it is too long."""
        if not prompt.strip() or len(prompt) > MAX_PRESET_CHARACTERS:
            raise InputError("prompt", "maxLength", MAX_PRESET_CHARACTERS, prompt)
        self._put(visitor_id, "pin", _pin_name(prompt), prompt, client_hash)

    def pinned(self, visitor_id: str) -> list[str]:
        """A visitor's pinned prompts, the last one that was pinned first."""
        with self._ledger.reading() as reader:
            return [pin.content for pin in rows.tools_of_visitor(reader, visitor_id, "pin")]

    def unpin(self, visitor_id: str, prompt: str) -> None:
        """Pin a prompt no longer."""
        self._remove(visitor_id, "pin", _pin_name(prompt))

    def presets(self, visitor_id: str) -> list[Preset]:
        """A visitor's presets by name."""
        with self._ledger.reading() as reader:
            tools = rows.tools_of_visitor(reader, visitor_id, "preset")
        return sorted((Preset(tool.name, **json.loads(tool.content)) for tool in tools), key=lambda item: item.name)

    def put_preset(self, visitor_id: str, preset: Preset, client_hash: str | None) -> None:
        """Store a preset; one of the same name is replaced.

        Raises:
            InputError: it is not valid, or there are too many.
        """
        name = preset.name.strip()
        if not 0 < len(name) <= MAX_NAME:
            raise InputError("name", "maxLength", MAX_NAME, preset.name)
        if not preset.template.strip():
            raise InputError("template", "required", None, preset.template)
        facts = {"template": preset.template, "model_id": preset.model_id, "parameters": dict(preset.parameters)}
        content = json.dumps(facts, ensure_ascii=False)
        if len(content) > MAX_PRESET_CHARACTERS:
            raise InputError("template", "maxLength", MAX_PRESET_CHARACTERS, None)
        self._put(visitor_id, "preset", name, content, client_hash)

    def remove_preset(self, visitor_id: str, name: str) -> None:
        """Delete a preset, if it is there."""
        self._remove(visitor_id, "preset", name)

    def wildcards(self, visitor_id: str) -> dict[str, list[str]]:
        """The lines of a visitor's wildcard lists by name, in the order of the names."""
        with self._ledger.reading() as reader:
            tools = rows.tools_of_visitor(reader, visitor_id, "wildcard")
        return {tool.name: lines_of(tool.content) for tool in sorted(tools, key=lambda tool: tool.name)}

    def put_wildcards(self, visitor_id: str, name: str, text: str, client_hash: str | None) -> str:
        """Store a list; one of the same name is replaced. Returns its name.

        Args:
            name: letters, digits, `-` and single `_`; the ending of a file's name is dropped.
            text: one entry per line; empty ones, and those that begin with `#`, do not count.

        Raises:
            InputError: it is not valid, or there are too many.
        """
        plain = name.strip().removesuffix(".txt").replace(" ", "-").lower()
        if not _LIST_NAME.fullmatch(plain) or len(plain) > MAX_NAME:
            raise InputError("name", "pattern", "a-z 0-9 - _", name)
        lines = lines_of(text)
        if not lines:
            raise InputError("text", "required", None, text)
        if len(text) > MAX_LIST_CHARACTERS or len(lines) > MAX_LIST_LINES:
            is_long = len(text) > MAX_LIST_CHARACTERS
            rule, most = ("maxLength", MAX_LIST_CHARACTERS) if is_long else ("maxItems", MAX_LIST_LINES)
            raise InputError("text", rule, most, None)
        self._put(visitor_id, "wildcard", plain, "\n".join(lines), client_hash)
        return plain

    def remove_wildcards(self, visitor_id: str, name: str) -> None:
        """Delete a list, if it is there."""
        self._remove(visitor_id, "wildcard", name)

    def favorite_models(self, visitor_id: str) -> list[str]:
        """The model_ids that a visitor marked, in the order in which they did."""
        with self._ledger.reading() as reader:
            tools = rows.tools_of_visitor(reader, visitor_id, "models")
        return list(json.loads(tools[0].content)) if tools else []

    def used_models(self, visitor_id: str) -> list[str]:
        """The model_ids of a visitor's jobs, the last one used first."""
        with self._ledger.reading() as reader:
            return rows.used_models(reader, visitor_id, MAX_RECENT)

    def set_favorite_model(self, visitor_id: str, model_id: str, is_favorite: bool, client_hash: str | None) -> None:
        """Mark a model, or no longer.

        Raises:
            InputError: there are too many, or no model has such an id.
        """
        before = self.favorite_models(visitor_id)
        others = [known for known in before if known != model_id]
        after = [*others, model_id] if is_favorite else others
        if not 0 < len(model_id) <= MAX_MODEL_ID:
            raise InputError("name", "maxLength", MAX_MODEL_ID, model_id)
        if len(after) > MAX_FAVORITES:
            raise InputError("models", "maxItems", MAX_FAVORITES, None)
        if after:
            self._put(visitor_id, "models", "favorites", json.dumps(after), client_hash)
        else:
            self._remove(visitor_id, "models", "favorites")

    def _put(self, visitor_id: str, kind: ToolKind, name: str, content: str, client_hash: str | None) -> None:
        with self._ledger.writing() as transaction:
            rows.delete_tool(transaction, visitor_id, kind, name)
            if len(rows.tools_of_visitor(transaction, visitor_id, kind)) >= MAX_TOOLS[kind]:
                raise InputError(kind, "maxItems", MAX_TOOLS[kind], None)
            owners = [(rows.usage(transaction, visitor_id), 1)]
            for beginning, factor in networks_of(client_hash) if client_hash else ():
                owners.append((rows.usage(transaction, None, beginning), factor * _CLIENT_FACTOR))
            most_rows = sum(MAX_TOOLS.values())
            for (count, characters), factor in owners:
                if count >= factor * most_rows or characters + len(content) > factor * MAX_CHARACTERS:
                    raise InputError(kind, "maxLength", MAX_CHARACTERS, None)
            rows.put_tool(transaction, visitor_id, kind, PromptTool(name, content, self._clock()), client_hash)

    def _remove(self, visitor_id: str, kind: ToolKind, name: str) -> None:
        with self._ledger.writing() as transaction:
            rows.delete_tool(transaction, visitor_id, kind, name)


def lines_of(text: str) -> list[str]:
    """The entries of a wildcard list."""
    lines = (line.strip() for line in text.removeprefix("\ufeff").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _pin_name(prompt: str) -> str:
    return hashlib.sha256(prompt.encode(errors="replace")).hexdigest()
