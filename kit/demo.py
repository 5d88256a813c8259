"""The main job: distil a teacher into a student, probe its features, and draw pictures."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro

from kit import show, store
from kit.data import open_dataset
from kit.data.examples import example_point
from kit.data.keyframe import Dataset, Keyframe
from kit.data.split import Split, all_but_official, split
from kit.distill.budget import steps_within
from kit.distill.loop import DistillRun, distill
from kit.distill.settings import DistillConfig
from kit.evaluate.baselines import position
from kit.evaluate.by_data_set import Probed, joined, probe_each, table_lines
from kit.evaluate.probe import ProbeConfig, ProbeResult
from kit.features.extract import extract
from kit.store.plain import from_plain
from kit.store.ranges import check_number, check_whole
from kit.store.serialisation import to_plain
from kit.student.checkpoints import load_student
from kit.student.presets import build_student, config_from_plain, config_to_plain, preset
from kit.student.pretrained import pretrained, start_from
from kit.student.scans import InputConfig
from kit.student.student import Student, StudentConfig
from kit.teacher.presets import TeacherConfig, build_teacher
from kit.teacher.teacher import Teacher

METRICS = "metrics.json"
POINTS_IN_PICTURES = 35_000
PICTURES = 20.0  # seconds


def small(student: str, max_points: int = 3000, **changes) -> StudentConfig:
    """A preset with `InputConfig.for_cpu`: coarser voxels and fewer points than the paper's."""
    return replace(preset(student), inputs=InputConfig.for_cpu(max_points), **changes)


@dataclass(frozen=True)
class LearnConfig:
    """Settings of a distillation: data sets, teacher, student, and training.

    Attributes:
        data: "street" or the root of a data set; several are mixed.
        teacher: the frozen image network.
        student: the network that learns.
        distill: the distillation itself.
        keyframes: number of training keyframes that it learns from, evenly spread; None: all.
        init: where the student's weights come from: "none" for random ones, the name of a student
            that comes with the kit, such as "street", or a student's file. It must have the size
            that `student` says.
        minutes: at most so many: for the distillation with `distill`, for everything with `demo`. A
            few steps are timed, and the number of steps is reduced to what fits. None: all steps.
        weights: of several data sets, how often training draws from each, e.g. 3 1. None: in
            proportion to their numbers of keyframes.
        sweeps: turns of the lidar that are added to each keyframe, also for probes (`Accumulated`).

    Raises:
        ValueError: a value outside of its range.
    """

    data: str | tuple[str, ...] = "street"
    teacher: TeacherConfig = TeacherConfig()
    student: StudentConfig = small("wi-6-128")
    distill: Annotated[DistillConfig, tyro.conf.arg(name="")] = DistillConfig(
        steps=800, batch_size=2, lr=5e-3
    )
    keyframes: int | None = None
    init: str = "none"
    minutes: float | None = None
    weights: tuple[float, ...] | None = None
    sweeps: int = 0

    def __post_init__(self):
        check_whole(self, 0, 100, "sweeps")
        if self.sweeps and "exact" in (self.distill.hidden, self.distill.superpixels):
            raise ValueError("sweeps have no exact annotations: choose sweeps=0, or not 'exact'")
        if self.keyframes is not None:
            check_whole(self, 1, 10**9, "keyframes")
        if self.minutes is not None:
            check_number(self, 0, 1e6, "minutes", above=True)


@dataclass(frozen=True)
class DemoConfig(LearnConfig):
    """Settings of the main job. Those of the command `demo` are `FIVE_MINUTES`.

    Attributes:
        probe: each linear probe.
    """

    probe: ProbeConfig = ProbeConfig()


# The default of the command. A simulated street of 12 keyframes, which nothing else uses, chose the
# learning rate and the balance, see docs/transfer.md.
FIVE_MINUTES = DemoConfig(
    student=small("wi-12-128", 4000),
    distill=DistillConfig(steps=2000, batch_size=2, lr=2e-3, balance=0.5),
    init="street",
    minutes=5.0,
)


def demo(
    config: DemoConfig,
    out: str | Path,
    say: Callable[[str], None] = print,
    dataset: Dataset | None = None,
) -> dict:
    """Run the main job: distil, probe, and draw.

    Args:
        config: what to run.
        out: folder for metrics.json, student.safetensors, run files and pictures.
        say: receives progress messages, line by line.
        dataset: instead of the one that `config.data` names.

    Returns:
        The content of `metrics.json`.

    Raises:
        OSError, ValueError: see `distill`; or another run is writing into `out`.
    """
    began, out = time.perf_counter(), Path(out)
    dataset = open_data(config, dataset)
    say(repr(dataset))
    store.check_place(out / METRICS)
    with store.lock_run(out):
        return _demo(config, out, say, dataset, began)


def open_data(config: LearnConfig, dataset: Dataset | None = None) -> Dataset:
    """The data sets that a configuration names, see `open_dataset`; or `dataset` in their place."""
    return open_dataset(dataset or config.data, weights=config.weights, sweeps=config.sweeps)


