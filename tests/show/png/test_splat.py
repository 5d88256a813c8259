import numpy as np

from kit.show.png.splat import project, splat
from kit.show.scene import Viewpoint


def view() -> Viewpoint:
    """From 10 behind the origin (y forward, z up) straight ahead, 90 degrees from low to high."""
    eye, centre, up = (np.array(v, dtype=float) for v in ((0, -10, 0), (0, 0, 0), (0, 0, 1)))
    return Viewpoint(eye, centre, up, field_of_view=90.0)


def test_known_pixel_by_hand():
    # focal = 100 / 2 / tan(45 deg) = 50; u = 100 + 50 * 2 / 10 = 110, v = 50 - 50 * 3 / 10 = 35
    uv, depth = project(np.array([[2.0, 0.0, 3.0]]), view(), (100, 200))
    np.testing.assert_allclose(uv, [[110.0, 35.0]])
    np.testing.assert_allclose(depth, [10.0])


def test_a_view_from_above_keeps_forward_up_in_the_picture():
    eye, centre, up = (np.array(v, dtype=float) for v in ((0, 0, 20), (0, 0, 0), (0, 1, 0)))
    uv, depth = project(
        np.array([[4.0, 8.0, 0.0]]), Viewpoint(eye, centre, up, field_of_view=90.0), (100, 100)
    )
    # u = 50 + 50 * 4 / 20, v = 50 - 50 * 8 / 20
    np.testing.assert_allclose(uv, [[60.0, 30.0]])
    np.testing.assert_allclose(depth, [20.0])


def draw(points, rgb, sizes, image_size=(100, 200)):
    uv, depth = project(np.array(points, dtype=float), view(), image_size)
    return splat(uv, depth, np.array(rgb, np.uint8), np.array(sizes, dtype=float), image_size)


def test_a_point_colours_its_pixel_and_no_other():
    picture = draw([[2.0, 0.0, 3.0]], [[200, 10, 30]], [1.0])
    coloured = np.argwhere((picture != 255).any(-1))
    assert coloured.tolist() == [[35, 110]]  # row, column
    assert picture[35, 110].tolist() == [200, 10, 30]


def test_a_near_point_hides_a_far_one_in_any_order():
    near, far = [0.0, 0.0, 0.0], [0.0, 10.0, 0.0]
    red, blue = [255, 0, 0], [0, 0, 255]
    for points, colours, sizes in (
        ([near, far], [red, blue], [3.0, 9.0]),
        ([far, near], [blue, red], [9.0, 3.0]),
    ):
        picture = draw(points, colours, sizes)
        assert picture[50, 100].tolist() == red
        assert picture[50, 103].tolist() == blue  # the far disc is wider


def test_a_disc_has_the_area_of_its_diameter():
    picture = draw([[0.0, 0.0, 0.0]], [[0, 0, 0]], [20.0])
    area = (picture == 0).all(-1).sum()
    assert abs(area - np.pi * 10**2) < 0.05 * np.pi * 10**2


def test_points_behind_the_eye_and_outside_are_left_out():
    picture = draw(
        [[0.0, -30.0, 0.0], [500.0, 0.0, 0.0], [0.0, 0.0, -500.0]], [[0, 0, 0]] * 3, [5] * 3
    )
    assert (picture == 255).all()
    assert (
        splat(np.empty((0, 2)), np.empty(0), np.empty((0, 3), np.uint8), np.empty(0), (4, 5)) == 255
    ).all()


def test_a_disc_at_the_border_does_not_come_back_on_the_other_side():
    # u = 100 + 50 * 19.9 / 10 = 199.5, the last column
    picture = draw([[19.9, 0.0, 0.0]], [[0, 0, 0]], [9.0])
    columns = np.argwhere((picture == 0).all(-1))[:, 1]
    assert columns.max() == 199 and columns.min() == 195
