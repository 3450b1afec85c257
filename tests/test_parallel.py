"""Several targets and several objects at once: what comes out is what comes out one by one."""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from test_cli import CHAIR, files_of, refused
from test_commands import pixels
from test_fusion import SHAPE, conditions
from test_pipeline import photo

from viewfusion import ViewFusionError, ViewFusionPipeline, load_config
from viewfusion.cli.orders import whole_rounds
from viewfusion.fusion import (
    VARIANTS,
    Target,
    ViewNoise,
    answered,
    latent_rows,
    make_denoiser,
    sample,
    sampling,
    together,
    view_generator,
)
from viewfusion.outputs import RunFolder
from viewfusion.solvers import SOLVERS, make_scheduler

# Samples, on a network in closed form.


def network(latents, timestep, rows):
    """Row n depends on row n alone."""
    told = rows.stem + rows.values.mean((1, 2))[:, None, None, None]
    return torch.tanh(latents + told) + torch.as_tensor(timestep).reshape(-1, 1, 1, 1) / 1e4


def under_way(view, variant, solver, steps, config):
    """A sample's denoiser, and what :func:`sampling` takes besides."""
    told = conditions(1 + view, seed=view)
    noise = ViewNoise(view_generator(0, view), SHAPE, rows=latent_rows(variant, 1 + view))
    denoiser = make_denoiser(variant, network, told, 2.0, view_generator(0, view, 1))
    return denoiser, (make_scheduler(solver, config, steps), noise)


@pytest.mark.parametrize(
    ("solver", "variant"),
    [*((solver, "viewfusion") for solver in SOLVERS), *(("dpm++", variant) for variant in VARIANTS[1:])],
)
def test_samples_together_are_those_alone(solver, variant, scheduler_config):
    """Each with references and noise of its own."""
    alone = []
    for view in range(3):
        denoiser, rest = under_way(view, variant, solver, 4, scheduler_config)
        alone.append(sample(denoiser, *rest))
    both = [under_way(view, variant, solver, 4, scheduler_config) for view in range(3)]
    calls = []

    def counting(latents, timestep, rows):
        calls.append(len(rows))
        assert torch.as_tensor(timestep).ndim == 0
        return network(latents, timestep, rows)

    at_once = answered(together([sampling(one.asking, *rest) for one, rest in both]), counting)
    assert len(calls) == len(both[0][1][0].timesteps)
    assert sum(calls) == sum(denoiser.evaluations for denoiser, _ in both)
    for found, expected in zip(at_once, alone, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)


def test_samples_of_other_timesteps_and_lengths(scheduler_config):
    """Each row has its own timestep; who ends first leaves the others alone."""
    lengths = {0: ("ddim", 2), 1: ("dpm++", 5), 2: ("euler", 3)}

    def all_of():
        return [under_way(view, "viewfusion", *rest, scheduler_config) for view, rest in lengths.items()]

    alone = [sample(denoiser, *rest) for denoiser, rest in all_of()]
    calls = []

    def counting(latents, timestep, rows):
        calls.append(len(rows))
        return network(latents, timestep, rows)

    at_once = answered(together([sampling(one.asking, *rest) for one, rest in all_of()]), counting)
    assert calls == [2 + 3 + 4, 2 + 3 + 4, 3 + 4, 3, 3]
    for found, expected in zip(at_once, alone, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)


def test_together_hands_on_what_is_no_question_and_forgets_who_is_closed():
    def counting(name, upto):
        for number in range(upto):
            yield f"{name}{number}"
        return name

    several, ends, seen = [counting("a", 2), counting("b", 5), counting("c", 1)], [], []

    def all_of():
        ends.extend((yield from together(several)))

    for place, said in all_of():
        seen.append((place, said))
        if said == "b1":
            several[1].close()
    assert ends == ["a", None, "c"]
    assert seen == [(0, "a0"), (0, "a1"), (1, "b0"), (1, "b1"), (2, "c0")]


# Turns of zero123-nano.


@pytest.fixture(scope="module")
def pipeline():
    return ViewFusionPipeline.from_checkpoint("zero123-nano", device="cpu")


