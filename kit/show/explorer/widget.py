"""The explorer: point cloud, images and features of keyframes, to be turned, clicked and compared.

    explorer = kit.show.Explorer(keyframe, features={"teacher": kit.extract(teacher, keyframe)})
    explorer                      # in a notebook: click a point, see which points are similar
    explorer.picked               # the points that were clicked
    explorer.save("street.html")  # one file that needs no network, with the same clicks

It is a widget of its own (anywidget, plain WebGL2, its modules in `js/`). Once the data is in the
browser, colours and views are computed there, and Python is informed of every change.
"""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any

import anywidget
import ipywidgets
import numpy as np
import traitlets

from kit.data.classes import ClassMap
from kit.data.keyframe import Keyframe
from kit.show.explorer.click import Click
from kit.show.explorer.home import first_view
from kit.show.explorer.kernel import is_unattended
from kit.show.explorer.links import link_of, state_of
from kit.show.explorer.modules import FOLDER, compact, script_of
from kit.show.explorer.payload import PALETTES, describe, keyframe_payload
from kit.show.explorer.reruns import close_earlier
from kit.show.explorer.saving import Saving
from kit.show.explorer.scales import COLOUR_MAPS
from kit.show.explorer.state import Content, check_content

WIDGET = "application/vnd.jupyter.widget-view+json"
MAX_POINTS = 1_000_000  # each takes 20 bytes of a message, and 40 for each set of features


class _Keyframe(ipywidgets.Widget):
    """The data of one keyframe, as a widget that brings it to the browser."""

    header = traitlets.Dict().tag(sync=True)
    payload = traitlets.Bytes().tag(sync=True)


def _state(trait: traitlets.TraitType, colours: bool = False) -> traitlets.TraitType:
    """Mark a trait as part of the state that browser, Python and saved pages share.

    Args:
        colours: the colours of points depend on it.
    """
    return trait.tag(sync=True, state=True, colours=colours)


