"""``viewfusion benchmark-speed``: does it count what is run, and estimate what follows from it?"""

from __future__ import annotations

import json

import pytest
import torch

from viewfusion.cli.speed import estimated

STEPS = 2


@pytest.fixture
def arguments(small_checkpoint):
    checkpoint, config = small_checkpoint
    network = ["--checkpoint", checkpoint, "--config", config, "--family", "zero123", "--device", "cpu"]
    return ["benchmark-speed", *network, f"sampling.num_inference_steps={STEPS}"]


def test_a_spin_is_measured(run, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, error = run(*arguments, "--views", 4, "--json")
    assert code == 0, error
    found = json.loads(out)
    # 90 degrees is the only step within the window: one reference, one, then the input and both of them.
    assert found["evaluations"] == STEPS * (2 + 2 + 4)
    assert (found["views"], found["num_inference_steps"], found["device"]) == (4, STEPS, "cpu")
    assert found["seconds_of_36"] > found["seconds"] > 0
    assert found["peak_memory"] > 2**26
    assert list(tmp_path.iterdir()) == []


def test_the_estimate_knows_what_steps_cost(run, arguments, monkeypatch):
    """Without guidance 443 references in a ring of 36 are 443 rows a step, and 1, 1 and 3 in one of 4."""
    asked = []
    monkeypatch.setattr("viewfusion.cli.speed.estimated", lambda *given: asked.append(given) or 1.0)
    assert run(*arguments, "--views", 4, "sampling.guidance_scale=1")[0] == 0
    costs, _, all_costs, views = asked[0]
    assert costs == [STEPS, STEPS, 3 * STEPS]
    assert (all_costs, views) == (443 * STEPS, 35)


def test_nothing_is_compiled_while_time_is_taken(run, arguments, monkeypatch):
    """A compiler that changes nothing is as good here, and quick."""
    monkeypatch.setattr(torch, "compile", lambda function, dynamic: function)
    code, _, error = run(*arguments, "--views", 4, "--compile")
    assert code == 0, error
    said = [line.split()[0] for line in error.splitlines() if line.startswith(("compiled", "view"))]
    assert said == ["compiled", "compiled", "view", "view", "view"]


def test_people_get_lines(run, arguments):
    code, out, _ = run(*arguments, "--views", 2)
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[1:]] == [
        "loading",
        "a",
        "evaluations",
        "peak",
        "36",
    ]
    assert f"evaluations  {2 * STEPS} (" in out


def test_estimates_by_hand():
    """A row costs 2 and a view 1; without a second number of rows, all is the rows'."""
    assert estimated([1, 2, 4], [3, 5, 9], all_rows=100, views=10) == pytest.approx(2 * 100 + 10)
    assert estimated([2, 2], [5, 5], all_rows=100, views=10) == pytest.approx(250)
    assert estimated([1, 2], [1, 3], all_rows=30, views=9) == pytest.approx(40)  # a view would cost -1


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--device", "cuda:9"], "the device cuda:9 is not there"),
        (["--checkpoint", "nowhere"], "nowhere"),
        (["--preset", "fats"], "did you mean 'fast'?"),
        (["--views", "1"], "views must be 2 to 1000"),
    ],
)
def test_bad_options_are_one_line(run, arguments, more, words):
    code, out, error = run(*arguments, *more)
    assert (code, out, words in error, error.count("\n")) == (2, "", True, 1), error
