"""Options of the commands that read and write files of students and features."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from kit import store
from kit.discover.settings import DiscoverConfig
from kit.evaluate.probe import ProbeConfig
from kit.student.scans import InputConfig
from kit.teacher.presets import TeacherConfig

Flat = tyro.conf.arg(name="")  # options without the field's name before them


@dataclass(frozen=True)
class Processes:
    """Processes that share the work.

    Attributes:
        engine: processes on this machine, or a Dask cluster.
        workers: number of processes of loky.
        scheduler: address of the Dask scheduler, e.g. tcp://host:8786.
    """

    engine: Literal["loky", "dask"] = "loky"
    workers: int = 1
    scheduler: str | None = None

    @property
    def options(self) -> dict:
        """The options of `kit.store.engines.run_all`."""
        return {"engine": self.engine, "workers": self.workers, "scheduler": self.scheduler}


@dataclass(frozen=True)
class Features:
    """Options of `features`.

    Attributes:
        checkpoint: a student's file, e.g. runs/demo/student.safetensors.
        out: folder for the features, one file per keyframe.
        data: "street" or the root of a data set.
        half: store half precision (float16).
        format: "safetensors"; with "parquet", "las" or "rrd" a second file beside each of them.
        processes: that write.
    """

    checkpoint: Path
    out: Path
    data: str = "street"
    half: bool = False
    format: Literal["safetensors", "parquet", "las", "rrd"] = "safetensors"
    processes: Annotated[Processes, Flat] = Processes()

    def run(self) -> None:
        from kit.features.export import write_features
        from kit.features.formats import convert_files

        options = self.processes.options
        files = write_features(self.data, self.checkpoint, self.out, half=self.half, **options)
        if self.format != "safetensors":
            convert_files(self.data, files, self.format)


@dataclass(frozen=True)
class Discover:
    """Options of `discover`.

    Attributes:
        out: folder for the scores, heights and objects, one file per keyframe.
        data: "street" or the root of a data set.
        checkpoint: a student's file, or a name of `kit.pretrained`: "street" comes with the kit.
        config: settings of discovery.
    """

    out: Path
    data: str = "street"
    checkpoint: str = "street"
    config: Annotated[DiscoverConfig, Flat] = DiscoverConfig()

    def run(self) -> None:
        from kit.commands.discover import discover
        from kit.data import open_dataset
        from kit.student.checkpoints import load_student
        from kit.student.pretrained import pretrained

        load = load_student if Path(self.checkpoint).suffix else pretrained
        student = load(self.checkpoint)
        found = discover(open_dataset(self.data), student.eval(), self.out, self.config)
        if found is None:
            print("no annotated foreground to compare with")
        else:
            values = ", ".join(f"{name} {value:.3f}" for name, value in found.items())
            print(f"foreground, compared with annotations: {values}")
        print(f"written to {self.out}")


@dataclass(frozen=True)
class Export:
    """Options of `export`.

    Attributes:
        checkpoint: file of a WaffleIron, e.g. runs/demo/student.safetensors.
        out: the new file; None: the same name with .onnx, in the current folder.
    """

    checkpoint: tyro.conf.Positional[Path]
    out: Path | None = None

    def run(self) -> None:
        from kit.student.checkpoints import load_student
        from kit.student.waffleiron.onnx_model import INPUTS, OUTPUTS, export_onnx

        out = self.out or Path(self.checkpoint.name).with_suffix(".onnx")
        export_onnx(load_student(self.checkpoint), out)
        print(f"{', '.join(INPUTS)} -> {', '.join(OUTPUTS)}; written to {out}")


@dataclass(frozen=True)
class TeacherFeatures:
    """Options of `teacher-features`.

    Attributes:
        out: folder of the maps, for `distill --teacher-maps`; an interrupted command in it goes on.
        data: "street" or the root of a data set.
        teacher: the network.
        per_shard: keyframes in a file.
        rank: of several commands with one folder, the number of this one; None: srun's or
            torchrun's.
        ranks: number of these commands; None: srun's or torchrun's.
        processes: that compute.
    """

    out: Path
    data: str = "street"
    teacher: TeacherConfig = TeacherConfig()
    per_shard: int = 50
    rank: int | None = None
    ranks: int | None = None
    processes: Annotated[Processes, Flat] = Processes()

    def run(self) -> None:
        from kit.teacher.precompute import teacher_features

        split = {"per_shard": self.per_shard, "rank": self.rank, "ranks": self.ranks}
        teacher_features(self.data, self.teacher, self.out, **split, **self.processes.options)


@dataclass(frozen=True)
class ImportCheckpoint:
    """Options of `import-checkpoint`.

    Attributes:
        file: a .pth, .pt or .tar.gz of ScaLR, ScaLR+, WaffleIron, SLidR, PPKT, ST-SLidR or
            SuperFlow.
        out: the new file; None: the same name with .safetensors, in the current folder. A
            classification head is written beside it.
        activation: non-linearity of a WaffleIron's layers; None: inferred from the distillation
            head. Files of linear probing and fine-tuning have none, so they need it.
        inputs: how scans are prepared; the file does not say it. Without options: as published.
    """

    file: tyro.conf.Positional[Path]
    out: Path | None = None
    activation: Literal["relu", "gelu"] | None = None
    inputs: Annotated[InputConfig, Flat] = InputConfig()

    def run(self) -> None:
        from kit.student.published import import_checkpoint

        name = self.file.name.removesuffix(".gz").removesuffix(".tar")
        out = self.out or Path(name).with_suffix(".safetensors")
        inputs = None if self.inputs == InputConfig() else self.inputs
        print(import_checkpoint(self.file, out, activation=self.activation, inputs=inputs))
        print(f"written to {out}: kit.load_student({str(out)!r})")


@dataclass(frozen=True)
class Evaluate:
    """Options of `evaluate`.

    Attributes:
        checkpoint: a student's file, or the name of a published one, e.g.
            scalr-plus-probe-nuscenes.
        data: "street" or the root of a data set with labels.
        probe: file of its classification head; None: the one beside the checkpoint. If there is
            none, a linear probe is fitted on the training keyframes.
        part: keyframes that are scored.
        fit: how a linear probe is fitted, if there is no classification head.
        out: JSON file for the scores; None: they are only printed.
        processes: that score; fitting a probe uses one.
    """

    checkpoint: str
    data: str = "street"
    probe: Path | None = None
    part: Literal["held-out", "train", "all"] = "held-out"
    fit: ProbeConfig = ProbeConfig()
    out: Path | None = None
    processes: Annotated[Processes, Flat] = Processes()

    def run(self) -> None:
        from kit.data import open_dataset
        from kit.data.split import split
        from kit.student.checkpoints import probe_file
        from kit.student.released import RELEASES, published_score, released_file

        file = Path(self.checkpoint)
        if self.checkpoint in RELEASES:
            file = released_file(self.checkpoint)
        dataset = open_dataset(self.data)
        parts = split(dataset)
        keyframes = {
            "held-out": parts.held_out,
            "train": parts.train,
            "all": tuple(range(len(dataset))),
        }[self.part]
        probe = self.probe or probe_file(file)
        result = self._score(file, probe, dataset, parts.train, keyframes)
        rule = parts.rule if self.part == "held-out" else f"{self.part} keyframes"
        print(f"{len(keyframes)} keyframes ({rule}), all points\n{result}")
        for name, iou in result.iou.items():
            print(f"  {name:24} {'no points' if iou is None else f'{100 * iou:5.1f} %'}")
        if self.checkpoint in RELEASES:
            scenes = [dataset.scenes[index] for index in keyframes]
            print(published_score(self.checkpoint, scenes) or "no published score")
        if self.out is not None:
            scores = {"miou": result.miou, "iou": result.iou, "accuracy": result.accuracy}
            store.write_json(self.out, {"checkpoint": self.checkpoint, "data": self.data, **scores})

    def _score(self, file: Path, probe: Path, dataset, train, keyframes):
        from kit.evaluate.checkpoint import score_file
        from kit.evaluate.protocols import last_layer, probe_dataset
        from kit.student.checkpoints import load_student

        if probe.exists():
            if self.fit != ProbeConfig():
                raise ValueError(
                    f"{probe} is a classification head, so no probe is fitted: leave out --fit, or "
                    "move that file away"
                )
            return score_file(file, probe, self.data, keyframes, **self.processes.options)
        if self.part != "held-out":
            raise ValueError(
                f"{probe}: there is no classification head, so a probe is fitted on the training "
                "keyframes and can be scored on held-out ones only: leave out --part"
            )
        print(f"{probe.name}: no such file; a linear probe is fitted on {len(train)} keyframes")
        student = load_student(file)
        dataset.prepare()
        return probe_dataset(last_layer(student), dataset, train, keyframes, self.fit)
