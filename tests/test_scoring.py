"""Scoring: are a protocol's metrics taken of the right views, and averaged and written as it says?"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from viewfusion.errors import ViewFusionError
from viewfusion.evaluation.measures import MEASURES, Tools, Turn
from viewfusion.evaluation.protocols import Protocol
from viewfusion.evaluation.scoring import comparison, failed_entry, make_scorer, mean, shown_views
from viewfusion.evaluation.summary import summarise
from viewfusion.geometry import ring

VIEWS, SIDE = 4, 16


def protocol(task: str = "ring", **metrics: dict) -> Protocol:
    return Protocol("trial", "A trial.", "", task, metrics or {"psnr": {}})


def turn(offsets: list[float], task: str = "ring") -> Turn:
    """Grey views, of which the true ones are 0.5 and ours differ by ``offsets``."""
    truth = torch.full((VIEWS, 3, SIDE, SIDE), 0.5)
    ours = truth + torch.tensor(offsets)[:, None, None, None]
    poses = ring(VIEWS, 0.5, 1.5).views
    return Turn(ours, poses, (1, 2, 3), None if task == "spin" else truth, 0.9)


def test_an_entry_has_every_value_and_their_mean():
    """Grey off by 0.1 has 20 dB, by 0.01 has 40; the input's error does not count."""
    entry = make_scorer(protocol(psnr={}, mask_iou={}), Tools()).entry(
        "a", turn([0.4, 0.1, 0.01, 0.1]), ["so"]
    )
    assert [image["view"] for image in entry["images"]] == [1, 2, 3]
    assert [image["scores"]["psnr"] for image in entry["images"]] == pytest.approx([20, 40, 20], abs=1e-4)
    assert [image["azimuth_deg"] for image in entry["images"]] == [90, 180, 270]
    assert entry["scores"]["psnr"] == pytest.approx(80 / 3, abs=1e-4)
    assert entry["scores"]["mask_iou"] == 1
    assert (entry["name"], entry["status"], entry["pairs"], entry["notes"]) == ("a", "scored", [], ["so"])


def test_what_has_no_number_is_none_and_left_out_of_the_mean():
    entry = make_scorer(protocol(), Tools()).entry("a", turn([0, 0, 0.1, 0.1]))
    assert entry["images"][0]["scores"]["psnr"] is None  # equal pictures: infinite
    assert entry["scores"]["psnr"] == pytest.approx(20, abs=1e-4)
    assert mean([None, None]) is None
    assert mean([1.0, None, 2.0]) == 1.5


def test_pairs_are_all_around():
    entry = make_scorer(protocol("spin", adjacent_sift={}), Tools()).entry("a", turn([0] * 4, "spin"))
    assert [pair["views"] for pair in entry["pairs"]] == [[0, 1], [1, 2], [2, 3], [3, 0]]
    assert entry["scores"] == {"adjacent_sift": 0}  # in plain grey there is nothing to find
    assert entry["images"] == []


def test_a_masks_overlap_is_of_what_is_not_white():
    """Ours half white: half of the truth. The truth itself has 1."""
    scene = turn([0.0] * 4)
    ours = scene.ours.clone()
    ours[:, :, 8:] = 1
    scorer = make_scorer(protocol(mask_iou={}), Tools())
    assert scorer.entry("a", replace(scene, ours=ours))["scores"] == {"mask_iou": 0.5}
    assert scorer.entry("a", scene)["scores"] == {"mask_iou": 1}


def test_a_metric_can_be_averaged_in_its_own_way():
    """One object of 20, 40 and 20 dB, one of 35 (and two views that are equal, which have no number)."""
    both = protocol(psnr={"averaging": "values"}, mask_iou={})
    scorer = make_scorer(both, Tools())
    described = scorer.described()
    assert [each.get("averaging") for each in described.values()] == ["values", None]
    assert described["psnr"]["settings"] == {}
    offsets = [[0, 0.1, 0.01, 0.1], [0, 0, 0, 10**-1.75]]
    entries = [scorer.entry(name, turn(each)) for name, each in zip("ab", offsets, strict=True)]
    assert summarise(entries, described, "objects")["psnr"]["mean"] == pytest.approx((80 + 35) / 4, abs=1e-3)
    plain = make_scorer(protocol(), Tools()).described()
    assert summarise(entries, plain, "objects")["psnr"]["mean"] == pytest.approx((80 / 3 + 35) / 2, abs=1e-3)


def test_a_metric_of_truth_needs_the_truth():
    with pytest.raises(ViewFusionError, match="no true views"):
        make_scorer(protocol(), Tools()).entry("a", turn([0] * 4, "spin"))


def test_settings_reach_the_metric():
    """SSIM with its data range taken from the pictures, of range 0.5, is another number than with 1."""
    left = torch.rand((2, 3, 32, 32), generator=torch.Generator().manual_seed(0)) / 2
    scene = Turn(left, ring(2, 0, 1.5).views, (0, 1), left.flip(-1), 0.9)
    scores = [
        make_scorer(protocol(ssim=settings), Tools()).entry("a", scene)["scores"]["ssim"]
        for settings in ({}, {"data_range": 1.0}, {"data_range": None})
    ]
    assert scores[0] == scores[1]
    assert scores[2] < scores[0] - 0.01


