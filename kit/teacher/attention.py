"""Attention of an image transformer to each point, as FOUND uses it to find the background."""

import torch
from jaxtyping import Float
from torch import Tensor

from kit.teacher.teacher import Teacher

EPS = 1e-10


@torch.no_grad()
def attention_map(teacher: Teacher, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 1 h w"]:
    """Attention of the class token to every patch in the last block, as a weighted sum over heads.

    A head that attends to a small part of the image has a larger weight.

    Args:
        teacher: its network is a transformer with a class token.
        images: in [0, 1], of the teacher's size.

    Raises:
        ValueError: the network has no class token.

    Source: FOUND (CVPR 2023). Take for each head the ratio of patches above the mean attention. A
        head's weight is the logarithm of the sum of all ratios over its own ratio.
    """
    network = teacher.network
    teacher.check_class_token()
    if not hasattr(network, "blocks"):
        raise ValueError(f"the teacher {teacher.name} has no blocks, so it has no attention map")
    attention, inputs = network.blocks[-1].attn, []
    hook = attention.register_forward_pre_hook(lambda module, args: inputs.append(args[0]))
    try:
        network.forward_features(teacher.normalise(images))
    finally:
        hook.remove()
    heads = _class_attention(attention, inputs[0])[:, :, network.num_prefix_tokens :]  # (B, A, L)
    ratio = (heads > heads.mean((1, 2), keepdim=True)).float().mean(2) + EPS  # (B, A)
    weight = (ratio.sum(1, keepdim=True) / ratio).log()
    summed = (weight[:, :, None] * heads).sum(1)  # (B, L)
    return summed[:, None].unflatten(2, network.patch_embed.grid_size)


def _class_attention(attention, tokens: Float[Tensor, "B L D"]) -> Float[Tensor, "B A L"]:
    """The attention of the first token in each of A heads, as timm computes it."""
    batch, length, _ = tokens.shape
    qkv = attention.qkv(tokens).reshape(batch, length, 3, attention.num_heads, -1)
    query, key, _ = qkv.permute(2, 0, 3, 1, 4)
    query, key = attention.q_norm(query), attention.k_norm(key)
    return (query[:, :, :1] @ key.mT * attention.scale).softmax(-1)[:, :, 0]