QUICK = ["views=6", "sampling.num_inference_steps=2", "sampling.solver=ddim"]
PAIRED = [*QUICK, "fusion.schedule=paired"]
TURN = ["views=4", *PAIRED[1:]]


class Steps:
    """Latents after each step of each view, and how often the network was called meanwhile."""

    def __init__(self):
        self.latents = defaultdict(dict)

    def __call__(self, pipe, step, timestep, told):
        self.latents[told["view"]][step] = told["latents"].clone()
        return told


def turn(pipeline, overrides, **options):
    config, steps = load_config(overrides=overrides), Steps()
    views = list(
        pipeline.iter_views(photo(), config.trajectory(), config, callback_on_step_end=steps, **options)
    )
    return views, steps.latents


def close(views, others):
    """Within one step of 8-bit pictures, and the same cameras in the same order."""
    assert [view.index for view in views] == [view.index for view in others]
    for view, other in zip(views, others, strict=True):
        assert np.abs(view.rgb.astype(int) - other.rgb).max() <= 1


def equal(views, others):
    return all(torch.equal(a.image, b.image) for a, b in zip(views, others, strict=True))


@pytest.fixture(scope="module")
def one_by_one(pipeline):
    return turn(pipeline, PAIRED, parallel_views=1)


def test_pairs_at_once_are_those_one_by_one(pipeline, one_by_one, monkeypatch):
    calls, predict = [], pipeline.model.predict
    monkeypatch.setattr(
        pipeline.model, "predict", lambda x, t, rows: calls.append(len(rows)) or predict(x, t, rows)
    )
    seen = []
    views, latents = turn(pipeline, PAIRED, on_step=lambda *numbers: seen.append(numbers))
    # Views 1 and 5 from the input, 2 and 4 from two, 3 from five: each has one row more.
    assert calls == [4] * 2 + [6] * 2 + [6] * 2
    close(views, one_by_one[0])
    for view, steps in one_by_one[1].items():
        for step, expected in steps.items():
            torch.testing.assert_close(latents[view][step], expected, atol=1e-5, rtol=1e-5)
    assert seen[:4] == [(0, 5, 1, 2), (1, 5, 1, 2), (0, 5, 2, 2), (1, 5, 2, 2)]
    assert [view.record.network_evaluations for view in views[1:]] == [4, 4, 6, 6, 12]


def test_seconds_are_shared_by_rows(pipeline, monkeypatch):
    """By a clock that is looked at when a target begins and when it ends: 1, 2 and 3, 4; then 5 and 6."""
    looks = count(1)
    monkeypatch.setattr("viewfusion.pipeline.time", SimpleNamespace(perf_counter=lambda: next(looks)))
    views, _ = turn(pipeline, TURN)
    assert [view.record.seconds for view in views[1:]] == [1, 1, 1]


def test_a_pair_is_continued_as_a_pair(pipeline):
    whole, _ = turn(pipeline, PAIRED)
    for stop, kept in [(3, 3), (4, 3)]:
        finished = {view.index: view.latents for view in whole[1:stop]}
        again, _ = turn(pipeline, PAIRED, finished=finished)
        assert equal(again, whole)
        assert sum(view.record is None for view in again) == kept


def test_objects_at_once_are_those_one_by_one(pipeline):
    """Of other settings, too; one that is given up costs the others nothing."""
    wanted = [(photo(0), TURN), (photo(1), [*QUICK, "views=4", "seed=3"]), (photo(2), [*QUICK, "views=3"])]

    def making():
        configs = [load_config(overrides=overrides) for _, overrides in wanted]
        return [
            pipeline.making(image, config.trajectory(), config)
            for (image, _), config in zip(wanted, configs, strict=True)
        ]

    alone = [[view for _, view in pipeline.iter_together([one])] for one in making()]
    at_once, several = [[], [], []], making()
    for place, view in pipeline.iter_together(several):
        at_once[place].append(view)
        if place == 1 and len(at_once[1]) == 3:
            several[1].close()
    assert [len(views) for views in at_once] == [4, 3, 3]
    close(at_once[0], alone[0])
    close(at_once[1], alone[1][:3])
    close(at_once[2], alone[2])


