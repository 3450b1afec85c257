from __future__ import annotations

import contextlib
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from viewfusion.cli.photos import split_settings
from viewfusion.errors import ViewFusionError
from viewfusion.preprocessing import (
    Preparation,
    images,
    over_white,
    photo_hash,
    prepare_image,
    prepare_steps,
    read_image,
    rgba_from_array,
    rgba_from_pil,
)

PHOTOS = Path(__file__).parents[1] / "data" / "real_images"
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def quadrants() -> np.ndarray:
    """(32, 48, 3): red and green above, blue and white below."""
    picture = np.empty((32, 48, 3), np.uint8)
    picture[:16, :24], picture[:16, 24:], picture[16:, :24], picture[16:, 24:] = RED, GREEN, BLUE, WHITE
    return picture


def corners(rgba: np.ndarray) -> list[tuple[int, ...]]:
    """Top left, top right, bottom left, bottom right as primaries."""
    picked = rgba[[4, 4, -5, -5], [4, -5, 4, -5], :3]
    return [tuple(int(level > 127) * 255 for level in colour) for colour in picked]


def refusal(path: Path) -> str:
    with pytest.raises(ViewFusionError) as caught:
        read_image(path)
    text = str(caught.value)
    assert "\n" not in text
    assert path.name in text
    return text


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "tiff", "gif", "ppm", "tga"])
def test_formats(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(quadrants()).save(path)
    rgba = read_image(path)
    assert rgba.shape == (32, 48, 4)
    assert rgba.dtype == np.uint8
    assert rgba.flags.writeable
    assert (rgba[..., 3] == 255).all()
    assert corners(rgba) == [RED, GREEN, BLUE, WHITE]


# What a viewer must show of a stored picture, by the definition of each orientation.
ORIENTATIONS = {
    1: [RED, GREEN, BLUE, WHITE],
    2: [GREEN, RED, WHITE, BLUE],
    3: [WHITE, BLUE, GREEN, RED],
    4: [BLUE, WHITE, RED, GREEN],
    5: [RED, BLUE, GREEN, WHITE],
    6: [BLUE, RED, WHITE, GREEN],
    7: [WHITE, GREEN, BLUE, RED],
    8: [GREEN, WHITE, RED, BLUE],
}


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff"])
def test_exif_orientation(tmp_path: Path, orientation: int, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(quadrants()).save(path, exif=exif)
    rgba = read_image(path)
    assert rgba.shape == ((32, 48, 4) if orientation < 5 else (48, 32, 4))
    assert corners(rgba) == ORIENTATIONS[orientation]


def test_damaged_exif_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(quadrants()).save(path, exif=b"Exif\0\0II*\0\xff\xff\xff\xffrubbish")
    assert corners(read_image(path)) == [RED, GREEN, BLUE, WHITE]


def test_palette_with_transparency(tmp_path: Path) -> None:
    image = Image.new("P", (20, 16))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.paste(1, (0, 0, 10, 16))
    image.save(tmp_path / "a.png", transparency=0)
    rgba = read_image(tmp_path / "a.png")
    assert tuple(rgba[0, 0]) == (200, 100, 50, 255)
    assert rgba[0, 19, 3] == 0


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("L", 77, (77, 77, 77, 255)),
        ("1", 1, (255, 255, 255, 255)),
        ("LA", (77, 128), (77, 77, 77, 128)),
        ("RGBA", (9, 8, 7, 6), (9, 8, 7, 6)),
        ("I;16", 257 * 77, (77, 77, 77, 255)),
        ("I", 257 * 77, (77, 77, 77, 255)),
        ("F", 0.2, (51, 51, 51, 255)),
        ("CMYK", (0, 255, 255, 0), (255, 0, 0, 255)),
        ("YCbCr", (255, 128, 128), (255, 255, 255, 255)),
    ],
)
def test_modes(tmp_path: Path, mode: str, colour: int, expected: tuple[int, ...]) -> None:
    path = tmp_path / "a.tiff"
    Image.new(mode, (20, 16), colour).save(path)
    assert {tuple(int(level) for level in pixel) for pixel in read_image(path).reshape(-1, 4)} == {expected}


def test_cmyk_jpeg(tmp_path: Path) -> None:
    Image.fromarray(quadrants()).convert("CMYK").save(tmp_path / "a.jpg")
    assert corners(read_image(tmp_path / "a.jpg")) == [RED, GREEN, BLUE, WHITE]


