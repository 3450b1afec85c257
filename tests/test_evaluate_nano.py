"""The tool behind docs/nano.md: does it compare what it says, go on where it stopped, and keep the prose?"""

from __future__ import annotations

import json
import math
import re
import sys
from dataclasses import replace
from pathlib import Path

import evaluate_nano
import numpy as np
import pytest
import torch
from evidence import figures, tables
from evidence.bench import Bench, begin, measured
from evidence.charts import Line, beside, chart, ticks
from evidence.command import DOCS
from evidence.page import filled, write_page
from evidence.recognised import own_object, own_side
from evidence.results import Results
from evidence.scores import ADJACENT, MOST_DB, TO_TRUTH, Judge, Networks
from evidence.studies import STUDIES, Study, alone, alone_at_the_cost, fused_and_alone, rows_a_step
from evidence.subjects import Procedural, RealMesh, procedural_objects, real_meshes, seed_of
from mesh_catalogue import entries, first_names, split_of
from objects import SPLITS, over_white, random_object, render
from PIL import Image
from test_meshes import CORNERS, write_cube

from viewfusion import ViewFusionError, ViewFusionPipeline, load_config
from viewfusion.config import changed
from viewfusion.evaluation.metrics import Lpips, Rife, load_lpips, unit_images
from viewfusion.fusion import schedule
from viewfusion.geometry import ring

VIEWS, SIZE = 4, 32
CONFIG = load_config(
    "fast",
    [
        f"views={VIEWS}",
        "sampling.num_inference_steps=2",
        "sampling.guidance_scale=3",
        "sampling.leap_sigma=0",
    ],
)


@pytest.fixture(scope="module")
def networks() -> Networks:
    """Of the real shapes; what they weigh does not matter here."""
    torch.manual_seed(0)
    lpips = {name: Lpips(name).requires_grad_(False).eval() for name in ("alex", "vgg")}
    return Networks(lpips, Rife().requires_grad_(False).eval())


@pytest.fixture(scope="module")
def truth() -> torch.Tensor:
    pictures = Procedural(SPLITS["held-out"]).pictures(ring(VIEWS).views, SIZE)
    return unit_images(over_white(torch.from_numpy(pictures)).numpy())


@pytest.fixture(scope="module")
def pipeline() -> ViewFusionPipeline:
    return ViewFusionPipeline.from_checkpoint("zero123-nano", device="cpu")


@pytest.fixture(scope="module")
def bench(tmp_path_factory, pipeline, networks) -> Bench:
    """A study of two kinds of objects, measured."""
    folder = tmp_path_factory.mktemp("state") / "quality"
    made = Bench(folder, "unused", STUDIES["quality"].systems(CONFIG), STUDIES["quality"].beside, True)
    # What other processes load by themselves.
    vars(made).update(pipeline=pipeline, networks=networks)
    begin(made, about())
    lines = list(measured(made, subjects(folder.parent), workers=1))
    assert [line.partition(":")[0] for line in lines] == [
        "procedural 1000000000",
        "mesh library/cube/cube.obj",
    ]
    return made


def about() -> dict:
    checkpoint = {"name": "tiny", "sha256": "0" * 64}
    return {"checkpoint": checkpoint, "config": CONFIG.to_dict(), "split": "held-out", "views": VIEWS}


def subjects(folder: Path):
    write_cube(folder / "library/cube")
    return [*procedural_objects("held-out", 1), RealMesh(entries(folder / "library")[0])]


# Systems.


@pytest.mark.parametrize("views", [3, 8, 16, 36])
def test_independent_views_have_no_reference_but_the_input(views):
    config = alone(changed(CONFIG, views=views))
    targets = schedule(config.trajectory(), config.rules())
    assert len(targets) == views - 1
    assert {(target.references, target.weights) for target in targets} == {((0,), (1.0,))}


def test_independent_views_do_not_depend_on_each_other(pipeline):
    """Each of the ring is what the model makes of the input and this view's noise alone."""
    config, ring_of = alone(CONFIG), CONFIG.trajectory()
    image = Image.fromarray(Procedural(5).pictures(ring_of.inputs, 64)[0])
    made = pipeline(image, ring_of, config)
    only = replace(ring_of, order=(2,))
    (single,) = [view for view in pipeline.iter_views(image, only, config) if view.index == 2]
    assert torch.equal(single.image, made[2].image)
    fused = pipeline(image, ring_of, CONFIG)
    assert torch.equal(fused[1].image, made[1].image)  # made first: the input is all there is
    assert not torch.equal(fused[2].image, made[2].image)


