"""Settings of an ablation's runs: those of the main job, and what else is measured."""

from dataclasses import dataclass

from kit.demo import DemoConfig
from kit.evaluate.corruptions import CORRUPTIONS
from kit.evaluate.fine_tuning import FineTuneConfig


@dataclass(frozen=True)
class AblationConfig(DemoConfig):
    """Settings of one run of an ablation.

    Attributes:
        fine_tune: also fine-tune the student with the labels of the training keyframes; a row then
            has the column fine_tuned, its mIoU on all points. None: only the linear probe.
        corruptions: names of `kit.evaluate.CORRUPTIONS`; a row then has the columns mrr, the mean
            resilience rate of the linear probe, clean, its mIoU on scans as they are, and one for
            each corruption and severity, such as "fog 2".

    Raises:
        ValueError: an unknown corruption.
    """

    fine_tune: FineTuneConfig | None = None
    corruptions: tuple[str, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        if unknown := [name for name in self.corruptions if name not in CORRUPTIONS]:
            raise ValueError(f"no corruption {unknown[0]!r}; there are {', '.join(CORRUPTIONS)}")
