"""Settings of a distillation, and the learning rate of each step."""

from dataclasses import dataclass

from kit.distill.losses import LOSSES
from kit.distill.schedules import warmup_cosine, warmup_rsqrt_cooldown
from kit.distill.superpixels import KINDS
from kit.distill.views import CAMERAS, HIDDEN_OR_EXACT
from kit.store.ranges import check_choice, check_number, check_whole

PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")


@dataclass(frozen=True)
class DistillConfig:
    """Settings of a distillation. Learning rate and augmentation are those of ScaLR.

    A setting outside of its range raises a ValueError that names it.

    Attributes:
        steps: number of optimizer steps. ScaLR makes about 172,000.
        batch_size: camera views per step, over all processes.
        lr: highest learning rate of AdamW, at most 10.
        min_lr: learning rate at the last step, if the schedule is "cosine"; at most `lr`.
        weight_decay: weight decay of AdamW, at most 100.
        warmup: ratio of the steps in which the learning rate rises, 0 to 1.
        schedule: how the learning rate falls: "cosine" (ScaLR), or "rsqrt" (ScaLR+), which is the
            inverse square root of the step and at the end a line to 0.
        lr_from_zero: the learning rate of the first step is 0, as in the published code. False
            begins one step later in the schedule, so that the first step learns, too.
        loss: how student and teacher features are compared: a name of
            `kit.distill.losses.LOSSES`, e.g. "l2" (ScaLR).
        balance: how much more often pairs of rare kinds are drawn, see `kit.distill.balance`: 0
            not at all (ScaLR), 1 until all kinds are equally frequent.
        augment: rotate, flip and scale the points.
        hidden: points behind something nearer in the image: "kept" (ScaLR), "left out" if the scan
            shows that they are hidden, "from neighbours" with the target of near visible points,
            or "exact": left out by the annotations of a simulation.
        cameras: "one", drawn at random, and the points that it sees (ScaLR); or "all": the whole
            scan with the pixels of all cameras (D-DITR).
        beam_drop: probability that a view has only half or a quarter of the lidar's beams, 0 to 1.
        sensor_jitter: probability that a view is changed as if another lidar, mounted in another
            way, had recorded it: tilt, height, and the curve of intensities, 0 to 1.
        superpixels: of the losses that need them: "slic" (SLidR), "teacher" for clusters of the
            teacher's features, or "exact" for the objects and classes of a simulation.
        class_token: weight of a second term of any loss: from the mean of the points that an image
            shows, the student also predicts the class token of the image. 0 leaves it out (ScaLR);
            D-DITR has 1. Only transformers have a class token.
        moment_step: of the losses that compare several moments ("superflow"): how many keyframes
            before and after, counted among the training keyframes of the scene.
        seed: seed of everything that the distillation draws at random.
        precision: number format of the computation, as Lightning Fabric names it: "32-true",
            "bf16-mixed" or "16-mixed".
        num_workers: number of processes that prepare batches; with 0 the training process does it.
        checkpoint_every: number of steps between two checkpoints.
        compile: run the layers of a WaffleIron through torch.compile. The results are the same; it
            takes half a minute at the start.
        fused: compute the layers of a WaffleIron with Triton kernels, on a GPU of compute
            capability 8.0 or later, and compiled ones elsewhere. The results are the same apart
            from rounding. Where kernels cannot run, one line says so and layers run as without.

    Source: ScaLR (arXiv:2310.17504).
    """

    steps: int = 300
    batch_size: int = 4
    lr: float = 2e-3
    min_lr: float = 1e-5
    weight_decay: float = 0.03
    warmup: float = 0.05
    schedule: str = "cosine"
    lr_from_zero: bool = False
    loss: str = "l2"
    balance: float = 0.0
    augment: bool = True
    hidden: str = "kept"
    cameras: str = "one"
    beam_drop: float = 0.0
    sensor_jitter: float = 0.0
    superpixels: str = "slic"
    class_token: float = 0.0
    moment_step: int = 1
    seed: int = 0
    precision: str = "32-true"
    num_workers: int = 0
    checkpoint_every: int = 100
    compile: bool = False
    fused: bool = False

    def __post_init__(self):
        check_whole(self, 1, 10**9, "steps", "batch_size", "checkpoint_every")
        check_whole(self, 1, 1000, "moment_step")
        check_whole(self, 0, 2**32 - 1, "seed")
        check_whole(self, 0, 1024, "num_workers")
        check_number(self, 0, 10, "lr", above=True)
        check_number(self, 0, self.lr if self.schedule == "cosine" else 10, "min_lr")
        check_number(self, 0, 100, "weight_decay")
        check_number(self, 0, 1, "warmup")
        check_number(self, 0, 1, "balance", "beam_drop", "sensor_jitter")
        check_number(self, 0, 1000, "class_token")
        check_choice(self, loss=LOSSES, schedule=SCHEDULES, precision=PRECISIONS)
        check_choice(self, hidden=HIDDEN_OR_EXACT, cameras=CAMERAS, superpixels=KINDS)

    def lr_at(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        return self.lr * SCHEDULES[self.schedule](self, step)


def _cosine(config: DistillConfig, step: int) -> float:
    warmup, minimum = round(config.warmup * config.steps), config.min_lr / config.lr
    later = not config.lr_from_zero
    return warmup_cosine(
        step + later, warmup=warmup + later, total=config.steps + later, minimum=minimum
    )


def _rsqrt(config: DistillConfig, step: int) -> float:
    """ScaLR+: of 65 epochs, 1 is the warm-up and 2 are the cool-down; the time scale is 0.45."""
    epoch, later = config.steps / 65, not config.lr_from_zero
    return warmup_rsqrt_cooldown(
        step + later,
        warmup=round(config.warmup * config.steps) + later,
        total=config.steps + 1 + later,
        cooldown=round(63 * epoch),
        timescale=0.45 * epoch,
    )


SCHEDULES = {"cosine": _cosine, "rsqrt": _rsqrt}
