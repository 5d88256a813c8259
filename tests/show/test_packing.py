import numpy as np
import pytest
import torch

from kit.show.explorer.quantisation import fit_packing, unit_rows


def features(count=1500, dim=96, rank=20, seed=0, common=2.0):
    """Rows with a common part, a few strong directions, and a little noise in all."""
    generator = torch.Generator().manual_seed(seed)
    ways = torch.randn(rank, dim, generator=generator)
    rows = torch.randn(count, rank, generator=generator) @ ways
    noise = 0.2 * torch.randn(count, dim, generator=generator)
    return rows + noise + common * torch.randn(dim, generator=generator) * rank**0.5


def cosines(feat, mean):
    rows = torch.nn.functional.normalize(unit_rows(feat) - mean, dim=1)
    return (rows @ rows.T).numpy()


def test_the_told_error_is_the_real_one():
    feat = features()
    packing = fit_packing(feat)
    packed, rows = packing.pack(feat), np.arange(len(feat))
    error = np.abs(packed.cosine(rows, rows) - cosines(feat, packing.mean))
    assert packing.channels == 32 and packed.direction.dtype == np.int8
    assert np.percentile(error, 99) == pytest.approx(packing.error_most, rel=0.3)
    assert error.mean() == pytest.approx(packing.error_mean, rel=0.3)
    assert packing.error_most < 0.02


def test_features_of_high_rank_take_64_channels_and_say_what_is_lost():
    packing = fit_packing(features(rank=90))
    assert packing.channels == 64 and packing.error_most > 0.01
    assert fit_packing(features(rank=90), channels=96).error_most < 0.01
    with pytest.raises(ValueError, match="multiple of 4"):
        fit_packing(features(), channels=30)


def test_a_point_is_fully_similar_to_itself_whatever_is_left_out():
    feat = features(rank=90)
    packed = fit_packing(feat, channels=8).pack(feat)
    own = packed.cosine(np.arange(40), np.arange(40)).diagonal()
    np.testing.assert_allclose(own, 1, atol=0.02)


def test_the_plain_cosine_comes_back():
    feat = features()
    packing = fit_packing(feat)
    packed, rows = packing.pack(feat), np.arange(300)
    unit = unit_rows(feat[:300])
    np.testing.assert_allclose(
        packing.plain(packed, rows, rows), (unit @ unit.T).numpy(), atol=0.01
    )


def test_centring_tells_apart_what_a_common_part_makes_alike():
    feat = features(common=8.0)
    packing = fit_packing(feat)
    unit = unit_rows(feat)
    plain = (unit @ unit.T).numpy()
    assert plain.min() > 0.5  # everything alike
    assert np.percentile(cosines(feat, packing.mean), 5) < -0.2


def test_zero_rows_have_no_direction_and_change_nothing():
    feat = features(200)
    padded = torch.cat([feat, torch.zeros(50, feat.shape[1])])
    packing = fit_packing(padded)
    packed = packing.pack(padded)
    assert (packed.length[200:] == 0).all() and (packed.direction[200:] == 0).all()
    assert (packed.length[:200] > 0).all()
    torch.testing.assert_close(packing.mean, fit_packing(feat).mean)


def test_one_row_equal_rows_no_rows_and_few_channels():
    one = fit_packing(torch.ones(1, 8)).pack(torch.ones(1, 8))
    assert one.cosine(np.array([0]), np.array([0]))[0, 0] == pytest.approx(1, abs=1e-3)
    alike = torch.ones(30, 8)
    assert (fit_packing(alike).pack(alike).length > 0.99).all()
    assert fit_packing(torch.zeros(0, 8)).channels == 32
    assert fit_packing(features(60, dim=3)).pack(features(60, dim=3)).direction.shape == (60, 32)
