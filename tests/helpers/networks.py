"""Weights of timm's networks for tests."""

import timm
import torch


def some_state(model, image_size=None, scale=0.02):
    """A state dict in timm's names without the time that random initialisation takes."""
    size = {} if image_size is None else {"img_size": image_size}
    with torch.device("meta"):
        wanted = timm.create_model(model, num_classes=0, **size).state_dict()
    generator = torch.Generator().manual_seed(0)
    return {k: torch.randn(v.shape, generator=generator) * scale for k, v in wanted.items()}


def same(network, state):
    """Whether a network has these weights."""
    return all(torch.equal(network.state_dict()[name], value) for name, value in state.items())
