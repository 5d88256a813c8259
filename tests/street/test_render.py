"""Shapes, ray casting, lidar and shading of the street, compared with values derived by hand."""

import numpy as np
import pytest
import torch

from kit.street.assets.shapes import (
    Part,
    box,
    ellipsoid,
    extrude,
    lathe,
    loft,
    rounded_body,
    tube,
)
from kit.street.render import camera, lidar, rays
from kit.street.render.portraits import names, portraits
from kit.street.rigs import RIGS
from kit.street.surfaces.materials import PAINTERS
from kit.street.world.mesh import Mesh
from kit.street.world.weather import Weather

CLEAR = Weather(sun=1.0, clouds=0.0, noise=0.0, visibility=1e6)


def world(*parts, pose=(0.0, 0.0, 0.0, 0.0)) -> Mesh:
    mesh = Mesh(["thing"], PAINTERS)
    mesh.add_object("thing", list(parts), pose, "grey thing", "", "0")
    return mesh.finish()


def grey(shape) -> Part:
    return Part(shape, "plain", (0.5, 0.5, 0.5))


def volume(shape) -> float:
    """Signed volume of a closed surface, by the divergence theorem; needs one winding."""
    vertices, triangles = shape
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (box(2, 3, 4, z=1), 24.0),
        (extrude([(0, 0), (2, 0), (0, 1)], 3.0), 3.0),
        (lathe([(0, 0), (1, 0), (1, 2), (0, 2)], 400), 2 * np.pi),
        (rounded_body([(0, -1, 1, 1, 1e-6), (3, -1, 1, 1, 1e-6)]), 12.0),
        (tube([(0, 0, 0), (0, 0, 5)], 1.0, 400), 5 * np.pi),
        (ellipsoid(np.random.default_rng(0), (1, 2, 3), rough=0, detail=60), 8 * np.pi),
    ],
)
def test_volumes_of_closed_shapes_equal_their_formulas(shape, expected):
    assert abs(volume(shape)) == pytest.approx(expected, rel=0.01)


def test_a_loft_connects_its_rings():
    rings = np.array([[[0.0, 0, 0], [1, 0, 0], [1, 1, 0]], [[0, 0, 2], [1, 0, 2], [1, 1, 2]]])
    assert abs(volume(loft(rings))) == pytest.approx(1.0)
    assert len(loft(rings, closed=False, caps=False)[1]) == 4


def test_negative_sizes_and_empty_meshes_are_named():
    with pytest.raises(ValueError, match="positive sizes, got 2 x -1 x 1"):
        box(2, -1, 1)
    with pytest.raises(ValueError, match="mesh is empty"):
        Mesh(["thing"], PAINTERS).finish()


def test_a_ray_ends_at_the_surface_of_a_box():
    mesh = world(grey(box(2, 2, 2)), pose=(10.0, 0.0, 0.0, 0.0))
    directions = np.array([[1.0, 0, 0], [0, 1.0, 0]])
    hits = rays.cast_rays(mesh, np.array([0.0, 0, 1]), directions)
    assert hits.t[0] == pytest.approx(9.0) and np.isinf(hits.t[1])
    for length, occluded in ((8.9, False), (9.1, True)):
        found = rays.is_occluded(mesh, np.array([[0.0, 0, 1]]), directions[:1], length)
        assert found.tolist() == [occluded]


def standing(T):
    return lambda times: np.tile(T, (len(times), 1, 1))


def test_a_lidar_measures_the_position_of_a_wall():
    plain = RIGS["nuscenes"].lidar
    mesh = world(grey(box(0.2, 60, 12, -6)), pose=(0.0, 10.1, 0.0, np.pi / 2))
    scan = lidar.scan(mesh, plain, standing(np.eye(4)), np.random.default_rng(0))
    assert len(scan.points) > 3000
    assert np.abs(scan.surface[:, 1] - 10.0).max() < 1e-3
    off = scan.points - scan.surface  # along the ray, 2 cm
    assert np.linalg.norm(off, axis=1).std() == pytest.approx(0.02 * 0.6, rel=0.15)
    elevation = np.degrees(np.arcsin(scan.surface[:, 2] / np.linalg.norm(scan.surface, axis=1)))
    nearest = np.abs(elevation[:, None] - np.array(plain.elevations)).min(1)
    assert nearest.max() < 1e-3


def test_ego_motion_during_a_rotation_is_compensated():
    """In the frame of the time stamp a wall is straight, though the lidar moves by 1 m."""

    def driving(times):
        T = np.tile(np.eye(4), (len(times), 1, 1))
        T[:, 1, 3] = 20.0 * times  # m/s forward
        return T

    mesh = world(grey(box(0.2, 60, 12, -6)), pose=(0.0, 10.1, 0.0, np.pi / 2))
    args = mesh, RIGS["nuscenes"].lidar
    scan = lidar.scan(*args, driving, np.random.default_rng(0))
    assert np.abs(np.median(scan.points[:, 1]) - 10.0) < 0.01
    assert RIGS["nuscenes"].lidar.times.min() == pytest.approx(-0.05, abs=1e-4)
    # the firing straight ahead is 35 ms before the time stamp, as in nuScenes
    assert RIGS["nuscenes"].lidar.times[0] == pytest.approx(-0.035)


def test_intensity_decreases_with_the_angle_of_incidence():
    turn = 0.6
    mesh = world(grey(box(60.0, 0.2, 8.0, -4.0)), pose=(0.0, 10.0, 0.0, turn))
    scan = lidar.scan(mesh, RIGS["nuscenes"].lidar, standing(np.eye(4)), np.random.default_rng(0))
    away = scan.surface / np.linalg.norm(scan.surface, axis=1, keepdims=True)
    cosine = np.abs(away @ (-np.sin(turn), np.cos(turn), 0))
    frontal, slanted = cosine > 0.9, cosine < 0.5
    assert frontal.sum() > 1000 and slanted.sum() > 300
    expected = np.sqrt(cosine[slanted].mean() / cosine[frontal].mean())
    ratio = scan.intensity[slanted].mean() / scan.intensity[frontal].mean()
    assert ratio == pytest.approx(expected, rel=0.07)


