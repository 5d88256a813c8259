"""Smaller payloads for saved pages: coarser numbers, laid out so that they compress well.

An array is stored column by column, each column as differences from row to row where that helps,
and numbers of several bytes as one plane for each byte. `js/data.js` undoes it. Features get one
step for all points instead of one for each, so that most of their coordinates are 0 or 1.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from kit.show.explorer.payload import Payload, fill_payload
from kit.show.explorer.photos import PAGE_PHOTO
from kit.show.explorer.quantisation import measure
from kit.show.explorer.state import QUANTISER_ROWS, Content, some_rows

FEW = 20_000  # points, up to which a keyframe is stored as it is
STEP = 0.06  # of the coordinates of features, whose length is at most 1
METRES = 0.01  # of positions, unless they reach farther than 300 m
LENGTH = 1 / 150  # of the length of features
SCORE_STEPS = 1000  # from the least to the largest score
AGREEMENT = 516  # of 32,767
COLOUR_BITS = 2  # of 8, that are left out of the colours of pixels
DECIMETRE = 10  # centimetres, of depths in images
FINEST = 12  # of 65,536 steps over the width of an image


class PackedPayload(Payload):
    """Arrays, each with how its bytes have to be read."""

    def add(self, name: str, array: np.ndarray) -> None:
        """Append an array, rounded so far that the picture does not change visibly."""
        kind, _, part = name.partition("/")
        if name == "position":
            step = max(METRES, float(np.abs(array).max()) / 32_000)
            self.pack(name, np.round(array / step).astype(np.int16), step=step)
        elif kind in ("intensity", "score") and np.ptp(array) > 0:
            step = float(np.ptp(array)) / SCORE_STEPS
            stored = np.round((array - array.min()) / step).astype(np.int16)
            self.pack(name, stored[:, None], step=step, low=float(array.min()))
        elif kind == "length":
            self.pack(name, np.round(array / LENGTH).astype(np.uint8)[:, None], step=LENGTH)
        elif kind == "agreement":
            steps = np.where(array == -32768, -128, np.round(array / AGREEMENT)).astype(np.int8)
            self.pack(name, steps[:, None], step=AGREEMENT, to="int16", none=-128)
        elif kind == "pairs" and name.endswith("/uv"):
            self.pack(name, array // FINEST, delta=True, step=FINEST, to="uint16")
        elif kind == "pairs" and name.endswith("/depth"):
            stored = array[:, None] // DECIMETRE
            self.pack(name, stored, delta=True, step=DECIMETRE, to="uint16")
        elif kind == "pairs":
            self.pack(name, array.reshape(len(array), -1), delta=True)
        elif kind == "colour":
            rounded = (array.astype(np.uint16) + 2) >> COLOUR_BITS
            stored = rounded.clip(0, 63).astype(np.uint8)
            self.pack(name, stored, step=1 << COLOUR_BITS, to="uint8")
        elif kind in ("direction", "labels", "predicted"):
            self.pack(name, array.reshape(len(array), -1))
        else:
            super().add(name, array)

    def pack(self, name: str, array: np.ndarray, *, delta: bool = False, **coding: Any) -> None:
        """Append (N, C) integers, column by column and byte by byte."""
        if delta:
            array = np.diff(array, axis=0, prepend=np.zeros_like(array[:1]))  # wraps around
        size = array.dtype.itemsize
        columns = np.ascontiguousarray(array.T.astype(array.dtype.newbyteorder("<")))
        planes = columns.view(np.uint8).reshape(array.shape[1], -1, size).transpose(0, 2, 1)
        super().add(name, np.ascontiguousarray(planes).reshape(-1))
        coding |= {"stored": array.dtype.name, "columns": array.shape[1], "delta": delta}
        self.arrays[name] |= coding


def coarser(content: Content) -> Content:
    """The same content with features in coarse steps, and their errors measured again."""
    coarse = replace(content)
    coarse.__dict__["bases"] = content.bases
    coarse.__dict__["quantisers"] = {
        name: measure(replace(quantiser, step=STEP), some_rows(sets, QUANTISER_ROWS))
        for (name, sets), quantiser in zip(
            content.features.items(), content.quantisers.values(), strict=True
        )
    }
    return coarse


def compact_payload(content: Content, number: int) -> tuple[dict[str, Any], bytes]:
    """The header and the bytes of one keyframe, see `keyframe_payload`."""
    payload = PackedPayload()
    header = fill_payload(payload, content, number, PAGE_PHOTO)
    return header, payload.bytes()
