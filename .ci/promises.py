"""Fill the column "attempts" of docs/promises.md: how often each test tries, by collecting them.

    python .ci/promises.py

A test of Hypothesis counts with the number of examples that it draws in `make test`. The profile of
`make fuzz` draws fifty times as many.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/promises.md"
ROW = re.compile(r"(?m)^\| (.+?) \| ((?:`[^`]+`(?:, )?)+) \| (.*?) \|$")
EXAMPLES = 30  # of the profile "ci" in tests/conftest.py


def promises(page: str) -> dict[str, list[str]]:
    """The tests of each promise of the page."""
    return {row[1]: re.findall(r"`([^`]+)`", row[2]) for row in ROW.finditer(page)}


def collected() -> dict[str, int]:
    """The number of cases of each test, by `file::name`."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "tests"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout
    found: dict[str, int] = {}
    for line in listed.splitlines():
        if "::" in line:
            name = line.split("[")[0].removeprefix("tests/")
            found[name] = found.get(name, 0) + 1
    return found


def examples(test: str) -> int:
    """How many inputs one case of a test draws."""
    file, _, name = test.partition("::")
    source = (ROOT / "tests" / file).read_text()
    decorators = source.split(f"def {name}(")[0].split("\n\n\n")[-1]
    return EXAMPLES if "@given" in decorators else 1


def main() -> None:
    page, count = PAGE.read_text(), collected()
    tests_of = promises(page)

    def filled(match: re.Match) -> str:
        total = sum(count[test] * examples(test) for test in tests_of[match[1]])
        return f"| {match[1]} | {match[2]} | {total:,} |"

    PAGE.write_text(ROW.sub(filled, page))


if __name__ == "__main__":
    main()
