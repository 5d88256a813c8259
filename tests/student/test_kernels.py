"""The Triton kernels against the plain layers in float64, in Triton's interpreter or on a GPU."""

import random
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

pytest.importorskip("triton", reason="needs triton: ./setup.sh tests")

from kit.student import scans
from kit.student.point_batch import collate
from kit.student.scans import InputConfig
from kit.student.waffleiron import fused_layer as module
from kit.student.waffleiron import kernels, model
from kit.student.waffleiron.config import WaffleIronConfig
from kit.student.waffleiron.fused_layer import fused_layer
from kit.student.waffleiron.model import WaffleIron

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
INPUTS = InputConfig(fov=(4.0, 4.0, 2.0), cell_size=1.0, num_neighbours=5)


def batch_of(counts, seed=0, size=(7.9, 7.9, 3.9), centre=0.0):
    generator = torch.Generator().manual_seed(seed)
    made = []
    for count in counts:
        points = (torch.rand(count, 3, generator=generator) - 0.5) * torch.tensor(size) + centre
        feat = torch.randn(count, 5, generator=generator)
        neighbours = torch.zeros(count, INPUTS.num_neighbours, dtype=torch.int64)
        if count > 1:
            neighbours = scans.nearest_neighbours(points, INPUTS.num_neighbours)
        cells = scans.plane_cells(points, INPUTS)
        made.append(scans.Scan(feat, neighbours, cells, torch.arange(count)))
    return collate(made, INPUTS).to(DEVICE)


def network(width, seed=0, **changes):
    torch.manual_seed(seed)
    student = WaffleIron(WaffleIronConfig(3, width, head=(4,), inputs=INPUTS, **changes))
    for parameter in student.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return student.train().to(DEVICE)


def doubled(batch):
    planes = (replace(p, inverse_count=p.inverse_count.double()) for p in batch.planes)
    return replace(batch, feat=batch.feat.double(), planes=tuple(planes))


def distance(one, other):
    difference = (one.double() - other).norm()
    return float((difference / other.norm().clamp(min=1e-30)).detach())


@pytest.fixture
def poisoned():
    """New memory is filled with NaN, so that what a kernel forgets to write is seen."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(False)


def results(run, student, x, grad):
    x = x.clone().requires_grad_()
    student.zero_grad()
    torch.manual_seed(7)  # of drop path
    out = run(x)
    out.backward(grad)
    return [out.detach(), x.grad, *(p.grad for p in student.parameters() if p.grad is not None)]


@pytest.mark.parametrize(
    ("plane", "width", "changes"),
    [(0, 300, {}), (0, 12, {}), (1, 16, {"activation": "gelu"}), (2, 9, {"drop_path": 0.5})],
)
def test_a_fused_layer_is_the_plain_layer(poisoned, plane, width, changes):
    batch, student = batch_of((7, 19), seed=plane), network(width, **changes)
    spatial, channel = student.waffleiron.spatial_mix[0], student.waffleiron.channel_mix[0]
    x, grad = torch.randn(2, 26, width, device=DEVICE)

    def plain(rows):
        of_plane = (doubled(batch) if rows.dtype == torch.float64 else batch).planes[plane]
        return channel(spatial(rows, batch, of_plane), batch)

    fused = results(
        lambda rows: fused_layer(spatial, channel, rows, batch, batch.planes[plane]),
        student, x, grad,
    )  # fmt: skip
    student.double()
    expected = results(plain, student, x.double(), grad.double())
    assert len(fused) == len(expected) == 16
    for one, other in zip(fused, expected, strict=True):
        assert distance(one, other) < 2e-6


# Largest relative error of the output, and of a gradient.
ERRORS = {
    torch.float32: (1e-6, 4e-6),
    torch.float16: (2e-3, 8e-3),
    torch.bfloat16: (2e-2, 8e-2),
}


@pytest.mark.parametrize("dtype", ERRORS)
def test_the_error_in_the_precision_of_a_training(poisoned, dtype):
    """On inputs that are new in every run. GELU, because ReLU's slope jumps where a sum rounds."""
    seed = random.SystemRandom().randrange(2**31)
    batch, student = batch_of((13, 29), seed), network(48, seed, activation="gelu")
    spatial, channel = student.waffleiron.spatial_mix[0], student.waffleiron.channel_mix[0]
    x, grad = torch.randn(2, 42, 48, device=DEVICE)
    plane = seed % 3

    def fused(rows):
        with torch.autocast(DEVICE, dtype=dtype, enabled=dtype != torch.float32):
            return fused_layer(spatial, channel, rows, batch, batch.planes[plane])

    found = results(fused, student, x, grad)
    student.double()
    expected = results(
        lambda rows: channel(spatial(rows, batch, doubled(batch).planes[plane]), batch),
        student, x.double(), grad.double(),
    )  # fmt: skip
    of_output, of_gradient = ERRORS[dtype]
    assert distance(found[0], expected[0]) < of_output, f"seed {seed}"
    errors = [distance(one, other) for one, other in zip(found[1:], expected[1:], strict=True)]
    assert max(errors) < of_gradient, f"seed {seed}"


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize(
    ("counts", "size"), [((0,), (1.0, 1.0, 1.0)), ((1,), (1.0, 1.0, 1.0)), ((9,), (0.9, 0.9, 0.9))]
)
def test_no_point_one_point_and_one_cell(poisoned, counts, size, activation):
    batch = batch_of(counts, size=size, centre=0.5)  # in the middle of a cell
    student = network(12, activation=activation)
    assert len(batch.planes[0].first_of_cell) == min(counts[0], 1)
    spatial, channel = student.waffleiron.spatial_mix[0], student.waffleiron.channel_mix[0]
    x, grad = torch.randn(2, counts[0], 12, device=DEVICE)
    found = results(
        lambda rows: fused_layer(spatial, channel, rows, batch, batch.planes[0]), student, x, grad
    )
    student.double()
    expected = results(
        lambda rows: channel(spatial(rows, batch, doubled(batch).planes[0]), batch),
        student, x.double(), grad.double(),
    )  # fmt: skip
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one.double(), other, rtol=1e-5, atol=1e-5)