class Explorer(Saving, anywidget.AnyWidget):
    """Show keyframes in 3-D beside their images, and compare features by clicks.

    Args:
        keyframes: one, or a list of them (a sequence, with a slider).
        features: by name, e.g. teacher, random, distilled: `kit.Features`, or (N, D) for all
            points. Points without a feature are grey. For several keyframes a list of these. All
            are coloured by a basis of the first. `kit.show.Steps`, e.g. of layers, get a slider.
        predictions: (N,) class indices per keyframe, by the name of a feature set.
        scores: (N,) numbers per keyframe, by name; each becomes a mode with a threshold.
        classes: names and colours of labels and predictions; by default the first keyframe's.
        feature_maps: by camera, the feature map of its image in the space of the first set, from
            `kit.camera_maps` or (D, h, w); images are then coloured cell by cell. For several
            keyframes a list.
        max_points: of a keyframe; more are thinned, the same way every time, with a note.
        channels: kept per feature, see `kit.show.explorer.quantisation`.
        height: of the whole explorer, pixels.
        ask: answers words in the explorer's text box: a function of the text that returns a query
            with a method `score(features)`, as `kit.Query`, or (N,) numbers for a single keyframe.

    The attributes are traits, which can be set: `explorer.mode = "height"`.

    Attributes:
        mode: one of `explorer.modes`.
        feature_set: the one that is shown; `side_by_side` shows all of them.
        keyframe: number of the keyframe.
        picked, negatives: points of the keyframe `picked_in`, by index. The similarity shown is the
            mean cosine to the picked points, minus the mean cosine to the negatives.
        cosine: "centred" (features minus the set's mean, both at unit length: the part that all
            features have in common does not make all points similar) or "plain".
        threshold: points below it turn grey in score and similarity modes; None: off.
        thresholds: those of other modes, by name; segments use those of the queries, and the
            middle of a query's range where there is none.
        components: which three components of the basis are red, green, blue.
        hidden_classes: class indices, as switched off in the legend.
        view: target (m, lidar frame), distance (m), azimuth (degrees; 0 looks along y, 90 along
            x), elevation (degrees above the target), fov (degrees, over the shorter side);
            optional camera: the name of one whose place the view takes, in every keyframe.
        background: "dark" or "light", behind the points.
        colour_map: of numbers: viridis, cividis, inferno, mako or grey.
        palette: colours of classes: "distinct" ones, close to those of the data set but to be told
            apart with the common colour vision deficiencies, or those of the "dataset".
        similarity_range: the colours of a similarity span from its median to its largest values
            ("auto"), or up to a cosine of 1 ("fixed").
        compare_with: the second feature set of the mode agreement; "": the first other one.
        swipe_with, swipe: the feature set right of the line `swipe` (0 to 1 of the width).
        point_size, density: of the points; density is the ratio that is drawn.
        shading, frusta, boxes: depth shading, cameras with their images in space, annotated boxes.
        selected: index of the points in the box that was drawn in an image, or in a lasso (numpy).
        selected_in: number of the keyframe of these points.
        clicks: list of every `Click`.

    Raises:
        ValueError: other counts than points, NaN, labels that are no class; the message says where.
    """

    _esm = compact(script_of("widget.js"))
    _css = FOLDER / "explorer.css"

    setup = traitlets.Dict().tag(sync=True)
    payload = traitlets.Bytes().tag(sync=True)
    height = traitlets.Int(680, min=200, max=10_000).tag(sync=True)
    mode = _state(traitlets.Unicode("height"), colours=True)
    feature_set = _state(traitlets.Unicode(""), colours=True)
    side_by_side = _state(traitlets.Bool(False), colours=True)
    keyframe = _state(traitlets.Int(0))
    picked = _state(traitlets.List(traitlets.Int()), colours=True)
    negatives = _state(traitlets.List(traitlets.Int()), colours=True)
    picked_in = _state(traitlets.Int(0), colours=True)
    cosine = _state(traitlets.Enum(["centred", "plain"], "centred"), colours=True)
    threshold = _state(traitlets.Float(None, allow_none=True), colours=True)
    thresholds = _state(traitlets.Dict(value_trait=traitlets.Float()), colours=True)
    components = _state(
        traitlets.List(traitlets.Int(), [0, 1, 2], minlen=3, maxlen=3), colours=True
    )
    hidden_classes = _state(traitlets.List(traitlets.Int()), colours=True)
    view = _state(traitlets.Dict())
    point_size = _state(traitlets.Float(1.0, min=0.1, max=10.0))
    density = _state(traitlets.Float(1.0, min=0.01, max=1.0))
    background = _state(traitlets.Enum(["dark", "light"], "dark"), colours=True)
    shading = _state(traitlets.Bool(True))
    frusta = _state(traitlets.Bool(True))
    boxes = _state(traitlets.Bool(False))
    colour_map = _state(traitlets.Enum(list(COLOUR_MAPS), "viridis"), colours=True)
    palette = _state(traitlets.Enum(list(PALETTES), "distinct"), colours=True)
    similarity_range = _state(traitlets.Enum(["auto", "fixed"], "auto"), colours=True)
    compare_with = _state(traitlets.Unicode(""), colours=True)
    swipe_with = _state(traitlets.Unicode(""), colours=True)
    swipe = _state(traitlets.Float(0.5, min=0.0, max=1.0))
    selected = traitlets.Instance(np.ndarray, allow_none=True)
    selected_in = traitlets.Int(0)
    linked = traitlets.Unicode("").tag(sync=True)  # those with the same text move together
    _sent: _Keyframe | None = None
    _still: tuple[list, str] = ([], "")  # the state, and the picture of it

    def __init__(
        self,
        keyframes: Keyframe | Sequence[Keyframe],
        features: Mapping[str, Any] | None = None,
        predictions: Mapping[str, Any] | None = None,
        scores: Mapping[str, Any] | None = None,
        classes: ClassMap | None = None,
        feature_maps: Any = None,
        *,
        max_points: int = MAX_POINTS,
        channels: int | None = None,
        ask: Callable[[str], Any] | None = None,
        **traits,
    ):
        self.content: Content = check_content(
            keyframes, features, predictions, scores, classes, feature_maps, max_points, channels
        )
        self.clicks: list[Click] = []
        self._callbacks: list[Callable[[Click], None]] = []
        self._ask = ask
        header, first = keyframe_payload(self.content, 0)
        setup = describe(self.content) | {"header": header, "can_ask": ask is not None}
        setup["notes"] += header["missing"]
        setup |= {"state": self.state_names(), "colour_state": self.state_names(colours=True)}
        view = first_view(self.content.keyframes)
        start = {"feature_set": next(iter(self.content.sets), ""), "view": view}
        if "features" in self.content.modes:
            start["mode"] = "features"
        super().__init__(setup=setup, payload=first, **(start | traits))
        self.on_msg(self._receive)
        close_earlier(self)

    def close(self) -> None:
        """Close the views in the browser and release keyframes and features."""
        if self._sent is not None:
            self._sent.close()
            self._sent = None
        super().close()
        self.payload, self.setup, self._ask, self._still = b"", {}, None, ([], "")
        if "content" in vars(self):  # otherwise an argument was wrong
            self.content = self.content.without_data()

    def _repr_mimebundle_(self, **options) -> tuple[dict, dict] | None:
        """The widget, and a picture where none can run, as in PDF files and on GitHub.

        Where nbconvert runs the notebook, its pages would prefer the widget and load its program
        from the network: there the picture is alone, and the model's name is in the metadata.
        """
        from kit.show.explorer.poster import poster_png

        found = super()._repr_mimebundle_(**options)
        if found is not None:
            if is_unattended():
                found[1][WIDGET] = found[0].pop(WIDGET)
            state = [getattr(self, name) for name in self.state_names()]
            if self._still[0] != state:
                self._still = copy.deepcopy(state), poster_png(self)
            found[0]["image/png"] = self._still[1]
        return found

    def __repr__(self) -> str:
        counts = [len(keyframe.points) for keyframe in self.content.keyframes]
        if not counts:
            return "Explorer: closed"
        several = f"{len(counts)} keyframes, up to " if len(counts) > 1 else ""
        sets = f", sets {', '.join(self.content.sets)}" if self.content.sets else ""
        return f"Explorer: {several}{max(counts):,} points{sets}"

    @classmethod
    def state_names(cls, **tags: bool) -> list[str]:
        """Names of the traits that browser, Python and saved pages share, with these tags."""
        return list(cls.class_traits(state=True, **tags))

    @property
    def modes(self) -> list[str]:
        """The modes for which keyframes and arguments have something to show."""
        return self.content.modes

    def similarity(self, feature_set: str | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Score of every point of this keyframe, from the features without quantisation.

        Returns:
            score: (N,) mean cosine to the picked points minus that to the negatives.
            has: (N,) whether the point has a feature; the score of others is 0.
        """
        from kit.show.explorer.paint import similarity_of

        return similarity_of(self, feature_set or self.feature_set)

    def on_click(self, call: Callable[[Click], None]) -> None:
        """Call a function with every `Click`."""
        self._callbacks.append(call)

    def _receive(self, _, message: dict[str, Any], buffers: list) -> None:
        """Handle a message of the browser: a click, a box, a missing keyframe, no WebGL2."""
        kind = message.get("type")
        if kind == "click":
            points = {name: tuple(message[name]) for name in ("picked", "negatives")}
            names = ("point", "kind", "keyframe", "place")
            click = Click(**{name: message[name] for name in names}, **points)
            self.clicks.append(click)
            for call in self._callbacks:
                call(click)
        elif kind == "select":
            self.selected_in = int(message["keyframe"])  # first: `selected` may be observed
            self.selected = np.frombuffer(buffers[0], dtype="<i4").astype(np.int64)
        elif kind == "need":
            self._send_keyframe(int(message["keyframe"]))
        elif kind == "ask":
            self._answer(str(message["text"]))
        elif kind == "no webgl2":
            from kit.show.explorer.export import fallback_page

            self.send({"type": "fallback", "page": fallback_page(self)})

    def ask(self, text: str) -> np.ndarray:
        """Run a text query; its scores become a mode with a threshold, named by the text.

        Returns:
            (N,) score of every point of this keyframe.

        Raises:
            ValueError: the explorer was made without `ask`, or the words are not known.
        """
        from kit.show.explorer.asking import add_answer

        add_answer(self.content, self._ask, text)
        modes = describe(self.content)["modes"]
        self.setup, self.mode = self.setup | {"modes": modes}, text
        self._still = [], ""
        self.send({"type": "answer", "mode": text, "modes": modes})
        return self.content.scores[text][self.keyframe]

    def _answer(self, text: str) -> None:
        """Run a query of the text box; the browser shows an error if it fails."""
        try:
            self.ask(text)
        except Exception as error:  # whatever the user's function raises belongs on the screen
            self.send({"type": "answer", "error": f"{text}: {error}"})

    @property
    def link(self) -> str:
        """The state as text: the end of a saved page's address, or for `restore`."""
        return link_of({name: getattr(self, name) for name in self.state_names()})

    def restore(self, link: str) -> None:
        """Set the state that a link describes.

        Raises:
            ValueError: not a link of an explorer.
            traitlets.TraitError: the state does not fit this explorer; nothing is changed.
        """
        state = state_of(link)
        with self.hold_sync(), self.hold_trait_notifications():  # values are checked together
            for name in self.state_names():
                if name in state:
                    self.set_trait(name, state[name])

    def _send_keyframe(self, number: int) -> None:
        """Send a keyframe to the browser, as a widget of its own.

        Jupyter limits messages to 1 MB/s and drops the rest; opening a widget is not limited.
        """
        header, data = keyframe_payload(self.content, number)
        if self._sent is not None:
            self._sent.close()
        self._sent = _Keyframe(header=header, payload=data)
        self.send({"type": "keyframe", "model": self._sent.model_id})

    @traitlets.validate("mode")
    def _check_mode(self, proposal) -> str:
        return _one_of("mode", proposal["value"], self.modes)

    @traitlets.validate("feature_set")
    def _check_set(self, proposal) -> str:
        name = self.content.set_called(proposal["value"])
        return _one_of("feature_set", name, self.content.sets or [""])

    @traitlets.validate("compare_with", "swipe_with")
    def _check_other(self, proposal) -> str:
        return _one_of(proposal["trait"].name, proposal["value"], ["", *self.content.sets])

    @traitlets.validate("view")
    def _check_view(self, proposal) -> dict[str, Any]:
        view = proposal["value"]
        numbers = [view.get(name) for name in ("distance", "azimuth", "elevation", "fov")]
        numbers += view["target"] if isinstance(view.get("target"), list | tuple) else [None]
        known = all(isinstance(number, Real) and math.isfinite(number) for number in numbers)
        if known and len(numbers) == 7 and view["distance"] > 0 and 0 < view["fov"] < 180:
            return view
        raise traitlets.TraitError(
            "view needs target (x, y, z), distance above 0, azimuth, elevation, and fov "
            f"between 0 and 180, all finite numbers; got {view!r:.200}"
        )

    @traitlets.validate("keyframe", "picked_in")
    def _check_keyframe(self, proposal) -> int:
        number, count = proposal["value"], len(self.content.keyframes)
        if not 0 <= number < count:
            raise traitlets.TraitError(f"keyframe {number} is not one of 0 to {count - 1}")
        return number

    @traitlets.validate("picked", "negatives")
    def _check_points(self, proposal) -> list[int]:
        drawn = self.content.drawn[self.picked_in]
        count = len(self.content.keyframes[self.picked_in].points)
        known = np.arange(count) if len(drawn) == count else np.sort(drawn)
        for point in proposal["value"]:
            nearest = int(known[min(np.searchsorted(known, point), len(known) - 1)])
            if nearest != point:
                raise traitlets.TraitError(
                    f"point {point} is not one of the {len(drawn):,} points drawn; the next is "
                    f"{nearest}"
                )
        return proposal["value"]

    @traitlets.validate("hidden_classes")
    def _check_classes(self, proposal) -> list[int]:
        classes = range(len(self.content.classes))
        return [_one_of("class", label, classes) for label in proposal["value"]]

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
