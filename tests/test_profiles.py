from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from viewfusion.preprocessing import read_image


def test_colour_profile_is_applied(tmp_path: Path) -> None:
    # In a profile made of sRGB with red and blue swapped, "red" is what sRGB calls blue.
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ").replace(b"????", b"bXYZ")
    swapped = swapped.replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))
    image = Image.new("RGBA", (20, 16), (255, 0, 0, 100))
    image.save(tmp_path / "a.png", icc_profile=swapped)
    red, green, blue, alpha = (int(level) for level in read_image(tmp_path / "a.png")[0, 0])
    assert red < 3
    assert green < 3
    assert blue > 252
    assert alpha == 100
    image.save(tmp_path / "b.png", icc_profile=b"not a profile")
    assert tuple(read_image(tmp_path / "b.png")[0, 0]) == (255, 0, 0, 100)


def test_a_profile_is_judged_by_what_it_does_and_not_by_its_name(tmp_path: Path) -> None:
    """sRGB with a linear curve is still called so: 55 / 255 of the light are 128. sRGB changes nothing."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    place = srgb.index(b"rTRC")
    start, length = struct.unpack(">II", srgb[place + 4 : place + 12])
    linear = (b"curv" + bytes(8)).ljust(length, b"\0")
    same = srgb[:start] + linear + srgb[start + length :]
    image = Image.new("RGB", (20, 16), (55, 55, 55))
    image.save(tmp_path / "linear.png", icc_profile=same)
    assert read_image(tmp_path / "linear.png")[0, 0].tolist()[:3] == pytest.approx([128] * 3, abs=1)
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16).repeat(3).reshape(16, 16, 3)
    Image.fromarray(ramp).save(tmp_path / "srgb.png", icc_profile=srgb)
    assert np.array_equal(read_image(tmp_path / "srgb.png")[..., :3], ramp)


def test_a_grey_profile_is_applied(tmp_path: Path) -> None:
    """Of gamma 1: 128 / 255 of the light is 1.055 * 0.502 ** (1 / 2.4) - 0.055 = 0.737 of sRGB's levels."""
    linear = grey_profile(gamma=1.0)
    for mode, colour in (("L", 128), ("LA", (128, 77)), ("I;16", 128 * 257)):
        path = tmp_path / f"{mode.replace(';', '')}.png"
        Image.new(mode, (20, 16), colour).save(path, icc_profile=linear)
        red, green, blue, alpha = (int(level) for level in read_image(path)[0, 0])
        assert (red, green, blue) == pytest.approx((188, 188, 188), abs=1)
        assert alpha == (77 if mode == "LA" else 255)
    # What it says nothing about keeps its numbers.
    Image.new("RGB", (20, 16), (128, 9, 200)).save(tmp_path / "a.png", icc_profile=linear)
    assert read_image(tmp_path / "a.png")[0, 0].tolist() == [128, 9, 200, 255]


def grey_profile(gamma: float) -> bytes:
    """An ICC profile for grey by the book: header, tags wtpt (D50), kTRC (gamma as 8.8 fixed), desc, cprt."""
    text = b"desc" + bytes(4) + struct.pack(">I", 5) + b"grey\0" + bytes(78)
    white = b"XYZ " + bytes(4) + struct.pack(">3i", *(round(x * 65536) for x in (0.9642, 1.0, 0.8249)))
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    tags = {
        b"desc": text.ljust(100, b"\0"),
        b"cprt": b"text" + bytes(4) + b"none",
        b"wtpt": white,
        b"kTRC": curve,
    }
    table, body, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data.ljust(-(-len(data) // 4) * 4, b"\0")
    size = start + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x02400000, b"mntr", b"GRAY", b"XYZ ")
    head += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + bytes(28)
    head += struct.pack(">3i", *(round(x * 65536) for x in (0.9642, 1.0, 0.8249)))
    return head.ljust(128, b"\0") + table + body


def test_lab_becomes_srgb(tmp_path: Path) -> None:
    """Under D50 pure red is L 54.3, a 80.8, b 69.9; Pillow's bytes are L * 2.55, a + 128 and b + 128."""
    path = tmp_path / "a.tiff"
    Image.new("LAB", (20, 16), (138, 209, 198)).save(path)
    red, green, blue, alpha = (int(level) for level in read_image(path)[0, 0])
    assert alpha == 255
    assert red > 245
    assert max(green, blue) < 30
