"""JSON bodies that would keep a parser busy are refused before one sees them."""

from __future__ import annotations

import json

import pytest
import requests

from dreamina_ui.web.middleware.json_bounds import MAX_DEPTH, MAX_DIGITS, MAX_VALUES, shape_flaw
from dreamina_ui.web.paths import names_files
from tests.support.browser import AppProcess, wait_for

PATHS = (
    "/gradio_api/mcp/", "/gradio_api/mcp", "/gradio_api/queue/join", "/gradio_api/call/generate",
    "/gradio_api/call/v2/job", "/dreamina/generate", "/dreamina/batch/plan",
    "/dreamina/library/mark", "/dreamina/key",
)  # fmt: skip
LARGE = {
    "nested lists": b"[" * 2000,
    "nested objects": b'{"a":' * 2000,
    "nested in an argument": b'{"method": "tools/call", "params": ' + b"[" * 40 + b"]" * 40 + b"}",
    "many values": b'{"inputs": [' + b"0," * 30_000 + b"0]}",
    "many keys": json.dumps({str(number): 0 for number in range(5200)}).encode(),
    "a number of thousands of digits": b'{"model_id": ' + b"9" * 60_000 + b"}",
}  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_no_parser_gets_json_of_an_excessive_shape(app: AppProcess, path: str) -> None:
    """Deep nesting ended in a server error with a long traceback, and each of many values takes memory."""
    wait_for(lambda: "The page is at" in app.output)  # the last line of its start
    before = len(app.output)
    for name, body in LARGE.items():
        response = requests.post(app.url + path, data=body, headers={"Content-Type": "application/json"}, timeout=10)
        assert response.status_code == 400, (name, response.status_code, response.text[:200])
        assert len(response.content) < 400, name
        assert response.json()["message"]
    assert len(app.output) == before


@pytest.mark.parametrize(
    "body",
    [
        b"[" * MAX_DEPTH + b"]" * MAX_DEPTH,
        json.dumps(["[{,"] * (MAX_VALUES - 2)).encode(),
        json.dumps({"prompt": '"[' * 900 + "\\"}).encode(),
        b"9" * MAX_DIGITS,
        json.dumps({"text": "9" * 5000}).encode(),
        b"", b"no JSON at all", b'{"cut off": "in a te', b"]]]]",
    ],
)  # fmt: skip
def test_what_clients_send_passes(body: bytes) -> None:
    """Brackets and commas within a text are no structure."""
    assert shape_flaw(body) == ""


@pytest.mark.parametrize(
    ("path", "has_many"),
    [
        ("/dreamina/library/mark", True),
        ("/studio/dreamina/boards", True),
        ("/dreamina/boards/of-files", True),
        ("/dreamina/generate", False),
        ("/gradio_api/mcp/", False),
    ],
)
def test_only_lists_of_files_may_be_long(path: str, has_many: bool) -> None:
    """A selection of thousands of images can be put on a board; nothing else needs as much."""
    assert names_files(path) is has_many


SIZE = 6_400_000


@pytest.mark.parametrize("body", [b'"' * SIZE, b'"\\' * (SIZE // 2), b'"' + b'\\"' * (SIZE // 2), b"\\" * SIZE])
def test_an_unfinished_text_is_scanned_once(body: bytes) -> None:
    """A scan that begins anew at each quotation mark would not end this year."""
    shape_flaw(body)