def spaced(value):
    """The same tensor with other strides: a column of a larger one, in the other order."""
    wide = torch.stack([value, torch.full_like(value, 7)], dim=-1)[..., 0]
    return wide if value.ndim < 2 else wide.mT.contiguous().mT


def test_inputs_of_any_strides_give_the_same():
    batch, (x, cells) = batch_of((11,), seed=3), torch.randn(2, 11, 12, device=DEVICE)
    plane = batch.planes[0]
    weight, bias, factor = torch.randn(9, 12), torch.randn(12), torch.rand(11)
    weight, bias, factor = (value.to(DEVICE) for value in (weight, bias, factor))
    occupied, dtype = len(plane.first_of_cell), torch.float32
    cells, of_cell = cells[:occupied], factor[:occupied]
    statistics = kernels.add_norm(x, cells, plane, bias, bias, 1e-5)[1:]
    near, halo = plane.occupied_near_halo, torch.randn(len(plane.first_of_halo), 12).to(DEVICE)
    near_halo = plane.halo_near_occupied
    calls = [
        (kernels.norm_mean, (x, plane, bias, bias, 1e-5, dtype), {}),
        (kernels.add_norm, (x, cells, plane, bias, bias, 1e-5), {}),
        (kernels.add_both, (x, cells, plane, x, factor), {}),
        (kernels.cell_sum, (x, plane, of_cell, dtype), {}),
        (kernels.norm_backward, (x, cells, plane, statistics, bias, x, x), {}),
        (kernels.rows_and_sum, (x,), {"dtype": dtype, "factor": factor, "before": x}),
        (kernels.gather_conv, (cells, weight, near, bias), {"activate": True}),
        (kernels.gather_conv, (halo, weight, near_halo, bias), {"factor": of_cell}),
        (kernels.gather_conv_backward, (cells, weight, halo, near),
         {"activated": True, "gelu": False}),
    ]  # fmt: skip
    for function, arguments, options in calls:
        expected = function(*arguments, **options)
        strided = [spaced(v) if isinstance(v, torch.Tensor) else v for v in arguments]
        assert not all(v.is_contiguous() for v in strided if isinstance(v, torch.Tensor))
        options = {n: spaced(v) if n in ("factor", "before") else v for n, v in options.items()}
        found = function(*strided, **options)
        for one, other in zip(pair(found), pair(expected), strict=True):
            assert torch.equal(one, other), function.__name__


def pair(values):
    return values if isinstance(values, tuple) else (values,)


# Triton's interpreter multiplies matrices of bfloat16 as integers: without a GPU half is float16.
HALF = torch.bfloat16 if DEVICE == "cuda" else torch.float16
ERRORS_OF_MAXIMUM = {torch.float32: 1e-6, torch.float16: 2e-3, torch.bfloat16: 1e-2}