def test_costs_are_those_of_the_method():
    # Of a ring of 8, in the order +1 -1 +2 -2 +3 -3 4: 1, 2, 2, 2, 3, 4 and 5 references within 125 degrees.
    config = load_config("fast", ["views=8", "sampling.guidance_scale=3", "sampling.num_inference_steps=15"])
    assert rows_a_step(config) == 1 + 2 + 2 + 2 + 3 + 4 + 5 + 7
    assert rows_a_step(alone(config)) == 14
    assert rows_a_step(changed(config, guidance_scale=1.0)) == 19
    equal = alone_at_the_cost(config)
    assert equal.sampling.num_inference_steps == round(15 * 26 / 14) == 28
    assert rows_a_step(equal) == 14


@pytest.mark.parametrize("name", STUDIES)
def test_systems_differ_in_what_their_study_asks_and_fit_a_file(name):
    study: Study = STUDIES[name]
    systems = study.systems(load_config("fast", [f"views={study.views}", "sampling.num_inference_steps=15"]))
    assert len({repr(config) for config in systems.values()}) == len(systems) > 1
    assert {(config.views, config.seed) for config in systems.values()} == {(study.views, 0)}
    assert not any(set(system) & set("/\\: ") for system in systems)
    assert study.split == ("held-out" if name in ("quality", "consistency") else "validation")


def test_whose_a_view_is_and_from_which_side_by_hand():
    """Three objects, four views, one pixel; grey levels as they are."""
    truth = np.array([[0, 10, 20, 30], [100, 110, 120, 130], [200, 200, 200, 200]], float)
    made = np.array([[0, 12, 90, 29], [0, 128, 120, 112], [200, 1, 2, 201]], float)
    levels = [np.broadcast_to(each[..., None, None, None], (3, 4, 1, 1, 3)) for each in (made, truth)]
    assert own_object(*levels).tolist() == [[1, 0, 1], [1, 1, 1], [0, 0, 1]]
    # The second is turned the other way; the third looks alike from everywhere.
    assert own_side(*levels).tolist() == [[1, 1], [0, 0], [0.5, 0.5]]


# Objects.


def test_a_procedural_object_is_rendered_from_the_ring():
    number = SPLITS["held-out"] + 3
    pictures = Procedural(number).pictures(ring(4).views, 24)
    expected = render(random_object(number), ring(4).views[3], 24)
    assert np.array_equal(pictures[3], expected.numpy())


def test_a_mesh_turns_once_around_from_an_angle_of_its_own(tmp_path):
    """Opposite views of a slab are equally wide."""
    for name in ("one", "two"):
        write_cube(tmp_path / name, name, CORNERS * (4, 1, 1))
    one, two = (RealMesh(entry) for entry in entries(tmp_path))
    pictures = one.pictures(ring(4).views, 32)
    widths = [np.ptp(np.nonzero((each[..., 3] > 127).any(0))[0]) for each in pictures]
    assert widths[0] == pytest.approx(widths[2], abs=1)
    assert widths[1] == pytest.approx(widths[3], abs=1)
    assert np.array_equal(pictures, one.pictures(ring(4).views, 32))
    assert not np.array_equal(pictures, two.pictures(ring(4).views, 32))
    assert seed_of(one) != seed_of(two)


