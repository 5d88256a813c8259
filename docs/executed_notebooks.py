"""Makes the site's pages of the notebooks from executed copies; executes those without one.

    python docs/executed_notebooks.py runs/notebooks docs/notebooks

`make test` leaves executed copies in the first folder. A copy is used as long as its code is the
notebook's; the text always comes from the notebook. Plotly figures become JavaScript files in
`docs/_build/static/figures`, and explorers become pages in `docs/_build/static/explorers`; both are
loaded when the reader scrolls to them.
"""

import base64
import json
import os
import shutil
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

from kit.show.explorer.export import page_html

DOCS = Path(__file__).parent
NOTEBOOKS = DOCS.parent / "notebooks"
STATIC = DOCS / "_build/static"
PLOTLY = "application/vnd.plotly.v1+json"
WIDGET = "application/vnd.jupyter.widget-view+json"
WIDGET_STATES = "application/vnd.jupyter.widget-state+json"
NO_WIDGET = (
    '<div class="needs-python">This view is interactive and needs Python: open the notebook with '
    "<code>make lab</code>.</div>"
)
PROGRESS = "%|"  # in the text of a progress bar
SMALL_SETTINGS = """:::{note}
This page shows the notebook after a run with small settings (`KIT_FAST=1`): fewer steps and fewer
keyframes. If you run the notebook yourself, it uses the full settings, and its results are better.
:::"""


def main(executed: Path, pages: Path) -> None:
    """Write one page per notebook."""
    executed.mkdir(parents=True, exist_ok=True)
    for folder in (pages, STATIC / "figures", STATIC / "explorers"):
        shutil.rmtree(folder, ignore_errors=True)  # pages of notebooks that are gone
        folder.mkdir(parents=True)
    shutil.copytree(NOTEBOOKS / "pictures", pages / "pictures")
    for source in sorted(NOTEBOOKS.glob("*.ipynb")):
        notebook = nbformat.read(source, as_version=4)
        copy = executed_copy(notebook, executed / source.name)
        if copy is None:
            print(f"executing {source.name}", flush=True)
            copy = nbformat.read(source, as_version=4)
            quiet = ["--log-level=ERROR"]
            client = NotebookClient(copy, timeout=300, kernel_name="python3", extra_arguments=quiet)
            client.execute(cwd=str(executed))
            nbformat.write(copy, executed / source.name)
        with_outputs(notebook, copy, source.stem)
        if os.environ.get("KIT_FAST") == "1":
            notebook.cells.insert(1, nbformat.v4.new_markdown_cell(SMALL_SETTINGS))
        nbformat.write(notebook, pages / source.name)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """The code cells of a notebook, in order."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def executed_copy(notebook: NotebookNode, path: Path) -> NotebookNode | None:
    """The executed copy at this path; None if its code differs, it failed or was not executed."""
    if not path.exists():
        return None
    copy = nbformat.read(path, as_version=4)
    cells = code_cells(copy)
    if [cell.source for cell in cells] != [cell.source for cell in code_cells(notebook)]:
        return None
    failed = any(out.output_type == "error" for cell in cells for out in cell.outputs)
    return None if failed or any(cell.execution_count is None for cell in cells) else copy


def with_outputs(notebook: NotebookNode, copy: NotebookNode, name: str) -> None:
    """Give a notebook the outputs of its executed copy, in a form that a page can show."""
    states = copy.metadata.get("widgets", {}).get(WIDGET_STATES, {}).get("state", {})
    for number, (cell, done) in enumerate(zip(code_cells(notebook), code_cells(copy), strict=True)):
        cell.outputs = [out for out in done.outputs if not _is_progress(out)]
        for index, output in enumerate(cell.outputs):
            data, title = output.get("data", {}), f"{name}-{number}-{index}"
            if PLOTLY in data:
                output.data = NotebookNode({"text/html": _figure(data[PLOTLY], title)})
            elif model := data.get(WIDGET) or output.get("metadata", {}).get(WIDGET):
                widget = states.get(model.get("model_id"), {"state": {}})
                picture = data.get("image/png", "")
                output.data = NotebookNode({"text/html": _explorer(widget, title, picture)})


def _is_progress(output: NotebookNode) -> bool:
    """Whether an output is a progress bar or another message on stderr."""
    return output.get("name") == "stderr" or PROGRESS in output.get("data", {}).get(
        "text/plain", ""
    )


def _figure(figure: dict, name: str) -> str:
    """Write a figure beside the page and return the element that shows it."""
    content = json.dumps({"data": figure["data"], "layout": figure["layout"]})
    (STATIC / f"figures/{name}.js").write_text(f"kitFigures[{name!r}] = {content};\n")
    height = figure["layout"].get("height", 450)
    return f'<div class="plotly-figure" data-figure="{name}" style="height:{height}px"></div>'


def _explorer(widget: dict, name: str, picture: str) -> str:
    """Write an explorer's page and return the element that shows it; other widgets need Python.

    The picture, a PNG in base64, is shown until the page is ready.
    """
    state = widget["state"]
    setup = state.get("setup")
    if setup is None or setup["header"]["keyframe"] != state["keyframe"]:
        return NO_WIDGET
    shown = {"keyframe": 0, "picked_in": 0}
    traits = {trait: state[trait] for trait in (*setup["state"], "height")} | shown
    keyframes = [setup["keyframes"][state["keyframe"]]]
    header = setup["header"] | {"keyframe": 0}
    traits["setup"] = setup | {"header": header, "keyframes": keyframes}
    payload = base64.b64decode(widget["buffers"][0]["data"])
    picture = f"data:image/png;base64,{picture}" if picture else ""
    page = page_html(name, traits, [(header, payload)], picture)
    (STATIC / f"explorers/{name}.html").write_text(page)
    return (
        f'<iframe class="explorer" loading="lazy" src="../_static/explorers/{name}.html" '
        f'style="height:{state["height"]}px" title="explorer"></iframe>'
    )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
