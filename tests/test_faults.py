"""What goes wrong outside: commands that are killed, stopped, turned away, cut off or left without room.

Each command here is a process of its own. Starting Python with torch takes seconds, so most of them are
forked from a process that has done its imports; what depends on how Python starts is started anew.
"""

from __future__ import annotations

import ctypes
import json
import multiprocessing
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

if sys.platform != "linux":
    pytest.skip("kills, mounts and terminals as Linux has them", allow_module_level=True)

CHAIR = Path(__file__).parents[1] / "data/real_images/chair.png"
QUICK = ("--views", "2", "sampling.num_inference_steps=1")
PATIENCE = 300
"""Seconds until something that should have happened is given up."""

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    [
        "pytest",
        "rich.status",
        "omegaconf",
        "imageio_ffmpeg",
        "torch._dynamo",
        "diffusers.models.unets.unet_2d_condition",
        "diffusers.models.autoencoders.autoencoder_kl",
        "diffusers.schedulers.scheduling_ddim",
        "transformers.models.clip.modeling_clip",
        "viewfusion.cli.generate",
        "viewfusion.pipeline",
    ]
)

Prepare = Callable[[], None]


@dataclass
class Command:
    """A command that runs, or has run; what it says goes to files."""

    process: BaseProcess
    log: Path

    @property
    def out(self) -> str:
        return self.log.with_suffix(".out").read_text()

    @property
    def err(self) -> str:
        return self.log.read_text()

    def wait(self) -> int:
        """Its exit code, negative where a signal ended it."""
        self.process.join(PATIENCE)
        assert self.process.exitcode is not None, "still running"
        return self.process.exitcode

    def refused(self, *words: object) -> None:
        """It ended with one clear line that holds ``words`` and exit code 2."""
        assert self.wait() == 2, self.err
        assert_one_error(self.err, *words)


def assert_one_error(err: str, *words: object) -> None:
    lines = [line for line in err.splitlines() if line.startswith("error:")]
    assert len(lines) == 1, err
    assert "Traceback" not in err
    for word in words:
        assert str(word) in lines[0]


def become(arguments: tuple[str, ...], log: Path, prepare: Prepare | None) -> None:
    """In the new process: be ``viewfusion ARGUMENTS``."""
    import torch

    from viewfusion.cli import main

    for number, path in ((0, Path(os.devnull)), (1, log.with_suffix(".out")), (2, log)):
        redirect(number, path)
    torch.set_num_threads(1)
    sys.argv = ["viewfusion", *arguments]
    if prepare:
        prepare()
    main()


def redirect(number: int, path: str | Path) -> None:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    os.dup2(file, number)
    os.close(file)


@pytest.fixture(scope="module")
def start(tmp_path_factory) -> Iterator[Callable[..., Command]]:
    """``start(argument, ..., prepare=None)`` begins a command; ``prepare`` runs in its process, before it."""
    begun: list[Command] = []

    def call(*arguments: object, prepare: Prepare | None = None) -> Command:
        log = tmp_path_factory.mktemp("logs") / "log"
        process = FORKS.Process(target=become, args=(tuple(map(str, arguments)), log, prepare))
        process.start()
        begun.append(Command(process, log))
        return begun[-1]

    yield call
    for command in begun:
        command.process.kill()
        command.process.join()


@pytest.fixture(scope="module")
def spin(start) -> Callable[..., Command]:
    """``spin(out)`` begins the main job; ``spin(out, ...)`` with more options."""
    return lambda out, *more, prepare=None: start(
        "generate-360", CHAIR, "--out", out, *QUICK, *more, prepare=prepare
    )


@pytest.fixture(scope="module")
def whole(spin, tmp_path_factory) -> dict[str, Any]:
    """Files of a run that nothing went wrong with."""
    out = tmp_path_factory.mktemp("whole")
    assert spin(out).wait() == 0
    return files(out / "chair")


