"""``evaluate``: are predictions of any system scored as worked out by hand, and misfits told?"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image
from test_benchmark import RING, ring_object
from test_cli import refused
from test_scoring import clip_weights

from viewfusion.benchmark import files_digest, meshes, parts, read_truth
from viewfusion.benchmark.predictions import other_input
from viewfusion.datasets import open_dataset
from viewfusion.evaluation.meshes import MeshSettings, Triangles
from viewfusion.evaluation.protocols import load_protocol, protocol_names
from viewfusion.resources import resource_folder

NAMES = ("one", "two")


@pytest.fixture
def data(tmp_path) -> Path:
    """True views of two objects, and predictions that are 10 of 255 darker everywhere."""
    (tmp_path / "trial.yaml").write_text(RING)
    for name in NAMES:
        each = ring_object(tmp_path / "ref" / name)
        (tmp_path / "pred" / name).mkdir(parents=True)
        for place, picture in enumerate(each.pictures):
            rgba = np.asarray(Image.open(picture.path)).astype(int)
            over_white = rgba[..., :3] * (rgba[..., 3:] > 0) + 255 * (rgba[..., 3:] == 0)
            darker = np.abs(over_white - 10).astype(np.uint8)
            Image.fromarray(darker).save(tmp_path / "pred" / name / f"{place:03d}.png")
    return tmp_path


def call(run, data: Path, *more: str, pred: str = "pred", ref: str | None = "ref", out: str = "out"):
    refs = ["--ref", data / ref] if ref else []
    return run(
        "evaluate", "--protocol", data / "trial.yaml", "--pred", data / pred, *refs, "--out", data / out,
        "--devices", "1", *more,
    )  # fmt: skip


def results(data: Path, out: str = "out") -> dict:
    return json.loads((data / out / "results.json").read_text())


def test_the_numbers_are_those_worked_out_by_hand(data, run):
    code, _, told = call(run, data)
    assert code == 0, told
    found = results(data)
    assert found["system"] == {"name": "pred", "variant": None, "checkpoint": None, "config": None}
    assert found["data"]["layout"] == "viewfusion"
    assert found["summary"]["psnr"]["mean"] == pytest.approx(20 * np.log10(255 / 10), abs=1e-4)
    assert found["summary"]["psnr"]["values"] == 6  # the input is not scored
    assert (data / "out/objects/one/comparison.png").is_file()
    assert "<html" in (data / "out/report.html").read_text()


def test_sets_that_do_not_match_are_listed_and_nothing_is_started(data, run):
    (data / "pred/two").rename(data / "pred/three")
    code, _, told = call(run, data)
    assert code == 2
    assert "lacks two" in told
    assert "lacks three" in told
    assert not (data / "out").exists()


def test_predictions_that_are_broken_fail_alone(data, run):
    (data / "pred/one/002.png").unlink()
    assert call(run, data)[0] == 1
    first, second = results(data)["objects"]
    assert (first["status"], second["status"]) == ("failed", "scored")
    assert "002" in first["error"]
    Image.new("RGB", (64, 64)).save(data / "pred/one/002.png")
    assert call(run, data)[0] == 0  # what failed is tried again
    assert [each["status"] for each in results(data)["objects"]] == ["scored", "scored"]


def test_predictions_that_changed_since_are_not_taken_for_scored(data, run):
    assert call(run, data)[0] == 0
    Image.new("RGB", (64, 64)).save(data / "pred/two/001.png")
    code, _, told = call(run, data)
    assert (code, "two was made of other files" in told) == (2, True), told


def test_a_copy_of_the_data_is_the_same_data_and_other_cameras_are_not(data, run):
    assert call(run, data)[0] == 0
    before = (data / "out/objects/one/object.json").read_bytes()
    for name in ("pred", "ref"):  # as a clone has them: the same contents, other times
        shutil.copytree(data / name, data / "copy" / name, copy_function=shutil.copyfile)
        shutil.rmtree(data / name)
        (data / "copy" / name).rename(data / name)
    assert call(run, data)[0] == 0
    shutil.rmtree(data / "out/objects/one")
    assert call(run, data)[0] == 0
    assert (data / "out/objects/one/object.json").read_bytes() == before
    angles = data / "ref/two/angles.json"
    angles.write_text(angles.read_text().replace('"radius": 1.6', '"radius": 1.61'))
    code, _, told = call(run, data)
    assert (code, "two was made of other files" in told) == (2, True), told


def test_a_mesh_is_known_by_its_triangles_wherever_they_are(tmp_path):
    """A glTF file keeps them in another one."""
    trimesh.creation.box().export(tmp_path / "ball.gltf")
    buffers = sorted(tmp_path.glob("*.bin"))
    assert parts(tmp_path / "ball.gltf") == [tmp_path / "ball.gltf", *buffers]
    before = files_digest(parts(tmp_path / "ball.gltf"))
    buffers[-1].write_bytes(b"others")
    assert files_digest(parts(tmp_path / "ball.gltf")) != before
    assert parts(tmp_path / "ball.ply") == [tmp_path / "ball.ply"]


def test_another_size_is_refused_unless_asked_for(data, run):
    for name in NAMES:
        for path in (data / "pred" / name).iterdir():
            Image.open(path).resize((32, 32)).save(path)
    code, _, told = call(run, data)
    assert code == 1
    assert "32 x 32 pixels, the protocol wants 64 x 64; --resize has them resized" in told
    assert call(run, data, "--resize", out="resized")[0] == 0
    code, _, told = call(run, data, out="resized")
    assert (code, "is of another run (" in told) == (2, True), told
    assert "views of 32 x 32 pixels were resized to 64" in results(data, "resized")["objects"][0]["notes"]


def test_an_object_that_failed_in_one_run_does_not_make_its_data_another(data, run):
    assert call(run, data, out="whole")[0] == 0
    (data / "pred/one/002.png").write_bytes(b"no picture")
    assert call(run, data, out="part")[0] == 1
    code, _, told = run("compare", data / "whole", data / "part")
    assert (code, "did not score the same objects: one (failed in" in told) == (2, True), told
    code, shown, _ = run("compare", data / "whole", data / "part", "--common")
    assert (code, "other data" in shown) == (0, False), shown
    Image.new("RGB", (64, 64)).save(data / "ref/two/001.png")
    assert call(run, data, out="other")[0] == 1
    code, _, told = run("compare", data / "part", data / "other", "--common", "--json")
    assert code == 0, told
    assert "other data" in run("compare", data / "part", data / "other")[2]


def test_spins_without_truth_are_of_no_data_that_could_differ(data, run):
    """The input is each system's own picture of it."""
    (data / "trial.yaml").write_text(
        "about: A trial.\ntask: spin\nviews: 4\nsize: 64\nmetrics: {adjacent_sift: {}}\n"
    )
    assert call(run, data, out="first", ref=None)[0] == 0
    for name in NAMES:
        Image.new("RGB", (64, 64), "white").save(data / f"pred/{name}/000.png")
    assert call(run, data, out="second", ref=None)[0] == 0
    assert results(data, "first")["objects"][0]["truth_sha256"] is None
    code, shown, told = run("compare", data / "first", data / "second")
    assert (code, "other data" in shown + told) == (0, False), told


