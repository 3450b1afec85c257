"""Do settings follow the size of the pictures and how far they are trusted, and nothing else?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_hull import ring, silhouettes

from viewfusion.reconstruction.grid import GridRecipe
from viewfusion.reconstruction.hull import hull_distance, lattice_over
from viewfusion.reconstruction.reconstruct import settings_json
from viewfusion.reconstruction.scene import Scene
from viewfusion.reconstruction.settings import GridSettings, load_settings
from viewfusion.reconstruction.tailoring import GENERATED, tailored
from viewfusion.reconstruction.training import Training


def views(size: int, generated: bool = False) -> Scene:
    weights = torch.tensor([1.0, 0.7, 0.5, 0.7] if generated else [1.0] * 4)
    return Scene(**{**vars(silhouettes(0.3, ring(4), size)), "weights": weights})


@pytest.mark.parametrize("size", [256, 300])
@pytest.mark.parametrize("preset", ["cpu", "balanced"])
def test_true_views_of_the_size_presets_are_for_get_the_presets_numbers(preset, size):
    settings = load_settings(preset)
    assert tailored(settings, views(size)) == settings


def test_the_papers_recipe_stays_as_it_is():
    settings = load_settings("paper")
    assert tailored(settings, views(64, generated=True)) == settings


def test_half_the_size_gets_half_the_cells_and_steps():
    settings = load_settings("cpu", ["grid.steps=3000", "grid.rays=99"])
    made = tailored(load_settings("cpu"), views(128))
    assert made.grid.resolutions == (32, 56, 88)
    assert (made.resolution, made.grid.steps) == (128, load_settings("cpu").grid.steps // 2)
    assert made.grid.sharpness == (75, 500)
    assert tailored(settings, views(128)).grid.steps == 3000, "what was stated is taken"


def test_the_finest_lattice_has_64_cells_at_least():
    for size in (16, 64):
        made = tailored(load_settings("cpu"), views(size))
        assert made.grid.resolutions == (23, 41, 64)  # 64 / 176 of 64, 112, 176
        assert made.resolution == 93  # of 256
        assert made.grid.steps == load_settings("cpu").grid.steps / 4
        assert made.texture.size == 512  # the power of two next to 64 / 176 of 1024


def test_generated_views_get_what_suits_them_unless_stated(tmp_path):
    made = settings_json(tailored(load_settings("cpu"), views(256, generated=True)))
    for name, value in GENERATED.items():
        part, key = name.split(".")
        assert (made if part == "grid" else made[part])[key] == value
    assert "stated" not in made
    preset = tmp_path / "mine.yaml"
    preset.write_text("recipe: grid\ngrid: {tolerance: 0.125}\n")
    made = tailored(load_settings(preset, ["finishing.handles=true"]), views(256, generated=True))
    assert (made.grid.tolerance, made.finishing.handles) == (0.125, True)
    assert made.grid.smoothness_weight == GENERATED["grid.smoothness_weight"]


def ball_of(radius: float, erring: tuple[int, ...] = ()) -> Scene:
    """Twenty views of a grey ball, of which some show a ball smaller by 15 %; the first is the input."""
    whole = silhouettes(radius, ring(20))
    masks, weights = whole.masks.clone(), 0.5 + 0.4 * (torch.arange(20) - 10).abs() / 10
    masks[list(erring)] = silhouettes(0.85 * radius, ring(20)).masks[list(erring)]
    weights[0] = 1
    images = (1 - 0.7 * masks[:, None]).expand(-1, 3, -1, -1)
    return Scene(**{**vars(whole), "masks": masks, "images": images, "weights": weights, "input_index": 0})


def with_eroded_views() -> Scene:
    """A fifth of the views err, the input not among them."""
    return ball_of(0.4, erring=(3, 8, 12, 16))


def test_views_that_err_do_not_carve_what_the_others_see():
    scene = with_eroded_views()
    lattice = lattice_over(np.full(3, -0.5), np.full(3, 0.5), 40)
    true = np.linalg.norm(lattice.points(), axis=1) < 0.4
    kept = [(hull_distance(scene, lattice.points()[true], share) < 0).mean() for share in (0, 0.2)]
    assert kept[0] < 0.9
    assert kept[1] > 0.98
    # But the input carves whatever the others say.
    scene.masks[0] = 0
    assert (hull_distance(scene, lattice.points(), 0.2) > 0).all()


def volume(scene: Scene, settings: GridSettings) -> float:
    training = Training(GridRecipe(settings), scene)
    training.run()
    places = torch.from_numpy(lattice_over(np.full(3, -0.55), np.full(3, 0.55), 40).points())
    with torch.no_grad():
        return float((training.field.sdf(places) < 0).float().mean()) * 1.1**3


def test_a_ball_keeps_its_volume_though_some_views_err():
    true = GridSettings(
        steps=120, rays=256, resolutions=(24, 32), starts=(0.4, 0.7), probes=32, fog_samples=24,
        sharpness=(40.0, 150.0), regularised=2048,
    )  # fmt: skip
    grid = {name.removeprefix("grid."): value for name, value in GENERATED.items() if "grid." in name}
    generated = replace(true, **grid)
    erring, agreeing = with_eroded_views(), ball_of(0.4)
    assert volume(erring, generated) > 0.95 * volume(agreeing, generated)
    assert volume(erring, true) < 0.8 * volume(agreeing, true)
