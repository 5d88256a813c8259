"""Show that the tests of docs/promises.md can fail: plant errors, and see that they are found.

    python .ci/planted.py                # all errors of .ci/planted/, about 40 minutes
    python .ci/planted.py "scan file"    # those whose promise or description has these words

The tracked files are copied into a temporary folder. The tests have to pass there. Then one error
after the other is planted, its tests are run, and it is undone. Each of its tests has to fail. The
exit status is 1 if one does not, if a text is not exactly once in its file, or if a promise has no
error. Where a test is skipped, e.g. without recordings (KIT_SHARED), its error was not tried.
"""

import ast
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from promises import PAGE, ROOT, promises

LISTS = Path(__file__).with_name("planted")  # one for each part of the page
SECONDS = 600  # for a test, of which a dozen start other programs
WAITING = 90  # after which a test waits for ever
# Mistakes of an entry itself: the planted text cannot run at all.
BROKEN = ("NameError", "SyntaxError", "IndentationError", "ImportError", "ModuleNotFoundError")
FOUND, NOT_FOUND, NOT_TRIED = "found", "NOT FOUND", "not tried"

_moments = itertools.count(1)


@dataclass(frozen=True)
class Planted:
    """An error that is planted.

    Attributes:
        error: in words.
        file: below the root of the project.
        there: a text that is exactly once in this file.
        instead: the text that replaces it.
        tests: those that have to fail, as on the page.
        waits: the promise is that nothing blocks: a test that does not end has found the error.
    """

    error: str
    file: str
    there: str
    instead: str
    tests: tuple[str, ...]
    waits: bool = False


@dataclass(frozen=True)
class Outcome:
    """How a test ended: "passed", "failed", "error", "skipped" or "no end", and why."""

    status: str
    reason: str = ""


def entries() -> list[Planted]:
    """All errors of the lists."""
    texts = [file.read_text() for file in sorted(LISTS.glob("*.toml"))]
    listed = [each for text in texts for each in tomllib.loads(text)["planted"]]
    return [Planted(**{**each, "tests": tuple(each["tests"])}) for each in listed]


def promise_of(entry: Planted, page: dict[str, list[str]]) -> str:
    """The promise whose tests find an error; "" if its tests are not those of one promise."""
    return next((each for each, tests in page.items() if {*entry.tests} <= {*tests}), "")


def faults(planted: Sequence[Planted], page: dict[str, list[str]]) -> Iterator[str]:
    """What is out of step between the list, the page and the code."""
    known = {promise_of(entry, page) for entry in planted}
    yield from (f"no error is planted for: {promise}" for promise in page if promise not in known)
    for entry in planted:
        if not entry.tests or not promise_of(entry, page):
            yield f"{entry.error}: its tests are not those of one promise"
        text = (ROOT / entry.file).read_text() if (ROOT / entry.file).is_file() else ""
        if text.count(entry.there) != 1 or entry.there == entry.instead:
            yield f"{entry.error}: expected its text once in {entry.file}, and another instead"
        elif entry.file.endswith(".py"):
            try:
                ast.parse(text.replace(entry.there, entry.instead))
            except SyntaxError as error:
                yield f"{entry.error}: {entry.file} is no Python then ({error})"


@contextmanager
def copied() -> Iterator[Path]:
    """A copy of the tracked files, in a temporary folder."""
    listed = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True)
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file():
                (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, Path(folder) / name)
        yield Path(folder)


@contextmanager
def changed(root: Path, entry: Planted) -> Iterator[None]:
    """The copy with an error in it, for the time of a block."""
    path = root / entry.file
    text = path.read_text()
    try:
        _write(path, text.replace(entry.there, entry.instead))
        yield
    finally:
        _write(path, text)


def _write(path: Path, text: str) -> None:
    path.write_text(text)
    moment = next(_moments)  # another one each time: Python compiles a file anew by time and size
    os.utime(path, (moment, moment))