def test_sixteen_bit_rgba_png(tmp_path: Path) -> None:
    row = b"\0" + struct.pack(">4H", 65535, 0x8080, 0, 0x4040) * 20
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 20, 16, 16, 6, 0, 0, 0)),
        (b"IDAT", zlib.compress(row * 16)),
        (b"IEND", b""),
    ]
    (tmp_path / "a.png").write_bytes(png(chunks))
    assert tuple(read_image(tmp_path / "a.png")[0, 0]) == (255, 128, 0, 64)


def test_sixteen_bit_rgb_keeps_its_upper_eight_bits(tmp_path: Path) -> None:
    """As PNG and as TIFF: 65535 is 255, 0x8040 is 128, 0x01FF is 1 and, rounded down, no whole level off."""
    levels = (65535, 0x8040, 0x01FF)
    row = b"\0" + struct.pack(">3H", *levels) * 20
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 20, 16, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(row * 16)),
        (b"IEND", b""),
    ]
    (tmp_path / "a.png").write_bytes(png(chunks))
    pixels = struct.pack("<3H", *levels) * 20 * 16
    # Tag, type (3: 16 bits, 4: 32 bits), count, value: width, height, depth, compression, RGB, where the
    # pixels are, samples, rows a strip, bytes.
    tags = [(256, 3, 1, 20), (257, 3, 1, 16), (258, 3, 3, 122), (259, 3, 1, 1), (262, 3, 1, 2)]
    tags += [(273, 4, 1, 128), (277, 3, 1, 3), (278, 3, 1, 16), (279, 4, 1, len(pixels))]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    head = (b"II*\0" + struct.pack("<I", 8) + directory).ljust(122, b"\0") + struct.pack("<3H", 16, 16, 16)
    (tmp_path / "a.tiff").write_bytes(head + pixels)
    for name in ("a.png", "a.tiff"):
        assert read_image(tmp_path / name)[3, 7].tolist() == [255, 128, 1, 255], name


def test_floats_beyond_one_are_refused(tmp_path: Path) -> None:
    Image.new("F", (20, 16), 3.5).save(tmp_path / "a.tiff")
    assert "outside 0 ... 1" in refusal(tmp_path / "a.tiff")


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_large_photos_are_turned_in_bands(
    tmp_path: Path, orientation: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if they were small ones."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = np.random.default_rng(0).integers(0, 256, (37, 23, 4), np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.png", exif=exif)
    whole = read_image(tmp_path / "a.png")
    monkeypatch.setattr(images, "_BAND", 5 * 23)
    assert np.array_equal(read_image(tmp_path / "a.png"), whole)
    assert [rows.stop - rows.start for rows in images.bands(37, 23)] == [5] * 7 + [2]
    assert [rows.stop - rows.start for rows in images.bands(37, 23, 2)] == [4] * 9 + [1]
    assert np.array_equal(over_white(whole)[6], over_white(whole[6:7])[0])


@pytest.mark.parametrize("orientation", [1, 6, 8])
def test_heic(tmp_path: Path, orientation: int) -> None:
    """As phones write it, turned, once pillow-heif is installed."""
    import pillow_heif

    exif = Image.Exif()
    exif[0x0112] = orientation
    heif = pillow_heif.from_pillow(Image.fromarray(quadrants()).resize((96, 64), Image.Resampling.NEAREST))
    heif.save(tmp_path / "a.HEIC", quality=95, exif=exif.tobytes())
    rgba = read_image(tmp_path / "a.HEIC")
    assert rgba.shape == ((64, 96, 4) if orientation == 1 else (96, 64, 4))
    assert corners(rgba) == ORIENTATIONS[orientation]


def test_avif(tmp_path: Path) -> None:
    Image.fromarray(quadrants()).save(tmp_path / "a.avif", quality=95)
    assert corners(read_image(tmp_path / "a.avif")) == [RED, GREEN, BLUE, WHITE]


