"""The tool behind docs/elevation.md: are errors those of the answers, and of what was measured?"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import evaluate_elevation
import numpy as np
import pytest
from evidence.elevations import RANGE_DEG, Trials, elevation_of, true_views
from evidence.elevations_page import Trial, errors, spread, worth, write_page
from evidence.subjects import Procedural, procedural_objects

from viewfusion import ViewFusionError
from viewfusion.outputs.files import write_json
from viewfusion.preprocessing.elevation import ElevationEstimate, nearby_poses

BLOCK = "<!-- figures: {} -->\nold\n<!-- end -->\n"
PAGE = "before\n" + BLOCK.format("elevation") + BLOCK.format("elevation-curves")


def sure(degrees: float) -> ElevationEstimate:
    return ElevationEstimate(degrees, degrees, 0.9, curve=((-60.0, 0.9), (degrees, 0.2), (60.0, 0.9)))


UNSURE = ElevationEstimate(30, 50.0, 0.1, "a reason", curve=((-60.0, 0.9), (50.0, 0.8)))
NONE = ElevationEstimate(30, None, 0.0, "no point")


def test_errors_are_of_what_was_measured_and_of_what_is_used():
    trials = [Trial("a", 10, sure(14)), Trial("b", 20, UNSURE), Trial("c", 32, NONE)]
    assert [trial.measured_error for trial in trials] == [4, 30, 2]
    assert [trial.used_error for trial in trials] == [4, 10, 2]
    found = {"procedural": {"model": trials}}
    # Constant: 20, 10, 2. The 90th percentile of three is at 1.8 of the way from the first to the last.
    assert errors(found).splitlines()[-1].split(" | ")[1:] == ["10.0 / 18.0", "4.0 / 24.8", "4.0 / 8.8 |"]
    assert worth(found).splitlines()[-1].split(" | ")[1:] == ["1 of 3", "4.0 / 4.0", "16.0 / 27.2 |"]
    assert spread([]) == "-"


def test_true_views_are_of_the_moves_asked_for():
    subject = Procedural(500000000)
    photo, make_views = true_views(subject, 20.0, 32)
    source, *targets = nearby_poses(30.0)
    made = make_views(source, targets)
    assert [picture.shape for picture in made] == [(32, 32, 3)] * 4
    assert np.array_equal(make_views(source, [source])[0], photo)
    higher = true_views(subject, 30.0, 32)[0]
    assert np.array_equal(made[2], higher)  # ten degrees up from 20


def test_elevations_differ_and_are_decided_by_names():
    found = [elevation_of(subject) for subject in procedural_objects("held-out", 200)]
    assert found == [elevation_of(subject) for subject in procedural_objects("held-out", 200)]
    assert RANGE_DEG[0] <= min(found) < 0
    assert 60 < max(found) <= RANGE_DEG[1]
    assert 20 < np.mean(found) < 40


def test_the_command_measures_and_goes_on_and_writes(tmp_path, monkeypatch, capsys):
    def call(*arguments) -> str:
        monkeypatch.setattr(sys, "argv", ["evaluate_elevation.py", *map(str, arguments)])
        evaluate_elevation.main()
        return capsys.readouterr().out

    state, page = tmp_path / "state", tmp_path / "page.md"
    options = ["--state", state, "--split", "validation", "--objects", 1, "--workers", 1]
    assert "0 are done" in call("measure", *options)
    files = {path.name: path.read_bytes() for path in state.rglob("*.json")}
    assert set(files) == {"study.json", "true-256.json", "true-64.json", "model.json"}
    true = json.loads(files["true-256.json"])
    assert true["truth_deg"] == elevation_of(procedural_objects("validation", 1)[0])
    assert json.loads(files["model.json"])["estimate"]["network_evaluations"] == 120
    assert "1 are done" in call("measure", *options)
    assert {path.name: path.read_bytes() for path in state.rglob("*.json")} == files
    page.write_text(PAGE)
    assert "filled elevation, elevation-curves" in call(
        "write", "--state", state, "--page", page, "--images", tmp_path
    )
    text = page.read_text()
    assert text.startswith("before\n")
    assert "1 procedural objects (split `validation`)" in text
    assert "old" not in text
    assert (tmp_path / "elevation-curves.png").exists()
    with pytest.raises(SystemExit) as stop:
        call("measure", *options[:2], "--split", "held-out", "--objects", 1)
    assert stop.value.code == 2
    assert "measured with other split" in capsys.readouterr().err


def test_objects_without_all_systems_do_not_count(tmp_path):
    trials = Trials(tmp_path, "unused")
    subject = procedural_objects("held-out", 1)[0]
    assert trials.missing(subject) == ["true-256", "true-64", "model"]
    content = {"credit": "a", "truth_deg": 1.0, "estimate": sure(2).to_dict()}
    place: Path = trials.place(subject)
    place.mkdir(parents=True)
    write_json(place / "model.json", content)
    assert trials.missing(subject) == ["true-256", "true-64"]
    (tmp_path / "page.md").write_text(PAGE)
    write_json(tmp_path / "study.json", {})
    with pytest.raises(ViewFusionError, match="no finished object"):
        write_page(tmp_path, tmp_path / "page.md", tmp_path)
