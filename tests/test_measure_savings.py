"""The operations each saving leaves out, against counts by hand, and the files it writes."""

from __future__ import annotations

import json

import pytest
from measure_savings import FORMS, main, measure
from test_conditioned import SMALL, zero123

ROWS = 3


def test_operations_left_out_by_hand():
    measured = measure(zero123(**SMALL).unet, ROWS, rounds=2)
    left_out = {name: measured["plain"]["operations"] - told["operations"] for name, told in measured.items()}
    # Channels and places of the four cross-attentions: one down, one between, two up. Queries and the output
    # are made at every place, key and value of the one token; attention itself torch does not count on a CPU.
    layers = [(8, 64), (16, 16), (8, 64), (8, 64)]
    attention = sum(2 * 2 * c * c * hw + 2 * 2 * 12 * c for c, hw in layers)
    assert left_out["cross-attention"] == ROWS * attention
    # 3 x 3 places of 8 channels to 8, of which half are latents and shared by the rows.
    assert left_out["first layer"] == 2 * 9 * 8 * 64 * (ROWS * 8 - 4)
    assert left_out["viewfusion"] == left_out["cross-attention"] + left_out["first layer"]
    for told in measured.values():
        assert told["difference"] <= 1e-5
        assert told["seconds"] > 0
        assert told["saved_low"] <= told["saved"] <= told["saved_high"]
    shares = [measured[name]["share"] for name in ("cross-attention", "first layer", "time embedding")]
    assert min(shares) > 0
    assert sum(shares) < 1
    assert measured["viewfusion"]["share"] == pytest.approx(sum(shares[:2]))


def test_forms_are_chosen():
    assert [*measure(zero123(**SMALL).unet, 1, rounds=2, forms=["viewfusion"])] == ["plain", "viewfusion"]


def test_it_writes_a_table_and_json(tmp_path, monkeypatch, capsys):
    file = tmp_path / "savings.json"
    arguments = ["measure_savings.py", "--rows", "1", "2", "--rounds", "2", "--json", str(file)]
    monkeypatch.setattr("sys.argv", arguments)
    main()
    written = json.loads(file.read_text())
    assert {rows: [*forms] for rows, forms in written["rows"].items()} == {"1": [*FORMS], "2": [*FORMS]}
    assert written["network"] == "zero123-nano"
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 2 * len(FORMS)
    assert lines[2].startswith("| 1 | plain | ")
