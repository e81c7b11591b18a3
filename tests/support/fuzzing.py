"""How many examples a fuzz test draws: few in the suite, always the same; a hundred times as many in the long form.

HYPOTHESIS_PROFILE=long python tests/run.py -m fuzz
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings

LONG_FACTOR = 100

_Test = TypeVar("_Test", bound=Callable[..., object])


def fuzz(examples: int) -> Callable[[_Test], _Test]:
    """Decorate a test with `@given`: so many examples in the suite."""
    is_long = os.environ.get("HYPOTHESIS_PROFILE") == "long"
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
    drawn = settings(
        max_examples=examples * (LONG_FACTOR if is_long else 1),
        derandomize=not is_long,
        deadline=None,
        suppress_health_check=checks,
    )

    def decorate(test: _Test) -> _Test:
        marked: _Test = pytest.mark.fuzz(drawn(test))
        return marked

    return decorate
