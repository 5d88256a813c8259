import math

import numpy as np
import pytest
import torch

from kit import show


def run(count: int) -> list[dict]:
    return [{"step": 10 * i, "loss": 2.0 / (i + 1), "lr": 0.001 * i} for i in range(count)]


def test_loss_curve_holds_the_numbers():
    figure = show.loss_curve(run(20))
    loss, lr = figure.data
    np.testing.assert_array_equal(loss.x, np.arange(20) * 10)
    np.testing.assert_allclose(loss.y, 2.0 / np.arange(1, 21))
    np.testing.assert_allclose(lr.y, 0.001 * np.arange(20))
    assert lr.yaxis == "y2" and figure.layout.yaxis2.overlaying == "y"
    assert "20 steps" in figure.layout.title.subtitle.text


def test_a_long_run_gets_its_running_mean():
    history = run(100)
    loss, mean, _ = show.loss_curve(history).data
    values = np.array([row["loss"] for row in history])
    assert mean.name == "mean of 4 steps"
    # numpy's centred window of 4 covers two before, itself and one after.
    assert mean.y[50] == pytest.approx(values[48:52].mean())
    assert len(mean.y) == 100 and mean.y[0] == pytest.approx(values[:2].mean())


def test_a_step_without_a_finite_loss_is_counted_and_left_out_of_the_mean():
    history = run(100)
    history[50]["loss"] = math.nan
    figure = show.loss_curve(history)
    assert "1 without a finite loss" in figure.layout.title.subtitle.text
    values = np.array([row["loss"] for row in history])
    assert figure.data[1].y[50] == pytest.approx(np.nanmean(values[48:52]))


def test_loss_without_a_learning_rate_and_a_single_step():
    (loss,) = show.loss_curve([{"step": 0, "loss": 1.5}]).data
    assert list(loss.y) == [1.5]
    with pytest.raises(ValueError, match="empty history"):
        show.loss_curve([])
    with pytest.raises(ValueError, match=r"history\[1\] needs step and loss"):
        show.loss_curve([{"step": 0, "loss": 1.0}, {"step": 1, "lr": 1.0}])


RESULTS = {
    "teacher": {"miou": 0.459, "iou": {"car": 0.5, "road": 0.9, "bus": None, "other_flat": None}},
    "distilled": {"miou": 0.301, "iou": {"car": 0.95, "road": 0.2, "bus": None, "other_flat": 0.1}},
}


def test_bars_are_in_percent_best_class_first():
    figure = show.iou_bars(RESULTS)
    teacher, distilled = figure.data
    assert list(teacher.x) == ["car", "road", "other flat"]
    assert list(teacher.y) == pytest.approx([50.0, 90.0, None])
    assert list(distilled.y) == pytest.approx([95.0, 20.0, 10.0])
    assert (teacher.name, distilled.name) == ("teacher, mIoU 45.9 %", "distilled, mIoU 30.1 %")
    assert figure.layout.yaxis.range == (0, 100) and "%" in figure.layout.yaxis.title.text
    assert "not in this data: bus" in figure.layout.title.subtitle.text


def test_bars_refuse_values_that_are_no_iou():
    with pytest.raises(ValueError, match="teacher: the IoU of car .* 50"):
        show.iou_bars({"teacher": {"miou": 0.5, "iou": {"car": 50}}})
    with pytest.raises(ValueError, match="nan"):
        show.iou_bars({"teacher": {"miou": math.nan, "iou": {"car": 0.5}}})
    with pytest.raises(ValueError, match="needs miou and iou"):
        show.iou_bars({"teacher": {"iou": {}}})
    with pytest.raises(ValueError, match="at least one"):
        show.iou_bars({})


def test_from_above_x_is_right_y_is_up_and_the_highest_is_drawn_last():
    points = torch.tensor([[1.0, 20.0, 3.0], [1.0, 20.0, -1.0], [-7.0, 2.0, 0.5]])
    figure = show.points_from_above(points)
    cloud = figure.data[0]
    np.testing.assert_array_equal(cloud.marker.color, [0.0, 1.5, 4.0])  # above the lowest
    np.testing.assert_array_equal(cloud.x, [1.0, -7.0, 1.0])
    np.testing.assert_array_equal(cloud.y, [20.0, 2.0, 20.0])
    assert figure.layout.yaxis.scaleanchor == "x"
    assert "height" in figure.layout.coloraxis.colorbar.title.text


def test_from_above_shows_fifty_metres_and_uses_webgl_for_many_points():
    points = torch.randn(6000, 3, generator=torch.Generator().manual_seed(0)) * 60
    figure = show.points_from_above(points, torch.rand(6000))
    assert figure.data[0].type == "scattergl" and figure.layout.xaxis.range == (-50, 50)
    assert show.points_from_above(points[:100]).data[0].type == "scatter"
    with pytest.raises(ValueError, match="5 rows of colour for 6,000"):
        show.points_from_above(points, torch.rand(5))


def test_curves_sort_places_by_x_and_leave_gaps_out():
    series = {"distilled": {"wide": 40.0, "narrow": 30.0}, "random": {"narrow": 18.0}}
    figure = show.curves(series, [2.0, 0.5], log_x=True, y_title="mIoU (%)")
    distilled, random = figure.data
    assert list(distilled.x) == [0.5, 2.0] and list(distilled.y) == [30.0, 40.0]
    assert list(distilled.text) == ["narrow", "wide"]
    assert list(random.x) == [0.5] and list(random.y) == [18.0]
    assert distilled.mode == random.mode == "lines+markers"
    notes = [(note.x, note.y, note.text) for note in figure.layout.annotations]
    assert notes == [(np.log10(0.5), 30.0, "narrow"), (np.log10(2), 40.0, "wide")]
    assert figure.layout.xaxis.type == "log"
    named = show.curves({"probe": {"embedding": 20.0, "layer 1": 31.0}})
    assert list(named.data[0].x) == ["embedding", "layer 1"]


def test_curves_refuse_values_that_do_not_fit():
    with pytest.raises(ValueError, match="at least one"):
        show.curves({})
    with pytest.raises(ValueError, match="1 values of x for 2 places: a, b"):
        show.curves({"one": {"a": 1.0, "b": 2.0}}, [1.0])