def test_meshes_are_of_their_split_and_one_of_each_shape(tmp_path):
    for number in range(40):
        write_cube(tmp_path / f"{number:02d}", "a", CORNERS * (1, 1, 1 + number // 2))  # pairs of a shape
    found = entries(tmp_path)
    names = first_names(found)
    parts = {split: real_meshes(found, split, 100) for split in SPLITS}
    assert sum(map(len, parts.values())) == 20
    for split, chosen in parts.items():
        assert {split_of(each.entry, names) for each in chosen} <= {split}
        assert len({each.entry.group for each in chosen}) == len(chosen)
        assert len({each.folder for each in chosen}) == len(chosen)
        assert real_meshes(found, split, 1) == chosen[:1]


# Scores.


def test_the_truth_scores_perfectly_against_itself(networks, truth):
    scores = Judge(networks, truth).scores(truth, with_ssim=True)
    assert {len(scores[name]) for name in TO_TRUTH} == {VIEWS - 1}
    assert {len(scores[name]) for name in ADJACENT} == {VIEWS}
    assert set(scores) == {*TO_TRUTH, *ADJACENT}
    assert scores["psnr"] == [MOST_DB] * 3
    assert scores["ssim"] == pytest.approx([1] * 3)
    assert scores["lpips_alex"] == scores["lpips_vgg"] == [0] * 3
    assert scores["outline"] == [1] * 3
    # The middle one of three is its own mirror image of the ring; the others are each other's.
    assert scores["outline_other_way"][1] == 1
    assert scores["outline_other_way"][0] == scores["outline_other_way"][2] < 1
    assert min(scores["adjacent_lpips_alex"]) > 0


def test_a_still_picture_is_consistent_and_not_true(networks, truth):
    scores = Judge(networks, truth).scores(truth[:1].expand_as(truth), with_ssim=False)
    assert "ssim" not in scores
    assert scores["adjacent_lpips_vgg"] == scores["flow_error"] == [0] * VIEWS
    assert max(scores["psnr"]) < MOST_DB
    mse = (truth[:1] - truth[2:3]).square().mean().item()
    assert scores["psnr"][1] == pytest.approx(-10 * math.log10(mse), abs=1e-4)


@pytest.mark.weights
def test_lpips_is_that_of_the_metric(truth):
    judge, moved = Judge(Networks.load(), truth), truth.roll(3, -1)
    scores = judge.scores(moved, with_ssim=False)
    for name in ("alex", "vgg"):
        lpips = load_lpips(name)
        assert scores[f"lpips_{name}"] == pytest.approx(lpips(moved[1:], truth[1:]).tolist(), abs=2e-6)
        assert scores[f"adjacent_lpips_{name}"] == pytest.approx(lpips.around(moved).tolist(), abs=2e-6)


# Measuring.


def test_files_hold_scores_and_pictures(bench):
    place = bench.place(procedural_objects("held-out", 1)[0])
    files = {path.name for path in place.iterdir()}
    assert files == {f"{name}.{kind}" for name in bench.names for kind in ("json", "png")}
    size = bench.pipeline.model.image_size
    strips = {
        name: np.asarray(Image.open(place / f"{name}.png")).reshape(size, VIEWS, size, 3)
        for name in bench.names
    }
    for name in ("repeated", "fused", "independent"):
        assert np.array_equal(strips[name][:, 0], strips["truth"][:, 0])  # all begin with the input
    assert np.array_equal(strips["fused"][:, 1], strips["independent"][:, 1])  # the same noise
    assert len(np.unique(strips["colour"].reshape(-1, 3), axis=0)) == 1
    assert strips["colour"].mean() == pytest.approx(strips["truth"][:, 0].mean(), abs=0.5)
    costs = {
        name: json.loads((place / f"{name}.json").read_text())["network_evaluations"]
        for name in bench.systems
    }
    assert costs == {"fused": 2 * rows_a_step(CONFIG), "independent": 2 * 2 * 3, "more-steps": 2 * 3 * 3}


def test_what_is_there_is_not_made_again(bench):
    subject = procedural_objects("held-out", 1)[0]
    assert bench.missing(subject) == []
    place = bench.place(subject)
    kept = {path: path.stat().st_mtime_ns for path in place.iterdir()}
    before = (place / "independent.json").read_text()
    (place / "independent.json").unlink()
    (place / ".fused.0123abcd.partial.json").write_text("{")  # as a kill leaves it
    assert bench.missing(subject) == ["independent"]
    bench.measure(subject)
    after = {path: path.stat().st_mtime_ns for path in place.iterdir()}
    remade = {path.name for path, stamp in after.items() if kept[path] != stamp}
    assert remade == {"independent.json", "independent.png"}
    told, again = (json.loads(text) for text in (before, (place / "independent.json").read_text()))
    assert told["scores"] == again["scores"]


def test_another_study_is_refused(bench):
    begin(bench, about())
    with pytest.raises(ViewFusionError, match="was measured with other checkpoint"):
        begin(bench, {**about(), "checkpoint": {"name": "other", "sha256": "1" * 64}})
    other = replace(bench, systems=fused_and_alone(changed(CONFIG, num_inference_steps=3)))
    with pytest.raises(ViewFusionError, match="was measured with other"):
        begin(other, about())


def test_a_broken_mesh_is_told_and_left_out(bench, tmp_path):
    (tmp_path / "broken.obj").write_text("f 1 2 3\n")
    broken = RealMesh(entries(tmp_path)[0])
    (line,) = measured(bench, [broken], workers=1)
    assert line.startswith("skipped ")
    assert not bench.place(broken).exists()


def test_results_are_means_of_the_files_and_of_whole_objects_only(bench):
    (bench.folder / "procedural/7").mkdir(exist_ok=True)
    (bench.folder / "procedural/7/truth.json").write_text("{}")  # the others are still to come
    results = Results(bench.folder)
    assert {kind: len(found) for kind, found in results.objects.items()} == {"procedural": 1, "mesh": 1}
    file = json.loads((bench.folder / "procedural/1000000000/fused.json").read_text())
    scores = file["scores"]["psnr"]
    assert results.mean("procedural", "fused", "psnr") == pytest.approx(sum(scores) / 3)
    assert results.by_distance("procedural", "fused", "psnr") == {
        90: pytest.approx((scores[0] + scores[2]) / 2),
        180: scores[1],
    }
    gain = results.difference(["procedural", "mesh"], ("fused", "psnr"), ("truth", "psnr"))
    means = [results.mean(kind, "fused", "psnr") - MOST_DB for kind in ("procedural", "mesh")]
    assert gain.mean == pytest.approx(sum(means) / 2)
    assert (gain.low, gain.high) == pytest.approx((min(means), max(means)))
    assert results.difference(["mesh"], ("fused", "psnr"), ("fused", "psnr")).mean == 0


# The page.

PAGE = "before\n<!-- figures: a -->\nold\n<!-- end -->\nbetween\n<!-- figures: b -->\n<!-- end -->\nafter\n"


def test_blocks_are_replaced_and_prose_is_kept():
    page = Path("page.md")
    once = filled(PAGE, {"a": r"new \1"}, page)
    assert once == PAGE.replace("old", r"new \1")
    assert filled(once, {"a": "old"}, page) == PAGE
    assert filled(PAGE, {}, page) == PAGE
    with pytest.raises(ViewFusionError, match=r"page\.md: one block .* c .*, 0 found"):
        filled(PAGE, {"c": "new"}, page)
    with pytest.raises(ViewFusionError, match="2 found"):
        filled(PAGE + PAGE, {"a": "new"}, page)


@pytest.mark.parametrize("name", ["elevation.md", "nano.md", "preprocessing.md"])
def test_no_block_of_the_projects_pages_is_empty(name):
    text = (DOCS / name).read_text(encoding="utf-8")
    blocks = re.findall(r"<!-- figures: ([\w-]+) -->\n(.*?)<!-- end -->", text, re.DOTALL)
    assert len(blocks) == text.count("<!-- figures: ") > 0
    assert [block for block, content in blocks if not content.strip()] == []
    for link in re.findall(r"\]\((images/[^)]+)\)", text):
        assert (DOCS / link).is_file()


def test_all_pages_with_blocks_are_known():
    pages = {page.name for page in DOCS.glob("*.md") if "<!-- figures: " in page.read_text("utf-8")}
    assert pages == {
        "benchmarks.md", "elevation.md", "fast.md", "nano.md", "preprocessing.md", "reconstruction.md",
    }  # fmt: skip


def test_the_projects_page_is_filled_with_what_was_measured(bench, tmp_path):
    page = tmp_path / "nano.md"
    page.write_text((DOCS / "nano.md").read_text(encoding="utf-8"), encoding="utf-8")
    names = write_page(bench.folder.parent, page, tmp_path / "images")
    assert set(names) == {"quality", "recognised", "azimuths", "equal-cost", "typical", "failures"}
    text = page.read_text(encoding="utf-8")
    results = Results(bench.folder)
    shown = f"| real meshes, fused | {results.mean('mesh', 'fused', 'psnr'):.2f} |"
    assert shown in text
    for image in ("azimuths", "typical", "failures"):
        assert f"](images/nano-{image}.png)" in text
        assert Image.open(tmp_path / f"images/nano-{image}.png").width > 200
    write_page(bench.folder.parent, page, tmp_path / "images")
    assert page.read_text(encoding="utf-8") == text
    with pytest.raises(ViewFusionError, match="run `measure` first"):
        write_page(tmp_path, page, tmp_path / "images")


def test_every_study_has_its_blocks(bench, tmp_path):
    """Every study as if all of its systems had scored what one did."""
    for name, study in STUDIES.items():
        systems = list(study.systems(CONFIG))
        folder = tmp_path / name
        folder.mkdir()
        told = {**about(), "names": [*study.beside, *systems], "systems": {}}
        (folder / "study.json").write_text(json.dumps(told))
        for source in bench.folder.glob("*/*/fused.json"):
            place = folder / source.parent.relative_to(bench.folder)
            place.mkdir(parents=True)
            for system in told["names"]:
                (place / f"{system}.json").write_text(source.read_text())
                (place / f"{system}.png").write_bytes(source.with_suffix(".png").read_bytes())
    page = tmp_path / "nano.md"
    page.write_text((DOCS / "nano.md").read_text(encoding="utf-8"), encoding="utf-8")
    marked = page.read_text(encoding="utf-8").count("<!-- figures: ")
    assert len(write_page(tmp_path, page, tmp_path / "images")) == marked
    assert "| no, the interval includes zero |" in page.read_text(
        encoding="utf-8"
    )  # fused is what it is beside
    assert len(list((tmp_path / "images").iterdir())) == 4


def test_the_worst_and_the_typical_are_chosen_by_rank(bench):
    results = Results(bench.folder)
    one = results.objects["mesh"][0]
    distances = (0.5, 0.1, 0.3, 0.2, 0.4)

    def like(value):
        scores = {**one.systems["fused"]["scores"], figures.RANKED_BY: [value] * 3}
        return replace(one, systems={**one.systems, "fused": {**one.systems["fused"], "scores": scores}})

    vars(results)["objects"] = {"mesh": [like(value) for value in distances]}
    told = [
        [each.mean("fused", figures.RANKED_BY) for each in chosen]
        for chosen in (figures.typical(results), figures.failures(results))
    ]
    assert told == [pytest.approx([0.2, 0.3, 0.4]), pytest.approx([0.5, 0.4, 0.3])]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 10, [0, 2, 4, 6, 8, 10]), (-190, 190, [-100, 0, 100]), (0.11, 0.19, [0.12, 0.14, 0.16, 0.18])],
)
def test_ticks_are_round(low, high, expected):
    assert ticks(low, high) == pytest.approx(expected)


