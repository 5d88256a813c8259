"""Export of a street in the nuScenes schema.

Takes a `Street`, and writes a folder that nuscenes-devkit and `kit.open_dataset` open. Read
`writer.py` first (sensor files, labels and maps), then `tables.py` (the JSON tables).
"""
