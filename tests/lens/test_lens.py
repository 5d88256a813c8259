import math

import cv2
import numpy as np
import pytest
import torch

from kit.data.keyframe import Camera
from kit.geometry import rigid_transform
from kit.lens import PINHOLE, BrownConrady, Fisheye, Mei, as_lens, make_lens
from kit.projection import find_pairs, project_points, vertical_field_of_view, why_unseen

K = torch.tensor([[700.0, 2, 640], [0, 720, 360], [0, 0, 1]], dtype=torch.float64)
SIZE = (720, 1280)
# the lidar's x is forward, y left, z up; the camera is turned and moved a little
T = rigid_transform([0.5, 0.52, -0.48, 0.5], [0.1, -0.3, -0.2])
FIVE = (-0.32, 0.11, 0.0009, -0.0006, -0.015)
EIGHT = (7.1, 3.2, 0.0004, -0.0002, 0.11, 7.4, 5.6, 0.78)
BARREL = BrownConrady(-0.35, 0.0)
FISH = (-0.021, 0.006, -0.0031, 0.00045)
MEI = (2.2, 0.02, 1.3, 0.0013, 0.0004)  # like those of KITTI-360
WIDE_K = torch.tensor([[1336.0, 0, 716], [0, 1336, 705], [0, 0, 1]], dtype=torch.float64)


def random_points(max_angle: float, count: int = 5000) -> np.ndarray:
    """Points of the camera frame, up to an angle (degrees) from the axis, 2 to 60 m away."""
    rng = np.random.default_rng(3)
    angle, turn = np.radians(max_angle) * rng.uniform(0, 1, count), rng.uniform(0, 7, count)
    off = np.sin(angle)
    directions = np.stack([off * np.cos(turn), off * np.sin(turn), np.cos(angle)], 1)
    return directions * rng.uniform(2, 60, (count, 1))


def in_lidar_frame(cam_points: np.ndarray) -> torch.Tensor:
    R, t = T[:3, :3].numpy(), T[:3, 3].numpy()
    return torch.from_numpy((cam_points - t) @ R)


def project(cam_points, lens, K=K, size=SIZE, min_depth=0.0):
    return project_points(in_lidar_frame(cam_points), T, K, size, min_depth, lens)


@pytest.mark.parametrize("coefficients", [FIVE[:4], FIVE, EIGHT], ids=len)
def test_brown_conrady_is_opencvs_project_points(coefficients):
    lens = make_lens("brown-conrady", coefficients)
    points = random_points(math.degrees(lens.max_angle) - 0.5 if lens.max_angle < 1.2 else 70)
    expected, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), _no_skew(K), coefficients)
    uv, depth, _ = project(points, lens, torch.from_numpy(_no_skew(K)))
    kept = ~uv.isnan().any(1).numpy()
    assert kept.mean() > 0.99
    assert np.abs(uv.numpy() - expected[:, 0])[kept].max() < 1e-3
    assert np.allclose(depth, points[:, 2], atol=1e-4)


def _no_skew(K):
    return (K * torch.tensor([[1, 0, 1], [1, 1, 1], [1, 1, 1]])).numpy()


def test_fisheye_is_opencvs_in_front_of_the_camera():
    points = random_points(88)
    expected, _ = cv2.fisheye.projectPoints(
        points[:, None], np.zeros(3), np.zeros(3), _no_skew(K), np.array(FISH)
    )
    uv, depth, _ = project(points, Fisheye(*FISH), torch.from_numpy(_no_skew(K)))
    assert np.abs(uv.numpy() - expected[:, 0]).max() < 1e-3
    assert np.allclose(depth, np.linalg.norm(points, axis=1), atol=1e-3)


def omnidir(point, K, xi, k1, k2, p1, p2):
    """Mei and Rives 2007, equations 2 to 6, for one point."""
    x, y, z = np.asarray(point) / math.sqrt(sum(c * c for c in point))
    mx, my = x / (z + xi), y / (z + xi)
    rho = math.hypot(mx, my)
    radial = 1 + k1 * rho**2 + k2 * rho**4
    dx = mx * radial + 2 * p1 * mx * my + p2 * (rho**2 + 2 * mx**2)
    dy = my * radial + p1 * (rho**2 + 2 * my**2) + 2 * p2 * mx * my
    return (K.numpy() @ [dx, dy, 1])[:2]


