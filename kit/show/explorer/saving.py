"""Methods of an explorer that write files."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kit.show.explorer.film import Through


class Saving:
    """The methods of an `Explorer` that write files; each says where it is described."""

    def save(
        self,
        path: str | PathLike,
        *,
        keyframes: Sequence[int] | None = None,
        title: str = "",
        exact: bool = False,
    ) -> Path:
        """Write a self-contained HTML page, see `kit.show.explorer.export.save_page`."""
        from kit.show.explorer.export import save_page

        return save_page(self, path, keyframes=keyframes, title=title, exact=exact)

    def save_png(
        self,
        path: str | PathLike,
        image_size: tuple[int, int] = (800, 1280),
        dark: bool | None = None,
    ) -> Path:
        """Draw the cloud as it is shown, without a browser, in (height, width) pixels."""
        from kit.show.explorer.export import save_picture

        return save_picture(self, path, image_size, dark)

    def save_gif(
        self,
        path: str | PathLike,
        through: "Through" = "turn",
        num_frames: int = 36,
        seconds: float | int = 6,
        image_size: tuple[int, int] = (360, 640),
    ) -> Path:
        """Write a film of a turn, of the keyframes or of the steps, without a browser.

        See `kit.show.explorer.film.save_gif`.
        """
        from kit.show.explorer.film import save_gif

        return save_gif(self, path, through, num_frames, seconds, image_size)

    def save_ply(self, path: str | PathLike, feature_set: str | None = None) -> Path:
        """Write the coloured cloud of this keyframe and mode as PLY."""
        from kit.show.explorer.export import save_ply

        return save_ply(self, path, feature_set)

    def save_gltf(self, path: str | PathLike, feature_set: str | None = None) -> Path:
        """Write the coloured cloud of this keyframe and mode as glTF (.gltf) or binary (.glb)."""
        from kit.show.explorer.export import save_gltf

        return save_gltf(self, path, feature_set)
