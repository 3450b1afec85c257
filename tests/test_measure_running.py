"""tools/measure_running.py: does it time the ways it names, on the same thing?"""

from __future__ import annotations

import json
import sys

import measure_running
import torch
from measure_running import chunks, measure, step

from viewfusion.zero123 import load_zero123, open_checkpoint
from viewfusion.zero123.weights import meta_model


def test_chunks_are_timed_and_agree(small_checkpoint):
    model = load_zero123(*small_checkpoint, family="zero123")
    with torch.inference_mode():
        told = measure(chunks(model, 3), repeats=1)
    assert list(told) == ["3 rows at once", "2 rows at once", "1 rows at once"]
    assert told["3 rows at once"]["over_first"] == 1
    assert told["3 rows at once"]["largest_difference"] == 0
    assert all(each["largest_difference"] < 1e-5 and each["seconds"] > 0 for each in told.values())


def test_a_step_is_waited_for_where_the_model_is(small_checkpoint, monkeypatch):
    """On a device whose calls return at once."""
    model = meta_model(open_checkpoint(*small_checkpoint, family="zero123").config, small_checkpoint[0])
    waited = []
    monkeypatch.setattr(measure_running, "wait_for", waited.append)
    with torch.inference_mode():
        made = step(model, 3)()
    assert (made.device.type, waited) == ("meta", [torch.device("meta")])


def test_the_command_prints_json(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["measure_running", "chunks", "--rows", "1", "--repeats", "1"])
    threads = torch.get_num_threads()
    measure_running.main()
    assert torch.get_num_threads() == threads
    told = json.loads(capsys.readouterr().out)
    assert (told["checkpoint"], list(told["ways"])) == ("zero123-nano", ["1 rows at once"])
