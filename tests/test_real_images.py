"""The photographs that come with the project: each has its row with a licence, and is what its row says."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from viewfusion.cli.photos import split_settings
from viewfusion.preprocessing import read_image

PHOTOS = Path(__file__).parents[1] / "data" / "real_images"
TEXT = (PHOTOS / "README.md").read_text(encoding="utf-8")
FILES = sorted(path for path in PHOTOS.rglob("*") if path.is_file() and path.name != "README.md")
CUTOUTS = [path for path in FILES if path.parent == PHOTOS and path.suffix == ".png"]
ORIGINALS = [path for path in FILES if path.parent != PHOTOS]
FREE = ("public domain", "CC0 1.0", "[CC BY 2.5](https://creativecommons.org/licenses/by/2.5/)")


def rows() -> dict[str, list[str]]:
    """File -> the cells of its row."""
    lines = [line for line in TEXT.splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return {row[0].strip().strip("`"): row[1:] for row in cells}


def test_every_file_has_one_row_and_every_row_its_file() -> None:
    names = re.findall(r"^\| `([^`]+)` \|", TEXT, re.MULTILINE)
    assert sorted(names) == sorted(path.relative_to(PHOTOS).as_posix() for path in FILES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PHOTOS).as_posix())
def test_each_photo_opens_and_its_licence_is_a_free_one(path: Path) -> None:
    row = rows()[path.relative_to(PHOTOS).as_posix()]
    assert sum(cell in FREE for cell in row) == 1
    assert all(row)
    assert 128 < max(read_image(path).shape) <= (512 if path.parent == PHOTOS else 1024)


@pytest.mark.parametrize("path", CUTOUTS, ids=lambda path: path.name)
def test_cutouts_are_whole_objects_clear_of_the_border(path: Path) -> None:
    with Image.open(path) as opened:
        assert opened.mode == "RGBA"
        rgba = np.asarray(opened)
    alpha = rgba[..., 3]
    for border in (alpha[:8], alpha[-8:], alpha[:, :8], alpha[:, -8:]):
        assert not border.any()
    assert 0.1 < (alpha == 255).mean() < 0.8
    # Soft only along the outline, and no colour left where nothing is.
    assert ((alpha > 0) & (alpha < 255)).mean() < 0.12
    assert not rgba[alpha == 0].any()


def apart(original: np.ndarray, cutout: np.ndarray) -> float:
    """How far the cut-out's opaque pixels are from the original's, in levels, at the best place and size."""
    whole = original[..., :3]
    shrink = 160 / max(whole.shape)
    small = cv2.resize(whole, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    found = []
    for reduced in np.linspace(0.6, 1, 41):  # cut-outs are as large as in the original, or smaller
        size = (np.array(cutout.shape[1::-1]) * shrink / reduced).round().astype(int).tolist()
        if (np.array(size) < small.shape[1::-1]).all():
            piece = cv2.resize(cutout, size, interpolation=cv2.INTER_AREA)
            opaque = np.repeat((piece[..., 3:] == 255).astype(np.float32), 3, axis=2)
            squares = cv2.matchTemplate(
                small.astype(np.float32), piece[..., :3].astype(np.float32), cv2.TM_SQDIFF, mask=opaque
            )
            found.append(np.sqrt(max(float(squares.min()), 0) / opaque.sum()))
    return min(found)


@pytest.mark.parametrize("path", ORIGINALS, ids=lambda path: path.name)
def test_originals_are_uncut_and_hold_their_cutout(path: Path) -> None:
    original, cutout = read_image(path), read_image(PHOTOS / f"{path.stem}.png")
    assert (original[..., 3] == 255).all()
    box = Image.fromarray(cutout[..., 3]).getbbox()
    assert box is not None
    cutout = cutout[box[1] : box[3], box[0] : box[2]]
    assert apart(original, cutout) < 20
    # Upside down it is found nowhere: the measure tells pictures apart.
    assert apart(original, np.ascontiguousarray(cutout[::-1])) > 40


def test_ten_subjects_and_three_real_backgrounds() -> None:
    assert len({path.stem for path in FILES}) >= 10
    # What stands along the border of an original is no single colour.
    busy = 0
    for path in ORIGINALS:
        rgb = read_image(path)[..., :3].astype(float)
        rim = np.concatenate([rgb[:8].reshape(-1, 3), rgb[-8:].reshape(-1, 3), rgb[:, -8:].reshape(-1, 3)])
        busy += rim.std(0).max() > 30
    assert busy >= 3


def test_a_folder_stands_for_its_own_photos() -> None:
    cut, _ = split_settings([str(PHOTOS)])
    uncut, _ = split_settings([str(PHOTOS / "originals")])
    assert sorted(cut) == [path for path in FILES if path.parent == PHOTOS]
    assert sorted(uncut) == ORIGINALS
    for folder in (cut, uncut):
        assert len({path.stem for path in folder}) == len(folder)