def _demo(
    config: DemoConfig, out: Path, say: Callable[[str], None], dataset: Dataset, began: float
) -> dict:
    dataset.prepare()
    parts = split(dataset) if dataset.has_labels else all_but_official(dataset)
    say(f"split: {parts.rule}")
    teacher = build_teacher(config.teacher)
    untrained, cache = untrained_student(config, teacher).eval(), store.FeatureCache()
    probe = partial(probe_each, dataset=dataset, config=config.probe, cache=cache)
    others = {"random": untrained, "position": position, "teacher": teacher}
    known, later = {}, PICTURES
    timed = config.minutes is not None and not _settings_there(out)  # else the steps are known
    for name, model in others.items() if timed else ():
        before = time.perf_counter()
        known[name] = probe({name: model}, say=say if name == "random" else _silent)
        if name == "random":  # the distilled student is probed as this one
            later += time.perf_counter() - before
    spent = time.perf_counter() - began
    config = settled(config, out, dataset, parts, teacher, cache, say, spent + later)
    run = learn(config, out, dataset, parts, teacher, cache)

    models = {"random": untrained, "distilled": run.student, "teacher": teacher}
    last = {"position": position, **models}
    says = {} if known else {"position": say}  # once, not for every source
    probed = joined(
        *(known.get(n) or probe({n: m}, say=says.get(n, _silent)) for n, m in last.items())
    )
    chosen = next((each for each in probed.values() if each.probes), next(iter(probed.values())))
    shown = chosen.dataset[(chosen.parts.held_out or chosen.parts.train)[-1]]
    pictures = _pictures(shown, models, chosen.probes, run.history, out, cache)
    metrics = _metrics(config, dataset, parts, probed, chosen, run)
    metrics["seconds"] = round(time.perf_counter() - began, 1)
    store.write_json(out / METRICS, metrics, checksum=True)
    say(summary(metrics))
    files = [METRICS, "student.safetensors", "history.jsonl", "run.json", *pictures]
    say("\n".join(f"  {out / name}" for name in files))
    return metrics


def _silent(line: str) -> None:
    """Print nothing."""


def _metrics(
    config: DemoConfig,
    dataset: Dataset,
    parts: Split,
    probed: dict[str, Probed],
    chosen: Probed,
    run: DistillRun,
) -> dict:
    """The content of metrics.json, without the time of the whole job."""
    several = {name: each.plain() or None for name, each in probed.items()}
    return {
        "linear_probe": chosen.plain() or None,
        "linear_probe_skipped": chosen.why_not,
        **({"linear_probe_by_data_set": several} if len(several) > 1 else {}),
        "loss": _last_loss(run.history),
        "seconds_by_stage": run.seconds,
        "data": {"name": dataset.name, "keyframes": len(dataset), "split": parts.rule},
        "config": plain_config(config),
        "versions": store.versions(),
    }


def plain_config(config: LearnConfig) -> dict:
    """Settings as JSON holds them; `python -m kit ... --config FILE` reads them again."""
    return {**to_plain(config), "student": config_to_plain(config.student)}


def config_of_plain(
    values: Any, where: str = "settings", kind: type[LearnConfig] = DemoConfig
) -> LearnConfig:
    """Settings from what JSON holds, the inverse of `plain_config`.

    Args:
        values: by name; what is left out has its default.
        where: names the values in messages, e.g. a file.
        kind: the settings' dataclass.

    Raises:
        ValueError: an unknown setting, or a value of another type or out of its range.
    """
    return from_plain(kind, values, where, {StudentConfig: config_from_plain})


