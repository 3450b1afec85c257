"""tools/make_full_size.py: is its file the released layout, and what of it does loading touch?"""

from __future__ import annotations

import ast
import lzma
import math
import mmap
import pickle
from pathlib import Path

import make_full_size
import numpy as np
import pytest
import torch
import yaml
from make_full_size import ClipSizes, layout, make_checkpoint, random_values, schedule

from viewfusion.zero123 import load_zero123
from viewfusion.zero123.ldm_configs import FULL_SIZE
from viewfusion.zero123.lightning import read_state_dict

ASSETS = Path(__file__).parent / "assets"
YAML = ASSETS / "tiny_zero123.yaml"
TINY = yaml.safe_load(YAML.read_text())
CLIP = ClipSizes(width=128, layers=2, vocabulary=1000)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("made") / "made.ckpt"
    make_checkpoint(path, TINY, CLIP, seed=5)
    assert [file.name for file in path.parent.iterdir()] == ["made.ckpt"]
    return path


def shapes_of(state: dict[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in state.items()}


def test_names_and_shapes_are_those_of_a_released_file():
    lines = lzma.decompress((ASSETS / "full_keys.txt.xz").read_bytes()).decode().splitlines()
    released = {name: ast.literal_eval(shape) for name, shape in (line.split(" ", 1) for line in lines)}
    constants, shapes = layout(FULL_SIZE, ClipSizes())
    assert {name: list(shape) for name, shape in (shapes_of(constants) | shapes).items()} == released
    assert sum(math.prod(shape) for shape in released.values()) * 4 > 8.5e9


def test_names_and_constants_are_those_of_the_recorded_file(tiny_checkpoint):
    recorded = read_state_dict(tiny_checkpoint[0])
    vocabulary, text = recorded["cond_stage_model.model.token_embedding.weight"].shape
    context = len(recorded["cond_stage_model.model.positional_embedding"])
    sizes = ClipSizes(width=128, layers=2, vocabulary=vocabulary, text_width=text, context=context)
    constants, shapes = layout(TINY, sizes)
    assert shapes_of(constants) | shapes == shapes_of(recorded)
    for name, value in constants.items():
        assert value.dtype == recorded[name].dtype
        torch.testing.assert_close(value, recorded[name], rtol=2e-5, atol=1e-8)


def test_it_opens_with_the_averages(made):
    model = load_zero123(made, YAML)
    name, shape = "model_ema.diffusion_modelinput_blocks00weight", (32, 8, 3, 3)
    assert torch.equal(model.unet.conv_in.weight, random_values(name, torch.Size(shape), seed=5))
    raw = load_zero123(made, YAML, use_ema=False).unet.conv_in.weight
    assert not torch.equal(raw, model.unet.conv_in.weight)
    with torch.inference_mode():
        image = model.decode_latents(torch.ones(1, 4, 8, 8))
    assert image.isfinite().all()


def test_around_the_weights_lies_what_lightning_left(made):
    with pytest.raises(pickle.UnpicklingError, match="ModelCheckpoint"):
        torch.load(made, weights_only=True)
    content = torch.load(made, weights_only=False)  # not mapped: each record is read as it is stored
    (adam,) = content["optimizer_states"]
    trained = [
        name
        for name in content["state_dict"]
        if name.startswith(("model.diffusion_model.", "cc_projection."))
    ]
    assert [number for group in adam["param_groups"] for number in group["params"]] == list(
        range(len(trained))
    )
    for name, moments in zip(trained, adam["state"].values(), strict=True):
        assert moments["exp_avg"].shape == moments["exp_avg_sq"].shape == content["state_dict"][name].shape
        assert moments["exp_avg"].any()  # filled, so that reading it would be reading
    assert [key.__name__ for key in content["callbacks"]] == ["ModelCheckpoint"]


def mappings(path: Path) -> list[tuple[int, int]]:
    """(first, last + 1) address of each mapping of ``path`` in this process."""
    lines = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
    spans = [words[0].split("-") for words in lines if words[-1] == str(path)]
    return [(int(low, 16), int(high, 16)) for low, high in spans]


def pages_in_memory(low: int, high: int) -> np.ndarray:
    """One bool for each page between two addresses: has this process touched it?"""
    with Path("/proc/self/pagemap").open("rb") as file:
        file.seek(low // mmap.PAGESIZE * 8)
        entries = np.frombuffer(file.read((high - low) // mmap.PAGESIZE * 8), np.uint64)
    return (entries >> np.uint64(63)) == 1


def share_touched(present: np.ndarray, base: int, tensors: list[torch.Tensor]) -> float:
    """Of the pages that lie wholly within ``tensors``, mapped at ``base``, how many are present."""
    found = total = 0
    for tensor in tensors:
        start = tensor.data_ptr() - base
        inside = present[-(-start // mmap.PAGESIZE) : (start + tensor.nbytes) // mmap.PAGESIZE]
        found, total = found + int(inside.sum()), total + len(inside)
    return found / total


def test_loading_reads_the_weights_and_nothing_else(made):
    model = load_zero123(made, YAML)  # in the file's own dtype: its weights are the file's pages
    ((low, high),) = mappings(made)
    present = pages_in_memory(low, high)
    content = torch.load(made, mmap=True, weights_only=False)
    ((base, _),) = [span for span in mappings(made) if span[0] != low]
    state = content["state_dict"]

    def touched(*prefixes: str) -> float:
        return share_touched(present, base, [v for name, v in state.items() if name.startswith(prefixes)])

    moments = [
        value[key]
        for value in content["optimizer_states"][0]["state"].values()
        for key in ("exp_avg", "exp_avg_sq")
    ]
    assert sum(value.nbytes for value in moments) > sum(value.nbytes for value in model.parameters())
    assert touched("model_ema.", "first_stage_model.", "cc_projection.") > 0.999
    assert touched("cond_stage_model.model.visual.transformer") > 0.999
    # A fault brings in at most 16 pages around it, so a little of each neighbour comes along.
    assert share_touched(present, base, moments) < 0.01
    assert touched("model.diffusion_model.") < 0.02
    assert touched("cond_stage_model.model.token_embedding") < 0.1


def test_half_precision(tmp_path):
    path = tmp_path / "half.ckpt"
    make_checkpoint(path, TINY, CLIP, dtype="fp16")
    state = read_state_dict(path)
    kinds = {value.dtype for name, value in state.items() if name != "model_ema.num_updates"}
    assert kinds == {torch.float16}
    assert load_zero123(path, YAML).dtype == torch.float32


def test_values_depend_on_seed_and_name_alone():
    shape = torch.Size((200, 100))
    values = random_values("a.weight", shape, 1)
    assert torch.equal(values, random_values("a.weight", shape, 1))
    assert not torch.equal(values, random_values("a.weight", shape, 2))
    assert not torch.equal(values, random_values("b.weight", shape, 1))
    assert values.std() == pytest.approx(0.1, rel=0.05)  # 1 / sqrt(100 inputs)
    assert random_values("norm.weight", torch.Size((100,)), 1).mean() == pytest.approx(1, abs=0.01)


def test_a_disk_too_small_is_said_at_once(tmp_path, monkeypatch):
    used = make_full_size.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(make_full_size.shutil, "disk_usage", lambda _: used._replace(free=10**6))
    with pytest.raises(SystemExit, match=r"needs 0\.2 GB of disk"):
        make_checkpoint(tmp_path / "made.ckpt", TINY, CLIP)
    assert list(tmp_path.iterdir()) == []


def test_the_schedule_is_the_models_own(tiny_zero123):
    buffers = schedule(tiny_zero123)
    torch.testing.assert_close(buffers["alphas_cumprod"], tiny_zero123.alphas_cumprod, rtol=1e-6, atol=0)
    torch.testing.assert_close(buffers["betas"].sum(), torch.tensor(4.9), rtol=0.1, atol=0)
