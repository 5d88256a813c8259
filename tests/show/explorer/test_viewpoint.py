"""Pictures of an explorer whose view is that of a camera."""

from dataclasses import replace

import explorer_scene as scene
import numpy as np
import pytest
import torch

from kit.lens import Fisheye
from kit.projection import project_points
from kit.show.explorer.poster import draw_clouds
from kit.show.explorer.viewpoint import viewpoint_of
from kit.show.png.splat import project
from kit.show.scene import Viewpoint


@pytest.fixture
def made():
    frame = scene.keyframe()
    camera = frame.cameras["CAM_RIGHT"]
    K = camera.K + torch.tensor([[40.0, 0.0, 25.0], [0.0, 0.0, -18.0], [0.0, 0.0, 0.0]])
    cameras = frame.cameras | {"CAM_RIGHT": replace(camera, K=K)}
    explorer = scene.Explorer(replace(frame, cameras=cameras), mode="height", shading=False)
    explorer.view = explorer.view | {"camera": "CAM_RIGHT"}
    return explorer


@pytest.mark.parametrize("size", [(300, 900), (900, 300)])  # wider and narrower than the image
def test_points_fall_on_their_pixels_of_the_image(made, size):
    frame = made.content.keyframes[0]
    camera = frame.cameras["CAM_RIGHT"]
    expected, depth, visible = project_points(
        frame.points, camera.T_cam_lidar, camera.K, camera.image_size
    )
    view = viewpoint_of(made, size[1] / size[0])
    uv, found = project(frame.points.numpy().astype(np.float64), view, size)
    height, width = camera.image_size
    scale = min(size[0] / height, size[1] / width)
    left, top = (size[1] - scale * width) / 2, (size[0] - scale * height) / 2
    assert visible.sum() > 20
    moved = scale * expected[visible].double().numpy() + [left, top]
    np.testing.assert_allclose(uv[visible.numpy()], moved, atol=1e-2)
    np.testing.assert_allclose(found[visible.numpy()], depth[visible].numpy(), rtol=1e-4)
    # Diameters: a metre at a depth of 10 m is K[1, 1] / 10 pixels of the image high.
    focal = size[0] / 2 / np.tan(np.radians(view.field_of_view) / 2)
    assert focal == pytest.approx(scale * float(camera.K[1, 1]), rel=1e-6)
    np.testing.assert_allclose(np.cross(view.up, view.centre - view.eye) @ view.up, 0, atol=1e-6)


def test_the_picture_is_that_of_the_camera(made):
    size = (240, 400)
    shown = draw_clouds(made, size)
    lines = shown != shown[0, 0]
    made.view = {name: value for name, value in made.view.items() if name != "camera"}
    assert (draw_clouds(made, size) != shown).any() and lines.any()


def test_without_the_camera_or_through_a_fisheye_the_view_is_an_orbit(made):
    unknown = made.view | {"camera": "CAM_BACK"}
    made.view = unknown
    found = viewpoint_of(made, 1.5)
    orbit = {name: value for name, value in unknown.items() if name != "camera"}
    np.testing.assert_allclose(found.eye, Viewpoint.orbit(**orbit, aspect=1.5).eye)
    frame = made.content.keyframes[0]
    camera = frame.cameras["CAM_RIGHT"]
    bent = frame.cameras | {"CAM_RIGHT": replace(camera, lens=Fisheye())}
    fisheye = scene.Explorer(replace(frame, cameras=bent))
    fisheye.view = fisheye.view | {"camera": "CAM_RIGHT"}
    view = viewpoint_of(fisheye, 1.5)
    assert type(view) is Viewpoint
    axes, shift = camera.T_cam_lidar[:3, :3].numpy(), camera.T_cam_lidar[:3, 3].numpy()
    np.testing.assert_allclose(view.eye, -axes.T @ shift, atol=1e-5)
    np.testing.assert_allclose((view.centre - view.eye) / 10, axes[2], atol=1e-5)
