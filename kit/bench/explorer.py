"""Speed of the explorer: in Chromium without a graphics card, and in JupyterLab.

The street's first keyframe (or that of `--data`) with three feature sets and its images, brought to
35,000 and to 300,000 points by repeating points, moved by a few centimetres; and to a million with
one feature set. 35,000 points also in other viewers, where they are installed.
"""

import contextlib
import json
import os
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from kit.bench import Row, _browser
from kit.bench._viewers import other_viewers
from kit.data import open_dataset
from kit.data.keyframe import Keyframe
from kit.evaluate.baselines import random_student
from kit.features.extract import extract
from kit.features.spaces import Features
from kit.show import Explorer
from kit.store import FeatureCache
from kit.student.pretrained import pretrained
from kit.teacher.camera_maps import camera_maps
from kit.teacher.presets import build_teacher

# `x` is the explorer of the page; `sync` waits until the GPU has drawn.
PRELUDE = """const x = document.querySelector('.kx').explorer;
const gl = x.cloud.gl;
const sync = () => gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
const next = () => new Promise(requestAnimationFrame);
const send = (type, [clientX, clientY]) =>
  x.canvas.dispatchEvent(new PointerEvent(type, {clientX, clientY, pointerId: 1, button: 0}));
x.canvas.setPointerCapture = () => {};
"""
# Stores when the first picture was drawn, with the work of the GPU. The page itself looks for it,
# as the bench may wait for something else: before the next animation frame of the explorer.
CLOCK = """const look = () => {
  const x = document.querySelector(".kx")?.explorer;
  if (!x?.frames) return requestAnimationFrame(look);
  const {gl} = x.cloud;
  gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
  window.firstDrawn = Date.now();
};
requestAnimationFrame(look);
"""
# Waits for the first frame, for one with the colours of all points, and for one with all pixels.
CLICK = """async (place) => { %s
  for (let i = 0; i < 3; i++) await next();
  const began = performance.now(), clicked = Date.now(), frames = x.frames;
  send('pointerdown', place); send('pointerup', place);
  while (x.frames === frames) await next();
  sync();
  const first = performance.now() - began;
  for (const {number} of x.panels) while (!x.cloud.isColoured(number)) await next();
  sync();
  const coloured = performance.now() - began;
  while (x.stale || x.pixels < devicePixelRatio) await next();
  sync();
  return [coloured, x.state.picked, clicked, first, performance.now() - began]; }"""
ORBIT = """async (seconds) => { %s
  const began = performance.now(), frames = x.frames;
  while (performance.now() - began < 1000 * seconds) { x.turn(4, 0); await next(); sync(); }
  return (x.frames - frames) / (performance.now() - began) * 1000; }"""
TASKS = """window.tasks = [0];
const note = (list) => window.tasks.push(...list.getEntries().map(({duration}) => duration));
new PerformanceObserver(note).observe({type: "longtask"});
"""
WHOLE = """() => { const x = document.querySelector('.kx').explorer;
  return x.cloud.rested && !x.background.running && !x.waiting ? Date.now() : 0; }"""
REST = """() => { const x = document.querySelector('.kx').explorer;
  return !x.moving && !x.waiting; }"""
DRAWN = "() => window.firstDrawn || 0"
NOTEBOOK = (
    "import time\nfrom kit.bench.explorer import Explorer, make, resampled\n"
    "made = resampled(make(DATA), 35_000)",
    'print("started", time.time())\nx = Explorer(**made)\nknown = []\n'
    'x.observe(lambda _: known.append(time.time()), "picked")\n'
    "x",
    'print("python-knew", known, len(x.clicks))',
)


def rows(data: str | None, device: str) -> Iterator[Row]:
    """Measure in the browser.

    Raises:
        RuntimeError: there is no browser.
    """
    reason = _browser.why_no_browser()
    if reason:
        raise RuntimeError(f"bench explorer {reason}")
    made = make(data or "street")
    yield from _quantisation(Explorer(**made))
    yield _constructor(made)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory())
        driver = stack.enter_context(_browser.playwright())
        browser = stack.enter_context(_browser.chromium(driver))
        path = Explorer(**made).save(Path(folder) / "keyframe.html")
        yield Row("page: one keyframe, 3 sets, its images", path.stat().st_size / 1e6, "MB", "<= 6")
        yield from _page(browser, path, "", None, None)
        many = Explorer(**resampled(made, 100_000)).save(Path(folder) / "many.html")
        megabytes = many.stat().st_size / 1e6
        yield Row("page: 100,000 points, 3 sets, 6 images", megabytes, "MB", "<= 6")
        for count, click, orbit in ((35_000, "<= 60", ">= 30"), (300_000, "<= 300", ">= 15")):
            path = Explorer(**resampled(made, count)).save(Path(folder) / f"{count}.html")
            yield from _page(browser, path, f"{count:,} points, ", click, orbit)
        yield from _million(browser, made, Path(folder))
        points = resampled(made, 35_000)["keyframes"].points.numpy()
        yield from other_viewers(browser, Path(folder), points)
        yield from _in_jupyterlab(browser, Path(folder), data or "street")


