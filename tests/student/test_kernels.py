"""The Triton kernels against the plain layers in float64, in Triton's interpreter or on a GPU."""

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


def batch_of(counts, seed=0):
    generator = torch.Generator().manual_seed(seed)
    made = []
    for count in counts:
        points = (torch.rand(count, 3, generator=generator) - 0.5) * torch.tensor([7.9, 7.9, 3.9])
        feat = torch.randn(count, 5, generator=generator)
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
    return float(((one.double() - other).norm() / other.norm()).detach())


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


@pytest.mark.parametrize(("count", "num_neighbours", "width"), [(21, 16, 24), (9, 5, 70)])
def test_the_embedding_s_maximum(poisoned, count, num_neighbours, width):
    torch.manual_seed(count)
    feat = torch.randn(count, 5, device=DEVICE)
    neighbours = torch.randint(count, (count, num_neighbours), device=DEVICE)
    first, second = torch.randn(width, 6), torch.randn(width, width)
    first, second, grad = first.to(DEVICE), second.to(DEVICE), torch.randn(count, width).to(DEVICE)
    best, argmax = kernels.embedding_max(feat, neighbours, first, second, True)
    gradients = kernels.embedding_max_backward(feat, neighbours, first, second, argmax, grad)

    weights = [w.double().requires_grad_() for w in (first, second)]
    one = torch.ones(count, num_neighbours, 1, device=DEVICE)
    rows = torch.cat([feat[neighbours] - feat[:, None], one], dim=2).double()
    embedded = (rows @ weights[0].T).relu() @ weights[1].T
    expected = embedded.max(1)
    expected.values.backward(grad.double())
    # Neighbours may be listed twice: which of two equal ones `max` names depends on the processor.
    chosen = embedded.gather(1, argmax.long()[:, None])[:, 0]
    assert distance(chosen, expected.values) < 1e-12
    assert distance(best, expected.values) < 1e-6
    for ours, weight in zip(gradients, weights, strict=True):
        assert distance(ours, weight.grad) < 1e-6


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