@pytest.mark.parametrize("dtype", [torch.float32, HALF])
@pytest.mark.parametrize(
    ("count", "num_neighbours", "width", "strided"),
    [(21, 16, 24, False), (9, 5, 70, True), (1, 3, 8, False), (0, 4, 8, False)],
)
def test_the_embedding_s_maximum(poisoned, count, num_neighbours, width, strided, dtype):
    torch.manual_seed(count)
    feat = torch.randn(count, 5, device=DEVICE)
    neighbours = torch.randint(max(count, 1), (count, num_neighbours), device=DEVICE)
    first, second = torch.randn(width, 6).to(dtype), torch.randn(width, width).to(dtype)
    grad = torch.randn(count, width).to(DEVICE, dtype)
    first, second = first.to(DEVICE), second.to(DEVICE)
    given = feat, neighbours, first, second
    given = tuple(map(spaced, given)) if strided else given
    best, argmax = kernels.embedding_max(*given, True)
    gradients = kernels.embedding_max_backward(*given, argmax, spaced(grad) if strided else grad)

    weights = [w.double().requires_grad_() for w in (first, second)]
    one = torch.ones(count, num_neighbours, 1, device=DEVICE)
    rows = torch.cat([feat[neighbours] - feat[:, None], one], dim=2).double()
    embedded = (rows @ weights[0].T).relu() @ weights[1].T
    # Of equal neighbours, and of two that differ less than the rounding, either may be named.
    chosen = embedded.gather(1, argmax.long()[:, None])[:, 0]
    chosen.backward(grad.double())
    error = ERRORS_OF_MAXIMUM[dtype]
    assert best.dtype == dtype
    assert distance(chosen, embedded.amax(1)) <= (1e-12 if dtype == torch.float32 else error)
    assert distance(best, embedded.amax(1)) <= error
    for ours, weight in zip(gradients, weights, strict=True):
        assert ours.dtype == torch.float32 and distance(ours, weight.grad) <= error


def test_a_network_of_fused_layers(monkeypatch):
    """The same features and gradients, with checkpointing too; eval mode keeps nothing."""
    monkeypatch.setattr(model, "can_fuse", lambda x, norm: True)
    batch, student = batch_of((11,)), network(12)
    expected = student(batch)
    expected.sum().backward()
    gradients = [p.grad.clone() for p in student.parameters()]
    for checkpointing in (False, True):
        student.config = replace(student.config, checkpointing=checkpointing)
        student.fuse_layers()
        student.zero_grad()
        out = student(batch)
        out.sum().backward()
        assert torch.allclose(out, expected, rtol=1e-4, atol=1e-4)
        for parameter, gradient in zip(student.parameters(), gradients, strict=True):
            assert torch.allclose(
                parameter.grad, gradient, rtol=1e-3, atol=1e-4 * gradient.abs().max()
            )
    student.eval()
    with torch.no_grad():
        fused = student.compress()
        fused.fuse_layers()
        assert torch.allclose(fused(batch), student(batch), rtol=1e-3, atol=1e-3)


def test_a_cpu_keeps_the_plain_layers():
    assert not module.can_fuse(torch.zeros(1, 4), torch.nn.LayerNorm(4))


def test_without_triton_there_is_one_warning(monkeypatch):
    monkeypatch.setitem(sys.modules, "kit.student.waffleiron.kernels", None)
    monkeypatch.delattr("kit.student.waffleiron.kernels")
    module.kernels.cache_clear()
    try:
        with pytest.warns(UserWarning, match="Triton is missing.*slower") as found:
            assert module.kernels() is None and module.kernels() is None
        assert len(found) == 1
    finally:
        module.kernels.cache_clear()


def test_every_kernel_compiles_for_an_h100_without_spilling():
    """Compiled without a card: machine code for compute capability 9.0, all numbers in registers.

    In a process of its own, because a process interprets kernels or compiles them.
    """
    command = [sys.executable, __file__.replace("test_kernels", "compile_kernels")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    compiled = [line.split() for line in done.stdout.splitlines()]
    assert {name for name, *_ in compiled} == {
        "_norm_mean", "_cell_sum", "_add_norm", "_add_both", "_norm_backward", "_rows_and_sum",
        "_gather_conv", "_gather_conv_backward", "_forward", "_backward_first", "_backward_second",
    }  # fmt: skip
    assert all(spilled == "0" for _, spilled, _ in compiled)
    assert all(units == "wgmma" for name, _, units in compiled if name == "_forward")
