"""Images of every depth and colour type are read right, or refused with the name of the file."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from kit.store.image_reader import FORMATS, MAX_PIXELS, read_image, read_image_size

GREY = np.tile(np.arange(256, dtype=np.uint8), (24, 1))  # (24, 256)
RGB = np.stack([GREY, GREY[:, ::-1], 255 - GREY // 2], 2)
ORIENTATION = 0x0112


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_file(rows: bytes, height, width, depth, colour_type, *chunks: bytes) -> bytes:
    """A PNG file made by hand; `rows` with a filter byte each."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    parts = (chunk(b"IHDR", header), *chunks, chunk(b"IDAT", zlib.compress(rows)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


def packed(values: np.ndarray, depth: int) -> bytes:
    """Rows of a PNG from samples (H, samples) of `depth` bits."""
    if depth == 16:
        return b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    bits = (values[..., None] >> np.arange(depth - 1, -1, -1)) & 1
    return b"".join(b"\0" + np.packbits(row.reshape(-1)).tobytes() for row in bits)


def saved(tmp_path, pixels, name="a.png", **options):
    Image.fromarray(pixels).save(tmp_path / name, **options)
    return tmp_path / name


def written(tmp_path, data: bytes, name="a.png"):
    (tmp_path / name).write_bytes(data)
    return tmp_path / name


CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # grey, RGB, grey and alpha, RGB and alpha


@pytest.mark.parametrize(
    ("colour_type", "depth"),
    [(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16), (4, 8), (4, 16), (6, 8), (6, 16)],
)
def test_every_depth_and_colour_type_of_png_is_scaled_to_8_bits(tmp_path, colour_type, depth):
    channels, full = CHANNELS[colour_type], (1 << depth) - 1
    values = np.random.default_rng(depth).integers(0, full + 1, (6, 11 * channels))
    values[0, :channels] = full
    data = png_file(packed(values, depth), 6, 11, depth, colour_type)
    pixels = read_image(written(tmp_path, data)).astype(int)
    colours = values.reshape(6, 11, channels)[..., : 3 if channels > 2 else 1]
    assert pixels.shape == (6, 11, 3)
    # Pillow keeps the upper 8 bits of 16-bit colours, which is at most 1 less
    assert np.abs(pixels - colours / full * 255).max() <= (1 if depth == 16 else 0.5)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
@pytest.mark.parametrize("transparent", [False, True])
def test_palettes_are_applied_and_their_transparency_is_ignored(tmp_path, depth, transparent):
    draw = np.random.default_rng(depth)
    palette = draw.integers(0, 256, (1 << depth, 3), dtype=np.uint8)
    values = draw.integers(0, 1 << depth, (5, 9))
    chunks = [chunk(b"PLTE", palette.tobytes())]
    if transparent:
        chunks.append(chunk(b"tRNS", bytes(draw.integers(0, 256, 1 << depth, dtype=np.uint8))))
    file = written(tmp_path, png_file(packed(values, depth), 5, 9, depth, 3, *chunks))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(read_image(file), palette[values])


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.bmp", "a.ppm", "a.tiff", "a.tif"])
def test_formats_without_loss_return_the_pixels(tmp_path, name):
    options = {"lossless": True} if name == "a.webp" else {}
    file = saved(tmp_path, RGB, name, **options)
    assert np.array_equal(read_image(file), RGB) and read_image_size(file) == (24, 256)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg_agrees_with_opencv(tmp_path, mode):
    cv2 = pytest.importorskip("cv2")
    pixels = np.asarray(Image.fromarray(RGB).convert(mode))
    file = saved(tmp_path, pixels, "a.jpg", quality=90)
    theirs = cv2.imread(str(file))[..., ::-1].astype(int)
    assert np.abs(read_image(file) - theirs).max() <= 2


def test_a_jpeg_with_a_second_view_gives_the_first(tmp_path):
    views = [Image.fromarray(pixels) for pixels in (RGB, RGB[::-1])]
    views[0].save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=views[1:], quality=95)
    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - RGB).mean() < 3


def test_alpha_is_ignored(tmp_path):
    clear = np.dstack([RGB, np.zeros_like(GREY)])
    for name in ("a.png", "a.tif"):
        assert np.array_equal(read_image(saved(tmp_path, clear, name)), RGB)


