"""WaffleIron against the published network, against the reference, and its symmetries."""

import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from kit.student import scans as inputs
from kit.student.point_batch import collate
from kit.student.scans import InputConfig, Scan
from kit.student.waffleiron import planes
from kit.student.waffleiron.config import WaffleIronConfig
from kit.student.waffleiron.model import WaffleIron
from kit.student.waffleiron.planes import CellConv
from kit.student.waffleiron.reference import ReferenceWaffleIron, pad_scans

ORACLES = {
    "waffleiron_scalr_layernorm": WaffleIronConfig(6, 32, head=(48,)),
    "waffleiron_batchnorm": WaffleIronConfig(4, 32, head=(16,), norm="batch"),
    "waffleiron_scalrplus_gelu_mlp": WaffleIronConfig(6, 32, head=(64, 48), activation="gelu"),
}
SMALL = InputConfig(fov=(4.0, 4.0, 2.0), cell_size=0.5, num_neighbours=4)
SMALL_CONFIG = WaffleIronConfig(4, 8, head=(6,), inputs=SMALL)


def random_scan(count=120, seed=0):
    generator = torch.Generator().manual_seed(seed)
    points = (torch.rand(count, 3, generator=generator) - 0.5) * torch.tensor([7.9, 7.9, 3.9])
    intensity = torch.rand(count, generator=generator)
    feat = torch.cat([intensity[:, None], points, points.norm(dim=1, keepdim=True)], dim=1)
    return Scan(
        feat,
        inputs.nearest_neighbours(points, SMALL.num_neighbours),
        inputs.plane_cells(points, SMALL),
        torch.arange(count),
    )


def small_student(**changes):
    torch.manual_seed(0)
    return WaffleIron(
        WaffleIronConfig(**{"depth": 4, "width": 8, "head": (6,), "inputs": SMALL, **changes})
    )


def published_scan(oracles):
    """The real scan that the published code prepared."""
    data = load_file(oracles / "preprocess_nuscenes_keyframe.safetensors")
    return Scan(
        data["feat"][0].T.contiguous(),
        data["neighbors"][0, 1:].T.long().contiguous(),
        data["cell_ind"][0].long(),
        torch.arange(data["feat"].shape[2]),
    )


def published_weights(oracle):
    return {k[len("weight.") :]: v for k, v in oracle.items() if k.startswith("weight.")}


FIRST, *OTHERS = ORACLES
MODES = [
    *(("plain", name) for name in ORACLES),
    pytest.param("compiled", FIRST, marks=pytest.mark.compiles),
    *(
        pytest.param("compiled", name, marks=(pytest.mark.compiles, pytest.mark.slow))
        for name in OTHERS
    ),
    ("checkpointed", "waffleiron_scalr_layernorm"),
]


@pytest.mark.parametrize("mode, name", MODES)
def test_outputs_and_gradients_equal_the_published_network(mode, name, oracles):
    if mode == "compiled" and not shutil.which("g++"):
        pytest.skip("torch.compile needs g++")
    scan, oracle = published_scan(oracles), load_file(oracles / f"{name}.safetensors")
    student = WaffleIron(replace(ORACLES[name], checkpointing=mode == "checkpointed"))
    student.compile_mixes(mode == "compiled")
    student.load_state_dict(published_weights(oracle))
    student.eval()
    if mode == "checkpointed":  # it is for training; without BatchNorm and drop path that is equal
        student.waffleiron.train()
        student.training = True
    output = student(collate([scan], InputConfig()))
    assert torch.allclose(output[oracle["index"].long()], oracle["output_at_index"], atol=1e-4)
    assert torch.allclose(output.mean(), oracle["output_mean"], atol=1e-5)
    assert torch.allclose(output.std(), oracle["output_std"], atol=1e-4)

    loss = output.square().mean()
    loss.backward()
    assert torch.allclose(loss, oracle["loss_mean_square_eval"], atol=1e-4)
    gradients = {k[len("grad.") :]: v for k, v in oracle.items() if k.startswith("grad.")}
    parameters = dict(student.named_parameters())
    assert len(gradients) == 4
    for parameter, expected in gradients.items():
        assert torch.allclose(parameters[parameter].grad, expected, atol=1e-4), parameter


