import numpy as np
import pytest
import torch

from kit.show.explorer.quantisation import fit_quantiser, unit_rows


def features(count=1500, dim=96, rank=20, seed=0, common=2.0):
    """Rows with a common part, a few strong directions, and some noise in all channels."""
    generator = torch.Generator().manual_seed(seed)
    ways = torch.randn(rank, dim, generator=generator)
    rows = torch.randn(count, rank, generator=generator) @ ways
    noise = 0.2 * torch.randn(count, dim, generator=generator)
    return rows + noise + common * torch.randn(dim, generator=generator) * rank**0.5


def cosines(feat, mean):
    rows = torch.nn.functional.normalize(unit_rows(feat) - mean, dim=1)
    return (rows @ rows.T).numpy()


def test_the_stated_error_is_the_measured_one():
    feat = features()
    quantiser = fit_quantiser(feat)
    quantised, rows = quantiser.quantise(feat), np.arange(len(feat))
    error = np.abs(quantised.cosine(rows, rows) - cosines(feat, quantiser.mean))
    assert quantiser.channels == 32 and quantised.direction.dtype == np.int8
    assert np.percentile(error, 99) == pytest.approx(quantiser.error_99, rel=0.3)
    assert error.mean() == pytest.approx(quantiser.error_mean, rel=0.3)
    assert quantiser.error_99 < 0.02


def test_features_of_high_rank_take_64_channels():
    quantiser = fit_quantiser(features(rank=90))
    assert quantiser.channels == 64 and quantiser.error_99 > 0.01
    assert fit_quantiser(features(rank=90), channels=96).error_99 < 0.01
    with pytest.raises(ValueError, match="multiple of 4"):
        fit_quantiser(features(), channels=30)


def test_the_cosine_of_a_point_to_itself_is_one_for_any_number_of_channels():
    feat = features(rank=90)
    quantised = fit_quantiser(feat, channels=8).quantise(feat)
    own = quantised.cosine(np.arange(40), np.arange(40)).diagonal()
    np.testing.assert_allclose(own, 1, atol=0.02)


def test_the_plain_cosine_is_restored():
    feat = features()
    quantiser = fit_quantiser(feat)
    quantised, rows = quantiser.quantise(feat), np.arange(300)
    unit = unit_rows(feat[:300])
    np.testing.assert_allclose(
        quantiser.plain(quantised, rows, rows), (unit @ unit.T).numpy(), atol=0.01
    )


def test_centring_removes_the_part_that_all_features_have_in_common():
    feat = features(common=8.0)
    quantiser = fit_quantiser(feat)
    unit = unit_rows(feat)
    plain = (unit @ unit.T).numpy()
    assert plain.min() > 0.5  # all points are similar
    assert np.percentile(cosines(feat, quantiser.mean), 5) < -0.2


def test_zero_rows_have_no_direction_and_do_not_change_the_mean():
    feat = features(200)
    padded = torch.cat([feat, torch.zeros(50, feat.shape[1])])
    quantiser = fit_quantiser(padded)
    quantised = quantiser.quantise(padded)
    assert (quantised.length[200:] == 0).all() and (quantised.direction[200:] == 0).all()
    assert (quantised.length[:200] > 0).all()
    torch.testing.assert_close(quantiser.mean, fit_quantiser(feat).mean)


def test_one_row_equal_rows_no_rows_and_few_channels():
    one = fit_quantiser(torch.ones(1, 8)).quantise(torch.ones(1, 8))
    assert one.cosine(np.array([0]), np.array([0]))[0, 0] == pytest.approx(1, abs=1e-3)
    alike = torch.ones(30, 8)
    assert (fit_quantiser(alike).quantise(alike).length > 0.99).all()
    assert fit_quantiser(torch.zeros(0, 8)).channels == 32
    assert fit_quantiser(features(60, dim=3)).quantise(features(60, dim=3)).direction.shape == (
        60,
        32,
    )
