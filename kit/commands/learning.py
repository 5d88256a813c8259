"""Options of the commands that distil students."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from kit import store
from kit.demo import FIVE_MINUTES, DemoConfig, LearnConfig, demo, learn, open_data

Flat = tyro.conf.arg(name="")  # options without the field's name before them


@dataclass(frozen=True)
class Demo:
    """Options of `demo`.

    Attributes:
        config: what is run.
        out: folder of the results; an interrupted run in it is continued.
    """

    config: Annotated[DemoConfig, Flat] = FIVE_MINUTES
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
        from kit.data.split import all_but_official, split
        from kit.teacher.presets import build_teacher
        from kit.teacher.stored_maps import StoredMaps

        dataset = open_data(self.config)
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
            holds settings as run.json does, and what it leaves out has the value of `distill`.
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
class Pretrain:
    """Options of `pretrain`.

    Attributes:
        out: folder of the run; an interrupted run in it is continued.
    """

    out: Path = Path("runs/pretrain")

    def run(self) -> None:
        from kit.commands.pretrain import pretrain

        pretrain(self.out)