def test_a_chart_shows_each_line_in_its_colour():
    red, blue = (200, 0, 0), (0, 0, 200)
    flat = Line("flat", [(0, 1), (10, 1)], red, ["a", "b"])
    rising = Line("rising", [(0, 0), (10, 2)], blue)
    pixels = np.asarray(beside([chart([flat, rising], "title", "x", "y")], 1)).astype(int)
    plot = pixels[70:340, 80:540]  # without legend and axes
    rows, columns = np.nonzero(np.abs(plot - red).sum(-1) < 60)
    assert np.ptp(rows[columns < 300]) < 25  # level, with its word
    rows, columns = np.nonzero(np.abs(plot - blue).sum(-1) < 60)
    assert rows[columns.argmin()] > rows[columns.argmax()] + 150  # up is more


@pytest.mark.slow
@pytest.mark.weights
def test_the_command_measures_in_processes_and_goes_on(tmp_path, monkeypatch, capsys):
    write_cube(tmp_path / "library/cube")
    names = first_names(entries(tmp_path / "library"))
    (split,) = {split_of(entry, names) for entry in entries(tmp_path / "library")}
    monkeypatch.setitem(STUDIES, "guidance", replace(STUDIES["guidance"], views=3, split=split))
    command = [
        "measure",
        "guidance",
        "--state",
        str(tmp_path / "state"),
        "--meshes",
        str(tmp_path / "library"),
    ]
    command += ["--objects", "1", "--override", "sampling.num_inference_steps=2"]
    monkeypatch.setattr(sys, "argv", ["evaluate_nano.py", *command])
    evaluate_nano.main()
    said = capsys.readouterr().out
    assert "guidance: 1 procedural objects, 1 real meshes; 0 are done" in said
    assert "guidance 2/2, 0.0 min left: " in said
    results = Results(tmp_path / "state/guidance")
    assert {kind: len(found) for kind, found in results.objects.items()} == {"procedural": 1, "mesh": 1}
    # Two steps of 1 and 2 references, 120 degrees apart; without guidance there is no unconditional row.
    assert results.evaluations("1") == 2 * (1 + 2)
    assert results.evaluations("3") == 2 * (2 + 3)
    evaluate_nano.main()
    assert capsys.readouterr().out == "guidance: 1 procedural objects, 1 real meshes; 2 are done\n"
    monkeypatch.setattr(sys, "argv", ["evaluate_nano.py", *command, "--override", "sampling.eta=0"])
    with pytest.raises(SystemExit) as stop:
        evaluate_nano.main()
    assert stop.value.code == 2
    assert "was measured with other config" in capsys.readouterr().err


def test_a_mistake_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["evaluate_nano.py", "write", "--state", str(tmp_path)])
    with pytest.raises(SystemExit) as stop:
        evaluate_nano.main()
    assert stop.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_numbers_that_are_missing_are_dashes():
    assert tables.number(math.nan, 2) == "-"
    assert tables.number(0.126, 2, "+") == "+0.13"
