"""Measure the alignment of a camera with the lidar: the best turn or move, and its certainty.

Source: J. Levinson and S. Thrun, Automatic Online Calibration of Cameras and Lasers (RSS 2013),
    compares discontinuities of range with edges of images. Differs: an edge is put between the two
    beams, jumps of intensity count too, maps are 0 on average, and a standard error is given.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from torch import Tensor

from kit.doctor.camera_edges import (
    MOVES,
    TURNS,
    CameraEdges,
    angles_between,
    motion,
    moved,
    standard_errors,
)

# The limit of the search for each motion, and the step: degrees for turns, metres for moves.
SEARCH = {name: (2.5, 0.1) for name in TURNS} | {"right": (0.8, 0.04), "down": (0.8, 0.04)}
SEARCH |= {"ahead": (1.6, 0.08)}
CLOCK_SEARCH = (0.3, 0.01)  # seconds
CERTAIN = 2.5  # standard errors, above which a shift is reported
CERTAIN_TURN = 3.0  # the same for a turn about all axes together, which has more freedom to fit
BETTER_TURN = 1.0  # standard errors by which it must be better than one motion
PROMISING = 1.5  # standard errors of a turn about one axis, below which the others are not searched
SURE = 4.0  # standard errors, above which it is a problem and not a warning
# Smaller shifts are not reported: degrees and metres, and seconds of the clock. The calibrations of
# public data sets are exact to about 0.5 degrees and 0.12 m by this measure while the car moves.
LEAST = {"pitch": 0.6, "yaw": 0.6, "roll": 0.6, "right": 0.16, "down": 0.16, "ahead": 0.16}
LEAST |= {"clock": 0.03, "turn": 0.7}
LEAST_CLOCK_EFFECT = 0.45  # degrees, median by which the clock moves edges
LEAST_EDGES = 60
PROBES = {name: 1.0 for name in TURNS} | {name: 0.2 for name in MOVES}  # degrees and metres
OF_THE_IMAGE = ("pitch", "yaw", "right", "down")  # motions that move all edges of an image alike
WORDS = {
    "pitch": "turned by {:+.1f} degrees about the axis to the right (pitch)",
    "yaw": "turned by {:+.1f} degrees about the axis downwards (yaw)",
    "roll": "turned by {:+.1f} degrees about the optical axis (roll)",
    "right": "moved by {:+.2f} m to the right",
    "down": "moved by {:+.2f} m downwards",
    "ahead": "moved by {:+.2f} m ahead",
}


@dataclass(frozen=True)
class Shift:
    """One turn or move of the scan against the images.

    Attributes:
        name: a key of `SEARCH`; "turn" for a turn about all three axes together; or "clock".
        amount: degrees, metres, or seconds, in which standing things move past the camera.
        effect: degrees, median angle by which edges move.
        certainty: standard errors by which this fits better than the given calibration.
        parts: of "turn", the degrees about each axis.
    """

    name: str
    amount: float
    effect: float
    certainty: float
    parts: Mapping[str, float] = field(default_factory=dict)

    @property
    def matters(self) -> bool:
        """Whether the shift is large enough to be reported."""
        least = LEAST_CLOCK_EFFECT if self.name == "clock" else 0.0
        return abs(self.amount) > LEAST[self.name] - 1e-6 and self.effect >= least

    def __str__(self) -> str:
        if self.name == "clock":
            return f"taken {self.amount:+.2f} s later"
        if self.name == "turn":
            about = (f"{amount:+.1f} ({name})" for name, amount in self.parts.items())
            return f"turned by {', '.join(about)} degrees"
        return WORDS[self.name].format(self.amount)


@dataclass(frozen=True, eq=False)
class Alignment:
    """How a camera fits to the lidar.

    Attributes:
        num_keyframes, num_edges: that were compared.
        fits: of each motion the best amount, from the search along this motion alone.
        shift: the motion with the highest certainty, if it is large and certain enough; else None.
            A turn about all three axes is chosen if it is clearly more certain.
        correction: amounts of all motions that fit best together; empty without a shift.
        clock: the clock offset that fits best, if the motion of the lidar is known and fast.
        agreement: standard errors by which the edges fit better than edges at random places.
        sharpness: of each motion, standard errors by which its best amount is better than those 1
            degree or 20 cm beside it.
        curves: score by amount of every motion, divided by the number of edges.
        scores: (A, B) of every motion, by amount and cell, to be added up over all cameras.
    """

    num_keyframes: int
    num_edges: int
    fits: Mapping[str, Shift]
    shift: Shift | None
    correction: Mapping[str, float]
    clock: Shift | None
    agreement: float
    sharpness: Mapping[str, float]
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]]
    scores: Mapping[str, np.ndarray]

    @property
    def verdict(self) -> str:
        """ "shifted", "aligned", or "unknown" if a shift would not be found."""
        if self.shift is not None:
            return "shifted"
        return "aligned" if self.least_sharpness >= CERTAIN else "unknown"

    @property
    def least_sharpness(self) -> float:
        """The smallest sharpness of the motions that move all edges of an image alike."""
        return min(self.sharpness[name] for name in OF_THE_IMAGE)

    @property
    def not_measurable(self) -> tuple[str, ...]:
        """The motions of which 1 degree or 20 cm would hardly be found with these edges."""
        return tuple(name for name, value in self.sharpness.items() if value < CERTAIN)

    @property
    def T_correction(self) -> Float[Tensor, "4 4"]:
        """The transform with which `T_correction @ T_cam_lidar` fits best."""
        return motion(**self.correction)


def measure(edges: CameraEdges) -> Alignment:
    """Search the turn or move that fits best."""
    given = edges.scores(edges.points)
    fits, curves, sharpness, found = {}, {}, {}, {}
    enough = len(edges.points) >= LEAST_EDGES
    for name in SEARCH:
        amounts, scores = search(edges, name, {})
        fits[name] = _best(edges, name, amounts, scores, given)
        curves[name] = (amounts, scores.sum(1) / max(len(edges.points), 1))
        found[name] = scores
        sharpness[name] = _margin(amounts, scores, PROBES[name]) if enough else 0.0
    shift = _choose(edges, fits, given) if enough else None
    correction = _refine(edges, shift) if shift else {}
    return Alignment(
        num_keyframes=len(edges.images.maps),
        num_edges=len(edges.points),
        fits=fits,
        shift=shift,
        correction=correction,
        clock=_clock(edges, given),
        agreement=standard_errors(given, 0 * given),
        sharpness=sharpness,
        curves=curves,
        scores=found,
    )


def largest(fits: Iterable[Shift]) -> Shift | None:
    """The most certain of the shifts that are large enough to matter; None if none is certain."""
    large = [fit for fit in fits if fit.matters]
    best = max(large, key=lambda fit: fit.certainty, default=None)
    return best if best is not None and best.certainty >= CERTAIN else None


def _choose(
    edges: CameraEdges, fits: Mapping[str, Shift], given: Float[np.ndarray, " B"]
) -> Shift | None:
    """The shift to report: along one motion, or else a turn about all three axes together."""
    shift = largest(fits.values())
    if max(fits[name].certainty for name in TURNS) < PROMISING:
        return shift
    turn = _fit_turn(edges, fits, given)
    if not turn.matters or turn.certainty < CERTAIN_TURN:
        return shift
    clearly = shift is None or turn.certainty > shift.certainty + BETTER_TURN
    return turn if clearly else shift


def _fit_turn(
    edges: CameraEdges, fits: Mapping[str, Shift], given: Float[np.ndarray, " B"]
) -> Shift:
    """The turn about all three axes together that fits best.

    A missing rectification (R0_rect of KITTI) is such a turn: small about each axis alone.
    """
    first = max(TURNS, key=lambda name: fits[name].certainty)
    parts = {first: fits[first].amount}
    for _ in range(2):
        for name in sorted(TURNS, key=lambda name: name == first):
            amounts, scores = search(edges, name, parts, finer=2)
            best = int(scores.sum(1).argmax())
            parts[name] = round(float(amounts[best]), 3)
        if standard_errors(scores[best], given) < CERTAIN:
            break
    parts = {name: parts[name] for name in TURNS}
    points = moved(edges.points, motion(**parts).numpy())
    effect = _median(angles_between(edges.points, points))
    certainty = standard_errors(edges.scores(points), given)
    return Shift("turn", float(np.linalg.norm([*parts.values()])), effect, certainty, parts)


def search(
    edges: CameraEdges, name: str, start: Mapping[str, float], finer: int = 1
) -> tuple[Float[np.ndarray, " A"], Float[np.ndarray, "A B"]]:
    """Scores in every cell for every amount of one motion, the others being those of `start`."""
    amounts = steps(*SEARCH[name])
    amounts = amounts / finer + start.get(name, 0.0)
    scores = [edges.scores(moved(edges.points, T)) for T in _each(name, amounts, start)]
    return amounts, np.stack(scores)


def _each(
    name: str, amounts: Float[np.ndarray, " A"], start: Mapping[str, float]
) -> Iterator[Float[np.ndarray, "4 4"]]:
    """The transforms of the amounts of one motion."""
    for amount in amounts:
        yield motion(**{**start, name: float(amount)}).numpy()


def steps(limit: float, step: float) -> Float[np.ndarray, " A"]:
    """Evenly spaced amounts from -limit to limit; 0 is among them."""
    count = round(limit / step)
    return np.arange(-count, count + 1) * step


def _best(
    edges: CameraEdges,
    name: str,
    amounts: Float[np.ndarray, " A"],
    scores: Float[np.ndarray, "A B"],
    given: Float[np.ndarray, " B"],
) -> Shift:
    """The amount with the highest score."""
    best = int(scores.sum(1).argmax())
    T = motion(**{name: float(amounts[best])}).numpy()
    effect = _median(angles_between(edges.points, moved(edges.points, T)))
    return Shift(name, float(amounts[best]), effect, standard_errors(scores[best], given))


def _median(values: Float[np.ndarray, " E"]) -> float:
    return float(np.median(values)) if len(values) else 0.0


def _refine(edges: CameraEdges, shift: Shift) -> dict[str, float]:
    """Improve a shift by all motions in turn, twice."""
    found = dict(shift.parts) or {shift.name: shift.amount}
    for _ in range(2):
        for name in SEARCH:
            amounts, scores = search(edges, name, found, finer=2)
            best = scores[scores.sum(1).argmax()]
            now = scores[len(amounts) // 2]
            if name in found or standard_errors(best, now) > CERTAIN:
                found[name] = float(amounts[scores.sum(1).argmax()])
    return {name: round(amount, 3) for name, amount in found.items() if amount}


def _margin(
    amounts: Float[np.ndarray, " A"], scores: Float[np.ndarray, "A B"], off: float
) -> float:
    """How surely the best amount is better than those that are `off` on either side."""
    best, away = int(scores.sum(1).argmax()), round(float(off / (amounts[1] - amounts[0])))
    sides = [at for at in (best - away, best + away) if 0 <= at < len(amounts)]
    return min(standard_errors(scores[best], scores[at]) for at in sides)


def _clock(edges: CameraEdges, given: Float[np.ndarray, " B"]) -> Shift | None:
    """The clock offset that fits best; None if the motion of the lidar is not known."""
    if edges.velocity is None or not len(edges.points):
        return None
    amounts = steps(*CLOCK_SEARCH)
    scores = np.stack([edges.scores(edges.points + t * edges.velocity) for t in amounts])
    best = int(scores.sum(1).argmax())
    offset = float(amounts[best])
    effect = _median(angles_between(edges.points, edges.points + offset * edges.velocity))
    return Shift("clock", offset, effect, standard_errors(scores[best], given))


def search_of_rig(
    edges: CameraEdges, T_cam_lidar: Float[np.ndarray, "4 4"]
) -> dict[str, np.ndarray]:
    """(A, B) scores by motion if the lidar is turned or moved against all cameras.

    The motions are those of a camera at the lidar's place that looks along the lidar's y axis.
    """
    T_axes = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    T_cam_axes = T_cam_lidar @ np.linalg.inv(T_axes)
    back = np.linalg.inv(T_cam_axes)
    found = {}
    for name in SEARCH:
        transforms = (T_cam_axes @ T @ back for T in _each(name, steps(*SEARCH[name]), {}))
        found[name] = np.stack([edges.scores(moved(edges.points, T)) for T in transforms])
    return found


def fit_together(searches: Sequence[Mapping[str, np.ndarray]]) -> dict[str, Shift]:
    """The amount of each motion that fits all cameras together best.

    Args:
        searches: (A, B) scores of each camera by motion: of motions of the lidar (`search_of_rig`),
            or of the same motion in the frame of each camera (`Alignment.scores`).
    """
    fits = {}
    for name in SEARCH:
        amounts = steps(*SEARCH[name])
        scores = np.concatenate([each[name] for each in searches], axis=1)
        best, middle = int(scores.sum(1).argmax()), len(amounts) // 2
        certainty = standard_errors(scores[best], scores[middle])
        fits[name] = Shift(name, float(amounts[best]), 0.0, certainty)
    return fits
