from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from viewfusion.errors import ViewFusionError
from viewfusion.preprocessing import SEGMENTERS, Hints, Preparation, prepare_image, segment
from viewfusion.preprocessing.segmenters import (
    ALIASES,
    NETWORKS,
    Segmentation,
    Segmenter,
    alpha,
    carvekit,
    mask,
    onnx,
    plain,
)


def photo(ground: tuple[int, int, int] = (250, 250, 250)) -> np.ndarray:
    """(120, 160, 4): a blue box of rows 30 to 89 and columns 48 to 111 on ``ground``."""
    rgba = np.full((120, 160, 4), 255, np.uint8)
    rgba[..., :3] = ground
    rgba[30:90, 48:112, :3] = (40, 90, 160)
    return rgba


BOX = np.zeros((120, 160), np.uint8)
BOX[30:90, 48:112] = 255
DARK = (20, 20, 20)


def refused(*arguments: object, **named: object) -> str:
    with pytest.raises(ViewFusionError) as caught:
        segment(*arguments, **named)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def saved(levels: np.ndarray, path: Path) -> Hints:
    Image.fromarray(levels).save(path)
    return Hints(mask=path)


def networks_here(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """As on a machine with the weights of these networks and no others."""
    monkeypatch.setattr(onnx, "available", lambda name: name in names)
    monkeypatch.setattr(carvekit, "available", lambda: "carvekit" in names)


def test_auto_takes_what_somebody_knows_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    networks_here(monkeypatch)
    drawn = saved(BOX, tmp_path / "mask.png")
    cut = photo()
    cut[..., 3] = BOX
    assert segment(cut, hints=drawn).method == "mask"
    assert segment(cut).method == "alpha"
    assert segment(cut, hints=Hints(point=(80, 60))).method == "alpha"
    assert segment(photo(), hints=Hints(point=(80, 60))).method == "grabcut"
    assert segment(photo(), hints=Hints(box=(40, 20, 120, 100))).method == "grabcut"
    assert segment(photo()).method == "plain-background"
    assert segment(photo(DARK)).method == "grabcut"


def test_auto_takes_the_best_network_that_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    networks_here(monkeypatch, "u2net", "isnet-general-use")
    asked: list[object] = []

    def segmenter(name: object) -> Segmenter:
        asked.append(name)
        return lambda rgb, hints: Segmentation(BOX, str(name), 0.9)

    monkeypatch.setattr(onnx, "segmenter", segmenter)
    assert segment(photo(DARK), hints=Hints(point=(80, 60))).method == "grabcut"
    assert asked == []
    assert segment(photo(DARK)).method == "isnet-general-use"
    assert segment(photo()).method == "isnet-general-use", "on plain grounds too"
    assert segment(photo(DARK), "u2net").method == "u2net"
    segment(photo(DARK), "isnet")
    segment(photo(DARK), "folder/u2net-mine.onnx")
    names = ["isnet-general-use"] * 2 + ["u2net", "isnet-general-use", Path("folder/u2net-mine.onnx")]
    assert asked == names


def test_auto_goes_by_rules_where_no_network_is(monkeypatch: pytest.MonkeyPatch) -> None:
    networks_here(monkeypatch)
    assert segment(photo()).method == "plain-background"
    assert segment(photo(DARK)).method == "grabcut"


def test_every_network_has_its_segmenter() -> None:
    assert set(NETWORKS) == {*onnx.NETWORKS, "carvekit"}


def test_unknown_names_are_refused_with_the_nearest() -> None:
    text = refused(photo(), "grabcutt")
    assert "did you mean 'grabcut'?" in text
    assert all(name in text for name in SEGMENTERS)
    assert set(ALIASES.values()) <= set(SEGMENTERS)


def test_a_named_segmenter_does_not_pass_its_work_on() -> None:
    assert "not light" in refused(photo(DARK), "plain")
    assert "is transparent" in refused(photo(), "alpha")
    assert "no mask is given" in refused(photo(), "mask")
    assert segment(photo(), "grabcut").method == "grabcut"


@pytest.mark.parametrize(
    ("hints", "words"),
    [
        (Hints(point=(160, 5)), "the point 160,5 is not in the photo; the upright photo has 160 x 120"),
        (Hints(point=(5, -1)), "is not in the photo"),
        (Hints(point=(float("nan"), 5)), "is not in the photo"),
        (Hints(box=(100, 10, 50, 90)), "holds none of the photo; it is left, top, right, bottom"),
        (Hints(box=(200, 10, 250, 90)), "holds none of the photo"),
        (Hints(box=(0, 0, float("inf"), 90)), "holds none of the photo"),
        (Hints(point=(80, 60), box=(0, 0, 40, 40)), "the point is not in the box"),
    ],
)
def test_hints_outside_the_photo_are_refused(hints: Hints, words: str) -> None:
    assert words in refused(photo(), hints=hints)


def test_a_mask_is_not_ignored(tmp_path: Path) -> None:
    assert "looks at no mask" in refused(photo(), "plain", saved(BOX, tmp_path / "mask.png"))


def test_hints_move_with_the_part_that_is_looked_at() -> None:
    moved = Hints(point=(50, 40), box=(30, 20, 70, 60)).moved(30, 20, 0.5, 0.25)
    assert moved == Hints(point=(10, 5), box=(0, 0, 20, 10))
    assert Hints().moved(1, 2, 3, 4) == Hints()


def test_evenly_faint_files_are_no_cutouts() -> None:
    rgba = photo()
    rgba[..., 3] = 100
    assert segment(rgba).method == "plain-background"
    rgba[..., 3] = BOX // 3
    assert segment(rgba).method == "alpha"


def test_alpha_by_hand() -> None:
    # 2 of 100 pixels are a fiftieth, and below half of the most opaque one; one pixel is not enough.
    levels = np.full((10, 10), 200, np.uint8)
    levels[0, 0] = 99
    assert not alpha.is_cutout(levels)
    levels[0, 1] = 99
    assert alpha.is_cutout(levels)
    levels[0, 1] = 100
    assert not alpha.is_cutout(levels)


def test_masks_of_every_kind(tmp_path: Path) -> None:
    rgb = photo()[..., :3]
    kinds = {
        "grey": BOX,
        "bits": BOX > 0,
        "ones": BOX // 255,
        "colour": np.dstack([BOX] * 3),
        "alpha": np.dstack([np.full((120, 160, 3), 77, np.uint8), BOX]),
    }
    for name, levels in kinds.items():
        found = mask.segment(rgb, saved(levels, tmp_path / f"{name}.png"))
        assert np.array_equal(found.alpha, BOX), name
        assert (found.method, found.confidence, found.remarks) == ("mask", 1.0, ())


def test_soft_masks_stay_soft(tmp_path: Path) -> None:
    levels = np.tile(np.arange(160, dtype=np.uint8), (120, 1))
    assert np.array_equal(mask.segment(photo()[..., :3], saved(levels, tmp_path / "m.png")).alpha, levels)


def test_a_mask_is_turned_as_its_file_asks(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side: turned clockwise for showing
    Image.fromarray(np.rot90(BOX)).save(tmp_path / "m.png", exif=exif)
    found = mask.segment(photo()[..., :3], Hints(mask=tmp_path / "m.png"))
    assert np.array_equal(found.alpha, BOX)


def test_masks_of_the_same_shape_are_resized(tmp_path: Path) -> None:
    found = mask.segment(photo()[..., :3], saved(BOX[::2, ::2], tmp_path / "half.png"))
    assert found.alpha.shape == (120, 160)
    assert np.abs(found.alpha.astype(int) - BOX).mean() < 4
    # 53 x 40 is a third, rounded; 54 x 40 would be of a photo of 162 x 120.
    mask.segment(photo()[..., :3], saved(BOX[::3, :159:3], tmp_path / "third.png"))
    with pytest.raises(ViewFusionError, match=r"m\.png: the mask has 54 x 30 pixels and.*160 x 120"):
        mask.segment(photo()[..., :3], saved(BOX[40:70, 60:114], tmp_path / "m.png"))


def test_bad_masks_are_refused_by_name(tmp_path: Path) -> None:
    for level in (0, 255):
        with pytest.raises(ViewFusionError, match=r"even\.png: the same everywhere"):
            mask.segment(photo()[..., :3], saved(np.full_like(BOX, level), tmp_path / "even.png"))
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(ViewFusionError, match=r"text\.png: not an image"):
        mask.segment(photo()[..., :3], Hints(mask=tmp_path / "text.png"))
    with pytest.raises(ViewFusionError, match=r"image: .*gone\.png: no such file"):
        prepare_image(photo(), 32, Preparation(hints=Hints(mask=tmp_path / "gone.png")))


@pytest.mark.parametrize(
    ("ground", "words"), [(DARK, "not light"), ((60, 160, 250), "not light"), (None, "not plain")]
)
def test_the_simple_rule_says_what_it_wants(ground: tuple[int, int, int] | None, words: str) -> None:
    rgb = photo(ground or DARK)[..., :3]
    if ground is None:
        rgb = np.random.default_rng(0).integers(0, 256, rgb.shape).astype(np.uint8)
    with pytest.raises(ViewFusionError, match=f"{words}.*supply an RGBA image"):
        plain.segment(rgb, Hints())
    with pytest.raises(ViewFusionError, match=r"nothing stands out.*supply an RGBA image"):
        plain.segment(np.full((120, 160, 3), 250, np.uint8), Hints())


def test_opencv_is_imported_when_it_is_used() -> None:
    code = "import sys, viewfusion.preprocessing; sys.exit('cv2' in sys.modules)"
    root = Path(__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
