import dataclasses
import hashlib
import io
import pickle

import jaxtyping
import numpy as np
import pytest
import torch
from PIL import Image

from kit.data.classes import IGNORE, NUSCENES
from kit.data.keyframe import Camera, Keyframe, Sensor
from kit.geometry import rigid_transform

SENSOR = Sensor("test lidar", 10.0, 5.0)
K = torch.tensor([[50.0, 0, 20], [0, 50, 10], [0, 0, 1]], dtype=torch.float64)
SIZE = (20, 40)
RAMP = np.arange(20 * 40 * 3, dtype=np.uint32).reshape(20, 40, 3).astype(np.uint8)


@pytest.fixture
def without_type_checks():
    """Switch off the tests' type checks, which would reject some invalid input earlier."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def camera(source=lambda: RAMP, **changes):
    fields = {"T_cam_lidar": rigid_transform([0.5, -0.5, 0.5, -0.5], [0.1, 0.2, 0.3]), "K": K}
    return Camera("CAM_FRONT", image_size=SIZE, source=source, **{**fields, **changes})


def keyframe(count=4, **changes):
    fields = dict(
        token="t0",
        scene="s0",
        points=torch.arange(3.0 * count).view(count, 3),
        intensity=torch.arange(float(count)),
        cameras={"CAM_FRONT": camera()},
        sensor=SENSOR,
        classes=NUSCENES,
    )
    return Keyframe(**{**fields, **changes})


def test_image_is_channels_first_in_zero_to_one():
    image = camera().image
    assert image.shape == (3, 20, 40) and image.dtype == torch.float32
    assert torch.equal((image * 255).round().byte().permute(1, 2, 0), torch.from_numpy(RAMP))


def test_images_are_not_decoded_before_they_are_requested(tmp_path):
    taken = []
    lazy = camera(lambda: taken.append(1) or RAMP)
    frame = keyframe(cameras={"CAM_FRONT": lazy})
    repr(frame), repr(lazy)
    assert taken == []
    assert frame.cameras["CAM_FRONT"].pixels().shape == (20, 40, 3) and taken == [1]
    assert camera(tmp_path / "not_there.jpg").image_size == SIZE


def test_resizing_agrees_with_torch():
    noise = np.random.default_rng(0).integers(0, 256, (20, 40, 3), dtype=np.uint8)
    small = camera(lambda: noise).resized((7, 16))
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(noise).permute(2, 0, 1)[None].float(),
        size=(7, 16),
        mode="bilinear",
        antialias=True,
    )[0]
    assert (small * 255 - expected).abs().max() < 1.01  # Pillow rounds to whole grey levels
    assert torch.equal(camera().resized(SIZE), camera().image)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "RGB"])
def test_image_files_of_any_mode_are_read_as_rgb(tmp_path, mode):
    Image.fromarray(RAMP).convert(mode).save(tmp_path / "image.png")
    pixels = camera(tmp_path / "image.png").pixels()
    assert pixels.shape == (20, 40, 3) and pixels.dtype == np.uint8
    if mode == "RGB":
        assert np.array_equal(pixels, RAMP)


def test_missing_images_and_wrong_sizes_name_the_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone.jpg.*missing"):
        camera(tmp_path / "gone.jpg").pixels()
    Image.fromarray(RAMP[:10]).save(tmp_path / "half.png")
    with pytest.raises(ValueError, match=r"half.png: image is 10x40.*for 20x40.*Rescale K"):
        camera(tmp_path / "half.png").pixels()
    for wrong in (RAMP[..., 0], RAMP.astype(np.float32), RAMP[..., :2]):
        with pytest.raises(ValueError, match="source of CAM_FRONT.*uint8"):
            camera(lambda wrong=wrong: wrong).pixels()


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_damaged_images_raise_errors_that_name_the_file(tmp_path, kind):
    whole = io.BytesIO()
    Image.fromarray(RAMP).save(whole, kind)
    draw, refused = np.random.default_rng(0), 0
    for _ in range(150):
        data = bytearray(whole.getvalue()[: draw.integers(0, len(whole.getvalue()))])
        if draw.random() < 0.5:
            data = bytearray(whole.getvalue())
            data[draw.integers(0, len(data))] ^= int(draw.integers(1, 256))
        (tmp_path / "damaged").write_bytes(data)
        try:
            camera(tmp_path / "damaged").pixels()
        except ValueError as error:
            refused += 1
            assert str(tmp_path / "damaged") in str(error)
    assert refused > 60


def test_fingerprint_depends_on_the_content_alone(tmp_path):
    Image.fromarray(RAMP).save(tmp_path / "a.png")
    Image.fromarray(RAMP).save(tmp_path / "b.png")
    a, b = camera(tmp_path / "a.png").fingerprint(), camera(tmp_path / "b.png").fingerprint()
    assert a == b == hashlib.sha256((tmp_path / "a.png").read_bytes()).hexdigest()[:32]
    assert camera().fingerprint() == camera(lambda: RAMP.copy()).fingerprint()
    assert camera().fingerprint() != camera(lambda: RAMP + 1).fingerprint()


def test_computed_pixels_are_hashed_once():
    calls = []
    once = camera(lambda: calls.append(1) or RAMP)
    assert once.fingerprint() == once.fingerprint() == camera().fingerprint() and len(calls) == 1


def test_invalid_cameras_are_named():
    T = camera().T_cam_lidar
    singular = T.clone()
    singular[:3, :3] = 0
    for change, message in (
        ({"T_cam_lidar": T.T}, "T_cam_lidar of CAM_FRONT.*transposed"),
        ({"T_cam_lidar": singular}, "T_cam_lidar of CAM_FRONT.*singular"),
        ({"K": K.T}, "K of CAM_FRONT.*transposed"),
        ({"K": K * torch.tensor([[0.0], [1], [1]])}, "K of CAM_FRONT.*focal"),
    ):
        with pytest.raises(ValueError, match=message):
            camera(**change)
    with pytest.raises(ValueError, match="image_size of CAM_FRONT"):
        dataclasses.replace(camera(), image_size=(0, 40))


def test_repr_lists_the_contents():
    labels = torch.tensor([3, 0, IGNORE, IGNORE])
    text = repr(keyframe(labels=labels, row_in_file=torch.tensor([0, 2, 3, 5]), num_rows_in_file=6))
    for part in ("t0 of s0", "4 (2 invalid rows dropped)", "test lidar", "CAM_FRONT 20x40", "50%"):
        assert part in text
    bare = repr(keyframe(cameras={}))
    assert "labels   none" in bare and "cameras  none" in bare


def test_without_dropped_rows_indices_count_from_zero():
    frame = keyframe()
    assert frame.row_in_file.tolist() == [0, 1, 2, 3]
    assert (frame.num_rows_in_file, frame.num_dropped) == (4, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"points": torch.zeros(0, 3), "intensity": torch.zeros(0)}, "no valid point"),
        ({"points": torch.full((4, 3), torch.nan)}, "finite"),
        ({"intensity": torch.tensor([0.0, 1, torch.inf, 3])}, "finite"),
        ({"intensity": torch.zeros(3)}, "3 rows of intensity for 4 points"),
        ({"labels": torch.zeros(5, dtype=torch.int64)}, "5 rows of labels for 4 points"),
        ({"labels": torch.tensor([0, 16, -1, IGNORE])}, r"labels \[-1, 16\].*16 classes"),
        ({"row_in_file": torch.arange(4)}, "together or neither"),
    ],
)
def test_inconsistent_keyframes_raise(changes, message, without_type_checks):
    with pytest.raises(ValueError, match=message):
        keyframe(**changes)


def test_sensors_need_valid_intensity_statistics():
    for mean, std in ((0.0, 0.0), (float("nan"), 1.0), (0.0, -1.0)):
        with pytest.raises(ValueError, match="intensity"):
            Sensor("broken", mean, std)


def test_keyframes_can_be_pickled_for_worker_processes(tmp_path):
    Image.fromarray(RAMP).save(tmp_path / "a.png")
    frame = keyframe(cameras={"CAM_FRONT": camera(tmp_path / "a.png")})
    copy = pickle.loads(pickle.dumps(frame))
    assert torch.equal(copy.points, frame.points)
    assert torch.equal(copy.cameras["CAM_FRONT"].image, frame.cameras["CAM_FRONT"].image)


def test_raw_ids_map_to_classes_and_unknown_ids_are_named():
    raw = torch.tensor([17, 24, 0, 31, 9], dtype=torch.uint8)
    labels = NUSCENES.from_raw(raw, "file.bin")
    names = [NUSCENES.names[i] if i != IGNORE else None for i in labels.tolist()]
    assert names == ["car", "driveable_surface", None, None, "barrier"]
    with pytest.raises(ValueError, match=r"file.bin: label ids \[32, 200\].*the 32 ids"):
        NUSCENES.from_raw(torch.tensor([200, 17, 32], dtype=torch.uint8), "file.bin")


@pytest.mark.parametrize("index", [[2, 0], [True, False, True]])
def test_selected_points_keep_everything_that_belongs_to_them(index):
    points = torch.tensor([[1.0, 0, 0], [2.0, 0, 0], [3.0, 0, 0]])
    made = keyframe(
        points=points,
        intensity=torch.tensor([1.0, 2, 3]),
        labels=torch.tensor([0, 1, IGNORE]),
        time=torch.tensor([0.0, -0.1, -0.2]),
        row_in_file=torch.tensor([0, 4, 5]),
        num_rows_in_file=6,
    )
    chosen = made.select(torch.tensor(index))
    rows = [2, 0] if index == [2, 0] else [0, 2]
    for name in ("points", "intensity", "labels", "time", "row_in_file"):
        assert torch.equal(getattr(chosen, name), getattr(made, name)[rows])
    assert chosen.num_rows_in_file == 6 and chosen.cameras is made.cameras
