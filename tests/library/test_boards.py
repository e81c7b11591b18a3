"""Boards, ratings, colors and shares: what a visitor makes of their images, with each database."""

from __future__ import annotations

import pytest

from dreamina_ui.errors import InputError
from dreamina_ui.library.boards import MAX_NAME_CHARACTERS, Boards
from dreamina_ui.library.late_colors import LateColors
from dreamina_ui.library.library import UNDO_S, LibraryFilter
from dreamina_ui.library.retention import Retention
from dreamina_ui.library.shares import Shares
from dreamina_ui.media.decoding.colors import bit_of
from tests.support.decoding import decoder
from tests.support.library_rows import LibraryRows, ManualClock


@pytest.fixture
def shares(rows: LibraryRows) -> Shares:
    return Shares(rows.ledger, rows.clock)


def names(boards: Boards, visitor: str = "v") -> list[tuple[str, int]]:
    return [(board.name, board.files) for board in boards.of_visitor(visitor)]


def test_a_board_is_made_with_images_renamed_moved_and_removed(rows: LibraryRows, boards: Boards) -> None:
    """A project is more than a star, and removing it costs no image."""
    job = rows.add("a red fox", files=3)
    keys = [output.file_key for output in job.outputs]
    first = boards.create("v", "  Foxes   in snow ", keys[:2], "v")
    second = boards.create("v", "狐")
    assert names(boards) == [("Foxes in snow", 2), ("狐", 0)]
    boards.order("v", [second.board_id])
    boards.rename(first, "Foxes")
    boards.add(second, [*keys, keys[0], "0" * 32], "v")
    boards.add(second, keys, "v")
    assert names(boards) == [("狐", 3), ("Foxes", 2)]
    boards.remove(second, keys[1:])
    assert names(boards) == [("狐", 1), ("Foxes", 2)]
    assert sorted(boards.of_files("v", keys)[keys[0]]) == sorted([first.board_id, second.board_id])
    assert rows.library.count(LibraryFilter(board_id=first.board_id)) == 2
    rows.library.mark([keys[0]], "v", deleted_at=rows.clock())
    assert names(boards) == [("狐", 0), ("Foxes", 1)]
    boards.delete(first)
    assert names(boards) == [("狐", 0)]
    assert rows.library.count(LibraryFilter()) == 2


def test_a_board_has_only_what_its_visitor_may_see(rows: LibraryRows, boards: Boards) -> None:
    """Who knows the key of another's image cannot put it on a board, and another's board answers to nobody else."""
    mine, theirs = rows.add(visitor_id="v"), rows.add(visitor_id="w")
    keys = [job.outputs[0].file_key for job in (mine, theirs)]
    board = boards.create("v", "Mine", keys, "v")
    assert board.files == 1
    assert boards.board(board.board_id, "w") is None
    assert boards.of_files("w", keys) == {}
    assert rows.library.count(LibraryFilter(visitor_id="w", board_id=board.board_id)) == 0
    assert boards.create("owner", "All", keys, None).files == 2


@pytest.mark.parametrize("name", ["", "  ", "x" * (MAX_NAME_CHARACTERS + 1), "a\nb", 7, None, "a\x00b", "\ud800"])
def test_what_is_no_name_makes_no_board(boards: Boards, name: object) -> None:
    """A rail of unreadable lines helps nobody."""
    with pytest.raises(InputError):
        boards.create("v", name)
    assert names(boards) == []


def test_ratings_and_colors_narrow_the_library(rows: LibraryRows) -> None:
    """The best five of a thousand, and the blue ones, are one choice away."""
    jobs = {name: rows.add(name, files=1) for name in ("plain", "good", "best")}
    for name, rating in (("good", 3), ("best", 5)):
        assert rows.library.mark([jobs[name].outputs[0].file_key], "v", rating=rating) == 1
    assert [rows.prompts(min_rating=least) for least in (1, 3, 4, 5)] == [
        rows.prompts(min_rating=1), rows.prompts(min_rating=1), ["best"], ["best"],
    ]  # fmt: skip
    assert set(rows.prompts(min_rating=1)) == {"good", "best"}
    rows.library.mark([jobs["best"].outputs[0].file_key], "v", rating=None)
    assert rows.prompts(min_rating=4) == []
    red_and_black = bit_of("red") | bit_of("black")
    rows.library.set_colors(jobs["plain"].outputs[0], red_and_black)
    rows.library.set_colors(jobs["good"].outputs[0], bit_of("blue"))
    assert rows.prompts(color=bit_of("red")) == ["plain"]
    assert rows.prompts(color=bit_of("green")) == []


def test_images_from_before_get_their_colors_in_rounds(rows: LibraryRows) -> None:
    """Who searches by color finds the images of years, and no start waits for them."""
    job = rows.add(files=2)
    (rows.folder_of(job, job.outputs[1]) / "thumbnail.webp").write_bytes(b"broken")
    colors = LateColors(rows.library, rows.media, decoder())
    Retention(rows.library, clock=rows.clock, each_round=[colors.fill]).tidy()
    assert [output.colors for output in rows.ledger.job(job.job_id).outputs] == [bit_of("red"), 0]
    assert colors.fill() == 0


def test_a_share_ends_with_its_image_its_board_or_by_a_word(rows: LibraryRows, boards: Boards, shares: Shares) -> None:
    """What somebody took back is gone for everybody."""
    keys = [output.file_key for output in rows.add(files=2).outputs]
    share = shares.share_file("v", keys[0], "v", shows_prompt=False)
    again = shares.share_file("v", keys[0], "v", shows_prompt=True)
    assert share
    assert again
    assert (again.share_id, again.shows_prompt) == (share.share_id, True)
    assert shares.share_file("w", keys[0], "w", shows_prompt=True) is None
    assert shares.revoke([share.share_id], "w") == 0
    board = boards.create("v", "Foxes", keys, "v")
    of_board = shares.share_board("v", board.board_id, shows_prompt=False)
    assert of_board
    assert shares.share_board("w", board.board_id, shows_prompt=False) is None
    read = shares.read(of_board.share_id)
    assert read
    assert (read[1], len(read[2])) == ("Foxes", 2)
    assert shares.file(of_board.share_id, read[2][1].alias) == read[2][1]
    assert rows.prompts(shared=True) == ["a red fox"]
    rows.library.mark(keys, "v", deleted_at=rows.clock())
    assert [shares.read(made.share_id) for made in (share, of_board)] == [None, None]
    assert shares.file(of_board.share_id, read[2][1].alias) is None
    rows.library.mark(keys, "v", deleted_at=None)
    assert shares.read(share.share_id), "an undo brings it back"
    boards.delete(board)
    assert shares.read(of_board.share_id) is None
    rows.library.mark(keys, "v", deleted_at=rows.clock())
    assert isinstance(rows.clock, ManualClock)
    rows.clock.now += UNDO_S + 1
    Retention(rows.library, clock=rows.clock).tidy()
    assert shares.of_visitor(None) == []
