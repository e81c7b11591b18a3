"""The files in an `output`, whatever keys a model has for them: originals, and copies only where nothing else is."""

from __future__ import annotations

from typing import Any

import pytest

from dreamina_ui.api.output_files import copies_of, files_of, has_place_for_files

A, B, THUMB = "https://f.example/a.png", "https://f.example/b.png", "https://f.example/t.png"
BASE64 = "iVBORw0KGgoAAAANSUhEUg=="
DATA_URL = f"data:image/png;base64,{BASE64}"
ONE_FILE: dict[str, Any] = {
    "a preview beside it": {"image": A, "preview": THUMB},
    "an original among copies": {"thumbnail": THUMB, "preview": B, "original": A},
    "sizes in one object": {"image": {"small": THUMB, "medium": B, "original": A}},
    "sizes in a list": {"images": [{"thumb": THUMB, "full": A}]},
    "camel case": {"imageUrls": [A], "thumbnailUrl": THUMB},
    "lists in lists": [[[A]]],
    "numbers as keys": {"images": {"0": A}},
    "deep below unknown keys": {"step": {"9": {"result": {"picture": {"link": A}}}}},
    "only a preview in the list of files": {"images": [{"preview": A}]},
    "before and after": {"before": THUMB, "after": A},
    "before and after in a list": {"images": [{"before": THUMB, "after": A}]},
    "the given image beside it": {"input_image": THUMB, "image": A, "mask_url": B},
}
AS_BASE64: dict[str, Any] = {
    "data URL": {"images": [DATA_URL]},
    "data URL under base64": {"image": {"base64": DATA_URL}},
    "bytes": {"image": {"bytes": BASE64}},
    "inline data": {"parts": [{"inlineData": {"mimeType": "image/png", "data": BASE64}}]},
}
TWO_FILES: dict[str, Any] = {
    "prose below an unknown key": {"text": f"Saved to {A} and {B}."},
    "tags below an unknown key": {"html": f'<a href="{A}"><img src="{B}"></a>', "docs": "See https://f.example/help ."},
    "almost JSON": f"{{'image': '{A}', 'more': '{B}'}}",
    "JSON in JSON": f'"[\\"{A}\\", \\"{B}\\"]"'.replace("/", "\\/"),
    "JSON lines": f'{{"image": "{A}"}}\n{{"image": "{B}"}}',
    "separated by semicolons": f"{A}; {B}",
    "separated by bars": f"{A}|{B}",
    "lists in lists": {"images": [[A], [B]]},
    "previews in the list of files": {"images": [{"preview": A}, {"preview": B}]},
}


def urls(output: Any) -> list[str | None]:
    return [file.url for file in files_of(output)]


@pytest.mark.parametrize("output", ONE_FILE.values(), ids=ONE_FILE.keys())
def test_the_original_is_found_and_its_copies_are_left_out(output: Any) -> None:
    """A copy stored in the place of the image that was paid for would be a loss, and beside it a lie."""
    assert urls(output) == [A]


@pytest.mark.parametrize("output", TWO_FILES.values(), ids=TWO_FILES.keys())
def test_each_file_is_found(output: Any) -> None:
    """All of them were paid for."""
    assert urls(output) == [A, B]


@pytest.mark.parametrize("output", AS_BASE64.values(), ids=AS_BASE64.keys())
def test_a_file_in_the_response_is_read_once(output: Any) -> None:
    """Two prefixes in one URL would make it unreadable."""
    assert urls(output) == [DATA_URL]


def test_base64_of_a_video_is_a_video() -> None:
    """Its bytes tell; as an image it would be refused."""
    assert files_of({"result": "AAAAIGZ0eXBpc29t" + "A" * 40})[0].kind == "video"
    assert files_of({"result": "AAAAIGZ0eXBhdmlm" + "A" * 40})[0].kind == "image"


@pytest.mark.parametrize("key", ["preview", "mask", "preview_url", "thumbnailUrl", "cover", "poster", "previews"])
def test_copies_are_known_as_such(key: str) -> None:
    """Where a result names nothing else, they are what was delivered."""
    output = {key: [A] if key == "previews" else A, "prompt": B, "input": {"image": B}}
    assert urls(output) == []
    assert [file.url for file in copies_of(output)] == [A]
    assert not has_place_for_files(output)
    assert has_place_for_files(output | {"images": []})


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("f.example/a.png?x=1", "https://f.example/a.png?x=1"),
        ("cdn.runcomfy.net/f/1234", "https://cdn.runcomfy.net/f/1234"),
        ("//f.example/a", "https://f.example/a"),
    ],
)
def test_a_url_may_lack_its_scheme(text: str, url: str) -> None:
    """A browser's address bar takes it so."""
    assert (urls({"image": text}), urls([text]), urls(text)) == ([url], [url], [url])


@pytest.mark.parametrize("text", ["outputs/a.png", "and/or", "v1.5/large", "not.ready/yet"])
def test_a_word_with_a_slash_is_no_url(text: str) -> None:
    """Nobody knows where it leads."""
    assert urls({"result": text}) == []
