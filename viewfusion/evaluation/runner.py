"""The runner: things to do for many objects go in, a folder for each comes out, whoever does it.

Lightning's ``Trainer.predict`` spreads the objects over processes, devices and machines (:mod:`.workers`);
each object is written once, by a rename. What is there already is not done again, what fails is recorded and
the rest goes on. Objects know nothing of each other, so results do not depend on who did which.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from viewfusion.errors import ViewFusionError
from viewfusion.machine import usable_cores, usable_memory
from viewfusion.outputs.files import remove_partial

from .items import FAILED, OBJECTS, Item, Work


@dataclass(frozen=True)
class Spread:
    """Over what the objects are spread, in Lightning's words.

    Args:
        device: "auto", or one of torch's: "cpu", "cuda", "cuda:1", "mps".
        devices: how many on each machine, or "auto".
        num_nodes: machines.
        strategy: "auto", "ddp" and others of Lightning's.
    """

    device: str = "auto"
    devices: str = "auto"
    num_nodes: int = 1
    strategy: str = "auto"

    def settled(self, items: int, memory: int) -> tuple[str, int | list[int]]:
        """Lightning's accelerator and devices, for so many items that take ``memory`` bytes a process.

        Raises:
            ViewFusionError: no such device here, or an impossible number.
        """
        if self.num_nodes < 1:
            raise ViewFusionError(f"--num-nodes must be 1 or more, got {self.num_nodes}")
        name, _, number = self.device.partition(":")
        if name == "auto":
            name = "cuda" if torch.cuda.is_available() else "mps" if _has_mps() else "cpu"
        if name not in ("cpu", "cuda", "mps") or (number and not number.isdecimal()):
            raise ViewFusionError(
                f"--device must be auto, cpu, cuda, cuda:N or mps, got {self.device[:60]!r}"
            )
        if (name == "cuda" and not torch.cuda.is_available()) or (name == "mps" and not _has_mps()):
            raise ViewFusionError(f"--device {self.device}: there is none here; try --device cpu")
        from .workers import started_by_others

        started = started_by_others()
        if number and started not in (None, 1):
            raise ViewFusionError(
                f"--device {self.device} is one for {started} processes; give --device {name}"
            )
        if number:
            return name, [int(number)]
        if started is not None:  # told of fewer, Lightning would have each of them do everything
            return name, started
        count = _wanted_count(self.devices) or _most(name, memory)
        return name, max(1, min(count, -(-items // self.num_nodes)))


def check_spread(spread: Spread, items: int, memory: int) -> None:
    """Refuse what :func:`run_items` would refuse, before anything is written.

    Raises:
        ViewFusionError: Lightning is missing, or refuses a strategy, or there is no such device.
    """
    from .workers import check

    check((*spread.settled(items, memory), spread.num_nodes, spread.strategy))


def run_items(
    items: Sequence[Item],
    start: Callable[[torch.device], Work],
    spread: Spread,
    *,
    memory: int = 2**30,
    on_progress: Callable[[int, int], None] | None = None,
) -> bool:
    """Do what is not done of ``items``; whether this process is the first, which goes on with the results.

    On a CPU every process works on one thread: so the same numbers come out of any number of processes, and
    two do twice as much as one.

    Args:
        items: the same, in the same order, in every process.
        start: called once with its device, in each process that has something to do; loads what that needs.
        memory: bytes a process takes, so that not more of them are started than fit.
        on_progress: told how many items are done, of how many; in the first process only.

    Raises:
        ViewFusionError: Lightning is missing, or there is no such device.
    """
    from .workers import first_process, predict, started_by_others

    todo = [item for item in items if not item.done]
    if first_process():
        for folder in {item.folder for item in items}:
            for part in (OBJECTS, FAILED):
                (folder / part).mkdir(parents=True, exist_ok=True)
                remove_partial(folder / part)
        for item in todo:
            item.failure.unlink(missing_ok=True)  # tried again
    # Who is one of several may not stay away because it finds all done a moment later than the others.
    alone = first_process() and started_by_others() is None and spread.num_nodes == 1
    if todo or not alone:
        accelerator, devices = spread.settled(len(items), memory)

        def told() -> None:
            if on_progress:
                on_progress(sum(item.done or item.failure.is_file() for item in items), len(items))

        predict(items, start, told, (accelerator, devices, spread.num_nodes, spread.strategy))
    return first_process()


def _wanted_count(devices: str) -> int | None:
    if devices == "auto":
        return None
    if not devices.isdecimal() or not 1 <= int(devices) <= 1024:
        raise ViewFusionError(f"--devices must be auto or 1 to 1024, got {devices[:60]!r}")
    return int(devices)


def _most(accelerator: str, memory: int) -> int:
    """As many as make sense."""
    if accelerator == "cuda":
        return torch.cuda.device_count()
    if accelerator == "mps":
        return 1
    fitting = (usable_memory() or memory) // max(1, memory)
    return max(1, min(usable_cores(), fitting))


def _has_mps() -> bool:
    return torch.backends.mps.is_available()
