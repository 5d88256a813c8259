"""The doctor's report: facts, findings, and what works with the data set, as text or as a page."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from kit.data.keyframe import Keyframe
from kit.doctor.alignment import Shift
from kit.doctor.camera_checks import CameraReport
from kit.doctor.findings import LEVELS, Finding, sorted_findings
from kit.doctor.label_checks import LabelFacts
from kit.doctor.scan_checks import ScanFacts, unit_of

WIDTH = 100  # characters of a line


@dataclass(frozen=True, eq=False, repr=False)
class Report:
    """The result of an examination of a data set.

    Attributes:
        name: of the data set.
        num_keyframes: in it.
        examined: numbers of the keyframes that were examined.
        findings: the worst first.
        scans: facts of the examined scans, by number of the keyframe.
        labels: facts of their labels; None where there are none.
        cameras: by name.
        keyframes: the examined ones.
        num_scenes: in the data set.
        rig: the turn or move of the lidar against all cameras, if one is certain.
        every_camera: the same turn or move in the frame of each camera, if one is certain and
            explains clearly more.
    """

    name: str
    num_keyframes: int
    examined: tuple[int, ...]
    findings: tuple[Finding, ...]
    scans: Mapping[int, ScanFacts] = field(repr=False)
    labels: Mapping[int, LabelFacts | None] = field(repr=False)
    cameras: Mapping[str, CameraReport] = field(repr=False)
    keyframes: Mapping[int, Keyframe] = field(default_factory=dict, repr=False)
    num_scenes: int = 0
    rig: Shift | None = None
    every_camera: Shift | None = None

    @property
    def problems(self) -> tuple[Finding, ...]:
        """The findings of the worst level."""
        return tuple(finding for finding in self.findings if finding.level == "problem")

    @property
    def exit_code(self) -> int:
        """1 if there is a problem, else 0."""
        return int(bool(self.problems))

    def with_findings(self, more: Sequence[Finding]) -> "Report":
        """The report with more findings."""
        return replace(self, findings=sorted_findings([*self.findings, *more]))

    def to_html(self, path: str | Path) -> Path:
        """Write the report as one page with pictures; it needs no network.

        Returns:
            the path.
        """
        from kit.doctor.page import write_page

        return write_page(self, path)

    def facts(self) -> dict[str, str]:
        """The facts in words, by what they are about."""
        found = {"keyframes": _keyframes(self)}
        if self.scans:
            found |= {"points": _points(self), "intensity": _intensity(self)}
            found |= {"labels": _labels(self), "cameras": _cameras(self)}
        return found

    def works(self) -> dict[str, str]:
        """What can be done with the data set: "" if it works, else why it does not."""
        images = any(camera.num_images for camera in self.cameras.values())
        seen = any(camera.ratio_seen > 0 for camera in self.cameras.values())
        labels = any(each is not None for each in self.labels.values())
        boxes = any(keyframe.boxes for keyframe in self.keyframes.values())
        poses = any(k.T_global_lidar is not None for k in self.keyframes.values())
        scans = "" if self.scans else "no scan can be read"
        pairs = scans or ("" if images else "no images") or ("" if seen else "no point is seen")
        return {
            "features of a student": scans,
            "distillation": pairs,
            "explorer, queries, discovery": scans,
            "linear probe, scores": scans or ("" if labels else "no labels"),
            "score of found objects": scans or ("" if boxes else "no boxes"),
            "accumulated sweeps": scans or ("" if poses else "no poses"),
        }

    def __repr__(self) -> str:
        lines = [self.name]
        for what, words in self.facts().items():
            lines += _wrapped(f"  {what:10} ", words)
        widest = max(map(len, self.cameras), default=0)
        lines += [f"    {name:{widest}}  {camera_line(c)}" for name, c in self.cameras.items()]
        works = self.works() if self.examined else {}
        lines += _wrapped(
            "  works      ", ", ".join(name for name, why in works.items() if not why) or "nothing"
        )
        absent = [f"{name} ({why})" for name, why in works.items() if why]
        lines += _wrapped("  does not   ", ", ".join(absent)) if absent else []
        lines += ["", self.summary()]
        subject = min(max((len(finding.subject) for finding in self.findings), default=0), 20)
        for finding in self.findings:
            lines += _lines_of(finding, subject)
        return "\n".join(lines)

    def summary(self) -> str:
        """The numbers of findings, in words."""
        counts = {level: sum(f.level == level for f in self.findings) for level in LEVELS}
        listed = [f"{n} {level}{'s' * (n != 1)}" for level, n in counts.items() if n]
        return ", ".join(listed) or "no findings"


def _wrapped(start: str, words: str) -> list[str]:
    """Lines that begin with `start`; the following ones are indented as far."""
    indent = " " * len(start)
    return textwrap.wrap(words, WIDTH, initial_indent=start, subsequent_indent=indent) or [start]


def _lines_of(finding: Finding, width: int) -> list[str]:
    lines = _wrapped(f"  {finding.level:8} {finding.subject:{width}}  ", finding.text)
    if finding.fix:
        lines += _wrapped(f"  {'':8} {'':{width}}  -> ", finding.fix)
    return lines


def _keyframes(report: Report) -> str:
    scenes = f"{report.num_scenes:,} scene{'s' * (report.num_scenes != 1)}"
    examined = len(report.examined)
    spaced = " (evenly spaced)" if examined < report.num_keyframes else ""
    return f"{report.num_keyframes:,} in {scenes}; {examined} examined{spaced}"


def _points(report: Report) -> str:
    scans = list(report.scans.values())
    count = round(float(np.median([scan.num_points for scan in scans])))
    low, _, high = np.median([scan.ranges for scan in scans], axis=0)
    beams = round(float(np.median([scan.num_beams for scan in scans])))
    counted = f"about {beams} beams" if beams else "too few points to count beams"
    down, up = np.median([scan.elevations for scan in scans], axis=0)
    return (
        f"{count:,} each, {low:.1f} to {high:.0f} m (98 %), {counted}, "
        f"elevation {down:.0f} to {up:.0f} degrees"
    )


def _intensity(report: Report) -> str:
    scans = list(report.scans.values())
    low = min(scan.intensity[0] for scan in scans)
    high = max(scan.intensity[4] for scan in scans)
    middle = float(np.median([scan.intensity[2] for scan in scans]))
    brightest = max(scans, key=lambda scan: scan.intensity[4])
    return f"{low:.4g} to {high:.4g}, median {middle:.3g}; unit probably {unit_of(brightest)}"


def _labels(report: Report) -> str:
    found = [each for each in report.labels.values() if each is not None]
    if not found:
        return "none"
    counts = np.sum([each.counts for each in found], axis=0)
    coverage = 1 - counts[-1] / max(counts.sum(), 1)
    return f"{coverage:.0%} of the points, {(counts[:-1] > 0).sum()} of {len(counts) - 1} classes"


def _cameras(report: Report) -> str:
    cameras = list(report.cameras.values())
    if not cameras:
        return "none"
    sizes = dict.fromkeys(f"{c.image_size[0]}x{c.image_size[1]}" for c in cameras)
    return f"{len(cameras)} with images of {', '.join(sizes)} pixels (height x width)"


def camera_line(camera: CameraReport) -> str:
    """The measurements of a camera in one line."""
    images = f"{camera.num_images:3} image{' s'[camera.num_images != 1]}"
    seen = f"{images}  {camera.ratio_seen:4.0%} of the points  "
    return seen + alignment_words(camera)


def alignment_words(camera: CameraReport) -> str:
    """The alignment of a camera in a few words."""
    alignment = camera.alignment
    if alignment is None:
        return "no image can be read"
    if camera.cause is not None:
        return "wrong calibration"
    if alignment.shift is not None:
        return f"off: fits better {alignment.shift}"
    if alignment.verdict == "unknown":
        return "alignment unknown"
    rest = alignment.not_measurable
    unknown = f"; not measurable: {', '.join(rest)}" if rest else ""
    return f"aligned ({alignment.least_sharpness:.1f} standard errors){unknown}"
