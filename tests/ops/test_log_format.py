"""The log: one line for each event, and no key and no prompt in any of them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from dreamina_ui.ledger.job import new_id
from dreamina_ui.ops.log_format import JsonLines, TextLines
from tests.support.harness import Harness, ScriptedApi


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What the program logs at INFO as JSON lines."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("dreamina_ui")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield stream
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


def test_each_change_of_state_is_one_line_without_prompt_or_key(
    harness: Harness, service: ScriptedApi, lines: io.StringIO
) -> None:
    """A log can be searched for a request, and who reads it can neither cancel a job nor read along."""
    service.status("in_queue", "in_progress", "completed")
    service.completes()
    harness.start()
    job = harness.generate(prompt="a secret wish")
    harness.wait(job.job_id, "done")
    reported = [json.loads(line) for line in lines.getvalue().splitlines()]
    states = [line for line in reported if "state" in line]
    assert {line["job"] for line in states} == {job.job_id[:8]}
    assert [line["state"] for line in states][:2] == ["submitting", "queued"]
    assert states[-1]["state"] == "done"
    assert states[-1]["request_id"] == service.request_id
    assert job.job_id not in lines.getvalue()
    assert "secret wish" not in lines.getvalue()


@pytest.mark.parametrize("formatter", [JsonLines(), TextLines()])
def test_a_key_is_shortened_wherever_it_stands(formatter: logging.Formatter) -> None:
    """Libraries and tracebacks tell of paths and URLs too; the service's own id stays whole."""
    key, request_id = new_id(), new_id()
    try:
        raise OSError(f"/data/media/{key[:2]}/{key}/0/original.png")
    except OSError as exc:
        record = logging.getLogger("x").makeRecord(
            "x", logging.WARNING, "f", 1, "GET /dreamina/jobs/%s\n2026 INFO forged", (key,),
            (type(exc), exc, exc.__traceback__), extra={"request_id": request_id, "state": request_id},
        )  # fmt: skip
    text = formatter.format(record)
    assert key[8:] not in text
    assert text.count(key[:8]) == 2
    assert "\n2026" not in text
    if isinstance(formatter, JsonLines):
        line: dict[str, Any] = json.loads(text)
        assert line["request_id"] == request_id
        assert "OSError" in line["trace"]


HOSTILE = "\x1b[31mred\x9b2J\r\u202egnp\ud800\n2026-11-29 ERROR forged: line"


@pytest.mark.parametrize("formatter", [JsonLines(), TextLines()])
def test_nothing_that_a_stranger_sends_leaves_its_line(formatter: logging.Formatter) -> None:
    """Escape codes would act on the terminal of whoever reads the log, and a line break would forge a line."""
    try:
        raise ValueError(HOSTILE)
    except ValueError as exc:
        failed = (type(exc), exc, exc.__traceback__)
    record = logging.LogRecord("x", logging.WARNING, "f", 1, "GET %s", (HOSTILE,), failed)
    text = formatter.format(record)
    assert not set("\x1b\x9b\r\u202e\ud800") & set(text)
    assert not any(line.startswith("2026-11-29 ERROR") for line in text.splitlines())
    text.encode()


@pytest.mark.parametrize("formatter", [JsonLines(), TextLines()])
def test_one_record_takes_little_room(formatter: logging.Formatter) -> None:
    """A stranger's megabyte in an exception's text is not worth one in the log."""
    try:
        raise ValueError("x" * 1_000_000)
    except ValueError as exc:
        failed = (type(exc), exc, exc.__traceback__)
    record = logging.LogRecord("x", logging.WARNING, "f", 1, "y" * 1_000_000, (), failed)
    text = formatter.format(record)
    assert len(text) < 6000
    assert "Traceback" in text
