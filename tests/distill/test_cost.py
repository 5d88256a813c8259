"""The cost model: values by hand, proportions, and the table of the page."""

from pathlib import Path

import pytest

from kit.__main__ import main
from kit.distill.cost import CostConfig, cost, cost_table

PAGE = Path(__file__).parents[2] / "docs" / "scale.md"


def test_nuscenes_by_hand():
    found = cost(CostConfig(step_seconds=1.0, teacher_seconds=0.05, price=2.0))
    assert found.steps == 25 * 3517  # 28,130 / 8 = 3516.25
    assert found.training_hours == pytest.approx(87_925 / 3600)
    assert found.teacher_hours == pytest.approx(168_780 * 0.05 / 3600)
    assert found.terabytes == pytest.approx(168_780 * 1024 * 512 * 2 / 1e12)
    assert found.dollars == pytest.approx(2 * (found.training_hours + found.teacher_hours))


def test_more_gpus_need_fewer_days_and_not_fewer_hours():
    one, eight = cost(CostConfig(gpus=1)), cost(CostConfig(gpus=8))
    assert eight.training_hours == pytest.approx(one.training_hours / 0.9)
    assert eight.days == pytest.approx(one.days / 8 / 0.9)


def test_larger_batches_cost_the_same():
    small, large = cost(CostConfig(batch_size=8)), cost(CostConfig(batch_size=16))
    assert large.training_hours == pytest.approx(small.training_hours, rel=1e-3)


def test_the_page_has_the_table_of_the_model():
    assert cost_table() in PAGE.read_text()


def test_the_command_prints_every_part(capsys):
    assert main(["cost", "--keyframes", "1000", "--price", "2"]) == 0
    printed = capsys.readouterr().out
    assert "GPU hours" in printed and "TB" in printed and "$" in printed


def test_a_wrong_value_is_named():
    with pytest.raises(ValueError, match="efficiency"):
        CostConfig(efficiency=0.0)
