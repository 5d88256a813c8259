"""Files written from an explorer: a page, a picture, a coloured cloud."""

import base64
import hashlib
import html
import json
import zlib
from collections.abc import Sequence
from numbers import Integral
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from kit.show.explorer.compact import FEW, coarser, compact_payload
from kit.show.explorer.modules import FOLDER, compact, script_of
from kit.show.explorer.paint import colours_of
from kit.show.explorer.payload import describe, keyframe_payload
from kit.show.explorer.poster import draw_clouds, poster_uri
from kit.show.explorer.text85 import text_of
from kit.store import files as store
from kit.store.images import png_bytes

if TYPE_CHECKING:
    from kit.show.explorer.widget import Explorer

MAX_SIDE = 16_384  # pixels of a picture
PAGE_STYLE = (
    "html, body { margin: 0; height: 100%; background: #14171c; } "
    ".kx-page { height: 100vh !important; } "
    "#kx-poster { position: fixed; inset: 0; width: 100%; height: 100%; object-fit: contain; }"
)


def save_page(
    explorer: "Explorer",
    path: str | PathLike,
    *,
    keyframes: Sequence[int] | None = None,
    title: str = "",
    exact: bool = False,
) -> Path:
    """Write the explorer as a self-contained HTML page, which needs no network.

    Its Content-Security-Policy allows one script, known by its hash, and forbids to load anything.
    Names from data are shown as text, whatever they contain.

    Args:
        path: of the .html file.
        keyframes: indices to put in; by default the one that is shown.
        title: of the page; by default the keyframe's scene.
        exact: numbers and images as in the notebook. Otherwise pages of more than 20,000 points
            have positions in centimetres and features in coarser steps, about a third of the
            bytes; the legend names the error of cosines.

    Raises:
        ValueError: the keyframe of the picked points is not among them.
    """
    content = explorer.content
    kept = sorted(set(keyframes if keyframes is not None else [explorer.keyframe]))
    picked_in = explorer.picked_in if explorer.picked or explorer.negatives else explorer.keyframe
    if explorer.keyframe not in kept or picked_in not in kept:
        raise ValueError(
            f"keyframes {kept} must hold the one that is shown, {explorer.keyframe}, and that of "
            f"the picked points, {picked_in}"
        )
    exact = exact or max(len(content.drawn[number]) for number in kept) <= FEW
    content = content if exact else coarser(content)
    payload_of = keyframe_payload if exact else compact_payload
    payloads = {number: payload_of(content, number) for number in kept}
    state = {name: getattr(explorer, name) for name in explorer.state_names()}
    state |= {"keyframe": kept.index(explorer.keyframe), "picked_in": kept.index(picked_in)}
    setup = explorer.setup | {
        "sets": explorer.setup["sets"] if exact else describe(content)["sets"],
        "header": payloads[kept[0]][0] | {"keyframe": 0},
        "keyframes": [explorer.setup["keyframes"][number] for number in kept],
    }
    name = title or content.keyframes[explorer.keyframe].scene or "Explorer"
    name = name.encode("utf8", "replace").decode("utf8")  # half a surrogate pair has no bytes
    traits = state | {"height": explorer.height, "setup": setup}
    store.write_text(path, page_html(name, traits, list(payloads.values()), poster_uri(explorer)))
    return Path(path)


def page_html(
    title: str, traits: dict[str, Any], payloads: list[tuple[dict, bytes]], picture: str = ""
) -> str:
    """The page of an explorer.

    Args:
        title: of the page.
        traits: the state of the explorer by name, with its `setup` and its height.
        payloads: header and bytes of each keyframe, see `keyframe_payload`.
        picture: shown until the page is ready, and by a gallery: an address that holds it.
    """
    script = compact(script_of("page.js"))
    style = compact((FOLDER / "explorer.css").read_text(encoding="utf8")) + PAGE_STYLE
    if "</script" in script.lower() or "</style" in style.lower():
        raise ValueError("page.js and explorer.css must not hold their own end tags")
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
        "img-src blob: data:; base-uri 'none'; form-action 'none'"
    )
    stored = "\n".join(_stored(number, *payload) for number, payload in enumerate(payloads))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f'<img id="kx-poster" alt="{html.escape(title)}" src="{picture}">\n'
        f'<script type="application/json" id="kx-traits">{_json(traits)}</script>\n'
        f'{stored}\n<script type="module">{script}</script>\n</body>\n</html>\n'
    )


