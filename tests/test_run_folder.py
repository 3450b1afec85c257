"""The folder of a run: killed anywhere it continues, finished it stays, another run's it refuses."""

from __future__ import annotations

import json
import os
import re
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
from PIL import Image

from viewfusion.errors import ViewFusionError
from viewfusion.geometry import ring
from viewfusion.outputs import RunFolder, SingleView, locking
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
            record = None if index in finished else ViewRecord((0,), (1.0,), 2, 4, time.perf_counter(), 3)
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


def kill_before_removal(count: int) -> None:
    """SIGKILL to this process when it is about to remove its ``count``-th file."""
    seen = [0]

    def hook(event, _arguments):
        seen[0] += event == "os.remove"
        if event == "os.remove" and seen[0] == count:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


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


def test_what_a_run_began_with_is_not_written_again(tmp_path):
    picture, names = np.full((16, 16, 4), 200, np.uint8), ("input.png", "elevation.json", "elevation.png")

    def begin(degrees: float) -> list[tuple[int, int]]:
        with RunFolder.open(tmp_path, FINGERPRINT) as folder:
            folder.write_input(picture)
            folder.write_elevation({"estimate": degrees}, Image.fromarray(picture))
        stats = [(tmp_path / name).stat() for name in names]
        return [(stat.st_ino, stat.st_mtime_ns) for stat in stats]

    first = begin(20.5)
    assert begin(20.5) == first
    changed = [a != b for a, b in zip(begin(21.5), first, strict=True)]
    assert changed == [False, True, False]
    assert json.loads((tmp_path / "elevation.json").read_text()) == {"estimate": 21.5}


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


OTHER = {"config": {"views": 36, "seed": 5}, "checkpoint": "ab" * 32, "input": "cd" * 32}


def anothers(path: Path, finished: Path, state: str) -> Path:
    """A folder that a run with the fingerprint OTHER has made, with files of somebody's in it."""
    shutil.copytree(finished, path)
    for index in range(4, 7):
        shutil.copy(path / "views/000.png", path / f"views/{index:03d}.png")
    manifest = json.loads((path / "manifest.json").read_text()) | {"fingerprint": OTHER}
    manifest["files"] += [f"views/{index:03d}.png" for index in range(4, 7)]
    manifest["files"] += ["notes.txt", "../precious.txt", "/etc/hostname", None, ["views"]]
    (path / "manifest.json").write_text(json.dumps(manifest))
    if state == "unfinished":
        (path / "manifest.json").unlink()
        (path / ".resume").mkdir()
        (path / ".resume/run.json").write_text(json.dumps(OTHER))
        (path / ".resume/001.npz").write_text("latents")
    (path / "notes.txt").write_text("mine")
    (path / "views/mine.png").write_text("mine")
    (path.parent / "precious.txt").write_text("mine")
    return path


@pytest.mark.parametrize("state", ["finished", "unfinished"])
def test_force_starts_anew_and_touches_nothing_that_is_not_ours(tmp_path, finished, state):
    path = anothers(tmp_path / "chair", finished, state)
    with pytest.raises(
        ViewFusionError, match=r"views=36, now 4; config\.seed=5, now 0; choose another --out, or --force"
    ):
        RunFolder.open(path, FINGERPRINT)
    RunFolder.open(path, FINGERPRINT, force=True).close()
    assert listing(path) == [".resume/run.json", "notes.txt", "views/mine.png"]
    assert run(path) == [1, 2, 3]
    assert contents(path) == contents(finished) | {"notes.txt": b"mine", "views/mine.png": b"mine"}
    assert (tmp_path / "precious.txt").read_text() == "mine"
    with RunFolder.open(path, FINGERPRINT, force=True) as folder:
        assert folder.complete, "its own work a run keeps"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.parametrize("state", ["finished", "unfinished"])
