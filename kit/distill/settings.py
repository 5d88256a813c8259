"""Settings of a distillation, and the learning rate they give for a step."""

from dataclasses import dataclass

from kit.distill.losses import LOSSES
from kit.distill.schedules import warmup_cosine, warmup_rsqrt_cooldown


@dataclass(frozen=True)
class DistillConfig:
    """Settings of a distillation; rates and augmentation are ScaLR's (arXiv:2310.17504).

    Attributes:
        steps: optimizer steps; the paper takes about 172,000.
        batch_size: camera views per step, over all processes.
        lr, min_lr: highest and last learning rate of AdamW.
        weight_decay: of AdamW.
        warmup: share of the steps in which the rate rises.
        schedule: "cosine" (ScaLR) or "rsqrt" (ScaLR+: one over a square root, then a cool-down).
        loss: "l2" (the paper's), "cosine" or "squared_l2".
        augment: turn, flip and scale the points.
        seed: of everything drawn in the loop.
        precision: as Lightning Fabric names it, e.g. "bf16-mixed".
        num_workers: processes that prepare batches; 0: the training process does.
        checkpoint_every: steps between checkpoints.
        compile: run WaffleIron's layers through torch.compile; the same results, for half a minute
            of compiling at the start.
    """

    steps: int = 300
    batch_size: int = 4
    lr: float = 2e-3
    min_lr: float = 1e-5
    weight_decay: float = 0.03
    warmup: float = 0.05
    schedule: str = "cosine"
    loss: str = "l2"
    augment: bool = True
    seed: int = 0
    precision: str = "32-true"
    num_workers: int = 0
    checkpoint_every: int = 100
    compile: bool = False

    def __post_init__(self):
        if self.steps < 1 or self.batch_size < 1 or self.checkpoint_every < 1:
            raise ValueError(f"steps, batch_size and checkpoint_every must be >= 1, got {self}")
        if self.loss not in LOSSES or self.schedule not in SCHEDULES:
            raise ValueError(
                f"loss is one of {list(LOSSES)} and schedule one of {list(SCHEDULES)}, "
                f"got {self.loss!r} and {self.schedule!r}"
            )

    def lr_at(self, step: int) -> float:
        """Learning rate of a step."""
        return self.lr * SCHEDULES[self.schedule](self, step)


def _cosine(config: DistillConfig, step: int) -> float:
    warmup, minimum = round(config.warmup * config.steps), config.min_lr / config.lr
    return warmup_cosine(step + 1, warmup=warmup + 1, total=config.steps + 1, minimum=minimum)


def _rsqrt(config: DistillConfig, step: int) -> float:
    """ScaLR+'s shares of its 65 epochs: warm-up 1, cool-down 2, time scale 0.45."""
    epoch = config.steps / 65
    return warmup_rsqrt_cooldown(
        step + 1,
        warmup=round(config.warmup * config.steps) + 1,
        total=config.steps + 2,
        cooldown=round(63 * epoch),
        timescale=0.45 * epoch,
    )


SCHEDULES = {"cosine": _cosine, "rsqrt": _rsqrt}
