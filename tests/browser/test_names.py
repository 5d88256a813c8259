"""Names from data in a saved page: any text is text, also names that JavaScript's objects have."""

from dataclasses import replace

import explorer_scene as scene
import numpy as np
import pytest

INHERITED = (
    "constructor",
    "__proto__",
    "toString",
    "hasOwnProperty",
    "valueOf",
    "__defineGetter__",
)
MARKUP = (
    "<b>bold</b>",
    scene.HOSTILE,
    '<a href="javascript:1">x</a>',
    "&lt;i&gt;",
    "{x} ${1} %{y}",
)
STRANGE = ("a" * 300, "\u202eabc", "\0", "line\nbreak", "  ", "\ud83d", "日本語 🚗", "0", "null")
NAMES = (*INHERITED, *MARKUP, *STRANGE)


def text_of(name: str) -> str:
    """A name as HTML shows it in one line: JSON turns half a surrogate pair into U+FFFD."""
    return " ".join(name.encode("utf8", "replace").decode("utf8").split()).replace("\0", "")


@pytest.fixture(scope="module")
def page(save_and_open, tmp_path_factory):
    """Scores, feature sets, predictions, cameras, scene and classes have such names."""
    frame = scene.keyframe(names=("constructor", "__proto__"))
    classes = replace(frame.classes, names=tuple([*NAMES, *frame.classes.names][:16]))
    frame = replace(frame, classes=classes, scene=scene.HOSTILE, token="__proto__")
    generator = np.random.default_rng(0)
    explorer = scene.Explorer(
        frame,
        features={name: scene.features(frame, i) for i, name in enumerate(NAMES[:4])},
        predictions={NAMES[0]: frame.labels, NAMES[1]: frame.labels},
        scores={name: generator.random(len(frame.points)) for name in NAMES},
    )
    shown = save_and_open(explorer, tmp_path_factory.mktemp("names") / "page.html")
    yield shown
    shown.page.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_score_of_any_name_is_drawn_and_has_its_threshold(page, name):
    page.change(mode=name)
    colours = page.colours()
    reference, index = page.reference()
    assert np.abs(colours[index, :3].astype(int) - reference).max() <= 3
    page.change(threshold=0.5)
    page.change(mode="height")
    page.change(mode=name)
    assert page.state("threshold") == 0.5
    page.change(threshold=None)
    assert page.errors == []


def test_every_mode_and_set_is_drawn_and_no_name_is_markup(page):
    for mode in page.explorer.modes:
        page.change(mode=mode)
    for name in NAMES[:4]:
        page.change(mode="features", feature_set=name)
        page.change(mode="similarity", picked=[3])
    page.change(side_by_side=True, mode="predictions")
    page.change(side_by_side=False, mode="labels")
    assert page.errors == [] and page.requests == [page.path.as_uri()]
    assert page.page.locator(".kx a, .kx b, .kx i, .kx img, .kx script").count() == 0
    assert page.page.title() != "hacked"
    buttons = page.page.locator(".kx-mode").all_text_contents()
    assert [text_of(each) for each in buttons[-len(NAMES) :]] == [text_of(name) for name in NAMES]


def test_cameras_with_names_of_objects_can_be_followed_and_enlarged(page):
    for name in ("constructor", "__proto__"):
        page.run("x.enlarge(given); x.viewFrom(given)", name)
        page.wait()
        assert page.state("view")["camera"] == name
    page.run("x.enlarge(null)")
    assert page.errors == []
