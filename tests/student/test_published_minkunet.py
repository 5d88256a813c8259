"""MinkUNets of SLidR and SuperFlow against their formulas, with loops over the voxels."""

import itertools
import math

import pytest
import torch

from kit.student.checkpoints import load_student
from kit.student.point_batch import collate
from kit.student.presets import build_student
from kit.student.published import import_checkpoint
from kit.student.scans import InputConfig, Scan

pytest.importorskip("kit.student.minkunet.model", reason="spconv has no wheel here")
WIDTHS = (3, 3, 4, 4, 5, 5, 4, 4, 3)
BLOCKS = (2, 2, 2, 2, 2, 2, 2, 2)
HEAD = 6


def random_tensors(shapes, seed=0):
    """Tensors in which no statistic is the default."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, shape in shapes.items():
        values = torch.randn(shape, generator=generator)
        if name.endswith("running_var"):
            values = 0.5 + values.abs()
        elif name.endswith("kernel"):
            values = values / math.sqrt(0.3 * math.prod(shape[:-1]))
        found[name] = values
    return found


def official_shapes(framework):
    """Names and shapes as the published code makes them."""
    slidr, shapes = framework == "slidr", {}

    def norm(name, channels):
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.bn.{part}" if slidr else f"{name}.{part}"] = (channels,)

    def unit(number, cells, wide, narrow):
        conv, bn = unit_names(framework, number)
        shapes[f"{conv}.kernel"] = (cells, wide, narrow)
        norm(bn, narrow)

    stem, *widths = WIDTHS
    unit(0, 27, 1 if slidr else 4, stem)
    if not slidr:
        shapes["conv0.1.conv.kernel"] = (27, stem, stem)
        norm("conv0.1.norm", stem)
    wide = stem
    for group, channels in enumerate(widths, start=1):
        if group <= 4:
            unit(group, 8, wide, wide)
        else:
            unit(group, 8, wide, channels)
            wide = channels + [*widths[:3][::-1], stem][group - 5]
        for block in range(BLOCKS[group - 1]):
            place = f"block{group}.{block}"
            shapes[f"{place}.conv1.kernel"] = (27, wide, channels)
            shapes[f"{place}.conv2.kernel"] = (27, channels, channels)
            norm(f"{place}.norm1", channels), norm(f"{place}.norm2", channels)
            if wide != channels:
                shortcut = "downsample.0" if slidr else "downsample.conv"
                shapes[f"{place}.{shortcut}.kernel"] = (wide, channels)
                norm(f"{place}.downsample.1" if slidr else f"{place}.downsample.norm", channels)
            wide = channels
    return shapes


def unit_names(framework, number):
    if framework == "superflow":
        place = "conv0.0" if number == 0 else f"conv{number}"
        return f"{place}.conv", f"{place}.norm"
    convs = "0p1s1 1p1s2 2p2s2 3p4s2 4p8s2 tr4p16s2 tr5p8s2 tr6p4s2 tr7p2s2".split()
    return f"conv{convs[number]}", f"bn{number}" if number < 5 else f"bntr{number - 1}"


def offsets(framework, size):
    """The cells of a kernel in the order of its weights, first as counters, then as offsets."""
    steps = (-1, 0, 1) if size == 3 else (0, 1)
    if framework == "slidr" or size == 3:  # the first axis is the fastest
        return [(a, b, c) for c, b, a in itertools.product(steps, repeat=3)]
    return list(itertools.product(steps, repeat=3))


class Oracle:
    """The network on dictionaries of voxels; grids keep the coordinates of the finest one."""

    def __init__(self, framework, state):
        self.framework, self.state = framework, state

    def conv(self, name, x, stride, outputs):
        """`stride` of the input grid; outputs at the given voxels."""
        kernel = self.state[f"{name}.kernel"]
        size = 3 if len(kernel) == 27 else 2
        found = {}
        for voxel in outputs:
            total = torch.zeros(kernel.shape[2])
            for weight, offset in zip(kernel, offsets(self.framework, size), strict=True):
                source = (
                    voxel[0],
                    *(v + stride * o for v, o in zip(voxel[1:], offset, strict=True)),
                )
                if source in x:
                    total = total + x[source] @ weight
            found[voxel] = total
        return found

    def transposed(self, name, x, stride, outputs):
        """From a grid of `2 * stride` to one of `stride`."""
        kernel, found = self.state[f"{name}.kernel"], {}
        table = {o: w for o, w in zip(offsets(self.framework, 2), kernel, strict=True)}
        for voxel in outputs:
            coarse = coarser(voxel, 2 * stride)
            offset = tuple((v - c) // stride for v, c in zip(voxel[1:], coarse[1:], strict=True))
            found[voxel] = x[coarse] @ table[offset]
        return found

    def norm(self, name, x, relu=True):
        name = f"{name}.bn" if self.framework == "slidr" else name
        weight, bias, mean, var = (
            self.state[f"{name}.{part}"]
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        scaled = {v: (f - mean) / (var + 1e-5).sqrt() * weight + bias for v, f in x.items()}
        return {v: f.relu() for v, f in scaled.items()} if relu else scaled

    def block(self, place, x, stride):
        y = self.norm(f"{place}.norm1", self.conv(f"{place}.conv1", x, stride, x))
        y = self.norm(f"{place}.norm2", self.conv(f"{place}.conv2", y, stride, x), relu=False)
        shortcut = "downsample.0" if self.framework == "slidr" else "downsample.conv"
        if f"{place}.{shortcut}.kernel" in self.state:
            kernel = self.state[f"{place}.{shortcut}.kernel"]
            norm = "downsample.1" if self.framework == "slidr" else "downsample.norm"
            x = self.norm(f"{place}.{norm}", {v: f @ kernel for v, f in x.items()}, relu=False)
        return {v: (y[v] + x[v]).relu() for v in y}

    def features(self, x):
        conv, bn = unit_names(self.framework, 0)
        x = self.norm(bn, self.conv(conv, x, 1, x))
        if self.framework == "superflow":
            x = self.norm("conv0.1.norm", self.conv("conv0.1.conv", x, 1, x))
        skips, stride = [], 1
        for group in range(1, 5):
            skips.append(x)
            conv, bn = unit_names(self.framework, group)
            outputs = {coarser(voxel, 2 * stride) for voxel in x}
            x = self.norm(bn, self.conv(conv, x, stride, outputs))
            stride *= 2
            for number in range(BLOCKS[group - 1]):
                x = self.block(f"block{group}.{number}", x, stride)
        for group in range(5, 9):
            skip, stride = skips.pop(), stride // 2
            conv, bn = unit_names(self.framework, group)
            x = self.norm(bn, self.transposed(conv, x, stride, skip))
            x = {v: torch.cat([f, skip[v]]) for v, f in x.items()}
            for number in range(BLOCKS[group - 1]):
                x = self.block(f"block{group}.{number}", x, stride)
        return x


def coarser(voxel, stride):
    return voxel[0], *(math.floor(v / stride) * stride for v in voxel[1:])


def ring(count=70, seed=0):
    """Points on both sides of the azimuth where degrees jump, so that voxels have neighbours."""
    generator = torch.Generator().manual_seed(seed)
    radius, turn, z, intensity = torch.rand(4, count, generator=generator).unbind()
    azimuth = torch.deg2rad(174 + 20 * turn)
    radius = 2 + 0.35 * radius
    x, y = radius * azimuth.cos(), radius * azimuth.sin()
    points = torch.stack([x, y, 0.5 * z - 0.33], dim=1)
    return points, (255 * intensity).floor()


def published_voxels(framework, scan, points, intensity):
    """Voxel -> input features of its first point, and the voxel of every point; in float64."""
    x, y, z = points.double().unbind(1)
    cell = torch.stack([(x**2 + y**2).sqrt() / 0.1, torch.atan2(y, x) * 180 / math.pi, z / 0.1], 1)
    if framework == "slidr":
        cell = cell.floor().long()
    else:
        cell = cell.round().long()
        cell -= cell.min(0).values
    found, of_point = {}, []
    for row, (point, value) in enumerate(zip(points, intensity, strict=True)):
        voxel = (scan, *cell[row].tolist())
        feat = value[None] if framework == "slidr" else torch.cat([point, value[None]])
        found.setdefault(voxel, feat)
        of_point.append(voxel)
    return found, of_point


def small_file(framework, tmp_path):
    state = random_tensors(official_shapes(framework))
    if framework == "slidr":
        head = random_tensors({"final.kernel": (WIDTHS[-1], HEAD), "final.bias": (1, HEAD)}, 1)
        content = {"model_points": state | head, "model_images": {}, "epoch": 49, "config": {}}
        weight, bias = head["final.kernel"], head["final.bias"]
    else:
        head = random_tensors({"weight": (HEAD, WIDTHS[-1]), "bias": (HEAD,)}, 1)
        content = {f"backbone_3d.{name}": each for name, each in state.items()}
        content |= {f"head_3d.conv_seg.{name}": each for name, each in head.items()}
        content = {"state_dict": content | {"backbone_2d.patch_embed.weight": torch.ones(2)}}
        weight, bias = head["weight"].T, head["bias"]
    torch.save(content, tmp_path / "file.pt")
    return Oracle(framework, state), weight, bias


@pytest.mark.parametrize("framework", ["slidr", "superflow"])
def test_features_equal_those_of_the_published_network(framework, tmp_path):
    oracle, weight, bias = small_file(framework, tmp_path)
    found = import_checkpoint(tmp_path / "file.pt", tmp_path / "ours.safetensors")
    assert found.missing == [] and found.student.config.widths == WIDTHS
    assert found.left_out == ([] if framework == "slidr" else ["backbone_2d.patch_embed.weight"])
    voxels, of_point, scans = {}, [], []
    for scan in range(2):
        points, intensity = ring(seed=scan)
        own, its = published_voxels(framework, scan, points, intensity)
        voxels, of_point = voxels | own, of_point + its
        feat = torch.cat([intensity[:, None], points, points.norm(dim=1, keepdim=True)], dim=1)
        empty = torch.empty(len(points), 0, dtype=torch.int64)
        scans.append(Scan(feat, empty, empty.T, torch.arange(len(points))))
    expected = oracle.features(voxels)
    expected = torch.stack([expected[voxel] for voxel in of_point])
    student = load_student(tmp_path / "ours.safetensors")
    batch = collate(scans, student.config.inputs)
    with torch.no_grad():
        ours, head = student.features(batch), student(batch)
    scale = float(expected.std())
    assert len(voxels) < len(of_point) and scale > 1e-3
    error = float((ours - expected).abs().max())
    assert error < 1e-5 * scale
    assert torch.allclose(head, expected @ weight + bias, atol=1e-4 * scale, rtol=1e-4)
    # as files of the kit were made before: coarse cells group other voxels
    other = build_student(student.config, HEAD, grid="corner").eval()
    other.load_state_dict(student.state_dict())
    with torch.no_grad():
        assert float((other.features(batch) - expected).abs().max()) > 1e-3 * scale


def test_inputs_are_all_points_with_raw_intensity(tmp_path):
    small_file("slidr", tmp_path)
    inputs = import_checkpoint(tmp_path / "file.pt").student.config.inputs
    assert (inputs.subsample, inputs.intensity, inputs.voxel_size) == (False, "raw", 0.1)
    own = InputConfig(voxel_size=0.2, cell_size=None, num_neighbours=0)
    assert import_checkpoint(tmp_path / "file.pt", inputs=own).student.config.inputs == own


def test_older_settings_keep_their_grid():
    student = build_student("minkunet-34-cylinder", 8)
    assert student.config.grid == "sensor"
    from kit.student.presets import config_from_plain, config_to_plain

    plain = config_to_plain(student.config)
    for name in ("grid", "reduce", "channels", "stem_convs"):
        del plain[name]
    assert config_from_plain(plain).grid == "corner"


@pytest.mark.parametrize("name", ["conv1p1s2.kernel", "block8.1.conv2.kernel", "bntr6.bn.bias"])
def test_a_missing_tensor_is_named(name, tmp_path):
    small_file("slidr", tmp_path)
    content = torch.load(tmp_path / "file.pt", weights_only=True)
    del content["model_points"][name]
    torch.save(content, tmp_path / "file.pt")
    with pytest.raises(ValueError, match=r"file.pt: .*(missing|expected)"):
        import_checkpoint(tmp_path / "file.pt")
