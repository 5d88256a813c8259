"""The options of every command: dataclasses of settings, from which tyro makes the command line.

Each field of each setting is an option, and its documentation is the option's help.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal, Protocol, runtime_checkable

import tyro

from kit import store
from kit.demo import DemoConfig, LearnConfig, config_of_plain, demo, learn
from kit.file_commands import CostCommand, Evaluate, Features, ImportCheckpoint, TeacherFeatures
from kit.recipes import RECIPES, recipe
from kit.student.presets import preset
from kit.teacher.presets import TeacherConfig

SHORTHANDS = (
    "Three more options choose many settings at once: --student NAME (a preset such as wi-12-128 "
    "or minkunet-18), --teacher NAME (such as dinov2_vits14), and --config FILE (run.json of an "
    "earlier run, to repeat it; or scalr or scalr-plus, the published recipes). --data A B mixes "
    "several data sets. The options below change single settings."
)
Flat = tyro.conf.arg(name="")  # options without the field's name before them


@runtime_checkable
class Command(Protocol):
    """The parsed options of a command, which can be run."""

    def run(self) -> None: ...


@dataclass(frozen=True)
class Demo:
    """Options of `demo`.

    Attributes:
        config: what is run.
        out: folder of the results; an interrupted run in it is continued.
    """

    config: Annotated[DemoConfig, Flat] = DemoConfig()
    out: Path = Path("runs/demo")

    def run(self) -> None:
        demo(self.config, self.out)


@dataclass(frozen=True)
class Distill:
    """Options of `distill`.

    Attributes:
        config: what is run.
        out: folder of the run; an interrupted run in it is continued.
        teacher_maps: folder of `teacher-features`, for the same data and teacher; None: the cache.
        hold_out: leave out the keyframes on which the demo tests its probes. By default only the
            validation scenes of nuScenes are left out.
    """

    config: Annotated[LearnConfig, Flat] = LearnConfig()
    out: Path = Path("runs/distill")
    teacher_maps: Path | None = None
    hold_out: bool = False

    def run(self) -> None:
        from kit.data import open_dataset
        from kit.data.split import all_but_official, split
        from kit.teacher.presets import build_teacher
        from kit.teacher.stored_maps import StoredMaps

        dataset = open_dataset(self.config.data, weights=self.config.weights)
        dataset.prepare()
        teacher, cache = build_teacher(self.config.teacher), store.FeatureCache()
        if self.teacher_maps is not None:
            cache = StoredMaps(self.teacher_maps, dataset, teacher)
        parts = split(dataset) if self.hold_out else all_but_official(dataset)
        print(parts.rule)
        run = learn(self.config, self.out, dataset, parts, teacher, cache)
        loss = run.history[-1]["loss"]
        print(f"loss {loss:.3f}; written to {self.out / 'student.safetensors'}")


@dataclass(frozen=True)
class Ablate:
    """Options of `ablate`.

    Attributes:
        grid: a JSON file {"base": {...}, "axes": {"loss": ["l2", "ppkt"]}, "repeats": 3}; base
            holds settings as run.json does, and what it leaves out has the demo's value.
        out: folder of the runs and the table; an interrupted ablation in it is continued.
        engine: processes on this machine, or a Dask cluster.
        workers: number of processes of loky.
        scheduler: address of the Dask scheduler, e.g. tcp://host:8786.
    """

    grid: tyro.conf.Positional[Path]
    out: Path = Path("runs/ablate")
    engine: Literal["loky", "dask"] = "loky"
    workers: int = 1
    scheduler: str | None = None

    def run(self) -> None:
        from kit.ablate.run import from_file

        options = {"engine": self.engine, "workers": self.workers, "scheduler": self.scheduler}
        table = from_file(self.grid, out=self.out, **options)
        print(f"{table.summary()}\nwritten to {self.out / 'table.jsonl'}")


@dataclass(frozen=True)
class Doctor:
    """Options of `doctor`.

    Attributes:
        folder: a data set.
        out: HTML file for a report with pictures; None: the findings are only printed.
        most: number of keyframes to examine, evenly spaced.
    """

    folder: tyro.conf.Positional[str]
    out: Path | None = None
    most: int = 12

    def run(self) -> None:
        from kit.doctor.examine import doctor

        report = doctor(self.folder, most=self.most)
        print(report)
        if self.out is not None:
            print(f"\nwritten to {report.to_html(self.out)}")
        if report.exit_code:
            raise SystemExit(report.exit_code)


@dataclass(frozen=True)
class Street:
    """Options of `street`.

    Attributes:
        out: folder of the data set; an interrupted command in it is continued.
        scenes: number of scenes, each of them another piece of street.
        keyframes: number of keyframes of each scene, half a second apart.
        sensor: lidar and cameras of the car: nuscenes, pandaset or kitti.
        image_size: (height, width) in pixels; None: the size of the real cameras.
        density: ratio of the movable objects that are placed, from 0 (an empty street) to 1.
        seed: seed of all random numbers.
    """

    out: Path
    scenes: int = 4
    keyframes: int = 3
    sensor: str = "nuscenes"
    image_size: tuple[int, int] | None = None
    density: float = 1.0
    seed: int = 0

    def run(self) -> None:
        from kit.street.dataroot.writer import write_dataroot
        from kit.street.dataset import Street as Dataset

        street = Dataset(
            self.scenes,
            self.keyframes,
            self.image_size,
            self.seed,
            self.sensor,
            density=self.density,
        )
        write_dataroot(street, self.out)


@dataclass(frozen=True)
class Pretrain:
    """Options of `pretrain`.

    Attributes:
        out: folder of the run; an interrupted run in it is continued.
    """

    out: Path = Path("runs/pretrain")

    def run(self) -> None:
        from kit.pretrain import pretrain

        pretrain(self.out)


@dataclass(frozen=True)
class InitRecording:
    """Options of `init-recording`.

    Attributes:
        folder: with point files and images, also in sub-folders.
    """

    folder: tyro.conf.Positional[Path]

    def run(self) -> None:
        from kit.data.folder.propose import write_first

        print(write_first(self.folder))


@dataclass(frozen=True)
class Bench:
    """Options of `bench`.

    Attributes:
        name: name of the bench; an unknown name prints the list.
        data: the root of a data set; None: the street.
        device: where to compute; None: on a GPU if there is one.
        out: JSON file for the figures; None: the figures are only printed.
    """

    name: tyro.conf.Positional[str]
    data: str | None = None
    device: Literal["cpu", "cuda"] | None = None
    out: Path | None = None

    def run(self) -> None:
        from kit import bench

        bench.run(self.name, self.data, self.out, self.device)


@dataclass(frozen=True)
class Figures:
    """Options of `figures`.

    Attributes:
        out: the page to write.
    """

    out: Path = Path("docs/figures.md")

    def run(self) -> None:
        from kit.bench.figures import write_figures

        write_figures(self.out)


@dataclass(frozen=True)
class Cache:
    """Options of `cache`. Without options it only shows what is there.

    Attributes:
        limit: keep at most this size, e.g. 20GB; what was not used for the longest time is deleted.
        older_than: delete what was last used longer ago, e.g. 30d, 12h or 2w.
        clear: delete everything.
    """

    limit: str | None = None
    older_than: str | None = None
    clear: bool = False

    def run(self) -> None:
        from kit.store.cache_files import clean, parse_age, parse_size, report

        folder = store.default_cache_folder()
        limit = None if self.limit is None else parse_size(self.limit, "--limit")
        older = None if self.older_than is None else parse_age(self.older_than, "--older-than")
        deleted = clean(folder, limit, older, self.clear)
        print(report(folder))
        if self != Cache():
            print(deleted)


CLASSES: dict[str, type[Command]] = {
    "demo": Demo,
    "distill": Distill,
    "ablate": Ablate,
    "features": Features,
    "evaluate": Evaluate,
    "teacher-features": TeacherFeatures,
    "cost": CostCommand,
    "doctor": Doctor,
    "street": Street,
    "pretrain": Pretrain,
    "import-checkpoint": ImportCheckpoint,
    "init-recording": InitRecording,
    "bench": Bench,
    "figures": Figures,
    "cache": Cache,
}


def parse(name: str, arguments: Sequence[str], description: str = "") -> Command:
    """Read a command's options.

    Raises:
        SystemExit: --help was asked for, or an option is unknown or malformed; this is printed.
        ValueError: a setting out of its range.
    """
    command, default = CLASSES[name], None
    if command in (Demo, Distill):
        config, arguments = _starting_point(command().config, arguments)
        default = replace(command(), config=config)
        description = f"{description} {SHORTHANDS}"
    prog = f"python -m kit {name}"
    return tyro.cli(
        command, args=list(arguments), default=default, prog=prog, description=description
    )


def _starting_point(
    config: LearnConfig, arguments: Sequence[str]
) -> tuple[LearnConfig, Sequence[str]]:
    """Settings that --config, --student and --teacher name, and the remaining arguments."""
    shorthands = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for option in ("config", "student", "teacher"):
        shorthands.add_argument(f"--{option}")
    shorthands.add_argument("--data", nargs="+", action="extend")
    named, rest = shorthands.parse_known_args(arguments)
    if named.config is not None:
        if named.config in RECIPES:
            config = recipe(named.config, config)
        else:
            config = read_config(named.config, type(config))
    if named.data is not None:
        config = replace(config, data=named.data[0] if len(named.data) == 1 else tuple(named.data))
    if named.student is not None:
        config = replace(
            config, student=replace(preset(named.student), inputs=config.student.inputs)
        )
    if named.teacher is not None:
        config = replace(config, teacher=TeacherConfig(named.teacher))
    return config, rest


def read_config(path: str | Path, kind: type[LearnConfig]) -> LearnConfig:
    """Read the settings of a run from its run.json, or from a file that holds nothing else.

    Raises:
        ValueError: not JSON, an unknown setting, or a value of another type; names the file.
    """
    content = store.read_json(path)
    values = content.get("settings", content) if isinstance(content, dict) else content
    return config_of_plain(values, str(path), kind)
