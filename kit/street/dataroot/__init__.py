"""Export of a street in the nuScenes schema.

In: a `Street`. Out: a folder that nuscenes-devkit and `kit.open_dataset` open. Read `writer.py`
first (sensor files, labels and maps), then `tables.py` (the JSON tables).
"""
