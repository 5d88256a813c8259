"""The main job: distil a teacher into a student, probe what it learned, and make the pictures."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from kit import show, store
from kit.data import open_dataset
from kit.data.keyframe import Dataset, Keyframe
from kit.data.split import Split, split
from kit.distill import DistillConfig, DistillRun, distill
from kit.evaluate import (
    Source,
    position_source,
    probe_source,
    seen_points,
    student_source,
    teacher_source,
)
from kit.probe import ProbeConfig, ProbeResult
from kit.student import build_student, embed
from kit.student.inputs import InputConfig
from kit.teacher import Teacher

POINTS_IN_PICTURES = 35_000


@dataclass(frozen=True)
class DemoConfig:
    """Settings of the main job, sized for five minutes on two CPU cores.

    Attributes:
        data: "street" or the root of a data set.
        teacher: a recipe's or a timm model's name.
        weights: a local weights file for the teacher, or None.
        student, depth, width: a preset's name, and changes to it.
        voxel_size, points_per_view: coarser and smaller views than the paper's 0.1 m and 20,000:
            on a CPU many small steps learn more than few large ones.
        steps, batch_size, lr: of the distillation.
        augment: turn, flip and scale the points. Off: in minutes a student learns more from scans
            as they are.
        probe_steps: of each linear probe.
        seed: of weights, draws and probes.
    """

    data: str = "street"
    teacher: str = "efficientnet_lite0"
    weights: str | None = None
    student: str = "wi-6-128"
    depth: int | None = None
    width: int | None = None
    voxel_size: float = 0.2
    points_per_view: int = 3000
    steps: int = 800
    batch_size: int = 2
    lr: float = 5e-3
    augment: bool = False
    probe_steps: int = 150
    seed: int = 0


# A smaller student for longer, with scans turned, flipped and scaled as in the paper.
LONG = DemoConfig(student="wi-6-64", points_per_view=4000, steps=1200, lr=1e-2, augment=True)


def demo(
    config: DemoConfig,
    out: str | Path,
    say: Callable[[str], None] = print,
    dataset: Dataset | None = None,
) -> dict:
    """Run the main job.

    Args:
        config: what to run.
        out: folder for metrics.json, student.safetensors, run files and pictures.
        say: receives what is worth telling, line by line.
        dataset: instead of the one that `config.data` names.

    Returns:
        What `metrics.json` holds.
    """
    began, out = time.perf_counter(), Path(out)
    dataset = dataset or open_dataset(config.data)
    say(repr(dataset))
    dataset.prepare()
    parts = split(dataset)
    say(f"split: {parts.rule}")
    teacher = Teacher(config.teacher, weights=config.weights)
    untrained, cache = untrained_student(config, teacher), store.FeatureCache()
    run = learn(config, out, dataset, parts, teacher, cache)

    sources = {
        "position": position_source,
        "random": student_source(untrained.eval()),
        "distilled": student_source(run.student),
        "teacher": teacher_source(teacher, cache),
    }
    why_not = why_no_probe(dataset, parts)
    say(f"no linear probe: {why_not}" if why_not else "linear probes ...")
    probes = {} if why_not else _probe(sources, dataset, parts, config)

    shown = dataset[(parts.held_out or parts.train)[-1]]
    students = {"random": untrained, "distilled": run.student}
    pictures = _pictures(shown, sources["teacher"], students, probes, run.history, out)
    last = run.history[-max(len(run.history) // 10, 1) :]
    metrics = {
        "linear_probe": {n: {"miou": p.miou, "iou": p.iou} for n, p in probes.items()} or None,
        "linear_probe_skipped": why_not,
        "loss": sum(row["loss"] for row in last) / len(last),
        "seconds": round(time.perf_counter() - began, 1),
        "seconds_by_stage": run.seconds,
        "data": {"name": dataset.name, "keyframes": len(dataset), "split": parts.rule},
        "config": asdict(config),
        "versions": store.describe_run(config, config.seed)["versions"],
    }
    store.write_json(out / "metrics.json", metrics)
    say(summary(metrics))
    files = ["metrics.json", "student.safetensors", "history.jsonl", "run.json", *pictures]
    say("\n".join(f"  {out / name}" for name in files))
    return metrics


def learn(
    config: DemoConfig,
    out: Path,
    dataset: Dataset,
    parts: Split,
    teacher: Teacher,
    cache: store.FeatureCache,
    **changes,
) -> DistillRun:
    """The distillation of the main job; `changes` go to `DistillConfig`.

    Raises:
        KeyboardInterrupt: it was interrupted; what is done is kept in `out`.
    """
    settings = DistillConfig(
        steps=config.steps,
        batch_size=config.batch_size,
        lr=config.lr,
        augment=config.augment,
        seed=config.seed,
        **changes,
    )
    student = untrained_student(config, teacher)
    run = distill(dataset, teacher, student, settings, keyframes=parts.train, out=out, cache=cache)
    if not run.finished:
        raise KeyboardInterrupt("the distillation was interrupted; run the same command to go on")
    return run


def untrained_student(config: DemoConfig, teacher: Teacher) -> torch.nn.Module:
    """The student of the main job as it is before it learns."""
    return build_student(
        config.student,
        teacher.dim,
        depth=config.depth,
        width=config.width,
        inputs=InputConfig(voxel_size=config.voxel_size, max_points=config.points_per_view),
        seed=config.seed,
    )


def why_no_probe(dataset: Dataset, parts: Split) -> str | None:
    """Why features cannot be probed here; None if they can."""
    if not dataset.has_labels:
        return f"{dataset.name} has no point labels (lidarseg)"
    if not parts.held_out:
        return f"nothing can be held out: {parts.rule}"
    return None


def _probe(
    sources: dict[str, Source], dataset: Dataset, parts: Split, config: DemoConfig
) -> dict[str, ProbeResult]:
    """All sources on the same points: those a camera sees, where the teacher has features too."""
    settings = ProbeConfig(steps=config.probe_steps, seed=config.seed)
    return {
        name: probe_source(source, dataset, parts.train, parts.held_out, settings, seen_points)
        for name, source in sources.items()
    }


def summary(metrics: dict) -> str:
    """The closing table: one line per source of features, mIoU and the classes present."""
    lines = [f"loss {metrics['loss']:.3f}, {metrics['seconds']:.0f} s in all"]
    probes = metrics["linear_probe"]
    if probes:
        present = [name for name, iou in probes["teacher"]["iou"].items() if iou is not None]
        lines.append("linear probe, IoU in %")
        lines.append(" " * 10 + "  mIoU" + "".join(f" {name[:9]:>9}" for name in present))
        for name, probe in probes.items():
            values = "".join(f" {100 * probe['iou'][c]:9.1f}" for c in present)
            lines.append(f"{name:10}{100 * probe['miou']:6.1f}{values}")
    return "\n".join(lines)


# --- pictures ----------------------------------------------------------------------------------


def _pictures(
    keyframe: Keyframe,
    teacher: Source,
    students: dict[str, torch.nn.Module],
    probes: dict[str, ProbeResult],
    history: list[dict],
    out: Path,
) -> list[str]:
    """Draw one keyframe as teacher, random and distilled student see it; returns file names."""
    rows, feat = teacher(keyframe)
    chosen = torch.linspace(0, len(rows) - 1, min(POINTS_IN_PICTURES, len(rows))).long()
    rows, points = rows[chosen], keyframe.points[rows[chosen]]
    spaces = {"teacher": feat[chosen]}
    point_feat = {}
    for name, student in students.items():
        point_feat[name], head_feat = embed(student, keyframe)
        spaces[name] = head_feat[rows]
    clouds = {name: (points, feat) for name, feat in spaces.items()}
    picked = find_car_point(keyframe, rows)
    figures = {
        "features": show.feature_pca(clouds, max_points=POINTS_IN_PICTURES),
        "similarity": show.similarity_side_by_side(
            {name: (points, feat, picked) for name, feat in spaces.items()},
            max_points=POINTS_IN_PICTURES,
        ),
        "loss": show.loss_curve(history),
    }
    if probes:
        classes, head = probes["distilled"].classes, probes["distilled"].head
        with torch.no_grad():
            predicted = head(point_feat["distilled"][rows]).argmax(1)
        results = {name: {"miou": p.miou, "iou": p.iou} for name, p in probes.items()}
        figures["labels"] = show.labels(points, predicted, classes)
        figures["errors"] = show.errors(points, predicted, keyframe.labels[rows], classes)
        figures["iou"] = show.iou_bars(results)
    for name, figure in figures.items():
        wide = name in ("features", "similarity")
        show.save_png(figure, out / f"{name}.png", width=1500 if wide else 1200, height=640)
    store.write_text(out / "features.html", figures["features"].to_html())
    return [*(f"{name}.png" for name in figures), "features.html"]


def find_car_point(keyframe: Keyframe, rows: Tensor) -> int:
    """Position in `rows` of a point on a car, about 12 m away.

    Without labels: a point about a metre above the road, which often is a car too. The road is
    taken to lie where most of the points nearby are lowest.
    """
    points = keyframe.points[rows]
    distance = points[:, :2].norm(dim=1)
    wanted = torch.ones(len(rows), dtype=torch.bool)
    if keyframe.labels is not None and "car" in keyframe.classes.names:
        wanted = keyframe.labels[rows] == keyframe.classes.names.index("car")
    if keyframe.labels is None or not wanted.any():
        near = distance < 20
        road = points[near if near.any() else slice(None), 2].quantile(0.1)
        height = points[:, 2] - road
        wanted = (height > 0.6) & (height < 1.4)
    off = (distance - 12).abs()
    if wanted.any():
        off = torch.where(wanted, off, torch.inf)
    return int(off.argmin())
