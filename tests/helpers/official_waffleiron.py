"""WaffleIron as its authors' classes compute it, in plain torch: an oracle for imported files.

Scans are (B, C, N), cells are averaged and read back by sparse matrices. Names of parameters are
those of the published files.

Source: WaffleIron (arXiv:2301.10100) and ScaLR (arXiv:2310.17504), their code, written anew.
"""

import torch
from torch import nn


class LayerNorm(nn.LayerNorm):
    def forward(self, x):
        return super().forward(x.permute(0, 2, 1)).permute(0, 2, 1)


class Embedding(nn.Module):
    def __init__(self, channels_in, channels):
        super().__init__()
        self.norm = nn.BatchNorm1d(channels_in)
        self.conv1 = nn.Conv1d(channels_in, channels, 1)
        self.conv2 = nn.Sequential(
            nn.BatchNorm2d(channels_in),
            nn.Conv2d(channels_in, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 1, bias=False),
        )
        self.final = nn.Conv1d(2 * channels, channels, 1)

    def forward(self, x, neighbors):
        x = self.norm(x)
        point_emb = self.conv1(x)
        near = [scan[:, index] for scan, index in zip(x, neighbors, strict=True)]  # (C, K, N)
        neigh_emb = self.conv2(torch.stack(near) - x[:, :, None]).max(2).values
        return self.final(torch.cat((point_emb, neigh_emb), dim=1))


class SpatialMix(nn.Module):
    def __init__(self, channels, act):
        super().__init__()
        self.norm = LayerNorm(channels)
        self.ffn = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels),
            act(),
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels),
        )
        self.scale = nn.Conv1d(channels, channels, 1, bias=False, groups=channels)

    def forward(self, tokens, flatten, inflate, grid):
        residual = self.norm(tokens)
        residual = torch.bmm(flatten, residual.transpose(1, 2)).transpose(1, 2)
        residual = self.ffn(residual.unflatten(2, grid)).flatten(2)
        residual = torch.bmm(inflate, residual.transpose(1, 2)).transpose(1, 2)
        return tokens + self.scale(residual)


class ChannelMix(nn.Module):
    def __init__(self, channels, act):
        super().__init__()
        self.norm = LayerNorm(channels)
        self.mlp = nn.Sequential(
            nn.Conv1d(channels, channels, 1), act(), nn.Conv1d(channels, channels, 1)
        )
        self.scale = nn.Conv1d(channels, channels, 1, bias=False, groups=channels)

    def forward(self, tokens):
        return tokens + self.scale(self.mlp(self.norm(tokens)))


def projections(cell, num_cells):
    """Sparse matrices of one plane: (1, cells, N) that averages, (1, N, cells) that copies."""
    count = cell.shape[1]
    index = torch.stack([torch.zeros(count, dtype=torch.int64), cell[0], torch.arange(count)])
    shape = {"size": (1, num_cells, count), "check_invariants": False}
    inflate = torch.sparse_coo_tensor(index, torch.ones(count), **shape)
    per_cell = torch.bmm(inflate, torch.ones(1, count, 1))
    per_point = torch.bmm(inflate.transpose(1, 2), per_cell).reshape(-1)
    flatten = torch.sparse_coo_tensor(index, 1 / (per_point + 1e-6), **shape)
    return flatten, inflate.transpose(1, 2)


class Backbone(nn.Module):
    def __init__(self, channels, depth, grids, act):
        super().__init__()
        self.grids = grids
        self.channel_mix = nn.ModuleList(ChannelMix(channels, act) for _ in range(depth))
        self.spatial_mix = nn.ModuleList(SpatialMix(channels, act) for _ in range(depth))

    def forward(self, tokens, cells):
        planes = [
            (*projections(cells[:, plane], rows * columns), (rows, columns))
            for plane, (rows, columns) in enumerate(self.grids)
        ]
        for depth, (smix, cmix) in enumerate(zip(self.spatial_mix, self.channel_mix, strict=True)):
            tokens = cmix(smix(tokens, *planes[depth % len(planes)]))
        return tokens


class Segmenter(nn.Module):
    """The whole network: features (1, D, N) of a scan in the teacher's space."""

    def __init__(self, channels, depth, grids, head, act):
        super().__init__()
        self.embed = Embedding(5, channels)
        self.waffleiron = Backbone(channels, depth, grids, act)
        hidden, out = head
        self.classif = nn.Sequential(
            nn.Conv1d(channels, hidden, 1), nn.ReLU(inplace=True), nn.Conv1d(hidden, out, 1)
        )

    def forward(self, feats, cells, neighbors):
        tokens = self.waffleiron(self.embed(feats, neighbors), cells)
        return tokens, self.classif(tokens)
