"""The folder of a run: killed anywhere it continues, finished it stays, another run's it refuses."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

import numpy as np
import pytest
import torch

from viewfusion.errors import ViewFusionError
from viewfusion.geometry import ring
from viewfusion.outputs import RunFolder, locking
from viewfusion.views import View, ViewRecord, ViewSet

POSES = ring(4).views
FINGERPRINT = {"config": {"views": 4, "seed": 0}, "checkpoint": "ab" * 32, "input": "cd" * 32}
EXTRAS = ["cameras.json", "contact_sheet.png", "input.png", "manifest.json", "turntable.gif", "turntable.mp4"]
FILES = sorted([*EXTRAS, *(f"views/{i:03d}.png" for i in range(4))])


def make_views(finished: dict[int, torch.Tensor]):
    """Stands for the pipeline: each picture follows from its latents, and latents from the view's number."""
    for index, pose in enumerate(POSES):
        generator = torch.Generator().manual_seed(index)
        latents = finished.get(index, torch.randn(4, 8, 8, generator=generator))
        image = latents[:3, :2, :2].repeat_interleave(8, 1).repeat_interleave(8, 2).clamp(-1, 1)
        if index == 0:
            yield View(index, pose, image)
        else:
            record = None if index in finished else ViewRecord((0,), (1.0,), 2, 4, time.perf_counter())
            yield View(index, pose, image, latents, record)


def run(path: Path, fingerprint: dict = FINGERPRINT) -> list[int]:
    """A whole run as the command line does it; the views that were not there already."""
    with RunFolder.open(path, fingerprint, latent_shape=(4, 8, 8)) as folder:
        if folder.complete:
            return []
        folder.write_input(np.full((16, 16, 4), 200, np.uint8))
        finished, views = folder.finished_latents(), []
        for view in make_views(finished):
            folder.add(view)
            views.append(view)
        config = {"views": 4, "seed": 0}
        source = {"file": "chair.png", "sha256": "cd" * 32, "method": "alpha", "warnings": []}
        checkpoint = {"name": "nano", "sha256": "ab" * 32}
        folder.finish(
            ViewSet(tuple(views)), config=config, checkpoint=checkpoint, source=source, title="chair"
        )
        assert folder.complete
    return [i for i in range(1, 4) if i not in finished]


def listing(path: Path) -> list[str]:
    return sorted(str(file.relative_to(path)) for file in path.rglob("*") if file.is_file())


def contents(path: Path) -> dict[str, object]:
    """Bytes of every file; the manifest without its seconds."""
    found: dict[str, object] = {name: (path / name).read_bytes() for name in listing(path)}
    manifest = json.loads((path / "manifest.json").read_bytes())
    for entry in [*manifest["views"], manifest["totals"]]:
        entry.pop("seconds", None)
    return found | {"manifest.json": manifest}