def test_glass_returns_less_than_paint():
    counts = []
    for surface in ("glazed", "plain"):
        wall = Part(box(60.0, 0.2, 8.0, -4.0), surface, (0.3, 0.3, 0.3))
        mesh = world(wall, pose=(0.0, 30.0, 0.0, 0.0))
        scan = lidar.scan(
            mesh, RIGS["nuscenes"].lidar, standing(np.eye(4)), np.random.default_rng(0)
        )
        counts.append(len(scan.points))
    assert counts[0] < 0.7 * counts[1]


T_FORWARD = np.array(
    [[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 1.5], [0, 0, 0, 1.0]]
)  # looks along x


def render(mesh, weather, supersample_all=False, size=(48, 96)):
    K = np.array([[80.0, 0, size[1] / 2], [0, 80.0, size[0] / 2], [0, 0, 1]])
    rng = np.random.default_rng(0)
    return camera.render_image(mesh, weather, T_FORWARD, K, size, rng, supersample_all)


def test_images_have_exact_depth_and_parts():
    mesh = world(grey(box(2, 2, 3)), pose=(10.0, 0.0, 0.0, 0.0))
    picture = render(mesh, CLEAR)
    assert picture.pixels.shape == (48, 96, 3)
    assert picture.depth[24, 48] == pytest.approx(9.0, rel=1e-4)
    assert picture.part[24, 48] == 0 and picture.part[0, 0] == -1 and np.isinf(picture.depth[0, 0])
    # half width 1 m at 9 m, 80 pixels of focal length: 8.9 pixels on either side
    assert (picture.part[24] == 0).sum() == 18


def test_shadows_are_opposite_the_sun():
    ground = grey(box(80, 80, 0.1, -0.1))
    mesh = Mesh(["thing"], PAINTERS)
    mesh.add_scenery("thing", [ground], (0, 0, 0, 0))
    mesh.add_scenery("thing", [grey(box(3, 0.5, 4))], (12, 0, 0, 0))
    mesh.finish()
    left = Weather(sun_azimuth=90.0, sun_elevation=35.0, clouds=0.0, noise=0.0)  # the sun is at +y
    pixels = render(mesh, left, size=(96, 192)).pixels.mean(2)
    # 12 m away and 1.5 m below: row 48 + 80 * 1.5 / 12 = 58, 80 / 12 pixels a metre
    assert pixels[58, 106:126].mean() < 0.8 * pixels[58, 66:86].mean()  # shadow on the right


def test_supersampling_of_edges_agrees_with_supersampling_of_all_pixels():
    shapes = [
        grey(box(1, 1, 3)),
        Part(ellipsoid(np.random.default_rng(1), (1, 1, 1)), "leaf", (0.3, 0.4, 0.1)),
    ]
    mesh = world(*shapes, grey(box(60, 60, 0.1, -0.1)), pose=(8.0, 0.0, 0.0, 0.3))
    some, all_ = (render(mesh, CLEAR, full).pixels.astype(int) for full in (False, True))
    assert np.abs(some - all_).mean() < 1.5 and np.quantile(np.abs(some - all_), 0.99) < 16


def test_every_asset_of_the_catalogue_has_portraits():
    for name in names():
        found = portraits(name, views=1, image_size=(24, 24))
        assert 0.001 < found.masks.float().mean() < 0.95, name
        assert name in found.name


def test_the_colour_in_the_name_is_rendered():
    red, blue = (
        portraits(f"{colour} car", 2, (48, 48), weather=CLEAR) for colour in ("red", "blue")
    )
    tone = [p.images.movedim(1, -1)[p.masks].mean(0) for p in (red, blue)]
    assert tone[0][0] > tone[0][2] + 0.06 and tone[1][2] > tone[1][0] + 0.04
    assert red.name == "red car"
    assert portraits("person in green", 1, (8, 8)).name == "person in green"


def test_portraits_on_the_street_show_the_asset_from_all_sides():
    found = portraits("bus", 6, (24, 24), "street", seed=1)
    assert found.masks.float().mean((1, 2)).min() > 0.03


def test_lens_blur_mixes_adjacent_pixels_and_not_opposite_edges():
    light = np.zeros((6, 8, 3), np.float32)
    light[-1] = light[:, -1] = 1.0
    soft = camera._lens_blur(light)
    assert soft[0, 0].max() == 0 and 0 < soft[-2, 3].max() < 0.1 < soft[-1, 3].min()


def test_portraits_depend_on_background_and_seed_alone():
    args = ("traffic cone", 2, (32, 32))
    plain, again, street, other = (
        portraits(*args, background=b, seed=s)
        for b, s in (("plain", 0), ("plain", 0), ("street", 0), ("plain", 1))
    )
    assert torch.equal(plain.images, again.images)
    assert (plain.images - street.images).abs().mean() > 0.01
    assert not torch.equal(plain.images, other.images)


def test_unknown_names_and_backgrounds_are_named():
    with pytest.raises(ValueError, match="no asset 'dragon'. It has: car, delivery van"):
        portraits("dragon")
    with pytest.raises(ValueError, match="colour of a tree cannot be chosen"):
        portraits("red tree")
    with pytest.raises(ValueError, match='"plain" or "street"'):
        portraits("tree", background="beach")
    with pytest.raises(ValueError, match="at least one view"):
        portraits("tree", views=0)
