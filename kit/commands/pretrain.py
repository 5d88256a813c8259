"""Make the student that comes with the kit, and the figures beside it: `python -m kit pretrain`."""

from pathlib import Path

from kit.demo import DemoConfig, demo, small
from kit.distill.settings import DistillConfig
from kit.store import files as store
from kit.street.dataset import Street
from kit.student.checkpoints import load_student, save_student
from kit.student.pretrained import FOLDER

COMMAND = "python -m kit pretrain"
NAME = "street"
SCENES = {"num_scenes": 60, "keyframes_per_scene": 1}  # many short scenes: variety is what counts
CONFIG = DemoConfig(
    student=small("wi-12-128", 4000),
    distill=DistillConfig(steps=700, batch_size=2, lr=5e-3),
)


def pretrain(run: str | Path = "runs/pretrain", folder: str | Path = FOLDER) -> dict:
    """Distil and probe on many scenes of the street; write weights and figures into `folder`.

    Args:
        run: folder of the run; an interrupted one goes on.
        folder: where `kit.pretrained` looks.
    """
    run, folder = Path(run), Path(folder)
    metrics = demo(CONFIG, run, dataset=Street(**SCENES))
    student = load_student(run / "student.safetensors")
    metrics["config"]["data"] = {"street": SCENES}
    figures = {**metrics, "command": COMMAND}
    save_student(student, folder / f"{NAME}.safetensors", command=COMMAND)
    store.write_json(folder / f"{NAME}.json", figures)
    return figures
