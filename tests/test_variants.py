"""The variants: references; identities and costs on networks in closed form; whole turns of zero123-nano."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import replace

import pytest
import torch
from test_fusion import bent, nothing_and
from test_pipeline import counted, photo

from viewfusion import Pose, ViewFusionPipeline, load_config, path_to
from viewfusion.fusion import (
    VARIANTS,
    Conditions,
    FusionRules,
    ViewNoise,
    evaluations_a_step,
    fuse,
    latent_rows,
    make_denoiser,
    sample,
    schedule,
    view_generator,
)
from viewfusion.fusion.variants import averaged
from viewfusion.geometry import around, elevation_sweep, ring, ring_around
from viewfusion.solvers import SOLVERS, make_scheduler
from viewfusion.zero123 import Conditioned

SHAPE = (4, 4, 4)
OTHERS = VARIANTS[1:]


def targets(trajectory, variant, **rules):
    return schedule(trajectory, FusionRules(variant=variant, **rules))


# References and weights.


@pytest.mark.parametrize("views", [2, 3, 4, 5, 16, 36])
def test_autoregression_on_a_ring_goes_outwards_on_each_side(views):
    """The input for the first on each side, then the previous one of it; the far view is of the first."""
    for target in targets(ring(views), "autoregressive"):
        previous = target.view - 1 if target.view <= views / 2 else (target.view + 1) % views
        assert (target.references, target.weights) == ((previous,), (1.0,))


def test_autoregression_on_rings_by_hand():
    def references(views):
        return [(t.view, *t.references) for t in targets(ring(views), "autoregressive")]

    assert references(4) == [(1, 0), (3, 0), (2, 1)]
    assert references(5) == [(1, 0), (4, 0), (2, 1), (3, 4)]


def test_autoregression_elsewhere():
    """Steps of a path, both ways of a sweep, the nearer of two inputs; a view outside the window is none."""
    path = path_to(Pose(0.0), Pose(math.radians(50), math.radians(50)))
    assert [t.references for t in targets(path, "autoregressive")] == [(n,) for n in range(5)]
    sweep = elevation_sweep(Pose(0.0, 0.0), -0.4, 0.4, 5)  # views 1 to 4 at -0.4, -0.2, 0.2, 0.4
    assert {t.view: t.references for t in targets(sweep, "autoregressive")} == {
        2: (0,), 3: (0,), 1: (2,), 4: (3,),
    }  # fmt: skip
    two = ring_around((Pose(0.0), Pose(math.radians(80))), 4)  # made: 90, 270, 180 degrees
    assert [t.references for t in targets(two, "autoregressive")] == [(1,), (0,), (2,)]
    narrow = targets(ring(8), "autoregressive", window=math.radians(30))
    assert {t.references for t in narrow} == {(0,)}


def test_autoregression_drops_no_view_for_what_it_would_weigh_beside_others():
    plain = targets(ring(9), "autoregressive")
    assert targets(ring(9), "autoregressive", max_references=1) == plain
    assert targets(ring(9), "autoregressive", min_weight=0.2) == plain


@pytest.mark.parametrize(
    "trajectory",
    [
        ring(2),
        ring(5),
        ring(36),
        path_to(Pose(0.0), Pose(1.0, 0.2)),
        around(Pose(0.0), [Pose(2.0), Pose(-2.0), Pose(0.3, 1.0)]),
        ring_around((Pose(0.3), Pose(1.4, 0.6), Pose(5.1)), 6),
    ],
)
def test_references_of_the_others(trajectory):
    method = targets(trajectory, "viewfusion")
    assert method == schedule(trajectory)
    assert targets(trajectory, "averaged-conditions") == targets(trajectory, "averaged-outputs") == method
    assert targets(trajectory, "zero123") == targets(trajectory, "viewfusion", window=0.0)
    inputs = tuple(range(trajectory.num_inputs))
    assert {t.references for t in targets(trajectory, "zero123")} == {inputs}
    for drawn, fused in zip(targets(trajectory, "stochastic"), method, strict=True):
        count = len(fused.references)
        assert drawn == replace(fused, weights=(1 / count,) * count)


# Denoisers, on networks in closed form.


def told(rows):
    return rows.values.mean((1, 2))[:, None, None, None]


def affine(latents, timestep, rows):
    return 0.3 * latents + 0.5 * rows.stem - 0.7 * told(rows) + 0.1


def linear_in_conditions(latents, timestep, rows):
    return latents.tanh() + latents.sigmoid() * (rows.stem - 2 * told(rows))


def conditions(references=3):
    generator = torch.Generator().manual_seed(references)
    weights = torch.rand(references, generator=generator, dtype=torch.float64)
    rows = nothing_and(
        torch.randn((references, 1, 5), generator=generator),
        torch.randn((references, *SHAPE), generator=generator),
    )
    return Conditions(rows, (weights / weights.sum()).tolist())


def sampled(variant, network, given, config, solver="ddim", sharing="shared", guidance=2.0, steps=6):
    """(1, 4, h, w) as the pipeline makes it, and the denoiser."""
    rows = latent_rows(variant, len(given.weights))
    noise = ViewNoise(view_generator(3, 7), SHAPE, given.weights, sharing, rows=rows)
    denoiser = make_denoiser(variant, network, given, guidance, view_generator(3, 7, 1))
    latents = sample(denoiser, make_scheduler(solver, config, steps), noise)
    return (latents if len(latents) == 1 else fuse(latents, torch.tensor(given.weights))), denoiser


def same(a, b):
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5 * float(b.abs().max()))


@pytest.mark.parametrize("guidance", [1.0, 2.0])
@pytest.mark.parametrize("solver", SOLVERS)
def test_averaged_outputs_of_an_affine_network_are_the_method(solver, guidance, scheduler_config):
    """Identity 2 over whole samples: with multistep solvers, and those that draw noise for themselves."""
    given = conditions()
    fused, _ = sampled("viewfusion", affine, given, scheduler_config, solver, guidance=guidance)
    apart, _ = sampled("averaged-outputs", affine, given, scheduler_config, solver, guidance=guidance)
    same(apart, fused)
    assert apart.shape == (1, *SHAPE)


def test_independent_noise_of_averaged_outputs_is_not_averaged_before(scheduler_config):
    """And so the affine network gives the method again, whose noise is the average."""
    given = conditions()
    fused, _ = sampled("viewfusion", affine, given, scheduler_config, sharing="independent")
    apart, _ = sampled("averaged-outputs", affine, given, scheduler_config, sharing="independent")
    same(apart, fused)
    noise = ViewNoise(view_generator(0, 0), SHAPE, given.weights, "independent", rows=3)
    assert torch.equal(*noise.initial()[:2])
    first, second, third = noise.step()
    assert not torch.equal(first, second)
    assert not torch.equal(second, third)


@pytest.mark.parametrize("solver", SOLVERS)
def test_averaged_outputs_are_the_samples_of_each_reference(solver, scheduler_config):
    """Of any network, each as if it were alone with the same noise."""
    given = conditions()
    apart, _ = sampled("averaged-outputs", bent, given, scheduler_config, solver)
    each = [
        sampled(
            "viewfusion",
            bent,
            Conditions(given.rows[[0, n]], (1.0,)),
            scheduler_config,
            solver,
        )[0]
        for n in range(1, 4)
    ]
    same(apart, fuse(torch.cat(each), torch.tensor(given.weights)))
    fused, _ = sampled("viewfusion", bent, given, scheduler_config, solver)
    assert (fused - apart).abs().mean() > 0.02 * apart.abs().mean()


def test_averaged_conditions_are_the_method_where_the_network_is_linear_in_them(scheduler_config):
    given = conditions()
    fused, _ = sampled("viewfusion", linear_in_conditions, given, scheduler_config)
    averaged, _ = sampled("averaged-conditions", linear_in_conditions, given, scheduler_config)
    same(averaged, fused)
    fused, _ = sampled("viewfusion", bent, given, scheduler_config)
    averaged, _ = sampled("averaged-conditions", bent, given, scheduler_config)
    assert (fused - averaged).abs().mean() > 0.02 * fused.abs().mean()


def test_conditions_in_half_precision_are_averaged_in_full():
    given = conditions(25)
    half = Conditioned(given.rows.values.bfloat16(), given.rows.stem.bfloat16())
    mean = averaged(Conditions(half, given.weights)).rows
    exact = torch.tensor(given.weights, dtype=torch.float64)
    for averages, rows in [(mean.values, half.values), (mean.stem, half.stem)]:
        assert torch.equal(averages, torch.cat([rows[:1], fuse(rows[1:].double(), exact).bfloat16()]))


@pytest.mark.parametrize("variant", OTHERS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_with_one_reference_all_are_one(variant, solver, scheduler_config):
    expected, _ = sampled("viewfusion", bent, conditions(1), scheduler_config, solver)
    assert torch.equal(sampled(variant, bent, conditions(1), scheduler_config, solver)[0], expected)


@pytest.mark.parametrize("guidance", [1.0, 2.0])
@pytest.mark.parametrize("references", [1, 3, 25])
@pytest.mark.parametrize("variant", VARIANTS)
def test_what_a_step_costs(variant, references, guidance, scheduler_config):
    rows = []

    def counting(latents, timestep, told):
        assert len(latents) in (1, len(told))
        rows.append(len(told))
        return bent(latents, timestep, told)

    _, denoiser = sampled(variant, counting, conditions(references), scheduler_config, guidance=guidance)
    by_hand = {"stochastic": 2, "averaged-conditions": 2, "averaged-outputs": 2 * references}
    free = 0 if guidance != 1 else references if variant == "averaged-outputs" else 1
    assert rows == [by_hand.get(variant, references + 1) - free] * 6
    assert denoiser.evaluations == sum(rows)
    assert evaluations_a_step(variant, references, guidance != 1) == rows[0]


def test_stochastic_conditioning_draws_every_reference_as_often():
    """And by its own generator alone: the noise is what it is without."""
    seen = []

    def looking(latents, timestep, rows):
        seen.append(float(rows.values.sum()))
        return latents

    rows = Conditioned(torch.arange(5.0).view(5, 1, 1), torch.zeros(5, *SHAPE))
    given = Conditions(rows, (0.25,) * 4)

    def draws(seed, view, count):
        seen.clear()
        denoiser = make_denoiser("stochastic", looking, given, 1.0, view_generator(seed, view, 1))
        for _ in range(count):
            denoiser(torch.zeros(1, *SHAPE), 0)
        return list(seen)

    often = Counter(draws(0, 1, 4000))
    # Each is drawn 1000 times on average; a standard deviation is 27.
    assert set(often) == {1.0, 2.0, 3.0, 4.0}
    assert max(abs(times - 1000) for times in often.values()) < 4 * 27
    assert draws(0, 1, 50) == draws(0, 1, 50)
    for seed, view in [(0, 2), (1, 1), (1, 0)]:
        assert draws(seed, view, 50) != draws(0, 1, 50)
    noises = [torch.randn(9, generator=view_generator(0, 1, *purpose)) for purpose in [(), (1,), (2,)]]
    assert not any(torch.equal(a, b) for a, b in [noises[:2], noises[1:], noises[::2]])


def test_an_unknown_variant_is_named():
    with pytest.raises(ValueError, match="'fused'; known: viewfusion, zero123, "):
        make_denoiser("fused", bent, conditions(), 3.0, torch.Generator())


# Whole turns.


@pytest.fixture(scope="module")
def pipeline():
    return ViewFusionPipeline.from_checkpoint("zero123-nano", device="cpu")


QUICK = ["views=5", "sampling.num_inference_steps=2"]


@pytest.mark.parametrize("variant", OTHERS)
def test_a_turn_is_recorded_as_it_was_made_and_resumes_bit_for_bit(pipeline, variant):
    config = load_config(overrides=[*QUICK, f"fusion.variant={variant}"])
    trajectory, steps = config.trajectory(), []
    with counted(pipeline.model) as rows:
        whole = list(
            pipeline.iter_views(photo(), trajectory, config, on_step=lambda *numbers: steps.append(numbers))
        )
    planned = schedule(trajectory, config.rules())
    assert steps == [(done, 4, step, 2) for done in range(4) for step in (1, 2)]
    for view, target in zip(whole[1:], planned, strict=True):
        assert (view.index, view.record.references) == (target.view, target.references)
        assert view.record.weights == target.weights
        assert view.record.solver_steps == 2
        assert view.record.network_evaluations == 2 * evaluations_a_step(variant, len(target.references))
        assert view.latents.shape == pipeline.model.latent_shape
    assert rows["unet"] == sum(view.record.network_evaluations for view in whole[1:])
    finished = {view.index: view.latents for view in whole[1:3]}
    again = list(pipeline.iter_views(photo(), trajectory, config, finished=finished))
    assert all(torch.equal(a.image, b.image) for a, b in zip(whole, again, strict=True))


def test_variants_differ_where_they_should(pipeline):
    """The first view has the input alone in all; of a ring of 4 the second too, the third has three."""
    made = {
        variant: pipeline(photo(), views=4, num_inference_steps=3, variant=variant).images
        for variant in VARIANTS
    }
    first = made["viewfusion"]
    for images in made.values():
        torch.testing.assert_close(images[1], first[1])
        torch.testing.assert_close(images[3], first[3])
    last = [images[2] for images in made.values()]
    assert all(not torch.allclose(a, b) for n, a in enumerate(last) for b in last[:n])


@pytest.mark.parametrize("variant", VARIANTS)
def test_independent_noise_loses_variance_only_where_predictions_are_averaged(pipeline, variant):
    config = load_config("reference", ["views=4", f"fusion.variant={variant}"])
    target = schedule(config.trajectory(), config.rules())[-1]
    noise = pipeline._noise(target, config)
    drawn = torch.cat([noise.step() for _ in range(20)])
    kept = sum(weight**2 for weight in target.weights) if variant == "viewfusion" else 1
    assert kept < 0.4 or kept == 1
    assert drawn.var().item() == pytest.approx(kept, rel=0.1)


def test_a_callback_sees_the_rows_of_averaged_outputs(pipeline):
    seen = []

    def callback(pipe, step, timestep, kwargs):
        seen.append((kwargs["view"], step, len(kwargs["latents"])))
        return {"latents": torch.zeros_like(kwargs["latents"])}

    pipeline(
        photo(), views=4, num_inference_steps=2, variant="averaged-outputs", callback_on_step_end=callback
    )
    assert seen == [(view, step, rows) for view, rows in [(1, 1), (3, 1), (2, 3)] for step in (0, 1)]


def test_plan_shows_a_variants_references(run):
    code, out, _ = run("plan", "--views", 5, "--json", "fusion.variant=autoregressive")
    plan = json.loads(out)
    assert code == 0
    assert [(t["view"], t["references"], t["weights"]) for t in plan["targets"]] == [
        (1, [0], [1.0]), (4, [0], [1.0]), (2, [1], [1.0]), (3, [4], [1.0]),
    ]  # fmt: skip
    assert plan["config"]["fusion"]["variant"] == "autoregressive"
