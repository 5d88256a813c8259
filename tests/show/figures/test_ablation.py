import pytest

from kit import show
from kit.ablate.table import AblationTable

VALUES = {"l2": [0.50, 0.60], "cosine": [0.52, 0.621], "ppkt": [0.3, 0.7]}


def table(values=VALUES, metric="miou"):
    rows = [
        {"distill.loss": name, "seed": seed, "is_base": i == 0, metric: value}
        for i, (name, metrics) in enumerate(values.items())
        for seed, value in enumerate(metrics)
    ]
    return AblationTable(rows, ("distill.loss",))


def dots(figure, axis, size):
    return [
        t for t in figure.data if t.mode == "markers" and t.xaxis == axis and t.marker.size == size
    ]


def test_every_run_is_a_dot_and_the_best_row_is_on_top():
    figure = show.ablation(table())
    assert figure.layout.yaxis.ticktext == ("cosine", "l2", "ppkt")
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]
    runs, means = dots(figure, "x", 6), dots(figure, "x", 12)
    assert [list(trace.x) for trace in runs] == [
        pytest.approx(v) for v in ([52, 62.1], [50, 60], [30, 70])
    ]
    assert [trace.x[0] for trace in means] == pytest.approx([57.05, 55, 50])
    assert [list(trace.y) for trace in means] == [[0], [1], [2]]


def test_the_right_panel_has_the_paired_differences_without_the_base():
    figure = show.ablation(table())
    singles = [list(trace.x) for trace in dots(figure, "x2", 6)]
    assert singles == [pytest.approx([2, 2.1]), pytest.approx([-20, 10])]
    (bar,) = [t for t in figure.data if t.xaxis == "x2" and t.mode == "lines" and t.y[0] == 0.0]
    half = 12.706 * 0.05  # t of one degree of freedom, times the standard error
    assert list(bar.x) == pytest.approx([2.05 - half, 2.05 + half], abs=1e-3)


def test_colours_are_verdicts_and_the_legend_names_those_that_occur():
    figure = show.ablation(table())
    # plotly lists a trace unless it is told not to
    listed = {t.name: t.marker.color for t in figure.data if t.showlegend is not False}
    assert set(listed) == {"better than the base", "base", "not decided"}
    assert len(set(listed.values())) == 3


def test_a_long_interval_is_cut_off_so_that_the_runs_stay_apart():
    figure = show.ablation(table({"l2": [0.5, 0.5], "a": [0.49, 0.51]}))
    low, high = figure.layout.xaxis2.range
    assert -3 < low < -1 < 1 < high < 3  # the interval is 12.7 points to each side


def test_one_seed_and_other_metrics():
    one = table({"l2": [1.2], "a": [1.1]}, "held_out_loss")
    figure = show.ablation(one, "held_out_loss", larger_is_better=False)
    assert figure.layout.yaxis.ticktext == ("a", "l2")
    assert figure.layout.xaxis.title.text == "held out loss"
    assert "1 seed of each" in figure.layout.title.subtitle.text
    with pytest.raises(ValueError, match="has no rows"):
        show.ablation(AblationTable([], ("distill.loss",)))
    with pytest.raises(ValueError, match="no column 'mio'"):
        show.ablation(table(), "mio")


def test_the_png_is_drawn_from_the_same_description(tmp_path):
    figure = show.ablation(table(), title="<losses>")
    assert show.save_png(figure, tmp_path / "a.png", 900, 300).stat().st_size > 5000
