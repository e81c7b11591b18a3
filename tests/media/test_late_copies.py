"""Images that were stored before there were large copies get theirs when somebody asks for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from dreamina_ui.media.folder_store import FolderStore
from dreamina_ui.media.late_copies import MAX_WAITING, LateCopies
from tests.support.decoding import decoder
from tests.support.hostile_images import encode

JOB = "0123456789abcdef0123456789abcdef"
LARGE = encode(Image.new("L", (3000, 30), 90), "PNG")


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    made = FolderStore(tmp_path / "media")
    made.prepare(JOB)
    return made


def put(store: FolderStore, content: bytes, index: int = 0) -> None:
    with store.draft(JOB, index) as draft:
        draft.file.write(content)
        draft.store("png", {"preview": b"a preview", "thumbnail": b"a thumbnail"})


def test_a_large_copy_is_made_once_however_many_ask_for_it(store: FolderStore) -> None:
    """Ten tabs of one person must not cost ten decodes."""
    put(store, LARGE)
    copies = LateCopies(store, decoder())
    with decoder()._background:  # nothing is decoded meanwhile
        first, second = copies.request(JOB, 0), copies.request(JOB, 0)
    assert first is second
    assert first
    made = first.result(20)
    assert made
    with Image.open(made.open()) as image:
        assert image.size == (2560, 26)
    assert [path.name for path in store.job_folder(JOB).iterdir()] == ["0"]


def test_an_image_of_which_none_can_be_made_is_not_decoded_again(store: FolderStore) -> None:
    """Each visit of the page would cost a decode."""
    put(store, LARGE[:60])
    copies = LateCopies(store, decoder())
    first = copies.request(JOB, 0)
    assert first
    assert first.result(20) is None
    assert copies.request(JOB, 0) is None
    assert store.find(JOB, 0, "original")


def test_only_so_many_wait_at_the_same_time(store: FolderStore) -> None:
    """A visitor with a large, old library must not fill the memory with requests."""
    copies = LateCopies(store, decoder())
    put(store, LARGE)
    with decoder()._background:
        started = [copies.request(JOB, index) for index in range(MAX_WAITING + 4)]
        assert sum(item is None for item in started) <= 4
        assert copies.request(JOB, 99) is None or started[-1] is not None
    for item in started:
        if item:
            item.result(20)