def _last_loss(history: list[dict]) -> float:
    """Mean loss of the last tenth of the steps."""
    last = history[-max(len(history) // 10, 1) :]
    return sum(row["loss"] for row in last) / len(last)


def learn(
    config: LearnConfig,
    out: Path,
    dataset: Dataset,
    parts: Split,
    teacher: Teacher,
    cache: store.FeatureCache,
) -> DistillRun:
    """The distillation of the main job.

    Raises:
        ValueError: see `distill` and `initial_student`; or the run in `out` had another start.
        KeyboardInterrupt: it was interrupted; what is done is kept in `out`.
    """
    config = settled(config, out, dataset, parts, teacher, cache)
    student = initial_student(config, teacher)
    there = _settings_there(out)
    if there and (init := there.get("init", "none")) != config.init:
        raise ValueError(
            f"{out} holds a run whose student started from {init!r}, not from {config.init!r}; "
            "choose another folder or the same start"
        )
    run = distill(
        dataset,
        teacher,
        student,
        config.distill,
        keyframes=spread(parts.train, config.keyframes),
        out=out,
        cache=cache,
        settings=plain_config(config),
    )
    if run.interrupted or not run.finished:
        raise KeyboardInterrupt("interrupted; the same command goes on")
    return run


def settled(
    config: LearnConfig,
    out: Path,
    dataset: Dataset,
    parts: Split,
    teacher: Teacher,
    cache: store.FeatureCache,
    say: Callable[[str], None] = print,
    other_seconds: float = 0.0,
) -> LearnConfig:
    """The same settings with a number of steps instead of `minutes`.

    A run that is in `out` already keeps its number.

    Args:
        say: receives how long it will take.
        other_seconds: what else takes a part of `minutes`.
    """
    if config.minutes is None:
        return config
    steps = _settings_there(out).get("distill", {}).get("steps")
    if steps is None:
        student, chosen = initial_student(config, teacher), spread(parts.train, config.keyframes)
        minutes = config.minutes - other_seconds / 60
        steps, seconds = steps_within(
            minutes, dataset, teacher, student, config.distill, chosen, cache
        )
        about = steps * seconds / 60
        said = f"{steps} steps of {seconds:.2f} s: the distillation takes about {about:.1f} minutes"
        if other_seconds:
            said += f", everything about {about + other_seconds / 60:.1f}"
        say(f"{said} (--minutes {config.minutes:g})")
    return replace(config, minutes=None, distill=replace(config.distill, steps=steps))


def _settings_there(out: Path) -> dict:
    """The settings of the run in a folder; empty if there is none that can be read."""
    with suppress(OSError, ValueError):
        settings = store.read_json(out / store.RUN).get("settings")
        return settings if isinstance(settings, dict) else {}
    return {}


def initial_student(config: LearnConfig, teacher: Teacher) -> Student:
    """The student that learns, with the weights that `config.init` names.

    Raises:
        OSError, ValueError: there is no such student, or it has another size.
    """
    student = untrained_student(config, teacher)
    if config.init != "none":
        is_file = config.init.endswith(".safetensors")
        known = load_student(config.init) if is_file else pretrained(config.init)
        of_teacher = known.distilled_from and known.distilled_from.fingerprint
        start_from(student, known, same_teacher=of_teacher == teacher.fingerprint)
    return student


def spread(keyframes: Sequence[int], count: int | None) -> tuple[int, ...]:
    """Choose `count` keyframes, evenly spread from the first to the last; None: all.

    Raises:
        ValueError: there are fewer keyframes.
    """
    if count is None:
        return tuple(keyframes)
    if count > len(keyframes):
        raise ValueError(f"keyframes must be at most {len(keyframes)} here, got {count}")
    chosen = torch.linspace(0, len(keyframes) - 1, count).round().long().tolist()
    return tuple(keyframes[i] for i in chosen)


def untrained_student(config: LearnConfig, teacher: Teacher) -> Student:
    """The student of the main job before it learns."""
    return build_student(config.student, teacher.dim, seed=config.distill.seed)


def summary(metrics: dict) -> str:
    """The closing table: one line per source of features, mIoU and the classes present."""
    first = f"loss {metrics['loss']:.3f}, {metrics['seconds']:.0f} s in all"
    several = metrics.get("linear_probe_by_data_set") or {"": metrics["linear_probe"]}
    return "\n".join([first, *table_lines(several)])


def _pictures(
    keyframe: Keyframe,
    models: dict[str, Student | Teacher],
    probes: dict[str, ProbeResult],
    history: list[dict],
    out: Path,
    cache: store.FeatureCache,
) -> list[str]:
    """Draw one keyframe with the features of every model; returns file names."""
    features = {
        name: extract(models[name], keyframe, cache=cache)
        for name in ("teacher", "random", "distilled")
    }
    index = features["teacher"].index
    index = index[torch.linspace(0, len(index) - 1, min(POINTS_IN_PICTURES, len(index))).long()]
    points = keyframe.points[index]
    shown = {name: each.restrict(index) for name, each in features.items()}
    point = example_point(keyframe, index)
    figures = {
        "features": show.feature_pca(keyframe, shown, max_points=POINTS_IN_PICTURES),
        "similarity": show.similarity(keyframe, shown, point, max_points=POINTS_IN_PICTURES),
        "loss": show.loss_curve(history),
    }
    if probes:
        classes, head = probes["distilled"].classes, probes["distilled"].head
        student = models["distilled"]
        point_feat = extract(student, keyframe, layer=student.layers[-1]).feat
        with torch.no_grad():
            predicted = head(point_feat[index]).argmax(1)
        results = {name: {"miou": p.miou, "iou": p.iou} for name, p in probes.items()}
        figures["labels"] = show.labels(points, predicted, classes)
        figures["errors"] = show.errors(points, predicted, keyframe.labels[index], classes)
        figures["iou"] = show.iou_bars(results)
    for name, figure in figures.items():
        wide = name in ("features", "similarity")
        show.save_png(figure, out / f"{name}.png", width=1500 if wide else 1200, height=640)
    store.write_text(out / "features.html", figures["features"].to_html())
    return [*(f"{name}.png" for name in figures), "features.html"]
