"""What every media store promises; a class for each implementation inherits it and says how to make one."""

from __future__ import annotations

import hashlib
import time
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from dreamina_ui.errors import DiskError
from dreamina_ui.media.store import TIERS, MediaStore

JOB = "0123456789abcdef0123456789abcdef"
OTHER_JOB = "fedcba9876543210fedcba9876543210"
ORIGINAL = bytes(range(256)) * 2000
PREVIEWS = {"large": b"a large copy", "preview": b"a preview", "thumbnail": b"a thumbnail"}


def put(store: MediaStore, index: int = 0, content: bytes = ORIGINAL, extension: str = "png") -> str:
    """Store an output as the fetcher does; returns the SHA-256 that its row gets."""
    sha256 = hashlib.sha256(content).hexdigest()
    with store.draft(JOB, index) as draft:
        draft.file.write(content)
        draft.sync()
        draft.store(extension, PREVIEWS, sha256)
    return sha256


def content_of(store: MediaStore, index: int = 0, tier: str = "original", sha256: str | None = None) -> bytes | None:
    """All bytes of a stored file; None if it is not there."""
    result = store.find(JOB, index, tier, sha256)
    return b"".join(result.read()) if result else None


class MediaStoreContract(ABC):
    """Inherit it as `Test...`; the tests know nothing but the protocol."""

    @pytest.fixture
    def store(self, tmp_path_factory: pytest.TempPathFactory) -> MediaStore:
        """An empty store that job `JOB` is prepared in."""
        made = self.make(tmp_path_factory)
        made.prepare(JOB)
        return made

    @abstractmethod
    def make(self, tmp_path_factory: pytest.TempPathFactory) -> MediaStore:
        """Make an empty store."""

    def test_an_output_comes_back_byte_for_byte_in_all_tiers(self, store: MediaStore) -> None:
        """People paid for the original, and the page shows the others."""
        put(store)
        assert content_of(store) == ORIGINAL
        assert {tier: content_of(store, tier=tier) for tier in PREVIEWS} == PREVIEWS

    def test_a_copy_can_be_added_later(self, store: MediaStore) -> None:
        """Images that were stored before there were large copies get theirs when somebody asks for it."""
        with store.draft(JOB, 0) as draft:
            draft.file.write(ORIGINAL)
            draft.store("png", {"preview": b"a preview", "thumbnail": b"a thumbnail"})
        assert store.find(JOB, 0, "large") is None
        store.add_copy(JOB, 0, "large", b"a large copy")
        assert content_of(store, tier="large") == b"a large copy"
        assert content_of(store) == ORIGINAL

    def test_no_copy_is_added_to_what_is_not_there(self, store: MediaStore) -> None:
        """A person may delete an image while its copy is made."""
        with pytest.raises(DiskError):
            store.add_copy(JOB, 0, "large", b"a large copy")
        assert store.find(JOB, 0, "large") is None

    def test_a_stored_file_says_its_name_size_and_time(self, store: MediaStore) -> None:
        """They become a download's headers before its first byte is read."""
        put(store)
        result = store.find(JOB, 0, "original")
        assert result
        assert (result.name, result.size_bytes) == ("original.png", len(ORIGINAL))
        assert abs(result.modified_at - time.time()) < 3600

    @pytest.mark.parametrize(("start", "stop"), [(0, 1), (100, 200), (511_999, 512_000), (7, 7), (300_000, None)])
    def test_any_range_can_be_read(self, store: MediaStore, start: int, stop: int | None) -> None:
        """Players jump, and downloads resume."""
        put(store)
        result = store.find(JOB, 0, "original")
        assert result
        assert b"".join(result.read(start, stop)) == ORIGINAL[start:stop]
        with result.open(start) as stream:
            assert stream.read(10) == ORIGINAL[start : start + 10]

    def test_the_stream_can_seek(self, store: MediaStore) -> None:
        """Settings are spliced into a copy of the file."""
        put(store)
        result = store.find(JOB, 0, "original")
        assert result
        with result.open() as stream:
            assert stream.seek(0, 2) == len(ORIGINAL)
            stream.seek(1000)
            assert stream.read(10) == ORIGINAL[1000:1010]

    def test_what_was_written_can_be_read_before_it_is_stored(self, store: MediaStore) -> None:
        """It is verified before it counts."""
        with store.draft(JOB, 0) as draft:
            draft.file.write(ORIGINAL)
            draft.sync()
            draft.file.seek(0)
            assert hashlib.sha256(draft.file.read()).digest() == hashlib.sha256(ORIGINAL).digest()

    def test_a_draft_that_is_not_stored_leaves_nothing(self, store: MediaStore) -> None:
        """Half a file shown as a whole one would be a lie."""
        with suppress(RuntimeError), store.draft(JOB, 0) as draft:
            draft.file.write(ORIGINAL)
            raise RuntimeError
        with store.draft(JOB, 0) as draft:
            draft.file.write(ORIGINAL)
        assert [store.find(JOB, 0, tier) for tier in TIERS] == [None] * 4
        assert store.find_damaged(JOB, 0) is None

    def test_a_refusal_while_writing_is_a_disk_error(self, store: MediaStore) -> None:
        """The job waits for room; it does not fail."""
        with pytest.raises(DiskError), store.draft(JOB, 0):
            raise OSError(28, "No space left on device")
        assert store.find(JOB, 0, "original") is None

    def test_an_output_without_previews_is_whole(self, store: MediaStore) -> None:
        """Videos have none."""
        with store.draft(JOB, 0) as draft:
            draft.file.write(b"a video")
            draft.store("mp4", {})
        assert content_of(store) == b"a video"
        assert store.find(JOB, 0, "preview") is None

    def test_a_new_output_replaces_the_old_one_with_all_of_it(self, store: MediaStore) -> None:
        """A file fetched again may have another format."""
        put(store)
        sha256 = put(store, content=b"new", extension="jpg")
        result = store.find(JOB, 0, "original", sha256)
        assert result
        assert (result.name, content_of(store, sha256=sha256)) == ("original.jpg", b"new")
        assert content_of(store, tier="preview", sha256=sha256) == PREVIEWS["preview"]

    def test_a_damaged_file_is_set_aside_until_a_good_one_comes(self, store: MediaStore) -> None:
        """It may be half of something that cannot be made again."""
        for content in (b"first", b"second"):
            with store.draft(JOB, 0) as draft:
                draft.file.write(content)
                draft.set_aside("png")
        aside = store.find_damaged(JOB, 0)
        assert aside
        assert b"".join(aside.read()) == b"second"
        assert store.find(JOB, 0, "original") is None
        put(store)
        assert store.find_damaged(JOB, 0) is None

    def test_an_empty_file_is_not_set_aside(self, store: MediaStore) -> None:
        """There is nothing in it to rescue, and an older one may hold something."""
        with store.draft(JOB, 0) as draft:
            draft.file.write(b"something")
            draft.set_aside("png")
        with store.draft(JOB, 0) as draft:
            draft.set_aside("png")
        aside = store.find_damaged(JOB, 0)
        assert aside
        assert b"".join(aside.read()) == b"something"

    def test_removal_takes_one_output_and_all_of_it(self, store: MediaStore) -> None:
        """Deleted means gone, and nothing else is."""
        put(store, 0)
        put(store, 1)
        store.remove(JOB, 0)
        store.remove(JOB, 0)
        store.remove(OTHER_JOB, 5)
        assert [content_of(store, 0), content_of(store, 1)] == [None, ORIGINAL]

    def test_a_file_removed_meanwhile_is_not_found(self, store: MediaStore) -> None:
        """Its URL gets a 404, not half a response."""
        put(store)
        result = store.find(JOB, 0, "original")
        assert result
        store.remove(JOB, 0)
        with pytest.raises(FileNotFoundError):
            result.open()

    def test_cleaning_up_spares_what_is_stored(self, store: MediaStore) -> None:
        """It runs at every start."""
        put(store)
        store.prepare(OTHER_JOB)
        store.clean_up()
        assert content_of(store) == ORIGINAL
        with store.draft(OTHER_JOB, 0) as draft:
            draft.store("png", {})
        assert store.find(OTHER_JOB, 0, "original")

    def test_discarding_spares_a_job_that_has_files(self, store: MediaStore) -> None:
        """Preparing a duplicate is undone without touching the result of the first."""
        put(store)
        store.discard(JOB)
        store.discard(OTHER_JOB)
        assert content_of(store) == ORIGINAL

    def test_many_threads_store_at_the_same_time(self, store: MediaStore) -> None:
        """Four outputs of many jobs come side by side."""
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda index: put(store, index, b"%d" % index), range(24)))
        assert [content_of(store, index) for index in range(24)] == [b"%d" % index for index in range(24)]

    @pytest.mark.parametrize("job_id", ["", "../" + JOB, JOB[:-1], JOB + "\n", JOB.upper(), "g" * 32])
    def test_what_is_no_job_id_is_refused(self, store: MediaStore, job_id: str) -> None:
        """Names come from outside, and must not become paths."""
        for call in (store.prepare, store.discard, lambda job_id: store.find(job_id, 0, "original")):
            with pytest.raises(ValueError, match="job_id"):
                call(job_id)
        with pytest.raises(ValueError, match="job_id"), store.draft(job_id, 0):
            pass

    def test_what_is_no_index_or_tier_is_refused(self, store: MediaStore) -> None:
        """Names come from outside, and must not become paths."""
        with pytest.raises(ValueError, match="index"):
            store.find(JOB, -1, "original")
        with pytest.raises(ValueError, match="index"), store.draft(JOB, -1):
            pass
        for tier in ("", "../original", "original.png", "damaged"):
            with pytest.raises(ValueError, match="tier"):
                store.find(JOB, 0, tier)
