"""MinkUNet against dense convolutions, its symmetries, and what spconv itself lets pass."""

import math

import pytest
import torch
import torch.nn.functional as F

from kit import store
from kit.features.extract import extract
from kit.street.dataset import Street
from kit.student import scans as inputs
from kit.student.checkpoints import load_student, save_student
from kit.student.point_batch import collate
from kit.student.presets import build_student
from kit.student.scans import InputConfig

minkunet = pytest.importorskip("kit.student.minkunet.model", reason="spconv has no wheel here")
sparse = pytest.importorskip("kit.student.minkunet.spconv")
SMALL = InputConfig(voxel_size=0.1, fov=(1.6, 1.6, 0.8), cell_size=None, num_neighbours=0)
WIDTHS = (4, 4, 6, 6, 8, 8, 6, 6, 5)


def surface_batch(count=400, scans=2, config=SMALL, seed=0):
    """Points on a wavy floor, so that voxels have neighbours."""
    generator = torch.Generator().manual_seed(seed)
    made = []
    for _ in range(scans):
        x, y = ((torch.rand(2, count, generator=generator) * 2 - 1) * config.fov[0] * 0.95).unbind()
        points = torch.stack([x, y, 0.2 * torch.sin(3 * x) + 0.1 * y], dim=1)
        feat = torch.cat([torch.rand(count, 1, generator=generator), points, points[:, :1]], dim=1)
        empty = torch.empty(count, 0, dtype=torch.int64)
        made.append(inputs.Scan(feat, empty, empty.T, torch.arange(count)))
    return collate(made, config)


def small_student(depth=18, **changes):
    torch.manual_seed(0)
    config = minkunet.MinkUNetConfig(depth, WIDTHS, head=(7,), inputs=SMALL, **changes)
    student = minkunet.MinkUNet(config)
    for module in student.modules():
        if isinstance(module, torch.nn.BatchNorm1d):  # as if trained
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return student.eval()