def files(folder: Path) -> dict[str, Any]:
    """Every file's bytes; the manifest without its seconds."""
    found: dict[str, Any] = {
        str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }
    manifest = json.loads(found["manifest.json"])
    for entry in [*manifest["views"], manifest["totals"]]:
        entry.pop("seconds", None)
    return found | {"manifest.json": manifest}


def until(happened: Callable[[], bool], command: Command) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert command.process.is_alive(), command.err
        assert time.monotonic() < deadline
        time.sleep(0.01)


# What a process does to itself: run by ``prepare``.


def before_naming(name: str, act: Prepare) -> None:
    """Do ``act`` when the next file is about to get ``name``."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "os.rename" and Path(arguments[1]).name == name:
            act()

    sys.addaudithook(hook)


def pause(signs: Path) -> None:
    """Say that the moment has come, and wait for leave to go on."""
    (signs / "paused").touch()
    while not (signs / "go").exists():
        time.sleep(0.01)


def paused(name: str, signs: Path, and_before: Prepare | None = None) -> Prepare:
    """A ``prepare``: wait in the moment before a file gets ``name``."""
    signs.mkdir()
    return partial(
        prepare_all,
        [*([and_before] if and_before else []), partial(before_naming, name, partial(pause, signs))],
    )


def prepare_all(steps: list[Prepare]) -> None:
    for step in steps:
        step()


# Killed.

CHANGES = ("os.rename", "os.mkdir", "os.remove", "os.rmdir")


def changes(out: str, act: Callable[[str], None], only_names: bool) -> None:
    """Call ``act`` with a name for each change below ``out`` that this process is about to make."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in CHANGES:
            path, flags = str(arguments[0]), 0
        elif event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR):
            path, flags = str(arguments[0]), arguments[2] & (os.O_WRONLY | os.O_RDWR)
        else:
            return
        if only_names and event != "os.rename":
            return
        # Relative ones: what shutil.rmtree removes in the folder that it has open.
        if path.startswith(out) or (event in ("os.remove", "os.rmdir") and "/" not in path):
            act(f"{event}:{flags} {re.sub('[.][0-9a-f]{8}[.]partial', '', path)}")

    sys.addaudithook(hook)


def noted(line: str, notes: Path) -> None:
    with notes.open("a") as file:
        file.write(line + "\n")


