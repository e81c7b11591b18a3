"""The table `prompt_tools`: pinned prompts, presets, wildcard lists and favorite models of visitors.

Also the prompts and models of their jobs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from dreamina_ui.ledger.tables import jobs, prompt_tools
from dreamina_ui.ledger.transaction import Reader, Transaction

ToolKind = Literal["pin", "preset", "wildcard", "models"]

READ_JOBS = 1000
"""How many of a visitor's newest jobs are looked at: many have the same prompt."""


@dataclass(frozen=True)
class PromptTool:
    """One row: `content` is a pinned prompt, a preset or model_ids as JSON, or the lines of a list; `set_at` in s since
    1970.
    """

    name: str
    content: str
    set_at: float


@dataclass(frozen=True)
class UsedPrompt:
    """A prompt of a visitor's jobs, and the newest job that has it."""

    prompt: str
    job_id: str
    model_id: str
    created_at: float


def tools_of_visitor(reader: Reader, visitor_id: str, kind: ToolKind) -> list[PromptTool]:
    """A visitor's rows of a kind, the newest first."""
    query = (
        sa.select(prompt_tools.c.name, prompt_tools.c.content, prompt_tools.c.set_at)
        .where(prompt_tools.c.visitor_id == visitor_id, prompt_tools.c.kind == kind)
        .order_by(prompt_tools.c.set_at.desc(), prompt_tools.c.name)
    )
    return [PromptTool(*row) for row in reader.connection.execute(query)]


def usage(reader: Reader, visitor_id: str | None, client_beginning: str = "") -> tuple[int, int]:
    """How many rows a visitor has, or the clients whose hash begins so, and the characters in them."""
    is_theirs = (
        prompt_tools.c.client_hash.startswith(client_beginning, autoescape=True)
        if visitor_id is None
        else prompt_tools.c.visitor_id == visitor_id
    )
    query = sa.select(sa.func.count(), sa.func.sum(sa.func.length(prompt_tools.c.content))).where(is_theirs)
    count, characters = reader.connection.execute(query).one()
    return count, int(characters or 0)


def put_tool(
    transaction: Transaction,
    visitor_id: str,
    kind: ToolKind,
    tool: PromptTool,
    client_hash: str | None,
) -> None:
    """Write a row; one of the same name is replaced."""
    delete_tool(transaction, visitor_id, kind, tool.name)
    values = {**vars(tool), "visitor_id": visitor_id, "kind": kind, "client_hash": client_hash}
    transaction.connection.execute(prompt_tools.insert().values(**values))


def delete_tool(transaction: Transaction, visitor_id: str, kind: ToolKind, name: str) -> None:
    """Delete a row, if it is there."""
    columns = prompt_tools.c
    rows = (columns.visitor_id == visitor_id) & (columns.kind == kind) & (columns.name == name)
    transaction.connection.execute(prompt_tools.delete().where(rows))


def used_prompts(reader: Reader, visitor_id: str, words: Sequence[str], limit: int) -> list[UsedPrompt]:
    """The different prompts of a visitor's newest jobs, the newest first.

    Args:
        words: must all be in the prompt, in their search form.
    """
    query = sa.select(jobs.c.inputs, jobs.c.job_id, jobs.c.model_id, jobs.c.created_at).where(
        jobs.c.visitor_id == visitor_id
    )
    for word in words:
        query = query.where(jobs.c.search_text.contains(word, autoescape=True))
    newest: dict[str, UsedPrompt] = {}
    for inputs, *facts in reader.connection.execute(query.order_by(jobs.c.created_at.desc()).limit(READ_JOBS)):
        prompt = json.loads(inputs).get("prompt")
        if isinstance(prompt, str) and prompt.strip() and prompt not in newest:
            newest[prompt] = UsedPrompt(prompt, *facts)
            if len(newest) == limit:
                break
    return list(newest.values())


def used_models(reader: Reader, visitor_id: str, limit: int) -> list[str]:
    """The model_ids of a visitor's newest jobs, the last one used first."""
    newest = (
        sa.select(jobs.c.model_id, jobs.c.created_at)
        .where(jobs.c.visitor_id == visitor_id)
        .order_by(jobs.c.created_at.desc())
        .limit(READ_JOBS)
    )
    rows = (model_id for model_id, _ in reader.connection.execute(newest))
    return list(dict.fromkeys(rows))[:limit]