def test_a_prediction_made_from_another_view_is_noted(data):
    reference, made = (open_dataset(data / folder).objects[0] for folder in ("ref", "pred"))
    truth = read_truth(load_protocol(data / "trial.yaml"), reference, {})
    assert other_input(made, truth, 64) == [], "nothing is said of their input"
    assert other_input(replace(reference, input_index=truth.order[truth.input]), truth, 64) == []
    elsewhere = replace(reference, input_index=(truth.order[truth.input] + 1) % 4)
    Image.new("RGB", (64, 64)).save(elsewhere.pictures[elsewhere.input_index].path)
    assert "levels off the input; is it the same view?" in other_input(elsewhere, truth, 64)[0]


def test_a_mesh_is_shown_as_it_is_compared():
    """Without vertices that no face names, wherever they lie."""
    cube = trimesh.creation.box((1, 1, 1))
    plain = Triangles(np.array(cube.vertices), np.array(cube.faces))
    settings = MeshSettings.from_data(load_protocol("mesh-viewfusion").mesh)
    expected = meshes._picture(plain, plain, settings, 0.0)
    for stray in ([100.0, 0, 0], [np.nan, 0, 0]):
        loose = Triangles(np.vstack([plain.vertices, [stray]]), plain.faces)
        assert np.array_equal(meshes._picture(loose, plain, settings, 0.0), expected)