def test_a_missing_reader_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(99))
    assert "pip install 'viewfusion[heic]'" in refusal(tmp_path / "a.heic")
    monkeypatch.setattr(images.features, "check", lambda name: False)
    (tmp_path / "a.avif").write_bytes(b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif" + bytes(99))
    assert "pip install -U 'pillow>=11.3'" in refusal(tmp_path / "a.avif")
    # A film is neither.
    (tmp_path / "a.mp4").write_bytes(b"\0\0\0\x14ftypisom\0\0\0\0isom" + bytes(99))
    assert "not an image" in refusal(tmp_path / "a.mp4")


@pytest.mark.parametrize(
    "address", ["https://a.org/chair.png?w=9", "file:///tmp/a.png", "data:image/png;base64,iVBO"]
)
def test_addresses_are_refused(address: str) -> None:
    with pytest.raises(ViewFusionError, match="addresses are not read; save the picture and give its file"):
        read_image(address)
    with pytest.raises(ViewFusionError, match="addresses are not read"):
        split_settings([address])
    assert split_settings(["a.png", "sampling.eta=0"]) == ([Path("a.png")], ["sampling.eta=0"])


def test_what_a_file_is_known_by(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"abc")
    assert (
        photo_hash(tmp_path / "a.png") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    with pytest.raises(ViewFusionError, match=r"b\.png: no such file"):
        photo_hash(tmp_path / "b.png")


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tiff"])
def test_first_frame_of_an_animation(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (20, 16), colour) for colour in (RED, GREEN, BLUE)]
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:])
    assert corners(read_image(tmp_path / f"a.{suffix}"))[0] == RED


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tiff"])
def test_an_animation_is_said_to_be_one(tmp_path: Path, suffix: str) -> None:
    pixels = np.full((80, 80, 3), 250, np.uint8)
    pixels[8:72, 8:72] = RED
    first, path = Image.fromarray(pixels), tmp_path / f"a.{suffix}"
    first.save(path, save_all=True, append_images=[first.rotate(45), first.rotate(30)])
    remark = "the file holds several pictures; the first one is used"
    assert prepare_image(path, 32).warnings[0] == remark
    with Image.open(path) as opened:
        assert prepare_image(opened, 32).warnings[0] == remark
    first.save(path)
    assert remark not in prepare_image(path, 32).warnings


def test_a_camera_that_stores_two_pictures_is_not_warned_of(tmp_path: Path) -> None:
    """MPO: what phones write as .jpg, with a depth map or a preview behind the photo."""
    photo = Image.open(PHOTOS / "bottle_on_white.jpg")
    photo.copy().save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[photo.reduce(2)])
    with Image.open(tmp_path / "a.jpg") as opened:
        assert opened.format == "MPO"
    whole = prepare_image(PHOTOS / "bottle_on_white.jpg", 64)
    assert prepare_image(tmp_path / "a.jpg", 64).warnings == whole.warnings


def test_palette_with_an_alpha_per_colour(tmp_path: Path) -> None:
    image = Image.new("P", (20, 16))
    image.putpalette([10, 20, 30, 200, 100, 50, 7, 8, 9])
    image.paste(1, (0, 0, 10, 16))
    image.paste(2, (0, 0, 5, 16))
    image.save(tmp_path / "a.png", transparency=bytes([0, 128, 255]))
    row = [tuple(int(level) for level in pixel) for pixel in read_image(tmp_path / "a.png")[0, [0, 5, 19]]]
    assert row == [(7, 8, 9, 255), (200, 100, 50, 128), (10, 20, 30, 0)]


def test_a_film_behind_a_photo_is_not_looked_into(tmp_path: Path) -> None:
    """Phones append them to JPEGs; random bytes hold the mark of a scan now and then."""
    path = tmp_path / "a.jpg"
    Image.new("RGB", (20, 16), (200, 10, 10)).save(path)
    path.write_bytes(path.read_bytes() + b"\0\0\0\x18ftypmp42" + b"\xff\xda" * 300)
    assert read_image(path).shape == (16, 20, 4)


def test_a_transparent_colour_of_16_bits(tmp_path: Path) -> None:
    """Pixels are read with their upper eight bits, and so is the colour that tRNS names."""
    row = b"\0" + struct.pack(">6H", 0x1234, 0x5678, 0x9ABC, 0x1134, 0x5678, 0x9ABC) * 10
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 20, 16, 16, 2, 0, 0, 0)),
        (b"tRNS", struct.pack(">3H", 0x1234, 0x5678, 0x9ABC)),
        (b"IDAT", zlib.compress(row * 16)),
        (b"IEND", b""),
    ]
    (tmp_path / "a.png").write_bytes(png(chunks))
    assert read_image(tmp_path / "a.png")[0, :2, 3].tolist() == [0, 255]


