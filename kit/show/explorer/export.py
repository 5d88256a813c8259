"""What an explorer leaves behind: a page, a picture, a cloud for other programs."""

import base64
import hashlib
import html
import io
import json
import zlib
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from kit.show.explorer import payload as blob
from kit.show.explorer.paint import colours_of, view_of
from kit.show.png.splat import project, splat
from kit.store import files as store

if TYPE_CHECKING:
    from kit.show.explorer.widget import Explorer

TRAITS = (
    "mode",
    "feature_set",
    "side_by_side",
    "keyframe",
    "picked",
    "negatives",
    "picked_in",
    "cosine",
    "threshold",
    "components",
    "hidden_classes",
    "view",
    "point_size",
    "height",
)
PAGE = {False: (247, 248, 250), True: (17, 20, 25)}  # behind the points, as in explorer.js
PAGE_STYLE = "html, body { margin: 0; height: 100%; } .kx-page { height: 100vh !important; }"


def save_page(
    explorer: "Explorer",
    path: str | PathLike,
    *,
    keyframes: Sequence[int] | None = None,
    title: str = "",
) -> Path:
    """Write a page that shows the same and asks the network for nothing.

    Its Content-Security-Policy lets one script run, known by its hash, and loads from nowhere;
    names from data are text there, whatever they contain.

    Args:
        path: of the .html file.
        keyframes: indices to put in; by default the one that is shown.
        title: of the page; by default the keyframe's scene.

    Raises:
        ValueError: the keyframe of the picked points is not among them.
    """
    content = explorer.content
    kept = sorted(set(keyframes if keyframes is not None else [explorer.keyframe]))
    asked = explorer.picked_in if explorer.picked or explorer.negatives else explorer.keyframe
    if explorer.keyframe not in kept or asked not in kept:
        raise ValueError(
            f"keyframes {kept} must hold the one that is shown, {explorer.keyframe}, and that of "
            f"the picked points, {asked}"
        )
    blocks = {index: blob.pack_keyframe(content, index) for index in kept}
    traits = {name: getattr(explorer, name) for name in TRAITS}
    traits |= {name: kept.index(traits[name]) for name in ("keyframe",)}
    traits["picked_in"] = kept.index(asked)
    setup = explorer.setup | {
        "header": blocks[kept[0]][0] | {"index": 0},
        "keyframes": [explorer.setup["keyframes"][index] for index in kept],
    }
    name = title or content.keyframes[explorer.keyframe].scene or "Explorer"
    store.write_text(path, _page(name, traits | {"setup": setup}, list(blocks.values())))
    return Path(path)


