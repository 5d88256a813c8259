"""How executed notebooks become pages of the site."""

import importlib.util
import json
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

FILE = Path(__file__).parents[2] / "docs/executed_notebooks.py"


@pytest.fixture
def module(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("executed_notebooks", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(module, "STATIC", tmp_path / "static")
    (tmp_path / "notebooks/pictures").mkdir(parents=True)
    for name in ("figures", "explorers"):
        (tmp_path / "static" / name).mkdir(parents=True)
    return module


def notebook(code: str = "print(1 + 1)", text: str = "# Text"):
    return new_notebook(cells=[new_markdown_cell(text), new_code_cell(code)])


def executed(code: str = "print(1 + 1)", *outputs):
    copy = notebook(code, "# Text of before")
    copy.cells[1].execution_count = 1
    copy.cells[1].outputs = list(outputs)
    return copy


def html_of(module, **data) -> str:
    page = notebook()
    module.with_outputs(page, executed("", new_output("display_data", data)), "00")
    return page.cells[1].outputs[0].data["text/html"]


def test_a_copy_is_used_while_the_code_is_the_same(module, tmp_path):
    path = tmp_path / "copy.ipynb"
    assert module.executed_copy(notebook(), path) is None
    nbformat.write(executed(), path)
    assert module.executed_copy(notebook(text="# Other text"), path) is not None
    assert module.executed_copy(notebook("print(2)"), path) is None


def test_a_copy_that_failed_or_was_not_executed_is_not_used(module, tmp_path):
    path = tmp_path / "copy.ipynb"
    nbformat.write(notebook(), path)
    assert module.executed_copy(notebook(), path) is None
    error = new_output("error", ename="ValueError", evalue="", traceback=[])
    nbformat.write(executed("print(1 + 1)", error), path)
    assert module.executed_copy(notebook(), path) is None


def test_a_notebook_without_a_copy_is_executed_once(module, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("KIT_FAST", raising=False)
    nbformat.write(notebook(), tmp_path / "notebooks/00.ipynb")
    for _ in range(2):
        module.main(tmp_path / "executed", tmp_path / "pages")
        page = nbformat.read(tmp_path / "pages/00.ipynb", as_version=4)
        assert page.cells[1].outputs[0].text == "2\n"
    assert capsys.readouterr().out.count("executing 00.ipynb") == 1


def test_a_run_with_small_settings_says_so(module, tmp_path, monkeypatch):
    monkeypatch.setenv("KIT_FAST", "1")
    nbformat.write(notebook(), tmp_path / "notebooks/00.ipynb")
    module.main(tmp_path / "executed", tmp_path / "pages")
    page = nbformat.read(tmp_path / "pages/00.ipynb", as_version=4)
    assert "small settings" in page.cells[1].source


def test_the_text_is_that_of_the_notebook(module):
    page = notebook(text="# New text")
    module.with_outputs(page, executed("", new_output("stream", name="stdout", text="2")), "00")
    assert page.cells[0].source == "# New text" and page.cells[1].outputs[0].text == "2"


def test_figures_are_files_beside_the_page(module):
    figure = {"data": [{"y": [1, 2]}], "layout": {"height": 300}, "config": {}}
    html = html_of(module, **{module.PLOTLY: figure})
    assert 'data-figure="00-0-0"' in html and "height:300px" in html
    script = (module.STATIC / "figures/00-0-0.js").read_text()
    name, content = script.removesuffix(";\n").split(" = ", 1)
    assert name == "kitFigures['00-0-0']"
    assert json.loads(content) == {"data": [{"y": [1, 2]}], "layout": {"height": 300}}


@pytest.mark.parametrize("place", ["data", "metadata"])  # alone, or beside a picture
def test_an_explorer_is_a_page_that_needs_no_python(module, place):
    header = {"keyframe": 0, "count": 1}
    setup = {"header": header, "keyframes": ["first"], "state": ["mode", "keyframe", "picked_in"]}
    state = {"setup": setup, "mode": "height", "keyframe": 0, "picked_in": 0, "height": 400}
    buffer = {"path": ["payload"], "encoding": "base64", "data": "AAEC"}
    output = new_output("display_data", {"image/png": "iVBORw0K"})
    output[place][module.WIDGET] = {"model_id": "7"}
    copy = executed("", output)
    states = {"7": {"state": state, "buffers": [buffer]}}
    copy.metadata["widgets"] = {module.WIDGET_STATES: {"state": states}}
    page = notebook()
    module.with_outputs(page, copy, "07")
    html = page.cells[1].outputs[0].data["text/html"]
    assert 'src="../_static/explorers/07-0-0.html"' in html and "height:400px" in html
    written = (module.STATIC / "explorers/07-0-0.html").read_text()
    assert '"mode": "height"' in written and "openPage();" in written
    assert 'src="data:image/png;base64,iVBORw0K"' in written


def test_widgets_say_where_they_work_and_progress_bars_go(module):
    html = html_of(module, **{module.WIDGET: {"model_id": "7"}, "text/plain": "FigureWidget()"})
    assert "make lab" in html
    bar = {module.WIDGET: {}, "text/plain": "distilling:  40%|####     | 8/20 [00:01<00:01]"}
    outputs = new_output("display_data", bar), new_output("stream", name="stderr", text="careful")
    page = notebook()
    module.with_outputs(page, executed("", *outputs), "00")
    assert page.cells[1].outputs == []