def test_an_object_whose_folder_could_not_be_made_is_named_first(tmp_path, run):
    for folder in ("pred", "ref"):
        (tmp_path / folder).mkdir()
        trimesh.creation.box((1, 1, 1)).export(tmp_path / folder / f"{'x' * 240}.ply")
    folders = ("--pred", tmp_path / "pred", "--ref", tmp_path / "ref", "--out", tmp_path / "out")
    refused(run("evaluate", "--protocol", "mesh-viewfusion", *folders), "its name is over 230 bytes long")


def test_a_spin_without_truth_wants_all_its_views(data, run):
    """The first of three would otherwise stand in for the input, as its own neighbour."""
    (data / "trial.yaml").write_text(
        "about: A trial.\ntask: spin\nviews: 4\nsize: 64\nmetrics: {adjacent_sift: {}}\n"
    )
    (data / "pred/one/003.png").unlink()
    assert call(run, data, ref=None)[0] == 1
    first, second = results(data)["objects"]
    assert "one: 3 predictions, wanted 4, the input among them" in first["error"]
    assert second["status"] == "scored"


def test_a_spin_needs_no_truth_and_other_protocols_do(data, run):
    code, _, told = call(run, data, ref=None)
    assert (code, "compares with the truth; give --ref" in told) == (2, True)
    (data / "trial.yaml").write_text(
        "about: A trial.\ntask: spin\nviews: 4\nsize: 64\nmetrics: {adjacent_sift: {}}\n"
    )
    code, _, told = call(run, data, ref=None)
    assert code == 0, told
    assert [pair["views"] for pair in results(data)["objects"][0]["pairs"]] == [
        [0, 1],
        [1, 2],
        [2, 3],
        [3, 0],
    ]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"pred": "nowhere"}, "nowhere"),
        ({"ref": "nowhere"}, "nowhere"),
        ({"pred": "trial.yaml"}, "trial.yaml"),
    ],
)
def test_folders_that_are_none(data, run, changes, told):
    code, _, error = call(run, data, **changes)
    assert (code, told in error, error.count("\n")) == (2, True, 1), error


def test_two_at_once_and_another_run_in_a_folder_are_refused(data, run):
    from viewfusion.outputs.locking import FolderLock

    (data / "out").mkdir()
    lock = FolderLock(data / "out")
    code, _, told = call(run, data)
    assert (code, "another run is writing to" in told) == (2, True)
    lock.release()
    assert call(run, data)[0] == 0
    code, _, told = call(run, data, "--without", "psnr")
    assert (code, "is of another run (metrics=" in told) == (2, True), told


def test_another_clip_is_another_run(data, run):
    text = "about: A trial.\ntask: spin\nviews: 4\nsize: 64\nmetrics: {adjacent_clip: {network: ViT-B/32}}\n"
    (data / "trial.yaml").write_text(text)
    first, second = (clip_weights(data / f"clip{seed}", seed) for seed in (0, 1))
    assert call(run, data, "--clip", first, ref=None)[0] == 0
    weights = results(data)["metrics"]["adjacent_clip"]["weights"]
    assert json.loads((data / "out/settings.json").read_text())["weights"] == {"adjacent_clip": weights}
    assert weights["sha256"][:12] in (data / "out/report.html").read_text()
    assert results(data)["summary"]["adjacent_clip"]["values"] == 8
    code, _, told = call(run, data, "--clip", second, ref=None)
    assert (code, "is of another run (weights.adjacent_clip.sha256=" in told) == (2, True), told


