"""Notebooks that are shown without scripts: every figure has a PNG in its output."""

import base64
import io

import numpy as np
import plotly.io
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from nbconvert import HTMLExporter
from nbformat import v4
from PIL import Image

from kit import show
from kit.show.figures.render import picture_of
from kit.show.picture import PAGE_WIDTH


@pytest.fixture
def figure(monkeypatch):
    monkeypatch.setattr(plotly.io.renderers, "default", "plotly_mimetype")  # as in JupyterLab
    return show.points(torch.randn(200, 3, generator=torch.Generator().manual_seed(0)))


def test_the_output_of_a_figure_has_a_png_of_its_size(figure):
    bundle = figure._repr_mimebundle_()
    assert "application/vnd.plotly.v1+json" in bundle
    with Image.open(io.BytesIO(base64.b64decode(bundle["image/png"]))) as image:
        assert image.size == (PAGE_WIDTH, picture_of(figure).height)
        assert np.asarray(image).std() > 5


def test_a_cell_displays_both(figure):
    InteractiveShell.instance()
    with capture_output() as captured:
        figure._ipython_display_()
    assert [set(output.data) & {"image/png"} for output in captured.outputs] == [{"image/png"}]


def test_nbconvert_writes_the_picture_into_a_page(figure):
    data = figure._repr_mimebundle_()
    output = v4.new_output("display_data", data)
    notebook = v4.new_notebook(cells=[v4.new_code_cell("figure", outputs=[output])])
    page = HTMLExporter().from_notebook_node(notebook)[0]
    assert f"data:image/png;base64,{data['image/png'][:60]}" in page


def test_a_figure_that_was_changed_has_no_picture_of_before(figure):
    figure.update_layout(title="another")
    assert "image/png" not in figure._repr_mimebundle_()
