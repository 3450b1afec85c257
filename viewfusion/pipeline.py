"""Wires the stages: a photo in, views out, one at a time.

image -> preprocessing -> conditioning; trajectory -> schedule -> weights; both -> fused denoiser ->
sampling -> View. A finished view conditions later ones: the only loop.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from viewfusion.conditioning import ReferenceMemory
from viewfusion.config import Config, changed, load_config
from viewfusion.costs import guided_interval
from viewfusion.errors import ViewFusionError
from viewfusion.fusion import (
    Asking,
    Conditions,
    NoiseSource,
    Question,
    Target,
    ViewNoise,
    evaluations_a_step,
    fuse,
    groups,
    latent_rows,
    make_denoiser,
    predictions_a_step,
    sampling,
    schedule,
    together,
    view_generator,
)
from viewfusion.geometry import Family, Pose, Trajectory, around
from viewfusion.preprocessing import PreparedImage, over_white, prepare_image
from viewfusion.preprocessing.elevation import ElevationEstimate, estimate_elevation
from viewfusion.running import Running
from viewfusion.solvers import can_leap, scheduler_of
from viewfusion.views import OUTPUT_TYPES, View, ViewRecord, ViewSet
from viewfusion.zero123 import (
    BatchedPredictor,
    Zero123,
    check_loading,
    check_working,
    load_zero123,
    out_of_memory_told,
    save_diffusers,
    usable_device,
    usable_dtype,
)

if TYPE_CHECKING:
    import numpy as np

OnStep = Callable[[int, int, int, int], None]
"""Called after each step of each target with (its place in the order, from 0; targets in all; steps done;
steps in all). Made one after another, its place is how many targets are done."""

OnStepEnd = Callable[[Any, int, torch.Tensor, dict[str, Any]], "dict[str, Any] | None"]
"""As in diffusers: ``(pipeline, step of the view from 0, timestep, {"latents", "view"})``; the returned
dictionary's "latents", if any, are gone on with. They are (1, 4, h, w); with the variant "averaged-outputs"
there is a row for each reference."""


class ViewFusionPipeline:
    """One photo in, consistent views out.

        pipeline = ViewFusionPipeline.from_checkpoint("zero123-nano")
        views = pipeline("chair.png", views=16)

    Args:
        model: the frozen network; see :func:`viewfusion.load_zero123`.
        max_batch: references through the network at once, at most; None: as many as there is memory for.
        compile: have torch compile the network at its first use.

    Attributes:
        network: through which all its noise predictions are made.
    """

    def __init__(self, model: Zero123, max_batch: int | None = None, compile: bool = False) -> None:
        self.model = model
        self.network = BatchedPredictor(model, max_batch, compile)
        self._rows = 0  # that the network was asked for so far

    @classmethod
    def from_checkpoint(
        cls,
        checkpoint: str | Path = "zero123-nano",
        config: str | Path | None = None,
        device: str = "auto",
        family: Family | None = None,
        dtype: str | torch.dtype = "auto",
        max_batch: int | None = None,
        compile: bool = False,
        offload: bool = False,
    ) -> ViewFusionPipeline:
        """Load ``checkpoint``, a name or a path; see :func:`viewfusion.zero123.open_checkpoint`.

        Args:
            config: an original file's YAML.
            family: "zero123" or "stable-zero123", for a file that nothing else tells apart.
            dtype: one of :data:`viewfusion.running.DTYPES`, or torch's; "auto" is float16 on CUDA.
            max_batch, compile: as of the class.
            offload: as by :meth:`enable_model_cpu_offload`.

        Raises:
            ViewFusionError: no such checkpoint, a damaged or foreign one, a device that is absent, too small
                or cannot compute in ``dtype``.
        """
        running = Running(max_batch, str(dtype).removeprefix("torch."), compile, offload)
        where = best_device() if device == "auto" else device
        numbers = usable_dtype(running.dtype, where)
        first = "cpu" if offload else where
        pipeline = cls(load_zero123(checkpoint, config, first, numbers, family=family), max_batch, compile)
        if offload:
            pipeline.enable_model_cpu_offload(where)
        return pipeline

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, torch_dtype: torch.dtype = torch.float32, **options: Any
    ) -> ViewFusionPipeline:
        """:meth:`from_checkpoint` by the name and with the habits of diffusers: on the CPU until :meth:`to`.

        Args:
            folder: what :meth:`save_pretrained` wrote, or anything else :func:`load_zero123` takes.
            options: ``family``, ``config`` and ``use_ema`` of :func:`load_zero123`.
        """
        return cls(load_zero123(folder, dtype=torch_dtype, **options))

    def save_pretrained(self, folder: str | Path, dtype: torch.dtype | None = None) -> Path:
        """Write the model as a folder of diffusers; see :func:`viewfusion.zero123.save_diffusers`."""
        return save_diffusers(self.model, folder, dtype or self.model.dtype)

    def to(self, *args: Any, **kwargs: Any) -> ViewFusionPipeline:
        """Move the model: ``.to("cuda")``, ``.to(torch.float16)``, ``.to("cuda", torch.float16)``.

        Raises:
            ViewFusionError: a device that is absent or too small.
        """
        given = [*args, *kwargs.values()]
        dtype = next((each for each in given if isinstance(each, torch.dtype)), self.dtype)
        for device in (usable_device(each) for each in given if isinstance(each, (str, torch.device))):
            if device != self.device:
                check_loading(self.model, device, dtype)
        self.model.to(*args, **kwargs)
        return self

    def enable_model_cpu_offload(self, device: str | torch.device = "auto") -> None:
        """Keep on ``device`` only the network in use. Less memory there, some seconds more a view.

        Raises:
            ViewFusionError: a device that is absent, or too small even so.
        """
        where = usable_device(best_device() if device == "auto" else device)
        if where != self.device:  # else it fits there already, and takes less from now on
            check_loading(self.model, where, self.dtype, offload=True)
        self.model.offload(where)

    @property
    def max_batch(self) -> int | None:
        """References that go through the network at once at most; None: as many as there is memory for."""
        return self.network.max_batch

    @max_batch.setter
    def max_batch(self, rows: int | None) -> None:
        self.network.max_batch = Running(rows).max_batch

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def dtype(self) -> torch.dtype:
        return self.model.dtype

    def __call__(
        self,
        image: Any,
        trajectory: Trajectory | None = None,
        config: Config | None = None,
        *,
        generator: torch.Generator | None = None,
        output_type: str = "views",
        on_step: OnStep | None = None,
        callback_on_step_end: OnStepEnd | None = None,
        parallel_views: int | None = None,
        **changes: Any,
    ) -> Any:
        """All views of ``trajectory`` (default: a ring of ``config.views``), in output order.

        Args:
            image: a path, PIL image or (H, W, 4) uint8 array; or a :class:`PreparedImage`.
            trajectory: from :mod:`viewfusion.geometry`; one input view.
            config: from :func:`viewfusion.load_config`; default: what suits the checkpoint.
            generator: draws the seed, in place of ``config.seed``.
            output_type: one of :data:`viewfusion.views.OUTPUT_TYPES`; "views" is a :class:`ViewSet`.
            on_step: see :data:`OnStep`.
            callback_on_step_end: see :data:`OnStepEnd`.
            parallel_views: see :meth:`iter_views`.
            changes: fields of ``config`` to set otherwise, e.g. ``views=36, num_inference_steps=20``.
        """
        if output_type not in OUTPUT_TYPES:
            raise ValueError(f"output_type must be one of {', '.join(OUTPUT_TYPES)}, got {output_type!r}")
        if generator is not None:
            changes["seed"] = drawn_seed(generator)
        config = changed(config or load_config(), **changes)
        trajectory = trajectory or config.trajectory()
        made = self.iter_views(
            image,
            trajectory,
            config,
            on_step=on_step,
            callback_on_step_end=callback_on_step_end,
            parallel_views=parallel_views,
        )
        views = {view.index: view for view in made}
        return ViewSet(tuple(views[index] for index in sorted(views))).as_type(output_type)

    def settled(self, config: Config) -> Config:
        """``config`` with what it leaves open filled in by what suits the checkpoint.

        A checkpoint's leap holds where a solver can have one, from two steps on. ``config.sampling``'s
        ``leap_steps`` or ``plain_steps`` go before the checkpoint's steps.

        Raises:
            ViewFusionError: what the checkpoint states does not go with what ``config`` says.
        """
        given = {key: value for key, value in asdict(config.sampling).items() if value is not None}
        suits = self.model.sampling(config.sampling.solver)
        whole = {**suits, **given}
        if not can_leap(whole["solver"], whole["spacing"]) or whole["num_inference_steps"] < 2:
            suits["leap_sigma"] = 0.0
        few = given.get("leap_steps" if {**suits, **given}["leap_sigma"] else "plain_steps")
        if few is not None:
            suits["num_inference_steps"] = few
        chosen = {key: value for key, value in suits.items() if key not in given}
        try:
            return changed(config, **chosen) if chosen else config
        except ViewFusionError as error:
            stated = ", ".join(f"{key} {value}" for key, value in chosen.items())
            raise ViewFusionError(f"{error} (of the checkpoint: {stated})") from None

    def prepare(self, image: Any) -> PreparedImage:
        """The photo as the network will see it; see :func:`viewfusion.preprocessing.prepare_image`."""
        if isinstance(image, PreparedImage):
            return image
        return prepare_image(image, self.model.image_size)

    def estimate_elevation(
        self, image: Any, config: Config | None = None, *, memory: ReferenceMemory | None = None
    ) -> ElevationEstimate:
        """How high the camera of a photo stood; see :mod:`viewfusion.preprocessing.elevation`.

        Four views are made in 15 steps of DPM-Solver++ with seed 0, each from the photo alone.

        Args:
            image: as in :meth:`__call__`.
            config: its elevation is what is taken without confidence, its radius the photo's.
            memory: of a run with the same photo, which is then encoded once for both.
        """
        config = config or load_config()
        # Whatever suits the checkpoint: where it states nothing that would be 50 steps a view.
        solver = {"solver": "dpm++", "num_inference_steps": 15, "spacing": "karras"}
        quick, prepared = changed(Config(), variant="zero123", **solver), self.prepare(image)
        rows = 0

        def make_views(source: Pose, targets: Sequence[Pose]) -> list[np.ndarray]:
            nonlocal rows
            made = list(self.iter_views(prepared, around(source, targets), quick, memory=memory))
            rows = sum(view.record.network_evaluations for view in made if view.record)
            return [view.rgb for view in sorted(made, key=lambda view: view.index)][1:]

        photo = over_white(prepared.rgba)
        estimate = estimate_elevation(photo, make_views, config.elevation_deg, config.radius)
        return replace(estimate, network_evaluations=rows)

    def iter_views(
        self, image: Any, trajectory: Trajectory, config: Config, **options: Any
    ) -> Iterator[View]:
        """Views one at a time, in the order they are made; the input first.

        Args:
            image, trajectory, config, options: as of :meth:`making`.
        """
        for _, view in self.iter_together([self.making(image, trajectory, config, **options)]):
            yield view

    @torch.inference_mode()
    def iter_together(self, several: Sequence[Asking[None]]) -> Iterator[tuple[int, View]]:
        """(place in ``several``, view) of many things that are made at once, in lock-step.

        What they ask the network at one time is one call to it, so that many rows share what a call costs.
        One that is closed (its ``close()``) is made no further, and the others go on.

        Args:
            several: from :meth:`making`; no two with one memory.
        """
        asking = together(several)
        predicted: Any = None
        while True:
            try:
                said = asking.send(predicted)
            except StopIteration:
                return
            if isinstance(said, Question):
                self._rows += len(said.rows)
                predicted = self.network(*said)
            else:
                predicted = None
                yield said

    def making(
        self,
        image: Any,
        trajectory: Trajectory,
        config: Config,
        *,
        finished: Mapping[int, torch.Tensor] | None = None,
        noise: Callable[[Target], NoiseSource] | None = None,
        memory: ReferenceMemory | None = None,
        on_step: OnStep | None = None,
        callback_on_step_end: OnStepEnd | None = None,
        parallel_views: int | None = None,
    ) -> Asking[None]:
        """The views of one thing on their way, for :meth:`iter_together`: yields each as it is finished, and
        before that what it asks the network.

        Args:
            image: as in :meth:`__call__`; for several posed inputs a list, in the trajectory's order.
            finished: latents (4, h, w) of views made by an earlier run; they are decoded, not made again, but
                for those made together with one that is not finished.
            noise: a source of noise per target, of :func:`latent_rows` rows; default: :class:`ViewNoise` of
                (``config.seed``, view).
            memory: of an earlier call with the same inputs, whose encodings are then not made again.
            on_step: see :data:`OnStep`.
            callback_on_step_end: see :data:`OnStepEnd`.
            parallel_views: make so many targets at once where none refers to another; default:
                :attr:`Config.parallel_views`. It changes the last bits of a view at most.

        Raises:
            ViewFusionError: settings that the checkpoint cannot have, or a view that came out as no numbers.
        """
        config = self.settled(config)
        if config.sampling.reuse_steps > 1 and not self.model.split_unet.reuses:
            raise ViewFusionError("sampling.reuse_steps must be 1: this network has no deep levels to reuse")
        images = image if isinstance(image, list) else [image]
        inputs = [self.prepare(each).image for each in images]
        if len(inputs) != trajectory.num_inputs:
            raise ValueError(f"the trajectory has {trajectory.num_inputs} inputs, got {len(inputs)} images")
        finished = finished or {}
        memory = ReferenceMemory(self.model) if memory is None else memory
        targets = schedule(trajectory, config.rules())
        at_once = groups(targets, parallel_views or config.parallel_views)
        check_working(self.model, _kept_rows(at_once, config))
        for index, pixels in enumerate(inputs):
            memory.add(index, trajectory.views[index], pixels)
            yield View(index, trajectory.views[index], _ordinary(pixels[0]))

        def denoising(target: Target) -> Asking[tuple[torch.Tensor, ViewRecord]]:
            with out_of_memory_told(self.model):
                told = memory.conditions(target, trajectory.views[target.view])
            source = noise(target) if noise else self._noise(target, config)
            place = on_step, callback_on_step_end, target.view, targets.index(target), len(targets)
            return self._denoising(told, target, source, config, _Listeners(self, *place))

        for group in at_once:
            if all(target.view in finished for target in group):
                made: Any = [(finished[target.view][None], None) for target in group]
            else:
                made = yield from together([denoising(target) for target in group])
            for target, (latents, record) in zip(group, made, strict=True):
                pixels, pose = self._decoded(latents, target.view, config), trajectory.views[target.view]
                memory.add(target.view, pose, pixels)
                yield View(target.view, pose, _ordinary(pixels[0]), _ordinary(latents[0].cpu()), record)

    def _decoded(self, latents: torch.Tensor, view: int, config: Config) -> torch.Tensor:
        """(1, 3, H, W) pixels in [-1, 1] of latents (1, 4, h, w).

        Raises:
            ViewFusionError: they are no numbers, and the view would be black and a reference of others.
        """
        with out_of_memory_told(self.model):
            decoded = self.model.decode_latents(latents.to(self.model.device)).float().cpu()
        if not decoded.isfinite().all():
            raise ViewFusionError(
                f"view {view} came out as no numbers; lower sampling.guidance_scale "
                f"({config.sampling.guidance_scale:g}), compute in float32 (now "
                f"{str(self.model.dtype).removeprefix('torch.')}), or fetch the checkpoint again"
            )
        return decoded.clamp(-1, 1)

    def _denoising(
        self,
        conditions: Conditions,
        target: Target,
        noise: NoiseSource,
        config: Config,
        listeners: _Listeners,
    ) -> Asking[tuple[torch.Tensor, ViewRecord]]:
        """Asks what it needs to know, and ends with one target's latents (1, 4, h, w) and their record."""
        started, rows = time.perf_counter(), self._rows
        settings: Any = config.sampling  # settled: no choice in it is open
        scheduler = scheduler_of(settings, self.model.scheduler_config)
        # What a variant draws is drawn apart from the noise, which is the same in all of them.
        generator = view_generator(config.seed, target.view, 1)
        denoiser = make_denoiser(
            config.fusion.variant,
            self.network,
            conditions,
            settings.guidance_scale,
            generator,
            guided_interval(settings, self.model.scheduler_config),
            settings.reuse_steps,
        )
        steps = len(scheduler.timesteps)
        latents = yield from sampling(
            denoiser.asking, scheduler, noise, settings.eta, partial(listeners, steps)
        )
        if len(latents) > 1:
            latents = fuse(latents, torch.tensor(target.weights))
        # Of the time that others were under way too, its share by rows.
        share = denoiser.evaluations / max(1, self._rows - rows)
        seconds = (time.perf_counter() - started) * share
        evaluations = denoiser.evaluations, seconds, denoiser.light_evaluations
        return latents, ViewRecord(target.references, target.weights, steps, *evaluations)

    def _noise(self, target: Target, config: Config) -> ViewNoise:
        variant, references = config.fusion.variant, len(target.references)
        return ViewNoise(
            view_generator(config.seed, target.view),
            self.model.latent_shape,
            # Of one prediction there is one noise, however many references it has.
            target.weights if predictions_a_step(variant, references) > 1 else (1.0,),
            config.sampling.noise,
            self.model.device,
            rows=latent_rows(variant, references),
        )


