"""The tests that docs/promises.md names exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = re.findall(r"`([\w/]+\.py::\w+)`", (ROOT / "docs/promises.md").read_text())


@pytest.mark.parametrize("test", sorted(set(TESTS)))
def test_a_promise_has_its_test(test):
    file, name = test.split("::")
    assert f"\ndef {name}(" in (ROOT / "tests" / file).read_text()


def test_attempts_are_counted():
    rows = re.findall(r"(?m)^\| .+ \| ([\d,]+) \|$", (ROOT / "docs/promises.md").read_text())
    assert len(rows) >= 20 and all(int(row.replace(",", "")) > 0 for row in rows)
