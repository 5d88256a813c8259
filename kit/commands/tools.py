"""Options of the commands around distillation: data sets, measurements, the cache."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from kit import store
from kit.distill.cost import CostConfig, cost

Flat = tyro.conf.arg(name="")  # options without the field's name before them


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
        hills: root mean square slope of the ground, from 0 (level) to 0.15.
        seed: seed of all random numbers.
    """

    out: Path
    scenes: int = 4
    keyframes: int = 3
    sensor: str = "nuscenes"
    image_size: tuple[int, int] | None = None
    density: float = 1.0
    hills: float = 0.0
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
            hills=self.hills,
        )
        write_dataroot(street, self.out)


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
        student: of the bench transfer: file of a student to measure, too.
    """

    name: tyro.conf.Positional[str]
    data: str | None = None
    device: Literal["cpu", "cuda"] | None = None
    out: Path | None = None
    student: str | None = None

    def run(self) -> None:
        from kit import bench

        bench.run(self.name, self.data, self.out, self.device, self.student)


@dataclass(frozen=True)
class Figures:
    """Options of `figures`.

    Attributes:
        out: the page to write.
        readme: the README, in which figures are replaced.
    """

    out: Path = Path("docs/figures.md")
    readme: Path = Path("README.md")

    def run(self) -> None:
        from kit.bench.figures import write_figures

        write_figures(self.out, self.readme)


@dataclass(frozen=True)
class Gallery:
    """Options of `gallery`.

    Attributes:
        runs: saved explorers (HTML), or folders in which they are looked for.
        out: folder of the page, which holds copies of them.
        title: of the page.
    """

    runs: tyro.conf.Positional[tuple[Path, ...]]
    out: Path = Path("site")
    title: str = "Explorers"

    def run(self) -> None:
        from kit.show.gallery import write_gallery

        print(f"written to {write_gallery(self.runs, self.out, self.title)}")


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


@dataclass(frozen=True)
class Cost:
    """Options of `cost`: the assumptions.

    Attributes:
        config: the assumptions.
    """

    config: Annotated[CostConfig, Flat] = CostConfig()

    def run(self) -> None:
        found = cost(self.config)
        print(
            f"{found.steps:,} steps, {found.training_hours:,.1f} GPU hours for the student "
            f"({found.days:,.1f} days on {self.config.gpus} GPUs), {found.teacher_hours:,.1f} GPU "
            f"hours for the teacher: {found.dollars:,.0f} $ in all\n"
            f"{found.terabytes:,.2f} TB of stored maps: {found.dollars_month:,.0f} $ a month"
        )