def test_what_is_missing_is_told_and_optional_ones_are_left_out():
    """No weights are here, see conftest."""
    with pytest.raises(ViewFusionError, match=r"metrics fetch.*leave it out with --without lpips_vgg"):
        make_scorer(protocol(psnr={}, lpips_vgg={}), Tools())
    scorer = make_scorer(protocol(psnr={}, lpips_vgg={"optional": True}, clip={"optional": True}), Tools())
    assert scorer.metrics == ("psnr",)
    assert "metrics fetch" in scorer.unmeasured["lpips_vgg"]
    assert "--clip" in scorer.unmeasured["clip"]
    assert make_scorer(protocol(psnr={}, lpips_vgg={}), Tools(), ["lpips_vgg"]).unmeasured == {
        "lpips_vgg": "left out as asked"
    }
    with pytest.raises(ViewFusionError, match=r"RAFT wants its weights; give --raft .* --without flow_warp"):
        make_scorer(protocol(flow_warp_error={"network": "raft"}), Tools())
    with pytest.raises(ViewFusionError, match="trial has no such metric; it has psnr"):
        make_scorer(protocol(), Tools(), ["ssim"])
    with pytest.raises(ViewFusionError, match="no metric of trial can be taken here"):
        make_scorer(protocol(), Tools(), ["psnr"])


@pytest.mark.weights
def test_every_metric_of_pictures_can_be_taken(monkeypatch):
    names = [name for name, measure in MEASURES.items() if "ring" in measure.tasks and "clip" not in name]
    views = torch.rand((VIEWS, 3, 64, 64), generator=torch.Generator().manual_seed(0))
    scene = Turn(views, ring(VIEWS, 0.5, 1.5).views, (1, 2, 3), views.flip(-1), 0.9)
    scorer = make_scorer(protocol(**{name: {} for name in names}), Tools())
    entry = scorer.entry("a", scene)
    assert set(entry["scores"]) == set(names) == set(scorer.described())
    known = {name for name, score in entry["scores"].items() if score is not None and math.isfinite(score)}
    assert known >= set(names) - {"flow_warp_error", "epipolar_residual"}  # noise may have no match at all
    assert all(set(one) >= {"title", "unit", "better", "of"} for one in scorer.described().values())


def clip_weights(folder: Path, seed: int) -> Path:
    """A tower as wide as ViT-B/32 and of a single thin layer, which is all that a name asks for."""
    torch.manual_seed(seed)
    sizes = {"hidden_size": 768, "intermediate_size": 64, "num_attention_heads": 12, "num_hidden_layers": 1}
    config = CLIPVisionConfig(**sizes, image_size=32, patch_size=32, projection_dim=8, hidden_act="gelu")
    CLIPVisionModelWithProjection(config).save_pretrained(folder)
    return folder


def test_clip_is_the_tower_a_protocol_names_and_results_say_which(tmp_path):
    first, second = clip_weights(tmp_path / "a", 0), clip_weights(tmp_path / "b", 1)
    plain = protocol(clip={}, psnr={})
    scorer = make_scorer(plain, Tools(first))
    described = scorer.described()["clip"]
    assert described["settings"] == {"network": "ViT-B/32"}
    assert described["weights"]["name"] == "ViT-B/32"
    assert scorer.weights() == {"clip": described["weights"]} == make_scorer(plain, Tools(first)).weights()
    assert make_scorer(plain, Tools(second)).weights() != scorer.weights()
    config = first / "config.json"
    config.write_text(config.read_text().replace('"gelu"', '"quick_gelu"'))
    assert make_scorer(plain, Tools(first)).weights() != scorer.weights(), "another activation"
    with pytest.raises(ViewFusionError, match=r"a: CLIP's ViT-B/32, where ViT-B/16 is wanted; give --clip"):
        make_scorer(protocol(clip={"network": "ViT-B/16"}), Tools(first))


def test_a_failure_has_an_entry_too():
    entry = failed_entry("a", "no ring")
    assert (entry["status"], entry["error"], entry["scores"]) == ("failed", "no ring", {})


def test_the_picture_to_look_at():
    """Ours, the truth, their difference; the input is left out."""
    picture = comparison(turn([0.4, 0.1, 0.2, 0.3]))
    assert picture.shape == (3 * SIDE, 3 * SIDE, 3)
    assert picture[0, [0, SIDE, 2 * SIDE], 0].tolist() == [153, 178, 204]
    assert picture[SIDE, 0, 0] == 128
    assert picture[2 * SIDE, [0, SIDE, 2 * SIDE], 0].tolist() == [26, 51, 76]
    assert comparison(turn([0] * 4, "spin")).shape == (SIDE, 3 * SIDE, 3)
    many = torch.rand((50, 3, 4, 4))
    scene = Turn(many, ring(50, 0, 1.5).views, tuple(range(1, 50)))
    assert comparison(scene).shape == (4, 24 * 4, 3)
    shown = shown_views(scene)
    assert (shown[0], shown[-1], len(shown)) == (1, 49, 24)
    columns = torch.from_numpy(comparison(scene)).permute(2, 0, 1) / 255
    assert torch.allclose(columns, torch.cat(list(many[shown]), -1), atol=1 / 255)
