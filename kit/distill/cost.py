"""Estimate the cost of a distillation: GPU hours, storage and money, from measured step times."""

from dataclasses import dataclass
from math import ceil

from kit.store.ranges import check_number, check_whole


@dataclass(frozen=True)
class CostConfig:
    """Assumptions. The defaults: WI-48-768 as in ScaLR, teacher DINOv2 ViT-L/14 at 224x448.

    Attributes:
        keyframes: in the data set; 28,130: the training part of nuScenes.
        images: camera images of a keyframe, 6 in nuScenes.
        epochs: passes over the keyframes; one camera of a keyframe is used in each.
        batch_size: views per step, over all GPUs.
        gpus: number of GPUs; each makes its part of a batch.
        step_seconds: forward and backward pass of 8 views of 20,000 points on one GPU. 0.972 s was
            measured for WI-48-768 on an H200 in bf16 with torch.compile, 1.34 s without.
        teacher_seconds: of one image on one GPU; an assumption, not measured.
        channels: of a feature map.
        cells: of a feature map, 16 x 32 for 224x448 pixels and patches of 14.
        efficiency: ratio of the ideal speed-up that several GPUs reach; an assumption.
        price: of a GPU hour, in dollars; an assumption.
        price_gb_month: of a gigabyte for a month, in dollars; an assumption.

    Raises:
        ValueError: a value outside of its range.
    """

    keyframes: int = 28_130
    images: int = 6
    epochs: int = 25
    batch_size: int = 8
    gpus: int = 1
    step_seconds: float = 0.972
    teacher_seconds: float = 0.03
    channels: int = 1024
    cells: int = 512
    efficiency: float = 0.9
    price: float = 3.0
    price_gb_month: float = 0.02

    def __post_init__(self):
        counts = ("keyframes", "images", "epochs", "batch_size", "gpus", "channels", "cells")
        check_whole(self, 1, 10**12, *counts)
        check_number(self, 0, 1e6, "step_seconds", "teacher_seconds", "price", "price_gb_month")
        check_number(self, 0, 1, "efficiency", above=True)


@dataclass(frozen=True)
class Cost:
    """The cost of a distillation.

    Attributes:
        steps: optimizer steps.
        training_hours: GPU hours of the student's steps, over all GPUs.
        teacher_hours: GPU hours to compute the teacher's maps of all images once.
        days: of the training, on the given GPUs.
        terabytes: of the stored maps in float16.
        dollars: of all GPU hours.
        dollars_month: of the stored maps, a month.
    """

    steps: int
    training_hours: float
    teacher_hours: float
    days: float
    terabytes: float
    dollars: float
    dollars_month: float


def cost(config: CostConfig = CostConfig()) -> Cost:  # noqa: B008
    """Compute what a distillation costs.

    The time of a step is proportional to the number of views. Reading data is not counted: with
    enough worker processes it is done meanwhile.
    """
    steps = config.epochs * ceil(config.keyframes / config.batch_size)
    ratio = config.efficiency if config.gpus > 1 else 1.0
    training = steps * config.step_seconds * config.batch_size / 8 / ratio / 3600
    images = config.keyframes * config.images
    teacher = images * config.teacher_seconds / 3600
    terabytes = images * 2 * config.channels * config.cells / 1e12
    return Cost(
        steps=steps,
        training_hours=training,
        teacher_hours=teacher,
        days=training / config.gpus / 24,
        terabytes=terabytes,
        dollars=(training + teacher) * config.price,
        dollars_month=terabytes * 1000 * config.price_gb_month,
    )


def cost_row(name: str, config: CostConfig) -> str:
    """Compute a row of the table of docs/scale.md."""
    found = cost(config)
    return (
        f"| {name} | {config.keyframes:,} | {config.gpus} | {found.steps:,} | "
        f"{found.training_hours:,.0f} | {found.teacher_hours:,.1f} | {found.days:,.1f} | "
        f"{found.terabytes:,.2f} | {found.dollars:,.0f} |"
    )


# 4 sets of ScaLR: nuScenes 28,130 keyframes with 6 images, SemanticKITTI 19,130 with 1, PandaSet
# 3,920 with 6 for one lidar and with 1 for the other; the mean is 4 images.
EXAMPLES = {
    "nuScenes": CostConfig(),
    "four sets": CostConfig(keyframes=55_100, images=4),
    "100 times four sets": CostConfig(keyframes=5_510_000, images=4, gpus=64, batch_size=512),
}
HEADER = (
    "| data | keyframes | GPUs | steps | GPU hours | teacher, GPU hours | days | TB of maps | $ |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


def cost_table() -> str:
    """Compute the table of docs/scale.md."""
    return "\n".join([HEADER, *(cost_row(name, config) for name, config in EXAMPLES.items())])
