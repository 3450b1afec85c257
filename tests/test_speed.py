"""tools/benchmark.py: are counts those of the formula, are pictures the same, is measured what is said?"""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path

import benchmark
import measure_growth
import pytest
import torch
import yaml
from evidence.command import DOCS
from make_full_size import ClipSizes
from speed.full_size import random_zero123
from speed.host import SIDE, Roof
from speed.memory import PeakMemory, give_back, resident
from speed.page import block_of, write_page
from speed.spins import rotated
from speed.stages import STAGES, FlopClock, Stages
from speed.tables import objects_line, told
from torch import nn

from viewfusion import load_config
from viewfusion.fusion import schedule
from viewfusion.geometry import ring

VIEWS, STEPS = 4, 3
KEYS = {"seconds", "evaluations", "encodes", "decodes", "max_difference", "peak_memory"}


# What a spin costs, by hand.
#
# The views of a ring of V lie at multiples of d = 360/V degrees and are made as +1, -1, +2, -2, ... V/2. Let
# w be the most steps that are fewer than 125 degrees: w = ceil(125 / d) - 1. When +j is made, there are the
# input, which counts always, and +1 .. +(j-1) and -1 .. -(j-1); for -j, its mirror image, there is +j too. So
# a target sees the input; of its own side, whose j-1 views are 1, 2, ... steps away,
#
#     min(j-1, w)
#
# and of the other side, whose i-th view (i = 1 .. m, m being j-1 or j) is j+i steps away one way and V-j-i
# the other, those with
#
#     j+i <= w:    i = 1 .. min(m, w-j)
#     V-j-i <= w:  i = max(1, V-w-j) .. m


