"""What only a store in a bucket promises: several programs may write, and none harms another."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from dreamina_ui.errors import DiskError, StorageError
from dreamina_ui.media.bucket import PART_BYTES, Bucket, BucketAccess
from dreamina_ui.media.object_store import ObjectStore
from tests.media.store_contract import JOB, ORIGINAL, content_of, put
from tests.support.s3_server import KEY_ID, SECRET


@pytest.fixture
def store(bucket: Bucket, tmp_path: Path) -> ObjectStore:
    return ObjectStore(bucket, tmp_path / "scratch")


def test_keys_are_made_of_what_the_row_says(store: ObjectStore, bucket: Bucket) -> None:
    """Whoever has the rows finds the files without this program, and no key is ever written twice."""
    sha256 = put(store, 2)
    folder = f"media/01/{JOB}/2/{sha256}"
    assert [item.key for item in bucket.list("media")] == [
        f"{folder}/{name}" for name in ("large.webp", "original.png", "preview.webp", "thumbnail.webp")
    ]
    assert [(item.job_id, item.index, item.sha256) for item in store.objects()] == [(JOB, 2, sha256)] * 4
    assert len(list(store.objects(JOB))) == 4


def test_a_late_program_does_not_replace_what_the_row_names(store: ObjectStore) -> None:
    """One that was frozen while another fetched the file wakes up and stores its own."""
    first = put(store)
    second = put(store, content=b"of the late one", extension="jpg")
    assert content_of(store, sha256=first) == ORIGINAL
    assert content_of(store, sha256=second) == b"of the late one"
    assert store.find(JOB, 0, "original", "0" * 64) is None
    assert store.find(JOB, 0, "preview", "../" * 10) is None


def test_what_was_cut_before_its_original_came_is_not_there(store: ObjectStore, bucket: Bucket) -> None:
    """A preview without its original would be shown as a whole image."""
    bucket.put(f"media/01/{JOB}/0/{'a' * 64}/preview.webp", b"half", "image/webp")
    assert store.find(JOB, 0, "preview") is None
    with pytest.raises(DiskError):
        store.add_copy(JOB, 0, "large", b"a large copy")
    put(store)
    assert content_of(store, tier="preview") == b"a preview"


def test_a_copy_is_added_to_the_version_of_the_row(store: ObjectStore) -> None:
    """The other one is swept, and the copy with it."""
    first = put(store)
    put(store, content=b"another")
    store.add_copy(JOB, 0, "large", b"a new copy", first)
    assert content_of(store, tier="large", sha256=first) == b"a new copy"


def test_the_local_disk_holds_nothing_afterwards(store: ObjectStore, tmp_path: Path) -> None:
    """It is scratch space, which a container forgets."""
    put(store)
    assert list((tmp_path / "scratch").iterdir()) == []
    (tmp_path / "scratch" / "left by a crash").write_bytes(b"half an image")
    assert store.clean_up() == 1
    assert content_of(store) == ORIGINAL


def test_a_file_of_many_parts_comes_back_byte_for_byte(store: ObjectStore) -> None:
    """Videos are longer than one request may be."""
    content = bytes(range(256)) * (PART_BYTES // 256) + b"the end"
    sha256 = put(store, content=content, extension="mp4")
    result = store.find(JOB, 0, "original", sha256)
    assert result
    assert result.size_bytes == len(content)
    digest = hashlib.sha256()
    for chunk in result.read():
        digest.update(chunk)
    assert digest.hexdigest() == sha256


def test_a_bucket_that_is_gone_is_a_storage_error(tmp_path: Path) -> None:
    """The job waits for it, and a new one is refused before money is spent."""
    gone = BucketAccess("s3://one/p", endpoint="http://127.0.0.1:9", key_id=KEY_ID, secret=SECRET)
    store = ObjectStore(Bucket(gone, timeout_s=1.0), tmp_path)
    with pytest.raises(StorageError, match="cannot be reached"):
        store.prepare(JOB)
    with pytest.raises(StorageError), store.draft(JOB, 0):
        raise AssertionError("nothing may be fetched")
    with pytest.raises(StorageError):
        store.find(JOB, 0, "preview", "a" * 64)
