import numpy as np
import pytest
import torch

from kit import show
from kit.data.classes import IGNORE, NUSCENES
from kit.show import theme
from kit.show.palette import distinct_colours

CAR, TRUCK, ROAD = (NUSCENES.names.index(n) for n in ("car", "truck", "driveable_surface"))


def scan(count: int = 300) -> torch.Tensor:
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(0)) * 20


def random_labels(count: int, seed: int) -> torch.Tensor:
    return torch.randint(0, 16, (count,), generator=torch.Generator().manual_seed(seed))


def test_each_class_is_one_trace_in_its_colour():
    points, labels = scan(5), torch.tensor([CAR, ROAD, CAR, IGNORE, ROAD])
    figure = show.labels(points, labels, NUSCENES)
    legend = {t.name: t for t in figure.data if t.showlegend}
    assert set(legend) == {"car", "driveable surface", "not scored"}
    np.testing.assert_array_equal(legend["car"].x, points[[0, 2], 0])
    colours = [theme.hex_of(each) for each in distinct_colours(tuple(NUSCENES.colours))]
    assert legend["car"].marker.color == colours[CAR]
    assert legend["driveable surface"].marker.color == colours[ROAD]
    np.testing.assert_array_equal(legend["not scored"].z, points[[3], 2])


def test_thinning_keeps_points_and_labels_together():
    points, labels = scan(3000), random_labels(3000, 1)
    figure = show.labels(points, labels, NUSCENES, max_points=500)
    traces = [t for t in figure.data if t.showlegend]
    assert sum(len(t.x) for t in traces) == 500
    for trace in traces:
        label = NUSCENES.names.index(trace.name.replace(" ", "_"))
        index = np.asarray(trace.customdata).astype(int)
        assert (labels[index] == label).all()
        np.testing.assert_array_equal(trace.y, points[index, 1])


def counts(figure) -> dict[str, int]:
    found: dict[str, int] = {}
    for trace in figure.data:
        if trace.legendgroup:
            found[trace.legendgroup] = found.get(trace.legendgroup, 0) + len(trace.x)
    return found


def test_errors_are_counted_as_numpy_counts_them():
    labels, predicted = random_labels(300, 1), random_labels(300, 2)
    labels[:40] = IGNORE
    predicted[100:200] = labels[100:200]
    figure = show.errors(scan(), predicted, labels.numpy().astype(np.uint8), NUSCENES)
    wrong = int((labels != predicted)[40:].sum())
    assert counts(figure) == {"not scored": 40, "correct": 260 - wrong, "wrong": wrong}
    assert figure.layout.title.subtitle.text.startswith(f"{wrong} of 260 scored points are wrong")
    assert sum(bool(t.showlegend) for t in figure.data) == 3


def test_hovering_over_an_error_tells_both_classes():
    labels, predicted = torch.tensor([CAR, CAR, IGNORE]), torch.tensor([TRUCK, CAR, CAR])
    figure = show.errors(scan(3), predicted, labels, NUSCENES)
    by_name = {t.name: t for t in figure.data if t.legendgroup}
    assert list(by_name["wrong"].text) == ["car, predicted truck"]
    assert "%{text}" in by_name["wrong"].hovertemplate
    assert "car, predicted correctly" in by_name["correct"].hovertemplate
    assert by_name["wrong"].marker.color != by_name["correct"].marker.color


def test_all_correct_and_all_unscored_can_be_drawn():
    labels = random_labels(300, 1)
    assert counts(show.errors(scan(), labels, labels, NUSCENES)) == {"correct": 300}
    unscored = torch.full((300,), IGNORE)
    assert counts(show.errors(scan(), labels, unscored, NUSCENES)) == {"not scored": 300}


def test_unknown_labels_and_other_counts_are_named():
    labels = random_labels(300, 1)
    bad = labels.clone()
    bad[:2] = 16
    with pytest.raises(ValueError, match=r"labels: 2 of 300 .* 16 classes .*\[16\]"):
        show.labels(scan(), bad, NUSCENES)
    with pytest.raises(ValueError, match="predicted: 1 of 300"):
        predicted = labels.clone()
        predicted[3] = IGNORE
        show.errors(scan(), predicted, labels, NUSCENES)
    with pytest.raises(ValueError, match="299 rows of predicted for 300 points"):
        show.errors(scan(), labels[:299], labels, NUSCENES)
