"""The form every notebook keeps, and notebook 04 on real keyframes.

`make test` also runs all of them on the street, with `pytest --nbmake notebooks`.
"""

import ast
import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import kit
from kit.store import files as store
from kit.student.checkpoints import load_student

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def cells(path):
    return nbformat.read(path, as_version=4).cells


def code_of(cells):
    return [cell.source for cell in cells if cell.cell_type == "code"]


def text_of(cells):
    return "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def parameters_of(cells):
    return [i for i, cell in enumerate(cells) if "parameters" in cell.metadata.get("tags", [])]


def test_the_notebooks_are_numbered_without_a_gap():
    assert [path.stem[:3] for path in NOTEBOOKS] == [f"{i:02}_" for i in range(len(NOTEBOOKS))]
    assert len(NOTEBOOKS) >= 6


def test_it_opens_with_what_you_see_need_and_pay(path, cells):
    title, *rest = [line for line in cells[0].source.splitlines() if line]
    assert re.fullmatch(rf"# {path.stem[:2]} · \w.*", title)
    assert [line.split("**")[1] for line in rest] == ["You will see", "You need", "Measured:"]
    assert re.search(r"\d (s|min)\b.*\d GB.*2 CPU cores", rest[-1])


def test_it_closes_with_a_check_things_to_try_and_what_comes_next(cells):
    text = text_of(cells)
    places = [text.index(f"## {part}") for part in ("Check yourself", "Try this")]
    details, following = text.index("<details>"), text.index("**Next:**")
    assert places == sorted(places) and places[-1] < details < following
    answers = text[details : text.index("</details>")]
    assert len(re.findall(r"(?m)^\d\. ", answers)) >= 2 and re.search(r"\d", answers)
    assert any(re.search(r"(?m)^guess", source) for source in code_of(cells))


def test_parameters_come_first_and_name_the_data(cells):
    (index,) = parameters_of(cells)
    assert index <= 2
    assert cells[index].source.splitlines()[0].startswith('DATA = "street"')


def test_it_is_short_and_half_text(cells):
    code = code_of(cells)
    assert 12 <= len(cells) <= 25
    assert len(cells) - len(code) >= 0.38 * len(cells)
    assert len(text_of(cells).split()) >= 400
    assert max(len(source.splitlines()) for source in code) <= 14


def test_only_one_cell_imports_and_nothing_is_defined_or_installed(cells):
    code = code_of(cells)
    importing = [source for source in code if re.search(r"(?m)^\s*(import|from) ", source)]
    assert len(importing) == 1
    banned = r"sys\.path|\bpip\b|(?m:^\s*([%!]|def |class ))|autoreload|[\"']/"
    assert not re.search(banned, "\n".join(code))


def test_it_uses_public_rooms_of_the_kit_only(cells):
    code = "\n".join(code_of(cells))
    modules = [
        node.module or "" if isinstance(node, ast.ImportFrom) else alias.name
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    ]
    used = [m for m in modules if m.partition(".")[0] == "kit"]
    used += re.findall(r"\bkit(?:\.\w+)+", code)
    assert used
    for name in used:
        parts = name.split(".")[1:]
        assert parts[:1] not in (["demo"], ["bench"], ["commands"]), name
        assert not any(part.startswith("_") for part in parts), name


def test_what_it_takes_from_the_kit_itself_is_exported(cells):
    code = "\n".join(code_of(cells))
    for name in set(re.findall(r"\bkit\.(\w+)", code)):
        assert name in dir(kit), f"kit.{name}"


def test_no_output_is_stored(path, cells):
    for cell in cells:
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None
        assert set(cell.metadata) <= {"tags"}
    notebook = nbformat.read(path, as_version=4)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.kernelspec.name == "python3"
    assert path.stat().st_size < 40_000


def test_distillation_learns_on_real_keyframes(shared_data, tmp_path, monkeypatch):
    """Notebook 04 as it is, with small settings, on twelve keyframes of San Francisco."""
    monkeypatch.setenv("KIT_FAST", "1")
    monkeypatch.setenv("KIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(ROOT / "notebooks" / "04_distil.ipynb", as_version=4)
    (index,) = parameters_of(notebook.cells)
    changed = f"DATA = {str(shared_data / 'pandaset')!r}"
    notebook.cells.insert(index + 1, nbformat.v4.new_code_cell(changed))
    work = tmp_path / "work"
    work.mkdir()
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute(cwd=work)

    assert [entry.name for entry in work.iterdir()] == ["runs"]
    (history,) = work.rglob("history.jsonl")
    loss = [row["loss"] for row in store.read_jsonl(history)]
    first, last = loss[0], sum(loss[-3:]) / 3
    assert 1.3 < first < 1.5 and last < first - 0.1
    student = load_student(history.with_name("student.safetensors"))
    assert student.config.head[-1] == 432
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    figures = [out for out in outputs if "application/vnd.plotly.v1+json" in out.get("data", {})]
    assert len(figures) == 4
