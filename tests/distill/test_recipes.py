"""Published recipes by name: every value is the one of the published configuration."""

import pytest

from kit.commands import parse
from kit.distill.recipes import RECIPES


def test_scalr_plus_is_the_published_configuration():
    config = parse("distill", ["--config", "scalr-plus", "--data", "root"]).config
    student, distill = config.student, config.distill
    assert (student.depth, student.width, student.head) == (48, 768, (2048, 1024))
    assert (student.activation, student.drop_path, student.checkpointing) == ("gelu", 0.2, True)
    assert config.teacher.image_size == (448, 896) and config.data == "root"
    assert (distill.lr, distill.weight_decay, distill.batch_size) == (2e-3, 0.03, 8)
    epoch = distill.steps // 65
    assert epoch == 55_100 // 8 and distill.schedule == "rsqrt"
    inputs = student.inputs
    assert (inputs.voxel_size, inputs.max_points, inputs.num_neighbours) == (0.1, 20_000, 16)
    assert inputs.grids == ((256, 256), (256, 32), (256, 32))


def test_the_rates_of_scalr_are_the_published_ones():
    distill = RECIPES["scalr"].distill
    assert distill.lr_at(0) == 0.0
    assert distill.lr_at(1_750) == pytest.approx(1e-3)
    assert distill.lr_at(3_500) == pytest.approx(2e-3)
    assert distill.lr_at(distill.steps) == pytest.approx(1e-5)


def test_the_rates_of_scalr_plus_are_the_published_ones():
    distill = RECIPES["scalr-plus"].distill
    epoch = distill.steps / 65
    assert distill.lr_at(0) == 0.0
    assert distill.lr_at(round(epoch)) == pytest.approx(2e-3)
    # 10 epochs after the warm-up: 1 / sqrt(1 + 10 / 0.45)
    expected = 2e-3 / (1 + 10 / 0.45) ** 0.5
    assert distill.lr_at(round(11 * epoch)) == pytest.approx(expected, rel=1e-3)


def test_an_option_changes_a_recipe():
    config = parse("distill", ["--config", "scalr", "--batch-size", "4"]).config
    assert config.distill.batch_size == 4 and config.student.activation == "relu"
