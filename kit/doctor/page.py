"""The report as one self-contained HTML page: no network, light and dark, pictures embedded."""

from collections.abc import Iterator
from html import escape
from pathlib import Path

import numpy as np

from kit import show
from kit.doctor.camera_checks import CameraReport
from kit.doctor.camera_edges import motion
from kit.doctor.findings import Finding
from kit.doctor.report import Report, alignment_words
from kit.projection import project_points
from kit.show.png.render import to_png
from kit.store import files as store
from kit.store.images import data_uri, decode, jpeg_bytes

PICTURE = 920  # pixels of width
QUALITY = 82  # of JPEG pictures
STYLE = """
:root { color-scheme: light dark; --ink: #22272e; --muted: #5f6873; --ground: #ffffff;
  --line: #d5d9df; --problem: #b3202f; --warning: #8a5a00; --note: #2d5f8a; --box: #f7f8fa }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ee; --muted: #9aa4b1; --ground: #111419;
  --line: #2b313a; --problem: #ff7b87; --warning: #f0b54a; --note: #7db8ea; --box: #1a1f26 } }
body { margin: 0 auto; max-width: 1240px; padding: 24px; background: var(--ground);
  color: var(--ink); font: 15px/1.5 Inter, 'Source Sans 3', 'Helvetica Neue', Arial, sans-serif }
h1 { font-size: 24px; margin: 0 0 4px; overflow-wrap: anywhere }
h2 { font-size: 18px; margin: 32px 0 8px }
h3 { font-size: 15px; margin: 0; overflow-wrap: anywhere }
p { margin: 4px 0 } .muted { color: var(--muted) }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; vertical-align: top;
  padding: 6px 12px 6px 0; border-top: 1px solid var(--line); overflow-wrap: anywhere }
td:first-child { white-space: nowrap } td:last-child { width: 85% }
code { font: 13px/1.4 ui-monospace, Menlo, Consolas, monospace; background: var(--box);
  padding: 1px 4px; border-radius: 3px; overflow-wrap: anywhere }
.problem { color: var(--problem) } .warning { color: var(--warning) } .note { color: var(--note) }
.level { font-weight: 600 }
.cameras { display: grid; gap: 20px; grid-template-columns: repeat(auto-fill, minmax(400px, 1fr)) }
.camera { background: var(--box); border: 1px solid var(--line); border-radius: 6px; padding: 12px }
.camera img { width: 100%; border-radius: 4px; margin-top: 8px; display: block }
svg { width: 100%; height: auto; margin-top: 8px } svg text { fill: var(--muted); font-size: 11px }
@media (max-width: 480px) { .cameras { grid-template-columns: 1fr } }
"""


def write_page(report: Report, path: str | Path) -> Path:
    """Write the page of a report; returns the path."""
    store.write_bytes(path, page(report).encode())
    return Path(path)


def page(report: Report) -> str:
    """The page as HTML. Names and messages are escaped."""
    name = escape(report.name)
    facts = "".join(_row(what, escape(words)) for what, words in report.facts().items())
    works = "".join(
        _row(escape(what), "yes" if not why else f"no: {escape(why)}")
        for what, why in report.works().items()
    )
    findings = "".join(map(_finding, report.findings)) or _row("", "nothing was found")
    cameras = "".join(_camera(report, camera) for camera in report.cameras.values())
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name}: report</title><style>{STYLE}</style></head><body>"
        f"<h1>{name}</h1><p class=muted>{escape(report.summary())}</p>"
        f"<h2>Findings</h2><table>{findings}</table>"
        f"<h2>What it is</h2><table>{facts}</table>"
        f"<h2>What works</h2><table>{works}</table>"
        f"<h2>Cameras</h2>{_explanation() if cameras else '<p>none</p>'}"
        f"<div class=cameras>{cameras}</div></body></html>"
    )


def _row(what: str, words: str) -> str:
    return f"<tr><td class=muted>{what}</td><td>{words}</td></tr>"


