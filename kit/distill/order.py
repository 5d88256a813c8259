"""The order in which a distillation draws keyframes, from one data set or from a mixture.

The keyframe of a draw depends on the seed and the number of the draw only, so a run that was
stopped continues with the same ones.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Generator

from kit.data.keyframe import Dataset
from kit.data.mixture import Mixture

GOLDEN = (5**0.5 - 1) / 2  # its multiples modulo 1 are spread more evenly than random numbers
PARTS_OF = 1000  # the first of the numbers that identify the random orders of a mixture's parts


class DrawOrder:
    """The keyframe of every draw.

    Each keyframe of a data set is drawn once per epoch, in a random order. The draws of a mixture
    are divided among its data sets by their weights: after any number of draws, each data set was
    drawn in proportion to its weight, up to a few draws. Within a data set, again each keyframe is
    drawn once per epoch.

    Args:
        dataset: one data set or a `Mixture`.
        keyframes: indices to draw from. Weights of data sets without any of them do not count.
        seed: of the orders.
        draws: number of draws in the whole run.

    Attributes:
        groups: the keyframes by data set.
        weights: how often each group is drawn, relative to the others.
    """

    def __init__(self, dataset: Dataset, keyframes: Sequence[int], seed: int, draws: int):
        self.seed, self.draws = seed, draws
        self.groups, self.weights = [tuple(keyframes)], (1.0,)
        if isinstance(dataset, Mixture):
            members: list[list[int]] = [[] for _ in dataset.parts]
            for index in keyframes:
                members[dataset.part_of(index)[0]].append(index)
            used = [(tuple(m), w) for m, w in zip(members, dataset.weights, strict=True) if m]
            total = sum(weight for _, weight in used)
            self.groups = [group for group, _ in used]
            self.weights = tuple(weight / total for _, weight in used)

    def __call__(self, draw: int) -> int:
        """The keyframe of a draw, counted from 0."""
        if len(self.groups) == 1:
            return self._member(0, draw, 0)
        group = int(self._groups_of_draws[draw])
        return self._member(group, int(self._ranks[draw]), PARTS_OF + group)

    def others(self, draw: int) -> list[int]:
        """Keyframes to draw if nothing can be learned from that of a draw, in random order.

        Those of the same data set come first.
        """
        generator = self.generator(draw, 2)
        first = 0 if len(self.groups) == 1 else int(self._groups_of_draws[draw])
        groups = [self.groups[first], *self.groups[:first], *self.groups[first + 1 :]]
        return [g[i] for g in groups for i in torch.randperm(len(g), generator=generator).tolist()]

    def generator(self, number: int, purpose: int) -> Generator:
        """The random numbers of a draw or an epoch for one purpose."""
        state = np.random.SeedSequence((self.seed, number, purpose)).generate_state(1, np.uint64)
        return Generator().manual_seed(int(state[0]) >> 1)

    def _member(self, group: int, rank: int, purpose: int) -> int:
        members = self.groups[group]
        epoch, position = divmod(rank, len(members))
        order = torch.randperm(len(members), generator=self.generator(epoch, purpose))
        return members[order[position]]

    @cached_property
    def _groups_of_draws(self) -> np.ndarray:
        """The group of each draw: a low-discrepancy sequence, cut at the cumulative weights."""
        start = np.random.default_rng(self.seed).random()
        value = (start + GOLDEN * np.arange(self.draws)) % 1
        borders = np.cumsum(self.weights)[:-1]
        return np.searchsorted(borders, value, side="right").astype(np.uint8)

    @cached_property
    def _ranks(self) -> np.ndarray:
        """For each draw, the number of earlier draws from the same group."""
        ranks = np.empty(self.draws, np.int64)
        for group in range(len(self.groups)):
            members = self._groups_of_draws == group
            ranks[members] = np.arange(members.sum())
        return ranks
