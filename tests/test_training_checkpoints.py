"""A training's file comes back as it was, and anything else is refused in one line and never run."""

from __future__ import annotations

import json
import os
import pickle
import resource
from dataclasses import replace

import pytest
import torch
from neus import ball_scene, small_recipe
from safetensors.torch import save_file

from viewfusion.errors import ViewFusionError
from viewfusion.reconstruction.checkpoints import digest, read_checkpoint
from viewfusion.reconstruction.training import Training


@pytest.fixture
def trained(tmp_path):
    """A training of one step and its file."""
    training = Training(small_recipe(), ball_scene())
    training.run(1, checkpoint=tmp_path / "training.safetensors")
    return training, tmp_path / "training.safetensors"


def test_it_comes_back(trained):
    training, path = trained
    saved = read_checkpoint(path)
    assert (saved.done, saved.seed, saved.losses) == (1, 0, training.losses)
    assert saved.recipe == training.recipe.described()
    assert saved.field.keys() == training.field.state_dict().keys()
    assert saved.optimiser.keys() == training.optimiser.state_dict()["state"].keys()


def rewritten(path, about=None, **tensors):
    """The file with some of its numbers (None: left out) or its words replaced."""
    saved = read_checkpoint(path)
    words = {key: value for key, value in vars(saved).items() if key not in ("field", "optimiser")}
    held = {f"field/{name}": value for name, value in saved.field.items()}
    for index, state in saved.optimiser.items():
        held |= {f"optimiser/{index}/{name}": value for name, value in state.items()}
    held = {name: value for name, value in {**held, **tensors}.items() if value is not None}
    save_file(held, path, {"viewfusion": json.dumps({"version": 1, **words, **(about or {})})})


class Evil:
    def __reduce__(self):
        return (exec, ("raise SystemExit('it ran')",))


def spoil_pickle(path):
    path.write_bytes(pickle.dumps(Evil()))


def spoil_torch(path):
    torch.save({"field": Evil()}, path)


def spoil_cut(path):
    path.write_bytes(path.read_bytes()[:-5])


def spoil_header(path):
    path.write_bytes(b"\xff" * 7 + b"\x7f" + path.read_bytes()[8:])


SPOILED = {
    "nothing": lambda path: path.unlink(),
    "folder": lambda path: (path.unlink(), path.mkdir()),
    "empty": lambda path: path.write_bytes(b""),
    "pickle": spoil_pickle,
    "torch": spoil_torch,
    "cut": spoil_cut,
    "header": spoil_header,
    "no words": lambda path: save_file({"a": torch.zeros(1)}, path),
    "words": lambda path: save_file({"a": torch.zeros(1)}, path, {"viewfusion": "[1]"}),
    "deep words": lambda path: save_file({"a": torch.zeros(1)}, path, {"viewfusion": "[" * 100000}),
    "version": lambda path: rewritten(path, {"version": 2}),
    "more words": lambda path: rewritten(path, {"surprise": 1}),
    "below 0": lambda path: rewritten(path, {"done": -1}),
    "many": lambda path: rewritten(path, {"done": 10**30}),
    "done": lambda path: rewritten(path, {"done": "1"}),
    "losses": lambda path: rewritten(path, {"losses": {"total": "1"}}),
    "missing": lambda path: rewritten(path, **{"field/deviation_network.variance": None}),
    "shape": lambda path: rewritten(path, **{"field/deviation_network.variance": torch.zeros(2)}),
    "another": lambda path: rewritten(path, **{"field/x": torch.zeros(2)}),
    "moments": lambda path: rewritten(path, **{"optimiser/0/exp_avg": torch.zeros(2)}),
    "no moments": lambda path: rewritten(path, **{"optimiser/0/exp_avg": None}),
    "index": lambda path: rewritten(path, **{"optimiser/99/exp_avg": torch.zeros(())}),
    "below": lambda path: rewritten(path, **{"optimiser/-1/exp_avg": torch.zeros(())}),
    "half of one": lambda path: rewritten(
        path, **{f"optimiser/{index}/exp_avg": None for index in range(99)}
    ),
    "no step yet": lambda path: rewritten(path, **{"optimiser/0/step": torch.tensor(0.0)}),
    "steps": lambda path: rewritten(path, **{"optimiser/0/step": torch.zeros(2)}),
    "whole": lambda path: rewritten(path, **{"optimiser/0/step": torch.tensor(1)}),
    "no number": lambda path: rewritten(path, **{"optimiser/0/step": torch.tensor(float("nan"))}),
    "learned": lambda path: rewritten(
        path, **{"field/deviation_network.variance": torch.tensor(float("nan"))}
    ),
    "seconds": lambda path: rewritten(path, {"seconds": float("inf")}),
    "name": lambda path: rewritten(path, **{"optimiser/x": torch.zeros(())}),
}


@pytest.mark.parametrize("kind", SPOILED)
def test_damaged_and_hostile_files_are_one_line(trained, kind):
    _, path = trained
    SPOILED[kind](path)
    fresh = Training(small_recipe(), ball_scene())
    with pytest.raises(ViewFusionError, match=r"training\.safetensors: .*remove it") as caught:
        fresh.load(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_file_larger_than_any_is_not_read(trained):
    _, path = trained
    os.truncate(path, 2**33 + 1)  # takes no room on the disk
    with pytest.raises(ViewFusionError, match=r"larger than any training's state\); remove it"):
        read_checkpoint(path)


def test_a_full_disk_is_one_line_and_the_file_before_stays(trained):
    """A file that may not grow stands for it: the system says either in the same way."""
    training, path = trained
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(ViewFusionError, match=r"training\.safetensors cannot be written: .*goes on"):
            training.save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_digest_tells_scenes_apart():
    scene = ball_scene()
    spoiled = scene.images.clone()
    spoiled[3, 1, 2, 2] += 1e-3
    others = [
        replace(scene, images=spoiled),
        replace(scene, cameras=scene.cameras.flip(0)),
        replace(scene, weights=scene.weights * 0.5),
        replace(scene, held_out=(2,)),
        ball_scene(radius=0.41, size=24),
    ]
    assert digest(scene) == digest(ball_scene())
    assert len({digest(scene), *map(digest, others)}) == 6
    assert digest(replace(scene, masks=scene.masks.clone())) == digest(scene)
