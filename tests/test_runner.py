"""The runner: is each object done once, whole, whoever does it, and does what fails stay its own trouble?"""

from __future__ import annotations

import json
import os
import signal
from datetime import timedelta

import numpy as np
import pytest
import torch

from viewfusion.errors import ViewFusionError
from viewfusion.evaluation.items import Item, Outcome, read_entries, write_outcome
from viewfusion.evaluation.runner import Spread, run_items
from viewfusion.evaluation.scoring import unmeasured_entry
from viewfusion.outputs.files import write_json

ONE = Spread("cpu", "1")
NAMES = ("a", "b", "c")


def items(folder):
    return [Item(folder, name) for name in NAMES]


def made(item: Item) -> Outcome:
    picture = np.full((2, 3, 3), 7, np.uint8)
    entry = {**unmeasured_entry(item.name), "scores": {"psnr": 1.5}}
    return Outcome(entry, {"views/000.png": picture, "comparison.png": picture})


class Works:
    """What :func:`run_items` starts; counts, and fails where told."""

    def __init__(self, failing: dict[str, BaseException] | None = None) -> None:
        self.failing, self.done, self.devices = failing or {}, [], []

    def __call__(self, device):
        assert not torch.is_inference_mode_enabled()  # networks that are kept must be good for all uses
        self.devices.append((device.type, torch.get_num_threads()))
        return self.work

    def work(self, item: Item) -> Outcome:
        self.done.append(item.name)
        if item.name in self.failing:
            raise self.failing[item.name]
        return made(item)


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_each_object_has_its_folder_and_is_done_once(tmp_path):
    works, told = Works(), []
    threads = torch.get_num_threads()
    assert run_items(items(tmp_path), works, ONE, on_progress=lambda done, total: told.append((done, total)))
    assert works.done == list(NAMES)
    assert works.devices == [("cpu", 1)]
    assert torch.get_num_threads() == threads
    assert files(tmp_path) == [
        f"objects/{name}/{file}"
        for name in NAMES
        for file in ("comparison.png", "object.json", "views/000.png")
    ]
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3), (3, 3)]  # the last when all processes are done
    assert [entry["name"] for entry in read_entries(items(tmp_path))] == list(NAMES)
    again = Works()
    assert run_items(items(tmp_path), again, ONE)
    assert again.devices == []  # nothing is loaded where nothing is to be done


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ViewFusionError("b: its views are no ring"), "b: its views are no ring"),
        (RuntimeError("out of memory\nand more"), "RuntimeError: out of memory"),
        (MemoryError(), "MemoryError: "),
    ],
)
def test_what_fails_is_recorded_and_tried_again(tmp_path, error, told):
    works = Works({"b": error})
    run_items(items(tmp_path), works, ONE)
    assert works.done == list(NAMES)
    entry = json.loads((tmp_path / "failed/b.json").read_text())
    assert (entry["status"], entry["error"]) == ("failed", told)
    assert read_entries(items(tmp_path))[1] == entry
    again = Works()
    run_items(items(tmp_path), again, ONE)
    assert again.done == ["b"]
    assert not list((tmp_path / "failed").iterdir())
    assert [entry["status"] for entry in read_entries(items(tmp_path))] == ["scored"] * 3


def test_what_to_remove_is_told(tmp_path):
    """The folder of an object that is done, the file of one that failed, nothing of one nobody has done."""
    run_items(items(tmp_path), Works({"b": MemoryError()}), ONE)
    for damaged, remove in (("objects/a/object.json", "objects/a"), ("failed/b.json", "failed/b.json")):
        (tmp_path / damaged).write_text("{")
        with pytest.raises(ViewFusionError) as refused:
            read_entries(items(tmp_path))
        assert str(refused.value).startswith(
            f"{tmp_path / damaged}: damaged; remove {tmp_path / remove} and "
        )
        (tmp_path / damaged).write_text("{}")
    (tmp_path / "failed/b.json").unlink()
    with pytest.raises(ViewFusionError, match="b is neither done nor failed") as refused:
        read_entries(items(tmp_path))
    assert "; remove " not in str(refused.value)


def test_what_a_killed_run_left_half_written_is_removed(tmp_path):
    half = tmp_path / "objects/.b.0123abcd.partial"
    half.mkdir(parents=True)
    (half / "views").mkdir()
    run_items(items(tmp_path), Works(), ONE)
    assert not half.exists()


def test_what_somebody_else_finishes_meanwhile_moves_nobody_to_another_share(tmp_path):
    """A process left of a killed run finishes "b" while "a" is made: "c" is still done, and "b" not again."""

    class Leftover(Works):
        def work(self, item):
            if item.name == "a":
                write_outcome(Item(tmp_path, "b"), made(Item(tmp_path, "b")))
            return super().work(item)

    works = Leftover()
    run_items(items(tmp_path), works, ONE)
    assert works.done == ["a", "c"]
    assert all(item.done for item in items(tmp_path))


