"""Benchmarks: are the right views made of the right input, and compared with the right truth?"""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from viewfusion import ViewFusionPipeline, load_config
from viewfusion.benchmark import Judging, check_same_objects, generate, object_seed, predicted, read_truth
from viewfusion.benchmark.truth import NEAR_DEG
from viewfusion.cli.benchmark import Network, runs
from viewfusion.config import changed
from viewfusion.datasets import Cameras, random_poses, ring_poses, write_layout
from viewfusion.datasets.reading import DatasetObject, Picture, open_dataset
from viewfusion.errors import ViewFusionError
from viewfusion.evaluation.measures import Tools
from viewfusion.evaluation.protocols import load_protocol
from viewfusion.fusion import VARIANTS
from viewfusion.geometry import Pose, path_to, ring
from viewfusion.preprocessing import PreparedImage, over_white

VIEWS, SIZE = 4, 64
QUICK = "sampling.num_inference_steps=2"
RING = f"about: A trial.\ntask: ring\nviews: {VIEWS}\nsize: 64\nmetrics: {{psnr: {{}}, mask_iou: {{}}}}\n"


def picture(place: int, side: int = SIZE) -> np.ndarray:
    """A box whose colour and place tell which view it is."""
    rgba = np.zeros((side, side, 4), np.uint8)
    rgba[side // 4 : side // 2 + 3 * place, side // 4 : 3 * side // 4] = (
        40 * place,
        120,
        200 - 30 * place,
        255,
    )
    return rgba


def write_object(folder: Path, poses, side: int = SIZE, layout: str = "viewfusion") -> DatasetObject:
    cameras = Cameras(tuple(poses), side)
    pictures = (picture(place, side) for place in range(len(cameras.poses)))
    write_layout(folder, layout, pictures, cameras, {"schema": 1, "mesh": {}, "options": {}})
    (each,) = open_dataset(folder).objects
    return each


def ring_object(folder: Path, count: int = VIEWS, elevation: float = 0.4) -> DatasetObject:
    return write_object(folder, ring_poses(count, elevation, 1.6))


def protocol(tmp_path: Path, text: str = RING):
    path = tmp_path / "trial.yaml"
    path.write_text(text)
    return load_protocol(path)


@pytest.fixture(scope="module")
def pipeline() -> ViewFusionPipeline:
    return ViewFusionPipeline.from_checkpoint("zero123-nano", device="cpu")


CONFIG = load_config(None, [QUICK, "sampling.leap_sigma=0"])