def killed_at(moment: str, line: str) -> None:
    if line == moment:
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("only_names", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_killed_at_every_change_in_turn_a_run_still_ends_with_the_same_bytes(
    spin, tmp_path, whole, only_names
):
    """One run notes its changes; then the same folder's run is killed before the first, the second, ..."""
    out, notes = tmp_path / "out", tmp_path / "notes"
    note = partial(noted, notes=notes)
    assert spin(out, prepare=partial(changes, str(out), note, only_names)).wait() == 0
    moments = list(dict.fromkeys(notes.read_text().splitlines()))
    named = {line.rpartition("/")[2].lstrip(".") for line in moments if line.startswith("os.rename")}
    assert named == {Path(name).name for name in whole} | {"run.json", "001.npz"}
    shutil.rmtree(out)
    for place, moment in enumerate(moments):
        command = spin(out, prepare=partial(changes, str(out), partial(killed_at, moment), only_names))
        assert command.wait() == -signal.SIGKILL, moment
        for file in tmp_path.rglob("*"):  # as after the clock was set: long ago, or in the future
            os.utime(file, (0, 0) if place % 2 else (2**32, 2**32))
    assert spin(out).wait() == 0
    assert files(out / "chair") == whole


def grainy(path: Path, radius: int) -> Path:
    """A photo of an orange disc on dark grain, which no simple rule cuts out."""
    rgb = np.clip(np.random.default_rng(0).normal(80, 8, (96, 128, 3)), 0, 255).astype(np.uint8)
    rgb[disc(radius)] = (230, 120, 30)
    Image.fromarray(rgb).save(path)
    return path


def disc(radius: int) -> np.ndarray:
    rows, columns = np.ogrid[:96, :128]
    return (rows - 48) ** 2 + (columns - 64) ** 2 < radius**2


def without_networks(home: Path) -> None:
    """As on a machine that no weights were fetched to."""
    os.environ.update(HOME=str(home), XDG_CACHE_HOME=str(home))
    os.environ.pop("U2NET_HOME", None)


def kill_itself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_killed_with_a_photo_that_auto_cut_out(start, tmp_path):
    """The next process cuts it out again, finds the same and goes on; another cut-out is refused by name."""
    photo, bare = grainy(tmp_path / "disc.png", 28), partial(without_networks, tmp_path)
    turn = ["generate-360", photo, *QUICK, "--out"]
    assert start(*turn, tmp_path / "whole", prepare=bare).wait() == 0
    whole = files(tmp_path / "whole/disc")
    killed = partial(prepare_all, [bare, partial(before_naming, "turntable.gif", kill_itself)])
    assert start(*turn, tmp_path / "out", prepare=killed).wait() == -signal.SIGKILL
    assert (tmp_path / "out/disc/.resume/001.npz").exists()
    Image.fromarray(disc(20)).save(tmp_path / "mask.png")
    start(*turn, tmp_path / "out", "--mask", tmp_path / "mask.png", prepare=bare).refused(
        tmp_path / "out/disc", "cutout=grabcut, now mask; input=", "--force"
    )
    again = start(*turn, tmp_path / "out", prepare=bare)
    assert again.wait() == 0
    assert files(tmp_path / "out/disc") == whole
    assert whole["manifest.json"]["input"]["method"] == "grabcut"


# Stopped.


def heed(number: int) -> None:
    """As a process in the foreground does, also where the tests themselves run in the background."""
    signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def assert_stopped(command: Command, code: int, folder: Path) -> None:
    """One line, what is finished is kept, and nothing of the stopped run stands in the next one's way."""
    assert command.wait() == code, command.err
    assert [line for line in command.err.splitlines() if "stopped" in line] == [
        "stopped; finished views are kept, the same command goes on from them"
    ]
    assert "Traceback" not in command.err
    assert sorted(path.name for path in (folder / ".resume").iterdir()) == ["001.npz", "run.json"]
    assert not [path for path in folder.rglob("*") if "partial" in path.name or path.name == ".lock"]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)]
)
def test_asked_to_stop(spin, tmp_path, whole, number, code):
    out, signs = tmp_path / "out", tmp_path / "signs"
    command = spin(out, prepare=paused("turntable.gif", signs, partial(heed, number)))
    until((signs / "paused").exists, command)
    os.kill(command.process.pid, number)
    assert_stopped(command, code, out / "chair")
    assert spin(out).wait() == 0
    assert files(out / "chair") == whole


def test_stopped_in_the_middle_of_a_view_while_another_run_is_turned_away(spin, tmp_path):
    """400 steps take the first process long enough."""
    long = ("--views", "3", "sampling.num_inference_steps=400")
    first = spin(tmp_path, *long, prepare=partial(heed, signal.SIGTERM))
    until((tmp_path / "chair/views/000.png").exists, first)
    spin(tmp_path, *long).refused("another run is writing to", tmp_path / "chair", "--out")
    os.kill(first.process.pid, signal.SIGTERM)
    assert first.wait() == 143
    assert first.err == "stopped; finished views are kept, the same command goes on from them\n"
    assert not (tmp_path / "chair/.lock").exists()
    assert (tmp_path / "chair/views/000.png").exists()


def in_terminal(name: str, hung_up: Any = signal.SIG_DFL) -> None:
    """Lead a session whose controlling terminal is ``name``."""
    signal.signal(signal.SIGHUP, hung_up)
    os.setsid()
    for number in range(3):
        redirect(number, name)


