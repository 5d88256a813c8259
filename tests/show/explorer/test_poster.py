"""Still pictures of an explorer: in notebooks and pages, and films of them."""

import base64
import io
import os
from pathlib import Path

import explorer_scene as scene
import numpy as np
import pytest
from nbconvert import HTMLExporter, LatexExporter, SlidesExporter
from nbconvert.preprocessors import ExecutePreprocessor
from nbformat import v4
from PIL import Image

from kit.show import Steps
from kit.show.explorer import kernel
from kit.show.explorer.poster import SIZE, draw_clouds, poster, poster_png
from kit.show.explorer.widget import WIDGET
from kit.show.png.splat import shade

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def made():
    return scene.explorer(2, mode="labels")


CELL = """import explorer_scene, kit
explorer = explorer_scene.explorer(mode="labels")
explorer"""


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """A notebook that nbconvert has run, with the states of its widgets."""
    notebook = v4.new_notebook(cells=[v4.new_code_cell(CELL), v4.new_code_cell("print(explorer)")])
    with pytest.MonkeyPatch.context() as patch:
        paths = [str(ROOT), str(ROOT / "tests/helpers"), os.environ.get("PYTHONPATH", "")]
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
        folder = {"metadata": {"path": str(tmp_path_factory.mktemp("executed"))}}
        quiet = ["--log-level=ERROR"]
        run = ExecutePreprocessor(timeout=120, kernel_name="python3", extra_arguments=quiet)
        return run.preprocess(notebook, folder)[0]


def test_a_notebook_that_was_executed_by_nbconvert_shows_the_picture(executed):
    (output,) = executed.cells[0].outputs
    states = executed.metadata["widgets"]["application/vnd.jupyter.widget-state+json"]["state"]
    model = output.metadata[WIDGET]["model_id"]
    assert states[model]["state"]["mode"] == "labels"  # its widget is stored
    start = output.data["image/png"][:60]
    for exporter in (HTMLExporter, SlidesExporter):
        page = exporter().from_notebook_node(executed)[0]
        assert f"data:image/png;base64,{start}" in page and model not in _outputs_of(page)
    _, resources = LatexExporter().from_notebook_node(executed)
    (image,) = resources["outputs"].values()
    assert image == base64.b64decode(output.data["image/png"])


def _outputs_of(page: str) -> str:
    """A page without the states of widgets, which nbconvert stores at its end."""
    return page.split('type="application/vnd.jupyter.widget-state+json"')[0]


def test_an_explorer_says_what_it_shows(executed, made):
    sentence = "Explorer: 900 points, sets teacher, random, distilled"
    assert executed.cells[0].outputs[0].data["text/plain"] == sentence
    assert executed.cells[1].outputs[0].text == sentence + "\n"
    assert repr(made) == "Explorer: 2 keyframes, up to 900 points, sets teacher, random, distilled"
    plain = scene.Explorer(scene.keyframe())
    assert repr(plain) == "Explorer: 900 points"
    plain.close()
    assert repr(plain) == "Explorer: closed"


@pytest.mark.parametrize(
    "message, expected",
    [
        (None, False),
        ({"content": {"allow_stdin": True}, "metadata": {"cellId": "a"}}, False),  # JupyterLab
        ({"content": {"allow_stdin": True}, "metadata": {}}, False),  # Colab
        ({"content": {"allow_stdin": False}, "metadata": {"cellId": "a"}}, False),
        ({"content": {"allow_stdin": False}, "metadata": {}}, True),  # nbclient
    ],
)
def test_only_a_program_without_a_page_is_unattended(monkeypatch, message, expected):
    monkeypatch.setattr(kernel, "request", lambda: message)
    assert kernel.is_unattended() is expected


def test_a_notebook_stores_a_picture_beside_the_widget(made):
    data, _ = made._repr_mimebundle_()
    assert WIDGET in data
    with Image.open(io.BytesIO(base64.b64decode(data["image/png"]))) as image:
        assert image.width == SIZE[1] and image.height > SIZE[0]  # with a row of images
    output = v4.new_output("display_data", {"image/png": data["image/png"]})
    notebook = v4.new_notebook(cells=[v4.new_code_cell("explorer", outputs=[output])])
    page = HTMLExporter().from_notebook_node(notebook)[0]
    assert f"data:image/png;base64,{data['image/png'][:60]}" in page


