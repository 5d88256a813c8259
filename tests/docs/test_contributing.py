"""The ten tasks of docs/contributing.md have answers in the tree as it is."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/contributing.md").read_text()
ANSWERS = re.findall(r"(?m)^\| (\d+) \| `([^`]+)` \| `([^`]+)` \|$", PAGE)


def test_every_task_has_one_answer():
    tasks = re.findall(r"(?m)^(\d+)\. ", PAGE)
    assert tasks == [number for number, _, _ in ANSWERS] == [str(n) for n in range(1, 11)]


def test_the_answers_are_files_that_hold_the_name():
    for _, file, name in ANSWERS:
        assert name in (ROOT / file).read_text(), f"{file}: no {name}"
    assert len({file for _, file, _ in ANSWERS}) == len(ANSWERS)