@pytest.mark.parametrize("name", ORACLES)
def test_the_reference_equals_the_published_network(name, oracles):
    scan, oracle = published_scan(oracles), load_file(oracles / f"{name}.safetensors")
    reference = ReferenceWaffleIron(ORACLES[name]).eval()
    reference.load_state_dict(published_weights(oracle))
    output = reference(pad_scans([scan], InputConfig()))[0].T
    assert torch.allclose(output[oracle["index"].long()], oracle["output_at_index"], atol=1e-4)
    assert torch.allclose(output.mean(), oracle["output_mean"], atol=1e-5)


def reference_of(student):
    """The reference with the student's weights and mode."""
    reference = ReferenceWaffleIron(student.config).to(next(student.parameters()).dtype)
    reference.load_state_dict(student.state_dict())
    return reference.train(student.training)


def gradients_of(network):
    return {name: p.grad.clone() for name, p in network.named_parameters()}


@pytest.mark.parametrize("activation, head", [("relu", (6,)), ("gelu", (10, 6))])
@pytest.mark.parametrize("norm", ["layer", "batch"])
@pytest.mark.parametrize("training", [True, False])
def test_outputs_and_gradients_equal_the_reference(norm, training, activation, head):
    student = small_student(norm=norm, activation=activation, head=head).double().train(training)
    reference = reference_of(student)
    scans = [as_double(random_scan(120, 0)), as_double(random_scan(120, 1))]
    ours = student(collate(scans, SMALL))
    expected = reference(pad_scans(scans, SMALL)).transpose(1, 2).flatten(0, 1)
    ours.square().mean().backward()
    expected.square().mean().backward()
    assert torch.allclose(ours, expected, atol=1e-6, rtol=1e-5)
    found, wanted = gradients_of(student), gradients_of(reference)
    assert found.keys() == wanted.keys()
    for name, gradient in wanted.items():
        assert torch.allclose(found[name], gradient, atol=1e-6, rtol=1e-5), name
    for name, buffer in reference.named_buffers():  # running statistics
        assert torch.allclose(student.get_buffer(name), buffer), name


def as_double(scan):
    return replace(scan, feat=scan.feat.double())


def test_padded_points_of_the_reference_change_nothing():
    student = small_student().eval()
    scans = [random_scan(90, 0), random_scan(40, 1)]
    padded = reference_of(student)(pad_scans(scans, SMALL))
    ours = student(collate(scans, SMALL))
    assert torch.allclose(ours, torch.cat([padded[0].T, padded[1, :, :40].T]), atol=1e-5)


@pytest.mark.parametrize("norm", ["layer", "batch"])
def test_compressed_students_give_the_same(norm):
    student, batch = small_student(norm=norm), collate([random_scan()], SMALL)
    for _ in range(20):  # running statistics and affine parts that matter
        student(batch)
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    compressed = student.eval().compress()
    assert torch.allclose(compressed(batch), student(batch), atol=1e-4, rtol=1e-4)
    assert not any(p.requires_grad for p in compressed.parameters())
    assert student.waffleiron.channel_mix[0].scale is not None  # the original is left alone


def test_checkpointing_changes_no_gradient_and_keeps_less():
    batch = collate([random_scan()], SMALL)
    gradients, kept = [], []
    for checkpointing in (False, True):
        student = small_student(checkpointing=checkpointing, drop_path=0.3).train()
        numbers = 0

        def count(tensor):
            nonlocal numbers
            numbers += tensor.numel()
            return tensor

        torch.manual_seed(1)
        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            loss = student(batch).square().mean()
        loss.backward()
        gradients.append([p.grad.clone() for p in student.parameters()])
        kept.append(numbers)
    assert kept[1] < kept[0] / 3
    for plain, checkpointed in zip(*gradients, strict=True):
        assert torch.allclose(plain, checkpointed, atol=1e-6)


def test_features_of_any_layer_by_name():
    student, batch = small_student().eval(), collate([random_scan()], SMALL)
    assert student.layers == ("embedding", "layer 1", "layer 2", "layer 3", "layer 4")
    found = student.features(batch, ["layer 4", "embedding", "layer 2"])
    assert list(found) == ["layer 4", "embedding", "layer 2"]
    assert torch.equal(found["layer 4"], student.features(batch))
    assert torch.equal(found["embedding"], student.embed(batch.feat, batch.neighbours))
    shallow = WaffleIron(replace(student.config, depth=2)).eval()
    shallow.load_state_dict(student.state_dict(), strict=False)
    assert torch.equal(found["layer 2"], shallow.features(batch))
    with pytest.raises(ValueError, match="no layer 'layer 5'; this student has embedding, layer 1"):
        student.features(batch, ["layer 5"])
    with pytest.raises(ValueError, match="no layer was named"):
        student.features(batch, [])