def test_killed_while_it_starts_anew_a_folder_is_still_the_other_runs_or_this_ones(tmp_path, finished, state):
    for count in range(1, 40):
        path = anothers(tmp_path / str(count) / "chair", finished, state)

        def start_anew(path=path, count=count):
            kill_before_removal(count)
            RunFolder.open(path, FINGERPRINT, force=True)

        ended = in_a_process(start_anew)
        stale = [name for name in listing(path) if name.startswith("views/00")]
        if stale:
            with pytest.raises(ViewFusionError, match="views=36"):
                RunFolder.open(path, FINGERPRINT)
        RunFolder.open(path, FINGERPRINT, force=True).close()
        assert listing(path) == [".resume/run.json", "notes.txt", "views/mine.png"]
        if not os.WIFSIGNALED(ended):
            break
    assert count > 13, "eleven files, the mark and the manifest"


def test_force_does_not_reach_through_a_link(tmp_path, finished):
    path = anothers(tmp_path / "chair", finished, "finished")
    (path / "views").rename(tmp_path / "pictures")
    (path / "views").symlink_to(tmp_path / "pictures")
    before = listing(tmp_path / "pictures")
    RunFolder.open(path, FINGERPRINT, force=True).close()
    assert listing(tmp_path / "pictures") == before


def test_force_is_not_for_strangers(tmp_path):
    for name, content in (("input.png", "the only photo"), ("manifest.json", '{"name": "a web app"}')):
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).write_text(content)
        with pytest.raises(ViewFusionError, match=re.escape(name)):
            RunFolder.open(folder, FINGERPRINT, force=True)
        assert listing(folder) == [name]


def edited(path: Path, change) -> None:
    manifest = json.loads((path / "manifest.json").read_text())
    change(manifest)
    (path / "manifest.json").write_text(json.dumps(manifest))


def nested(depth: int) -> dict:
    value: dict = {}
    for _ in range(depth):
        value = {"deeper": value}
    return value


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.pop("schema"), "schema=None, now 1"),
        (lambda m: m.update(schema=0), "schema=0, now 1"),
        (lambda m: m["fingerprint"].update(viewfusion="0.0.1"), "viewfusion=0.0.1, now without"),
        (lambda m: m["fingerprint"].pop("input"), "no input, now cdcdcdcdcdcd..."),
        (lambda m: m["fingerprint"].update(config=[4]), r"config=[4], now without"),
        (lambda m: m["fingerprint"].update(config=nested(800)), "now without"),
        (lambda m: m["fingerprint"].update({"a\nb\x1b[2J" * 99: "\n" * 99}), "a?b?[2Ja?b?[2J"),
        (lambda m: m.pop("fingerprint"), "damaged or not viewfusion's"),
        (lambda m: m.update(fingerprint="none"), "damaged or not viewfusion's"),
        (lambda m: m.clear(), "damaged or not viewfusion's"),
    ],
)
def test_an_edited_manifest_of_another_run_is_refused_in_one_line(tmp_path, finished, change, words):
    path = tmp_path / "chair"
    shutil.copytree(finished, path)
    edited(path, change)
    before = (path / "manifest.json").read_bytes()
    with pytest.raises(ViewFusionError) as error:
        RunFolder.open(path, FINGERPRINT)
    message = str(error.value)
    assert words in message
    assert message.isprintable()
    assert len(message) < 600
    assert listing(path) == FILES
    assert (path / "manifest.json").read_bytes() == before


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 5000, '{"fingerprint": ', "<html>"])
def test_a_damaged_manifest_is_refused(tmp_path, finished, text):
    path = tmp_path / "chair"
    shutil.copytree(finished, path)
    (path / "manifest.json").write_text(text)
    with pytest.raises(ViewFusionError, match=r"manifest\.json is damaged or not viewfusion's"):
        RunFolder.open(path, FINGERPRINT)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: edited(path, lambda m: m.pop("files")),
        lambda path: edited(path, lambda m: m.update(files={"views/000.png": 1})),
        lambda path: edited(path, lambda m: m.update(files=m["files"][:-1])),
        lambda path: edited(path, lambda m: m["files"].append("../../etc/passwd")),
        lambda path: edited(path, lambda m: m["files"].append(["views/000.png"])),
        lambda path: edited(path, lambda m: m["files"].append("null\0byte")),
        lambda path: edited(path, lambda m: m.pop("views")),
        lambda path: edited(path, lambda m: m.update(views=["views/000.png"])),
        lambda path: edited(path, lambda m: m.update(views=[])),
        lambda path: cut_short(path / "views/002.png"),
        lambda path: flip(path / "contact_sheet.png"),
        lambda path: (path / "turntable.gif").write_text("<html>"),
        lambda path: (path / "turntable.mp4").write_bytes(b""),
        lambda path: cut_short(path / "cameras.json"),
        lambda path: (path / "views/001.png").unlink(),
    ],
)
def test_a_finished_folder_with_something_spoilt_is_made_again(tmp_path, finished, spoil):
    path = tmp_path / "chair"
    shutil.copytree(finished, path)
    spoil(path)
    assert run(path) == [1, 2, 3]
    assert contents(path) == contents(finished)


