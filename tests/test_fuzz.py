"""The short form of the fuzz run: `python -m benchmarks.fuzz` draws for ten minutes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fuzz_targets import CORPUS, TARGETS, corpus_of, mutated
from tests.support.fuzzing import fuzz

EXAMPLES = 30
MAX_CORPUS_BYTES = 100_000


@pytest.mark.parametrize("name", TARGETS)
def test_what_once_failed_is_read(name: str) -> None:
    """Whatever a fuzz run finds stays in the corpus."""
    for data in corpus_of(name):
        TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
@fuzz(EXAMPLES)
@given(data=st.data())
def test_whatever_comes_is_read_or_refused(name: str, data: st.DataObject) -> None:
    """A foreign exception is a server error, a job without a state, or a page that breaks."""
    TARGETS[name](data.draw(mutated(corpus_of(name))))


def test_the_corpus_is_small() -> None:
    """Everybody who clones the repository gets it."""
    files = [path for path in CORPUS.rglob("*") if path.is_file()]
    assert {path.parent.name for path in files} == set(TARGETS)
    assert sum(path.stat().st_size for path in files) < MAX_CORPUS_BYTES