def _stored(number: int, header: dict[str, Any], payload: bytes) -> str:
    """The data of a keyframe as an element of the page."""
    compressed = zlib.compress(payload, 6)  # 9 takes five times as long for 1 % less
    described = html.escape(_json(header | {"keyframe": number}))
    return (
        f'<script type="text/plain" data-keyframe="{number}" data-size="{len(compressed)}" '
        f'data-header="{described}">{text_of(compressed)}</script>'
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _json(value: Any) -> str:
    """JSON that can be put into a page: it holds no character that begins or ends a tag."""
    text = json.dumps(value, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def fallback_page(explorer: "Explorer", max_points: int = 10_000) -> str:
    """A page with a plotly figure of the cloud as it is shown, for browsers without WebGL2."""
    from kit.show.figures.clouds import points

    rgb, index = colours_of(explorer)
    xyz = explorer.content.keyframes[explorer.keyframe].points.numpy()[index]
    figure = points(xyz, rgb, title=explorer.mode, max_points=max_points)
    return figure.to_html(full_html=True, include_plotlyjs=True)


def save_picture(
    explorer: "Explorer", path: str | PathLike, image_size: tuple[int, int], dark: bool | None
) -> Path:
    """Draw the cloud as the browser would, in the explorer's mode and view, with numpy.

    Args:
        path: of the .png file.
        image_size: (height, width) in pixels.
        dark: on a dark background; None: as the explorer.

    Raises:
        ValueError: a size that is no whole number of pixels, or out of its range.
    """
    height, width = image_size
    if not all(isinstance(side, Integral) and 16 <= side <= MAX_SIDE for side in image_size):
        raise ValueError(f"image_size must be 16 to {MAX_SIDE:,} pixels a side, got {image_size}")
    store.write_bytes(path, png_bytes(draw_clouds(explorer, (height, width), dark)))
    return Path(path)


def save_ply(explorer: "Explorer", path: str | PathLike, feature_set: str | None = None) -> Path:
    """Write the points of the keyframe with the colours of the mode; hidden points are left out.

    Raises:
        OSError: Open3D could not write the file.
    """
    import open3d

    rgb, index = colours_of(explorer, feature_set)
    points = explorer.content.keyframes[explorer.keyframe].points.numpy()[index]
    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points.astype(np.float64)))
    cloud.colors = open3d.utility.Vector3dVector(rgb / 255.0)
    with TemporaryDirectory() as folder:
        part = Path(folder) / "cloud.ply"
        if not open3d.io.write_point_cloud(str(part), cloud):
            raise OSError(f"{path}: Open3D could not write the cloud")
        store.write_bytes(path, part.read_bytes())
    return Path(path)


def save_gltf(explorer: "Explorer", path: str | PathLike, feature_set: str | None = None) -> Path:
    """Write the same points as glTF 2.0: .gltf (text) or .glb (binary), y up and metres.

    Raises:
        ValueError: another ending.
    """
    if Path(path).suffix not in (".gltf", ".glb"):
        raise ValueError(f"{path}: glTF files end in .gltf (text) or .glb (binary)")
    import trimesh
    from trimesh.exchange.gltf import export_glb, export_gltf

    rgb, index = colours_of(explorer, feature_set)
    x, y, z = explorer.content.keyframes[explorer.keyframe].points.numpy()[index].T
    turned = np.stack([x, z, -y], axis=1)  # glTF: y up, z towards the viewer
    opaque = np.full((len(rgb), 1), 255, dtype=np.uint8)
    cloud = trimesh.PointCloud(turned, colors=np.concatenate([rgb, opaque], axis=1))
    scene, path = trimesh.Scene(cloud), Path(path)
    if path.suffix == ".glb":
        store.write_bytes(path, export_glb(scene))
    else:
        store.write_bytes(path, export_gltf(scene, embed_buffers=True)["model.gltf"])
    return path
