"""The kit from a terminal: `python -m kit COMMAND --help`."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status. Errors a user can mend are one line, no trace."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except KeyboardInterrupt as stop:
        print(f"\n{stop or 'interrupted'}", file=sys.stderr)
        return 130
    except (ValueError, OSError, RuntimeError) as error:
        if options.trace:
            raise
        print(f"error: {error}\n(--trace shows where)", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m kit", description=__doc__)
    parser.add_argument("--trace", action="store_true", help="show where an error came from")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = _command(commands, "demo", _demo, "distil, probe, and draw: the main job")
    demo.add_argument("--out", type=Path, default=Path("runs/demo"), help="folder for the results")
    _add_demo_options(demo)

    distill = _command(commands, "distill", _distill, "only distil; also under torchrun")
    distill.add_argument("--out", type=Path, default=Path("runs/distill"), help="folder of the run")
    distill.add_argument("--precision", default="32-true", help="e.g. bf16-mixed on a GPU")
    distill.add_argument("--num-workers", type=int, default=0, help="processes that make batches")
    distill.add_argument("--compile", action="store_true", help="WaffleIron by torch.compile")
    _add_demo_options(distill)
    distill.set_defaults(augment=True)  # as in the paper, for runs longer than the demo's

    features = _command(commands, "features", _features, "write a student's features of all points")
    features.add_argument("--data", default="street", help='"street" or the root of a data set')
    features.add_argument("--checkpoint", type=Path, required=True, help="student.safetensors")
    features.add_argument("--out", type=Path, required=True, help="folder for the features")

    street = _command(
        commands, "street", _street, "write a simulated street as a nuScenes dataroot"
    )
    street.add_argument(
        "--out", type=Path, required=True, help="folder; an interrupted run goes on"
    )
    street.add_argument("--scenes", type=int, default=4, help="pieces of street")
    street.add_argument("--keyframes", type=int, default=3, help="of each, half a second apart")
    street.add_argument(
        "--sensor", default="nuscenes", help="nuscenes (default), pandaset or kitti"
    )
    street.add_argument("--image-size", default="native", help="native (default) or HEIGHTxWIDTH")
    street.add_argument("--seed", type=int, default=0, help="of everything drawn at random")

    pretrain = _command(commands, "pretrain", _pretrain, "make the student that comes with the kit")
    pretrain.add_argument(
        "--out", type=Path, default=Path("runs/pretrain"), help="folder of the run"
    )

    imported = _command(
        commands, "import-checkpoint", _import_checkpoint, "make a published student the kit's own"
    )
    imported.add_argument("file", type=Path, help=".pth or .tar.gz of ScaLR, ScaLR+ or WaffleIron")
    imported.add_argument("--out", type=Path, help="default: the same name, .safetensors, here")
    imported.add_argument("--activation", choices=("relu", "gelu"), help="default: by its head")
    imported.add_argument(
        "--fov",
        type=float,
        nargs=3,
        default=(64.0, 64.0, 8.0),
        metavar=("X", "Y", "Z"),
        help="half extents of its field of view, metres (default: ScaLR's 64 64 8)",
    )
    imported.add_argument("--cell-size", type=float, default=0.5, help="metres (default: 0.5)")

    bench = _command(commands, "bench", _bench, "measure; prints a table, writes JSON")
    bench.add_argument("name", help="what to measure; a wrong name lists what there is")
    bench.add_argument("--data", help="the root of a data set; the street by default")
    bench.add_argument("--device", choices=("cpu", "cuda"), help="default: a GPU if there is one")
    bench.add_argument("--out", type=Path, help="JSON file for the figures")
    return parser


def _command(commands, name: str, run, words: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=words, description=words)
    command.set_defaults(run=run)
    return command


def _add_demo_options(command: argparse.ArgumentParser) -> None:
    """Options that are not given are left out, so DemoConfig's own defaults hold."""

    def add(name: str, kind: type, words: str) -> None:
        command.add_argument(name, type=kind, default=argparse.SUPPRESS, help=words)

    add("--data", str, '"street" (default) or the root of a data set in the nuScenes schema')
    add("--teacher", str, "efficientnet_lite0 (default), dinov2_vitb14, ... or any timm model")
    add("--weights", str, "a local weights file for the teacher")
    add("--student", str, "a preset: wi-6-128 (default), wi-12-128, minkunet-18, ...")
    add("--depth", int, "layers, instead of the preset's")
    add("--width", int, "channels, instead of the preset's")
    add("--voxel-size", float, "metres; one point is kept per voxel")
    add("--points-per-view", int, "most points a camera view gives to a step")
    add("--steps", int, "steps of the distillation")
    add("--batch-size", int, "camera views per step")
    add("--lr", float, "highest learning rate")
    command.add_argument(
        "--augment",
        action=argparse.BooleanOptionalAction,
        default=argparse.SUPPRESS,
        help="turn, flip and scale the points (demo: off, distill: on)",
    )
    add("--probe-steps", int, "steps of each linear probe")
    add("--seed", int, "of weights, draws and probes")


def _demo_config(options: argparse.Namespace):
    from kit.demo import DemoConfig

    names = {f.name for f in fields(DemoConfig)}
    return DemoConfig(**{name: value for name, value in vars(options).items() if name in names})


def _demo(options: argparse.Namespace) -> None:
    from kit.demo import demo

    demo(_demo_config(options), options.out)


def _distill(options: argparse.Namespace) -> None:
    from kit.data import open_dataset
    from kit.data.split import split
    from kit.demo import learn
    from kit.store import FeatureCache
    from kit.teacher.teacher import Teacher

    config = _demo_config(options)
    dataset = open_dataset(config.data)
    dataset.prepare()
    parts = split(dataset)
    teacher = Teacher(config.teacher, weights=config.weights)
    changes = {n: getattr(options, n) for n in ("precision", "num_workers", "compile")}
    learn(config, options.out, dataset, parts, teacher, FeatureCache(), **changes)


def _features(options: argparse.Namespace) -> None:
    from kit.features.export import write_features

    write_features(options.data, options.checkpoint, options.out)


def _pretrain(options: argparse.Namespace) -> None:
    from kit.pretrain import pretrain

    pretrain(options.out)


def _import_checkpoint(options: argparse.Namespace) -> None:
    from kit.student.published import import_checkpoint
    from kit.student.scans import InputConfig

    name = options.file.name.removesuffix(".gz").removesuffix(".tar")
    out = options.out or Path(name).with_suffix(".safetensors")
    inputs = InputConfig(fov=tuple(options.fov), cell_size=options.cell_size)
    print(import_checkpoint(options.file, out, activation=options.activation, inputs=inputs))
    print(f"written to {out}: kit.load_student({str(out)!r})")


def _bench(options: argparse.Namespace) -> None:
    from kit import bench

    bench.run(options.name, options.data, options.out, options.device)


def _street(options: argparse.Namespace) -> None:
    from kit.street.dataroot.writer import write_dataroot
    from kit.street.dataset import Street

    size = _image_size(options.image_size)
    street = Street(options.scenes, options.keyframes, size, options.seed, options.sensor)
    write_dataroot(street, options.out)


def _image_size(text: str) -> tuple[int, int] | None:
    if text == "native":
        return None
    try:
        height, width = map(int, text.lower().split("x"))
    except ValueError:
        raise ValueError(
            f"--image-size must be native or HEIGHTxWIDTH such as 448x896, got {text}"
        ) from None
    return height, width


if __name__ == "__main__":
    sys.exit(main())
