"""Make the prior of foreground that comes with the kit: `python -m kit.commands.prior`."""

from collections.abc import Iterator

from torch import Tensor

from kit.discover.prior import FILE, fit_prior
from kit.features.extract import extract
from kit.features.spaces import Features
from kit.store import files as store
from kit.street.dataset import Street
from kit.student.pretrained import pretrained

COMMAND = "python -m kit.commands.prior"
SEED, SCENES, RIGS = 4000, 8, ("nuscenes", "pandaset")  # scenes that are used for nothing else


def make_prior() -> None:
    """Fit the prior to exact annotations of streets and write it beside `kit.discover.prior`."""
    prior = fit_prior(_annotated())
    content = {"key": prior.key, "weight": prior.weight, "bias": prior.bias, "command": COMMAND}
    store.write_json(FILE, content | {"seed": SEED, "scenes": SCENES, "rigs": RIGS})


def _annotated() -> Iterator[tuple[Features, Tensor]]:
    student = pretrained("street")
    for rig in RIGS:
        street = Street(SCENES, 1, seed=SEED, sensor=rig)
        street.prepare()
        for index in range(SCENES):
            keyframe = street[index]
            yield extract(student, keyframe), keyframe.annotations.foreground


if __name__ == "__main__":
    make_prior()
