"""The structure of the kit: one list of rooms, imports in one direction, short files."""

import ast
import re
from pathlib import Path

import pytest

import kit

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "kit").rglob("*.py"))
CONTRIBUTING = (ROOT / "docs/contributing.md").read_text()

# What each room may import: rooms before it in `kit.ROOMS`, and not all of them.
READING = {"store", "geometry", "lens", "data"}
NETWORKS = READING | {"projection", "teacher", "student"}
ALLOWED = {
    "store": set(),
    "geometry": set(),
    "lens": set(),
    "data": {"store", "geometry", "lens"},
    "street": READING,
    "projection": READING,
    "teacher": READING,
    "student": READING,
    "distill": NETWORKS,
    "features": NETWORKS,
    "evaluate": NETWORKS | {"distill", "features"},
    "ask": READING | {"street", "teacher", "features"},
    "discover": READING | {"features"},
    "show": READING | {"projection", "features"},
    "doctor": READING | {"projection", "show"},
}
# These stand on top. They may import any room before them.
for room in ("demo", "ablate", "bench", "commands"):
    ALLOWED[room] = set(ALLOWED)
# These take Features. A network is given to them as an argument, so they may name its type.
INTERFACES = {"kit._lazy", "kit.teacher.teacher", "kit.teacher.feature_maps", "kit.student.student"}
HELPERS = {"kit._idle_threads"}  # of the package itself; the bench `crowded` measures it


def room_of(file: Path) -> str:
    return file.relative_to(ROOT / "kit").parts[0].removesuffix(".py")


def imports_of(file: Path) -> set[str]:
    """Modules of the kit that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "kit":
            if node.module == "kit":
                found |= {f"kit.{alias.name}" for alias in node.names}
            else:
                found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("kit.")}
    return found


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_imports_only_what_comes_before_it(room):
    wrong = [
        f"{file.relative_to(ROOT)} imports {module}"
        for file in FILES
        if room_of(file) == room
        for module in imports_of(file)
        if module.split(".")[1] not in ALLOWED[room] | {room} and module not in INTERFACES | HELPERS
    ]
    assert not wrong


def test_rooms_are_in_the_order_of_their_imports():
    assert tuple(ALLOWED) == kit.ROOMS
    for place, room in enumerate(kit.ROOMS):
        assert ALLOWED[room] <= set(kit.ROOMS[:place]), room


def test_every_folder_and_module_of_the_kit_is_a_room():
    there = {room_of(file) for file in FILES}
    assert {name for name in there if not name.startswith("_")} == set(kit.ROOMS)


def test_all_lists_of_rooms_are_the_same():
    listed = {
        "kit": re.findall(r"`(\w+)`", kit.__doc__.split("called rooms")[1].split("\n\n")[0]),
        "api": re.findall(r"(?m)^   kit\.(\w+)$", (ROOT / "docs/api/index.md").read_text()),
        "contributing": [
            room.strip("/").removesuffix(".py")
            for line in re.findall(r"(?m)^\| (`.+?) \|", CONTRIBUTING.split("## Ten tasks")[0])
            for room in re.findall(r"`([\w./]+)`", line)
        ],
    }
    assert listed["kit"] == listed["contributing"] == list(kit.ROOMS)
    assert [*listed["api"], "commands"] == list(kit.ROOMS)  # commands are for the terminal


def functions_of(file: Path):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node, clean=False)
            lines = node.end_lineno - node.lineno + 1
            yield node.name, lines - (len(docstring.splitlines()) if docstring else 0)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_file_and_its_functions_are_short(file):
    assert len(file.read_text().splitlines()) <= 400
    assert [name for name, lines in functions_of(file) if lines > 40] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_file_says_what_it_is_for(file):
    assert ast.get_docstring(ast.parse(file.read_text()))


@pytest.mark.parametrize(
    "room", sorted({room_of(file) for file in FILES if file.parent.name != "kit"})
)
def test_a_room_says_in_three_sentences_what_comes_in_and_out_and_what_to_read_first(room):
    docstring = ast.get_docstring(ast.parse((ROOT / "kit" / room / "__init__.py").read_text()))
    text = " ".join(docstring.split("\n\n")[1].split())
    assert re.fullmatch(r"In: .+\. Out: .+\. Read `.+\.", text)
    assert len(re.findall(r"\.(?: |$)", text)) == 3


@pytest.mark.parametrize("name", kit.__all__)
def test_every_exported_name_can_be_loaded(name):
    assert getattr(kit, name) is not None


def test_the_package_distill_can_be_called():
    with pytest.raises(TypeError, match="dataset"):
        kit.distill()
