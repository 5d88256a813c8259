import numpy as np
import pytest
import torch

from kit.features.pca import main_directions
from kit.features.spaces import Features, Space
from kit.show import PcaBasis, fit_basis


def spread() -> torch.Tensor:
    """Points on two crossing lines: (3, 4) direction with variance 4, (-4, 3) with variance 1."""
    along = torch.tensor([[3.0, 4.0], [-3.0, -4.0]]) / 5 * 2 * 2**0.5
    across = torch.tensor([[-4.0, 3.0], [4.0, -3.0]]) / 5 * 2**0.5
    return torch.cat([along, across]) + torch.tensor([10.0, -7.0])


def test_main_directions_and_mean_of_a_known_spread():
    basis = fit_basis(spread(), num_components=2, unit=False)
    torch.testing.assert_close(basis.mean, torch.tensor([10.0, -7.0]))
    # Largest entry of each direction positive: (3, 4) / 5 and (4, -3) / 5.
    expected = torch.tensor([[0.6, 0.8], [0.8, -0.6]])
    torch.testing.assert_close(basis.components, expected)
    coordinates = basis.project(torch.tensor([[10.0 + 3.0, -7.0 + 4.0]]))
    torch.testing.assert_close(coordinates, torch.tensor([[5.0, 0.0]]), atol=1e-5, rtol=0)


def test_agrees_with_the_singular_value_decomposition():
    feat = torch.randn(300, 20, generator=torch.Generator().manual_seed(0)) @ torch.randn(
        20, 20, generator=torch.Generator().manual_seed(1)
    )
    basis = fit_basis(feat, num_components=3, unit=False)
    _, _, rows = np.linalg.svd((feat - feat.mean(0)).double().numpy(), full_matrices=False)
    cosine = (basis.components.double().numpy() * rows[:3].T).sum(0)
    np.testing.assert_allclose(np.abs(cosine), 1, atol=1e-6)
    coordinates = basis.project(feat).numpy()
    np.testing.assert_allclose(basis.low, np.percentile(coordinates, 2, axis=0), rtol=1e-4)
    np.testing.assert_allclose(basis.high, np.percentile(coordinates, 98, axis=0), rtol=1e-4)


def test_directions_of_float32_rows_are_those_of_float64():
    spread = torch.linspace(3, 1, 24)  # variances of the directions, well apart
    feat = torch.randn(5000, 24, generator=torch.Generator().manual_seed(0)) * spread
    found = main_directions(feat)
    moment = feat.double().numpy().T @ feat.double().numpy()
    values, expected = np.linalg.eigh(moment)
    cosine = (found.double().numpy() * expected[:, ::-1]).sum(0)
    np.testing.assert_allclose(np.abs(cosine), 1, atol=1e-5)
    assert (found.gather(0, found.abs().argmax(0, keepdim=True)) > 0).all()
    assert (np.diff(values) > 0).all()


def test_colours_run_from_the_low_to_the_high_percentile():
    basis = PcaBasis(
        mean=torch.tensor([1.0, 0.0, 0.0]),
        components=torch.eye(3),
        low=torch.tensor([-1.0, 0.0, 0.0]),
        high=torch.tensor([1.0, 2.0, 4.0]),
        unit=False,
    )
    feat = torch.tensor([[0.0, 0.0, 0.0], [2.0, 2.0, 4.0], [1.0, 0.5, -9.0], [90.0, 1.0, 1.0]])
    # Row 2: (1 - 1 + 1) / 2 = 0.5, 0.5 / 2 = 0.25, below 0; row 3: above 1, 0.5, 0.25.
    expected = [[0, 0, 0], [255, 255, 255], [128, 64, 0], [255, 128, 64]]
    assert basis.colours(feat).tolist() == expected


def test_equal_features_get_equal_colours_whatever_set_they_come_in():
    feat = torch.rand(200, 8, generator=torch.Generator().manual_seed(0))
    basis = fit_basis(feat)
    whole = basis.colours(feat)
    some = torch.tensor([199, 3, 77])
    assert torch.equal(basis.colours(feat[some]), whole[some])
    assert torch.equal(basis.colours(feat.numpy()), whole)


