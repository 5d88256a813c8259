"""Learning-rate factors by step: pure functions, checked against the published schedules."""

import math


def warmup_cosine(step: int, *, warmup: int, total: int, minimum: float = 0.0) -> float:
    """Rise linearly from 0 to 1, then fall along a cosine to `minimum` at step `total`.

    Source: ScaLR (arXiv:2310.17504): warm-up of 3,500 steps, cosine to 1e-5 of 2e-3.
    """
    if step < warmup:
        return step / warmup
    progress = min((step - warmup) / max(total - warmup, 1), 1)
    return minimum + (1 - minimum) * 0.5 * (1 + math.cos(math.pi * progress))


def warmup_rsqrt_cooldown(
    step: int, *, warmup: int, total: int, cooldown: int, timescale: float
) -> float:
    """Rise linearly, fall like one over a square root, go linearly to 0 from step `cooldown`.

    The published cool-down starts from the square-root factor of `cooldown` steps counted without
    the warm-up, a hair below where the fall ends; kept as it is.

    Source: ScaLR+ (the `scalr_plus` branch of the published code): time scale of 0.45 epoch.
    """
    if step < warmup:
        return step / warmup
    if step <= cooldown:
        return 1 / math.sqrt(1 + (step - warmup) / timescale)
    left = max(total - 1 - step, 0) / max(total - 1 - cooldown, 1)
    return left / math.sqrt(1 + cooldown / timescale)
