"""Reader of the scans of nuScenes: files of rows of five float32 values without a header."""

from pathlib import Path

from kit.data import scans
from kit.data.scans import Scan

COLUMNS = 5  # x, y, z, intensity, ring


def read_scan(file: Path) -> Scan:
    """Read a scan; rows that are not valid are dropped, see `kit.data.scans.read_scan`."""
    return scans.read_scan(file, COLUMNS)
