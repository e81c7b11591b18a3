"""Whatever a response holds, reading it ends with neutral values or one of our errors.

The long form is described in `tests/support/fuzzing.py`.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dreamina_ui import errors
from dreamina_ui.api.http_session import Call
from dreamina_ui.api.output_files import MAX_FILES, files_of
from dreamina_ui.api.redaction import Redactor
from dreamina_ui.api.refusals import refusal_of
from dreamina_ui.api.responses import ApiResponse, parse_retry_after, reason_text
from tests.support.fuzzing import fuzz

TOKEN = "tok-3f9c2a7be1d84c55"  # not a real one
FUZZ = fuzz(150)

URLS = st.sampled_from(
    ["https://f.example/a.png", "https://f.example/b.png?sig=%7E", "http://f.example/v.mp4", "HTTPS://F.EXAMPLE/C.PNG",
     "data:image/png;base64,iVBORw0K", "https://f.example/a b.png\n"]
)  # fmt: skip
KEYS = st.sampled_from(
    ["image", "images", "video", "videos", "image_urls", "url", "urls", "output", "outputs", "data", "b64_json",
     "error", "input", "inputs", "content_type", "thumbnail_url", "status", "message", "details", "type", "code",
     "loc", "msg", "error_code", "failure_reason", "queue_position", "detail", "error_message"]
)  # fmt: skip
ODD_TEXTS = st.sampled_from(["", " ", "//f.example/d.png", "[", "{", '{"url": "https://f.example/e.png"}', TOKEN])
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | URLS | ODD_TEXTS
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=6), inner, max_size=4),
    max_leaves=25,
)
CODES = st.sampled_from(
    [0, 400001, 400002, 400004, 400005, 401001, 403001, 404001, 422001, 500001, "404001", "E7", 7.5]
)


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8", "replace")


@FUZZ
@given(JSON)
def test_any_output_gives_files_or_none(output: Any) -> None:
    """A result that was paid for must not break the program, and never invents a file."""
    files = files_of(output)
    assert len(files) <= MAX_FILES
    kinds = [file.kind for file in files]
    assert kinds == sorted(kinds, key=lambda kind: kind != "image")
    urls = [file.url for file in files if file.url]
    assert len(urls) == len(set(urls))
    assert all(url.strip() for url in urls)
    assert files_of(output) == files


@FUZZ
@given(st.lists(st.none() | URLS, max_size=6))
def test_no_file_is_lost_or_invented_where_some_are_missing(urls: list[str | None]) -> None:
    """What is missing is counted; what is there is exactly as it came."""
    files = files_of({"images": urls})
    assert [file.url for file in files if file.url] == list(dict.fromkeys(url for url in urls if url))
    assert sum(file.url is None for file in files) == urls.count(None)


@FUZZ
@given(st.dictionaries(st.sampled_from(["input", "inputs", "prompt", "status_url", "result_url", "logs"]), JSON))
def test_inputs_are_never_taken_for_outputs(output: dict[str, Any]) -> None:
    """The given images come back in a response; to store them as results would be a lie."""
    assert files_of(output) == ()


@FUZZ
@given(JSON)
def test_any_error_gives_a_text_or_none(value: Any) -> None:
    """It is shown to people as it is."""
    text = reason_text(value)
    assert text is None or (isinstance(text, str) and text.strip())


@FUZZ
@given(st.text(max_size=40) | st.sampled_from(["5", "0", "-1", "nan", "Wed, 21 Oct 2099 07:28:00 GMT", "9" * 400]))
def test_any_retry_after_gives_a_wait_or_none(header: str) -> None:
    """A gateway may write anything into it."""
    wait_s = parse_retry_after(header)
    assert wait_s is None or wait_s >= 0


@FUZZ
@given(
    status=st.integers(200, 599),
    content=st.dictionaries(KEYS, JSON | CODES, max_size=5).map(encoded) | JSON.map(encoded) | st.binary(max_size=60),
    name=st.sampled_from(["submit", "status", "result", "cancel", "price"]),
)
def test_any_response_is_read_and_shows_no_token(status: int, content: bytes, name: str) -> None:
    """A foreign exception would leave a paid job without a state."""
    redactor = Redactor(TOKEN)
    call = Call("GET", "/x", "the thing", name, None if name in ("submit", "price") else "r-1")
    response = ApiResponse.parse(status, None, content, redactor.redact)
    refusal = refusal_of(response, call, redactor)
    assert refusal is None or isinstance(refusal, errors.ApiError)
    assert TOKEN not in f"{refusal} {getattr(refusal, 'detail', '')} {response.message} {response.reason}"
    if isinstance(refusal, errors.RequestNotFoundError):
        assert response.error_code is not None, "only the service itself says that a request is unknown"


@pytest.mark.parametrize("output", [{"images": ["https://f.example/a.png", None]}, {"images": [{"url": None}]}])
def test_a_missing_file_has_its_place(output: dict[str, Any]) -> None:
    """So that it is stored under its own number if it comes later."""
    assert files_of(output)[-1].url is None


A = "https://f.example/a.png"
B = "https://f.example/b.png?sig=%7E"
ORIGIN = "https://api.example"
PNG_BASE64 = "iVBORw0KGgoAAAANSUhEUg"
SHAPES: dict[str, tuple[Any, list[str]]] = {
    "numbers as keys": ({"images": {"0": A, "1": B}}, [A, B]),
    "an object in an object": ({"image": {"url": A}}, [A]),
    "data": ({"data": [{"url": A}]}, [A]),
    "image_url": ({"image_url": {"url": A}}, [A]),
    "lists in a list": ({"images": [[A], [B]]}, [A, B]),
    "one text for a list": ({"images": A}, [A]),
    "several in a text": ({"images": f"{A}, {B}"}, [A, B]),
    "several in lines": (f"{A}\n{B}\n", [A, B]),
    "without the host": ({"image": "/files/a.png"}, [f"{ORIGIN}/files/a.png"]),
    "without the scheme": ({"image": "//f.example/a.png"}, [A]),
    "value": ({"outputs": [{"type": "image", "value": A}]}, [A]),
    "path": ({"files": [{"name": "a.png", "path": A}]}, [A]),
    "sample": ({"result": {"sample": A}}, [A]),
    "several under a key that nobody knows": ({"images": [{"renders": [A, B]}]}, [A, B]),
    "the same in two sizes": ({"images": [{"small": B, "large": A}]}, [A]),
    "the same as a thumb": ({"images": [{"thumb": B, "picture": A}]}, [A]),
    "with a thumbnail": ({"images": [{"original_url": A, "thumbnail_url": B}]}, [A]),
    "an empty url": ({"images": [{"url": "", "download_url": A}]}, [A]),
    "camel case": ({"imageUrls": [A]}, [A]),
    "another word": ({"picture": {"signed_url": A}}, [A]),
    "a task": ({"task_result": {"images": [{"index": 0, "url": A}]}}, [A]),
    "a list in a text": (f'["{A}"]', [A]),
    "quoted": (f'"{A}"', [A]),
    "in angle brackets": (f"<{A}>", [A]),
    "Markdown": (f"![a fox]({A})", [A]),
    "in a sentence": (f"Here is your image: {B}.", [B]),
    "the scheme in capitals": ("HTTPS" + A[5:], ["HTTPS" + A[5:]]),
    "base64": ({"image_base64": PNG_BASE64}, [f"data:image/png;base64,{PNG_BASE64}"]),
    "base64 in a list": ({"images": [PNG_BASE64]}, [f"data:image/png;base64,{PNG_BASE64}"]),
    "no video": ({"video": None, "image": A, "images": [A]}, [A]),
    "with a space": ({"image": "https://f.example/a b.png"}, ["https://f.example/a b.png"]),
}


@pytest.mark.parametrize(("output", "urls"), SHAPES.values(), ids=SHAPES.keys())
def test_files_are_found_wherever_their_urls_can_stand(output: Any, urls: list[str]) -> None:
    """Each model has a shape of its own, and what it made was paid for."""
    assert [file.url for file in files_of(output, ORIGIN)] == urls


def test_words_in_the_place_of_a_file_say_why_there_is_none() -> None:
    """They are no URL that could be fetched."""
    files = files_of({"images": ["Blocked by the content filter.", A]})
    assert [(file.url, file.reason) for file in files] == [(None, "Blocked by the content filter."), (A, None)]


ERRORS: dict[str, Any] = {
    "a text": "  GPU lost ",
    "an object in an object": {"error": {"message": "GPU lost"}},
    "JSON in a text": '{"message": "GPU lost"}',
    "a list of objects": [{"message": "GPU lost"}],
    "a list of texts": ["GPU lost", "GPU lost"],
    "an object with a code": {"code": "oom", "message": "GPU lost", "param": None},
}


@pytest.mark.parametrize("value", ERRORS.values(), ids=ERRORS.keys())
@pytest.mark.parametrize("key", ["error", "errors", "failure_reason", "detail", "status_message", "reason", "message"])
def test_an_error_is_read_as_its_text(key: str, value: Any) -> None:
    """Raw JSON helps nobody."""
    assert ApiResponse.parse(200, None, encoded({key: value})).message == "GPU lost"


REASONS: dict[str, dict[str, Any]] = {
    "camel case": {"errorMessage": "The GPU was lost."},
    "a short name": {"err_msg": "The GPU was lost."},
    "an exception": {"exception": {"type": "OOM", "message": "The GPU was lost."}},
    "a text beside a type": {"error": {"error_type": "oom", "error_msg": "The GPU was lost."}},
    "a title": {"error": {"title": "The GPU was lost.", "status": 500}},
    "in several languages": {"error": {"message": {"zh": "x", "en": "The GPU was lost."}}},
    "failureReason": {"error": None, "failureReason": "The GPU was lost."},
}


@pytest.mark.parametrize("body", REASONS.values(), ids=REASONS.keys())
def test_a_reason_is_read_however_it_is_called(body: dict[str, Any]) -> None:
    """People change their prompt by it; raw JSON, or nothing, helps nobody."""
    response = ApiResponse.parse(200, None, json.dumps({"status": "failed"} | body).encode())
    assert response.reason == "The GPU was lost."
