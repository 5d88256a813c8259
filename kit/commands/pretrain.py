"""Make the student that comes with the kit, and the figures beside it: `python -m kit pretrain`."""

from pathlib import Path

from kit.data.mixture import Mixture
from kit.demo import DemoConfig, plain_config, small, untrained_student
from kit.distill.loop import distill
from kit.distill.settings import DistillConfig
from kit.evaluate.baselines import position
from kit.evaluate.by_data_set import probe_each
from kit.store import FeatureCache
from kit.store import files as store
from kit.store.machine import versions
from kit.street.dataset import Street
from kit.student.checkpoints import save_student
from kit.student.pretrained import FOLDER
from kit.teacher.presets import build_teacher

COMMAND = "python -m kit pretrain"
NAME = "street"
# Many short scenes and several lidars: variety is what counts. By rig: seed, scenes, weight.
STREETS = {"nuscenes": (7000, 80, 3), "pandaset": (7001, 80, 4), "kitti": (7002, 60, 2)}
PROBED = {"num_scenes": 60, "keyframes_per_scene": 1}  # of seed 0: other scenes than those above
CONFIG = DemoConfig(
    student=small("wi-12-128", 4000),
    distill=DistillConfig(
        steps=4000,
        batch_size=2,
        lr=5e-3,
        beam_drop=0.3,
        sensor_jitter=0.5,
        checkpoint_every=50,
    ),
)


def pretrain(run: str | Path = "runs/pretrain", folder: str | Path = FOLDER) -> dict:
    """Distil on many scenes of the street, probe on others; write weights and figures.

    Args:
        run: folder of the run; an interrupted one goes on.
        folder: gets street.safetensors and street.json; where `kit.pretrained` looks.

    Returns:
        The content of street.json.

    Raises:
        KeyboardInterrupt: it was interrupted; the same call goes on.
    """
    data, teacher, cache = streets(), build_teacher(CONFIG.teacher), FeatureCache()
    data.prepare()
    random = untrained_student(CONFIG, teacher)
    run = distill(
        data, teacher, untrained_student(CONFIG, teacher), CONFIG.distill, out=run, cache=cache
    )
    if run.interrupted:
        raise KeyboardInterrupt("interrupted; the same command goes on")
    models = {"position": position, "random": random.eval(), "distilled": run.student}
    models["teacher"] = teacher
    (probed,) = probe_each(models, Street(**PROBED), CONFIG.probe, cache).values()
    names = ("seed", "num_scenes", "weight")
    distilled_on = {rig: dict(zip(names, each, strict=True)) for rig, each in STREETS.items()}
    figures = {
        "command": COMMAND,
        "config": {**plain_config(CONFIG), "data": {"street": distilled_on}},
        "data": {"name": "street", "keyframes": PROBED["num_scenes"], "split": probed.parts.rule},
        "linear_probe": probed.plain(),
        "seconds": run.history[-1]["seconds"],
        "versions": versions(),
    }
    folder = Path(folder)
    save_student(run.student, folder / f"{NAME}.safetensors", command=COMMAND)
    store.write_json(folder / f"{NAME}.json", figures)
    return figures


def streets() -> Mixture:
    """The scenes that the student is distilled on."""
    parts = [Street(scenes, 1, seed=seed, sensor=rig) for rig, (seed, scenes, _) in STREETS.items()]
    return Mixture(parts, [weight for _, _, weight in STREETS.values()])