def test_two_fits_of_the_same_features_give_the_same_colours():
    feat = torch.randn(500, 12, generator=torch.Generator().manual_seed(3))
    first, second = fit_basis(feat), fit_basis(feat.clone())
    assert torch.equal(first.colours(feat), second.colours(feat))
    mixed = feat[torch.randperm(500, generator=torch.Generator().manual_seed(4))]
    change = fit_basis(mixed).colours(feat).int() - first.colours(feat).int()
    assert change.abs().max() <= 1


def test_length_does_not_matter_when_rows_are_made_unit():
    feat = torch.rand(100, 6, generator=torch.Generator().manual_seed(0)) + 0.1
    basis = fit_basis(feat)
    change = basis.colours(feat * 37.0).int() - basis.colours(feat).int()
    assert change.abs().max() <= 1
    assert not torch.equal(fit_basis(feat, unit=False).colours(feat * 37.0), basis.colours(feat))


def test_features_are_fitted_and_coloured_as_their_rows():
    rows = torch.rand(100, 6, generator=torch.Generator().manual_seed(0))
    features = Features(Space("a", 6, "key"), rows, torch.arange(0, 200, 2), 200)
    basis = fit_basis(features)
    assert torch.equal(basis.components, fit_basis(rows).components)
    assert torch.equal(basis.colours(features), basis.colours(rows))


def test_ratios_are_linear_between_low_and_high_and_half_without_variance():
    rows = torch.randn(100, 2, generator=torch.Generator().manual_seed(0))
    feat = torch.nn.functional.pad(rows, (0, 1), value=3.0)  # the third channel never varies
    basis = fit_basis(feat, unit=False)
    weight, start = basis.to_ratio()
    linear = (start + weight * basis.project(feat)).clamp(0, 1)
    torch.testing.assert_close(basis.ratios(feat), linear)
    assert (basis.ratios(feat)[:, 2] == 0.5).all() and weight[2] == 0
    swapped = basis.colours(feat, (2, 1, 0))
    assert torch.equal(swapped, basis.colours(feat).flip(1))


def test_several_sets_are_fitted_as_one():
    a = torch.randn(40, 5, generator=torch.Generator().manual_seed(0))
    b = torch.randn(60, 5, generator=torch.Generator().manual_seed(1)) + 2
    together = fit_basis(torch.cat([a, b]))
    apart = fit_basis(a, b)
    torch.testing.assert_close(apart.components, together.components)
    torch.testing.assert_close(apart.mean, together.mean)
    assert not torch.allclose(fit_basis(a).mean, together.mean)


def test_constant_features_and_zero_rows_are_mid_grey_and_finite():
    basis = fit_basis(torch.full((10, 4), 3.0))
    assert basis.colours(torch.full((2, 4), 3.0)).tolist() == [[128] * 3] * 2
    basis = fit_basis(torch.cat([torch.zeros(5, 4), torch.eye(4)]))
    assert basis.project(torch.zeros(1, 4)).isfinite().all()


def test_half_precision_and_gradients_are_accepted():
    feat = torch.rand(50, 6, generator=torch.Generator().manual_seed(0))
    basis = fit_basis(feat.clone().requires_grad_())
    change = basis.colours(feat.bfloat16()).int() - basis.colours(feat).int()
    assert change.abs().max() < 20
    assert torch.equal(basis.colours(feat.requires_grad_()), basis.colours(feat.detach()))


def test_features_that_cannot_be_fitted_are_named():
    feat = torch.rand(10, 6)
    with pytest.raises(ValueError, match="6 and 7"):
        fit_basis(feat, torch.rand(4, 7))
    with pytest.raises(ValueError, match="7 channels.*6"):
        fit_basis(feat).project(torch.rand(4, 7))
    with pytest.raises(ValueError, match="0 rows"):
        fit_basis(torch.empty(0, 6))
    with pytest.raises(ValueError, match="2 of 60 numbers"):
        bad = feat.clone()
        bad[3, 1], bad[4, 0] = torch.nan, torch.inf
        fit_basis(bad)
    with pytest.raises(ValueError, match="1 to 6"):
        fit_basis(feat, num_components=7)
    with pytest.raises(ValueError, match="needs features"):
        fit_basis()
    with pytest.raises(ValueError, match="need 3 components"):
        fit_basis(feat, num_components=2).colours(feat)
