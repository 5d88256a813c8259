"""Fine-tuning: train all weights of a distilled student with labels, and score its predictions."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import nn

from kit.data.keyframe import Dataset
from kit.distill.schedules import warmup_cosine
from kit.evaluate.probe import ProbeResult, new_head, score_head
from kit.evaluate.protocols import check_split, last_layer, scored_keyframes
from kit.evaluate.segmentation_loss import segmentation_loss
from kit.evaluate.training_scans import PROTOCOLS, training_scans
from kit.store.ranges import check_choice, check_number, check_whole
from kit.student.presets import student_from_config
from kit.student.student import Student, device_of


@dataclass(frozen=True)
class FineTuneConfig:
    """Settings of fine-tuning; the defaults are ScaLR's with all labels of nuScenes.

    Attributes:
        epochs: passes over the training keyframes.
        batch_size: scans per step.
        lr: highest learning rate of AdamW, of the new head.
        min_lr: last learning rate.
        weight_decay: of AdamW.
        warmup: ratio of the steps in which the learning rate rises, 0 to 1.
        layer_decay: factor between the learning rates of one layer and the next, 0 to 1; the first
            layers learn slowest.
        drop_path: probability that a mix of a WaffleIron is skipped for a scan; other students have
            none.
        protocol: "clean" or "scalr", see `kit.evaluate.training_scans`.
        seed: of the order, the augmentation and drop path.

    Raises:
        ValueError: a value outside of its range.

    Source: ScaLR (arXiv:2310.17504), fine-tuning in its code; decay by layer: BEiT
        (arXiv:2106.08254).
    """

    epochs: int = 25
    batch_size: int = 8
    lr: float = 2e-3
    min_lr: float = 0.0
    weight_decay: float = 0.0
    warmup: float = 2 / 25
    layer_decay: float = 0.99
    drop_path: float = 0.2
    protocol: str = "clean"
    seed: int = 0

    def __post_init__(self):
        check_whole(self, 1, 10**9, "epochs", "batch_size")
        check_whole(self, 0, 2**32 - 1, "seed")
        check_number(self, 0, 10, "lr", above=True)
        check_number(self, 0, self.lr, "min_lr")
        check_number(self, 0, 100, "weight_decay")
        check_number(self, 0, 1, "warmup")
        check_number(self, 0, 1, "layer_decay", above=True)
        check_number(self, 0, 1, "drop_path", below=True)
        check_choice(self, protocol=PROTOCOLS)


_FEW = FineTuneConfig(epochs=45, warmup=4 / 45, layer_decay=0.95)
# By percentage of the labels of nuScenes. ScaLR has 1, 10 and 100; with 5 and 25 we take those of
# 10. With few labels an epoch is short, so there are more of them.
PUBLISHED = {1: _FEW, 5: _FEW, 10: _FEW, 25: _FEW, 100: FineTuneConfig()}


@dataclass(frozen=True)
class FineTuned:
    """The result of fine-tuning.

    Attributes:
        student: a copy of the student with other weights, in eval mode.
        result: its predictions on held-out points; `result.head` maps its last layer to classes.
        loss: of every step.
    """

    student: Student
    result: ProbeResult
    loss: list[float]


def fine_tune(
    student: Student,
    dataset: Dataset,
    train: Sequence[int],
    held_out: Sequence[int],
    config: FineTuneConfig = FineTuneConfig(),  # noqa: B008
) -> FineTuned:
    """Train a copy of a student and a new head with labels, then score all held-out points.

    Args:
        student: stays as it is. Its distillation head is not used.
        dataset: with labels.
        train: indices of the keyframes to train on, e.g. of `few_shot`.
        held_out: indices of the keyframes to score on; none of `train`.
        config: settings of the training.

    Raises:
        ValueError: a keyframe is in both parts or has no labels, or there is none to train on.
        FloatingPointError: the loss became infinite or NaN.

    Source: ScaLR (arXiv:2310.17504): the head of linear probing, cross-entropy plus Lovasz-softmax,
        and the last epoch is scored.
    """
    check_split(train, held_out)
    tuned = _copy(student, config.drop_path).to(device_of(student))
    steps = config.epochs * -(-len(train) // config.batch_size)
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        loss, head = _train(tuned, dataset, train, steps, config)
    last = last_layer(tuned.eval(), config.protocol)
    head = head.eval().cpu()
    scored = scored_keyframes(last, dataset, held_out)
    return FineTuned(tuned, score_head(head, scored, dataset.classes), loss)


def _copy(student: Student, drop_path: float) -> Student:
    config = student.config
    if any(field.name == "drop_path" for field in fields(config)):
        config = replace(config, drop_path=drop_path)
    copy = student_from_config(config)
    copy.load_state_dict(student.state_dict())
    copy.distilled_from = student.distilled_from
    return copy


def _train(
    student: Student, dataset: Dataset, train: Sequence[int], steps: int, config: FineTuneConfig
) -> tuple[list[float], nn.Module]:
    device, losses = device_of(student), []
    head = new_head(student.config.width, dataset.classes).to(device)
    groups = layer_groups(student, head, config.lr, config.layer_decay)
    optimizer = torch.optim.AdamW(groups, lr=config.lr, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: _factor(step, steps, config)
    )
    student.train(), head.train()
    for batch, labels in training_scans(
        dataset,
        train,
        student.config.inputs,
        epochs=config.epochs,
        batch_size=config.batch_size,
        seed=config.seed,
        protocol=config.protocol,
    ):
        optimizer.zero_grad()
        logits = head(student.features(batch.to(device)))
        loss = segmentation_loss(logits.float(), labels.to(device))
        if not loss.isfinite():
            raise FloatingPointError(
                f"the loss became {loss.item()} at step {len(losses)}: try a lower lr than "
                f"{config.lr}"
            )
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses, head


def _factor(step: int, steps: int, config: FineTuneConfig) -> float:
    warmup, minimum = max(round(config.warmup * steps), 1), config.min_lr / config.lr
    return warmup_cosine(step + 1, warmup=warmup, total=steps + 1, minimum=minimum)


# Lists of blocks in the students' parameter names, and the number of layers before each list.
_LISTS = {"spatial_mix": 0, "channel_mix": 0, "halve": 0, "down": 0, "back": 4, "up": 4}


def layer_number(name: str) -> int:
    """The layer of a parameter by its name, counted from 1; 0: the embedding, and what is unknown.

    A layer of a WaffleIron is a spatial and a channel mix; one of a MinkUNet is a resolution.
    """
    for part, number in re.findall(r"(\w+)\.(\d+)\.", name):
        if part in _LISTS:
            return _LISTS[part] + int(number) + 1
    return 0


def layer_groups(student: Student, head: nn.Module, lr: float, decay: float) -> list[dict]:
    """Parameters by layer with their learning rates; the distillation head is left out.

    The learning rate of layer i of L is lr * decay^(L + 1 - i); that of the new head is lr.

    Source: BEiT (arXiv:2106.08254), as in the code of ScaLR.
    """
    by_layer: dict[int, list[nn.Parameter]] = {}
    unused = {id(p) for p in student.classif.parameters()} if hasattr(student, "classif") else set()
    for name, parameter in student.named_parameters():
        if id(parameter) not in unused:
            by_layer.setdefault(layer_number(name), []).append(parameter)
    last = max(by_layer) + 1
    groups = [
        {"params": parameters, "lr": lr * decay ** (last - number)}
        for number, parameters in sorted(by_layer.items())
    ]
    return [*groups, {"params": list(head.parameters()), "lr": lr}]


def label_ratios(
    student: Student,
    dataset: Dataset,
    lists: dict[int, Sequence[int]],
    held_out: Sequence[int],
    configs: dict[int, FineTuneConfig] | None = None,
) -> Iterator[tuple[int, ProbeResult]]:
    """Fine-tune with several percentages of the labels; yields (percentage, result) as they finish.

    Args:
        student: each time a new copy is trained.
        dataset: with labels.
        lists: training keyframes by percentage, e.g. of `few_shot`.
        held_out: indices of the keyframes to score on.
        configs: settings by percentage; None: `PUBLISHED`.

    Raises:
        ValueError: a percentage without settings.
    """
    configs = PUBLISHED if configs is None else configs
    if missing := sorted(set(lists) - set(configs)):
        raise ValueError(f"no settings for {missing} % of the labels; there are {sorted(configs)}")
    for percent, train in sorted(lists.items()):
        yield percent, fine_tune(student, dataset, train, held_out, configs[percent]).result
