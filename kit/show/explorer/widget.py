"""The explorer: a point cloud, its images and its features, to be turned, clicked and compared.

    explorer = kit.show.Explorer(keyframe, features={"teacher": (rows, feat), "distilled": feat})
    explorer                      # in a notebook: click a point, see what the network finds alike
    explorer.picked               # rows of the points that were clicked
    explorer.save("street.html")  # one file, no network, the same clicks

A widget of its own (anywidget, plain WebGL2 in `explorer.js`): after the data arrived, every click,
mode and turn is computed in the browser, and Python is told.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import numpy as np
import traitlets

from kit.data.classes import ClassMap
from kit.data.keyframe import Keyframe
from kit.show.explorer import payload as blob
from kit.show.explorer.state import Content, check_content

MAX_POINTS = 300_000  # a click is answered in about half a second without a graphics card
FOLDER = Path(__file__).parent / "js"


@dataclass(frozen=True)
class Click:
    """One click, in the order of arrival; none is merged with another.

    Attributes:
        row: of the keyframe's points.
        kind: "pick", "positive" (with shift) or "negative" (with alt).
        keyframe: index of the keyframe.
        place: "cloud", or the name of the camera whose image was clicked.
        picked, negatives: what is picked after this click.
    """

    row: int
    kind: str
    keyframe: int
    place: str
    picked: tuple[int, ...]
    negatives: tuple[int, ...]


class _Keyframe(ipywidgets.Widget):
    """A keyframe on its way to the browser."""

    header = traitlets.Dict().tag(sync=True)
    block = traitlets.Bytes().tag(sync=True)


class Explorer(anywidget.AnyWidget):
    """Show keyframes in 3-D beside their images, and let features be asked by clicks.

    Args:
        keyframes: one, or a list of them (a sequence, with a slider).
        features: by name, e.g. teacher, random, distilled; (N, D) per keyframe, or a tuple
            (rows, feat) where only the points `rows` have one: the others stay grey. For several
            keyframes a list of these. The first set gives the colours' basis.
        predictions: (N,) class indices per keyframe, by the name of a feature set.
        scores: (N,) numbers per keyframe, by name; each becomes a mode with a threshold.
        classes: what labels and predictions mean; by default the first keyframe's.
        grids: the images' own features of the first set, by camera: (D, h, w) or what
            `kit.camera_maps` gives; images are then coloured cell by cell. For several keyframes
            a list.
        max_points: of a keyframe; more are thinned, the same way every time, with a note.
        channels: kept per feature, see `kit.show.explorer.quantisation`.
        height: of the whole explorer, pixels.

    Attributes (traits, read and set from Python, e.g. `explorer.mode = "height"`):
        mode: one of `explorer.modes`.
        feature_set: the one that is shown; `side_by_side` shows all of them.
        keyframe: index of the keyframe.
        picked, negatives: rows of points, of the keyframe `picked_in`. The similarity shown is the
            mean cosine to the picked points, minus the mean cosine to the negatives.
        cosine: "centred" (features minus the set's mean, both at unit length: what all features of
            a network have in common no longer makes everything alike) or "plain".
        threshold: points below it turn grey in score and similarity modes; None: off.
        components: which three components of the basis are red, green, blue.
        hidden_classes: class indices, as switched off in the legend.
        view: target (m, lidar frame), distance (m), azimuth (degrees; 0 looks along y, 90 along
            x), elevation (degrees above the target), fov (degrees, over the shorter side);
            optional camera: the name of one whose place the view takes, in every keyframe.
        selected: rows of the points in the box drawn in an image (numpy, told by the browser).
        clicks: list of `Click`, every one there was.

    Raises:
        ValueError: other counts than points, NaN, labels that are no class; says where.
    """

    _esm = FOLDER / "explorer.js"
    _css = FOLDER / "explorer.css"

    setup = traitlets.Dict().tag(sync=True)
    first = traitlets.Bytes().tag(sync=True)
    height = traitlets.Int(680).tag(sync=True)
    mode = traitlets.Unicode("height").tag(sync=True)
    feature_set = traitlets.Unicode("").tag(sync=True)
    side_by_side = traitlets.Bool(False).tag(sync=True)
    keyframe = traitlets.Int(0).tag(sync=True)
    picked = traitlets.List(traitlets.Int()).tag(sync=True)
    negatives = traitlets.List(traitlets.Int()).tag(sync=True)
    picked_in = traitlets.Int(0).tag(sync=True)
    cosine = traitlets.Enum(["centred", "plain"], "centred").tag(sync=True)
    threshold = traitlets.Float(None, allow_none=True).tag(sync=True)
    components = traitlets.List(traitlets.Int(), [0, 1, 2], minlen=3, maxlen=3).tag(sync=True)
    hidden_classes = traitlets.List(traitlets.Int()).tag(sync=True)
    view = traitlets.Dict().tag(sync=True)
    point_size = traitlets.Float(1.0, min=0.1, max=10.0).tag(sync=True)
    selected = traitlets.Instance(np.ndarray, allow_none=True)

    def __init__(
        self,
        keyframes: Keyframe | Sequence[Keyframe],
        features: Mapping[str, Any] | None = None,
        predictions: Mapping[str, Any] | None = None,
        scores: Mapping[str, Any] | None = None,
        classes: ClassMap | None = None,
        grids: Any = None,
        *,
        max_points: int = MAX_POINTS,
        channels: int | None = None,
        **traits,
    ):
        self.content: Content = check_content(
            keyframes, features, predictions, scores, classes, grids, max_points, channels
        )
        self.clicks: list[Click] = []
        self._asked: list[Callable[[Click], None]] = []
        self._brought: _Keyframe | None = None
        header, first = blob.pack_keyframe(self.content, 0)
        setup = blob.describe(self.content) | {"header": header}
        setup["notes"] += header["missing"]
        start = {"feature_set": next(iter(self.content.sets), "")}
        if "features" in self.content.modes:
            start["mode"] = "features"
        start["view"] = blob.first_view(self.content)
        super().__init__(setup=setup, first=first, **(start | traits))
        self.on_msg(self._hear)

    @property
    def modes(self) -> list[str]:
        """The modes there are: what the keyframes and the arguments have something to show for."""
        return self.content.modes

    def similarity(self, feature_set: str | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Score of every point of this keyframe to what is picked, from the features as they are.

        Returns:
            score: (N,) mean cosine to the picked points minus that to the negatives.
            has: (N,) whether the point has a feature; the score of others is 0.
        """
        from kit.show.explorer.paint import similarity_shown

        return similarity_shown(self, feature_set or self.feature_set)

    def on_click(self, call: Callable[[Click], None]) -> None:
        """Call a function with every `Click`."""
        self._asked.append(call)

    def save(
        self, path: str | PathLike, *, keyframes: Sequence[int] | None = None, title: str = ""
    ) -> Path:
        """Write a page that needs nothing else, see `kit.show.explorer.export.save_page`."""
        from kit.show.explorer.export import save_page

        return save_page(self, path, keyframes=keyframes, title=title)

    def save_png(
        self, path: str | PathLike, image_size: tuple[int, int] = (800, 1280), dark: bool = False
    ) -> Path:
        """Draw the cloud as it is shown, without a browser, see `kit.show.explorer.export.save_picture`."""
        from kit.show.explorer.export import save_picture

        return save_picture(self, path, image_size, dark)

    def save_ply(self, path: str | PathLike, feature_set: str | None = None) -> Path:
        """Write the coloured cloud of this keyframe and mode as PLY."""
        from kit.show.explorer.export import save_ply

        return save_ply(self, path, feature_set)

    def save_gltf(self, path: str | PathLike, feature_set: str | None = None) -> Path:
        """Write the coloured cloud of this keyframe and mode as glTF (.gltf) or binary (.glb)."""
        from kit.show.explorer.export import save_gltf

        return save_gltf(self, path, feature_set)

    def _hear(self, _, message: dict[str, Any], buffers: list) -> None:
        """Answer the browser: a click, a box, a keyframe it needs, or that it has no WebGL2."""
        kind = message.get("type")
        if kind == "click":
            rows = {name: tuple(message[name]) for name in ("picked", "negatives")}
            click = Click(
                message["row"], message["kind"], message["keyframe"], message["place"], **rows
            )
            self.clicks.append(click)
            for call in self._asked:
                call(click)
        elif kind == "select":
            self.selected = np.frombuffer(buffers[0], dtype="<i4").astype(np.int64)
        elif kind == "need":
            self._bring(int(message["index"]))
        elif kind == "no webgl2":
            from kit.show.explorer.export import fallback_page

            self.send({"type": "fallback", "page": fallback_page(self)})

    def _bring(self, index: int) -> None:
        """Give the browser a keyframe: as a widget of its own, for Jupyter's limit on data
        (1 MB/s, what is more gets lost) spares only what opens a widget."""
        header, block = blob.pack_keyframe(self.content, index)
        if self._brought is not None:
            self._brought.close()
        self._brought = _Keyframe(header=header, block=block)
        self.send({"type": "keyframe", "model": self._brought.model_id})

    @traitlets.validate("mode")
    def _check_mode(self, proposal) -> str:
        return _one_of("mode", proposal["value"], self.modes)

    @traitlets.validate("feature_set")
    def _check_set(self, proposal) -> str:
        return _one_of("feature_set", proposal["value"], self.content.sets or [""])

    @traitlets.validate("keyframe", "picked_in")
    def _check_keyframe(self, proposal) -> int:
        index, count = proposal["value"], len(self.content.keyframes)
        if not 0 <= index < count:
            raise traitlets.TraitError(f"keyframe {index} is not one of 0 to {count - 1}")
        return index

    @traitlets.validate("picked", "negatives")
    def _check_rows(self, proposal) -> list[int]:
        rows = self.content.rows[self.picked_in]
        for row in proposal["value"]:
            nearest = int(rows[min(np.searchsorted(rows, row), len(rows) - 1)])
            if nearest != row:
                raise traitlets.TraitError(
                    f"row {row} is not one of the {len(rows):,} points drawn; the next is {nearest}"
                )
        return proposal["value"]

    @traitlets.validate("hidden_classes")
    def _check_classes(self, proposal) -> list[int]:
        for label in proposal["value"]:
            _one_of("class", label, range(len(self.content.classes)))
        return proposal["value"]

    @traitlets.validate("components")
    def _check_components(self, proposal) -> list[int]:
        counts = [basis.components.shape[1] for basis in self.content.bases.values()]
        for component in proposal["value"]:
            if counts and not 0 <= component < max(min(counts), 3):
                raise traitlets.TraitError(
                    f"component {component} is not one of 0 to {min(counts) - 1}"
                )
        return proposal["value"]


def _one_of(name: str, value: Any, known: Sequence) -> Any:
    if value not in known:
        raise traitlets.TraitError(
            f"no {name} {value!r}; there are {', '.join(map(str, known)) or 'none'}"
        )
    return value