def test_meshes(tmp_path, run):
    """A unit ball against a slightly smaller one, which the protocol scales to the same size; and a cube."""
    for folder, radius in (("pred", 0.4), ("ref", 1.0)):
        (tmp_path / folder / "cube").mkdir(parents=True)
        trimesh.creation.icosphere(3, radius).export(tmp_path / folder / "ball.ply")
        trimesh.creation.box((radius,) * 3).export(tmp_path / folder / "cube/mesh.obj")
    arguments = ("evaluate", "--protocol", "mesh-viewfusion", "--devices", "1", "--pred", tmp_path / "pred")
    code, _, told = run(*arguments, "--out", tmp_path / "out", "--ref", tmp_path / "ref")
    assert code == 0, told
    ball, cube = results(tmp_path)["objects"]
    assert ball["scores"]["volume_iou"] == cube["scores"]["volume_iou"] == 1
    assert ball["scores"]["chamfer"] < 1e-3
    assert ball["scores"]["f_score"] == 1
    assert Image.open(tmp_path / "out/objects/ball/comparison.png").size == (4 * 160, 2 * 160)
    turned = tmp_path / "turns.json"
    turned.write_text('{"cube": 45, "ball": 45}')
    assert run(*arguments, "--out", tmp_path / "turned", "--ref", tmp_path / "ref", "--turns", turned)[0] == 0
    ball, cube = results(tmp_path, "turned")["objects"]
    assert ball["scores"]["volume_iou"] > 0.95
    assert cube["scores"]["volume_iou"] < 0.9
    code, _, told = run(*arguments, "--out", tmp_path / "turned", "--ref", tmp_path / "ref")
    assert (code, "is of another run" in told) == (2, True), told
    code, _, told = run(*arguments, "--out", tmp_path / "none")
    assert (code, "compares with the truth" in told) == (2, True)
    (tmp_path / "pred/ball.ply").write_bytes(b"ply\nbroken")
    code, _, told = run(*arguments, "--out", tmp_path / "broken", "--ref", tmp_path / "ref")
    assert (code, "ball.ply" in told) == (1, True), told
    code, _, told = run("benchmark", "--protocol", "mesh-viewfusion", "--out", tmp_path / "b")
    assert (code, "only `evaluate` scores" in told) == (2, True)


def reconstructed(folder: Path, mesh: trimesh.Trimesh) -> None:
    """What `reconstruct` leaves of a mesh with z up: its GLB has y up, and the input in front, at +Z."""
    folder.mkdir(parents=True)
    mesh.export(folder / "mesh.ply")
    mesh.export(folder / "mesh.obj")
    trimesh.Trimesh(mesh.vertices[:, [1, 2, 0]], mesh.faces, process=False).export(folder / "mesh.glb")
    (folder / "reconstruction.json").write_text("{}")