def references(views: int) -> list[int]:
    """Of each target, in the order of generation."""
    w = -(-125 * views // 360) - 1
    counts = []
    for j in range(1, views // 2 + 1):
        for m in (j - 1, j) if 2 * j < views else (j - 1,):
            this_way = max(0, min(m, w - j))
            round_the_back = max(0, m - max(1, views - w - j) + 1)
            counts.append(1 + min(j - 1, w) + this_way + round_the_back)
    return counts


def costs(views: int, steps: int) -> dict[str, dict[str, int]]:
    """Evaluations, encodes and decodes of a spin.

    A step is 2N rows or N + 1. All references of all targets are encoded, or each view once but the last one,
    which nobody refers to. Each target is decoded once.
    """
    passes, targets = sum(references(views)), views - 1
    return {
        "naive": {"evaluations": 2 * passes * steps, "encodes": passes, "decodes": targets},
        "exact": {"evaluations": (passes + targets) * steps, "encodes": targets, "decodes": targets},
    }


@pytest.mark.parametrize("views", [2, 3, 4, 5, 7, 8, 16, 36, 37, 72, 100])
def test_the_schedule_refers_as_derived(views):
    assert [len(target.references) for target in schedule(ring(views))] == references(views)


def test_what_the_published_spin_costs():
    """36 views: w = 12; the last target sees 12 on either side and the input."""
    assert (sum(references(36)), max(references(36)), references(36)[-1]) == (443, 25, 25)
    assert costs(36, 76) == {
        "naive": {"evaluations": 886 * 76, "encodes": 443, "decodes": 35},
        "exact": {"evaluations": 478 * 76, "encodes": 35, "decodes": 35},
    }


@pytest.mark.parametrize("views", [8, 16, 36, 72, 144])
def test_references_are_bounded_for_a_ring_and_grow_with_its_density(views):
    w = -(-125 * views // 360) - 1
    assert max(references(views)) == 2 * w + 1
    assert references(2 * views)[-1] >= 2 * references(views)[-1] - 1
    # A window that is narrower by as much as the ring is denser keeps the number.
    narrower = load_config(overrides=[f"views={views}", f"fusion.window_deg={125 * 8 / views}"])
    most = max(len(target.references) for target in schedule(narrower.trajectory(), narrower.rules()))
    assert most <= max(references(8))


# The tool.


def run(monkeypatch, capsys, main, *arguments):
    """``(exit code, stdout, stderr)`` of a tool in this process."""
    monkeypatch.setattr("sys.argv", ["tool", *map(str, arguments)])
    try:
        main()
        code = 0
    except SystemExit as stop:
        code = stop.code or 0
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture(scope="module")
def spins(tmp_path_factory) -> Path:
    """What the tool found out about a ring of four."""
    path = tmp_path_factory.mktemp("spins") / "spins.json"
    arguments = ["--device", "cpu", "--views", str(VIEWS), "--repeat", "2", "--json", str(path)]
    arguments.append(f"sampling.num_inference_steps={STEPS}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SIDE, "cpu", 256)
        benchmark.run(benchmark.parser().parse_args(arguments))
    return path


def test_variants_cost_what_was_derived_and_show_the_same(spins):
    variants = json.loads(spins.read_text())["variants"]
    assert list(variants) == ["exact", "fast", "naive"]  # sorted, as all our JSON
    assert all(each.keys() >= KEYS for each in variants.values())
    # The reference's timesteps of "3 steps" are range(0, 1000, 333) + 1 without the noisiest: 3.
    for name, each in variants.items():
        expected = costs(VIEWS, STEPS)["naive" if name == "naive" else "exact"]
        if name == "fast":  # what a preset saves is its own affair, but it encodes and decodes no more
            expected.pop("evaluations")
        assert {key: each[key] for key in expected} == expected
        assert each["solver_steps"] == STEPS
        assert len(each["seconds_each"]) == 2
        assert sum(each["shares"].values()) == pytest.approx(1)
        assert each["peak_memory"] > 2**26
    assert variants["naive"]["max_difference"] == 0
    assert variants["exact"]["max_difference"] <= 2
    assert variants["fast"]["max_difference"] > 2
    assert variants["exact"]["config"]["sampling"] == variants["naive"]["config"]["sampling"]
    assert variants["exact"]["config"]["sampling"]["eta"] == 1


def test_arithmetic_is_counted_by_rows(spins):
    variants = json.loads(spins.read_text())["variants"]
    for each in variants.values():
        flops = each["flops_a_row"]
        parts = {"network": "evaluations", "encode": "encodes", "decode": "decodes"}
        least = sum(flops[stage] * each[count] for stage, count in parts.items())
        assert least <= each["flops"] < 1.1 * least
    assert variants["naive"]["flops_a_row"]["encode"] == variants["exact"]["flops_a_row"]["encode"]
    assert variants["exact"]["flops_a_row"]["network"] < variants["naive"]["flops_a_row"]["network"]


def test_the_page_is_filled_from_files(spins, tmp_path):
    result = json.loads(spins.read_text())
    assert block_of(result) == "zero123-nano-cpu"
    assert block_of({**result, "network": "a.ckpt", "kind": "growth"}) == "a-ckpt-cpu-growth"
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- figures: zero123-nano-cpu -->\nold\n<!-- end -->\nafter\n")
    assert write_page([spins], page) == ["zero123-nano-cpu"]
    text = page.read_text()
    assert re.fullmatch(r"before\n<!-- .* -->\n4 views, .*<!-- end -->\nafter\n", text, re.DOTALL)
    naive, exact = (result["variants"][name] for name in ("naive", "exact"))
    assert f"| `exact`, float32 | {exact['seconds']:.2f} | {exact['speedup']:.2f} (" in text
    assert f"| {naive['evaluations']} | {naive['encodes']} | 3 |" in text
    assert "old" not in text


def test_the_shipped_page_has_a_place_for_each_result():
    text = (DOCS / "benchmarks.md").read_text()
    for name in ("zero123-nano-cpu", "full-size-cpu-steps", "full-size-cuda", "zero123-nano-cpu-growth"):
        assert text.count(f"<!-- figures: {name} -->") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--variants", "exat"], "no preset 'exat'"),
        (["--device", "cuda:9"], "the device cuda:9 is not there"),
        (["--repeat", "0"], "--repeat and --references must be 1 or more"),
        (["sampling.num_inference_step=3"], "did you mean"),
        (["--write", "absent.json"], "absent.json: cannot be read"),
        (["--write", __file__], "not JSON"),
    ],
)
def test_bad_options_are_one_line(arguments, words, monkeypatch, capsys):
    code, _, error = run(monkeypatch, capsys, benchmark.main, "--device", "cpu", *arguments)
    assert (code, error.count("\n"), words in error) == (2, 1, True), error


def test_one_step_stands_for_a_spin(small_checkpoint, monkeypatch, capsys, tmp_path):
    checkpoint, config = small_checkpoint
    network = ["--checkpoint", checkpoint, "--config", config, "--family", "zero123", "--device", "cpu"]
    path = tmp_path / "steps.json"
    monkeypatch.setitem(SIDE, "cpu", 256)
    arguments = [*network, "--steps-only", "--references", "3", "--repeat", "1", "--json", path]
    code, out, _ = run(monkeypatch, capsys, benchmark.main, *arguments)
    result = json.loads(path.read_text())
    assert code == 0
    naive, exact = (result["variants"][name] for name in ("naive", "exact"))
    assert (naive["rows"], exact["rows"]) == (6, 4)
    for name, each in (("naive", naive), ("exact", exact)):
        assert {key: each[key] for key in ("evaluations", "encodes", "decodes")} == costs(36, 76)[name]
    assert 0 < exact["flops_a_row"] < naive["flops_a_row"]
    assert "A spin of 36 views: 1.85 times fewer evaluations." in out


def test_growth_is_looked_at_view_by_view(monkeypatch, capsys, tmp_path):
    path = tmp_path / "growth.json"
    arguments = ["--views", 4, 10, "--steps", 2, "--objects", 3, "--device", "cpu", "--json", path]
    code, out, _ = run(monkeypatch, capsys, measure_growth.main, *arguments)
    result = json.loads(path.read_text())
    assert code == 0
    # From the file, where keys are sorted as words.
    rows = [line.split()[1] for line in told(result).splitlines() if line.startswith(("| 4 ", "| 10 "))]
    assert rows == ["4", "10"] * 2
    for views in (4, 10):
        made = result["rings"][str(views)]
        assert [each["references"] for each in made] == references(views)
        assert [each["evaluations"] for each in made] == [2 * (n + 1) for n in references(views)]
        assert all(each["seconds"] > 0 for each in made)
    assert len(result["resident_after_objects"]) == 3
    assert "3 objects of 4 views" in out


def test_growth_from_object_to_object_is_a_slope():
    flat, rising = [2**30] * 60, [2**30 + 2048 * number for number in range(60)]
    assert objects_line(flat, 4).endswith("once 20 are done +0.0 KiB an object.")
    assert objects_line(rising, 4).endswith("once 20 are done +2.0 KiB an object.")


# What it measures with.


def test_flops_by_hand():
    """2 for each multiplication: (2, 3) @ (3, 5); a 3x3 convolution of 4 to 6 channels on 5x5; attention."""
    with FlopClock() as clock, torch.inference_mode():
        marks = [clock.mark()]
        for layer, values in (
            (nn.Linear(3, 5), torch.ones(2, 3)),
            (nn.Conv2d(4, 6, 3, padding=1), torch.ones(1, 4, 5, 5)),
        ):
            layer(values)
            marks.append(clock.mark())
        # Queries (2, 4, 7, 8), keys and values of 9 rows: two products of 2 * 7 * 9 * 8 in each of 8 heads.
        nn.functional.scaled_dot_product_attention(
            torch.ones(2, 4, 7, 8), torch.ones(2, 4, 9, 8), torch.ones(2, 4, 9, 8)
        )
        marks.append(clock.mark())
    assert [clock.between(*pair) for pair in pairwise(marks)] == [
        2 * 2 * 3 * 5,
        2 * 4 * 6 * 9 * 25,
        2 * 4 * 2 * (2 * 7 * 9 * 8),
    ]


class Ticks:
    """A clock that somebody turns."""

    def __init__(self) -> None:
        self.now = 0

    def mark(self) -> int:
        return self.now

    def between(self, earlier: int, later: int) -> int:
        return later - earlier


def test_stages_by_hand():
    clock = Ticks()

    class Costs(nn.Module):
        def __init__(self, ticks: int) -> None:
            super().__init__()
            self.ticks = ticks

        def forward(self, values: torch.Tensor) -> torch.Tensor:
            clock.now += self.ticks
            return values

    model = nn.Module()
    model.unet, model.image_encoder, model.vae = Costs(10), Costs(5), nn.Module()
    model.vae.encoder, model.vae.decoder = Costs(3), Costs(7)
    stages = Stages(model, clock)
    for _ in range(2):
        with stages:
            model.image_encoder(torch.ones(2))
            model.vae.encoder(torch.ones(2))
            clock.now += 1  # other
            model.unet(torch.ones(4))
            clock.now += 2  # between two calls: the solver's
            model.unet(torch.ones(4))
            clock.now += 4  # other
            model.vae.decoder(torch.ones(1))
        clock.now += 100  # nobody's
        model.unet(torch.ones(50))
    assert stages.rows == {"unet": 16, "vae.encoder": 4, "image_encoder": 4, "vae.decoder": 2}
    expected = {"encode": 8, "network": 20, "solver": 2, "decode": 7, "other": 5}
    assert stages.costs() == {stage: 2 * expected[stage] for stage in STAGES}
    assert stages.total == 84


def test_peak_memory_is_that_of_the_block():
    give_back()
    before = resident()
    with PeakMemory(torch.device("cpu")) as large:
        torch.ones(2**24)  # 64 MiB, freed at once
    with PeakMemory(torch.device("cpu")) as small:
        pass
    assert large.bytes - before > 60 * 2**20
    assert large.bytes - small.bytes > 60 * 2**20


def test_a_roof_is_the_best_so_far():
    roof = Roof(torch.device("cpu"), torch.float32)
    roof.side = 64
    roof.look()
    first = roof.reached
    roof.look()
    assert 0 < first <= roof.reached


def test_everyone_is_first_once():
    assert [rotated("abc", turn) for turn in range(4)] == [
        ["a", "b", "c"],
        ["b", "c", "a"],
        ["c", "a", "b"],
        ["a", "b", "c"],
    ]


def test_a_random_network_of_any_size():
    original = yaml.safe_load((Path(__file__).parent / "assets/tiny_zero123.yaml").read_text())
    model = random_zero123(
        torch.device("cpu"), torch.float32, original, ClipSizes(width=128, layers=2, vocabulary=1000)
    )
    assert model.latent_shape == (4, 32, 32)
    with torch.inference_mode():
        decoded = model.decode_latents(torch.ones(1, 4, 4, 4))
        embeds = model.embed_images(decoded)
        tokens = model.project(embeds, torch.zeros(1, 4))
        noise = model.predict_noise(torch.ones(1, 4, 4, 4), 500, tokens, model.encode_cond_latents(decoded))
    assert noise.isfinite().all()
    assert noise.std() > 0