TIFFS = {
    "16-bit grey": (GREY.astype(np.uint16) * 257, {}, GREY),
    "16-bit grey, big-endian": (GREY.astype(">u2") * 257, {"byteorder": ">"}, GREY),
    "16-bit RGB": (RGB.astype(np.uint16) * 257, {"photometric": "rgb"}, RGB),
    "float 0..1": ((GREY / 255).astype(np.float32), {}, GREY),
    "0 is white": (255 - GREY, {"photometric": "miniswhite"}, GREY),
    "planes": (
        np.moveaxis(RGB, 2, 0).copy(),
        {"photometric": "rgb", "planarconfig": "separate"},
        RGB,
    ),
    "tiles": (RGB, {"photometric": "rgb", "tile": (16, 16)}, RGB),
    "deflate": (RGB, {"photometric": "rgb", "compression": "zlib"}, RGB),
}


@pytest.mark.parametrize("kind", TIFFS)
def test_kinds_of_tiff_that_are_read(tmp_path, kind):
    values, options, expected = TIFFS[kind]
    tifffile.imwrite(tmp_path / "a.tif", values, **{"photometric": "minisblack"} | options)
    expected = expected if expected.ndim == 3 else np.repeat(expected[..., None], 3, 2)
    assert np.array_equal(read_image(tmp_path / "a.tif"), expected)


REFUSED_TIFFS = {
    "float 0..255": (GREY.astype(np.float32), {}, "float values are 0 to 255, expected 0 to 1"),
    "negative float": ((GREY / 255 - 0.5).astype(np.float32), {}, "expected 0 to 1"),
    "NaN": (np.full((4, 4), np.nan, np.float32), {}, "expected 0 to 1"),
    "float RGB": ((RGB / 255).astype(np.float32), {"photometric": "rgb"}, "cannot decode"),
    "12 bits in 16": (GREY.astype(np.uint16) * 16, {}, "brightest value is about 4080 of 65535"),
    "8 bits in 16": (GREY.astype(np.uint16), {}, "brightest value is about 255 of 65535"),
    "12 bits in 16, RGB": (RGB.astype(np.uint16) * 16, {"photometric": "rgb"}, "12 bits in 16"),
    "8 bits in 16, RGB": (RGB.astype(np.uint16), {"photometric": "rgb"}, "bits in 16"),
    "signed 16 bits": (GREY.astype(np.int16), {}, "of the kind I "),
    "32 bits": (GREY.astype(np.uint32), {}, "of the kind I "),
    "16 bits, 0 is white": (GREY.astype(np.uint16), {"photometric": "miniswhite"}, "0 is white"),
    "L*a*b*": (RGB, {"photometric": "cielab"}, "of the kind LAB"),
}


