"""Links to saved pages: a state that fits is shown, any other is refused with a sentence."""

import explorer_scene as scene
import pytest

from kit.show.explorer.links import link_of

STRANGE = [
    {"keyframe": 9},
    {"keyframe": "1"},
    {"picked_in": -1},
    {"picked": [900]},
    {"picked": "all"},
    {"mode": "depth"},
    {"feature_set": "dino"},
    {"view": {"distance": 3}},
    {"view": {"target": [0, 0, 0], "distance": 0, "azimuth": 1, "elevation": 1, "fov": 50}},
    {"components": [0, 1]},
    {"components": [0, 1, 99]},
    {"hidden_classes": [400]},
    {"colour_map": "jet"},
    {"palette": "__proto__"},
    {"background": "red"},
    {"swipe_with": "dino"},
    {"swipe": 4},
    {"density": 0},
    {"point_size": None},
    {"shading": 1},
    {"threshold": "low"},
    {"thresholds": {"height": "low"}},
    {"thresholds": [1]},
    {"cosine": "other"},
    {"similarity_range": "wide"},
]


@pytest.fixture(scope="module")
def page(save_and_open, tmp_path_factory):
    explorer = scene.explorer(num_keyframes=2, mode="labels")
    shown = save_and_open(explorer, tmp_path_factory.mktemp("links") / "a.html", keyframes=[0, 1])
    yield shown
    shown.page.close()


def go(shown, link: str):
    """Open the page at a link, from another address."""
    shown.errors.clear()
    shown.page.goto("about:blank")
    shown.page.goto(shown.path.as_uri() + link)
    shown.page.wait_for_selector("html[data-ready=yes]", timeout=20_000)
    shown.wait()


def test_a_link_is_shown(page):
    go(page, link_of({"mode": "intensity", "keyframe": 1, "picked": [4], "picked_in": 1}))
    page.page.wait_for_function("() => document.querySelector('.kx').explorer.data.keyframe === 1")
    assert (page.state("mode"), page.state("picked")) == ("intensity", [4])
    assert page.errors == [] and page.page.locator(".kx-hint").inner_text() == ""


def test_every_state_of_an_explorer_is_a_link_that_fits(page):
    go(page, page.explorer.link)
    assert page.errors == [] and page.page.locator(".kx-hint").inner_text() == ""


def test_a_link_that_does_not_fit_is_refused_and_the_page_stays_as_it_was_saved(page):
    go(page, link_of({"mode": "intensity", "keyframe": 9}))
    assert (page.state("mode"), page.state("keyframe")) == ("labels", 0) and page.errors == []
    assert "The link does not fit this page: keyframe" in page.page.locator(".kx-hint").inner_text()


@pytest.mark.parametrize("strange", STRANGE, ids=str)
def test_another_link_on_an_open_page_is_followed_or_refused(page, strange):
    if not page.page.url.endswith(page.explorer.link):
        go(page, page.explorer.link)
    before = page.run("return x.state")
    page.run("location.hash = given", link_of({"intensity": 1} | strange))
    page.page.wait_for_timeout(60)
    page.wait()
    assert page.run("return x.state") == before and page.errors == []
    (name,) = strange
    assert f"The link does not fit this page: {name}" in page.page.locator(".kx-hint").inner_text()
    page.run("location.hash = given", page.explorer.link)
    page.page.wait_for_timeout(60)
    assert page.page.locator(".kx-hint").inner_text() == ""


def test_the_page_follows_another_link(page):
    go(page, page.explorer.link)
    page.run("location.hash = given", link_of({"mode": "height", "swipe": 0.25}))
    page.page.wait_for_function("() => document.querySelector('.kx').explorer.state.swipe === 0.25")
    assert page.state("mode") == "height"