def test_grey_png_with_one_transparent_level(tmp_path: Path) -> None:
    """The level named by tRNS is see-through, its neighbour is not; of 16 bits too."""
    row = b"\0" + struct.pack(">2H", 257 * 40, 257 * 41) * 10
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 20, 16, 8, 0, 0, 0, 0)),
        (b"tRNS", struct.pack(">H", 40)),
        (b"IDAT", zlib.compress((b"\0" + bytes([40, 41]) * 10) * 16)),
        (b"IEND", b""),
    ]
    (tmp_path / "a.png").write_bytes(png(chunks))
    assert read_image(tmp_path / "a.png")[0, :2].tolist() == [[40, 40, 40, 0], [41, 41, 41, 255]]
    chunks[0:1] = [(b"IHDR", struct.pack(">IIBBBBB", 20, 16, 16, 0, 0, 0, 0))]
    for transparent, alpha in ((None, 255), (257 * 40, 0)):
        key = [] if transparent is None else [(b"tRNS", struct.pack(">H", transparent))]
        chunks[1:-1] = [*key, (b"IDAT", zlib.compress(row * 16))]
        (tmp_path / "b.png").write_bytes(png(chunks))
        assert read_image(tmp_path / "b.png")[0, :2].tolist() == [[40, 40, 40, alpha], [41, 41, 41, 255]]


def test_cmyk_by_hand(tmp_path: Path) -> None:
    """Without a profile: red is what cyan and black leave of white, (1 - c)(1 - k)."""
    path = tmp_path / "a.tiff"
    Image.new("CMYK", (20, 16), (51, 0, 255, 102)).save(path)
    red, green, blue, alpha = (int(level) for level in read_image(path)[0, 0])
    # 0.8 * 0.6 = 0.48 -> 122.4, 1 * 0.6 -> 153, 0; Pillow rounds each product.
    assert (red, green, blue, alpha) == pytest.approx((122, 153, 0, 255), abs=1)


def test_refuses_what_is_no_image_file(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "none.png")
    (tmp_path / "folder.png").mkdir()
    assert "folder" in refusal(tmp_path / "folder.png")
    (tmp_path / "empty.png").touch()
    assert "empty" in refusal(tmp_path / "empty.png")
    (tmp_path / "text.png").write_text("hello" * 100)
    assert "not an image" in refusal(tmp_path / "text.png")
    (tmp_path / "page.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n%%EndComments\n")
    assert "PostScript" in refusal(tmp_path / "page.eps")
    with pytest.raises(ViewFusionError):
        read_image("nul\0byte.png")


