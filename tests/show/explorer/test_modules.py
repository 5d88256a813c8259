"""The joined script of the explorer: order, names, and what is refused."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kit.show.explorer.modules import FOLDER, compact, join_modules, script_of

HERE = Path(__file__).parent
A = 'import { a } from "./a.js";\n'


def write(folder: Path, **sources: str) -> Path:
    for name, source in sources.items():
        (folder / f"{name}.js").write_text(source)
    return folder / "main.js"


def test_a_module_comes_behind_those_it_imports_once(tmp_path):
    entry = write(
        tmp_path,
        main='import { b } from "./b.js";\nimport { a } from "./a.js";\nexport default { a, b };\n',
        b='import { a } from "./a.js";\nexport const b = a + 1;\n',
        a="const one = 1;\nexport const a = one;\n",
    )
    lines = [line for line in join_modules(entry).splitlines() if line and line[0] != "/"]
    assert lines == [
        "const one = 1;",
        "const a = one;",
        "const b = a + 1;",
        "export default { a, b };",
    ]


@pytest.mark.parametrize(
    "sources, words",
    [
        (dict(main=A, a='import { m } from "./main.js";\n'), "circle"),
        (dict(main=A, a="export const b = 1;\n"), "does not export"),
        (dict(main=A + "const a = 1;\n", a="export const a = 1;\n"), "is declared in"),
        (dict(main='import * as a from "./a.js";\n'), "write imports as"),
        (dict(main=A.replace("a }", "a as b }"), a="export const a = 1;\n"), "does not export"),
        (dict(main="const a = 1;\nexport { a };\n"), "exports before a declaration"),
    ],
)
def test_what_cannot_be_joined_is_named(tmp_path, sources, words):
    with pytest.raises(ValueError, match=words):
        join_modules(write(tmp_path, **sources))


def test_every_module_is_used_and_short():
    used = set(re.findall(r"^// (\w+\.js)$", script_of("widget.js") + script_of("page.js"), re.M))
    assert used == {file.name for file in FOLDER.glob("*.js")}
    for file in FOLDER.glob("*.js"):
        text = file.read_text()
        assert len(text.splitlines()) <= 400 and text.startswith("// ")


def test_a_compact_script_keeps_its_statements():
    assert compact("  // a note\n\n  const a = 1; // metres\n/** b */\n") == "const a = 1;\n"
    for kept in ('const b = "c // d";\n', "const site = `http://a.b`;\n"):
        assert compact(kept) == kept
    short = compact(script_of("page.js"))
    assert len(short) < 0.9 * len(script_of("page.js")) and short.rstrip().endswith("openPage();")


def test_the_pure_modules_in_node():
    node = shutil.which("node") or _node_of_playwright()
    if node is None:
        pytest.skip("needs node, or the one that comes with playwright")
    files = sorted(str(file) for file in HERE.glob("node/*.test.mjs"))
    done = subprocess.run([node, "--test", *files], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_the_types_of_the_modules():
    """TypeScript finds nothing wrong in the modules with their JSDoc types, see jsconfig.json."""
    installed = Path(sys.prefix) / "typescript/node_modules/.bin/tsc"  # by setup.sh
    tsc = os.environ.get("TSC") or (installed.exists() and installed)
    if not tsc:
        pytest.skip("needs TypeScript 5: npm install typescript, and the path of its tsc in TSC")
    done = subprocess.run([tsc, "-p", FOLDER / "jsconfig.json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def _node_of_playwright() -> str | None:
    playwright = pytest.importorskip("playwright")
    node = Path(playwright.__file__).parent / "driver" / "node"
    return str(node) if node.exists() else None
