"""tools/measure_running.py: does it time the ways it names, on the same thing?"""

from __future__ import annotations

import json
import sys

import measure_running
import torch
from measure_running import chunks, measure

from viewfusion.zero123 import load_zero123


def test_chunks_are_timed_and_agree(small_checkpoint):
    model = load_zero123(*small_checkpoint, family="zero123")
    with torch.inference_mode():
        told = measure(chunks(model, 3), repeats=1)
    assert list(told) == ["3 rows at once", "2 rows at once", "1 rows at once"]
    assert told["3 rows at once"]["over_first"] == 1
    assert told["3 rows at once"]["largest_difference"] == 0
    assert all(each["largest_difference"] < 1e-5 and each["seconds"] > 0 for each in told.values())


def test_the_command_prints_json(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["measure_running", "chunks", "--rows", "1", "--repeats", "1"])
    threads = torch.get_num_threads()
    measure_running.main()
    assert torch.get_num_threads() == threads
    told = json.loads(capsys.readouterr().out)
    assert (told["checkpoint"], list(told["ways"])) == ("zero123-nano", ["1 rows at once"])
