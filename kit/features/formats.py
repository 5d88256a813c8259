"""Features of points in files for other programs: Parquet, LAS, Rerun."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from kit import store
from kit.data import open_dataset
from kit.data.keyframe import Keyframe
from kit.features.rerun_file import RerunWriter

MOST_LAS_CHANNELS = 300  # a LAS header describes each channel in 192 of at most 65,535 bytes


def convert_files(data: str | Path, files: Sequence[Path], kind: str) -> list[Path]:
    """Write features of `write_features` in another format, beside each file.

    Args:
        data: the data set that the features were computed from.
        files: of every keyframe, in the data set's order.
        kind: one of `FORMATS`.

    Raises:
        ValueError: an unknown format, or it cannot hold so many channels.
        ImportError: the package of the format is not installed.
    """
    if kind not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, got {kind!r}")
    dataset, made, write = open_dataset(data), [], FORMATS[kind]()
    for index, file in enumerate(files):
        tensors, meta = store.load_tensors(file)
        made.append(file.with_suffix(f".{kind}"))
        store.write_bytes(made[-1], write(dataset[index], tensors, meta))
    return made


def _columns(keyframe: Keyframe, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """x, y, z (metres, lidar frame) and intensity of every row of the file; NaN where not valid."""
    count = len(tensors["valid"])
    values = torch.full((count, 4), torch.nan)
    values[keyframe.row_in_file, :3] = keyframe.points
    values[keyframe.row_in_file, 3] = keyframe.intensity
    return dict(zip(("x", "y", "z", "intensity"), values.unbind(1), strict=True))


def parquet(keyframe: Keyframe, tensors: dict[str, Tensor], meta: dict) -> bytes:
    """A Parquet table: x, y, z, intensity, valid, and a list of numbers for each kind of feature.

    Its metadata has the token, the digests, and the mean and deviation of intensities as text.
    """
    import pyarrow as pa
    import pyarrow.parquet

    columns = {name: pa.array(each.numpy()) for name, each in _columns(keyframe, tensors).items()}
    columns["valid"] = pa.array(tensors["valid"].numpy())
    for name in ("point_feat", "head_feat"):
        feat = tensors[name].contiguous()
        flat = pa.array(feat.flatten().numpy())
        columns[name] = pa.FixedSizeListArray.from_arrays(flat, feat.shape[1])
    table = pa.table(columns)
    table = table.replace_schema_metadata({name: str(value) for name, value in meta.items()})
    sink = pa.BufferOutputStream()
    pyarrow.parquet.write_table(table, sink)
    return sink.getvalue().to_pybytes()


def las(keyframe: Keyframe, tensors: dict[str, Tensor], meta: dict) -> bytes:
    """A LAS 1.4 file: x, y, z, and `f0`, `f1`, ... for the channels of `point_feat`.

    Rows without a finite point are left out, because LAS cannot hold them.

    Raises:
        ValueError: more than `MOST_LAS_CHANNELS` channels.
        ImportError: laspy is not installed.
    """
    import io

    try:
        import laspy
    except ImportError as error:
        raise ImportError("LAS files need laspy: pip install laspy") from error
    feat = tensors["point_feat"][tensors["valid"]].float()
    if feat.shape[1] > MOST_LAS_CHANNELS:
        raise ValueError(
            f"a LAS file holds at most {MOST_LAS_CHANNELS} channels, the features have "
            f"{feat.shape[1]}: write parquet"
        )
    header = laspy.LasHeader(point_format=6, version="1.4")
    header.scales, header.offsets = [1e-4] * 3, [0.0] * 3  # metres
    names = [f"f{number}" for number in range(feat.shape[1])]
    header.add_extra_dims([laspy.ExtraBytesParams(name, "float32") for name in names])
    file = laspy.LasData(header)
    columns = _columns(keyframe, tensors)
    for axis in "xyz":
        setattr(file, axis, columns[axis][tensors["valid"]].double().numpy())
    for name, values in zip(names, feat.unbind(1), strict=True):
        file[name] = values.numpy()
    sink = io.BytesIO()
    file.write(sink)
    return sink.getvalue()


Writer = Callable[[Keyframe, dict[str, Tensor], dict], bytes]
FORMATS: dict[str, Callable[[], Writer]] = {
    "parquet": lambda: parquet,
    "las": lambda: las,
    "rrd": RerunWriter,
}
