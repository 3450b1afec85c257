"""Training learns, goes on bit for bit, stops at what is not finite, and does not grow."""

from __future__ import annotations

import gc
import math

import pytest
import torch
from neus import ball_scene, small_recipe

from viewfusion.errors import ViewFusionError
from viewfusion.reconstruction.mlp_field import ColourNetwork
from viewfusion.reconstruction.paper import PaperRecipe
from viewfusion.reconstruction.training import Training, estimated_seconds, step_generator


def training(scene=None, seed=0, **changes):
    return Training(small_recipe(**changes), scene or ball_scene(), seed)


def states(trained):
    """Every tensor that a next step depends on, by name."""
    found = {f"field {name}": value for name, value in trained.field.state_dict().items()}
    for index, state in trained.optimiser.state_dict()["state"].items():
        found |= {f"optimiser {index} {name}": value for name, value in state.items()}
    return found


def assert_same(one, other):
    assert one.done == other.done
    assert one.losses == other.losses
    ours, theirs = states(one), states(other)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_going_on_is_the_same_bit_for_bit(tmp_path):
    scene, path = ball_scene(), tmp_path / "training.safetensors"
    whole = training(scene)
    whole.run(6)
    training(scene).run(3, checkpoint=path)
    torch.manual_seed(99)  # what others drew must not matter
    again = training(scene)
    again.load(path)
    assert again.done == 3
    again.run(6)
    assert_same(whole, again)
    again.save(path)
    once_more = training(scene)
    once_more.load(path)
    assert_same(whole, once_more)
    assert once_more.seconds == again.seconds > 0


class Growing(PaperRecipe):
    """One whose colours are a wider network's from step 3 on, with an optimiser of their own."""

    def _wider(self, field):
        with torch.random.fork_rng():
            torch.manual_seed(7)
            field.color_network = ColourNetwork(56, self.settings.features, 1, 1)
        return field

    def make_field(self, scene, done=0):
        field = super().make_field(scene)
        return self._wider(field) if done >= 3 else field

    def after_step(self, field, optimiser, done):
        return self.optimiser(self._wider(field)) if done == 3 else optimiser


@pytest.mark.parametrize("stop", [2, 3, 5])
def test_going_on_is_the_same_where_the_field_grows(tmp_path, stop):
    scene, path = ball_scene(), tmp_path / "training.safetensors"
    whole, part, again = (Training(Growing(small_recipe().settings), scene) for _ in range(3))
    whole.run(6)
    part.run(stop, checkpoint=path)
    again.load(path)
    again.run(6)
    assert again.field.color_network.lin0.bias.shape == (56,)
    assert_same(whole, again)


def test_the_seed_decides_and_nothing_else_does():
    first, again, other = training(), training(), training(seed=1)
    before = torch.get_rng_state()
    for each in (first, again, other):
        each.run(2)
    assert torch.equal(before, torch.get_rng_state())
    assert_same(first, again)
    assert first.losses != other.losses


def test_generators_of_steps_and_seeds_differ():
    drawn = {
        torch.rand(1, generator=step_generator(seed, step)).item() for seed in range(4) for step in range(4)
    }
    assert len(drawn) == 16


def test_a_ball_is_learned():
    learning = training(steps=60, rays=64, foreground_rays=32, rays_at_once=96, learning_rate=5e-3)
    seen = []
    learning.run(on_step=lambda progress: seen.append(progress.losses))
    first, last = seen[:5], seen[-5:]
    assert sum(each["colour"] for each in last) < 0.5 * sum(each["colour"] for each in first)
    assert sum(each["mask"] for each in last) < 0.7 * sum(each["mask"] for each in first)
    # The ball's middle is inside, the cube's corners are not.
    points = torch.tensor([[0.0, 0, 0], [0.55, 0.55, 0.55], [-0.55, 0.55, -0.55]])
    assert (learning.field.sdf(points).sign()[:, 0] == torch.tensor([-1, 1, 1])).all()


def test_progress_is_told():
    told, previews = [], []
    learning = training()
    learning.run(5, on_step=told.append, on_preview=lambda each: previews.append(each.done), preview_every=2)
    assert [each.done for each in told] == [1, 2, 3, 4, 5]
    assert previews == [2, 4]
    assert all(
        each.steps == 8 and set(each.losses) == {"colour", "eikonal", "mask", "total"} for each in told
    )
    assert told[-1].seconds_left == pytest.approx(told[-1].seconds / 5 * 3)
    learning.run()
    assert learning.done == 8
    assert learning.progress.seconds_left == 0
    learning.run(100)
    assert learning.done == 8