@dataclass(frozen=True)
class _Listeners:
    """Who is told of the steps of one target."""

    pipeline: ViewFusionPipeline
    on_step: OnStep | None
    callback: OnStepEnd | None
    view: int
    place: int
    targets: int

    def __call__(
        self, steps: int, step: int, timestep: torch.Tensor, latents: torch.Tensor
    ) -> torch.Tensor | None:
        """Tell of step ``step`` of ``steps``; other latents to go on with, or None."""
        if self.on_step:
            self.on_step(self.place, self.targets, step, steps)
        if self.callback is None:
            return None
        told = {"latents": latents, "view": self.view}
        answer = self.callback(self.pipeline, step - 1, timestep, told)
        return answer.get("latents") if answer else None


def _ordinary(tensor: torch.Tensor) -> torch.Tensor:
    """A copy that may be changed and learned through, unlike what is made in inference mode."""
    with torch.inference_mode(False):
        return tensor.clone()


def _kept_rows(at_once: Sequence[Sequence[Target]], config: Config) -> int:
    """Of how many rows deep features are kept at one time, at most."""
    if config.sampling.reuse_steps == 1:
        return 0
    variant = config.fusion.variant
    return max(
        sum(evaluations_a_step(variant, len(target.references)) for target in group) for group in at_once
    )


def drawn_seed(generator: torch.Generator) -> int:
    """A seed for :class:`Config` out of ``generator``, which moves on by one draw."""
    return int(torch.randint(2**62, (), generator=generator, device=generator.device))


def best_device() -> str:
    """The fastest device of this machine that torch can use."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