def same(conv, x, mask):
    weight = conv.weight.permute(0, 4, 1, 2, 3)
    return F.conv3d(x, weight, padding=weight.shape[-1] // 2) * mask


def normed(norm, x, mask):
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    shift = norm.bias - norm.running_mean * scale
    return (x * scale.view(1, -1, 1, 1, 1) + shift.view(1, -1, 1, 1, 1)) * mask


def block(part, x, mask):
    y = normed(part.norm1[0], same(part.conv1, x, mask), mask).relu()
    y = normed(part.norm2, same(part.conv2, y, mask), mask)
    if isinstance(part.shortcut, torch.nn.Sequential):
        linear, norm = part.shortcut
        x = normed(norm, F.conv3d(x, linear.weight[:, :, None, None, None]), mask)
    return (x + y).relu()


def dense_features(student, batch):
    """The network from its formula: dense grids, zero wherever there is no voxel."""
    feat, points = batch.feat[:, 0], batch.feat[:, 1:4]
    grid = [round(2 * half / 0.1) for half in SMALL.fov]
    cell = ((points + torch.tensor(SMALL.fov)) / 0.1).floor().long()
    place = (batch.batch_of_point, *cell.unbind(1))
    total, count = (torch.zeros(batch.num_scans, *grid) for _ in range(2))
    total.index_put_(place, feat, accumulate=True)
    count.index_put_(place, torch.ones(len(feat)), accumulate=True)
    image, masks = (total / count.clamp(min=1))[:, None], [(count > 0)[:, None]]

    x = normed(student.stem[1][0], same(student.stem[0], image, masks[0]), masks[0]).relu()
    skips = []
    for halve, down in zip(student.halve, student.down, strict=True):
        skips.append(x)
        masks.append(F.max_pool3d(masks[-1].float(), 2) > 0)
        x = F.conv3d(x, halve[0].weight.permute(0, 4, 1, 2, 3), stride=2) * masks[-1]
        x = normed(halve[1][0], x, masks[-1]).relu()
        for part in down:
            x = block(part, x, masks[-1])
    for back, up in zip(student.back, student.up, strict=True):
        masks.pop()
        x = F.conv_transpose3d(x, back[0].weight.permute(4, 0, 1, 2, 3), stride=2)
        x = normed(back[1][0], x * masks[-1], masks[-1]).relu()
        x = torch.cat([x, skips.pop()], dim=1)
        for part in up:
            x = block(part, x, masks[-1])
    return x.movedim(1, -1)[place]


@pytest.mark.parametrize("depth", [18, 34])
def test_features_equal_dense_convolutions_with_gradients(depth):
    student, batch = small_student(depth), surface_batch()
    gradients = []
    for forward in (student.features, lambda b: dense_features(student, b)):
        student.zero_grad()
        output = forward(batch)
        output.square().mean().backward()
        used = [p.grad.clone() for p in student.parameters() if p.grad is not None]
        gradients.append([output.detach(), *used])
    assert len(gradients[0]) == len(gradients[1]) > 60
    for ours, dense in zip(*gradients, strict=True):
        assert torch.allclose(ours, dense, atol=1e-5, rtol=1e-3)


def test_two_threads_repeat_exactly_at_20000_surface_voxels():
    config = InputConfig(voxel_size=0.1, fov=(12.8, 12.8, 3.2), cell_size=None, num_neighbours=0)
    batch = surface_batch(24_000, 1, config)
    student = build_student("minkunet-18", 8, inputs=config).train()
    before, results = torch.get_num_threads(), []
    torch.set_num_threads(2)
    try:
        for _ in range(2):
            student.zero_grad()
            output = student(batch)
            output.square().mean().backward()
            results.append([output.detach(), *(p.grad.clone() for p in student.parameters())])
    finally:
        torch.set_num_threads(before)
    voxels = minkunet.voxelise(batch, 0.1, cylindrical=False)
    assert len(voxels.index) > 19_000
    for first, second in zip(*results, strict=True):
        assert torch.equal(first, second)


def test_layers_by_name_return_to_points():
    student, batch = small_student(), surface_batch()
    found = student.features(batch, list(student.layers))
    assert list(found) == list(student.layers)
    assert [f.shape[1] for f in found.values()] == list(WIDTHS)
    assert torch.equal(found["block 8"], student.features(batch))
    # points in one voxel of 1.6 m share the deepest level's features; distant ones do not
    cell = ((batch.feat[:, 1:3] + 1.6) / 1.6).floor().long()
    same = (cell == cell[0]).all(1) & (batch.batch_of_point == 0)
    level = ((batch.feat[:, 3] + 0.8) / 1.6).floor() == ((batch.feat[0, 3] + 0.8) / 1.6).floor()
    deep = found["block 4"]
    assert torch.equal(deep[same & level], deep[0].expand(int((same & level).sum()), -1))
    assert not torch.equal(deep[0], deep[-1])


def test_scans_of_a_batch_do_not_see_each_other():
    student, both = small_student(), surface_batch()
    alone = surface_batch(scans=1)
    assert torch.allclose(student(both)[:400], student(alone), atol=1e-5)


def test_cylindrical_voxels_by_hand():
    feat = torch.tensor([[0.0, 1.0, 1.0, 0.05, 0.0], [0.0, -1.0, 0.001, -0.75, 0.0]])
    empty = torch.empty(2, 0, dtype=torch.int64)
    batch = collate([inputs.Scan(feat, empty, empty.T, torch.arange(2))], SMALL)
    voxels = minkunet.voxelise(batch, 0.1, cylindrical=True)
    # range sqrt(2) -> 14, azimuth 45 + 180 = 225 degrees, height (0.05 + 0.8) / 0.1 = 8
    rows = voxels.index[voxels.voxel_of_point]
    assert rows[0].tolist() == [0, 14, 225, 8]
    # azimuth just under 180 + 180 = 360 degrees, range 1.0, height 0.05 / 0.1
    assert rows[1].tolist() == [0, 10, 359, 0]
    assert voxels.grid == (math.ceil(1.6 * math.sqrt(2) / 0.1), 360, 16)


def test_odd_grids_lose_no_voxel():
    fov = InputConfig(voxel_size=0.1, fov=(1.75, 1.75, 0.85), cell_size=None, num_neighbours=0)
    student = build_student("minkunet-18", 8, inputs=fov).eval()
    found = student.features(surface_batch(config=fov), list(student.layers))
    assert all(feat.isfinite().all() for feat in found.values())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f, i: (f, i.long()), "int32"),
        (lambda f, i: (f, i - 1), "must lie in"),
        (lambda f, i: (f, i + torch.tensor([0, 0, 0, 16], dtype=torch.int32)), "must lie in"),
        (lambda f, i: (f, i + torch.tensor([1, 0, 0, 0], dtype=torch.int32)), "must lie in"),
        (lambda f, i: (torch.cat([f, f]), torch.cat([i, i])), "twice"),
        (lambda f, i: (f * math.nan, i), "finite"),
        (lambda f, i: (f[:0], i[:0]), "must lie in"),
    ],
)
def test_what_spconv_lets_pass_is_refused(change, words):
    feat, index = torch.ones(1, 2), torch.tensor([[0, 3, 4, 5]], dtype=torch.int32)
    with pytest.raises(ValueError, match=words):
        sparse.sparse_tensor(*change(feat, index), (16, 16, 16), 1)


def test_points_outside_of_the_field_of_view_are_named():
    batch = surface_batch()
    batch.feat[3, 1] = 5.0
    with pytest.raises(ValueError, match=r"finite and inside .*`prepare_scan`"):
        small_student()(batch)


def test_one_point_is_enough():
    assert small_student()(surface_batch(1, 1)).isfinite().all()


def test_a_keyframe_and_a_trip_to_disk(tmp_path):
    keyframe = Street(1, 1, (56, 112))[0]
    student = build_student("minkunet-18", 8, inputs=InputConfig(voxel_size=0.4)).eval()
    before = extract(student, keyframe, layer="block 8")
    save_student(student, tmp_path / "student.safetensors")
    after = extract(load_student(tmp_path / "student.safetensors"), keyframe, layer="block 8")
    assert before.feat.shape == (len(keyframe.points), 96)
    assert torch.equal(before.feat, after.feat) and before.space == after.space


def test_a_file_from_when_the_stem_was_called_entrance_loads(tmp_path):
    student, path = small_student(), tmp_path / "old.safetensors"
    save_student(student, path)
    tensors, meta = store.load_tensors(path)
    old = {name.replace("stem.", "entrance.", 1): tensor for name, tensor in tensors.items()}
    assert old.keys() != tensors.keys()
    store.save_tensors(path, old, meta)
    batch = surface_batch()
    assert torch.equal(load_student(path)(batch), student(batch))


def test_wrong_sizes_are_named():
    with pytest.raises(ValueError, match="depth must be one of"):
        minkunet.MinkUNetConfig(depth=50)
    with pytest.raises(ValueError, match=r"depth must be one of \[18, 34\], got 12"):
        build_student("minkunet-18", 8, depth=12)
    with pytest.raises(ValueError, match="MinkUNetConfig has no setting width; it has head,"):
        build_student("minkunet-18", 8, width=12)
