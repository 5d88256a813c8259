"""Measure WaffleIron as the kit computes it against the reference, with the same weights.

Both run in turn in one process, so that their ratio holds on a busy machine.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

import kit
from kit.bench import Row
from kit.bench._measure import (
    alternate,
    infer_run,
    peak_extra_memory,
    train_run,
)
from kit.data.keyframe import Camera, Keyframe
from kit.distill.losses.pointwise import distillation_loss
from kit.student.point_batch import collate
from kit.student.scans import InputConfig, Scan, prepare_scan
from kit.student.waffleiron.config import WaffleIronConfig
from kit.student.waffleiron.model import WaffleIron
from kit.student.waffleiron.reference import ReferenceWaffleIron, pad_scans
from kit.teacher.feature_maps import FeatureMaps

DEPTH = 6
HEAD = (1024,)  # the width of ViT-L
RUN = {"train": train_run, "infer": infer_run}
# (width, task, target of the ratio of times, target of the ratio of memory)
PAIRS = [
    (256, "train", ">= 5", ">= 6"),
    (768, "train", ">= 4", ">= 6"),
    (64, "infer", ">= 3", ">= 3"),
    (256, "infer", ">= 2", ">= 3"),
]
ARBITRARY = 0


def camera_views(keyframe: Keyframe, config: InputConfig) -> list[Scan]:
    """The points that each camera sees, sub-sampled at random as in training."""
    views = []
    for seed, camera in enumerate(keyframe.cameras.values()):
        _, _, visible = kit.project_into(camera, keyframe.points)
        views.append(
            prepare_scan(
                keyframe.points,
                keyframe.intensity,
                keyframe.sensor,
                config,
                visible=visible,
                generator=torch.Generator().manual_seed(seed),
            )
        )
    return views


def reference_of(student: WaffleIron) -> ReferenceWaffleIron:
    """The reference with the weights of a student, on its device."""
    reference = ReferenceWaffleIron(student.config)
    reference.load_state_dict(student.state_dict())
    return reference.to(student.embed.conv1.weight.device)


def pair(
    width: int, device: str, head: tuple[int, ...] = HEAD
) -> tuple[WaffleIron, ReferenceWaffleIron]:
    torch.manual_seed(ARBITRARY)
    student = WaffleIron(WaffleIronConfig(DEPTH, width, head=head)).to(device)
    return student, reference_of(student)


def pair_rows(
    width: int, task: str, scans: list[Scan], device: str, matrix: float, target: str, memory: str
) -> Iterator[Row]:
    """Rows of one size of WaffleIron and its reference.

    Args:
        width: channels C.
        task: "train" (forward and backward) or "infer".
        scans: the batch.
        device: "cpu" or "cuda".
        matrix: floating-point operations a second of a large matrix product here.
        target: bound of the ratio of times, on a CPU.
        memory: bound of the ratio of memory, on a CPU.
    """
    student, reference = pair(width, device)
    batch = collate(scans, student.config.inputs).to(device)
    padded = pad_scans(scans, student.config.inputs).to(device)
    run, run_reference = RUN[task](student, batch), RUN[task](reference, padded)
    label = f"{DEPTH} x {width}, {'one view' if task == 'train' else 'whole scan'}, {task}"
    on_cpu = device == "cpu"

    difference = _largest_difference(run(), run_reference().transpose(1, 2).flatten(0, 1))
    yield Row(f"{label}: outputs differ by", difference, "of the largest", "<= 1e-5")
    if task == "train":
        difference = _gradient_difference(student, reference)
        yield Row(f"{label}: gradients differ by", difference, "of their length", "<= 1e-3")

    ours, theirs, ratio = alternate(run, run_reference, 3 if width > 256 else 7)
    yield Row(f"{label}: ms", 1e3 * ours, "ms")
    yield Row(f"{label}: ms of the reference", 1e3 * theirs, "ms")
    yield Row(f"{label}: times faster", ratio, "x", target if on_cpu else None)
    yield Row(f"{label}: points a second", len(batch.feat) / ours, "points/s")
    least = operations(student.config, len(batch.feat), task) / matrix
    yield Row(f"{label}: ratio to the matrix limit", 100 * least / ours, "%")

    used, of_reference = (peak_extra_memory(f, device) for f in (run, run_reference))
    yield Row(f"{label}: memory on top", used / 1e6, "MB")
    yield Row(f"{label}: memory of the reference", of_reference / 1e6, "MB")
    yield Row(f"{label}: times smaller", of_reference / used, "x", memory if on_cpu else None)


def _largest_difference(ours: Tensor, expected: Tensor) -> float:
    """The largest difference, relative to the largest value."""
    return float((ours - expected).abs().max() / expected.abs().max())


def _gradient_difference(student: nn.Module, reference: nn.Module) -> float:
    """The largest distance of two gradients of one parameter, relative to their length."""
    expected = {name: p.grad for name, p in reference.named_parameters()}
    # A gradient that is zero except for rounding has no direction: it is compared with the typical
    # length.
    shortest = 1e-3 * torch.stack([grad.norm() for grad in expected.values()]).median()
    return max(
        float((p.grad - expected[name]).norm() / expected[name].norm().clamp(min=shortest))
        for name, p in student.named_parameters()
    )


def operations(config: WaffleIronConfig, points: int, task: str) -> float:
    """Floating-point operations of the matrix products that cannot be avoided."""
    square = 2.0 * points * config.width**2
    neighbours = config.inputs.num_neighbours * square
    layers = 2 * config.depth * square
    if task == "infer":
        return neighbours + layers + square
    head = 2 * points * config.width * config.head[-1]
    return neighbours + 3 * (layers + square + head)  # backward, one neighbour counts per channel


def step_rows(keyframe: Keyframe, views: list[Scan], device: str) -> Iterator[Row]:
    """Rows of a distillation step of four views, in the kit and as published.

    As published: the reference network, and teacher maps that are up-sampled to the image.
    """
    teacher = kit.build_teacher().to(device)
    cameras = list(keyframe.cameras.values())[:4]
    scans, config = views[:4], InputConfig()
    pixels = [_pixels(keyframe, camera, scan) for camera, scan in zip(cameras, scans, strict=True)]
    student, reference = pair(256, device, (teacher.dim,))
    learn, learn_reference = _optimizer_step(student), _optimizer_step(reference)
    cached = kit.camera_maps(teacher, cameras)

    def step(maps: list[FeatureMaps] | None) -> None:
        batch = collate(scans, config).to(device)
        maps = kit.camera_maps(teacher, cameras) if maps is None else maps
        learn(student(batch), _sampled(maps, cameras, pixels))

    def published() -> None:
        padded = pad_scans(scans, config).to(device)
        teacher_feat = upsampled_features(kit.camera_maps(teacher, cameras), cameras, pixels)
        learn_reference(reference(padded).transpose(1, 2)[padded.is_point[:, 0]], teacher_feat)

    for maps, target in ((None, ">= 6"), (cached, ">= 10")):
        words = "teacher computed in the step" if maps is None else "teacher's feature maps cached"
        ours, theirs, ratio = alternate(lambda m=maps: step(m), published, 3)
        label = f"step of 4 views, {DEPTH} x 256, {words}"
        yield Row(f"{label}: s", ours, "s")
        yield Row(f"{label}: s as published", theirs, "s")
        yield Row(f"{label}: times faster", ratio, "x", target if device == "cpu" else None)


def _pixels(keyframe: Keyframe, camera: Camera, scan: Scan) -> Float[Tensor, "N 2"]:
    points = keyframe.points[scan.kept]
    return kit.project_into(camera, points)[0]


def _optimizer_step(network: nn.Module) -> Callable[[Tensor, Tensor], None]:
    """A function that compares features and updates the network, with a learning rate of zero."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.0)

    def learn(student_feat: Tensor, teacher_feat: Tensor) -> None:
        optimizer.zero_grad()
        distillation_loss(student_feat, teacher_feat).backward()
        optimizer.step()

    return learn