@pytest.mark.parametrize("coefficients", [MEI, (0.8, -0.1, 0.02, 0.001, -0.001), (0.0,) * 5])
def test_mei_is_the_formula_of_the_paper(coefficients):
    lens = make_lens("mei", coefficients)
    points = random_points(math.degrees(lens.max_angle) - 1, 1000)
    expected = np.array([omnidir(point, WIDE_K, *coefficients) for point in points])
    uv, _, _ = project(points, lens, WIDE_K)
    kept = ~uv.isnan().any(1).numpy()
    near = np.abs(expected).max(1) < 1e4  # float32 pixels: beyond, 1e-3 cannot be written down
    assert kept.mean() > 0.97 and (kept & near).sum() > 500
    assert np.abs(uv.numpy() - expected)[kept & near].max() < 1e-3


# By cv2.omnidir.projectPoints of opencv-contrib-python-headless 4.11.0, which is no dependency.
OMNIDIR = {
    (0.9, -0.1, 0.02, 0.001, -0.002): [
        [362.0092, 153.9158],
        [55.803, 307.7193],
        [695.8586, 627.5253],
    ],
    (1.6, -0.2, 0.05, -0.001, 0.0015): [
        [350.3875, 177.8007],
        [147.0549, 284.2132],
        [512.7384, 436.7853],
    ],
}


@pytest.mark.parametrize(("coefficients", "pixels"), OMNIDIR.items(), ids=["0.9", "1.6"])
def test_mei_is_opencvs_omnidir(coefficients, pixels):
    points = np.array([[1.0, -2.0, 5.0], [-4.0, 1.0, 2.0], [3.0, 3.0, -1.0]])
    simple = torch.tensor([[420.0, 0.0, 320.0], [0.0, 430.0, 240.0], [0.0, 0.0, 1.0]]).double()
    uv, _, _ = project(points, Mei(*coefficients), simple)
    assert np.abs(uv.numpy() - pixels).max() < 1e-3


def test_mei_without_mirror_and_distortion_is_the_pinhole():
    points = random_points(80, 500)
    points = points[points[:, 2] > 1]
    uv = project(points, Mei(0.0))[0]
    assert torch.allclose(uv, project(points, PINHOLE)[0], rtol=1e-6)


def test_fisheye_and_mei_see_points_beside_and_behind_the_camera():
    # 100 degrees off the axis, to the right
    point = 10 * np.array([[math.sin(math.radians(100)), 0, math.cos(math.radians(100))]])
    K = torch.tensor([[300.0, 0, 640], [0, 300, 360], [0, 0, 1]], dtype=torch.float64)
    uv, depth, visible = project(point, Fisheye(), K)
    assert visible.item() and depth.item() == pytest.approx(10)
    assert uv[0].tolist() == pytest.approx([640 + 300 * math.radians(100), 360])
    assert project(point, Mei(1.0), K)[2].item()
    assert not project(point, PINHOLE, K)[2].item()
    assert project(point, BARREL, K)[0].isnan().all()


@pytest.mark.parametrize(
    "lens",
    [BARREL, BrownConrady(*FIVE), BrownConrady(*EIGHT), BrownConrady(0.1, -0.2)]
    + [Fisheye(*FISH), Fisheye(-0.1), Mei(*MEI), Mei(0.9, -0.3), Mei(1.7, -0.2)],
    ids=str,
)
def test_the_image_radius_grows_up_to_the_largest_angle_and_not_beyond(lens):
    angles = torch.linspace(0, min(lens.max_angle, 3.14), 2001, dtype=torch.float64)[1:-1]
    points = torch.stack([angles.sin(), 0 * angles, angles.cos()], 1)
    rays, valid = lens.distort(points)
    assert valid.float().mean() > 0.99  # the tangential distortion may end a little before
    assert (rays[valid, 0].diff() > 0).all()
    beyond = torch.tensor([lens.max_angle]) + 0.01
    if beyond < math.pi:
        points = torch.stack([beyond.sin(), 0 * beyond, beyond.cos()], 1).double()
        assert not lens.distort(points)[1].any()


