"""Points outside of a student's field of view: features from a second pass."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import kit
from kit.data.keyframe import Sensor
from kit.evaluate.protocols import last_layer
from kit.student.scans import InputConfig, inside_fov, prepare_scan
from kit.student.second_pass import outer_scan, widened

SENSOR = Sensor("made up", 10.0, 5.0)
HALF = torch.tensor([16.0, 12.0, 4.0])
INPUTS = InputConfig(voxel_size=0.1, fov=(16.0, 12.0, 4.0), cell_size=0.5, num_neighbours=8)
STUDENTS = {
    "wi-6-64": {"depth": 3, "width": 8},
    "minkunet-18": {},
    "minkunet-34-cylinder": {"depth": 18},
}


def keyframe(points, intensity=None):
    return kit.keyframe(points, intensity=intensity, sensor=SENSOR)


@pytest.fixture(scope="module")
def cloud():
    """Points up to 40 m away, of which a third lie outside of the field of view."""
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(900, 3, generator=generator) * torch.tensor([14.0, 10.0, 1.5])
    return keyframe(points.clamp(-39.5, 39.5), 20 * torch.rand(900, generator=generator))


@pytest.fixture(scope="module", params=STUDENTS)
def student(request):
    torch.manual_seed(1)
    return kit.build_student(request.param, 8, inputs=INPUTS, **STUDENTS[request.param]).eval()


def at_last_layer(student, frame, **options):
    return kit.extract(student, frame, layer=student.layers[-1], **options).feat


def test_points_inside_do_not_change_and_points_outside_are_no_copies(student, cloud):
    inside = inside_fov(cloud.points, INPUTS)
    assert 200 < (~inside).sum() < 500
    both = at_last_layer(student, cloud)
    copied = at_last_layer(student, cloud, outside="nearest")
    assert torch.equal(both[inside], copied[inside])
    assert (both[~inside] != copied[~inside]).any(1).float().mean() > 0.95
    assert len(both[~inside].unique(dim=0)) > 2 * len(copied[~inside].unique(dim=0))


def test_a_point_inside_copies_a_point_inside_though_one_outside_is_nearer(student):
    points = torch.tensor([[0, 0, 0], [15.91, 0.05, 0], [15.98, 0.29, 0], [16.02, 0.31, 0]])
    wide = replace(student.config, inputs=replace(student.config.inputs, voxel_size=0.3))
    torch.manual_seed(1)
    found = at_last_layer(kit.build_student(wide, 8).eval(), keyframe(points))
    assert torch.equal(found[2], found[1])  # they share a voxel
    assert not torch.equal(found[3], found[1])


def test_points_outside_have_the_features_of_a_larger_field_of_view(student, cloud):
    found = at_last_layer(student, cloud)
    # By hand: the same weights, the next whole metre beyond the points, the outer part of the scan.
    points = cloud.points
    lower = torch.minimum(-HALF, points.min(0).values.floor())
    upper = torch.maximum(HALF, points.max(0).values.ceil())
    larger = replace(student.config.inputs, fov=(*lower.tolist(), *upper.tolist()))
    outer = (points.abs() > HALF / 2).any(1)
    scan = prepare_scan(points, cloud.intensity, SENSOR, larger, visible=outer)
    with torch.no_grad():
        expected = student.features(kit.collate([scan], larger))
    outside = ~inside_fov(points[scan.kept], INPUTS)
    assert outside.sum() > 200
    assert torch.allclose(found[scan.kept[outside]], expected[outside], atol=1e-5)


def test_all_layers_and_the_head_come_from_both_passes(student, cloud):
    names = [*student.layers, "head"]
    found = kit.extract_layers(student, cloud, names)
    assert list(found) == names
    for name in names:
        assert torch.equal(found[name].feat, kit.extract(student, cloud, layer=name).feat)
    with torch.no_grad():
        assert torch.allclose(student.head(found[names[-2]].feat), found["head"].feat, atol=1e-5)


def test_a_scan_inside_needs_one_pass(student, cloud, monkeypatch):
    inside = inside_fov(cloud.points, INPUTS)
    passes, features = [], student.features
    monkeypatch.setattr(
        student, "features", lambda batch, layers: passes.append(batch) or features(batch, layers)
    )
    kit.extract(student, keyframe(cloud.points[inside], cloud.intensity[inside]))
    assert len(passes) == 1
    kit.extract(student, cloud)
    assert len(passes) == 3 and len(passes[2].feat) < 800


def test_the_published_protocol_copies_the_nearest_point(student, cloud):
    for protocol, outside in (("clean", "second pass"), ("scalr", "nearest")):
        found = last_layer(student, protocol)(cloud).feat
        assert torch.equal(found, at_last_layer(student, cloud, outside=outside))


def test_a_field_of_view_grows_by_whole_metres():
    points = torch.tensor([[0.0, 0.0, 0.0], [20.5, -12.0, 3.0], [-16.0, 11.0, 900.0]])
    lower, upper = widened(points, INPUTS).bounds
    assert lower == (-17.0, -13.0, -4.0)  # points on the border lie outside of it
    assert upper == (21.0, 12.0, 204.0)  # 200 m farther at most
    assert replace(widened(points, INPUTS), fov=INPUTS.fov) == INPUTS
    # The border has a margin of 0.1 mm, which lies outside, too.
    on_border = torch.tensor([[0.0, 11.99995, 0.0]])
    assert not inside_fov(on_border, INPUTS).any()
    assert widened(on_border, INPUTS).bounds == ((-16.0, -12.0, -4.0), (16.0, 13.0, 4.0))


def test_points_that_are_too_far_copy_the_nearest_one(student):
    points = torch.tensor([[1.0, 0.0, 0.0], [15.0, 0.0, 0.0], [20.0, 0.0, 0.0], [900.0, 0.0, 0.0]])
    inputs = student.config.inputs
    scan, _ = outer_scan(points, torch.zeros(4), SENSOR, inputs)
    assert scan.kept.tolist() == [1, 2]
    found = at_last_layer(student, keyframe(points))
    assert torch.equal(found[3], found[2]) and not torch.equal(found[2], found[1])
    assert outer_scan(points[[0, 1, 3]], torch.zeros(3), SENSOR, inputs) is None
    far = at_last_layer(student, keyframe(points[[0, 1, 3]]))
    assert torch.equal(far[2], far[1])


def test_a_voxel_on_the_last_border_needs_no_second_pass():
    points = torch.tensor([[0.0, 0.0, 0.0], [216.02, 0.0, 0.0], [215.98, 0.0, 0.0]])
    config = replace(INPUTS, voxel_size=0.7)  # the first of a voxel is kept, beyond 16 + 200 m
    assert outer_scan(points, torch.zeros(3), SENSOR, config) is None
    assert at_last_layer(network(config), keyframe(points)).isfinite().all()


def network(inputs):
    return kit.build_student("wi-6-64", 8, inputs=inputs, depth=1, width=8).eval()


@given(data=st.data())
def test_any_field_of_view_and_any_points(data):
    sizes = st.floats(0.5, 2000)
    extent = [data.draw(sizes) for _ in range(3)]
    lower = [data.draw(st.floats(-500, 500)) for _ in range(3)]
    cell = data.draw(st.floats(max(0.05, max(extent) / 4000), max(0.06, min(extent))))
    fov = (*lower, *(low + size for low, size in zip(lower, extent, strict=True)))
    try:
        config = InputConfig(fov=fov, cell_size=cell)
    except ValueError:  # more cells than a plane may have
        return
    coordinate = st.floats(-10_000, 10_000, width=32)
    points = torch.tensor(data.draw(st.lists(st.tuples(*[coordinate] * 3), min_size=1)))
    wide = widened(points, config)
    inside, before = inside_fov(points, wide), inside_fov(points, config)
    assert inside[before].all()  # no point is lost
    room = torch.tensor(wide.extent) - torch.tensor(config.extent)
    assert (room >= -1e-3).all() and (room <= 400.01).all()
    limited = max(wide.extent) > 0.9 * 4096 * cell
    near = ((points - points.clamp(*map(torch.tensor, config.bounds))).abs() < 198).all(1)
    assert limited or inside[near].all()