def _sampled(
    maps: Sequence[FeatureMaps], cameras: Sequence[Camera], pixels: Sequence[Tensor]
) -> Float[Tensor, "M D"]:
    feat = []
    for of_camera, camera, uv in zip(maps, cameras, pixels, strict=True):
        uv = uv.to(of_camera.maps[0].device)
        image = torch.zeros(len(uv), dtype=torch.int64, device=uv.device)
        feat.append(of_camera.sample(image, uv, camera.image_size))
    return torch.cat(feat)


def upsampled_features(
    maps: Sequence[FeatureMaps], cameras: Sequence[Camera], pixels: Sequence[Tensor]
) -> Float[Tensor, "M D"]:
    """The teacher's features at pixels, by way of maps as large as the image it was given.

    Args:
        maps: the maps of one image per camera.
        cameras: the cameras.
        pixels: (N, 2) column and row in each camera's own image.

    Source: ScaLR (arXiv:2310.17504): up-sampled (bilinear, corners aligned), then indexed.
    """
    feat = []
    for of_camera, camera, uv in zip(maps, cameras, pixels, strict=True):
        height, width = of_camera.image_size
        scale = torch.tensor([width / camera.image_size[1], height / camera.image_size[0]])
        column, row = (uv.floor() * scale).floor().long().to(of_camera.maps[0].device).unbind(1)
        layers = []
        for coarse in of_camera.maps:
            fine = F.interpolate(coarse, (height, width), mode="bilinear", align_corners=True)
            layers.append(fine[0, :, row, column].T)
        feat.append(
            layers[0] if len(layers) == 1 else torch.cat([*map(F.normalize, layers)], dim=1)
        )
    return torch.cat(feat)