def make(source: str) -> dict:
    """Arguments of an explorer: features of the teacher, random weights and the kit's student."""
    keyframe = open_dataset(source)[0]
    teacher, student, cache = build_teacher(), pretrained(), FeatureCache()
    models = {"teacher": teacher, "random": random_student(student), "distilled": student}
    sets = {name: extract(model, keyframe, cache=cache) for name, model in models.items()}
    maps = camera_maps(teacher, list(keyframe.cameras.values()), cache)
    frame = replace(keyframe, annotations=None, boxes=())
    return {
        "keyframes": frame,
        "features": sets,
        "feature_maps": dict(zip(keyframe.cameras, maps, strict=True)),
    }


def resampled(made: dict, count: int) -> dict:
    """The same with `count` points: some of them, or all and some again, moved a little."""
    keyframe: Keyframe = made["keyframes"]
    generator = torch.Generator().manual_seed(0)
    num = len(keyframe.points)
    more = torch.randint(num, (max(count - num, 0),), generator=generator)
    own = torch.randperm(num, generator=generator)[:count].sort().values  # from everywhere
    row = torch.cat([own, more])
    moved = torch.cat(
        [torch.zeros(len(own), 3), 0.05 * torch.randn(len(more), 3, generator=generator)]
    )
    frame = replace(
        keyframe,
        points=keyframe.points[row] + moved,
        intensity=keyframe.intensity[row],
        labels=None if keyframe.labels is None else keyframe.labels[row],
        row_in_file=None,
        num_rows_in_file=None,
    )
    sets = {name: _resampled_features(each, row) for name, each in made["features"].items()}
    return made | {"keyframes": frame, "features": sets}


def _resampled_features(features: Features, row: Tensor) -> Features:
    """The features of a keyframe's points in a new order; points may occur several times."""
    old = features.row_of(row)
    has = (old >= 0).nonzero()[:, 0]
    return Features(features.space, features.feat[old[has]], has, len(row))


def _quantisation(explorer: Explorer) -> Iterator[Row]:
    for name, quantiser in explorer.content.quantisers.items():
        title = f"cosine error, {name}, {quantiser.channels} x int8"
        yield Row(f"{title}, mean", quantiser.error_mean)
        yield Row(f"{title}, 99 of 100", quantiser.error_99)


def _constructor(made: dict, count: int = 106_000, channels: int = 256) -> Row:
    """Seconds until an explorer of one large set and its images is made; the best of three."""
    generator = torch.Generator().manual_seed(0)
    kinds, mixed = torch.randn(count, 20, generator=generator), torch.randn(20, channels)
    frame = resampled(made | {"features": {}}, count)["keyframes"]
    spent = []
    for _ in range(3):
        began = time.perf_counter()
        explorer = Explorer(frame, {"features": kinds @ mixed})
        spent.append(time.perf_counter() - began)
        explorer.close()
    return Row(f"constructor, {count:,} points x {channels} channels", min(spent), "s", "<= 0.5")


def _page(browser, path: Path, title: str, click: str | None, orbit: str | None) -> Iterator[Row]:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.add_init_script(CLOCK)
    page.goto(path.as_uri())
    first = page.wait_for_function(DRAWN, timeout=60_000).json_value()
    if not title:
        yield Row("page: network requests of it", len(requests) - 1, "", "== 0")
        page.close()
        return
    opened = page.evaluate("() => performance.timeOrigin")
    yield Row(f"{title}page opened to first picture", (first - opened) / 1000, "s")
    page.evaluate("() => document.querySelector('.kx').explorer.change({mode: 'similarity'})")
    clicks = [page.evaluate(CLICK % PRELUDE, place) for place in _places(page)]
    spent, whole = (statistics.median(each[i] for each in clicks) for i in (0, -1))
    yield Row(f"{title}click to recoloured", spent, "ms", click)
    yield Row(f"{title}click to the picture in all pixels", whole, "ms")
    page.evaluate(ORBIT % PRELUDE, 1)  # the explorer adapts the number of points to the machine
    yield Row(f"{title}orbit", page.evaluate(ORBIT % PRELUDE, 2), "frames/s", orbit)
    ratio = page.evaluate("() => document.querySelector('.kx').explorer.drawnRatio")
    yield Row(f"{title}drawn while turning", 100 * ratio, "% of points")
    page.evaluate("() => document.querySelector('.kx').explorer.change({side_by_side: true})")
    spent = [page.evaluate(CLICK % PRELUDE, place)[0] for place in _places(page)]
    yield Row(f"{title}3 sets, click to recoloured", statistics.median(spent), "ms")
    yield Row(f"{title}3 sets, orbit", page.evaluate(ORBIT % PRELUDE, 2), "frames/s")
    page.close()


