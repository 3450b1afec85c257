"""The training loop that the stages share: a budget of time, an average of the weights, safe stops."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from omegaconf import DictConfig
from pytorch_lightning.callbacks import EMAWeightAveraging, ModelCheckpoint

REPORT_STEPS = 50


class Endless(torch.utils.data.IterableDataset):
    """One 0 after another: the training modules draw their own batches."""

    def __iter__(self) -> Iterator[int]:
        while True:
            yield 0


class TimedModule(pl.LightningModule):
    """AdamW with a learning rate that falls to zero as the time budget runs out.

    Args:
        settings: ``lr``, ``weight_decay``, ``warmup_steps``.
        minutes: of training in all, runs before this one included.
        slice_minutes: of this run; it then saves and stops, and the next one goes on.
        seed: of what is drawn; every process and every run draws something else.
    """

    def __init__(
        self, settings: DictConfig, minutes: float, slice_minutes: float | None = None, seed: int = 0
    ) -> None:
        super().__init__()
        self.settings, self.budget, self.seed = settings, 60 * minutes, seed
        self.slice = 60 * slice_minutes if slice_minutes else float("inf")
        self.register_buffer("trained_seconds", torch.zeros((), dtype=torch.float64))
        self._told_to_stop = False
        self._clock: float | None = None
        self._began = time.monotonic()
        self.losses: list[float] = []

    def on_train_start(self) -> None:
        # Seeded alike, a resumed run would draw its first run's batches again, and every device the same.
        mixed = np.random.SeedSequence([self.seed, self.global_rank, self.global_step])
        torch.manual_seed(int(mixed.generate_state(1)[0]))
        self.lay_out_moments()
        # After Lightning has set its own, which would end the run without saving.
        signals = (signal.SIGINT, signal.SIGTERM)
        self._handlers = {number: signal.signal(number, self.stop) for number in signals}

    @torch.no_grad()
    def lay_out_moments(self) -> None:
        """Have the optimizer's moments in memory as their weights are.

        A run goes on with moments as they were saved. Where it lays out weights otherwise, as compiled ones
        are, the update in one pass would pair numbers of different places.
        """
        for weight, moments in self.optimizers().optimizer.state.items():
            for name, value in moments.items():
                if value.shape == weight.shape:
                    moments[name] = torch.empty_like(weight).copy_(value)

    def on_train_end(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def stop(self, *_: object) -> None:
        """End after the step under way."""
        self._told_to_stop = True

    @property
    def left(self) -> float:
        """What part of the time is left."""
        return 1 - float(self.trained_seconds) / self.budget

    def tick(self) -> None:
        """Add the time since the last step (a pause between two runs does not count); set the rates."""
        now = time.monotonic()
        self.trained_seconds += min(now - self._clock, 60) if self._clock else 0
        self._clock = now
        warm = min(1.0, (self.global_step + 1) / self.settings.warmup_steps)
        for group in self.optimizers().param_groups:
            group["lr"] = group["rate"] * self.settings.lr * warm * max(0.0, min(1.0, 1.6 * self.left))
        stop = self._told_to_stop or self.left <= 0 or now - self._began > self.slice
        # All or none: a process that went on alone would wait for the others for ever.
        self.trainer.should_stop = self.trainer.strategy.reduce_boolean_decision(stop, all=False)

    def rates(self) -> list[tuple[float, list[torch.nn.Parameter]]]:
        """Parameters, and what part of the learning rate is theirs."""
        return [(1.0, [p for p in self.parameters() if p.requires_grad])]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        groups = [{"params": parameters, "rate": rate} for rate, parameters in self.rates()]
        settings = self.settings
        return torch.optim.AdamW(
            groups, lr=settings.lr, weight_decay=settings.weight_decay, betas=(0.9, 0.98), fused=True
        )

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        # Not by the trainer, which refuses to clip where an update in one pass meets mixed precision; without
        # float16 (see fit) no gradients are scaled, so it can be done here.
        torch.nn.utils.clip_grad_norm_(self.parameters(), 1.0)

    def training_step(self, batch: int, batch_index: int) -> torch.Tensor:
        self.tick()
        loss = self.loss()
        self.losses.append(float(loss.detach()))
        if self.global_step % REPORT_STEPS == REPORT_STEPS - 1:
            mean, minutes = np.mean(self.losses), float(self.trained_seconds) / 60
            self.print(f"step {self.global_step + 1} {minutes:.1f} min loss {mean:.4f}", flush=True)
            self.losses.clear()
        return loss

    def loss(self) -> torch.Tensor:
        raise NotImplementedError


def fit(
    module: TimedModule,
    state: Path,
    name: str,
    config: DictConfig,
    ema: float | None = None,
    watch_steps: int | None = None,
) -> pl.Trainer:
    """Train until the time is spent, from ``state/name/last.ckpt`` where there is one, and save it there.

    Ctrl-C and SIGTERM end the step under way and save; a killed run loses four minutes at most, files
    being put in place by renames.

    Raises:
        SystemExit: a precision of float16, whose scaled gradients would be clipped to next to nothing.
    """
    if str(config.precision).startswith("16"):
        raise SystemExit(f"precision must be bf16-mixed or 32-true, got {config.precision}")
    folder = state / name
    keep = ModelCheckpoint(
        folder,
        filename="last",
        save_last=False,
        train_time_interval=timedelta(minutes=4),
        enable_version_counter=False,
    )
    # Buffers are no weights: averaged, the clock would run late.
    callbacks = [keep] + ([EMAWeightAveraging(use_buffers=False, decay=ema)] if ema else [])
    trainer = pl.Trainer(
        accelerator="auto",
        devices=config.devices,
        precision=config.precision,
        max_epochs=-1,
        callbacks=callbacks,
        val_check_interval=watch_steps,
        limit_val_batches=1 if watch_steps else 0,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=str(state),
    )
    loader = torch.utils.data.DataLoader(Endless(), batch_size=None)
    last = folder / "last.ckpt"
    watched = loader if watch_steps else None
    trainer.fit(module, loader, watched, ckpt_path=str(last) if last.exists() else None, weights_only=False)
    trainer.save_checkpoint(last)
    return trainer
