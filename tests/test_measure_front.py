"""The tool behind docs/fast.md: does it skip, count and compare what it says, and does the page tell it?"""

from __future__ import annotations

import json

import pytest
import torch
from evidence.command import DOCS
from evidence.folder import same_study
from evidence.front import Front
from evidence.front_page import block, evaluations, pareto, summary, write_page
from evidence.front_settings import COMPARISONS, Comparison, Setting
from evidence.page import filled
from PIL import Image

from viewfusion import ViewFusionError, load_config, load_zero123
from viewfusion.config import changed
from viewfusion.datasets.reading import open_dataset
from viewfusion.evaluation.metrics import Lpips
from viewfusion.resources import resource_folder

FEW = {
    "exact": Setting("many", "DDIM", {"num_inference_steps": 3}),
    "few": Setting("few", "leap", {"num_inference_steps": 2, "guidance_high": 0.9}),
    "reuse": Setting("reused", "reuse", {"num_inference_steps": 3, "reuse_steps": 2}),
}


@pytest.fixture(scope="module")
def nano():
    return load_zero123("zero123-nano")


def test_evaluations_are_those_that_are_made(nano):
    """443 references in a spin of 36; of 36 / 4 views 1, 1 and 3."""
    scheduler = nano.scheduler_config
    reference = load_config("reference", ["sampling.leap_sigma=0", "sampling.spacing=timesteps"])
    assert evaluations(reference, 36, scheduler) == (76 * (443 + 35), 0)
    assert evaluations(changed(reference, reuse_steps=4), 36, scheduler) == (76 * 478, 57 * 478)
    late = load_config(overrides=["sampling.solver=ddim", "sampling.spacing=timesteps"])
    late.sampling.num_inference_steps, late.sampling.guidance_high = 4, 0.6
    late.sampling.leap_sigma, late.sampling.guidance_scale = 0.0, 3.0
    assert evaluations(late, 4, scheduler) == (3 * (5 + 3) + 5, 0)  # timesteps 751, 501, 251 and 1
    # The second step is guided as the first was not, and so is whole; the fourth is light.
    assert evaluations(changed(late, reuse_steps=2), 4, scheduler) == (29, 8)


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
    for comparison in COMPARISONS.values():
        configs = [str(setting.config(suits).to_dict()) for setting in comparison.settings.values()]
        assert len(set(configs)) == len(configs)
        assert comparison.base in comparison.settings


@pytest.fixture(scope="module")
def front(tmp_path_factory) -> Front:
    """One object, measured; what the metric's network weighs does not matter here."""
    state = tmp_path_factory.mktemp("state") / "front"
    made = Front(state, "zero123-nano", Comparison(4, "exact", FEW))
    torch.manual_seed(0)
    vars(made).update(lpips=Lpips("vgg").requires_grad_(False).eval())
    settings = {
        name: {"words": each.words, "line": each.line, "evaluations_of_36": [2000, 0]}
        for name, each in FEW.items()
    }
    about = {"name": "front", "names": list(FEW), "base": "exact", "views": 4, "machine": "here"}
    about["checkpoint"] = {"name": "nano", "sha256": "0" * 64}
    same_study(made.state, {**about, "settings": settings})
    made.measure(next(each for each in open_dataset(resource_folder("benchmark")).objects))
    return made


def test_an_object_is_measured_once(front):
    each, other = open_dataset(resource_folder("benchmark")).objects[:2]
    assert not front.missing(each)
    assert front.missing(other)
    with pytest.raises(ViewFusionError, match="a ring of 5 is not among its 16 views"):
        Front(front.state, "zero123-nano", Comparison(5, "exact", FEW)).truth(each)
    content = json.loads((front.state / f"{each.name}.json").read_text())
    # 1, 1 and 3 references; the first of two steps is pure noise, where guidance is off.
    assert [content[name]["evaluations"] for name in FEW] == [3 * 8, 5 + 8, 3 * 8]
    assert [content[name]["light_evaluations"] for name in FEW] == [0, 0, 8]
    assert content["exact"]["lpips_vgg_to_base"] == 0
    assert content["exact"]["psnr_to_base"] == 60
    assert content["few"]["lpips_vgg_to_base"] > 0
    assert content["reuse"]["psnr_to_base"] < 60


def test_the_page_tells_what_was_measured(front, tmp_path):
    page, images = tmp_path / "docs/fast.md", tmp_path / "docs/images"
    page.parent.mkdir()
    page.write_text("Words.\n\n<!-- figures: front -->\nold\n<!-- end -->\nMore.\n")
    told = write_page(front.state.parent, page, images)
    assert json.loads(page.with_name("front.json").read_text()) == told == {"front": summary(front.state)}
    found = told["front"]
    text = page.read_text()
    assert text.startswith("Words.\n\n<!-- figures: front -->\n![front](images/front.png)")
    assert "old" not in text
    assert text.endswith("More.\n")
    for name, each in found["settings"].items():
        assert name in text
        assert f"| {each['lpips_vgg']:.4f} |" in text
    assert found["settings"]["exact"]["times_as_fast"] == 1
    assert Image.open(images / "front.png").width == 560
    empty = tmp_path / "empty"
    same_study(empty, {"settings": {}})
    with pytest.raises(ViewFusionError, match="no finished object"):
        summary(empty)


def test_docs_tell_what_lies_beside_them():
    told, page = json.loads((DOCS / "front.json").read_text()), DOCS / "fast.md"
    blocks = {name: block(found, f"images/{name}.png") for name, found in told.items()}
    assert filled(page.read_text(), blocks, page) == page.read_text()
    assert set(told) == set(COMPARISONS)
    for name, found in told.items():
        settings = COMPARISONS[name].settings
        assert found["names"] == list(settings)
        assert {name: each["changes"] for name, each in found["settings"].items()} == {
            name: each.changes for name, each in settings.items()
        }
        assert (DOCS / f"images/{name}.png").is_file()
