"""The share of a frame that an object takes, on pictures whose box is known."""

from __future__ import annotations

import numpy as np
import pytest
from measure_frames import longest_sides, main, row


def picture(rows: slice, columns: slice) -> np.ndarray:
    image = np.full((64, 64, 3), 255, np.uint8)
    image[rows, columns, 1] = 249
    return image


def test_the_longer_side_counts():
    wide = picture(slice(10, 20), slice(3, 35))
    high = picture(slice(0, 64), slice(63, 64))
    dot = picture(slice(5, 6), slice(5, 6))
    white = np.full((64, 64, 3), 250, np.uint8)
    assert longest_sides(np.stack([wide, high, dot, white])) == pytest.approx([32 / 64, 1, 1 / 64, 0])


def test_a_row_tells_the_spread():
    assert row("x", np.linspace(0, 1, 101)) == "| x (101) | 0.05 | 0.50 | 0.95 | 0.50 |"


def test_near_views_stand_apart(tmp_path, monkeypatch, capsys):
    images = np.stack([picture(slice(0, 32), slice(0, 1)), picture(slice(0, 16), slice(0, 1))])[None]
    poses = np.array([[[0, 0, 1.5], [0, 0, 2.0]]], np.float32)
    np.savez(tmp_path / "objects-00000.npz", images=images, poses=poses)
    monkeypatch.setattr("sys.argv", ["measure_frames.py", str(tmp_path)])
    main()
    near, whole = capsys.readouterr().out.splitlines()[2:]
    assert near.endswith("(1) | 0.50 | 0.50 | 0.50 | 0.50 |")
    assert whole.endswith("| 0.38 |")
