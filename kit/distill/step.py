"""One step of a distillation: the features of teacher and student, the loss, and the update.

Devices, precision and several processes are Lightning Fabric's.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Float
from lightning.fabric import Fabric
from torch import Tensor, nn

from kit.distill.balance import balance
from kit.distill.batches import TrainingBatch, timed
from kit.distill.class_token import WithClassToken
from kit.distill.loss_inputs import loss_inputs
from kit.distill.losses import compute_loss, needs
from kit.distill.losses.pointwise import cosine_loss
from kit.distill.ranks import mean_of_all, share_of_mean
from kit.distill.settings import DistillConfig
from kit.store import FeatureCache
from kit.student.student import Student
from kit.teacher.camera_maps import camera_class_tokens, camera_maps
from kit.teacher.teacher import Teacher


class DistillStep:
    """Teacher, student and optimizer; a call makes one step.

    Args:
        teacher: frozen.
        student: trained in place.
        config: gives the loss and the optimizer's settings.
        fabric: device, precision and processes.
        cache: keeps the teacher's feature maps, so that it computes each image once.

    Attributes:
        student: as it was given, without the wrappers of Fabric.
        trained: everything that is trained: the student, or more with a class-token term.
        optimizer: likewise.
        device: of the computation.
        seconds: the time spent so far, by stage.
    """

    def __init__(
        self,
        teacher: Teacher,
        student: Student,
        config: DistillConfig,
        fabric: Fabric,
        cache: FeatureCache | None = None,
    ):
        self.teacher, self.student = teacher.to(fabric.device), student
        self.trained = student
        if config.class_token:
            self.trained = WithClassToken(student, teacher.dim, config.seed)
        self.optimizer = torch.optim.AdamW(
            self.trained.parameters(),
            lr=config.lr,
            weight_decay=config.weight_decay,
            fused=True if fabric.device.type == "cuda" else None,
        )
        self._loss, self._superpixels = config.loss, config.superpixels
        self._balance, self._class_token = config.balance, config.class_token
        self._fabric, self._cache, self.device = fabric, cache, fabric.device
        self._wrapped, self._wrapped_optimizer = fabric.setup(
            _FromFunction(self.trained), self.optimizer
        )
        self._wrapped.train()
        self.seconds: dict[str, float] = {}

    def __call__(self, batch: TrainingBatch, lr: float) -> Float[Tensor, ""]:
        """Make one step with the learning rate `lr`; returns the loss before the update.

        It is the mean over the pairs of all processes, and stays on the device: to read it waits
        until the GPU has finished the step.
        """
        for stage, seconds in batch.seconds.items():
            self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        with timed(self.seconds, "teacher"):
            cameras = [view.camera for view in batch.views]
            images = [view.image for view in batch.views]
            maps = camera_maps(self.teacher, cameras, self._cache, images=images)
        with timed(self.seconds, "student"):
            batch = replace(batch, points=batch.points.to(self._fabric.device))
            student_feat, predicted = self._wrapped(lambda: batch)  # (N, D), class tokens or None
        with timed(self.seconds, "loss"):
            wanted, kind = needs(self._loss) | {"ranges"}, self._superpixels
            inputs = loss_inputs(batch, maps, student_feat.float(), wanted, kind)
            loss = compute_loss(self._loss, balance(inputs, self._balance))
            loss = share_of_mean(loss, batch.num_pairs, self._fabric)
            if predicted is not None:
                target = camera_class_tokens(self.teacher, cameras, self._cache, images)
                token_loss = cosine_loss(predicted.float(), target)
                token_loss = share_of_mean(token_loss, len(cameras), self._fabric)
                loss = loss + self._class_token * token_loss
        with timed(self.seconds, "student"):
            self._fabric.backward(loss)
            self._wrapped_optimizer.step()
            self._wrapped_optimizer.zero_grad()
        return mean_of_all(loss, self._fabric)


class _FromFunction(nn.Module):
    """What is trained, and its batch is the result of a function.

    If Fabric is given a batch itself, it takes it apart to convert its tensors for mixed precision,
    and it cannot put frozen dataclasses together again.
    """

    def __init__(self, trained: Student | WithClassToken):
        super().__init__()
        self.trained = trained

    def forward(self, batch: Callable[[], TrainingBatch]) -> tuple[Tensor, Tensor | None]:
        if isinstance(self.trained, WithClassToken):
            return self.trained(batch())
        return self.trained(batch().points), None
