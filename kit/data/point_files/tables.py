"""Tables with a column per quantity: CSV, Parquet and Feather, read by Apache Arrow."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from kit.data.point_files.columns import MAX_ROWS, Layout
from kit.store.reading import read_regular

_DELIMITERS = (",", ";", "\t", " ")


def read_csv(file: Path, layout: Layout) -> dict[str, np.ndarray]:
    """Read a text table whose first line names the columns; without it, the layout names them."""
    from pyarrow import csv

    data = read_regular(file)
    first = data[:10_000].partition(b"\n")[0].decode("utf-8-sig", "replace").strip()
    delimiter = max(_DELIMITERS, key=first.count)
    named = not all(_is_value(each) for each in first.split(delimiter))
    if not named and layout.columns is None:
        raise ValueError(
            f"{file}: expected a first line with the names of the columns, such as x,y,z,intensity,"
            f" got {first[:60]!r}. Name the columns as an option or in recording.json"
        )
    options = csv.ReadOptions(column_names=None if named else list(layout.columns))
    split = csv.ParseOptions(delimiter=delimiter)
    return _columns(file, data, lambda source: csv.read_csv(source, options, split))


def _is_value(cell: str) -> bool:
    """Whether a cell of a text table is a number or stands for a missing one, such as nan."""
    from pyarrow import csv

    cell = cell.strip().strip('"')
    try:
        float(cell)
    except ValueError:
        return cell in csv.ConvertOptions().null_values
    return True


def read_parquet(file: Path, layout: Layout) -> dict[str, np.ndarray]:
    """Read a Parquet table."""
    from pyarrow import parquet

    return _columns(file, read_regular(file), parquet.read_table)


def read_feather(file: Path, layout: Layout) -> dict[str, np.ndarray]:
    """Read a Feather table."""
    from pyarrow import feather

    return _columns(file, read_regular(file), feather.read_table)


def _columns(file: Path, data: bytes, read: Callable) -> dict[str, np.ndarray]:
    """All columns of numbers; missing values are NaN."""
    import pyarrow

    try:
        table = read(pyarrow.BufferReader(data))
    except (pyarrow.ArrowException, OSError, ValueError, MemoryError) as error:
        reason = str(error).partition("\n")[0][:200]
        raise ValueError(
            f"{file}: cannot read this {file.suffix[1:]} table ({reason}). Is it complete?"
        ) from error
    if not 0 < table.num_rows <= MAX_ROWS:
        raise ValueError(f"{file}: expected 1 to {MAX_ROWS:,} rows, got {table.num_rows:,}")
    columns = {}
    for name in table.column_names:
        values = table[name].to_numpy()
        if values.dtype.kind in "fiu":
            columns[name.strip().strip("#/").strip().lower()] = values
    return columns
