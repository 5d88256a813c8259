"""Bags of ROS 2 made from a few keyframes, with topics and frames as drivers write them."""

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from scipy.spatial.transform import Rotation

STORE = get_typestore(Stores.ROS2_HUMBLE)
T = STORE.types
TIME, HEADER = T["builtin_interfaces/msg/Time"], T["std_msgs/msg/Header"]
START = 1_700_000_000 * 10**9  # nanoseconds
# x right, y forward, z up (the kit's street) to x forward, y left, z up (ROS)
ROS_FROM_STREET = np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1.0]])


def header(stamp, frame):
    return HEADER(stamp=TIME(sec=stamp // 10**9, nanosec=stamp % 10**9), frame_id=frame)


def transform(parent, child, matrix, stamp):
    x, y, z = matrix[:3, 3]
    q = Rotation.from_matrix(matrix[:3, :3]).as_quat()
    names = T["geometry_msgs/msg/Transform"], T["geometry_msgs/msg/Vector3"]
    quaternion = T["geometry_msgs/msg/Quaternion"]
    return T["geometry_msgs/msg/TransformStamped"](
        header=header(stamp, parent),
        child_frame_id=child,
        transform=names[0](
            translation=names[1](x=float(x), y=float(y), z=float(z)),
            rotation=quaternion(*map(float, q)),
        ),
    )


FIELD = T["sensor_msgs/msg/PointField"]
KINDS = {"i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6, "f4": 7, "f8": 8}


def cloud(columns, stamp, frame="lidar", bigendian=False, point_padding=0, rows=1, row_padding=0):
    """A PointCloud2 from columns {name: (type, values)}, in the order of the dictionary."""
    order, offset, fields = ">" if bigendian else "<", 0, []
    for name, (kind, _) in columns.items():
        fields.append(FIELD(name=name, offset=offset, datatype=KINDS[kind], count=1))
        offset += np.dtype(kind).itemsize
    step, count = offset + point_padding, len(next(iter(columns.values()))[1])
    layout = np.dtype(
        {
            "names": list(columns),
            "formats": [order + kind for kind, _ in columns.values()],
            "offsets": [field.offset for field in fields],
            "itemsize": step,
        }
    )
    points = np.zeros(count, layout)
    for name, (_, values) in columns.items():
        points[name] = values
    width = count // rows
    data = points[: rows * width].view(np.uint8).reshape(rows, width * step)
    data = np.pad(data, ((0, 0), (0, row_padding)))
    return T["sensor_msgs/msg/PointCloud2"](
        header=header(stamp, frame),
        height=rows,
        width=width,
        fields=fields,
        is_bigendian=bigendian,
        point_step=step,
        row_step=width * step + row_padding,
        data=data.ravel(),
        is_dense=True,
    )


def image(pixels, stamp, frame, encoding="rgb8", padding=0):
    data = pixels.reshape(len(pixels), -1)
    data = np.pad(data, ((0, 0), (0, padding)))
    return T["sensor_msgs/msg/Image"](
        header=header(stamp, frame),
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=data.shape[1],
        data=data.ravel(),
    )


def compressed(data, stamp, frame, kind="png"):
    return T["sensor_msgs/msg/CompressedImage"](
        header=header(stamp, frame), format=kind, data=np.frombuffer(data, np.uint8)
    )


def camera_info(K, size, stamp, frame, distortion=(), model="plumb_bob"):
    return T["sensor_msgs/msg/CameraInfo"](
        header=header(stamp, frame),
        height=size[0],
        width=size[1],
        distortion_model=model,
        d=np.array(distortion, float),
        k=np.array(K, float).ravel(),
        r=np.eye(3).ravel(),
        p=np.concatenate([np.array(K, float), np.zeros((3, 1))], 1).ravel(),
        binning_x=0,
        binning_y=0,
        roi=T["sensor_msgs/msg/RegionOfInterest"](
            x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
        ),
    )


def tf(*transforms):
    return T["tf2_msgs/msg/TFMessage"](transforms=list(transforms))


def odometry(frame, child, position, stamp):
    """An Odometry without turn, motion and covariance."""
    names = {name: T[f"geometry_msgs/msg/{name}"] for name in ("Point", "Quaternion", "Vector3")}
    pose = T["geometry_msgs/msg/Pose"](
        position=names["Point"](*map(float, position)),
        orientation=names["Quaternion"](x=0.0, y=0.0, z=0.0, w=1.0),
    )
    still = names["Vector3"](x=0.0, y=0.0, z=0.0)
    twist = T["geometry_msgs/msg/Twist"](linear=still, angular=still)
    unknown = np.zeros(36)
    return T["nav_msgs/msg/Odometry"](
        header=header(stamp, frame),
        child_frame_id=child,
        pose=T["geometry_msgs/msg/PoseWithCovariance"](pose=pose, covariance=unknown),
        twist=T["geometry_msgs/msg/TwistWithCovariance"](twist=twist, covariance=unknown),
    )


def write_bag(path, messages, mcap=False):
    """Write (topic, nanoseconds, message) to a bag."""
    plugin = StoragePlugin.MCAP if mcap else StoragePlugin.SQLITE3
    with Writer(path, version=9, storage_plugin=plugin) as writer:
        connections = {}
        for topic, stamp, message in sorted(messages, key=lambda each: each[1]):
            kind = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=STORE)
            writer.write(connections[topic], stamp, STORE.serialize_cdr(message, kind))
    return path


def messages_of(street, cameras=("CAM_FRONT", "CAM_BACK"), numbers=(0, 1)):
    """The messages of a drive: points in the axes of ROS, images, calibrations and transforms.

    The extrinsics are static; the motion of the car is in /tf.
    """
    rig = street.rig
    turn = np.eye(4)
    turn[:3, :3] = ROS_FROM_STREET
    T_base_lidar = rig.T_ego_lidar @ turn.T
    static = [transform("base_link", "lidar", T_base_lidar, START)]
    for name in cameras:
        static.append(transform("base_link", f"{name}_optical", rig.cameras[name].T_ego_cam, START))
    found = [("/tf_static", START, tf(*static))]
    for number in numbers:
        keyframe, moment = street[number], street.moments[number]
        stamp = START + 1000 * keyframe.timestamp
        for delay in np.linspace(-0.2, 0.2, 9):
            at = stamp + int(1e9 * delay)
            pose = moment.T_global_ego(float(delay))
            found.append(("/tf", at, tf(transform("map", "base_link", pose, at))))
        points = keyframe.points.numpy() @ ROS_FROM_STREET.T
        columns = {name: ("f4", points[:, i]) for i, name in enumerate("xyz")}
        columns["intensity"] = ("f4", keyframe.intensity.numpy())
        found.append(("/lidar/points", stamp, cloud(columns, stamp)))
        for name in cameras:
            camera, frame = keyframe.cameras[name], f"{name}_optical"
            taken = stamp + int(1e9 * rig.cameras[name].delay)
            pixels = image(camera.pixels(), taken, frame)
            info = camera_info(camera.K, camera.image_size, taken, frame)
            found.append((f"/{name}/image_raw", taken, pixels))
            found.append((f"/{name}/camera_info", taken, info))
    return found