def test_all_ways_to_save_together(pipeline):
    """Pairs of two objects in chunks of 3, light steps, guided but for the leap; and gone on with."""
    limits = ["sampling.leap_sigma=0.35", "sampling.spacing=karras", "sampling.guidance_high=0.9"]
    settings = ["views=5", "sampling.solver=dpm++", "sampling.num_inference_steps=4", *limits]
    settings += ["sampling.guidance_scale=2", "sampling.reuse_steps=2", "fusion.schedule=paired"]
    chunked = ViewFusionPipeline(pipeline.model, max_batch=3)

    def making(pipe, seed, **options):
        config = load_config(overrides=[*settings, f"seed={seed}"])
        return pipe.making(photo(seed), config.trajectory(), config, **options)

    def at_once(*finished):
        made, seeds = ([], []), enumerate(finished)
        for place, view in chunked.iter_together(
            [making(chunked, seed, finished=views) for seed, views in seeds]
        ):
            made[place].append(view)
        return made

    both = at_once({}, {})
    for seed, views in enumerate(both):
        alone = [view for _, view in pipeline.iter_together([making(pipeline, seed, parallel_views=1)])]
        close(views, alone)
        for view, other in zip(views[1:], alone[1:], strict=True):
            references = len(view.record.references)
            # The first step is unguided; so the second knows nothing of the unconditional row, and is whole.
            assert view.record.network_evaluations == references + 3 * (references + 1)
            assert view.record.light_evaluations == other.record.light_evaluations == references + 1
    pairs = [{view.index: view.latents for view in views[1:3]} for views in both]
    assert all(equal(*each) for each in zip(at_once(*pairs), both, strict=True))


def test_a_callback_may_replace_the_latents_of_one_of_a_pair(pipeline):
    def callback(pipe, step, timestep, told):
        return {"latents": torch.zeros_like(told["latents"])} if told["view"] == 3 and step == 1 else {}

    views = pipeline(photo(), config=load_config(overrides=TURN), callback_on_step_end=callback)
    assert [view.index for view in views if view.latents is not None and not view.latents.any()] == [3]


# Commands.


def test_rounds_are_kept_as_a_whole():
    rounds = [[(Target(1, (0,), (1.0,)), Target(3, (0,), (1.0,))), (Target(2, (0,), (1.0,)),)]] * 2
    latents = torch.zeros(1)
    assert (
        whole_rounds(rounds, [{1: latents, 3: latents, 2: latents}, {1: latents, 3: latents}])
        == [{1: latents, 3: latents}] * 2
    )
    assert whole_rounds(rounds, [{1: latents, 3: latents}, {1: latents, 2: latents}]) == [{}, {}]
    assert whole_rounds([rounds[0], rounds[0][:1]], [{1: latents, 3: latents, 2: latents}] * 2) == [
        {1: latents, 3: latents, 2: latents},
        {1: latents, 3: latents},
    ]
    assert whole_rounds([], []) == []


