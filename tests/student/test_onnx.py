"""A WaffleIron as ONNX: the same features as its compressed student, for any number of points."""

import pytest
import torch

import kit
from kit.__main__ import main
from kit.student.point_batch import collate
from kit.student.presets import build_student
from kit.student.scans import prepare_scan
from kit.student.waffleiron.config import WaffleIronConfig
from kit.student.waffleiron.model import WaffleIron
from kit.student.waffleiron.onnx_model import OUTPUTS, OnnxWaffleIron, export_onnx, inputs_of

INPUTS = kit.InputConfig(fov=(20.0, 20.0, 4.0))


def student(**options):
    """A student whose batch statistics and scales are not the initial ones."""
    torch.manual_seed(0)
    made = WaffleIron(WaffleIronConfig(4, 8, head=(12,), inputs=INPUTS, **options)).eval()
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            torch.nn.init.uniform_(module.weight, 0.5, 2)
            torch.nn.init.normal_(module.bias)
    return made


def scan_of(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(count, 3, generator=generator) * torch.tensor([8.0, 8.0, 1.0])
    sensor = kit.Sensor("lidar", 50.0, 20.0)
    return prepare_scan(points, 100 * torch.rand(count, generator=generator), sensor, INPUTS)


@pytest.mark.parametrize("options", [{}, {"norm": "batch", "activation": "gelu"}])
@torch.no_grad()
def test_its_operators_compute_the_same(options):
    made, scan = student(**options), scan_of(400)
    point_feat = made.compress().features(collate([scan], INPUTS))
    ours, head_feat = OnnxWaffleIron(made).eval()(**inputs_of(scan))
    assert torch.allclose(ours, point_feat, atol=1e-4)
    assert torch.allclose(head_feat, made.head(point_feat), atol=1e-4)


@torch.no_grad()
def test_the_file_gives_the_features_of_another_scan(tmp_path, capsys):
    pytest.importorskip("onnxscript", reason="writes ONNX: pip install onnx onnxscript")
    runtime = pytest.importorskip("onnxruntime", reason="reads ONNX: pip install onnxruntime")
    made = student()
    kit.save_student(made, tmp_path / "student.safetensors")
    file = tmp_path / "student.onnx"
    assert main(["export", str(tmp_path / "student.safetensors"), "--out", str(file)]) == 0
    assert f"written to {file}" in capsys.readouterr().out
    session = runtime.InferenceSession(file)
    for count in (150, 500):
        scan = scan_of(count, seed=count)
        point_feat = made.features(collate([scan], INPUTS))
        given = {name: each.numpy() for name, each in inputs_of(scan).items()}
        ours, head_feat = map(torch.from_numpy, session.run(OUTPUTS, given))
        assert torch.allclose(ours, point_feat, atol=1e-4)
        assert torch.allclose(head_feat, made.head(point_feat), atol=1e-4)


def test_another_student_is_refused(tmp_path):
    with pytest.raises(ValueError, match="a MinkUNet cannot be written as ONNX"):
        export_onnx(build_student("minkunet-18", 12), tmp_path / "student.onnx")
