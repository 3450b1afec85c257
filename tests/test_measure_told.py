"""What a network listens to: is it told what the table says?"""

from __future__ import annotations

import sys

import pytest
import torch
from make_dataset import write_shard
from measure_told import main, told
from nano.views import Views

from viewfusion.zero123 import load_zero123


@pytest.fixture(scope="module")
def views(tmp_path_factory):
    folder = tmp_path_factory.mktemp("objects")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("make_dataset.SHARD", 16)
        write_shard(0, folder, views=2, size=64, first_seed=2_000_000_000)
    return folder


def test_nano_listens_to_each_thing(views):
    model = load_zero123("zero123-nano")
    decibels = told(model, Views.load(views))
    truth = decibels.pop("the truth")
    assert truth > max(decibels.values())
    assert decibels["another object's condition latents"] < truth - 2


def test_where_nothing_moves_all_moves_are_the_truth(views):
    stored = Views.load(views)
    still = Views(stored.images, stored.poses[:, :1].expand(-1, 2, -1))
    decibels = told(load_zero123("zero123-nano"), still)
    moves = ("the azimuth turned the other way", "no turn", "another object's camera move")
    assert {decibels[name] for name in moves} == {decibels["the truth"]}


def test_the_input_repeated_is_told_beside(views, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["measure_told.py", str(views)])
    main()
    said = capsys.readouterr().out
    images = Views.load(views).images.double()
    error = (images[:, 0] - images[:, 1]).div(255).square().mean((1, 2, 3))
    expected = float((-10 * torch.log10(error)).mean())
    assert said.startswith("16 objects")
    row = said.splitlines()[-1]
    assert row.startswith("| (the input repeated) |")
    assert float(row.split()[-2]) == pytest.approx(expected, abs=0.006)
