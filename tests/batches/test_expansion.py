"""Lines, alternatives, values and repeats become a list of jobs, counted before any of them is made."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dreamina_ui.batches.expansion import MAX_JOBS, BatchRequest, expand, prompt_field
from dreamina_ui.errors import BatchError, InputError
from dreamina_ui.models.schema import Model, load_models
from tests.support.harness import MODEL_ID

MODEL = load_models()[MODEL_ID]
SIZES = next(field for field in MODEL.fields if field.choices)


def prompts(text: str, **more: Any) -> list[str]:
    return [inputs["prompt"] for inputs in expand(MODEL, BatchRequest(text, **more))]


def test_each_line_with_each_alternative_is_one_job_in_reading_order() -> None:
    """The table must show exactly what the text says."""
    text = "a {red|blue} fox {in snow|at sea}\r\n\n   \n two {|big }dogs \n"
    assert prompts(text) == [
        "a red fox in snow", "a red fox at sea", "a blue fox in snow", "a blue fox at sea", "two dogs", "two big dogs",
    ]  # fmt: skip


def test_a_backslash_makes_a_brace_literal() -> None:
    """A prompt may contain any character; a lone bar or closing brace needs no backslash."""
    assert prompts(r"\{a\} {b\|c|d\}} | } \\ \n") == [r"{a} b|c | } \ \n", r"{a} d} | } \ \n"]


def test_values_and_repeats_multiply_in_schema_order() -> None:
    """All jobs of one prompt are adjacent, and so are equal jobs."""
    small, large = SIZES.choices[0], SIZES.choices[6]
    jobs = expand(
        MODEL,
        BatchRequest(
            "a\nb", inputs={"force_single": True}, values={"scale": [0.1, 1], SIZES.key: [small, large]}, repeats=2
        ),
    )
    assert len(jobs) == 2 * 2 * 2 * 2
    assert [(job["prompt"], job[SIZES.key], job["scale"]) for job in jobs[:8:2]] == [
        ("a", small, 0.1), ("a", small, 1), ("a", large, 0.1), ("a", large, 1),
    ]  # fmt: skip
    assert jobs[0] == jobs[1]
    assert all(job["force_single"] is True for job in jobs)


def test_every_job_is_validated_and_completed_like_a_single_job() -> None:
    """The table shows exactly what is sent."""
    assert expand(MODEL, BatchRequest(" a ")) == [MODEL.validate_inputs({"prompt": "a"})]
    assert prompts("a\na", values={"scale": []}) == ["a", "a"], "no value chosen is as in the form"
    assert len(prompts("a", values={"scale": [0.5, 0.5]})) == 1, "one value given twice is one value"


@pytest.mark.parametrize(
    ("text", "rule", "line"),
    [
        ("a\n{b", "unclosed", 2),
        ("a\n\n{b|c\n}", "unclosed", 3),
        ("{a{b}}", "nested", 1),
        ("", "empty", None),
        (" \n\t\n", "empty", None),
        ("ok\n" + "x" * 801, "input", 2),
        ("ok\n\n{|}", "input", 3),
    ],
)
def test_an_error_names_its_line(text: str, rule: str, line: int | None) -> None:
    """After pasting fifty lines, nobody wants to search."""
    with pytest.raises(BatchError) as caught:
        prompts(text)
    assert (caught.value.rule, caught.value.line) == (rule, line)
    assert (caught.value.exc is not None) == (rule == "input")
    assert line is None or f"Line {line}" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["{a|b}" * 300_000, "{" + "a|" * 400_000 + "}", "a\n" * 400_000, "{a|b|c|d|e|f|g|h}" * 9],
    ids=["product", "alternatives", "lines", "small"],
)
def test_an_expansion_bomb_is_refused_before_it_expands(text: str) -> None:
    """A stranger's text must not fill the memory."""
    with pytest.raises(BatchError) as caught:
        prompts(text, values={"scale": [0.1, 0.2]}, repeats=3)
    assert caught.value.rule == "many"


def test_long_prompts_do_not_multiply_into_hundreds_of_megabytes() -> None:
    """A model may have no limit on its prompt, and every repeat would be shown and stored."""
    model = load_models()["bytedance/dreamina-4-0/edit"]
    common = {"image_urls": ["https://files.example/a.png"]}
    with pytest.raises(BatchError) as caught:
        expand(model, BatchRequest("fox\n" + "x" * 900_000, common, repeats=100))
    assert caught.value.line == 2
    assert caught.value.exc is not None
    assert (caught.value.exc.field, caught.value.exc.rule) == ("prompt", "maxLength")
    assert len(expand(model, BatchRequest("x" * 19_000, common, repeats=3))) == 3


