"""Learning-rate schedules: pure functions that give the factor of each step."""

import math


def warmup_cosine(step: int, *, warmup: int, total: int, minimum: float = 0.0) -> float:
    """Rise linearly from 0 to 1, then fall along a cosine to `minimum` at step `total`.

    Args:
        step: counted from 0.
        warmup: number of steps in which the factor rises.
        total: the step at which the factor is `minimum`.
        minimum: the last factor.

    Source: ScaLR (arXiv:2310.17504): warm-up of 3,500 steps, cosine to 1e-5 of 2e-3.
    """
    if step < warmup:
        return step / warmup
    progress = min((step - warmup) / max(total - warmup, 1), 1)
    return minimum + (1 - minimum) * 0.5 * (1 + math.cos(math.pi * progress))


def warmup_rsqrt_cooldown(
    step: int, *, warmup: int, total: int, cooldown: int, timescale: float
) -> float:
    """Rise linearly, fall like an inverse square root, then linearly to 0 from step `cooldown`.

    Args:
        step: counted from 0.
        warmup: number of steps in which the factor rises from 0 to 1.
        total: number of all steps.
        cooldown: the step at which the linear fall begins.
        timescale: number of steps in which the factor falls from 1 to 1 / sqrt(2).

    The linear fall begins a little below the last value of the inverse square root, because the
    published code counts its steps without the warm-up there.

    Source: ScaLR+ (the `scalr_plus` branch of the published code): time scale of 0.45 epoch.
    """
    if step < warmup:
        return step / warmup
    if step <= cooldown:
        return 1 / math.sqrt(1 + (step - warmup) / timescale)
    left = max(total - 1 - step, 0) / max(total - 1 - cooldown, 1)
    return left / math.sqrt(1 + cooldown / timescale)