def test_the_terminal_is_closed(spin, tmp_path, whole):
    out, signs = tmp_path / "out", tmp_path / "signs"
    ours, theirs = os.openpty()
    command = spin(out, prepare=paused("turntable.gif", signs, partial(in_terminal, os.ttyname(theirs))))
    until((signs / "paused").exists, command)
    os.close(theirs)
    shown = os.read(ours, 2**16)
    assert b"view " in shown, "a progress bar was drawn"
    os.close(ours)
    assert command.wait() == 129
    assert (out / "chair/.resume/001.npz").exists()
    assert not (out / "chair/.lock").exists()
    assert spin(out).wait() == 0
    assert files(out / "chair") == whole


def test_the_terminal_is_closed_and_nohup_goes_on(spin, tmp_path, whole):
    out, signs = tmp_path / "out", tmp_path / "signs"
    ours, theirs = os.openpty()
    there = partial(in_terminal, os.ttyname(theirs), signal.SIG_IGN)
    command = spin(out, prepare=paused("001.npz", signs, there))
    until((signs / "paused").exists, command)
    os.close(theirs)
    os.close(ours)
    (signs / "go").touch()
    assert command.wait() == 0
    assert files(out / "chair") == whole


# Nobody listens.


def nobody_reads(number: int) -> None:
    """File ``number`` becomes a pipe whose other end is closed."""
    reads, writes = os.pipe()
    os.dup2(writes, number)
    os.close(writes)
    os.close(reads)


def test_a_broken_pipe_for_messages_does_not_cost_the_work(spin, tmp_path, whole):
    assert spin(tmp_path, prepare=partial(nobody_reads, 2)).wait() == 0
    assert files(tmp_path / "chair") == whole


def test_all_streams_closed(tmp_path, whole):
    """Python starts without them, so that files would get their numbers."""
    command = [sys.executable, "-m", "viewfusion", "generate-360", str(CHAIR), "--out", str(tmp_path), *QUICK]
    ended = subprocess.run(
        ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command], timeout=PATIENCE, check=False
    )
    assert ended.returncode == 0
    assert files(tmp_path / "chair") == whole


@pytest.mark.parametrize(
    "arguments", [("--help",), ("--version",), ("plan", "--views", "99"), ("plan", "--json")]
)
def test_a_broken_pipe_for_what_is_printed_ends_the_command(start, arguments):
    command = start(*arguments, prepare=partial(nobody_reads, 1))
    assert command.wait() == 128 + signal.SIGPIPE
    assert command.err == ""


def test_head_reads_one_line():
    line = f"{sys.executable} -m viewfusion plan --views 99 | head -1; echo ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert ended.stdout.splitlines()[0].startswith("order  view  azimuth")
    assert ended.stdout.splitlines()[1] in ("141", "0"), "0: all was written before head had gone"
    assert ended.stderr == ""


@pytest.mark.parametrize("arguments", [("--help",), ("plan",)])
def test_what_is_printed_has_no_room(start, arguments):
    command = start(*arguments, prepare=partial(redirect, 1, "/dev/full"))
    command.refused("standard output cannot be written: No space left on device")


def test_an_error_nobody_hears_keeps_its_exit_code(start):
    for prepare in (partial(nobody_reads, 2), partial(redirect, 2, "/dev/full"), partial(os.close, 2)):
        assert start("plan", "--preset", "none", prepare=prepare).wait() == 2
        assert start("nonsense", prepare=prepare).wait() == 2


# No room.


