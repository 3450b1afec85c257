"""Lightning's side of the runner: items and what is done for each go in, a folder for each comes out.

Each process takes every n-th item, whether it is done or not: so all agree, although they look at the disk at
different times. Nothing is sent between them: what is done is seen on disk.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import torch

from viewfusion.errors import ViewFusionError

from .items import Item, Outcome, Work, attempted, write_outcome

try:
    import pytorch_lightning as pl
    from pytorch_lightning.callbacks import BasePredictionWriter
    from pytorch_lightning.plugins.environments import SLURMEnvironment, TorchElasticEnvironment
    from pytorch_lightning.strategies import DDPStrategy
    from pytorch_lightning.utilities import rank_zero_only
    from pytorch_lightning.utilities.exceptions import MisconfigurationException
except ImportError as missing:
    raise ViewFusionError("this needs Lightning; run `pip install 'viewfusion[evaluation]'`") from missing

if TYPE_CHECKING:
    from torch.utils.data import DataLoader

_IDLE = -1
_PATIENCE = timedelta(days=30)
"""Who is done waits so long for the others. torch would end them all after 10 or 30 minutes, and an object of
a large network can take hours."""


def first_process() -> bool:
    """Whether nobody else says what is done: false in the processes that Lightning, torchrun or SLURM add."""
    return not getattr(rank_zero_only, "rank", 0)


def started_by_others() -> int | None:
    """How many processes torchrun or SLURM has started on this machine; None: Lightning will."""
    if TorchElasticEnvironment.detect():
        return int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    if SLURMEnvironment.detect():
        nodes = int(os.environ.get("SLURM_NNODES", 1))
        return int(os.environ.get("SLURM_NTASKS_PER_NODE") or -(-int(os.environ["SLURM_NTASKS"]) // nodes))
    return None


def check(over: tuple[str, int | list[int], int, str]) -> None:
    """Raise ViewFusionError if Lightning refuses ``over``; see :func:`predict`."""
    with _quiet():
        _trainer(over, _Writer(lambda: None))


def predict(
    items: Sequence[Item],
    start: Callable[[torch.device], Work],
    told: Callable[[], None],
    over: tuple[str, int | list[int], int, str],
) -> None:
    """Do all ``items`` that are not done, and come back when all processes have done theirs.

    Args:
        items: the same in every process.
        told: called in the first process when something may have been done, by whomever.
        over: accelerator, devices, machines and strategy.
    """
    with _quiet(), _restored_signals():
        trainer = _trainer(over, _Writer(told))
        worker = _Worker(items, start, {number: signal.getsignal(number) for number in _STOPS})
        try:
            trainer.predict(worker, return_predictions=False)
            trainer.strategy.barrier()
            if trainer.is_global_zero:
                told()
        except BaseException as error:
            _end_children(trainer)
            if not first_process():
                raise SystemExit(1) from None  # the first one tells people
            if isinstance(error, _Interrupted):
                raise KeyboardInterrupt from None
            raise


def _trainer(over: tuple[str, int | list[int], int, str], writer: _Writer) -> pl.Trainer:
    accelerator, devices, num_nodes, strategy = over
    many = num_nodes > 1 or (isinstance(devices, int) and devices > 1)
    try:
        return pl.Trainer(
            accelerator="gpu" if accelerator == "cuda" else accelerator,
            devices=devices,
            num_nodes=num_nodes,
            strategy=DDPStrategy(timeout=_PATIENCE) if many and strategy in ("auto", "ddp") else strategy,
            callbacks=[writer],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
    except (ValueError, MisconfigurationException) as error:
        reason = str(error).partition(". ")[0][:200]
        raise ViewFusionError(f"--strategy {strategy[:60]}: Lightning refuses it ({reason})") from None


class _Interrupted(BaseException):
    """Ctrl-C, by a name that Lightning does not know: it would end the process with lines of its own."""


_STOPS = (signal.SIGTERM, signal.SIGINT)


class _Worker(pl.LightningModule):
    """Does this process's share of the items: what is not done of every n-th."""

    def __init__(
        self, items: Sequence[Item], start: Callable[[torch.device], Work], stops: dict[signal.Signals, Any]
    ) -> None:
        super().__init__()
        self._items, self._start, self._stops = items, start, stops
        self._threads, self._parent = torch.get_num_threads(), os.getppid()
        self._work: Work | None = None

    def setup(self, stage: str) -> None:
        if self.device.type == "cpu":
            torch.set_num_threads(1)  # other numbers of threads round sums otherwise

    def on_predict_start(self) -> None:
        # Lightning's own handlers talk to the other processes, who may not be listening.
        if threading.current_thread() is threading.main_thread():
            for number, handler in self._stops.items():
                signal.signal(number, _interrupt if handler is signal.default_int_handler else handler)

    def predict_dataloader(self) -> DataLoader[int]:
        places = range(self.trainer.global_rank, len(self._items), self.trainer.world_size)
        # Who has nothing to do says so: Lightning would leave the loop, and the others wait for nobody.
        return torch.utils.data.DataLoader(list(places) or [_IDLE], collate_fn=_only)  # type: ignore[arg-type]

    def predict_step(self, batch: int, batch_idx: int) -> tuple[Item, Outcome] | None:
        if batch == _IDLE:
            return None
        if self.trainer.global_rank and os.getppid() != self._parent:
            raise SystemExit(1)  # the first process is gone, and a new run may be at work already
        item = self._items[batch]
        if item.done:
            return None
        if self._work is None:  # loaded here, as who has nothing left to do needs nothing
            with torch.inference_mode(False):  # networks may outlive this run
                self._work = self._start(self.device)
        return item, attempted(self._work, item)

    def teardown(self, stage: str) -> None:
        torch.set_num_threads(self._threads)
        self._work = None


class _Writer(BasePredictionWriter):
    """Writes each outcome as soon as it is there."""

    def __init__(self, told: Callable[[], None]) -> None:
        super().__init__("batch")
        self._told = told

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero:
            self._told()

    def write_on_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        prediction: tuple[Item, Outcome] | None,
        *_: Any,
    ) -> None:
        if prediction is not None:
            write_outcome(*prediction)
        if trainer.is_global_zero:
            self._told()


def _only(batch: list[int]) -> int:
    return batch[0]


def _interrupt(number: int, frame: object) -> None:
    raise _Interrupted


def _end_children(trainer: pl.Trainer) -> None:
    """Of the processes that Lightning started."""
    for child in getattr(trainer.strategy.launcher, "procs", ()):
        with suppress(OSError):
            child.terminate()


@contextmanager
def _restored_signals() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in _STOPS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Lightning's hints, which are for people who train."""
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning_fabric", "lightning")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning|lightning_fabric")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