def test_shares_are_of_all_items_whatever_is_done(tmp_path, monkeypatch):
    """Processes may see the disk at different times: by what is left, nobody might take "c"."""
    from viewfusion.evaluation import workers

    taken = []
    monkeypatch.setattr(workers, "predict", lambda items, *_: taken.append([item.name for item in items]))
    monkeypatch.setattr(workers, "started_by_others", lambda: 2)
    for done in (None, *NAMES):
        if done:
            write_outcome(Item(tmp_path, done), made(Item(tmp_path, done)))
        run_items(items(tmp_path), Works(), ONE)
    assert taken == [list(NAMES)] * 4  # when all is done, too: the other process may wait


def test_an_object_that_somebody_else_has_finished_first_is_done(tmp_path, monkeypatch):
    mine, other = made(Item(tmp_path, "a")), Item(tmp_path, "a")

    def late(path, value):
        monkeypatch.undo()
        write_outcome(other, made(other))
        write_json(path, value)

    monkeypatch.setattr("viewfusion.evaluation.items.write_json", late)
    write_outcome(Item(tmp_path, "a"), mine)
    assert read_entries([other])[0]["scores"] == {"psnr": 1.5}
    assert files(tmp_path) == ["objects/a/comparison.png", "objects/a/object.json", "objects/a/views/000.png"]
    (tmp_path / "objects/b").mkdir()  # not an object: in the way
    (tmp_path / "objects/b/note.txt").write_text("of somebody's")
    with pytest.raises(ViewFusionError, match="cannot be written"):
        write_outcome(Item(tmp_path, "b"), made(Item(tmp_path, "b")))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_what_is_done_stays(tmp_path, number):
    """As the command line has it: SIGTERM raises what its handler raises, Ctrl-C KeyboardInterrupt."""

    class AskedToStop(SystemExit):
        pass

    def stop(_number, _frame):
        raise AskedToStop(143)

    class Killing(Works):
        def work(self, item):
            if item.name == "b":
                os.kill(os.getpid(), number)
            return super().work(item)

    # Whoever runs tests in the background has Ctrl-C ignored.
    before = {
        signal.SIGTERM: signal.signal(signal.SIGTERM, stop),
        signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
    }
    try:
        with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else AskedToStop):
            run_items(items(tmp_path), Killing(), ONE)
        assert signal.getsignal(signal.SIGTERM) is stop
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        for known, handler in before.items():
            signal.signal(known, handler)
    assert [item.name for item in items(tmp_path) if item.done] == ["a"]
    with pytest.raises(ViewFusionError, match="run the same command again"):
        read_entries(items(tmp_path))


def test_how_many_processes(monkeypatch):
    gigabyte = 2**30
    monkeypatch.setattr("viewfusion.evaluation.runner.usable_cores", lambda: 8)
    monkeypatch.setattr("viewfusion.evaluation.runner.usable_memory", lambda: 10 * gigabyte)
    assert Spread("cpu").settled(100, gigabyte) == ("cpu", 8)
    assert Spread("cpu").settled(100, 4 * gigabyte) == ("cpu", 2)  # as many as fit
    assert Spread("cpu").settled(100, 40 * gigabyte) == ("cpu", 1)
    assert Spread("cpu").settled(3, gigabyte) == ("cpu", 3)  # nobody is left without an object
    assert Spread("cpu", "5").settled(100, gigabyte) == ("cpu", 5)
    assert Spread("cpu", "5", num_nodes=2).settled(4, gigabyte) == ("cpu", 2)


@pytest.mark.parametrize(
    "environment",
    [
        {"TORCHELASTIC_RUN_ID": "none", "LOCAL_WORLD_SIZE": "3"},
        {"SLURM_NTASKS": "6", "SLURM_NNODES": "2", "SLURM_JOB_NAME": "trial"},
    ],
)
def test_as_many_processes_as_somebody_else_has_started(monkeypatch, environment):
    """However few objects are left: each of three that were told of one would do them all."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Spread("cpu").settled(1, 2**30) == ("cpu", 3)
    assert Spread("cpu", "1").settled(100, 2**30) == ("cpu", 3)


def test_who_is_done_waits_for_the_others():
    """torch's own half hour is less than an object of a large network takes."""
    from viewfusion.evaluation.workers import _trainer, _Writer

    trainer = _trainer(("cpu", 2, 1, "auto"), _Writer(lambda: None))
    assert trainer.strategy._timeout > timedelta(days=1)
    with pytest.raises(ViewFusionError, match="--strategy dpd: Lightning refuses it"):
        _trainer(("cpu", 2, 1, "dpd"), _Writer(lambda: None))


@pytest.mark.parametrize(
    ("spread", "told"),
    [
        (Spread("gpu"), "--device must be auto, cpu, cuda, cuda:N or mps, got 'gpu'"),
        (Spread("cuda:x"), "--device must be"),
        (Spread("cuda:1"), "there is none here; try --device cpu"),
        (Spread("cpu", "0"), "--devices must be auto or 1 to 1024"),
        (Spread("cpu", "two"), "--devices must be auto or 1 to 1024"),
    ],
)
def test_devices_that_are_none(spread, told):
    with pytest.raises(ViewFusionError, match="--device") as refused:
        spread.settled(3, 1)
    assert told in str(refused.value)
