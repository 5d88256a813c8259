import pytest
from roots import copy_root


@pytest.fixture
def nuscenes_copy(shared_data, tmp_path):
    return copy_root(shared_data / "nuscenes", tmp_path / "nuscenes")


@pytest.fixture
def pandaset_copy(shared_data, tmp_path):
    return copy_root(shared_data / "pandaset", tmp_path / "pandaset", rows=2000)
