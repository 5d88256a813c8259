"""Balanced pairs: how often each kind of pair is drawn."""

from dataclasses import fields, replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from tiny_distillation import CONFIG, run

from kit.distill.balance import CLUSTERED, OF_PAIRS, RANGES, balance, draw_balanced, kinds
from kit.distill.clusters import kmeans
from kit.distill.losses import LossInputs


def times(kind, exponent):
    """How often each row is drawn."""
    return torch.bincount(draw_balanced(torch.tensor(kind), exponent), minlength=len(kind))


def test_by_hand():
    assert times([0, 0, 0, 1], 0.0).tolist() == [1, 1, 1, 1]
    # Equally frequent kinds: two of the four rows are of kind 1, two are among the three of kind 0.
    assert times([0, 0, 0, 1], 1.0).tolist() == [1, 0, 1, 2]
    # 16 rows and 1 row: sqrt(16) to sqrt(1), so 17 / 5 = 3.4 of 17.
    assert times([0] * 16 + [1], 0.5)[-1] in (3, 4)


@given(kind=st.lists(st.integers(0, 5), min_size=1, max_size=200), exponent=st.floats(0, 1))
def test_every_kind_has_its_part(kind, exponent):
    found = times(kind, exponent)
    assert found.sum() == len(kind)
    sizes = {each: kind.count(each) for each in kind}
    total = sum(size ** (1 - exponent) for size in sizes.values())
    for row, each in enumerate(kind):
        expected = len(kind) * sizes[each] ** -exponent / total
        assert int(expected - 1e-6) <= found[row] <= int(expected + 1e-6) + 1


def some_inputs(count=6000, dim=8):
    generator = torch.Generator().manual_seed(0)
    feat = torch.randn(4, dim, generator=generator)[torch.arange(count) // 7 % 4]
    feat = feat + 0.05 * torch.randn(count, dim, generator=generator)
    rows = torch.arange(count)
    per_pair = {name: rows for name in OF_PAIRS if "feat" not in name}
    ranges = 1 + 80 * torch.rand(count, generator=generator)
    return LossInputs(rows[:, None] * torch.ones(dim), feat, **per_pair | {"ranges": ranges})


def test_pairs_of_a_kind_look_alike_and_are_at_one_range():
    inputs = some_inputs()
    kind = kinds(inputs.teacher_feat, inputs.ranges)
    unit = F.normalize(inputs.teacher_feat, dim=1)
    assert len(unit) > CLUSTERED  # the clusters come from every second row
    for each in kind.unique():
        of_kind = kind == each
        group = torch.arange(6000)[of_kind] // 7 % 4
        assert (group == group[0]).all()
        interval = torch.bucketize(inputs.ranges[of_kind], torch.tensor(RANGES))
        assert (interval == interval[0]).all()
    assert len(kind.unique()) >= 4 * (len(RANGES) + 1)


def test_all_that_belongs_to_a_pair_is_drawn_together():
    others = {"superpixel_feat", "dense_feat", "dense_classes"}  # of superpixels and of scans
    assert {field.name for field in fields(LossInputs)} == others | set(OF_PAIRS)
    inputs = some_inputs()
    drawn = balance(inputs, 0.5)
    row = drawn.image_of_pair
    assert not torch.equal(row, torch.arange(6000)) and len(row) == 6000
    for name in OF_PAIRS:
        assert torch.equal(getattr(drawn, name), getattr(inputs, name)[row])
    assert balance(inputs, 0.0) is inputs
    less = balance(replace(inputs, classes=None), 0.5)
    assert less.classes is None and torch.equal(less.ranges, drawn.ranges)


def test_kmeans_is_lloyd_s_algorithm():
    unit = F.normalize(some_inputs(40).teacher_feat, dim=1)
    number, centres = kmeans(unit, 3, 5)
    expected = [unit[0], unit[20], unit[39]]  # equal distances: 0, 19.5, 39
    for _ in range(5):
        cosine = [F.cosine_similarity(unit, centre[None]) for centre in expected]
        nearest = torch.stack(cosine).argmax(0).tolist()
        used = sorted(set(nearest))
        expected = [unit[[n == each for n in nearest]].mean(0) for each in used]
    assert number.tolist() == [used.index(n) for n in nearest]
    assert torch.allclose(centres, torch.stack(expected), atol=1e-5)


def test_a_distillation_with_balanced_pairs():
    losses = {}
    for exponent in (0.0, 0.5, 0.5):
        torch.manual_seed(0)
        history = run(config=replace(CONFIG, steps=2, balance=exponent)).history
        losses.setdefault(exponent, []).append([row["loss"] for row in history])
    assert losses[0.5][0] == losses[0.5][1] != losses[0.0][0]
    with pytest.raises(ValueError, match="balance must be"):
        replace(CONFIG, balance=1.5)