def _page(title: str, traits: dict[str, Any], blocks: list[tuple[dict, bytes]]) -> str:
    script = (Path(__file__).parent / "js" / "explorer.js").read_text(
        encoding="utf8"
    ) + "\nopenPage();\n"
    style = (Path(__file__).parent / "js" / "explorer.css").read_text(encoding="utf8") + PAGE_STYLE
    if "</script" in script.lower() or "</style" in style.lower():
        raise ValueError("explorer.js and explorer.css must not hold their own end tags")
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
        "img-src blob: data:; base-uri 'none'; form-action 'none'"
    )
    stored = "\n".join(
        f'<script type="text/plain" data-keyframe="{index}" '
        f'data-header="{html.escape(_json(header | {"index": index}))}">'
        f"{base64.b64encode(zlib.compress(block, 9)).decode()}</script>"
        for index, (header, block) in enumerate(blocks)
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f'<script type="application/json" id="kx-traits">{_json(traits)}</script>\n'
        f'{stored}\n<script type="module">{script}</script>\n</body>\n</html>\n'
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _json(value: Any) -> str:
    """JSON that can stand in a page: no tag can begin or end in it."""
    text = json.dumps(value, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def fallback_page(explorer: "Explorer", max_points: int = 10_000) -> str:
    """A page with a plotly figure of the cloud as it is shown, for browsers without WebGL2."""
    from kit.show.figures.clouds import points

    rgb, shown = colours_of(explorer)
    xyz = explorer.content.keyframes[explorer.keyframe].points.numpy()[shown]
    figure = points(xyz, rgb, title=explorer.mode, max_points=max_points)
    return figure.to_html(full_html=True, include_plotlyjs=True)


def save_picture(
    explorer: "Explorer", path: str | PathLike, image_size: tuple[int, int], dark: bool
) -> Path:
    """Draw the cloud as the browser would, in the explorer's mode and view, with numpy.

    Args:
        image_size: (height, width) in pixels.
        dark: on a dark page.
    """
    height, width = image_size
    xyz = explorer.content.keyframes[explorer.keyframe].points.numpy().astype(np.float64)
    sets = explorer.content.sets if explorer.side_by_side else [explorer.feature_set]
    panels = []
    for name in sets:
        rgb, shown = colours_of(explorer, name, dark)
        size = (2 * height, 2 * width // len(sets))  # twice as fine, then averaged
        view = view_of(explorer.view, size[1] / size[0])
        uv, depth = project(xyz[shown], view, size)
        focal = size[0] / 2 / np.tan(np.radians(view.field_of_view) / 2)
        across = (0.1 * explorer.point_size * focal / np.maximum(depth, 0.2)).clip(4, 28)
        panels.append(splat(uv, depth, rgb, across, size, PAGE[dark]))
    picture = Image.fromarray(np.concatenate(panels, axis=1))
    data = io.BytesIO()
    picture.resize((width, height), Image.Resampling.BOX).save(data, "PNG")
    store.write_bytes(path, data.getvalue())
    return Path(path)


def save_ply(explorer: "Explorer", path: str | PathLike, feature_set: str | None = None) -> Path:
    """Write the points of the keyframe with the colours of the mode, hidden ones left out.

    Raises:
        OSError: Open3D could not write the file.
    """
    import open3d

    rgb, shown = colours_of(explorer, feature_set)
    points = explorer.content.keyframes[explorer.keyframe].points.numpy()[shown]
    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points.astype(np.float64)))
    cloud.colors = open3d.utility.Vector3dVector(rgb / 255.0)
    with TemporaryDirectory() as folder:
        part = Path(folder) / "cloud.ply"
        if not open3d.io.write_point_cloud(str(part), cloud):
            raise OSError(f"{path}: Open3D could not write the cloud")
        store.write_bytes(path, part.read_bytes())
    return Path(path)


def save_gltf(explorer: "Explorer", path: str | PathLike, feature_set: str | None = None) -> Path:
    """Write the same as glTF 2.0: .gltf (text) or .glb (binary), y up and metres.

    Open3D writes meshes as glTF, but no points, so the few lines of it that points need are here.

    Source: the glTF 2.0 specification (Khronos), sections 3.7.2 (points) and 4.4 (GLB).
    """
    rgb, shown = colours_of(explorer, feature_set)
    x, y, z = explorer.content.keyframes[explorer.keyframe].points.numpy()[shown].T
    position = np.stack([x, z, -y], axis=1).astype("<f4")  # glTF: y up, z towards the viewer
    colour = np.concatenate([rgb, np.full((len(rgb), 1), 255, np.uint8)], axis=1)
    data = position.tobytes() + colour.tobytes()
    split = position.nbytes
    document: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "lidar-distillation-kit"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0, "COLOR_0": 1}, "mode": 0}]}],
        "accessors": [
            {
                "bufferView": 0,
                "componentType": 5126,
                "count": len(position),
                "type": "VEC3",
                "min": position.min(0).tolist(),
                "max": position.max(0).tolist(),
            },
            {
                "bufferView": 1,
                "componentType": 5121,
                "normalized": True,
                "count": len(position),
                "type": "VEC4",
            },
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": split, "target": 34962},
            {"buffer": 0, "byteOffset": split, "byteLength": colour.nbytes, "target": 34962},
        ],
        "buffers": [{"byteLength": len(data)}],
    }
    path = Path(path)
    if path.suffix == ".glb":
        text = json.dumps(document).encode()
        text += b" " * (-len(text) % 4)
        chunks = [(len(text), 0x4E4F534A, text), (len(data), 0x004E4942, data)]
        body = b"".join(
            np.array([size, kind], "<u4").tobytes() + part for size, kind, part in chunks
        )
        head = np.array([0x46546C67, 2, 12 + len(body)], "<u4").tobytes()
        store.write_bytes(path, head + body)
    else:
        stored = base64.b64encode(data).decode()
        document["buffers"][0]["uri"] = f"data:application/octet-stream;base64,{stored}"
        store.write_text(path, json.dumps(document))
    return path
