"""A page of cards for saved explorers."""

import io

import explorer_scene as scene
import numpy as np
import pytest
from PIL import Image

from kit.__main__ import main
from kit.show.gallery import write_gallery

TITLE = "<b>first</b>"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs with an explorer each, and a page that is none."""
    folder = tmp_path_factory.mktemp("runs")
    made = scene.explorer(mode="similarity")
    made.save(folder / "one" / "explorer.html", title=TITLE)
    made.mode = "labels"
    made.save(folder / "two" / "explorer.html")
    (folder / "two" / "report.html").write_text("<title>a report</title>")
    return folder


def test_each_saved_explorer_has_a_card_with_its_picture(runs, tmp_path):
    index = write_gallery([runs], tmp_path / "site", "Street & more")
    text = index.read_text()
    name = runs.name
    for run in ("one", "two"):
        assert f'href="pages/{name}-{run}-explorer.html"' in text
        copy = tmp_path / "site" / "pages" / f"{name}-{run}-explorer.html"
        assert copy.read_bytes() == (runs / run / "explorer.html").read_bytes()
        picture = tmp_path / "site" / "pictures" / f"{name}-{run}-explorer.webp"
        with Image.open(io.BytesIO(picture.read_bytes())) as image:
            assert image.width == 800 and np.asarray(image).std() > 5
    assert "<title>Street &amp; more</title>" in text and "&lt;b&gt;first&lt;/b&gt;" in text
    assert "900 points · teacher, random, distilled · Similarity" in text and "Labels" in text
    assert "a report" not in text and "http" not in text


def test_a_second_run_does_not_find_its_own_copies(runs, tmp_path):
    site = runs / "site"
    before = write_gallery([runs], site).read_text()
    assert write_gallery([runs], site).read_text() == before


def test_the_command_writes_it_and_names_what_is_missing(runs, tmp_path, capsys):
    site = tmp_path / "site"
    assert main(["gallery", str(runs / "one"), str(runs / "two"), "--out", str(site)]) == 0
    assert str(site / "index.html") in capsys.readouterr().out
    assert sorted(path.name for path in (site / "pages").iterdir()) == [
        "one-explorer.html", "two-explorer.html",
    ]  # fmt: skip
    assert main(["gallery", str(runs / "none"), "--out", str(site)]) == 1
    assert f"{runs / 'none'}: no such file" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"no saved explorer in .*; save one with"):
        write_gallery([tmp_path / "site" / "pictures"], tmp_path / "other")
