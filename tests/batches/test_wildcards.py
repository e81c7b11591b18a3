"""Wildcards in a batch: drawn by a seed, the same again with the same seed, and said before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest

from dreamina_ui.batches.expansion import BatchRequest, expand_items
from dreamina_ui.batches.layout import arrange, default_columns
from dreamina_ui.batches.wildcards import draw, draw_known, has_wildcards
from dreamina_ui.errors import BatchError, InputError
from dreamina_ui.models.schema import load_models

MODEL = load_models()["bytedance/dreamina-4-0/text-to-image"]
LISTS = {
    "color": ["red", "green", "blue", "white"],
    "animal": ["fox", "whale", "__bird__"],
    "bird": ["owl", "crow"],
    "loop": ["a __loop__"],
}


def prompts(text: str, *, seed: int = 1, **more: Any) -> list[str]:
    request = BatchRequest(text, seed=seed, wildcards=LISTS, **more)
    return [item.inputs["prompt"] for item in expand_items(MODEL, request)]


def test_a_seed_gives_the_same_again_and_another_one_something_else() -> None:
    """Who liked a batch makes it once more; the drawn entries are pinned here for all machines and versions."""
    text = "a __color__ __animal__"
    assert prompts(text, seed=7, repeats=8) == prompts(text, seed=7, repeats=8)
    assert prompts(text, seed=7, repeats=8) != prompts(text, seed=8, repeats=8)
    assert prompts("__color__", seed=1, repeats=4) == ["white", "blue", "red", "green"]


def test_each_entry_comes_once_before_any_comes_again() -> None:
    """Four repeats of a list of four are four different pictures."""
    assert sorted(prompts("__color__", repeats=4)) == sorted(LISTS["color"])
    assert sorted(prompts("__color__", repeats=8)) == sorted(LISTS["color"] * 2)
    [twice, again] = prompts("__color__ and __color__", repeats=2)
    assert sorted(twice.split(" and ") + again.split(" and ")) == sorted(LISTS["color"])


def test_settings_that_vary_see_the_same_prompt() -> None:
    """Two scales are compared with one prompt, not with two."""
    first, second = prompts("a __color__ fox", values={"scale": [0.2, 0.8]})
    assert first == second


def test_lines_and_alternatives_draw_by_themselves() -> None:
    """Otherwise ten lines with one list would be ten times the same color."""
    drawn = prompts("\n".join(["a __color__ {fox|owl}"] * 8))
    assert len(set(drawn)) > 2


def test_names_ignore_case_and_a_backslash_protects_them() -> None:
    """A prompt may be about Python."""
    assert prompts("__COLOR__", repeats=4) == prompts("__color__", repeats=4)
    assert prompts("the \\__color__ file") == ["the __color__ file"]
    assert not has_wildcards("snake_case, a__b, __ and ____")


def test_entries_may_refer_to_other_lists() -> None:
    """A list of animals has one of birds in it."""
    drawn = prompts("__animal__", repeats=3)
    assert "fox" in drawn
    assert "whale" in drawn
    assert not any("__" in prompt for prompt in drawn)


@pytest.mark.parametrize(("text", "rule"), [("__nothing__", "wildcard"), ("__loop__", "wildcard_depth")])
def test_a_list_that_is_not_there_is_named_with_its_line(text: str, rule: str) -> None:
    """Nobody pays for a prompt that says `__nothing__`."""
    with pytest.raises(BatchError) as caught:
        prompts(f"a fox\n{text}")
    assert (caught.value.line, caught.value.exc and caught.value.exc.rule) == (2, rule)


@pytest.mark.parametrize("seed", [-1, 2**32, "7", True, None, 1.5])
def test_a_seed_is_a_whole_number(seed: Any) -> None:
    """The body of a request comes from outside."""
    with pytest.raises(InputError, match="seed"):
        prompts("a fox", seed=seed)


def test_the_matrix_shows_the_wildcard_as_a_row_and_what_was_drawn_in_its_cells() -> None:
    """A row for each color that happened to come would be no table."""
    items = expand_items(MODEL, BatchRequest("a __color__ fox", repeats=3, seed=3, wildcards=LISTS))
    layout = arrange(items, default_columns(items))
    assert layout.rows == ((("prompt", "a __color__ fox"),),)
    assert len(layout.columns) == 3
    assert [item.inputs["prompt"] for item in items] == [f"a {item.drawn[0]} fox" for item in items]


def test_a_text_with_itself_in_it_is_drawn_once() -> None:
    """What a list holds is no template for what was around it."""
    assert draw("__x__", {"x": ["\\1 $0 {a|b}"]}, seed=0, salt="", number=0) == ("\\1 $0 {a|b}", ("\\1 $0 {a|b}",))


@pytest.mark.parametrize(
    "text", ["a fox", "__init__ of a snake", "\\__color__", "\\__init__", "__ __", "snake_case__name", "____"]
)
def test_a_single_prompt_without_a_list_is_sent_as_it_was_typed(text: str) -> None:
    """Two underscores are no mistake: only the name of a list of one's own means anything."""
    assert draw_known(text, LISTS, seed=1) == (text, ())


def test_a_single_prompt_is_drawn_from_lists_and_keeps_other_names() -> None:
    """What stands below the prompt is what is sent, and the same seed says the same."""
    text, drawn = draw_known("__color__ \\__color__ __init__", LISTS, seed=5)
    assert (text, drawn) == (f"{drawn[0]} __color__ __init__", drawn)
    assert drawn[0] in LISTS["color"]
    assert {draw_known("__color__", LISTS, seed=seed)[0] for seed in range(50)} == set(LISTS["color"])
    with pytest.raises(InputError):
        draw_known("__loop__", LISTS, seed=1)