def on_a_small_disk(arguments: tuple[str, ...], disk: Path, notes: Path, cleared: tuple[str, ...]) -> None:
    """Mount a disk that only this process sees; run the command on it, give it more room, and so on.

    Files named in ``cleared`` are removed between two runs.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.unshare(0x00020000) == 0  # CLONE_NEWNS
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], check=True)
    for size in range(64, 2000, 8):
        subprocess.run(["mount", "-o", f"remount,size={size}k", disk], check=True)
        for name in cleared:
            (disk / "chair" / name).unlink(missing_ok=True)
        log = notes / f"{size:04d}"
        child = os.fork()
        if child == 0:
            become_and_leave(arguments, log)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        kept = sorted(path.name for path in disk.rglob("*.npz"))
        log.with_suffix(".json").write_text(json.dumps({"code": code, "err": log.read_text(), "kept": kept}))
        if code == 0:
            break
    shutil.copytree(disk / "chair", notes / "chair")


def become_and_leave(arguments: tuple[str, ...], log: Path) -> None:
    try:
        become(arguments, log, None)
    except SystemExit as end:
        os._exit(int(end.code or 0))
    finally:
        os._exit(99)


FILMS = ("turntable.gif", "turntable.mp4")


# A film is made beside its former self. Where there is room for the GIF twice there may be room for the
# rest, and the disk is never full at the contact sheet unless the films are made for the first time.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("cleared", "last"), [((), "turntable.mp4"), (FILMS, "contact_sheet.png")], ids=["again", "anew"]
)
def test_a_full_disk(tmp_path, whole, cleared, last):
    """Wherever the room ends: one line that names the file; with a little more of it the run goes on."""
    disk, notes = tmp_path / "disk", tmp_path / "notes"
    disk.mkdir()
    notes.mkdir()
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this account may not mount; test_a_limit_on_file_sizes is the same for everybody")
    arguments = ("generate-360", str(CHAIR), "--out", str(disk), *QUICK)
    process = FORKS.Process(target=on_a_small_disk, args=(arguments, disk, notes, cleared))
    process.start()
    process.join(PATIENCE)
    assert process.exitcode == 0
    runs = [json.loads(path.read_text()) for path in sorted(notes.glob("*.json"))]
    for run in runs[:-1]:
        assert run["code"] == 2, run
        assert_one_error(run["err"], "cannot be", "No space left on device", str(disk))
    assert runs[-1]["code"] == 0
    full = {re.split(" cannot be ", run["err"])[0].rpartition("/")[2] for run in runs[:-1]}
    assert {"001.npz", *FILMS, last} <= full
    kept = [run["kept"] for run in runs[:-1]]
    assert kept == sorted(kept), "a view that is finished stays"
    assert files(notes / "chair") == whole


def test_a_limit_on_file_sizes(spin, tmp_path, whole):
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (20_000, 20_000))
    spin(tmp_path, prepare=limit).refused(tmp_path / "chair/preview.png", "File too large", "limit")
    # One that is there, and right, is not written again.
    (tmp_path / "chair/preview.png").write_bytes(whole["preview.png"])
    spin(tmp_path, prepare=limit).refused(tmp_path / "chair/turntable.gif", "File too large", "limit")
    assert (tmp_path / "chair/.resume/001.npz").exists()
    assert spin(tmp_path).wait() == 0
    assert files(tmp_path / "chair") == whole


# No permission.

MAY_WRITE_ANYWHERE = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


def without_privilege() -> None:
    """Let file permissions bind this process, also if it is root's."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; twice
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.capget(header, sets) == 0
    for place in range(3):
        sets[place] &= ~MAY_WRITE_ANYWHERE
    assert libc.capset(header, sets) == 0


def test_a_folder_that_may_not_be_written_to(spin, tmp_path, whole):
    out = tmp_path / "out"
    out.mkdir(mode=0o555)
    spin(out, prepare=without_privilege).refused(out / "chair", "Permission denied", "choose another --out")
    assert list(out.iterdir()) == []
    out.chmod(0o755)
    # In the middle of a run: the pictures of an unfinished one.
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (20_000, 20_000))
    assert spin(out, prepare=limit).wait() == 2
    (out / "chair/views").chmod(0o555)
    spin(out, prepare=without_privilege).refused(out / "chair/views", "Permission denied")
    (out / "chair/views").chmod(0o755)
    assert spin(out, prepare=without_privilege).wait() == 0
    assert files(out / "chair") == whole
    (out / "chair").chmod(0o555)
    spin(out, "--force", "--seed", "1", prepare=without_privilege).refused(out / "chair", "Permission denied")
    (out / "chair").chmod(0o755)
    assert files(out / "chair") == whole