def test_the_picture_is_drawn_again_only_after_a_change(monkeypatch):
    drawn = []

    def draw(explorer):
        drawn.append(explorer.mode)
        return poster_png(explorer)

    monkeypatch.setattr("kit.show.explorer.poster.poster_png", draw)
    made = scene.explorer(ask=lambda text: np.arange(900.0))
    pictures = [made._repr_mimebundle_()[0]["image/png"] for _ in range(2)]
    assert drawn == ["features"] and pictures[0] == pictures[1]
    made.mode = "height"
    assert made._repr_mimebundle_()[0]["image/png"] not in pictures
    made.view["azimuth"] += 90.0  # within the same dictionary
    made._repr_mimebundle_()
    made.ask("words")
    made._repr_mimebundle_()
    made._ask = lambda text: np.arange(900.0)[::-1].copy()
    made.ask("words")  # another answer to the same question
    made._repr_mimebundle_()
    assert drawn == ["features", "height", "height", "words", "words"]


def test_the_quick_picture_of_notebooks_is_close_to_the_fine_one(made):
    with Image.open(io.BytesIO(base64.b64decode(poster_png(made)))) as image:
        quick = np.asarray(image).astype(int)
    fine = poster(made).astype(int)
    assert quick.shape == fine.shape and not np.array_equal(quick, fine)
    height = SIZE[0]
    # Borders of points are steps instead of averages, so means of 4 x 4 pixels are compared.
    blurred = [
        each[:height].reshape(height // 4, 4, -1, 4, 3).mean((1, 3)) for each in (quick, fine)
    ]
    assert np.abs(blurred[0] - blurred[1]).mean() < 2
    assert np.array_equal(quick[height:], fine[height:])


def test_the_picture_shows_the_cloud_above_the_images(made):
    pixels = poster(made, (200, 400))
    assert np.array_equal(pixels[:200], draw_clouds(made, (200, 400)))
    for part, colour in ((slice(0, 198), (70, 90, 120)), (slice(202, 400), (120, 80, 60))):
        usual = np.median(pixels[200:, part].reshape(-1, 3), axis=0)  # between white lines
        assert np.abs(usual - colour).max() <= 16


def test_a_closed_explorer_has_no_picture():
    closed = scene.explorer(mode="labels")
    closed.close()
    assert closed._repr_mimebundle_ is None


def test_depth_shading_darkens_what_lies_behind_its_neighbours():
    pixels = np.full((20, 20, 3), 200, dtype=np.uint8)
    depth = np.full((20, 20), 10.0)
    depth[:, 10:] = 20.0
    shaded = shade(pixels, depth, 5)
    assert (shaded[:, :10] == 200).all() and (shaded[:, 13:] == 200).all()
    # Three of the eight neighbours of column 10 are nearer by log2(20 / 10) = 1.
    assert shaded[10, 10, 0] == int(200 * np.exp(-5 * 3 / 8))
    depth[:, :10] = np.inf  # nothing there: no shade
    assert (shade(pixels, depth, 5) == 200).all()


def frames_of(path) -> list[np.ndarray]:
    with Image.open(path) as film:
        assert film.info["loop"] == 0
        frames = []
        for number in range(film.n_frames):
            film.seek(number)
            frames.append(np.asarray(film.convert("RGB")).astype(int))
    return frames


def test_films_of_a_turn_of_keyframes_and_of_steps(made, tmp_path):
    state = {name: getattr(made, name) for name in made.state_names()}
    size = (90, 160)
    turn = frames_of(made.save_gif(tmp_path / "turn.gif", "turn", 4, image_size=size))
    assert len(turn) == 4 and np.abs(turn[0] - turn[2]).mean() > 2
    assert len(frames_of(made.save_gif(tmp_path / "all.gif", "keyframes", image_size=size))) == 2
    assert {name: getattr(made, name) for name in made.state_names()} == state
    drawn = draw_clouds(made, size).astype(int)
    assert np.abs(turn[0] - drawn).mean() < 6  # 256 colours
    with pytest.raises(ValueError, match="through steps needs at least two frames, got 0"):
        made.save_gif(tmp_path / "none.gif", "steps")


def test_a_film_of_steps_has_a_frame_for_each(tmp_path):
    frame = scene.keyframe()
    sets = {"s": Steps({str(dim): scene.features(frame, dim, dim) for dim in (8, 16, 24)})}
    made = scene.Explorer(frame, sets, mode="features")
    frames = frames_of(made.save_gif(tmp_path / "steps.gif", "steps", image_size=(90, 160)))
    assert len(frames) == 3