def test_refuses_sizes_nothing_can_be_made_of(tmp_path: Path) -> None:
    for width, height in ((1, 1), (15, 400), (400, 15)):
        Image.new("RGB", (width, height)).save(tmp_path / "a.png")
        assert f"{width} x {height}" in refusal(tmp_path / "a.png")
    Image.new("RGB", (16, 16)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").shape == (16, 16, 4)


def png(chunks: list[tuple[bytes, bytes]]) -> bytes:
    out = b"\x89PNG\r\n\x1a\n"
    for kind, data in chunks:
        out += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return out


@pytest.mark.parametrize("side", [7_072, 12_000, 20_000, 2**31 - 1])
def test_refuses_bombs_by_their_header(tmp_path: Path, side: int) -> None:
    header = (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    (tmp_path / "a.png").write_bytes(png([header, (b"IDAT", zlib.compress(b"\0")), (b"IEND", b"")]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "50 megapixels or less" in refusal(tmp_path / "a.png")


def test_refuses_text_bombs(tmp_path: Path) -> None:
    header = (b"IHDR", struct.pack(">IIBBBBB", 20, 20, 8, 2, 0, 0, 0))
    text = (b"zTXt", b"Comment\0\0" + zlib.compress(bytes(30_000_000)))
    (tmp_path / "a.png").write_bytes(png([header, text, (b"IEND", b"")]))
    assert "cannot be read" in refusal(tmp_path / "a.png") or "not an image" in refusal(tmp_path / "a.png")


def test_refuses_icons_that_hold_more_than_they_say(tmp_path: Path) -> None:
    """48 x 48 by its header, 169 megapixels once it is decoded."""
    Image.new("1", (13_000, 13_000), 1).save(tmp_path / "large.png")
    large = (tmp_path / "large.png").read_bytes()
    entry = struct.pack("<4B2H2I", 48, 48, 0, 0, 1, 32, len(large), 22)
    (tmp_path / "a.ico").write_bytes(struct.pack("<3H", 0, 1, 1) + entry + large)
    assert "give a PNG" in refusal(tmp_path / "a.ico")


def test_refuses_a_jpeg_of_endless_scans(tmp_path: Path) -> None:
    """75 bytes make a decoder go over all pixels once more: a few MB would cost an hour."""
    path = tmp_path / "a.jpg"
    Image.fromarray(quadrants()).save(path, progressive=True)
    data = path.read_bytes()
    assert corners(read_image(path)) == [RED, GREEN, BLUE, WHITE]
    last = data.rindex(b"\xff\xda")
    path.write_bytes(data[:last] + data[last:-2] * 300 + data[-2:])
    assert "200 scans" in refusal(path)
    # Where two blocks of what is counted meet, nothing is counted twice or missed.
    path.write_bytes(data[:last] + data[last:-2] * 150 + data[-2:])
    assert corners(read_image(path)) == [RED, GREEN, BLUE, WHITE]


def test_refuses_a_file_too_large_for_any_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(quadrants()).save(path)
    with path.open("rb+") as file:
        file.truncate(2**30 + 1)  # a hole, which takes no space
    assert "too large" in refusal(path)


def test_absurd_demands_for_memory_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged chunk of 2 GB ended in a MemoryError where there was less."""
    path = tmp_path / "a.png"
    Image.fromarray(quadrants()).save(path)

    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Image.Image, "convert", full)
    assert "in the memory there is" in refusal(path)
    with pytest.raises(ViewFusionError, match=r"image: cannot be read in the memory"):
        rgba_from_pil(Image.fromarray(quadrants()))


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif", "bmp", "tiff"])
def test_truncated_files_are_refused_or_whole(tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(rng.integers(0, 256, (24, 40, 3), np.uint8)).save(path)
    data, whole = path.read_bytes(), read_image(path)
    complaints = []
    for length in [*range(1, 80), *range(80, len(data), max(1, len(data) // 150))]:
        path.write_bytes(data[:length])
        try:
            rgba = read_image(path)
        except ViewFusionError as error:
            complaints.append(str(error))
        else:
            # Only trailing bytes that hold no pixels may be missing.
            assert np.array_equal(rgba, whole), length
    assert len(complaints) > 100
    assert not any("\n" in complaint for complaint in complaints)


def test_flipped_bytes_never_escape_as_other_errors(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for suffix in ("png", "jpg", "webp", "gif", "tiff"):
        path = tmp_path / f"a.{suffix}"
        Image.fromarray(quadrants()).save(path)
        data = np.frombuffer(path.read_bytes(), np.uint8)
        for _ in range(60):
            broken = data.copy()
            broken[rng.integers(0, min(len(data), 400), 3)] = rng.integers(0, 256, 3)
            path.write_bytes(broken.tobytes())
            with contextlib.suppress(ViewFusionError):
                assert read_image(path).shape[2] == 4


def test_refuses_full_transparency(tmp_path: Path) -> None:
    Image.new("RGBA", (20, 20), (9, 9, 9, 0)).save(tmp_path / "a.png")
    assert "fully transparent" in refusal(tmp_path / "a.png")


def test_arrays() -> None:
    grey = np.full((16, 20), 7, np.uint8)
    for array in (grey, grey[..., None], np.dstack([grey] * 3)):
        rgba = rgba_from_array(array)
        assert rgba.shape == (16, 20, 4)
        assert tuple(rgba[0, 0]) == (7, 7, 7, 255)
    original = np.dstack([grey] * 4)
    rgba_from_array(original)[:] = 0
    assert (original == 7).all()
    for bad in (
        grey.astype(float),
        np.zeros((4, 16, 20), np.uint8),
        grey[0],
        np.zeros((16, 20, 2), np.uint8),
    ):
        with pytest.raises(ViewFusionError, match="uint8 array"):
            rgba_from_array(bad)
    with pytest.raises(ViewFusionError, match="pixels"):
        rgba_from_array(np.zeros((0, 5), np.uint8))


def test_over_white_by_hand() -> None:
    rgba = np.array([[[0, 100, 255, 255], [0, 100, 255, 0], [0, 100, 255, 51]]], np.uint8)
    # 51 / 255 = 0.2: 0.2 * 0 + 0.8 * 255 = 204, 0.2 * 100 + 204 = 224.
    assert over_white(rgba).tolist() == [[[0, 100, 255], [255, 255, 255], [204, 224, 255]]]
    assert np.array_equal(over_white(np.stack([rgba, rgba]))[1], over_white(rgba)), "several at once"


@pytest.mark.parametrize("path", sorted([*PHOTOS.glob("*.png"), *PHOTOS.glob("*.jpg")]), ids=lambda p: p.name)
def test_shipped_photographs(path: Path) -> None:
    prepared = prepare_image(path, 64)
    assert path.name in (PHOTOS / "README.md").read_text(encoding="utf-8")
    assert prepared.rgba.shape == (64, 64, 4)
    assert 0.05 < (prepared.rgba[..., 3] > 127).mean() < 0.6
    plain = path.suffix == ".jpg"
    assert prepared.method == ("plain-background" if plain else "alpha")
    assert len(prepared.warnings) == int(plain)
    assert max(read_image(path).shape) <= 512


def test_prepared_image_is_the_same_from_every_kind_of_source() -> None:
    path = PHOTOS / "chair.png"
    prepared = prepare_image(path, 48)
    others = [prepare_image(str(path), 48), prepare_image(read_image(path), 48)]
    with Image.open(path) as opened:
        others.append(prepare_image(opened, 48))
    assert all(np.array_equal(prepared.rgba, other.rgba) for other in others)
    image = prepared.image
    assert image.shape == (1, 3, 48, 48)
    assert image.is_floating_point()
    assert image[0, :, 0, 0].tolist() == [1, 1, 1]
    assert np.allclose(
        (image[0].numpy().transpose(1, 2, 0) + 1) * 127.5, over_white(prepared.rgba), atol=1e-3
    )


def test_prepare_image_names_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "busy.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 50, 3), np.uint8)).save(path)
    with pytest.raises(ViewFusionError, match=r"busy\.png: no object stands out"):
        prepare_image(path, 64)
    with pytest.raises(ViewFusionError, match="got int"):
        prepare_image(3, 64)  # type: ignore[arg-type]
    with pytest.raises(ViewFusionError, match="size >= 8"):
        prepare_image(PHOTOS / "chair.png", 2)


def test_the_steps_of_a_photo() -> None:
    steps = prepare_steps(PHOTOS / "chair.png", 64)
    chair = read_image(PHOTOS / "chair.png")
    assert np.array_equal(steps.cutout, chair)
    assert np.array_equal(steps.photo, chair)
    assert np.array_equal(steps.alpha, chair[..., 3])
    rows, columns = np.flatnonzero((chair[..., 3] > 127).any(1)), np.flatnonzero((chair[..., 3] > 127).any(0))
    assert steps.box == (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    assert np.array_equal(steps.prepared.rgba, prepare_image(PHOTOS / "chair.png", 64).rgba)


def test_too_little_memory_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's error for it, and OpenCV's own, raised by OpenCV for an array of 2 ** 62 bytes."""

    def starved(*_: object) -> None:
        raise MemoryError

    def starved_in_opencv(*_: object) -> None:
        cv2.copyMakeBorder(np.zeros((1, 1, 4), np.uint8), 0, 2**30, 0, 2**30 - 2, cv2.BORDER_CONSTANT)

    for how in (starved, starved_in_opencv):
        monkeypatch.setattr("viewfusion.preprocessing.cut_out", how)
        with pytest.raises(ViewFusionError, match=r"chair\.png: needs more memory than there is; reduce it"):
            prepare_image(PHOTOS / "chair.png", 64)


def test_a_preparation_is_followed() -> None:
    photo = np.zeros((200, 200, 4), np.uint8)
    photo[60:140, 80:120] = (9, 99, 199, 255)
    half = prepare_image(photo, 100, Preparation(fraction=0.5))
    assert np.flatnonzero((half.rgba[..., 3] > 127).any(axis=1)).tolist() == list(range(25, 75))
    wide = prepare_image(photo, 100, Preparation(fraction=0.8, framing="width"))
    assert np.flatnonzero((wide.rgba[..., 3] > 127).any(axis=0)).tolist() == list(range(10, 90))
    assert "framed by its width" in wide.warnings[-1]


def test_pil_images_keep_their_pixels() -> None:
    image = Image.fromarray(quadrants())
    assert np.array_equal(rgba_from_pil(image)[..., :3], quadrants())
    with pytest.raises(ViewFusionError, match="image: only 3 x 3 pixels"):
        rgba_from_pil(Image.new("RGB", (3, 3)))


def test_import_is_light() -> None:
    code = "import sys, viewfusion.preprocessing; sys.exit('torch' in sys.modules)"
    root = Path(__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
