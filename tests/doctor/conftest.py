"""A street with two keyframes; recordings with planted faults are made from it."""

import pytest

import kit


@pytest.fixture(scope="session")
def keyframes():
    street = kit.open_dataset("street", num_scenes=1, keyframes_per_scene=2, image_size=(320, 640))
    return [street[i] for i in range(len(street))]