@pytest.mark.parametrize("kind", REFUSED_TIFFS)
def test_kinds_of_tiff_that_are_refused(tmp_path, kind):
    values, options, message = REFUSED_TIFFS[kind]
    tifffile.imwrite(tmp_path / "a.tif", values, **{"photometric": "minisblack"} | options)
    with pytest.raises(ValueError, match=f"{tmp_path}/a.tif: .*{message}"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("top", [255, 1000, 4095, 65535])
def test_netpbm_files_are_scaled_by_their_own_maximum(tmp_path, top):
    kind = ">u2" if top > 255 else np.uint8
    values = np.linspace(0, top, 6 * 8).round().reshape(6, 8)
    data = b"P5 8 6 %d\n" % top + values.astype(kind).tobytes()
    pixels = read_image(written(tmp_path, data, "a.pgm"))
    assert np.abs(pixels[..., 0] - values / top * 255).max() <= 0.51
    colour = np.repeat(values.astype(kind)[..., None], 3, 2)
    data = b"P6 8 6 %d\n" % top + colour.tobytes()
    pixels = read_image(written(tmp_path, data, "a.ppm"))
    assert np.abs(pixels - colour / top * 255).max() <= 0.51


def test_a_black_16_bit_image_is_black(tmp_path):
    assert (read_image(saved(tmp_path, np.zeros((4, 4), np.uint16))) == 0).all()


def test_cmyk_is_refused(tmp_path):
    Image.fromarray(RGB).convert("CMYK").save(tmp_path / "a.jpg")
    with pytest.raises(ValueError, match=f"{tmp_path}/a.jpg: .*CMYK.*Save it as 8-bit RGB"):
        read_image(tmp_path / "a.jpg")


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_orientation_is_refused_or_applied(tmp_path, name, orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    file = saved(tmp_path, RGB, name, exif=exif)
    # Rows and columns of the stored pixels, by the standard (row 0 is ..., column 0 is ...).
    turned = {
        1: RGB, 2: RGB[:, ::-1], 3: RGB[::-1, ::-1], 4: RGB[::-1], 5: RGB.swapaxes(0, 1),
        6: np.rot90(RGB, -1), 7: RGB[::-1, ::-1].swapaxes(0, 1), 8: np.rot90(RGB),
    }[orientation]  # fmt: skip
    upright = read_image(file, upright=True)
    assert upright.shape == turned.shape
    assert np.abs(upright.astype(int) - turned).mean() < (0.1 if "png" in name else 4)
    if orientation == 1:
        assert np.array_equal(read_image(file), upright)
    else:
        for read in (read_image, read_image_size):
            with pytest.raises(ValueError, match=f"{file}: its EXIF orientation is {orientation}"):
                read(file)


# Files that are no images of a camera


@pytest.fixture
def no_bomb_guard(monkeypatch):
    """Pillow's own limit is off, as after `import nuscenes.utils.map_mask`."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400_000 * 400_000)


def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path, no_bomb_guard, monkeypatch):
    side = int(MAX_PIXELS**0.5) + 1
    file = written(tmp_path, png_file(b"", 60_000, 60_000, 8, 2))
    assert file.stat().st_size < 80
    monkeypatch.setattr(Image.core, "new", None)  # any memory for pixels would raise TypeError
    with pytest.raises(ValueError, match=f"{file}: 60000x60000 pixels .* at most 100,000,000"):
        read_image(file)
    for data in (
        png_file(b"", side, side, 8, 0),
        webp_canvas(16384),
        b"P6 %d %d 255\n" % (side, side),
    ):
        with pytest.raises(ValueError, match=f"{file}: .*at most 100,000,000 are decoded"):
            read_image(written(tmp_path, data))


def webp_canvas(side: int) -> bytes:
    """A WebP file of one frame of 8 x 8 pixels on a much larger canvas."""
    frame = io.BytesIO()
    Image.fromarray(RGB[:8, :8]).save(frame, "webp", lossless=True)
    three = lambda number: struct.pack("<I", number)[:3]  # noqa: E731
    moved = bytes(6) + three(7) + three(7) + bytes(4) + frame.getvalue()[12:]
    body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + 2 * three(side - 1)
    body += b"ANIM" + struct.pack("<I", 6) + bytes(6)
    body += b"ANMF" + struct.pack("<I", len(moved)) + moved
    return b"RIFF" + struct.pack("<I", len(body)) + body


OTHER_FORMATS = {
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n",
    "an HTML page": b"<!DOCTYPE html><html><body>404</body></html>",
    "an LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "nothing": b"",
    "text": b"not an image",
}


@pytest.mark.parametrize("kind", [*OTHER_FORMATS, "GIF", "ICO", "TGA", "PDF", "JPEG2000"])
def test_other_formats_are_refused_whatever_their_name(tmp_path, kind, monkeypatch):
    data = io.BytesIO(OTHER_FORMATS.get(kind, b""))
    if kind not in OTHER_FORMATS:
        Image.fromarray(RGB[:16, :16]).save(data, kind)
    monkeypatch.setattr("subprocess.Popen", None)  # no program may be started
    file = written(tmp_path, data.getvalue(), "a.jpg")
    with pytest.raises(ValueError, match=f"{file}: cannot decode.*it is none of JPEG, PNG"):
        read_image(file)


# Damaged files


def _samples() -> list[bytes]:
    found = []
    for name in FORMATS:
        data = io.BytesIO()
        Image.fromarray(RGB[:8, ::8]).save(data, name)
        found.append(data.getvalue())
    deep = io.BytesIO()
    tifffile.imwrite(deep, GREY[:8, ::8].astype(np.uint16) * 257, compression="zlib")
    return [
        *found,
        deep.getvalue(),
        png_file(packed(GREY[:2, :8].astype(int) * 257, 16), 2, 8, 16, 0),
    ]


SAMPLES = _samples()


@given(
    data=st.sampled_from(SAMPLES),
    edits=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
    kept=st.one_of(st.just(1.0), st.floats(0, 1)),
)
def test_damaged_files_give_pixels_or_an_error_with_their_name(tmp_path_factory, data, edits, kept):
    damaged = bytearray(data)
    for place, value in edits:
        damaged[int(place * len(damaged))] = value
    file = tmp_path_factory.getbasetemp() / "damaged"
    file.write_bytes(damaged[: round(kept * len(damaged))])
    try:
        pixels = read_image(file)
    except ValueError as error:
        assert str(error).startswith(f"{file}: ") and "\n" not in str(error)
    else:
        assert pixels.dtype == np.uint8 and pixels.shape == (*read_image_size(file), 3)
