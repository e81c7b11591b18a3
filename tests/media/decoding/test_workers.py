"""An image can end a decoding process and nothing else."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from dreamina_ui.media.decoding import workers as workers_module
from dreamina_ui.media.decoding.copies import Bounds, Copies, ImageError
from dreamina_ui.media.decoding.workers import DecodeWorkers
from dreamina_ui.media.formats import FORMATS
from dreamina_ui.media.store import COPY_PX, TIERS
from tests.media.odd_pngs import DAMAGED_PNGS
from tests.support.hostile_images import encode, png_of_size

PNG = next(form for form in FORMATS if form.name == "PNG")
JPEG = next(form for form in FORMATS if form.name == "JPEG")
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process")


@pytest.fixture
def make_workers() -> Iterator[Callable[..., DecodeWorkers]]:
    made: list[DecodeWorkers] = []

    def make(**options: float) -> DecodeWorkers:
        made.append(DecodeWorkers(**options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for workers in made:
        workers.stop()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "an image"


def copies_of(workers: DecodeWorkers, path: Path, data: bytes, **bounds: float) -> Copies:
    path.write_bytes(data)
    with path.open("rb") as file:
        return workers.make_copies(file, PNG, TIERS[1:], Bounds(**bounds))  # type: ignore[arg-type]


def pids(workers: DecodeWorkers) -> set[int]:
    return {worker._process.pid for worker in workers._workers}


GOOD = encode(Image.new("RGB", (90, 60), "tomato"), "PNG")


def test_images_are_decoded_in_a_process_that_stays_warm(
    make_workers: Callable[..., DecodeWorkers], path: Path
) -> None:
    """Starting one for each image would cost a tenth of a second."""
    workers = make_workers()
    with workers.expecting():
        pass
    first = pids(workers)
    assert len(first) == 1
    copies = copies_of(workers, path, GOOD)
    assert (copies.width, copies.height, list(copies.files)) == (90, 60, ["preview", "thumbnail"])
    with pytest.raises(ImageError) as caught:
        copies_of(workers, path, DAMAGED_PNGS["data with a wrong checksum"])
    assert caught.value.is_damage
    assert pids(workers) == first
    assert os.getpid() not in first


@pytest.mark.parametrize("size", [(6198, 2656), (4096, 4096)])
def test_the_largest_results_pass_within_the_limit(
    make_workers: Callable[..., DecodeWorkers], path: Path, size: tuple[int, int]
) -> None:
    """The models make up to 16.7 megapixels, and a limit must not cost a preview of them."""
    copies = copies_of(make_workers(), path, png_of_size(*size, pixel_bytes=3))
    assert list(copies.files) == [*COPY_PX]


@needs_linux
def test_an_image_that_needs_more_memory_than_allowed_is_refused(
    make_workers: Callable[..., DecodeWorkers], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a file announces may be a lie, so the system limits the process as well."""
    # Its announced size passes, as if the estimate of its memory were wrong.
    workers = make_workers(memory_bytes=100 * 10**6)
    with pytest.raises(ImageError, match="memory") as caught:
        copies_of(workers, path, png_of_size(3100, 3100))
    assert not caught.value.is_damage
    assert copies_of(workers, path, GOOD)


def test_an_image_that_takes_too_long_is_tried_twice_and_given_up(
    make_workers: Callable[..., DecodeWorkers], path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Two cores must not be held by one image; the log says what happened, once."""
    workers = make_workers()
    with pytest.raises(ImageError, match="too long") as caught:
        copies_of(workers, path, png_of_size(4000, 4000), wall_s=0.0)
    assert not caught.value.is_damage
    assert pids(workers) == set()
    assert [record.levelname for record in caplog.records if record.name == workers_module.__name__] == ["WARNING"]


def test_several_images_on_their_way_find_as_many_processes(make_workers: Callable[..., DecodeWorkers]) -> None:
    """The second of four must not wait until the first is decoded; there are never more than two."""
    workers = make_workers()
    with workers.expecting():
        assert len(pids(workers)) == 1
        with workers.expecting(), workers.expecting():
            assert len(pids(workers)) == 2
    with workers.expecting():
        assert len(pids(workers)) == 2


def test_a_process_that_dies_is_replaced_and_the_image_tried_again(
    make_workers: Callable[..., DecodeWorkers], path: Path
) -> None:
    """The system may have ended it for want of memory, and the image is good."""
    workers = make_workers()
    with workers.expecting():
        pass
    [first] = pids(workers)
    os.kill(first, signal.SIGTERM)
    assert copies_of(workers, path, GOOD)
    assert first not in pids(workers)


def test_processes_end_when_there_is_nothing_to_do(make_workers: Callable[..., DecodeWorkers], path: Path) -> None:
    """Their memory is for others then."""
    workers = make_workers(idle_s=0.0)
    assert copies_of(workers, path, GOOD)
    assert workers._timer
    workers._timer.join(10)
    assert pids(workers) == set()
    assert copies_of(workers, path, GOOD)


def test_nothing_is_decoded_after_the_stop(make_workers: Callable[..., DecodeWorkers], path: Path) -> None:
    """The image is not to blame, and its job resumes at the next start."""
    workers = make_workers()
    with workers.expecting():
        pass
    workers.stop()
    with pytest.raises(RuntimeError):
        copies_of(workers, path, GOOD)


def test_a_process_that_cannot_be_started_is_no_damage(
    make_workers: Callable[..., DecodeWorkers], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full machine must not turn a good image into a damaged one."""
    monkeypatch.setattr(sys, "executable", str(path.parent / "no such program"))
    with pytest.raises(ImageError, match="started") as caught:
        copies_of(make_workers(), path, GOOD)
    assert not caught.value.is_damage


@needs_linux
def test_a_decoding_process_knows_no_secret(
    make_workers: Callable[..., DecodeWorkers], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image that takes over its decoder finds nothing to take along."""
    monkeypatch.setenv("RUNCOMFY_API_TOKEN", "a secret")
    workers = make_workers()
    with workers.expecting():
        pass
    [pid] = pids(workers)
    assert b"a secret" not in Path(f"/proc/{pid}/environ").read_bytes()


@needs_linux
def test_decoding_processes_end_with_their_server() -> None:
    """A server that was killed leaves nothing behind."""
    program = """
        import os
        from dreamina_ui.media.decoding.workers import DecodeWorkers
        workers = DecodeWorkers()
        with workers.expecting():
            pass
        print(*(worker._process.pid for worker in workers._workers), flush=True)
        os.kill(os.getpid(), 9)
    """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True)
    wait_for_end(int(ended.stdout))


def wait_for_end(pid: int) -> None:
    """Wait until a process that is not ours has ended."""
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        assert select.select([handle], [], [], 20)[0]
        os.close(handle)


def test_a_decoding_process_imports_little() -> None:
    """It must start while the file is still downloaded, and is not worth what the page takes to import."""
    code = "import sys, dreamina_ui.media.decoding.worker; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "PIL" in ended.stdout.split()
    assert not {"numpy", "gradio", "sqlalchemy", "requests", "asyncio"} & set(ended.stdout.split())


def test_the_server_itself_opens_no_image() -> None:
    """A decoder's vulnerability is one of a process without secrets."""
    code = "import sys, dreamina_ui.media.fetching.fetch, dreamina_ui.media.input_files; print('PIL' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "False"