def test_reconstructions_are_compared_in_the_frame_of_their_views(tmp_path, run):
    """Of the meshes in a folder the one that stands as the views do; a run's folder has it one level down."""
    slab = trimesh.creation.box((0.2, 0.5, 0.9)).apply_translation((0.1, 0, 0))
    reconstructed(tmp_path / "pred/one", slab)
    reconstructed(tmp_path / "pred/two/mesh", slab)
    (tmp_path / "pred/two/views").mkdir()
    (tmp_path / "ref").mkdir()
    for name in ("one", "two"):
        slab.export(tmp_path / f"ref/{name}.ply")
    arguments = ("evaluate", "--protocol", "mesh-in-place", "--devices", "1", "--ref", tmp_path / "ref")
    code, _, told = run(*arguments, "--pred", tmp_path / "pred", "--out", tmp_path / "out")
    assert code == 0, told
    scores = [each["scores"] for each in results(tmp_path)["objects"]]
    assert [each["volume_iou"] for each in scores] == [1, 1]
    assert min(each["f_score"] for each in scores) > 0.99
    assert max(each["chamfer"] for each in scores) < 0.005
    (tmp_path / "pred/two/mesh/mesh.ply").unlink()
    code, _, told = run(*arguments, "--pred", tmp_path / "pred", "--out", tmp_path / "again")
    assert (code, "mesh.ply: is not there; reconstruct it again" in told) == (2, True), told
    # As any glTF, the GLB alone is a quarter turn off, which --turns takes back where a protocol turns.
    (tmp_path / "glb").mkdir()
    for name in ("one", "two"):
        (tmp_path / f"pred/{name}" / ("mesh" if name == "two" else "") / "mesh.glb").rename(
            tmp_path / f"glb/{name}.glb"
        )
    turns = tmp_path / "turns.json"
    given = (
        "--pred",
        tmp_path / "glb",
        "--ref",
        tmp_path / "ref",
        "--turns",
        turns,
        "--out",
        tmp_path / "no",
    )
    wrong = {'{"noe": 90}': "noe is no object of"}
    wrong |= {f'{{"one": {each}}}': "one must be at most" for each in ("1e999", "NaN", "1" + 400 * "0")}
    for text, words in wrong.items():
        turns.write_text(text)
        refused(run("evaluate", "--protocol", "mesh-viewfusion", *given), turns, words)
    turns.write_text('{"one": 90, "two": 0}')
    code, _, told = run(
        "evaluate", "--protocol", "mesh-viewfusion", "--devices", "1", "--pred", tmp_path / "glb",
        "--ref", tmp_path / "ref", "--turns", tmp_path / "turns.json", "--out", tmp_path / "turned",
    )  # fmt: skip
    assert code == 0, told
    turned, as_it_is = (each["scores"]["volume_iou"] for each in results(tmp_path, "turned")["objects"])
    assert turned == 1
    assert as_it_is < 0.6


def test_bad_settings_of_a_mesh_protocol_start_nothing(tmp_path, run):
    for folder in ("pred", "ref"):
        (tmp_path / folder).mkdir()
        trimesh.creation.box().export(tmp_path / folder / "cube.ply")
    shipped = (resource_folder("configs") / "protocols/mesh-viewfusion.yaml").read_text()
    trial, out = tmp_path / "trial.yaml", tmp_path / "out"
    for text in (shipped.replace("chamfer: sum", "chamfr: sum"), shipped.replace("side: 1", "side: -1")):
        assert text != shipped
        trial.write_text(text)
        code, _, told = run(
            "evaluate",
            "--protocol",
            trial,
            "--pred",
            tmp_path / "pred",
            "--ref",
            tmp_path / "ref",
            "--out",
            out,
        )
        assert (code, told.count("\n"), str(trial) in told, out.exists()) == (2, 1, True, False), told


def test_protocols_are_shown(run):
    code, told, _ = run("protocols")
    assert code == 0
    assert [line for line in told.splitlines() if not line.startswith(" ")] == protocol_names()
    syncdreamer = load_protocol("syncdreamer")
    shown = told.partition("\nsyncdreamer\n")[2].partition("\nviewfusion")[0]
    assert "task: ring, 16 views at 256 pixels" in shown
    assert "metrics: psnr, ssim, lpips_vgg" in shown
    assert f"SHA-256: {syncdreamer.sha256[:12]}" in shown
    place = Path(shown.partition("file: ")[2].strip())
    assert load_protocol(place).sha256 == syncdreamer.sha256, "it can be copied"
    assert "task: mesh\n" in told
