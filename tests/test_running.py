"""How a run is computed: options that are checked and go where they should; one of them shows in pictures."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import pytest
import torch
from test_cli import CHAIR, refused

from viewfusion import ViewFusionError, ViewFusionPipeline
from viewfusion.cli.bench import Bench
from viewfusion.running import Running

QUICK = ["--views", 2, "sampling.num_inference_steps=1"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_batch": 0}, "--max-batch must be 1 or more, got 0"),
        ({"dtype": "fp16"}, "--dtype must be one of auto, float32, float16, bfloat16, got 'fp16'"),
        ({"dtype": "bfloat"}, "did you mean 'bfloat16'"),
        ({"compile": True, "offload": True}, "--compile and --offload do not go together"),
    ],
)
def test_nonsense_is_refused(options, words):
    with pytest.raises(ViewFusionError) as refusal:
        Running(**options)
    assert words in str(refusal.value)


def test_a_pipeline_is_loaded_as_told(small_checkpoint):
    def load(**options):
        return ViewFusionPipeline.from_checkpoint(
            *small_checkpoint, device="cpu", family="zero123", **options
        )

    assert (load().dtype, load().max_batch) == (torch.float32, None)
    half = load(dtype="bfloat16", max_batch=3)
    assert (half.dtype, half.max_batch, half.model.offloads) == (torch.bfloat16, 3, False)
    assert load(dtype=torch.bfloat16).dtype == torch.bfloat16
    assert load(offload=True).model.offloads


def test_the_command_says_in_what_numbers_and_does_not_mix_them(run, tmp_path):
    """bfloat16 is another run, --max-batch is not."""
    out = tmp_path / "out"
    command = ["generate-360", CHAIR, *QUICK, "--device", "cpu", "--out", out]
    code, _, err = run(*command, "--dtype", "bfloat16", "--max-batch", 1)
    assert code == 0, err
    manifest = json.loads((out / "chair/manifest.json").read_text())
    assert manifest["fingerprint"]["dtype"] == "bfloat16"
    assert "max_batch" not in json.dumps(manifest)
    refused(run(*command), "dtype=bfloat16, now float32")
    code, _, err = run(*command, "--dtype", "bfloat16")
    assert (code, "nothing to do" in err) == (0, True)


@pytest.mark.parametrize("offload", [False, True])
def test_a_benchmark_offloads_where_asked(run, tmp_path, monkeypatch, offload):
    """As is proposed where a device is too small; nothing is made or scored here."""
    loads = []
    monkeypatch.setattr("viewfusion.benchmark.generating", lambda *given: loads.append(given[3]))
    monkeypatch.setattr(Bench, "run", lambda bench, start, *_: start(SimpleNamespace(on_view=None)))
    code, _, err = run("benchmark", "--device", "cpu", *["--offload"] * offload, "--out", tmp_path / "out")
    assert code == 0, err
    assert loads[0](torch.device("cpu")).model.offloads == offload


def test_a_device_too_small_is_told_before_anything_is_made(run, tmp_path, monkeypatch):
    """The meta device stands for one: it is no CPU, and its memory is as small as we say."""
    monkeypatch.setattr("viewfusion.pipeline.usable_dtype", lambda *_: torch.float32)
    monkeypatch.setattr("viewfusion.zero123.memory.device_memory", lambda device: 10**6)
    words = (
        r"error: the model takes about \d\.\d+ GB in float32, and meta has 1\.00 MB free; close other .*\n"
    )
    for command in (["generate-360", CHAIR], ["generate-view", CHAIR, "--azimuth-deg", 20]):
        code, _, err = run(*command, "--device", "meta", "--out", tmp_path / "out")
        assert (code, bool(re.fullmatch(words, err))) == (2, True), err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--device", "meta"], "float32 does not work on meta"),
        (["--device", "cuda:99"], "the device cuda:99 is not there"),
        (["--dtype", "float8"], "--dtype must be one of"),
        (["--max-batch", 0], "--max-batch must be 1 or more"),
        (["--max-batch", -3], "--max-batch must be 1 or more"),
    ],
)
def test_the_commands_refuse_in_one_line(run, tmp_path, arguments, words):
    out = tmp_path / "out"
    for command in (["generate-360", CHAIR], ["generate-view", CHAIR, "--azimuth-deg", 20]):
        refused(run(*command, *arguments, "--out", out), words)
    if "--device" not in arguments:
        refused(run("benchmark", *arguments, "--out", out), words)
    assert not out.exists()