@pytest.fixture
def photos(tmp_path, pipeline, monkeypatch):
    """Two good ones, and a broken one; the model is loaded already."""
    monkeypatch.setattr(ViewFusionPipeline, "from_checkpoint", lambda *_, **__: pipeline)
    for hue, name in enumerate("ab"):
        Image.fromarray(photo(hue)).save(tmp_path / f"{name}.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "a.png").read_bytes()[:300])
    return [tmp_path / f"{name}.png" for name in ("a", "b", "broken")]


def shows(file, view):
    assert np.abs(pixels(file).astype(int) - view.rgb).max() <= 1


def stopping_at(count, monkeypatch):
    """Ctrl-C when so many views are kept."""
    add, added = RunFolder.add, []

    def stopping(folder, view):
        if view.latents is not None and len(added) == count:
            raise KeyboardInterrupt
        added.extend([view] if view.latents is not None else [])
        add(folder, view)

    monkeypatch.setattr(RunFolder, "add", stopping)


def test_photos_at_once(run, tmp_path, photos, pipeline):
    """A broken one is named, and views are those of photos alone."""
    code, _, err = run("generate-360", *photos, "--parallel-objects", 2, *TURN, "--out", tmp_path / "out")
    assert code == 1
    assert "1 of 3 photos failed; the others are in" in err
    assert "broken.png: " in err
    assert "a.png: view 1 at azimuth 90.0" in err
    config = load_config(overrides=TURN)
    for path in photos[:2]:
        folder = tmp_path / "out" / path.stem
        for view in pipeline(path, config=config, parallel_views=1):
            shows(folder / f"views/{view.index:03d}.png", view)
        fingerprint = json.loads((folder / "manifest.json").read_text())["fingerprint"]
        assert fingerprint["parallel_objects"] == 2, "a batch of another size rounds differently"
        assert "parallel_views" not in fingerprint, "as many as the schedule foresees"


def test_photos_at_once_stopped_and_continued_end_with_the_same_bytes(run, tmp_path, photos, monkeypatch):
    """Of a two views were kept, of b the first alone: the second is made anew in both."""
    command = ["generate-view", *photos[:2], "--azimuth-deg", 25, "--keep-path", "--parallel-objects", 2]
    command += [*QUICK[1:], "--out"]
    assert run(*command, tmp_path / "whole")[0] == 0
    with monkeypatch.context() as patched:
        stopping_at(3, patched)
        code, _, err = run(*command, tmp_path / "out")
    assert code == 130
    assert "goes on from them" in err
    added = []
    add = RunFolder.add
    monkeypatch.setattr(RunFolder, "add", lambda folder, view: added.append(view) or add(folder, view))
    assert run(*command, tmp_path / "out")[0] == 0
    assert [view.index for view in added if view.record] == [2, 2, 3, 3]
    for name in "ab":
        assert files_of(tmp_path / "out" / name) == files_of(tmp_path / "whole" / name)


def test_one_whose_folder_takes_no_more_leaves_the_others(run, tmp_path, photos, monkeypatch):
    add = RunFolder.add

    def full(folder, view):
        if folder.path.name == "a" and view.index == 1:
            raise ViewFusionError("the disk is full")
        add(folder, view)

    monkeypatch.setattr(RunFolder, "add", full)
    options = ["--azimuth-deg", 15, "--parallel-objects", 2, *QUICK[1:], "--out", tmp_path / "out"]
    code, _, err = run("generate-view", *photos[:2], *options)
    assert code == 1
    assert "error: the disk is full" in err
    assert "1 of 2 photos failed" in err
    assert (tmp_path / "out/b/manifest.json").exists()
    assert not (tmp_path / "out/a/manifest.json").exists()


def test_seeds_at_once(run, tmp_path, photos, pipeline):
    """They are runs of one photo, each of which remembers its own views."""
    options = ["--num-samples", 2, "--views", 3, "--parallel-objects", 3, *QUICK[1:], "--out", tmp_path]
    code, _, err = run("generate-360", photos[0], *options)
    assert code == 0, err
    config = load_config(overrides=[*QUICK, "views=3"])
    for seed in (0, 1):
        for view in pipeline(photos[0], config=config, seed=seed):
            shows(tmp_path / f"a/seed-000{seed}/views/{view.index:03d}.png", view)
    assert (tmp_path / "a/samples.png").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--parallel-objects", 0], "--parallel-objects must be 1 to 64, got 0"),
        (["--parallel-views", 65], "--parallel-views must be 1 to 64, got 65"),
        (["fusion.schedule=pared"], "did you mean 'paired'"),
    ],
)
def test_impossible_numbers(arguments, words, run, tmp_path):
    refused(run("generate-360", CHAIR, "--out", tmp_path / "out", *arguments), words)
    assert not (tmp_path / "out").exists()


def test_the_plan_shows_what_is_made_at_once(run):
    plan = json.loads(run("plan", "--views", 6, "--json", "fusion.schedule=paired")[1])
    assert [(each["view"], each["round"]) for each in plan["targets"]] == [
        (1, 1),
        (5, 1),
        (2, 2),
        (4, 2),
        (3, 3),
    ]
    assert plan["targets"][3]["references"] == [0, 5]
    lines = run("plan", "--views", 6, "fusion.schedule=paired")[1].splitlines()
    assert lines[0].split()[:3] == ["order", "round", "view"]
    assert [line.split()[:3] for line in lines[1:3]] == [["1", "1", "1"], ["2", "1", "5"]]
    assert "round" not in run("plan", "--views", 6)[1]
