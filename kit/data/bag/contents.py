"""What is in a bag: its topics, the times of its messages, its frames and calibrations."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore
from ruamel.yaml import YAML, YAMLError

from kit.data.bag.messages import stamp_of
from kit.data.bag.transforms import Frames, transform_of
from kit.data.untrusted import path_below, shown
from kit.store.reading import read_regular

CLOUD, IMAGES = (
    "sensor_msgs/msg/PointCloud2",
    (
        "sensor_msgs/msg/Image",
        "sensor_msgs/msg/CompressedImage",
    ),
)
INFO, TF, ODOMETRY = "sensor_msgs/msg/CameraInfo", "tf2_msgs/msg/TFMessage", "nav_msgs/msg/Odometry"


@dataclass(frozen=True, slots=True)
class MessageAt:
    """Where a message is in the bag.

    Attributes:
        log_time: nanoseconds, when it was recorded.
        number: among the messages of its topic with the same `log_time`.
        stamp: nanoseconds, of its header; `log_time` if that is unset.
    """

    log_time: int
    number: int
    stamp: int


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn the errors of a damaged bag into a ValueError with its name."""
    try:
        yield
    except PermissionError:
        raise
    except Exception as error:  # rosbags, SQLite and the decompressors raise many types
        reason = str(error).partition("\n")[0][:200] or type(error).__name__
        raise ValueError(
            f"{path}: this bag cannot be read ({reason}). Is the copy complete?"
        ) from error


def _check_metadata(path: Path) -> None:
    """Check the list of files in metadata.yaml: they must be below the folder of the bag.

    Raises:
        ValueError: the file is no description of a bag, or a path leads outside.
    """
    file = path / "metadata.yaml"
    try:
        content = YAML(typ="safe").load(read_regular(file).decode())
        names = content["rosbag2_bagfile_information"]["relative_file_paths"]
    except (YAMLError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ValueError(
            f"{file}: no description of a ROS 2 bag ({type(error).__name__})"
        ) from error
    if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise ValueError(
            f"{file}: relative_file_paths: expected a list of file names, got {shown(names)}"
        )
    for name in names:
        try:
            path_below(path, name)
        except ValueError as error:
            raise ValueError(f"{file}: relative_file_paths: {error}") from error


def open_reader(path: Path) -> AnyReader:
    """Open a bag; message definitions that it lacks are those of ROS 2 Humble."""
    if path.is_dir():
        _check_metadata(path)
    with readable(path):
        reader = AnyReader([path], default_typestore=get_typestore(Stores.ROS2_HUMBLE))
        reader.open()
        for each in reader.connections:
            values = each.topic, each.msgtype, each.msgcount
            if not all(map(isinstance, values, (str, str, int))):
                raise TypeError(f"a topic with the name, type and count {shown(values)}")
    return reader


def topics_of(reader: AnyReader, *kinds: str) -> list[str]:
    """Names of the topics of some message types that have messages."""
    return sorted(
        name
        for name, topic in reader.topics.items()
        if topic.msgtype in kinds and topic.msgcount > 0
    )


def listed(reader: AnyReader) -> str:
    """All topics with their types and counts, for messages."""
    topics = sorted(reader.topics.items())
    found = ", ".join(f"{name} ({topic.msgtype}, {topic.msgcount})" for name, topic in topics)
    return found or "none"


def connections_of(reader: AnyReader, topics: Iterable[str]) -> list:
    """The connections of some topics."""
    wanted = set(topics)
    return [each for each in reader.connections if each.topic in wanted]


def times_of(reader: AnyReader, topics: Iterable[str]) -> dict[str, list[MessageAt]]:
    """The times of all messages of some topics, in order of their stamps."""
    found: dict[str, list[MessageAt]] = {topic: [] for topic in topics}
    last: dict[str, tuple[int, int]] = {}
    with readable(reader.paths[0]):
        for connection, log_time, raw in reader.messages(connections_of(reader, found)):
            topic = connection.topic
            before, number = last.get(topic, (-1, 0))
            number = number + 1 if before == log_time else 0
            last[topic] = (log_time, number)
            stamp = stamp_of(raw, reader.is2)
            found[topic].append(MessageAt(log_time, number, stamp if stamp > 0 else log_time))
        for messages in found.values():
            messages.sort(key=lambda message: message.stamp)
    return found


def read_message(reader: AnyReader, topic: str, at: MessageAt) -> Any:
    """Read and deserialise one message."""
    with readable(reader.paths[0]):
        connections = connections_of(reader, [topic])
        messages = reader.messages(connections, start=at.log_time, stop=at.log_time + 1)
        for number, (connection, _, raw) in enumerate(messages):
            if number == at.number:
                return reader.deserialize(raw, connection.msgtype)
        raise LookupError(f"the message of {topic} at {at.log_time} ns is gone")


def first_message(reader: AnyReader, topic: str) -> Any:
    """Read the first message of a topic."""
    with readable(reader.paths[0]):
        for connection, _, raw in reader.messages(connections_of(reader, [topic])):
            return reader.deserialize(raw, connection.msgtype)
        raise LookupError(f"{topic} has no message")


def read_frames(reader: AnyReader) -> Frames:
    """Read the tree of frames from /tf_static, /tf, and odometry."""
    frames = Frames()
    topics = topics_of(reader, TF, ODOMETRY)
    topics.sort(key=lambda topic: (reader.topics[topic].msgtype != TF, "static" not in topic))
    for topic in topics:
        with readable(reader.paths[0]):
            for connection, log_time, raw in reader.messages(connections_of(reader, [topic])):
                message = reader.deserialize(raw, connection.msgtype)
                _add_message(frames, topic, message, log_time)
    frames.settle()
    return frames


def _add_message(frames: Frames, topic: str, message: Any, log_time: int) -> None:
    """Add the transforms of one message of /tf or of odometry."""
    try:
        if hasattr(message, "transforms"):
            for each in message.transforms:
                pose = transform_of(each.transform)
                _add(frames, each.header, each.child_frame_id, pose, log_time, "static" in topic)
        else:
            pose = transform_of(message.pose.pose)
            _add(frames, message.header, message.child_frame_id, pose, log_time, False)
    except ValueError as error:
        raise ValueError(f"{topic} at {log_time} ns: {error}") from error


def _add(frames: Frames, header: Any, child: str, pose: Any, log_time: int, is_fixed: bool) -> None:
    stamp = header.stamp.sec * 10**9 + header.stamp.nanosec
    frames.add(header.frame_id, child, pose, None if is_fixed else (stamp or log_time) // 1000)
