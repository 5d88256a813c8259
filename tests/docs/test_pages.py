"""The code of every page runs: Python on the street, commands through the command line's parser.

Python blocks of a page run in order in one namespace and one empty folder. A block that begins with
`# name.py` is written to that file instead, so that a later block can import it. In blocks of shell
commands every `make` and `python -m kit` line is checked, and nothing is started.
"""

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit import __main__ as command_line
from kit.commands import parse
from kit.data import FORMATS
from kit.demo import LearnConfig, plain_config
from kit.distill.losses import LOSSES
from kit.store import files as store
from kit.student.presets import PRESETS
from kit.teacher.presets import TEACHERS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
WITH_COMMANDS = [*PAGES, *sorted((ROOT / "docs/formats").glob("*.md"))]
FENCE = re.compile(r"(?ms)^```([\w{}-]*)[^\n]*\n(.*?)^```$")
TARGETS = re.search(r"(?m)^\.PHONY: (.*)$", (ROOT / "Makefile").read_text())[1].split()


def blocks(page: Path, *languages: str) -> list[tuple[int, str]]:
    """(line number, text) of the page's code blocks in these languages."""
    text = page.read_text()
    found = [match for match in FENCE.finditer(text) if match[1] in languages]
    return [(text[: match.start(2)].count("\n"), match[2]) for match in found]


def commands(page: Path) -> Iterator[str]:
    """The commands in the page's shell blocks, one by one, without comments."""
    for _, block in blocks(page, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            command = line.split(" #")[0].strip()
            if command and not command.startswith("#"):
                yield command


@pytest.fixture(autouse=True)
def _tables_are_restored():
    """Pages register a student, a teacher, losses and a data set; other tests do not see them."""
    tables = (PRESETS, TEACHERS, LOSSES, FORMATS)
    before = [dict(table) for table in tables]
    yield
    for table, entries in zip(tables, before, strict=True):
        table.clear()
        table.update(entries)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """An empty folder to work in, from which modules can be imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=lambda p: p.stem)
def test_the_python_of_a_page_runs(page, folder):
    namespace = {"__name__": "page"}
    for line, block in blocks(page, "python"):
        name = re.match(r"# (\w+\.py)\n", block)
        if name:
            (folder / name[1]).write_text(block)
        else:
            code = compile("\n" * line + block, str(page), "exec")
            exec(code, namespace)


@pytest.mark.parametrize(
    "page", [p for p in WITH_COMMANDS if blocks(p, "sh")], ids=lambda p: p.stem
)
def test_the_commands_of_a_page_exist(page, folder):
    store.write_json(folder / "run.json", {"settings": plain_config(LearnConfig())})
    for command in commands(page):
        words = shlex.split(re.sub(r"\S+/run\.json", "run.json", command))
        if words[0] == "make":
            targets = [word for word in words[1:] if "=" not in word and word[0] != "-"]
            assert set(targets) <= set(TARGETS), command
        if words[0] == "make" and targets == ["demo"]:
            options = [word[5:] for word in words if word.startswith("ARGS=")]
            check("demo", shlex.split(" ".join(options)), command)
        elif "-m" in words and words[words.index("-m") + 1] == "kit":
            name, *options = words[words.index("-m") + 2 :]
            check(name, options, command)


def check(name: str, options: list[str], command: str) -> None:
    """The command line knows this command and these options."""
    assert name in command_line.COMMANDS, command
    try:
        parse(name, options)
    except SystemExit as end:
        assert end.code in (0, None) and "--help" in options, command


def test_pages_are_found_and_show_code():
    shown = {page.stem for page in PAGES if blocks(page, "python")}
    assert {"quickstart", "your-own-data", "extending", "README"} <= shown


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().split()) <= 1000
