"""On a GPU: the same results as on a CPU, with every option."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

import kit
from kit.distill.settings import DistillConfig
from kit.student.presets import build_student
from kit.student.scans import InputConfig
from kit.student.waffleiron.config import WaffleIronConfig
from kit.student.waffleiron.model import WaffleIron

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
]
SCAN = InputConfig(num_neighbours=8)
ARBITRARY = 0
WAYS = ["plain", pytest.param("compiled", marks=pytest.mark.compiles), "fused"]


def switch(student, way):
    student.compile_mixes(way == "compiled")
    student.fuse_layers(way == "fused")


def scans(count=2, points=3000):
    """Points dense near the sensor on a wavy floor."""
    generator = torch.Generator().manual_seed(ARBITRARY)
    made = []
    for _ in range(count):
        xy = torch.randn(points, 2, generator=generator) * 12
        xyz = torch.cat([xy, 0.5 * torch.sin(xy[:, :1])], dim=1)
        intensity = torch.rand(points, generator=generator)
        made.append(kit.prepare_scan(xyz, intensity, kit.Sensor("made up", 0.0, 1.0), SCAN))
    return made


def one_step(student, batch, fixed_norms=False, **autocast):
    """Output and gradients of a training step, on the CPU."""
    student.train().zero_grad()
    for module in student.modules():
        if fixed_norms and isinstance(module, torch.nn.BatchNorm1d):
            module.eval()
    with torch.autocast(batch.feat.device.type, **(autocast or {"enabled": False})):
        output = student(batch)
    F.normalize(output.float(), dim=1).square()[:, :3].mean().backward()
    gradients = [p.grad.cpu().clone() for p in student.parameters()]
    return output.detach().float().cpu(), gradients


def distance(one, other):
    """The distance of two tensors, relative to the length of the second one."""
    return float((one - other).norm() / other.norm().clamp(min=1e-6))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("checkpointing", [False, True])
def test_waffleiron_gives_the_same_as_on_a_cpu(way, checkpointing):
    torch.manual_seed(ARBITRARY)
    config = WaffleIronConfig(6, 64, head=(48,), checkpointing=checkpointing, inputs=SCAN)
    student = WaffleIron(config)
    batch = kit.collate(scans(), SCAN)
    expected, gradients = one_step(deepcopy(student), batch)
    switch(student.cuda(), way)
    output, found = one_step(student, batch.to("cuda"))
    assert distance(output, expected) < 1e-5
    assert max(map(distance, found, gradients)) < 1e-3


@pytest.mark.parametrize("way", WAYS)
def test_mixed_precision_stays_near(way):
    torch.manual_seed(ARBITRARY)
    student = WaffleIron(WaffleIronConfig(6, 64, head=(48,), inputs=SCAN)).cuda()
    batch = kit.collate(scans(), SCAN).to("cuda")
    expected, gradients = one_step(student, batch)
    switch(student, way)
    output, found = one_step(student, batch, dtype=torch.bfloat16)
    assert distance(output, expected) < 0.03
    assert max(map(distance, found, gradients)) < 0.2


@pytest.mark.parametrize("name", ["minkunet-18", "minkunet-34-cylinder"])
def test_minkunet_gives_the_same_as_on_a_cpu_and_moves_back(name):
    pytest.importorskip("kit.student.minkunet.model")
    student = build_student(name, 48, inputs=replace(SCAN, voxel_size=0.4))
    config = student.config.inputs
    batch = kit.collate(scans(), config)
    # Batch statistics of the few voxels at the deepest level would amplify rounding. The
    # convolutions stay in training mode: on a GPU spconv gives no gradient in eval mode.
    expected, gradients = one_step(deepcopy(student), batch, fixed_norms=True)
    output, found = one_step(deepcopy(student).cuda(), batch.to("cuda"), fixed_norms=True)
    assert distance(output, expected) < 1e-3
    assert max(map(distance, found, gradients)) < 2e-2
    back, _ = one_step(deepcopy(student).cuda().cpu(), batch, fixed_norms=True)
    assert distance(back, expected) < 1e-6
    mixed, _ = one_step(student.cuda(), batch.to("cuda"), fixed_norms=True, dtype=torch.bfloat16)
    assert distance(mixed, expected) < 0.1


@pytest.fixture(scope="module")
def recording(shared_data):
    return kit.open_dataset(str(shared_data / "nuscenes"))


@pytest.mark.parametrize(
    "name", [pytest.param("wi-6-64", marks=pytest.mark.compiles), "minkunet-18"]
)
def test_a_student_is_distilled_and_extracted(recording, name, tmp_path):
    teacher = kit.build_teacher()
    size = InputConfig(voxel_size=0.2, max_points=4000)
    student = build_student(name, teacher.dim, inputs=size)
    config = DistillConfig(steps=40, batch_size=2, lr=5e-3, num_workers=2)
    faster = name == "wi-6-64"
    config = replace(config, precision="bf16-mixed", compile=faster, fused=faster)
    run = kit.distill(recording, teacher, student, config, out=tmp_path, progress=False)
    loss = [row["loss"] for row in run.history]
    assert sum(loss[-5:]) < sum(loss[:5]) - 0.5
    features = kit.extract(run.student, recording[0])
    assert features.feat.device.type == "cpu" and features.space == kit.space_of(teacher)
    on_gpu = kit.extract(teacher, recording[0])
    on_cpu = kit.extract(teacher.cpu(), recording[0])
    assert F.cosine_similarity(on_gpu.feat, on_cpu.feat).min() > 0.99
    stored = kit.load_student(tmp_path / "student.safetensors")
    layer = stored.layers[-1]
    expected = kit.extract(stored, recording[0], layer=layer).feat
    assert distance(kit.extract(run.student, recording[0], layer=layer).feat, expected) < 1e-2
