"""Settings are the recipe's numbers, taken as meant; nonsense is refused."""

from __future__ import annotations

import pytest

from viewfusion.errors import ViewFusionError
from viewfusion.reconstruction.paper import PaperRecipe
from viewfusion.reconstruction.settings import (
    PRESETS,
    PaperSettings,
    Settings,
    changed,
    load_settings,
    make_recipe,
)


def test_the_paper_preset_is_the_methods_recipe():
    settings = load_settings("paper")
    assert (settings.recipe, settings.resolution) == ("paper", 512)
    paper = settings.paper
    assert (paper.layers, paper.width, paper.skip, paper.frequencies) == (8, 256, 4, 6)
    assert (paper.colour_layers, paper.direction_frequencies, paper.radius) == (4, 4, 0.5)
    assert (paper.colour_weight, paper.eikonal_weight, paper.mask_weight) == (0.5, 0.1, 1.0)
    assert (paper.rays, paper.foreground_rays, paper.steps) == (3584, 512, 2000)
    assert (paper.coarse, paper.fine, paper.rounds) == (64, 4 * 16, 4)
    assert (paper.anneal_steps, paper.warm_up_steps, paper.learning_rate) == (200, 100, 5e-4)
    assert paper.deviation == 0.3
    recipe = make_recipe(settings)
    assert isinstance(recipe, PaperRecipe)
    assert recipe.described() == {"recipe": "paper", **vars(paper)}


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_load_and_have_a_recipe(preset):
    settings = load_settings(preset)
    assert make_recipe(settings).steps > 0


def test_overrides_are_taken_in_turn_and_files_too(tmp_path):
    settings = load_settings("paper", ["paper.steps=7", "seed=3", "paper.steps=9", "paper.learning_rate=1"])
    assert (settings.paper.steps, settings.seed) == (9, 3)
    assert settings.paper.learning_rate == 1.0
    assert isinstance(settings.paper.learning_rate, float)
    path = tmp_path / "mine.yaml"
    path.write_text("paper:\n  rays: 10\n")
    assert load_settings(path).paper == PaperSettings(rays=10)
    path.write_text("")
    assert load_settings(path) == Settings()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("steps=3", r"steps=3: unknown key 'steps'"),
        ("paper.step=3", r"unknown key 'paper.step'; did you mean 'steps'\?"),
        ("sed=1", r"unknown key 'sed'; did you mean 'seed'\?"),
        ("seed", r"'seed' is no setting; write NAME=VALUE"),
        ("=1", r"'=1' is no setting"),
        ("seed=1.5", r"seed must be a whole number from 0"),
        ("seed=true", r"seed must be a whole number"),
        ("seed=-1", r"seed must be a whole number"),
        ("seed=", r"seed must be a whole number"),
        ("paper.steps=0", r"paper.steps must be a whole number of 1 or more, got 0"),
        ("paper.learning_rate=.nan", r"paper.learning_rate must be a number from 1e-09 to 1, got nan"),
        ("paper.colour_weight=.inf", r"paper.colour_weight must be a number of 0 or more"),
        ("paper.rays=[1]", r"paper.rays must be a whole number"),
        ("paper=3", r"paper. holds keys of its own: steps, rays"),
        ("recipe=papr", r"recipe must be one of grid, paper.*did you mean 'paper'\?"),
        ("recipe={}", r"recipe must be one of"),
        ("paper.width=39", r"paper.width must be more than 39 with these frequencies, got 39"),
        ("paper.fine=63", r"paper.fine must be a multiple of paper.rounds, got 63 and 4"),
        ("paper.steps=!!python/name:os.system", r"not YAML of plain values"),
    ],
)
def test_nonsense_is_refused_in_one_line(override, message):
    with pytest.raises(ViewFusionError, match=message) as caught:
        load_settings("paper", [override])
    assert "\n" not in str(caught.value)


def test_presets_that_are_none_are_refused(tmp_path):
    with pytest.raises(ViewFusionError, match=r"no preset 'papper'; use one of .*did you mean 'paper'\?"):
        load_settings("papper")
    path = tmp_path / "mine.yaml"
    path.write_text("- 1\n")
    with pytest.raises(ViewFusionError, match=r"mine.yaml: a preset holds keys of its own"):
        load_settings(path)


def test_numbers_in_brackets_and_switches():
    """What other recipes hold besides numbers and words."""
    from dataclasses import dataclass

    from viewfusion.reconstruction.settings import within

    @dataclass(frozen=True)
    class Some:
        sizes: tuple[int, ...] = within((8, 16), 2, 64)
        on: bool = within(True, 0)

    assert changed(Some(), {"sizes": [4, 5, 6], "on": False}, "here") == Some((4, 5, 6), False)
    for values, message in [
        ({"sizes": 4}, "sizes must be numbers in"),
        ({"sizes": []}, "sizes must be numbers in"),
        ({"sizes": [1]}, "sizes must be a whole number from 2 to 64, got 1"),
        ({"on": 1}, "on must be true or false"),
    ]:
        with pytest.raises(ViewFusionError, match=message):
            changed(Some(), values, "here")
