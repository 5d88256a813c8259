"""Files: atomic, checksummed writes; nothing is unpickled.

In: tensors, settings, rows of a table. Out: files that are never half-written, and whose checksum
shows damage. Read `files.py` first (the only module that writes), then `cache.py` (a cache of
tensors), `runs.py` (run folders and checkpoints) and `reading.py` (how files are opened).
"""

from kit.store.cache import FeatureCache, default_cache_folder
from kit.store.files import (
    LOCK,
    PART,
    append_jsonl,
    check_place,
    load_tensors,
    path_for,
    read_json,
    read_jsonl,
    save_tensors,
    sha256_of,
    truncate_jsonl,
    write_bytes,
    write_json,
    write_text,
)
from kit.store.machine import fast, keep_freed_memory, num_cores, peak_memory, versions
from kit.store.plain import from_plain
from kit.store.run_lock import OWNER, RUN_LOCK, lock_run
from kit.store.runs import (
    CHECKPOINT,
    RUN,
    Checkpoint,
    describe_run,
    load_checkpoint,
    save_checkpoint,
    start_run,
)
from kit.store.serialisation import to_json, to_plain
from kit.store.torch_files import read_torch_file

__all__ = [
    "CHECKPOINT",
    "LOCK",
    "OWNER",
    "PART",
    "RUN",
    "RUN_LOCK",
    "Checkpoint",
    "FeatureCache",
    "append_jsonl",
    "check_place",
    "default_cache_folder",
    "describe_run",
    "fast",
    "from_plain",
    "keep_freed_memory",
    "load_checkpoint",
    "load_tensors",
    "lock_run",
    "num_cores",
    "path_for",
    "peak_memory",
    "read_json",
    "read_jsonl",
    "read_torch_file",
    "save_checkpoint",
    "save_tensors",
    "sha256_of",
    "start_run",
    "to_json",
    "to_plain",
    "truncate_jsonl",
    "versions",
    "write_bytes",
    "write_json",
    "write_text",
]
