"""Reader of Feather tables (Apache Arrow): checked columns of numbers and texts."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from kit.store.reading import read_regular


def read_feather(
    file: Path, columns: Iterable[str], texts: Iterable[str] = ()
) -> dict[str, np.ndarray]:
    """Read columns of a Feather table.

    Args:
        file: Feather, version 1 or 2.
        columns: of finite numbers; needed.
        texts: columns of texts; needed.

    Returns:
        (R,) values by the name of the column; texts in arrays of objects.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no such table, a column is missing, or a value is missing or not finite;
            names the file.
    """
    import pyarrow  # slow import
    from pyarrow import feather

    columns, texts = list(columns), list(texts)
    data = read_regular(file)
    try:
        table = feather.read_table(pyarrow.BufferReader(data))
        found = {name: table[name] for name in (*columns, *texts) if name in table.column_names}
        arrays = {name: values.to_numpy() for name, values in found.items()}
    except (pyarrow.ArrowException, OSError, ValueError, MemoryError) as error:
        reason = str(error).partition("\n")[0][:200]
        raise ValueError(
            f"{file}: expected a Feather table ({reason}). Is the download complete?"
        ) from error
    if absent := [name for name in (*columns, *texts) if name not in arrays]:
        raise ValueError(
            f"{file}: expected the columns {', '.join((*columns, *texts))}, without "
            f"{', '.join(absent)}; found {', '.join(table.column_names)[:200]}"
        )
    for name in columns:
        values = arrays[name]
        if values.dtype.kind not in "fiu" or not np.isfinite(values).all():
            raise ValueError(f"{file}: column {name!r}: expected finite numbers")
    for name in texts:
        if not all(isinstance(value, str) for value in arrays[name].tolist()):
            raise ValueError(f"{file}: column {name!r}: expected texts")
    return arrays