def test_points_that_fold_over_into_the_image_are_not_visible():
    # r (1 - 0.35 r^2) is 0.6 at r = 0.815 and again at 1.14; it grows up to 0.976
    points = np.array([[0.815, 0.0, 1.0], [1.14, 0.0, 1.0], [5.0, 0.0, 1.0]]) * 10
    uv, _, visible = project(points, BARREL)
    assert BARREL.max_radius == pytest.approx(math.sqrt(1 / 1.05))
    assert visible.tolist() == [True, False, False]
    assert uv[0, 0].item() == pytest.approx(640 + 700 * 0.815 * (1 - 0.35 * 0.815**2))
    assert uv[1:].isnan().all()
    folded, _ = cv2.projectPoints(
        points[1:2], np.zeros(3), np.zeros(3), _no_skew(K), (-0.35, 0, 0, 0)
    )
    assert 0 < folded[0, 0, 0] < 1280  # OpenCV draws it


def test_halving_the_image_and_K_halves_the_pixels():
    half = torch.diag(torch.tensor([0.5, 0.5, 1.0], dtype=torch.float64)) @ K
    points = random_points(30, 200)
    for lens in (BrownConrady(*FIVE), Fisheye(*FISH), Mei(*MEI)):
        uv, small = project(points, lens)[0], project(points, lens, half, (360, 640))[0]
        assert torch.allclose(small, uv / 2)


def test_pairs_and_the_reason_for_unseen_points_use_the_lens():
    points = in_lidar_frame(random_points(60)).float()
    pixels = np.zeros((*SIZE, 3), np.uint8)
    camera = Camera("FRONT", T, K, SIZE, lambda: pixels, BARREL)
    pairs = find_pairs(points, {"FRONT": camera})
    uv, depth, visible = project_points(points, T, K, SIZE, lens=BARREL)
    assert torch.equal(pairs.point, visible.nonzero()[:, 0])
    assert torch.equal(pairs.uv, uv[visible]) and torch.equal(pairs.depth, depth[visible])
    assert len(find_pairs(points, {"FRONT": Camera("FRONT", T, K, SIZE, lambda: pixels)})) < len(
        pairs
    )
    assert why_unseen(points, {"FRONT": camera}) == ""


@pytest.mark.parametrize(
    ("lens", "expected"),
    [
        (PINHOLE, 2 * math.degrees(math.atan(360 / 720))),
        (Fisheye(), 2 * math.degrees(0.5)),
        (Mei(1.0), 2 * math.degrees(2 * math.atan(0.5))),  # sin a / (cos a + 1) = tan(a / 2)
    ],
)
def test_the_field_of_view_is_that_of_the_lens(lens, expected):
    camera = Camera("FRONT", T, K, SIZE, lambda: np.zeros((*SIZE, 3), np.uint8), lens)
    assert vertical_field_of_view(camera) == pytest.approx(expected, abs=0.1)
    assert vertical_field_of_view(camera, most=20.0) == pytest.approx(20, abs=0.1)


@pytest.mark.parametrize(
    ("given", "lens"),
    [
        (None, PINHOLE),
        ([], PINHOLE),
        ([0.0] * 5, PINHOLE),
        (np.array(FIVE, np.float32), BrownConrady(*np.array(FIVE, np.float32).tolist())),
        (torch.tensor([EIGHT], dtype=torch.float64), BrownConrady(*EIGHT)),
        ({"model": "Kannala_Brandt", "coefficients": FISH}, Fisheye(*FISH)),
        ({"model": "plumb_bob", "coefficients": FIVE}, BrownConrady(*FIVE)),
        ({"model": "mei", "coefficients": MEI}, Mei(*MEI)),
        ({"model": "pinhole"}, PINHOLE),
        (Fisheye(), Fisheye()),
    ],
)
def test_what_users_give_becomes_a_lens(given, lens):
    assert as_lens(given) == lens


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([0.1, 0.2, 0.3, 0.4], "4 can be Brown-Conrady .* or fisheye"),
        ([0.1] * 12, "expected 5 or 8 coefficients"),
        ([0.1, math.nan, 0, 0, 0], "finite"),
        ([1e9, 0, 0, 0, 0], "at most 1,000,000"),
        ("fisheye", "expected numbers"),
        ({"model": "fish", "coefficients": FISH}, "expected one of pinhole, .*got 'fish'"),
        ({"model": "fisheye", "coefficients": FIVE}, "Fisheye has 4 coefficients, got 5"),
        ({"coefficients": FISH}, "got the keys"),
        ({"model": "mei", "coefficients": (-1.0, 0, 0, 0, 0)}, "xi of a Mei lens"),
    ],
)
def test_what_is_no_lens_is_named(given, message):
    with pytest.raises(ValueError, match=message):
        as_lens(given)
