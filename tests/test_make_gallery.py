"""Runs side by side: rows of the still picture, columns of the moving one, the right views in both."""

from __future__ import annotations

import sys
from pathlib import Path

import make_gallery
import numpy as np
import pytest
import torch
from PIL import Image

from viewfusion.geometry import Pose
from viewfusion.outputs.cameras import cameras_json
from viewfusion.outputs.contact_sheet import LABEL, MARGIN, TITLE
from viewfusion.outputs.files import write_json, write_pngs
from viewfusion.views import View, ViewSet


def made(folder: Path, greys: list[int]) -> Path:
    """A run whose views are plain greys."""
    count = len(greys)
    views = ViewSet(
        tuple(
            View(i, Pose.from_degrees(360 * i / count, 30, 1.5), torch.full((3, 32, 32), grey / 127.5 - 1))
            for i, grey in enumerate(greys)
        )
    )
    write_pngs(folder / "views", (view.rgb for view in views))
    write_json(folder / "cameras.json", cameras_json(views))
    return folder


def test_every_view_is_where_it_belongs(tmp_path, monkeypatch):
    runs = [
        made(tmp_path / "cup", [0, 20, 40, 60]),
        made(tmp_path / "pail", [100, 120, 140, 160, 180, 200, 220, 240]),
    ]
    out = tmp_path / "gallery"
    arguments = [*map(str, runs), "--out", str(out), "--views", "4", "--side", "20"]
    monkeypatch.setattr(sys, "argv", ["make_gallery.py", *arguments])
    make_gallery.main()
    still = np.asarray(Image.open(out.with_suffix(".png")).convert("L"))
    side = 128  # the least of a cell, which 32 pixels are enlarged to
    for row, greys in enumerate([[0, 20, 40, 60], [100, 140, 180, 220]]):
        y = MARGIN + TITLE + row * (side + LABEL) + side // 2
        assert [int(still[y, MARGIN + column * (side + MARGIN) + side // 2]) for column in range(4)] == greys
    with Image.open(out.with_suffix(".gif")) as moving:
        assert (moving.n_frames, moving.size) == (4, (40, 40))
        for frame, (cup, pail) in enumerate(zip([0, 20, 40, 60], [100, 120, 140, 160], strict=True)):
            moving.seek(frame)
            pixels = np.asarray(moving.convert("L")).astype(int)
            seen = [pixels[y, x] for y, x in ((10, 10), (10, 30), (30, 10), (30, 30))]
            assert np.abs(np.array(seen) - [0, 100, cup, pail]).max() <= 2


def test_what_is_no_run_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["make_gallery.py", str(tmp_path), "--out", str(tmp_path / "gallery")])
    with pytest.raises(SystemExit, match=r"cameras\.json"):
        make_gallery.main()
    assert not list(tmp_path.glob("gallery*"))