def test_mixed_precision_stays_near_full_precision():
    student, batch = small_student().train(), collate([random_scan()], SMALL)
    student(batch).square().mean().backward()
    plain = [p.grad.clone() for p in student.parameters()]
    student.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = student(batch)
    output.float().square().mean().backward()
    for full, mixed in zip(plain, student.parameters(), strict=True):
        assert (full - mixed.grad).norm() <= 0.1 * full.norm() + 1e-3


@pytest.mark.parametrize("limit", [planes.TABLE_LIMIT, 0])  # both ways to spread
@pytest.mark.parametrize("spreads", [True, False])
def test_cell_convolutions_pass_gradcheck(spreads, limit, monkeypatch):
    monkeypatch.setattr(planes, "TABLE_LIMIT", limit)
    plane = collate([random_scan(12)], SMALL).planes[0]
    conv = CellConv(3, spreads).double()
    count = len(plane.inverse_count) if spreads else plane.occupied_near_halo.shape[1]
    source = torch.randn(count, 3, dtype=torch.float64, requires_grad=True)
    weight, bias = conv.weight.flatten(1).T, conv.bias
    assert torch.autograd.gradcheck(
        lambda *t: planes.NeighbourConv.apply(*t, plane, spreads), (source, weight, bias)
    )


def test_points_in_another_order_give_the_same_features_in_that_order():
    student, scan = small_student().eval(), random_scan()
    order = torch.randperm(120, generator=torch.Generator().manual_seed(1))
    place = order.argsort()
    shuffled = Scan(
        scan.feat[order], place[scan.neighbours[order]], scan.cells[:, order], scan.kept
    )
    plain, other = (student(collate([s], SMALL)) for s in (scan, shuffled))
    assert torch.allclose(plain[order], other, atol=1e-5)


def test_scans_of_a_batch_do_not_see_each_other():
    student = small_student().eval()
    scans = [random_scan(120, 0), random_scan(77, 1), random_scan(5, 2)]
    together = student(collate(scans, SMALL))
    alone = torch.cat([student(collate([scan], SMALL)) for scan in scans])
    assert torch.allclose(together, alone, atol=1e-5)


def test_one_point_has_a_defined_result():
    output = small_student().eval()(collate([random_scan(1)], SMALL))
    assert output.shape == (1, 6) and output.isfinite().all()


def test_drop_path_skips_whole_scans_in_training_only():
    student = small_student(drop_path=0.9)
    batch = collate([random_scan(40, seed) for seed in range(3)], SMALL)
    rows = torch.randn(120, 8)
    mix = student.waffleiron.channel_mix[0].train()
    torch.manual_seed(0)
    moved = (mix(rows, batch) - rows).abs().amax(1) > 0
    for scan in range(3):
        assert moved[batch.batch_of_point == scan].unique().numel() == 1
    assert not torch.equal(mix.eval()(rows, batch), rows)


@pytest.mark.parametrize(
    "wrong",
    [
        {"depth": 0},
        {"norm": "group"},
        {"activation": "tanh"},
        {"head": ()},
        {"norm": "batch", "checkpointing": True},
    ],
)
def test_wrong_settings_are_named(wrong):
    with pytest.raises(ValueError, match=r"got|checkpointing needs"):
        WaffleIronConfig(**wrong)


def test_published_size_of_the_largest_student():
    # ScaLR's WI-48-768 with its linear head into ViT-L: 60.2 million parameters.
    with torch.device("meta"):
        student = WaffleIron(WaffleIronConfig(48, 768, head=(1024,)))
    assert sum(p.numel() for p in student.parameters()) == pytest.approx(60.2e6, rel=2e-3)


def test_folded_norms_keep_the_running_statistics_of_plain_ones():
    embedding, plain = small_student().embed.train(), small_student().embed.train()
    scan = random_scan()
    for _ in range(3):
        embedding(scan.feat, scan.neighbours)
        feat = plain.norm(scan.feat)
        plain.conv2((feat[scan.neighbours] - feat[:, None]).flatten(0, 1))
    for ours, theirs in zip(embedding.buffers(), plain.buffers(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)
