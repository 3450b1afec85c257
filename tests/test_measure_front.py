"""The tool behind docs/fast.md: does it skip, count and compare what it says, and does the page tell it?"""

from __future__ import annotations

import json

import pytest
import torch
from evidence.command import DOCS
from evidence.feature_reuse import FeatureReuse
from evidence.folder import same_study
from evidence.front import Front
from evidence.front_page import block, evaluations, pareto, summary, write_page
from evidence.front_settings import EXACT, SETTINGS, Setting
from evidence.page import filled
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from viewfusion import ViewFusionError, load_config, load_zero123
from viewfusion.datasets.reading import open_dataset
from viewfusion.evaluation.metrics import Lpips
from viewfusion.resources import resource_folder

FEW = {
    EXACT: Setting("many", "DDIM", {"num_inference_steps": 3}),
    "few": Setting("few", "leap", {"num_inference_steps": 2, "guidance_high": 0.9}),
    "reuse": Setting("reused", "reuse", {"num_inference_steps": 3}, reuse=2),
}


@pytest.fixture(scope="module")
def nano():
    return load_zero123("zero123-nano")


def predicted(model, seed, timestep):
    generator = torch.Generator().manual_seed(seed)
    latents = torch.randn((2, *model.latent_shape), generator=generator)
    tokens = torch.randn((2, 1, 256), generator=generator)
    with torch.inference_mode():
        return model.predict_noise(latents, timestep, tokens, latents.flip(0))


def test_reused_features_are_those_of_the_last_whole_call(nano):
    whole, other = predicted(nano, 0, 500), predicted(nano, 1, 400)
    with FeatureReuse(nano.unet, 2) as reuse:
        assert torch.equal(predicted(nano, 0, 500), whole)
        assert torch.equal(predicted(nano, 0, 500), whole), "of the same input the features are the same"
        assert torch.equal(predicted(nano, 1, 400), other), "the third call is whole"
        mixed = predicted(nano, 0, 500)
        assert not torch.allclose(mixed, whole, atol=1e-3)
        assert not torch.allclose(mixed, other, atol=1e-3)
        reuse.restart()
        assert torch.equal(predicted(nano, 0, 500), whole)
    assert torch.equal(predicted(nano, 1, 400), other)
    assert all("forward" not in vars(block) for block in nano.unet.modules())


def test_a_call_with_reused_features_costs_the_top_level(nano):
    """By module: what the first down block, the last up block and the two ends take."""
    costs = []
    with FeatureReuse(nano.unet, 2):
        for _ in range(2):
            with FlopCounterMode(display=False, depth=3) as counter:
                predicted(nano, 0, 500)
            costs.append({name: sum(ops.values()) for name, ops in counter.get_flop_counts().items()})
    whole, reused = costs
    top = ("conv_in", "time_embedding", "down_blocks.0", "up_blocks.2", "conv_out")
    kept = sum(whole[f"UNet2DConditionModel.{part}"] for part in top)
    assert reused["Global"] == kept
    assert kept < 0.4 * whole["Global"]


def test_evaluations_are_those_that_are_made(nano):
    """443 references in a spin of 36; of 36 / 4 views 1, 1 and 3."""
    scheduler = nano.scheduler_config
    reference = load_config("reference", ["sampling.leap_sigma=0", "sampling.spacing=timesteps"])
    assert evaluations(reference, 36, scheduler) == 76 * (443 + 35)
    late = load_config("balanced", ["sampling.num_inference_steps=4", "sampling.guidance_high=0.6"])
    late.sampling.leap_sigma, late.sampling.guidance_scale = 0.0, 3.0
    assert evaluations(late, 4, scheduler) == 3 * (5 + 3) + 5  # timesteps 751, 501, 251 and 1


def test_the_front_is_what_nothing_beats():
    points = {"a": (1, 0.3), "b": (10, 0.3), "c": (20, 0.4), "d": (20, 0.5), "e": (5, 0.2), "f": (20, 0.4)}
    assert pareto(points) == {"b", "c", "e", "f"}


def test_every_setting_is_a_configuration():
    suits = load_config(
        overrides=[
            "sampling.solver=dpm++",
            "sampling.num_inference_steps=10",
            "sampling.spacing=karras",
            "sampling.guidance_scale=1.25",
            "sampling.leap_sigma=0.35",
        ]
    )
    configs = [str((setting.config(suits).to_dict(), setting.reuse)) for setting in SETTINGS.values()]
    assert len(set(configs)) == len(SETTINGS)


@pytest.fixture(scope="module")
def front(tmp_path_factory) -> Front:
    """One object, measured; what the metric's network weighs does not matter here."""
    made = Front(tmp_path_factory.mktemp("state"), "zero123-nano", 4, FEW)
    torch.manual_seed(0)
    vars(made).update(lpips=Lpips("vgg").requires_grad_(False).eval())
    settings = {
        name: {"words": each.words, "line": each.line, "evaluations_of_36": 1} for name, each in FEW.items()
    }
    about = {"checkpoint": {"name": "nano", "sha256": "0" * 64}, "views": 4, "machine": "here"}
    same_study(made.state, {**about, "settings": settings})
    made.measure(next(each for each in open_dataset(resource_folder("benchmark")).objects))
    return made


def test_an_object_is_measured_once(front):
    each, other = open_dataset(resource_folder("benchmark")).objects[:2]
    assert not front.missing(each)
    assert front.missing(other)
    with pytest.raises(ViewFusionError, match=r"a ring of 5 is not among its 16 views; give --views"):
        Front(front.state, "zero123-nano", 5).truth(each)
    content = json.loads((front.state / f"{each.name}.json").read_text())
    # 1, 1 and 3 references; the first of two steps is pure noise, where guidance is off.
    assert [content[name]["evaluations"] for name in FEW] == [3 * 8, 5 + 8, 3 * 8]
    assert content[EXACT]["lpips_vgg_to_exact"] == 0
    assert content[EXACT]["psnr_to_exact"] == 60
    assert content["few"]["lpips_vgg_to_exact"] > 0
    assert content["reuse"]["psnr_to_exact"] < 60


def test_the_page_tells_what_was_measured(front, tmp_path):
    page, images = tmp_path / "docs/fast.md", tmp_path / "docs/images"
    page.parent.mkdir()
    page.write_text("Words.\n\n<!-- figures: front -->\nold\n<!-- end -->\nMore.\n")
    found = write_page(front.state, page, images)
    assert json.loads(page.with_name("front.json").read_text()) == found == summary(front.state)
    text = page.read_text()
    assert text.startswith("Words.\n\n<!-- figures: front -->\n![front](images/front.png)")
    assert "old" not in text
    assert text.endswith("More.\n")
    for name, each in found["settings"].items():
        assert f"{name}" in text
        assert f"| {each['lpips_vgg']:.4f} |" in text
    assert found["settings"][EXACT]["times_as_fast"] == 1
    assert Image.open(images / "front.png").width == 560
    empty = tmp_path / "empty"
    same_study(empty, {"settings": {}})
    with pytest.raises(ViewFusionError, match="no finished object"):
        summary(empty)


def test_docs_tell_what_lies_beside_them():
    found = json.loads((DOCS / "front.json").read_text())
    page = DOCS / "fast.md"
    text = page.read_text()
    assert filled(text, {"front": block(found, "images/front.png")}, page) == text
    assert list(found["settings"]) == list(SETTINGS)
    for name, each in found["settings"].items():
        setting = SETTINGS[name]
        assert (each["words"], each["line"], each["changes"], each["reuse"]) == (
            setting.words,
            setting.line,
            setting.changes,
            setting.reuse,
        )