def _million(browser, made: dict, folder: Path, count: int = 1_000_000) -> Iterator[Row]:
    """A large cloud with one feature set, which comes and is coloured and drawn part by part."""
    name, features = list(made["features"].items())[-1]
    only = {"keyframes": made["keyframes"], "features": {name: features}}
    shown = Explorer(**resampled(only, count), max_points=count)
    path = shown.save(folder / f"{count}.html")
    title = f"{count:,} points, 1 set, "
    yield Row(f"{title}data in the browser", len(shown.payload) / count, "bytes a point")
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.add_init_script(TASKS)
    page.add_init_script(CLOCK)
    page.goto(path.as_uri())
    first, whole = (page.wait_for_function(c, timeout=120_000).json_value() for c in (DRAWN, WHOLE))
    opened = page.evaluate("() => performance.timeOrigin")
    yield Row(f"{title}page opened to first picture", (first - opened) / 1000, "s")
    yield Row(f"{title}page opened to all points drawn", (whole - opened) / 1000, "s")
    yield Row(f"{title}longest task meanwhile", page.evaluate("() => Math.max(...tasks)"), "ms")
    page.evaluate("() => document.querySelector('.kx').explorer.change({mode: 'similarity'})")
    page.wait_for_function(WHOLE, timeout=60_000)
    clicks = []
    for place in _places(page):
        clicks.append(page.evaluate(CLICK % PRELUDE, place))
        page.wait_for_function(WHOLE, timeout=60_000)
    every, _, _, part, _ = zip(*clicks, strict=True)
    yield Row(f"{title}click to first picture recoloured", statistics.median(part), "ms", "<= 300")
    yield Row(f"{title}click to all points recoloured", statistics.median(every), "ms")
    page.evaluate(ORBIT % PRELUDE, 1)
    yield Row(f"{title}orbit", page.evaluate(ORBIT % PRELUDE, 2), "frames/s", ">= 30")
    ratio = page.evaluate("() => document.querySelector('.kx').explorer.drawnRatio")
    yield Row(f"{title}drawn while turning", 100 * ratio, "% of points")
    page.close()


def _places(page, count: int = 7) -> list[list[float]]:
    """Places on the page where a point is, spread over the first panel."""
    code = f"""() => {{ {PRELUDE}
      const {{left, top}} = x.canvas.getBoundingClientRect(), [panel] = x.panels, found = [];
      for (let i = 1; i < 400 && found.length < {count}; i++) {{
        const place = [panel.width * ((i * 0.618) % 1), panel.height * ((i * 0.414) % 1)];
        const [across, up] = [place[0], panel.height - place[1]];
        const point = x.cloud.pointAt(panel, across, up, x.state.view, x.style());
        if (point >= 0) found.push([across + left, place[1] + top]);
      }} return found; }}"""
    page.wait_for_function(REST)  # while the view moves, a pixel of the canvas may be several
    return page.evaluate(code)


def _in_jupyterlab(browser, folder: Path, data: str) -> Iterator[Row]:
    first, *rest = NOTEBOOK
    data = data if data == "street" else str(Path(data).resolve())
    _browser.write_notebook(folder / "bench.ipynb", [f"DATA = {data!r}\n{first}", *rest])
    with contextlib.ExitStack() as stack:
        os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        address = stack.enter_context(_browser.jupyterlab(folder))
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        stack.callback(page.close)
        page.add_init_script(CLOCK)
        _browser.open_notebook(page, address, "bench.ipynb")
        _browser.run_cell(page, 0)
        _browser.run_cell(page, 1)
        drawn = page.wait_for_function(DRAWN, timeout=120_000).json_value() / 1000
        ran = float(_output(page, "started").split()[1])
        yield Row(
            "JupyterLab, 35,000 points: cell started to on screen", drawn - ran, "s", "<= 1.5"
        )
        page.locator(".kx").scroll_into_view_if_needed()
        page.locator(".kx-mode[data-mode=similarity]").click()
        clicked = []
        for place in _places(page):
            began = page.evaluate(CLICK % PRELUDE, place)[2]
            clicked.append(began / 1000)
            page.wait_for_timeout(600)
        _browser.run_cell(page, 2)
        text = _output(page, "python-knew").removeprefix("python-knew").strip()
        known, num_clicks = json.loads(text[: text.index("]") + 1]), int(text.split()[-1])
        spent = [1000 * (late - early) for early, late in zip(clicked, known, strict=True)]
        yield Row("JupyterLab: click until Python knows", statistics.median(spent), "ms", "<= 400")
        yield Row("JupyterLab: clicks lost", len(clicked) - num_clicks, "", "== 0")


def _output(page, word: str) -> str:
    line = page.locator(".jp-OutputArea-output", has_text=word).last
    line.wait_for(timeout=60_000)
    return next(t for t in line.inner_text().splitlines() if t.startswith(word)).strip()
