"""Distillation losses by name."""

from kit.distill.losses.pointwise import cosine_loss, distillation_loss, squared_l2_loss

LOSSES = {"l2": distillation_loss, "cosine": cosine_loss, "squared_l2": squared_l2_loss}
