"""The program of the explorer: the ES modules of `js/`, joined into one script at load time.

Notebooks (anywidget) and saved pages take one script. The modules import each other by relative
names, as browsers and node understand them, so they need no build step: a module is put behind
those it imports, and the words `import` and `export` are taken away. All modules then share one
scope, so no two of them may declare the same name.
"""

import re
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "js"
_IMPORT = re.compile(r'^import \{([^}]*)\} from "(\./[\w/]+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function\*?|class|const|let) )", re.MULTILINE)
_DECLARED = re.compile(
    r"^(?:export )?(?:async )?(?:function\*?|class|const|let) (\w+)", re.MULTILINE
)
_COMMENTS = ("//", "/**", "* ", "*/")
_TRAILING = re.compile(r"\s+// [^\"'`]*$")  # with a quote it could be a part of a string
_LEFT = re.compile(r"^(?:import|export)\b(?! default \{)", re.MULTILINE)


def join_modules(entry: Path) -> str:
    """Join a module and all that it imports into one script.

    Args:
        entry: path of the first module; it may have an `export default {...}`.

    Returns:
        One script without imports; each module behind those it needs, with its name as a comment.

    Raises:
        ValueError: modules that import each other in a circle, a name that is not exported where it
            is imported from, or is declared twice, or an import of another form than
            `import { a, b } from "./c.js";`.
    """
    sources: dict[Path, str] = {}
    _collect(Path(entry).resolve(), sources, ())
    declared: dict[str, Path] = {}
    for path, source in sources.items():
        for name in _DECLARED.findall(source):
            if name in declared:
                raise ValueError(f"{name} is declared in {declared[name].name} and {path.name}")
            declared[name] = path
    return "\n".join(f"// {path.name}\n{_inner(path, source)}" for path, source in sources.items())


def compact(script: str) -> str:
    """Leave out comments and indentation: for files, where size counts."""
    lines = (_TRAILING.sub("", line.strip()) for line in script.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith(_COMMENTS)) + "\n"


@cache
def script_of(entry: str) -> str:
    """The script of an entry of the folder `js/`, e.g. "widget.js"."""
    return join_modules(FOLDER / entry)


def _collect(path: Path, sources: dict[Path, str], above: tuple[Path, ...]) -> None:
    """Add a module behind those it imports."""
    if path in above:
        circle = " -> ".join(each.name for each in (*above, path))
        raise ValueError(f"modules import each other in a circle: {circle}")
    if path in sources:
        return
    source = path.read_text(encoding="utf8")
    for names, relative in _IMPORT.findall(source):
        other = (path.parent / relative).resolve()
        _collect(other, sources, (*above, path))
        for name in filter(None, (each.strip() for each in names.split(","))):
            exported = rf"^export (?:async )?(?:function\*?|class|const|let) {re.escape(name)}\b"
            if not re.search(exported, sources[other], re.MULTILINE):
                raise ValueError(f"{path.name} imports {name}, which {other.name} does not export")
    sources[path] = source


def _inner(path: Path, source: str) -> str:
    """The module without its imports and without the word `export`."""
    inner = _EXPORT.sub("", _IMPORT.sub("", source))
    if left := _LEFT.search(inner):
        line = inner[left.start() :].splitlines()[0]
        raise ValueError(
            f'{path.name}: write imports as `import {{ a, b }} from "./c.js";` and exports before '
            f"a declaration, got {line!r}"
        )
    return inner