def outcomes(root: Path, tests: Sequence[str], *options: str, seconds: int) -> dict[str, Outcome]:
    """Run tests in the copy, in one process; how each of them ended."""
    report, output = root / "report.xml", root / "output.txt"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    command += [f"--junitxml={report}", *(f"tests/{test}" for test in tests)]
    environment = {
        **os.environ,
        "KIT_SHARED": os.environ.get("KIT_SHARED", str(ROOT.parent / "shared")),
        "PYTHONPATH": str(root),  # also for the programs that tests start
        "HYPOTHESIS_PROFILE": "planted",
        "OMP_NUM_THREADS": "1",
    }
    with output.open("wb") as log:
        started = {"stdout": log, "stderr": log, "start_new_session": True}
        process = subprocess.Popen(command, cwd=root, env=environment, **started)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            return dict.fromkeys(tests, Outcome("no end", f"not after {seconds} s"))
        finally:  # and the programs that the tests have started
            _kill_group(process)
    return read_outcomes(report, tests)


def _kill_group(process: subprocess.Popen) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def read_outcomes(report: Path, tests: Sequence[str]) -> dict[str, Outcome]:
    """The worst outcome among the cases of each test; "skipped" only if all of them were."""
    cases: dict[str, list[Outcome]] = {test: [] for test in tests}
    for case in ElementTree.parse(report).iter("testcase") if report.exists() else ():
        file = case.get("classname", "").removeprefix("tests.").replace(".", "/")
        name = f"{file}.py::{case.get('name', '').split('[')[0]}"
        cases.setdefault(name, []).append(_outcome(case))
    none = Outcome("error", "it did not run")
    return {test: min(cases[test], key=_badness, default=none) for test in tests}


def _badness(outcome: Outcome) -> int:
    return ("failed", "error", "passed", "skipped").index(outcome.status)


def _outcome(case: ElementTree.Element) -> Outcome:
    for tag, status in (("failure", "failed"), ("error", "error"), ("skipped", "skipped")):
        if (child := case.find(tag)) is not None:
            return Outcome(status, child.get("message", "").partition("\n")[0])
    return Outcome("passed")


def verdict(entry: Planted, outcome: Outcome) -> str:
    """Whether a test that ended like this has found the error."""
    if outcome.status == "no end":
        return FOUND if entry.waits else NOT_FOUND
    failed = outcome.status == "failed" and not outcome.reason.startswith(BROKEN)
    return FOUND if failed and not entry.waits else NOT_FOUND


def tried(root: Path, entry: Planted, before: dict[str, Outcome]) -> list[tuple[str, str, str]]:
    """Plant an error and run its tests: each with its verdict and the reason."""
    results = []
    with changed(root, entry):
        for test in entry.tests:
            if before[test].status == "skipped":
                results.append((test, NOT_TRIED, before[test].reason))
                continue
            seconds = WAITING if entry.waits else SECONDS
            outcome = outcomes(root, [test], "-x", seconds=seconds)[test]
            results.append((test, verdict(entry, outcome), outcome.reason or outcome.status))
    return results


def main(words: Sequence[str]) -> int:
    """Try the errors with one of these words, or all; returns the exit status."""
    page, planted = promises(PAGE.read_text()), entries()
    if wrong := list(faults(planted, page)):
        print(*wrong, sep="\n")
        return 1
    chosen = [
        (promise, entry)
        for entry in planted
        for promise in [promise_of(entry, page)]
        if not words or any(word in f"{promise} {entry.error}" for word in words)
    ]
    tests = list(dict.fromkeys(test for _, entry in chosen for test in entry.tests))
    rows = []
    with copied() as root:
        before = outcomes(root, tests, seconds=SECONDS * max(len(tests), 1))
        if bad := {t: o for t, o in before.items() if o.status not in ("passed", "skipped")}:
            print("these tests fail without any error:", *bad.items(), sep="\n")
            return 1
        for promise, entry in chosen:
            for test, result, reason in tried(root, entry, before):
                rows.append((result, promise, entry.error, test))
                print(f"{result}: {entry.error}\n    {test}\n    {reason[:110]}", flush=True)
    print("\n| result | promise | planted error | test |\n|---|---|---|---|")
    print(*(f"| {' | '.join(row)} |" for row in rows), sep="\n")
    counts = {each: sum(row[0] == each for row in rows) for each in (FOUND, NOT_FOUND, NOT_TRIED)}
    print(", ".join(f"{number} {result}" for result, number in counts.items()))
    return 1 if counts[NOT_FOUND] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