def test_the_rate_of_each_step_is_the_schedules():
    learning = training()
    for step in range(5):
        learning.step()
        expected = learning.recipe.settings.learning_rate * learning.recipe.rate(step)
        assert learning.optimiser.param_groups[0]["lr"] == pytest.approx(expected)


class Broken(PaperRecipe):
    """One whose losses, or only their gradients, are no numbers from step 3 on."""

    how = "loss"

    def losses(self, field, scene, step, generator):
        for part in super().losses(field, scene, step, generator):
            if step == 3 and self.how == "loss":
                part["total"] = part["total"] * math.nan
            elif step == 3:
                # A finite number with an infinite slope.
                part["total"] = part["total"] + torch.sqrt(field.inverse_deviation() * 0)
            yield part


@pytest.mark.parametrize(("how", "said"), [("loss", "total"), ("gradient", "the gradient")])
def test_what_is_not_finite_stops_it_and_the_last_good_state_is_kept(tmp_path, how, said):
    scene, path = ball_scene(), tmp_path / "training.safetensors"
    recipe = Broken(small_recipe().settings)
    recipe.how = how
    broken = Training(recipe, scene)
    with pytest.raises(
        ViewFusionError, match=rf"at step 3 of 8, as {said} .*lower learning rate; .*{path}"
    ) as it:
        broken.run(checkpoint=path)
    assert "\n" not in str(it.value)
    good, kept = training(scene), training(scene)
    good.run(3)
    kept.load(path)
    assert_same(good, kept)


def test_without_a_place_to_save_it_stops_all_the_same():
    with pytest.raises(ViewFusionError, match="became infinite or no number"):
        Training(Broken(small_recipe().settings), ball_scene()).run()


def test_what_went_wrong_in_the_step_itself_is_not_saved(tmp_path):
    """A finite slope, a learning rate beyond all numbers: the field itself is none afterwards."""
    path, broken = tmp_path / "training.safetensors", training()
    broken.run(2, checkpoint=path)
    saved = path.read_bytes()
    broken.optimiser.param_groups[0]["initial_lr"] = math.inf
    with pytest.raises(ViewFusionError, match="has what was learned before"):
        broken.run(checkpoint=path)
    assert path.read_bytes() == saved


def test_one_long_step_hardly_moves_the_time_left():
    learning = training(steps=1000)
    for _ in range(300):
        learning._recent.append(0.1)
    learning.done = 300
    calm = learning.progress.seconds_left
    learning._recent.append(3.0)
    assert calm == pytest.approx(70)
    assert learning.progress.seconds_left - calm == pytest.approx(700 * 2.9 / 100)


def test_memory_does_not_grow():
    learning, counts = training(steps=12), []

    def count(progress):
        if progress.done in (2, 3, 12):
            gc.collect()
            held = [each for each in gc.get_objects() if issubclass(type(each), torch.Tensor)]
            counts.append((len(held), sum(each.numel() for each in held)))

    learning.run(on_step=count)
    assert len(counts) == 3
    assert len(set(counts)) == 1


def test_a_checkpoint_of_something_else_is_refused(tmp_path):
    scene, path = ball_scene(), tmp_path / "training.safetensors"
    training(scene).save(path)
    wrong = {
        "settings": training(scene, learning_rate=0.1),
        "views": training(ball_scene(radius=0.3)),
        "seed": training(scene, seed=1),
    }
    for name, other in wrong.items():
        with pytest.raises(ViewFusionError, match=rf"training.safetensors: .*other {name}; .*remove it"):
            other.load(path)


def test_saves_are_made_as_it_goes(tmp_path):
    path, times = tmp_path / "training.safetensors", []

    def look(progress):
        times.append(path.stat().st_mtime_ns if path.exists() else None)

    training().run(3, on_step=look, checkpoint=path, save_seconds=0)
    assert times[0] is None
    assert None not in times[1:]
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_time_is_foretold_from_trial_steps():
    class Counting(PaperRecipe):
        made = 0

        def losses(self, *arguments):
            Counting.made += 1
            return super().losses(*arguments)

        def trial(self):
            return self, 1000.0

    recipe = Counting(small_recipe().settings)
    foretold = estimated_seconds(recipe, ball_scene())
    assert Counting.made == 6
    learning = training()
    learning.run(4)
    # As long as 8000 steps: the same work on the same machine, so within a wide factor.
    assert 8000 * learning.seconds / 4 / 50 < foretold < 8000 * learning.seconds / 4 * 50