def in_a_process(work, before_replace: int | None = None) -> int:
    """Run ``work`` in a forked process that kills itself before its n-th rename; what ended it."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    status = 1
    try:
        torch.set_num_threads(1)
        if before_replace is not None:
            kill_before(before_replace)
        work()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def kill_before(count: int) -> None:
    """SIGKILL to this process when the ``count``-th file is about to get its name; 0: in the last act."""
    seen, rename, rmtree = [0], Path.replace, shutil.rmtree

    def replace(self, target):
        seen[0] += 1
        if seen[0] == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return rename(self, target)

    def remove_half(path, **options):
        next(iter(sorted(Path(path).iterdir()))).unlink()
        os.kill(os.getpid(), signal.SIGKILL)
        return rmtree(path, **options)

    Path.replace = replace
    if count == 0:  # while what is no longer needed is removed
        shutil.rmtree = remove_half


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("finished") / "deep" / "chair"
    assert run(path) == [1, 2, 3]
    return path


def test_a_finished_folder_holds_its_files_and_nothing_else(finished):
    assert listing(finished) == FILES
    assert not (finished / ".resume").exists()
    manifest = json.loads((finished / "manifest.json").read_text())
    assert manifest["fingerprint"] == FINGERPRINT
    assert sorted([*manifest["files"], "manifest.json"]) == FILES
    assert str(finished) not in (finished / "manifest.json").read_text()
    before = {name: (finished / name).stat().st_mtime_ns for name in FILES}
    assert run(finished) == [], "nothing to do"
    assert before == {name: (finished / name).stat().st_mtime_ns for name in listing(finished)}


# Renames of a run: run.json, input.png, view 0, (entry, picture) of views 1 to 3, and the five last files.
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.parametrize("count", range(15))
def test_killed_anywhere_and_run_again_ends_with_the_same_bytes(tmp_path, finished, count):
    path = tmp_path / "chair"
    ended = in_a_process(lambda: run(path), count)
    assert os.WIFSIGNALED(ended)
    assert os.WTERMSIG(ended) == signal.SIGKILL
    assert (path / "manifest.json").exists() == (count == 0)
    entries_before = [0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 3, 3, 3, 3][count]
    again = run(path)
    assert again == ([] if count == 0 else list(range(1 + entries_before, 4))), (
        "finished views are not made again"
    )
    assert contents(path) == contents(finished)


def test_records_of_an_earlier_run_are_kept(tmp_path):
    with RunFolder.open(tmp_path / "a", FINGERPRINT) as folder:
        view = [*make_views({})][2]
        folder.add(view)
        assert folder.finished_records() == {2: view.record}
    with RunFolder.open(tmp_path / "a", FINGERPRINT) as folder:
        assert not folder.complete
        assert folder.finished_records() == {2: view.record}
        latents = folder.finished_latents()
        assert list(latents) == [2]
        assert torch.equal(latents[2], view.latents)
        assert latents[2].dtype == torch.float32
        folder.add([*make_views(latents)][2])
        assert folder.finished_records() == {2: view.record}


def test_half_precision_latents_are_kept_exactly(tmp_path):
    latents = torch.randn(4, 2, 2).half()
    with RunFolder.open(tmp_path / "a", FINGERPRINT) as folder:
        folder.add(View(1, POSES[1], torch.zeros(3, 8, 8), latents, ViewRecord((0,), (1.0,), 2, 4, 0.5)))
        assert torch.equal(folder.finished_latents()[1], latents.float())


def damage(path: Path, how: str) -> None:
    good = path.read_bytes()
    latents = {"nan": np.full((4, 8, 8), np.nan, np.float32), "shape": np.zeros((4, 9, 8), np.float32)}
    if how == "truncated":
        path.write_bytes(good[: len(good) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "text":
        path.write_text("not a zip")
    elif how == "flipped":
        path.write_bytes(good[:300] + bytes([good[300] ^ 1]) + good[301:])
    elif how == "pickle":
        np.savez(path, latents=np.array([{}], dtype=object), record=np.array("null"))
    elif how == "record":
        np.savez(path, latents=np.zeros((4, 8, 8), np.float32), record=np.array('{"references": [0]}'))
    else:
        np.savez(path, latents=latents[how], record=np.array("null"))


@pytest.mark.parametrize("how", ["truncated", "empty", "text", "flipped", "pickle", "record", "nan", "shape"])
def test_a_damaged_entry_is_made_again(tmp_path, how):
    with RunFolder.open(tmp_path, FINGERPRINT) as folder:
        for view in make_views({}):
            folder.add(view)
    damage(tmp_path / ".resume" / "002.npz", how)
    (tmp_path / ".resume" / "notes.npz").write_text("somebody's")
    with RunFolder.open(tmp_path, FINGERPRINT, latent_shape=(4, 8, 8)) as folder:
        assert sorted(folder.finished_latents()) == [1, 3]


def test_entries_without_the_mark_of_their_run_are_not_trusted(tmp_path, finished):
    with RunFolder.open(tmp_path, FINGERPRINT) as folder:
        for view in make_views({}):
            folder.add(view)
    (tmp_path / ".resume" / "run.json").write_text("{")
    assert run(tmp_path) == [1, 2, 3]
    assert contents(tmp_path) == contents(finished)


def test_a_lost_file_makes_a_finished_folder_unfinished(tmp_path, finished):
    path = tmp_path / "chair"
    shutil.copytree(finished, path)
    (path / "turntable.gif").unlink()
    with RunFolder.open(path, FINGERPRINT) as folder:
        assert not folder.complete
        assert not (path / "manifest.json").exists()
    assert run(path) == [1, 2, 3]
    assert contents(path) == contents(finished)


@pytest.mark.parametrize("state", ["finished", "unfinished"])
def test_another_fingerprint_is_refused_and_the_differences_named(tmp_path, finished, state):
    path = tmp_path / "chair"
    if state == "finished":
        shutil.copytree(finished, path)
    else:
        RunFolder.open(path, FINGERPRINT).close()
    before = listing(path)
    other = {"config": {"views": 36, "seed": 0}, "checkpoint": "ef" * 32, "input": "cd" * 32}
    with pytest.raises(ViewFusionError) as error:
        RunFolder.open(path, other)
    assert str(error.value) == (
        f"{path} was made with config.views=4, now 36; checkpoint=abababababab..., now efefefefefef...; "
        "choose another --out, or --force to start anew there"
    )
    with pytest.raises(ViewFusionError, match=r"no config\.new, now 1"):
        RunFolder.open(path, {**FINGERPRINT, "config": {"views": 4, "seed": 0, "new": 1}})
    with pytest.raises(ViewFusionError, match=r"config\.views=4, now without and 1 more;"):
        RunFolder.open(path, {"config": {}})
    assert listing(path) == before, "nothing touched"


def test_other_peoples_files_are_refused_and_kept(tmp_path):
    photo = tmp_path / "input.png"
    photo.write_text("the only photo")
    with pytest.raises(ViewFusionError, match=r"input\.png is there already"):
        RunFolder.open(tmp_path, FINGERPRINT)
    photo.rename(tmp_path / "photo.png")
    (tmp_path / "manifest.json").write_text('{"name": "a web app"}')
    with pytest.raises(ViewFusionError, match="not viewfusion's"):
        RunFolder.open(tmp_path, FINGERPRINT)
    (tmp_path / "manifest.json").unlink()
    assert listing(tmp_path) == ["photo.png"]
    RunFolder.open(tmp_path, FINGERPRINT).close()


def test_an_empty_or_foreign_folder_is_not_a_finished_one(tmp_path):
    (tmp_path / "views").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    with RunFolder.open(tmp_path, FINGERPRINT) as folder:
        assert not folder.complete
        assert folder.finished_latents() == {}


def test_a_path_that_cannot_be_a_folder(tmp_path):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(ViewFusionError, match="is a file, not a folder"):
        RunFolder.open(file, FINGERPRINT)
    with pytest.raises(ViewFusionError, match="cannot be made: Not a directory"):
        RunFolder.open(file / "below", FINGERPRINT)


def test_an_unwritable_folder(tmp_path):
    def open_as_somebody():
        if os.geteuid() == 0:  # root may write anywhere
            os.setuid(65534)
        with pytest.raises(ViewFusionError, match="Permission denied"):
            RunFolder.open(tmp_path, FINGERPRINT)

    tmp_path.chmod(0o500)
    assert os.waitstatus_to_exitcode(in_a_process(open_as_somebody)) == 0


def test_a_full_disk_is_one_line_and_the_folder_continues(tmp_path, finished, monkeypatch):
    def full(self, target):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, RunFolder.open(tmp_path, FINGERPRINT) as folder:
        patch.setattr(Path, "replace", full)
        with pytest.raises(ViewFusionError, match=r"001\.npz cannot be written: No space left"):
            folder.add([*make_views({})][1])
    assert run(tmp_path) == [1, 2, 3]
    assert contents(tmp_path) == contents(finished)


HOLD = """
import sys
from viewfusion.outputs import RunFolder
with RunFolder.open(sys.argv[1], {"a": 1}):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_turned_away_until_the_first_ends_or_is_killed(tmp_path):
    path = tmp_path / "chair"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        try:
            assert first.stdout.readline() == b"held\n"
            with pytest.raises(ViewFusionError, match="another run is writing to"):
                RunFolder.open(path, {"a": 1})
            assert (path / ".lock").exists()
        finally:
            first.kill()
    with RunFolder.open(path, {"a": 1}), pytest.raises(ViewFusionError, match="another run is writing to"):
        RunFolder.open(path, {"a": 1})
    assert not (path / ".lock").exists()


def test_the_lock_without_fcntl(tmp_path, monkeypatch):
    monkeypatch.setattr(locking, "fcntl", None)
    with (
        RunFolder.open(tmp_path, {"a": 1}),
        pytest.raises(ViewFusionError, match="another run is writing to"),
    ):
        RunFolder.open(tmp_path, {"a": 1})
    RunFolder.open(tmp_path, {"a": 1}).close()
