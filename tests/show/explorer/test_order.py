"""The order in which large clouds are sent and drawn, and what the browser gets of it."""

import numpy as np
import pytest
import torch
from explorer_scene import features, features_of, keyframe
from hypothesis import given
from hypothesis import strategies as st

from kit.show import Explorer
from kit.show.explorer.order import BITS, drawn_points, even_order, part_of
from kit.show.explorer.payload import keyframe_payload


def array_of(header: dict, data: bytes, name: str) -> np.ndarray:
    place = header["arrays"][name]
    return np.frombuffer(data, place["type"], place["count"], place["start"])


@given(st.integers(0, 2**31), st.integers(1, 400), st.floats(0.01, 500))
def test_each_beginning_has_one_point_of_every_cell_of_a_grid(seed, count, scale):
    rng = np.random.default_rng(seed)
    points = (scale * rng.standard_normal((count, 3)) ** 3).astype(np.float32)
    points[count // 2 :] = points[: count - count // 2]  # some places twice
    order = even_order(points)
    assert sorted(order) == list(range(count))
    low, side = points.min(0), max(float(np.ptp(points, axis=0).max()), 1e-6)
    finest = ((points - low) * ((2**BITS - 1) / side)).astype(np.int64)
    for level in range(BITS + 1):
        cells = finest // 2 ** (BITS - level)
        num_cells = len(np.unique(cells, axis=0))
        first = cells[order[:num_cells]]
        assert len(np.unique(first, axis=0)) == num_cells
    np.testing.assert_array_equal(order, even_order(points))


def test_few_points_keep_their_order_and_many_of_too_many_are_chosen():
    points = np.random.default_rng(0).standard_normal((900, 3)).astype(np.float32)
    np.testing.assert_array_equal(drawn_points(points, 1000), np.arange(900))
    assert part_of(900) == 900
    many = np.random.default_rng(0).standard_normal((200_000, 3)).astype(np.float32)
    drawn = drawn_points(many, 160_000)
    assert len(set(drawn)) == 160_000 and part_of(160_000) == 32_768


@pytest.mark.parametrize("every", [1, 3])
def test_all_arrays_are_in_the_order_of_drawing(monkeypatch, every):
    monkeypatch.setattr("kit.show.explorer.order.LARGE", 500)
    frame = keyframe()
    some = torch.arange(0, 900, every)
    feat = features(frame, 1)[some]
    score = torch.rand(900, generator=torch.Generator().manual_seed(0))
    given = features_of(feat, some, 900)
    shown = Explorer(frame, {"teacher": given}, scores={"a": score}, max_points=700)
    header, data = keyframe_payload(shown.content, 0)
    index = array_of(header, data, "index")
    assert header["part"] == 32_768 and len(set(index)) == 700 and (np.diff(index) < 0).any()
    for name, values in (("position", frame.points), ("labels", frame.labels), ("score/a", score)):
        stored = array_of(header, data, name).reshape(len(index), -1)
        np.testing.assert_array_equal(stored, values.numpy()[index].reshape(len(index), -1))
    quantised = shown.content.quantisers["teacher"].quantise(features(frame, 1))
    has = np.isin(index, some.numpy())
    length = array_of(header, data, "length/0")
    np.testing.assert_array_equal(length, np.where(has, quantised.length[index], 0))
    direction = array_of(header, data, "direction/0").reshape(len(index), -1)
    np.testing.assert_array_equal(direction[has], quantised.direction[index][has])
    shown.picked = [int(index[5])]
    with pytest.raises(Exception, match="700 points drawn; the next is"):
        shown.picked = [next(point for point in range(900) if point not in index)]
