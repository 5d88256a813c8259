"""Files and settings with any content: a student, or one line that names what is wrong."""

import json

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from kit.discover import DiscoverConfig
from kit.evaluate.probe import ProbeConfig
from kit.store import from_plain, to_plain
from kit.student.checkpoints import load_student, save_student
from kit.student.presets import PRESETS, build_student, config_from_plain, student_from_config
from kit.student.published import import_checkpoint
from kit.student.scans import InputConfig
from kit.teacher.presets import TeacherConfig
from kit.teacher.weights import read_weights

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 70),
    st.integers(),
    st.floats(-2, 70),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["layer", "relu", "WaffleIron", "MinkUNet", 18, 34]),
)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=9) | st.dictionaries(st.text(max_size=5), inner)
)


def fields(*kinds):
    """Settings: known names and a few unknown ones, with values of any kind."""
    names = {name for kind in kinds for name in to_plain(kind)} | {"type", "x"}
    return st.dictionaries(st.sampled_from(sorted(names)), anything, max_size=4)


def one_line(call):
    """The result, or None if the call was refused in one line."""
    try:
        return call()
    except (ValueError, OSError) as error:
        assert "\n" not in str(error) and str(error)
        return None


inputs = fields(InputConfig())
students = fields(*PRESETS.values())


@given(st.one_of(anything, students, st.fixed_dictionaries({"inputs": inputs})))
def test_settings_of_a_student_are_read_or_refused(values):
    config = one_line(lambda: config_from_plain(values, "a.json"))
    if config is not None and getattr(config, "depth", 1) <= 64:
        with torch.device("meta"):
            student = student_from_config(config)
        assert len(student.layers) > 1 and config.inputs.extent


@pytest.mark.parametrize("kind", [InputConfig, TeacherConfig, ProbeConfig, DiscoverConfig])
@given(st.data())
def test_settings_are_read_with_numbers_in_range_or_refused(kind, data):
    values = data.draw(st.one_of(anything, fields(kind())))
    config = one_line(lambda: from_plain(kind, values, "a.json"))
    if config is not None:
        assert from_plain(kind, json.loads(json.dumps(to_plain(config)))) == config


@pytest.fixture(scope="module")
def student_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("student") / "student.safetensors"
    small = InputConfig(voxel_size=0.3, fov=(8.0, 8.0, 4.0))
    save_student(build_student("wi-6-64", 3, depth=1, width=2, head=(3,), inputs=small), path)
    path.with_name("student.safetensors.sha256").unlink()  # without it, damage has to be seen
    return path


@given(st.data())
def test_a_damaged_student_is_loaded_or_refused(student_file, data):
    content = bytearray(student_file.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    damaged = student_file.with_name("damaged.safetensors")
    damaged.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    student = one_line(lambda: load_student(damaged))
    if student is not None:
        assert all(tensor.isfinite().all() for tensor in student.state_dict().values())


@given(st.one_of(anything, students, st.fixed_dictionaries({"inputs": inputs})))
def test_a_header_with_any_settings_is_loaded_or_refused(student_file, settings):
    tensors = safetensors.torch.load_file(student_file)
    meta = json.dumps({"student": settings})
    damaged = student_file.with_name("header.safetensors")
    damaged.write_bytes(safetensors.torch.save(tensors, {"meta": meta}))
    one_line(lambda: load_student(damaged))


shapes = st.lists(st.integers(0, 6), max_size=4)
dtypes = st.sampled_from([torch.float32, torch.float16, torch.int64, torch.bool, torch.complex64])
tensors = st.builds(lambda shape, dtype: torch.ones(shape, dtype=dtype), shapes, dtypes)
parts = st.sampled_from(
    ["embed", "conv1", "final", "weight", "bias", "waffleiron", "spatial_mix", "channel_mix", "0"]
    + ["99999", "x", "norm", "running_mean", "classif", "2", "module", "_orig_mod", "backbone", ""]
)
names = st.lists(parts, min_size=1, max_size=5).map(".".join)
published = st.fixed_dictionaries(
    {"embed.conv1.weight": tensors, "embed.final.weight": tensors},
    optional={"waffleiron.spatial_mix.0.norm.weight": tensors, "classif.weight": tensors},
)
state_dicts = st.builds(dict.__or__, st.dictionaries(names, tensors, max_size=4), published)
keys = st.sampled_from(["net", "model_point", "state_dict", "model", "teacher", "epoch", "", 3])
contents = st.recursive(
    st.one_of(state_dicts, st.dictionaries(names, tensors, max_size=3), anything, tensors),
    lambda inner: st.dictionaries(keys, inner, max_size=3),
    max_leaves=4,
)


@given(contents)
def test_any_checkpoint_is_imported_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.pth"
    torch.save(content, path)
    one_line(lambda: import_checkpoint(path))
    state = one_line(lambda: read_weights(path))
    assert state is None or all(isinstance(value, torch.Tensor) for value in state.values())
