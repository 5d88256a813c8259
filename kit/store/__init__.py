"""Files: atomic, checksummed writes; nothing is unpickled.

In: tensors, settings, rows of a table. Out: files that are whole or absent, and found damaged if a
byte has changed. Read `files.py` first (the only place that writes), then `serialisation.py`,
`runs.py` and `cache.py`.
"""

from kit.store.files import *  # noqa: F403
from kit.store.files import (  # noqa: F401
    CHECKPOINT,
    LOCK,
    PART,
)
