"""A street written to disk in the nuScenes schema.

In: a street. Out: a folder that nuscenes-devkit opens. Read `writer.py` first.
"""
