"""Copies of nuScenes roots that a test may modify: sensor files are links, tables are copies."""

import json
import shutil

VERSION = "v1.0-mini"


def copy_root(source, target, rows=None):
    """Link the sensor files of a root and copy its tables.

    With `rows`, scans and labels are copies of their first rows only, which are faster to read.
    """
    for path in sorted((source, *source.rglob("*"))):
        copy = target / path.relative_to(source)
        if path.is_dir():
            copy.mkdir(parents=True, exist_ok=True)
        elif path.suffix == ".json":
            shutil.copyfile(path, copy)
        elif rows and path.suffix == ".bin":
            copy.write_bytes(path.read_bytes()[: rows * (20 if ".pcd" in path.name else 1)])
        else:
            copy.symlink_to(path)
    return target


def read(root, table):
    return json.loads((root / VERSION / f"{table}.json").read_text())


def write(root, table, records):
    (root / VERSION / f"{table}.json").write_text(json.dumps(records))


def edit(root, table, change, only=lambda record: True):
    """Apply `change` to the records of a table for which `only` holds."""
    records = read(root, table)
    for record in records:
        if only(record):
            change(record)
    write(root, table, records)


def sensor_files(root, channel):
    return sorted((root / "samples" / channel).iterdir())


def replace_file(file, data):
    file.unlink()
    file.write_bytes(data)
