"""A browser for the tests of this folder; without one they are skipped with the reason."""

import explorer_scene as scene
import numpy as np
import pytest

from kit.bench import _browser
from kit.show.explorer.paint import colours_of
from kit.show.png.splat import project
from kit.show.scene import Viewpoint


@pytest.fixture(scope="session")
def driver():
    reason = _browser.why_no_browser()
    if reason:
        pytest.skip(reason)
    with _browser.playwright() as started:
        yield started


@pytest.fixture(scope="session")
def browser(driver):
    with _browser.chromium(driver) as opened:
        yield opened


@pytest.fixture(scope="session")
def browser_without_webgl(driver):
    with _browser.chromium(driver, webgl=False) as opened:
        yield opened


def viewpoint_of(view: dict, image_size: tuple[int, int]) -> Viewpoint:
    """The viewpoint of the explorer's trait `view` in a picture of (height, width) pixels."""
    view = {name: value for name, value in view.items() if name != "camera"}
    return Viewpoint.orbit(**view, aspect=image_size[1] / image_size[0])


class Shown:
    """A saved page in the browser, beside the explorer it was saved from."""

    def __init__(self, browser, explorer, path, scheme="light", size=(1280, 800), keyframes=None):
        self.explorer, self.path = explorer, explorer.save(path, keyframes=keyframes)
        viewport = {"width": size[0], "height": size[1]}
        self.page = browser.new_page(viewport=viewport, color_scheme=scheme)
        self.requests, self.errors = [], []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on(
            "console",
            lambda message: (
                message.type in ("error", "warning") and self.errors.append(message.text)
            ),
        )
        self.page.goto(self.path.as_uri())
        self.page.wait_for_selector("html[data-ready=yes]", timeout=20_000)
        self.wait()

    def run(self, code: str, argument=None):
        """Run JavaScript with `x`, the explorer in the page, and `given`; returns its value."""
        wrapped = "(given) => { const x = document.querySelector('.kx').explorer; %s }"
        return self.page.evaluate(wrapped % code, argument)

    def change(self, **changes):
        self.run("x.change(given)", changes)
        self.wait()

    def wait(self):
        """Wait until the last change is drawn."""
        x = "document.querySelector('.kx').explorer"
        self.page.wait_for_function(f"() => {x}.frames > 0 && !{x}.waiting")

    def state(self, name: str):
        return self.run("return x.state[given]", name)

    def colours(self, number: int | None = None) -> np.ndarray:
        """(N, 4) bytes of every point as the GPU computed them."""
        code = "return Array.from(x.cloud.read(given ?? x.shownSet()).colours)"
        return np.array(self.run(code, number), dtype=np.uint8).reshape(-1, 4)

    def scores(self, number: int | None = None) -> np.ndarray:
        return np.array(
            self.run("return Array.from(x.cloud.read(given ?? x.shownSet()).scores)", number)
        )

    def reference(self) -> tuple[np.ndarray, np.ndarray]:
        """Colours by numpy in the page's state, and the index of the points shown."""
        for name, value in self.run("return x.state").items():
            self.explorer.set_trait(name, value)
        return colours_of(self.explorer)

    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """Place of each point on the page by numpy (N, 2) px, and its depth."""
        box = self.page.locator(".kx-cloud").bounding_box()
        size = (round(box["height"]), round(box["width"]))
        points = self.explorer.content.keyframes[self.state("keyframe")].points.numpy()
        view = viewpoint_of(self.state("view"), size)
        uv, depth = project(points.astype(np.float64), view, size)
        return uv + [box["x"], box["y"]], depth

    def alone(self, margin: float = 26.0) -> np.ndarray:
        """Points without others close by on the screen, away from its borders and the legend."""
        uv, depth = self.places()
        box = self.page.locator(".kx-cloud").bounding_box()
        low = np.array([box["x"] + 260, box["y"] + 40])
        high = np.array([box["x"] + box["width"] - 40, box["y"] + box["height"] - 40])
        apart = np.linalg.norm(uv[:, None] - uv[None], axis=2)
        apart[:, depth <= 0] = np.inf
        np.fill_diagonal(apart, np.inf)
        inside = ((uv > low) & (uv < high)).all(1) & (depth > 0)
        return np.flatnonzero(inside & (np.nanmin(apart, axis=1) > margin))

    def drag_slider(self, selector: str, value: float):
        code = "(node, to) => { node.value = to; node.dispatchEvent(new Event('input')); }"
        self.page.locator(selector).evaluate(code, value)
        self.wait()

    def click(self, point: int, *keys: str):
        uv, _ = self.places()
        for key in keys:
            self.page.keyboard.down(key)
        self.page.mouse.click(*uv[point])
        for key in keys:
            self.page.keyboard.up(key)
        self.wait()


@pytest.fixture(scope="session")
def save_and_open(browser):
    """Save any explorer to a file and open it; the caller closes the page."""
    return lambda explorer, path, **options: Shown(browser, explorer, path, **options)


@pytest.fixture(scope="module")
def shown(browser, tmp_path_factory):
    """The small scene, opened once; tests set the state they need."""
    page = Shown(browser, scene.explorer(), tmp_path_factory.mktemp("page") / "explorer.html")
    yield page
    page.page.close()


@pytest.fixture
def open_page(browser, tmp_path):
    """Open any explorer."""
    opened = []

    def show(explorer, **options) -> Shown:
        opened.append(Shown(browser, explorer, tmp_path / f"{len(opened)}.html", **options))
        return opened[-1]

    yield show
    for page in opened:
        page.page.close()


@pytest.fixture(autouse=True)
def _first_state(request):
    """Before every test, the state of the page is that of its opening."""
    if "shown" in request.fixturenames:
        shown = request.getfixturevalue("shown")
        shown.run("x.clickKind = 'pick'; x.enlarge(null); x.select(new Int32Array(0), 'cloud')")
        shown.page.mouse.move(2, 2)
        shown.change(
            mode="similarity", feature_set="distilled", side_by_side=False, picked=[], negatives=[],
            picked_in=0, threshold=None, cosine="centred", components=[0, 1, 2], hidden_classes=[],
            view=shown.explorer.view, keyframe=0,
        )  # fmt: skip