def at_home_in(folder: Path) -> None:
    without_privilege()
    os.environ.pop("XDG_CACHE_HOME", None)
    os.environ["HOME"] = str(folder)


def remove_from_inside(folder: Path) -> None:
    os.chdir(folder)
    folder.rmdir()


def test_a_home_that_may_not_be_entered(start, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o000)

    command = start("--version", prepare=partial(at_home_in, tmp_path / "locked/home"))
    assert (command.wait(), command.err) == (0, "")


def test_a_folder_that_may_not_be_entered_is_one_line(start, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o000)
    for arguments in (
        ("dataset", "check", str(tmp_path / "locked/data")),
        ("generate-360", str(tmp_path / "locked/chair.png"), "--out", str(tmp_path / "out")),
    ):
        start(*arguments, prepare=without_privilege).refused(tmp_path / "locked", "Permission denied")


def test_a_current_folder_that_is_gone(start, tmp_path):
    (tmp_path / "gone").mkdir()
    command = start("plan", prepare=partial(remove_from_inside, tmp_path / "gone"))
    command.refused("the current folder no longer exists; change into another one")


# The folder itself.


def test_the_folder_is_deleted_meanwhile(spin, tmp_path, whole):
    out, signs = tmp_path / "out", tmp_path / "signs"
    command = spin(out, prepare=paused("001.npz", signs))
    until((signs / "paused").exists, command)
    shutil.rmtree(out)
    (signs / "go").touch()
    command.refused(out / "chair/.resume/001.npz", "No such file or directory")
    assert not out.exists()
    assert spin(out).wait() == 0
    assert files(out / "chair") == whole


def test_a_folder_inside_a_file(spin, tmp_path):
    (tmp_path / "file").write_text("mine")
    spin(tmp_path / "file/deep/er").refused(tmp_path / "file/deep/er/chair", "Not a directory", "--out")
    assert (tmp_path / "file").read_text() == "mine"


def poor_locale() -> None:
    """What a program sees under ``LC_ALL=C`` without Python's UTF-8 mode."""
    sys.stderr.reconfigure(encoding="ascii", errors="backslashreplace")


def test_names_of_every_kind(start, tmp_path, whole):
    names = [
        b"a space; 'quote' \"double\" $HOME [bold]",
        "Stühle, 椅子".encode(),
        b"line\nbreak",
        b"not utf-8 \xff",
    ]
    names += [b"x" * 251]
    photos = [tmp_path / os.fsdecode(name + b".png") for name in names]
    for photo in photos:
        shutil.copy(CHAIR, photo)
    assert len(os.fsencode(photos[-1].name)) == 255
    arguments = ["generate-360", *photos, "--out", tmp_path / "out", *QUICK]
    command = start(*arguments, prepare=poor_locale)
    assert command.wait() == 0, command.err
    for name in names:
        found = files(tmp_path / "out" / os.fsdecode(name))
        assert {n: c for n, c in found.items() if n.startswith("views")} == {
            n: c for n, c in whole.items() if n.startswith("views")
        }
        assert found["manifest.json"]["input"]["file"] == os.fsdecode(name + b".png")


# Another run's folder.


def test_other_options_are_refused_unless_forced(spin, tmp_path, whole):
    out = tmp_path / "out"
    assert spin(out, "--seed", "1").wait() == 0
    (out / "chair/notes.txt").write_text("mine")
    (out / "chair/views/mine.png").write_text("mine")
    before = files(out / "chair")
    spin(out).refused(out / "chair", "seed=1, now 0", "--force")
    assert files(out / "chair") == before
    assert spin(out, "--force", prepare=partial(before_naming, "input.png", partial(os._exit, 7))).wait() == 7
    assert spin(out).wait() == 0, "once it is this run's, no force is needed"
    mine = {"notes.txt": b"mine", "views/mine.png": b"mine"}
    assert files(out / "chair") == whole | mine
    again = spin(out, "--force")
    assert again.wait() == 0
    assert "complete already" in again.err
    assert files(out / "chair") == whole | mine