class TestTruth:
    def test_a_ring_is_scored_from_the_input_onwards(self, tmp_path):
        """Stored clockwise from 100 degrees on: the input becomes azimuth 0, the order counter-clockwise."""
        poses = [Pose.from_degrees(100 - 90 * place, 20, 1.7) for place in range(4)]
        truth = read_truth(protocol(tmp_path), write_object(tmp_path / "a", poses), {})
        assert truth.order == (0, 3, 2, 1)
        assert [round(pose.azimuth_deg) % 360 for pose in truth.poses] == [0, 90, 180, 270]
        assert truth.scored == (1, 2, 3)
        assert np.array_equal(truth.rgba[1], picture(3))
        assert np.array_equal(truth.input_rgba, picture(0))

    def test_targets_keep_their_order_and_the_list_names_the_input(self, tmp_path):
        text = RING.replace("ring", "targets") + "input: listed\n"
        each = write_object(tmp_path / "a", random_poses("a", 4, 0))
        truth = read_truth(protocol(tmp_path, text), each, {each.name: 2})
        assert (truth.order, truth.input, truth.scored) == ((0, 1, 2, 3), 2, (0, 1, 3))
        assert truth.poses[2].azimuth == 0
        stored = [one.pose for one in each.pictures]
        for mine, theirs in zip(truth.poses, stored, strict=True):
            apart = mine.azimuth - (theirs.azimuth - stored[2].azimuth)
            assert math.remainder(apart, 2 * math.pi) == pytest.approx(0, abs=1e-9)
            assert (mine.elevation, mine.radius) == (theirs.elevation, theirs.radius)

    def test_a_spin_needs_the_input_only(self, tmp_path):
        text = "about: A trial.\ntask: spin\nviews: 6\nmetrics: {adjacent_sift: {}}\n"
        truth = read_truth(protocol(tmp_path, text), ring_object(tmp_path / "a"), {})
        assert len(truth.rgba) == 1
        assert [pose.azimuth_deg for pose in truth.poses] == pytest.approx([0, 60, 120, 180, 240, 300])
        assert [pose.elevation for pose in truth.poses] == pytest.approx([0.4] * 6)
        assert truth.turn([picture(0)[..., :3]] * 6, 64).truth is None

    @pytest.mark.parametrize(
        ("poses", "told"),
        [
            (ring_poses(5, 0.4, 1.6), "wants 4 views, there are 5"),
            ([*ring_poses(4, 0.4, 1.6)[:3], Pose(4.0, 0.4, 1.6)], "no ring: view 3 is at azimuth -130.8"),
            ([*ring_poses(4, 0.4, 1.6)[:3], Pose(1.5 * math.pi, 0.5, 1.6)], "no ring: view 3"),
            ([*ring_poses(4, 0.4, 1.6)[:3], Pose(math.pi, 0.4, 1.6)], "no ring: view 3"),
        ],
    )
    def test_what_is_no_ring(self, tmp_path, poses, told):
        with pytest.raises(ViewFusionError) as refused:
            read_truth(protocol(tmp_path), write_object(tmp_path / "a", poses), {})
        assert told in str(refused.value)
        assert str(refused.value).startswith("a: ")

    def test_poses_and_inputs_that_are_missing(self, tmp_path):
        each = ring_object(tmp_path / "a")
        blind = replace(each, pictures=tuple(replace(one, pose=None) for one in each.pictures))
        with pytest.raises(ViewFusionError, match="have no poses"):
            read_truth(protocol(tmp_path), blind, {})
        listed = protocol(tmp_path, RING + "input: listed\n")
        with pytest.raises(ViewFusionError, match="none names it; give --inputs"):
            read_truth(listed, each, {"other": 0})
        with pytest.raises(ViewFusionError, match="its input is view 4, there are 4 views"):
            read_truth(listed, each, {each.name: 4})

    def test_a_list_of_inputs_goes_before_what_the_data_says(self, tmp_path):
        each = replace(ring_object(tmp_path / "a"), input_index=0)
        listed = protocol(tmp_path, RING + "input: listed\n")
        assert read_truth(listed, each, {"a": 2}).order == (2, 3, 0, 1)
        assert read_truth(listed, replace(each, input_index=1), {}).order == (1, 2, 3, 0)
        first = protocol(tmp_path)  # has no list
        assert read_truth(first, replace(each, input_index=1), {"a": 2}).order == (1, 2, 3, 0)

    def test_views_of_several_sizes(self, tmp_path):
        each = ring_object(tmp_path / "a")
        Image.fromarray(picture(1, 32)).save(each.pictures[1].path)
        with pytest.raises(ViewFusionError, match="of one size, got 32 x 32, 64 x 64"):
            read_truth(protocol(tmp_path), each, {})