def test_repeats_of_a_long_prompt_are_bounded() -> None:
    """A request of 20 kB must not become a table of megabytes, shown and stored 200 times over."""
    data = {"model_id": "vendor/open", "title": "Open", "output_schema": {}}
    model = Model.from_json(data | {"input_schema": {"properties": {"prompt": {"type": "string"}}}})
    with pytest.raises(BatchError) as caught:
        expand(model, BatchRequest("x" * 15_000, repeats=MAX_JOBS))
    assert caught.value.rule == "size"
    assert len(expand(model, BatchRequest("x" * 15_000, repeats=20))) == 20


def test_the_maximum_is_allowed_and_one_more_is_not() -> None:
    """The documented limit is the real one."""
    assert len(prompts("fox", repeats=MAX_JOBS)) == MAX_JOBS
    for repeats in (MAX_JOBS + 1, 10**30):
        with pytest.raises(BatchError):
            prompts("fox", repeats=repeats)


@pytest.mark.parametrize("repeats", [0, -1, 1.5, True, "2", None])
def test_repeats_must_be_a_positive_integer(repeats: Any) -> None:
    """It comes from a request body."""
    with pytest.raises(InputError) as caught:
        prompts("fox", repeats=repeats)
    assert caught.value.field == "repeats"


@pytest.mark.parametrize(
    "values",
    [{"prompt": ["a"]}, {"force_single": [True]}, {"nobody": [1]}, {"scale": 1}, {"scale": [[1]]}, {"scale": [{}]}],
)
def test_only_fields_that_can_vary_have_several_values(values: Any) -> None:
    """The form offers no others, and programs get the reason."""
    with pytest.raises(InputError):
        prompts("fox", values=values)
    with pytest.raises(BatchError):
        prompts("fox", values={"scale": [0.5] * (MAX_JOBS + 1)})


def test_the_lines_go_into_the_required_text_field() -> None:
    """No field is named in code: other models use other names."""
    schema: dict[str, Any] = {
        "properties": {"note": {"type": "string"}, "words": {"type": "string"}, "n": {"enum": [1, 2]}}
    }
    schema["required"] = ["words"]
    data = {"model_id": "m", "title": "M", "input_schema": schema, "output_schema": {}}
    model = Model.from_json(data)
    assert expand(model, BatchRequest("a\nb", values={"n": [1, 2]})) == [
        {"words": "a", "n": 1}, {"words": "a", "n": 2}, {"words": "b", "n": 1}, {"words": "b", "n": 2},
    ]  # fmt: skip
    without = Model.from_json(data | {"input_schema": {"properties": {"n": {"enum": [1]}}}})
    assert prompt_field(without) is None
    with pytest.raises(InputError):
        expand(without, BatchRequest("a"))


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.text() | st.text("ab{|}\\\n "), st.integers(1, 3))
def test_any_text_is_a_list_of_valid_jobs_or_a_named_error(text: str, repeats: int) -> None:
    """Whatever the text is, it is planned as a whole or not at all."""
    try:
        jobs = expand(MODEL, BatchRequest(text, repeats=repeats))
    except (BatchError, InputError):
        return
    assert 0 < len(jobs) <= MAX_JOBS
    assert len(jobs) % repeats == 0
    assert all(MODEL.validate_inputs(job) == job for job in jobs)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.lists(st.lists(st.text("ab |{}\\", min_size=1, max_size=3), min_size=1, max_size=3), min_size=1, max_size=4))
def test_any_text_can_be_an_alternative(choices: list[list[str]]) -> None:
    """With a backslash before each special character, any text can be written."""

    def written(text: str) -> str:
        return "".join(f"\\{char}" if char in "\\{|}" else char for char in text)

    line = "x".join("{" + "|".join(map(written, parts)) + "}" for parts in choices)
    expected = [""]
    for index, parts in enumerate(choices):
        expected = [before + ("x" if index else "") + text for before in expected for text in parts]
    if all(text.strip() for text in expected):
        assert prompts(line) == [text.strip() for text in expected]


def test_every_field_that_can_vary_does_so_for_every_model() -> None:
    """A new model's sizes and scales can be varied without code."""
    for model in load_models().values():
        for field in (field for field in model.fields if field.kind.can_vary):
            values = list(field.choices[:2]) or [field.minimum or 0, field.maximum or 1]
            text = prompt_field(model)
            if text is not None and not any(other.required for other in model.fields if other is not text):
                assert len(expand(model, BatchRequest("fox", values={field.key: values}))) == 2
