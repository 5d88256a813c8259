"""Fixtures of the small street."""

import pytest
from small_street import clear_memory, street


@pytest.fixture(scope="module")
def keyframes():
    """All keyframes of the small street."""
    return list(street())


@pytest.fixture
def fresh_memory():
    """The test reads the cache on disk again."""
    clear_memory()