class TestGeneration:
    def test_a_ring_is_what_the_pipeline_makes(self, tmp_path, pipeline):
        """At the input's elevation and radius, not framed anew, with a noise of its own."""
        truth = read_truth(protocol(tmp_path), ring_object(tmp_path / "a"), {})
        ours = generate(pipeline, "ring", "a", truth, CONFIG)
        config = changed(CONFIG, seed=object_seed(0, "a"), views=4)
        views = pipeline(PreparedImage(picture(0), "given"), ring(4, 0.4, 1.6), config)
        assert all(np.array_equal(mine, view.rgb) for mine, view in zip(ours, views, strict=True))
        other = generate(pipeline, "ring", "b", truth, CONFIG)
        assert np.array_equal(ours[0], other[0])
        assert not np.array_equal(ours[1], other[1])

    def test_each_target_is_reached_on_its_own(self, tmp_path, pipeline):
        poses = [Pose(0.5, 0.4, 1.6), Pose(0.8, 0.2, 1.7), Pose(0.4, 0.4, 1.6)]
        text = RING.replace("ring", "targets").replace("views: 4", "views: 3")
        truth = read_truth(protocol(tmp_path, text), write_object(tmp_path / "a", poses), {})
        told: list[tuple[int, int]] = []
        ours = generate(
            pipeline, "targets", "a", truth, CONFIG, lambda done, total: told.append((done, total))
        )
        config = changed(CONFIG, seed=object_seed(0, "a"))
        path = path_to(truth.poses[0], truth.poses[1])
        *_, last = pipeline.iter_views(PreparedImage(picture(0), "given"), path, config)
        assert len(path.views) == 3  # 17 degrees: two steps
        assert np.array_equal(ours[1], last.rgb)
        assert told == [(1, 3), (2, 3), (3, 3)]
        assert np.array_equal(ours[0][SIZE // 3, SIZE // 2], picture(0)[SIZE // 3, SIZE // 2, :3])

    def test_the_input_alone_makes_no_views_on_the_way(self, tmp_path, pipeline, monkeypatch):
        poses = [Pose(0.0, 0.4, 1.6), Pose(1.5, 0.4, 1.6)]
        text = RING.replace("ring", "targets").replace("views: 4", "views: 2")
        truth = read_truth(protocol(tmp_path, text), write_object(tmp_path / "a", poses), {})
        rows: list[int] = []
        predict = pipeline.model.predict
        monkeypatch.setattr(
            pipeline.model, "predict", lambda x, t, told: rows.append(len(told)) or predict(x, t, told)
        )
        generate(pipeline, "targets", "a", truth, changed(CONFIG, variant="zero123"))
        assert sum(rows) == 2 * 2  # steps, times the input and nothing

    def test_an_input_of_another_size_is_only_resized(self, tmp_path, pipeline):
        each = write_object(tmp_path / "a", ring_poses(4, 0.4, 1.6), side=128)
        truth = read_truth(protocol(tmp_path), each, {})
        seen = generate(pipeline, "ring", "a", truth, CONFIG)[0]
        shrunk = Image.fromarray(picture(0, 128)).resize((64, 64), Image.Resampling.BICUBIC)
        rgba = np.asarray(shrunk).astype(float)
        alpha = rgba[..., 3:] / 255
        assert np.abs(seen - (rgba[..., :3] * alpha + 255 * (1 - alpha))).max() <= 1


class TestPredictions:
    def made(self, folder: Path, numbers, side: int = SIZE, poses=None) -> DatasetObject:
        pictures = []
        folder.mkdir()
        for number in numbers:
            path = folder / f"{number:03d}.png"
            Image.fromarray(picture(number, side)).save(path)
            pictures.append(Picture(path, poses[number] if poses else None))
        return DatasetObject(folder.name, tuple(pictures))

    def test_by_their_numbers_in_the_order_of_the_truth(self, tmp_path):
        poses = [Pose.from_degrees(-90 * place, 20, 1.7) for place in range(4)]  # stored clockwise
        truth = read_truth(protocol(tmp_path), write_object(tmp_path / "a", poses), {})
        ours = predicted(self.made(tmp_path / "p", range(4)), truth, SIZE, False)
        without = predicted(self.made(tmp_path / "q", range(1, 4)), truth, SIZE, False)
        for pictures in (ours, without):
            turn = truth.turn(pictures, SIZE)
            assert torch.equal(turn.ours, turn.truth)

    def test_those_with_poses_must_have_the_true_ones(self, tmp_path):
        truth = read_truth(protocol(tmp_path), ring_object(tmp_path / "a", 4), {})
        turned = [
            replace(pose, azimuth=pose.azimuth + 2) for pose in truth.poses
        ]  # another world, same views
        assert len(predicted(self.made(tmp_path / "p", range(4), poses=turned), truth, SIZE, False)) == 4
        doubled = [replace(pose, azimuth=2 * pose.azimuth) for pose in truth.poses]
        with pytest.raises(
            ViewFusionError, match=r"prediction 2 is at azimuth -?0\.0 .* by its number it is that at -?180"
        ):
            predicted(self.made(tmp_path / "q", range(4), poses=doubled), truth, SIZE, False)
        lower = [replace(pose, elevation=pose.elevation - math.radians(2 * NEAR_DEG * bool(place)))
                 for place, pose in enumerate(truth.poses)]  # fmt: skip
        with pytest.raises(ViewFusionError, match=r"elevation 20\.9"):
            predicted(self.made(tmp_path / "r", range(4), poses=lower), truth, SIZE, False)

    @pytest.mark.parametrize("way", [1, -1])
    @pytest.mark.parametrize("whole", [True, False])
    def test_poses_tell_which_view_is_which(self, tmp_path, way, whole):
        """True views are stored clockwise, predictions either way, with or without the input."""
        stored = [Pose.from_degrees(50 - 90 * place, 20, 1.7) for place in range(4)]
        truth = read_truth(protocol(tmp_path), write_object(tmp_path / "a", stored), {})
        poses = [Pose.from_degrees(170 - 90 * place, 20, 1.7) for place in range(4)]
        numbers = [0, *(range(1, 4) if way > 0 else range(3, 0, -1))][not whole :]
        each = self.made(tmp_path / "p", numbers, poses=poses)
        turn = truth.turn(predicted(each, truth, SIZE, False), SIZE)
        assert torch.equal(turn.ours, turn.truth)

    def test_without_the_input_the_first_tells_how_the_world_is_turned(self, tmp_path):
        """So those that claim other places are refused, and not taken for what their numbers say."""
        truth = read_truth(protocol(tmp_path), ring_object(tmp_path / "a"), {})
        poses = [replace(pose, azimuth=1 - pose.azimuth) for pose in truth.poses]
        with pytest.raises(ViewFusionError, match=r"prediction 2 is at azimuth -?0\.0 from the input"):
            predicted(self.made(tmp_path / "p", (1, 2, 3), poses=poses), truth, SIZE, False)

    def test_the_input_that_the_predictions_name_goes_before_its_number(self, tmp_path):
        """As a spin of ours has it, which begins with the input wherever that is among the true views."""
        listed = protocol(tmp_path, RING + "input: listed\n")
        truth = read_truth(listed, ring_object(tmp_path / "a"), {"a": 2})
        own = [replace(pose, azimuth=pose.azimuth + 1) for pose in truth.poses]
        made = self.made(tmp_path / "p", range(4), poses=own)
        for place, number in enumerate((2, 3, 0, 1)):
            Image.fromarray(picture(number)).save(made.pictures[place].path)
        turn = truth.turn(predicted(replace(made, input_index=0), truth, SIZE, False), SIZE)
        assert torch.equal(turn.ours, turn.truth)

    def test_where_the_true_input_has_no_pose_those_of_predictions_are_not_compared(self, tmp_path):
        text = "about: A trial.\ntask: spin\nviews: 4\nsize: 64\nmetrics: {adjacent_sift: {}}\n"
        photo = self.made(tmp_path / "a", range(1))
        made = self.made(tmp_path / "p", range(4), poses=ring_poses(4, 0.1, 1.2))
        ours = predicted(made, read_truth(protocol(tmp_path, text), photo, {}), SIZE, False)
        assert np.array_equal(ours[3], over_white(picture(3)))

    def test_those_without_the_input_are_told_apart_by_their_numbers(self, tmp_path):
        """As files that were read: a view that is lost is not taken for the input."""
        text = RING + "input: listed\n"
        truth = read_truth(protocol(tmp_path, text), ring_object(tmp_path / "a"), {"a": 2})

        def read(name: str, numbers) -> DatasetObject:
            self.made(tmp_path / name, numbers)
            (each,) = open_dataset(tmp_path / name).objects
            return each

        turn = truth.turn(predicted(read("p", (0, 1, 3)), truth, SIZE, False), SIZE)
        assert torch.equal(turn.ours, turn.truth)
        for name, numbers, lacking in (("q", (0, 1, 2), "003"), ("r", (1, 2, 3), "000")):
            with pytest.raises(ViewFusionError, match=f"of 4 predictions {lacking} is missing"):
                predicted(read(name, numbers), truth, SIZE, False)

    def test_pictures_of_several_sizes_are_resized_once(self, tmp_path):
        truth = read_truth(protocol(tmp_path), ring_object(tmp_path / "a"), {})
        small = self.made(tmp_path / "p", (1, 2, 3), side=32)
        ours = predicted(small, truth, SIZE, True)
        assert [each.shape[0] for each in ours] == [SIZE, 32, 32, 32]
        assert truth.turn(ours, SIZE).ours.shape == (4, 3, SIZE, SIZE)

    def test_numbers_and_sizes_that_do_not_fit(self, tmp_path):
        truth = read_truth(protocol(tmp_path), ring_object(tmp_path / "a"), {})
        flat = self.made(tmp_path / "flat", range(4))
        Image.new("RGB", (SIZE, SIZE // 2)).save(flat.pictures[3].path)
        with pytest.raises(ViewFusionError, match=r"003.png: 64 x 32 pixels, wanted a square"):
            predicted(flat, truth, SIZE, True)
        with pytest.raises(ViewFusionError, match=r"2 predictions, wanted 4 \(or 3, without the input\)"):
            predicted(self.made(tmp_path / "p", range(2)), truth, SIZE, True)
        small = self.made(tmp_path / "q", range(4), side=32)
        with pytest.raises(
            ViewFusionError, match=r"000.png: 32 x 32 pixels, the protocol wants 64 x 64; --resize"
        ):
            predicted(small, truth, SIZE, False)
        assert {each.shape for each in predicted(small, truth, SIZE, True)} == {(32, 32, 3)}

    def test_sets_that_differ_are_listed(self, tmp_path):
        check_same_objects((tmp_path, ["a", "b"]), (tmp_path, ["b", "a"]))
        many = [f"o{number:02d}" for number in range(20)]
        with pytest.raises(ViewFusionError) as refused:
            check_same_objects((Path("p"), ["a", "b"]), (Path("t"), ["b", *many]))
        assert "--pred p lacks o00, o01, o02, o03, o04, o05, o06, o07 and 12 more" in str(refused.value)
        assert "--ref t lacks a" in str(refused.value)


class TestCommand:
    @pytest.fixture
    def data(self, tmp_path):
        for name in ("one", "two"):
            ring_object(tmp_path / "data" / name)
        protocol(tmp_path)
        return tmp_path

    def arguments(self, data: Path, out: str, *more: str) -> list[str]:
        folder, trial = data / "data", data / "trial.yaml"
        return [
            "benchmark", "--protocol", str(trial), "--data", str(folder), "--out", str(data / out),
            "--devices", "1", QUICK, *more,
        ]  # fmt: skip

    def test_views_scores_and_a_report(self, data, run):
        code, _, told = run(*self.arguments(data, "out"))
        assert code == 0, told
        assert "protocol trial" in told
        assert "2 of 2 objects done" in told
        results = json.loads((data / "out/results.json").read_text())
        assert results["system"]["variant"] == "viewfusion"
        assert results["system"]["config"]["sampling"]["solver"] == "dpm++"  # as the checkpoint states
        assert [each["name"] for each in results["objects"]] == ["one", "two"]
        first = results["objects"][0]
        assert [image["view"] for image in first["images"]] == [1, 2, 3]
        means = [sum(image["scores"]["psnr"] for image in each["images"]) / 3 for each in results["objects"]]
        assert results["summary"]["psnr"]["mean"] == pytest.approx(sum(means) / 2, abs=1e-5)
        assert len(list((data / "out/objects/one/views").glob("*.png"))) == 4
        assert "trial" in (data / "out/report.html").read_text()
        before = {path: path.read_bytes() for path in (data / "out").rglob("*") if path.is_file()}
        assert run(*self.arguments(data, "out"))[0] == 0
        assert {path: path.read_bytes() for path in (data / "out").rglob("*") if path.is_file()} == before

    def test_what_was_made_is_scored_again_by_any_protocol(self, data, run):
        """By its own as before; by one without true views; by one whose true views are stored clockwise."""
        assert run(*self.arguments(data, "out"))[0] == 0

        def scored(out: str, text: str, *more: str) -> dict:
            protocol(data, text)
            arguments = ("--protocol", data / "trial.yaml", "--pred", data / "out", "--out", data / out)
            code, _, told = run("evaluate", *map(str, arguments), "--devices", "1", *more)
            assert code == 0, told
            return json.loads((data / out / "results.json").read_text())

        before = json.loads((data / "out/results.json").read_text())
        again = scored("again", RING, "--ref", str(data / "data"))
        assert [each["name"] for each in again["objects"]] == ["one", "two"]
        assert again["objects"] == before["objects"]
        spin = "about: A trial.\ntask: spin\nviews: 4\nsize: 32\nmetrics: {adjacent_sift: {}}\n"
        assert [len(each["pairs"]) for each in scored("spin", spin)["objects"]] == [4, 4]
        for name in ("one", "two"):
            shutil.rmtree(data / "data" / name)
            clockwise = [replace(pose, azimuth=-pose.azimuth) for pose in ring_poses(VIEWS, 0.4, 1.6)]
            write_object(data / "data" / name, clockwise)
            for number, other in ((1, 3), (3, 1)):
                Image.fromarray(picture(other)).save(data / "data" / name / f"{number:03d}.png")
        other = scored("clockwise", RING, "--ref", str(data / "data"))
        assert [each["scores"] for each in other["objects"]] == [each["scores"] for each in before["objects"]]

    def test_variants_and_sweeps_are_runs_side_by_side(self, data, run):
        more = (
            "--without",
            " mask_iou, ",
            "--variants",
            "zero123, viewfusion",
            "--sweep",
            "fusion.input_temperature=0.1,0.5",
        )
        code, _, told = run(*self.arguments(data, "out", *more))
        assert code == 0, told
        folders = sorted(path.parent.name for path in (data / "out").glob("*/results.json"))
        assert folders == [
            f"{name},input_temperature={value}"
            for name in ("viewfusion", "zero123")
            for value in ("0.1", "0.5")
        ]
        read = {name: json.loads((data / "out" / name / "results.json").read_text()) for name in folders}
        assert all(list(each["metrics"]) == ["psnr"] for each in read.values())
        alone = [read[f"zero123,input_temperature={value}"] for value in ("0.1", "0.5")]
        assert alone[0]["objects"] == alone[1]["objects"]  # without fusion no temperature matters
        assert alone[0]["objects"] != read["viewfusion,input_temperature=0.1"]["objects"]
        assert (data / "out/report.html").is_file()

    def test_a_single_run_and_several_share_no_folder(self, data, run):
        for folder in ("one", "many/zero123"):
            (data / folder).mkdir(parents=True)
            (data / folder / "settings.json").write_text("{}")
        for out, more, told in (
            ("many", (), "many holds several runs (zero123); choose another --out for one alone"),
            ("one", ("--variants", "zero123"), "one holds a single run; choose another --out for several"),
        ):
            before = sorted((data / out).rglob("*"))
            code, _, error = run(*self.arguments(data, out, *more))
            assert (code, told in error) == (2, True), error
            assert sorted((data / out).rglob("*")) == before

    def test_all_variants_may_be_asked_for_among_others(self):
        labels = list(runs(Network("zero123-nano", None, None, None, variants="zero123, all")))
        assert labels == ["zero123", *(name for name in VARIANTS if name != "zero123")]

    @pytest.mark.parametrize(
        ("more", "told"),
        [
            (("--variants", "zero132"), "no 'zero132'; did you mean 'zero123'?"),
            (("--sweep", "fusion.input_temperature"), "--sweep wants KEY=VALUE,VALUE..."),
            (("--sweep", "fusion.input_temprature=1,2"), "did you mean"),
            (("--sweep", "seed=" + ",".join(map(str, range(33)))), "33 runs asked for"),
            (("--sweep", "seed=1", "--sweep", "seed=2"), "--sweep seed: swept twice"),
            (("--variants", "all", "--sweep", "fusion.variant=zero123"), "fusion.variant: swept twice"),
            (("--num-nodes", "0"), "--num-nodes must be 1 or more, got 0"),
            (("--strategy", "dpd"), "--strategy dpd: Lightning refuses it"),
            (("--without", "pnsr"), "trial has no such metric"),
            (("--without", "psnr,mask_iou"), "no metric of trial can be taken"),
            (("--checkpoint", "nowhere"), "nowhere"),
            (("--clip", "nope"), "--clip: no metric of trial looks with it; leave it out"),
            (("--raft", "nope"), "--raft: no metric of trial looks with it; leave it out"),
            (("--device", "cuda:7"), "there is none here"),
            (("--devices", "0"), "--devices must be auto or 1 to 1024"),
            (("--inputs", "list.json"), "the first view is the input in trial; leave it out"),
        ],
    )
    def test_bad_options_start_nothing(self, data, run, more, told):
        code, _, error = run(*self.arguments(data, "out", *more))
        assert (code, told in error) == (2, True), error
        assert not (data / "out").exists()

    def test_a_folder_in_the_data_is_no_place_for_a_run(self, data, run):
        code, _, told = run(*self.arguments(data, "data/out"))
        assert (code, "lies in" in told) == (2, True), told
        assert not (data / "data/out").exists()

    def test_an_object_that_is_broken_fails_and_the_rest_is_scored(self, data, run):
        (data / "data/one/002.png").write_bytes(b"no picture")
        code, _, told = run(*self.arguments(data, "out"))
        assert code == 1, told
        assert "1 of 2 objects failed; the others are in" in told
        results = json.loads((data / "out/results.json").read_text())
        assert [each["status"] for each in results["objects"]] == ["failed", "scored"]
        assert "002.png" in results["objects"][0]["error"]
        assert results["summary"]["psnr"]["objects"] == 1

    def test_another_run_in_the_same_folder_is_refused(self, data, run):
        assert run(*self.arguments(data, "out"))[0] == 0
        code, _, told = run(*self.arguments(data, "out", "seed=1"))
        assert (code, "is of another run (system.config.seed=0, now 1)" in told) == (2, True), told

    @pytest.mark.slow
    def test_two_processes_and_one_that_was_killed_give_the_same_bytes(self, data):
        """The real command, in processes of its own: one; two; and one killed, then two."""
        for name in ("three", "four"):
            ring_object(data / "data" / name)

        def command(out: str, devices: int) -> list[str]:
            arguments = self.arguments(data, out)
            arguments[arguments.index("--devices") + 1] = str(devices)
            return [sys.executable, "-m", "viewfusion", *arguments]

        def files(out: str) -> dict[str, bytes]:
            folder = data / out
            return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

        for out, devices in (("one", 1), ("two", 2)):
            ended = subprocess.run(command(out, devices), capture_output=True, text=True, timeout=300)
            assert ended.returncode == 0, ended.stderr
            assert "4 of 4 objects done" in ended.stderr
        victim = subprocess.Popen(command("killed", 2), stderr=subprocess.PIPE, start_new_session=True)
        while not list((data / "killed").glob("objects/*/object.json")):
            assert victim.poll() is None
            time.sleep(0.02)
        os.killpg(victim.pid, signal.SIGKILL)
        victim.communicate()
        assert not (data / "killed/results.json").exists()
        ended = subprocess.run(command("killed", 2), capture_output=True, text=True, timeout=300)
        assert ended.returncode == 0, ended.stderr
        assert files("one") == files("two") == files("killed")


def test_networks_of_metrics_are_loaded_once_a_process(monkeypatch):
    """By who announces what is measured, and by who measures it."""
    loaded = []
    monkeypatch.setattr(Tools, "_load", lambda _, name: loaded.append(name) or torch.nn.Identity())
    judging = Judging(load_protocol("viewfusion-embedded"))
    scorers = [judging.scorer(), judging.scorer(torch.device("cpu"))]
    assert loaded == ["lpips-alex", "lpips-vgg", "rife"]
    assert scorers[0].tools is scorers[1].tools