def test_a_picture_somebody_touched_up_stays(tmp_path, finished):
    path = tmp_path / "chair"
    shutil.copytree(finished, path)
    shutil.copy(path / "views/001.png", path / "views/002.png")
    assert run(path) == []
    assert (path / "views/002.png").read_bytes() == (path / "views/001.png").read_bytes()


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


def test_a_run_whose_folder_was_replaced_leaves_the_new_runs_lock_alone(tmp_path):
    path = tmp_path / "chair"
    first = RunFolder.open(path, {"a": 1})
    shutil.rmtree(path)
    with RunFolder.open(path, {"a": 1}):
        first.close()
        with pytest.raises(ViewFusionError, match="another run is writing to"):
            RunFolder.open(path, {"a": 1})


def test_the_lock_without_fcntl(tmp_path, monkeypatch):
    monkeypatch.setattr(locking, "fcntl", None)
    with (
        RunFolder.open(tmp_path, {"a": 1}),
        pytest.raises(ViewFusionError, match="another run is writing to"),
    ):
        RunFolder.open(tmp_path, {"a": 1})
    RunFolder.open(tmp_path, {"a": 1}).close()


def run_single(path: Path, keep_path: bool) -> bool:
    """A run that asks for view 3 alone; whether there was anything to do."""
    with RunFolder.open(path, FINGERPRINT, (4, 8, 8), SingleView(3, keep_path)) as folder:
        if folder.complete:
            return False
        folder.write_input(np.full((16, 16, 4), 200, np.uint8))
        views = []
        for view in make_views(folder.finished_latents()):
            folder.add(view)
            views.append(view)
        source = {"file": "chair.png"}
        folder.finish(ViewSet(tuple(views)), config={}, checkpoint={}, source=source)
    return True


@pytest.mark.parametrize("keep_path", [False, True])
def test_a_single_view_leaves_its_picture_and_on_request_the_path(tmp_path, finished, keep_path):
    assert run_single(tmp_path, keep_path)
    path = {f"path/00{i}.png": f"views/00{i}.png" for i in range(3)} if keep_path else {}
    pictures = path | {"view.png": "views/003.png"}
    assert listing(tmp_path) == sorted([*pictures, "manifest.json"])
    for name, same in pictures.items():
        assert (tmp_path / name).read_bytes() == (finished / same).read_bytes()
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["files"] == sorted(pictures)
    assert [view["file"] for view in manifest["views"]] == [*(path or [None] * 3), "view.png"]
    assert not run_single(tmp_path, keep_path)
    (tmp_path / "view.png").unlink()
    assert run_single(tmp_path, keep_path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.parametrize("count", range(13))
def test_a_single_view_killed_anywhere_ends_with_the_same_bytes(tmp_path, count):
    """Renames: run.json, view 0, (entry, picture) of views 1 to 3, the manifest; later ones do not come."""
    assert run_single(tmp_path / "whole", True)
    ended = in_a_process(lambda: run_single(tmp_path / "killed", True), count)
    assert os.WIFSIGNALED(ended) == (count < 10)
    assert run_single(tmp_path / "killed", True) == (0 < count < 10)
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


def test_a_single_view_keeps_other_peoples_files(tmp_path):
    for name in ("view.png", "path/photo.png"):
        file = tmp_path / name.replace("/", "_") / name
        file.parent.mkdir(parents=True)
        file.write_text("mine")
        folder = tmp_path / name.replace("/", "_")
        with pytest.raises(ViewFusionError, match=f"{name.partition('/')[0]} is there already"):
            run_single(folder, True)
        assert file.read_text() == "mine"
