"""The paper's recipe has the recorded schedule, and its parts are one step."""

from __future__ import annotations

import pytest
import torch
from neus import ball_scene, close, golden, small_recipe

from viewfusion.reconstruction.paper import PaperRecipe
from viewfusion.reconstruction.settings import PaperSettings
from viewfusion.reconstruction.training import step_generator


def test_the_learning_rate_is_the_recorded_one():
    recipe = PaperRecipe(PaperSettings())
    ours = [recipe.rate(step) for step in golden()["lr_steps"].tolist()]
    assert ours == pytest.approx(golden()["lr_factor"].tolist(), abs=1e-8)


def gradients(recipe, step=0, seed=0):
    scene = ball_scene()
    torch.manual_seed(5)
    field = recipe.make_field(scene)
    sums = {}
    count = 0
    for part in recipe.losses(field, scene, step, step_generator(seed, step)):
        part["total"].backward()
        count += 1
        for name, value in part.items():
            sums[name] = sums.get(name, 0) + value.detach()
    return sums, torch.cat([each.grad.flatten() for each in field.parameters()]), count


def test_parts_are_one_step():
    whole, slopes, one = gradients(small_recipe(rays_at_once=32))
    parts, slopes_in_parts, several = gradients(small_recipe(rays_at_once=5))
    assert (one, several) == (1, 7)
    for name, value in whole.items():
        close(parts[name], value, 1e-5)
    close(slopes_in_parts, slopes, 1e-5)


def test_rays_depend_on_the_seed_and_the_step_alone():
    first, again = gradients(small_recipe())[1], gradients(small_recipe())[1]
    assert torch.equal(first, again)
    assert not torch.equal(first, gradients(small_recipe(), seed=1)[1])
    assert not torch.equal(first, gradients(small_recipe(), step=1)[1])


def test_a_trial_is_a_step_with_fewer_rays():
    trial, times = PaperRecipe(PaperSettings()).trial()
    assert (trial.settings.rays, trial.settings.foreground_rays) == (64, 0)
    assert times == 64  # 3584 + 512 of them
    assert trial.settings.width == 256
    assert small_recipe().trial()[1] == 1


def test_pictures_leave_nothing_to_chance():
    recipe, scene = small_recipe(), ball_scene()
    torch.manual_seed(0)
    field = recipe.make_field(scene)
    from viewfusion.reconstruction.pixels import random_pixels

    rays = random_pixels(scene, 20, 0, step_generator(0, 0)).rays
    assert torch.equal(recipe.render(field, rays).rgb, recipe.render(field, rays).rgb)