def _finding(finding: Finding) -> str:
    fix = f"<p class=muted>{escape(finding.fix)}</p>" if finding.fix else ""
    return (
        f'<tr><td class="level {finding.level}">{finding.level}</td>'
        f"<td>{escape(finding.subject)}</td><td>{escape(finding.text)}{fix}</td></tr>"
    )


def _explanation() -> str:
    return (
        "<p class=muted>Points of one keyframe on its image, coloured by depth. Edges of things in "
        "the scan should lie on their edges in the image. The curves show how well they do if the "
        "scan is turned; the highest place should be near 0 degrees.</p>"
    )


def _camera(report: Report, camera: CameraReport) -> str:
    words = escape(f"{camera.ratio_seen:.0%} of the points, {camera.num_images} images: ")
    pictures = "".join(_pictures(report, camera))
    curves = _curves(camera) if camera.alignment is not None else ""
    return (
        f"<div class=camera><h3>{escape(camera.name)}</h3>"
        f"<p class=muted>{words}{escape(alignment_words(camera))}</p>{pictures}{curves}</div>"
    )


def _pictures(report: Report, camera: CameraReport) -> Iterator[str]:
    """The overlay as the calibration says, and as it fits best if that is another one."""
    keyframe = report.keyframes[camera.example]
    given = keyframe.cameras[camera.name]
    yield from _overlay(report, camera, given.T_cam_lidar, "as given")
    if camera.alignment is not None and camera.alignment.correction and camera.cause is None:
        correction = motion(**camera.alignment.correction)
        yield from _overlay(report, camera, correction @ given.T_cam_lidar, "as it fits best")


def _overlay(report: Report, camera: CameraReport, T_cam_lidar, title: str) -> Iterator[str]:
    """One overlay as an <img>; none if the image cannot be read or no point is in it."""
    keyframe = report.keyframes[camera.example]
    given = keyframe.cameras[camera.name]
    uv, depth, visible = project_points(
        keyframe.points, T_cam_lidar, given.K, given.image_size, lens=given.lens
    )
    try:
        image = given.image
    except (OSError, ValueError):
        return
    if not visible.any():
        yield "<p>no point falls into the image</p>"
        return
    height, width = given.image_size
    figure = show.overlay(image, uv[visible], depth[visible], f"{title}, keyframe {camera.example}")
    size = (PICTURE, round((PICTURE - 106) * height / width) + 85)
    pixels = decode(to_png(figure, *size))[..., :3]
    data = jpeg_bytes(pixels, QUALITY)  # of photographs much smaller than PNG
    words = escape(f"{camera.name}, {title}", quote=True)
    yield f'<img alt="{words}" src="{data_uri(data, "jpeg")}">'


def _curves(camera: CameraReport) -> str:
    """The scores of turns as a small chart."""
    parts, width, height = [], 180, 70
    for number, name in enumerate(("pitch", "yaw", "roll")):
        amounts, scores = camera.alignment.curves[name]
        low, high = float(scores.min()), float(scores.max())
        x = number * (width + 10) + (amounts - amounts[0]) / (amounts[-1] - amounts[0]) * width
        y = 5 + (high - scores) / max(high - low, 1e-9) * height
        line = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
        middle, best = number * (width + 10) + width / 2, int(np.argmax(scores))
        parts.append(
            f'<line x1="{middle}" x2="{middle}" y1="5" y2="{height + 5}" stroke="var(--line)"/>'
            f'<polyline points="{line}" fill="none" stroke="var(--note)" stroke-width="1.5"/>'
            f'<circle cx="{x[best]:.1f}" cy="{y[best]:.1f}" r="3" fill="var(--problem)"/>'
            f'<text x="{middle}" y="{height + 20}" text-anchor="middle">{name} '
            f"{amounts[best]:+.1f} of ±{amounts[-1]:g} degrees</text>"
        )
    return f'<svg viewBox="0 0 {3 * width + 20} {height + 26}" role="img">{"".join(parts)}</svg>'
