"""A loaded model at work: photos and what is wanted of them go in, finished run folders come out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from rich.console import Console
from rich.markup import escape

import viewfusion
from viewfusion.errors import ViewFusionError, printable
from viewfusion.preprocessing import Preparation, PreparedImage, prepare_steps
from viewfusion.running import Running

from . import elevations
from .batch import Failures
from .orders import Order, whole_rounds
from .photos import output_folders
from .preparing import draw_preview, preparation_json, result_json
from .preprocess import preprocess
from .progress import SpinProgress, say, spin_bar
from .wanted import Wanted

if TYPE_CHECKING:
    from PIL import Image
    from rich.progress import Progress

    from viewfusion.conditioning import ReferenceMemory
    from viewfusion.config import Config
    from viewfusion.fusion import Target
    from viewfusion.geometry import Family
    from viewfusion.outputs import RunFolder
    from viewfusion.preprocessing.elevation import ElevationEstimate
    from viewfusion.views import View

MOST_AT_ONCE = 64


@dataclass(frozen=True)
class Options:
    """What every command that runs the model is told.

    Args:
        checkpoint: a name or a path.
        model_config: the YAML of an original checkpoint.
        family: of the checkpoint, where nothing else tells.
        device: "auto", or one of torch's.
        out: where the folder of each photo is made.
        how: what is done to a photo before the model sees it.
        force: start anew where a folder is another run's.
        dry_run: prepare the photos only, as ``preprocess`` does.
        parallel_views: how many targets of a run are made at once, where they do not need each other; None:
            as many as its schedule foresees.
        parallel_objects: how many runs are made at once.
        running: how the network is run.

    Raises:
        ViewFusionError: impossible numbers.
    """

    checkpoint: str
    model_config: Path | None
    family: str | None
    device: str
    out: Path
    how: Preparation
    force: bool = False
    dry_run: bool = False
    parallel_views: int | None = None
    parallel_objects: int = 1
    running: Running = field(default_factory=Running)

    def __post_init__(self) -> None:
        for name in ("parallel_views", "parallel_objects"):
            number = getattr(self, name)
            if number is not None and not 1 <= number <= MOST_AT_ONCE:
                option = "--" + name.replace("_", "-")
                raise ViewFusionError(f"{option} must be 1 to {MOST_AT_ONCE}, got {number}")


@dataclass(frozen=True)
class Photo:
    """A photo as the model sees it, and what was worked out about it so far.

    Args:
        name: of its file.
        preview: for people, see :func:`viewfusion.outputs.preview`.
        options: how it was prepared, for the manifest.
        estimates: of its elevation, see :func:`.elevations.settled`.
    """

    name: str
    prepared: PreparedImage
    preview: Image.Image
    options: dict[str, Any]
    memory: ReferenceMemory
    estimates: dict[str, ElevationEstimate] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return Path(self.name).stem

    def source(self) -> dict[str, Any]:
        """For the manifest."""
        return {
            "file": self.name,
            "sha256": hashlib.sha256(self.prepared.rgba.tobytes()).hexdigest(),
            **result_json(self.prepared),
            "options": self.options,
        }


@dataclass
class _Run:
    """A run under way.

    Args:
        order: its configuration settled.
        rounds: its targets, those made at once together.
        views: there so far, by index.
        error: why there are no more.
    """

    order: Order
    folder: RunFolder
    rounds: list[tuple[Target, ...]]
    views: dict[int, View] = field(default_factory=dict)
    error: ViewFusionError | None = None

    @property
    def name(self) -> str:
        return self.order.name or self.order.photo.name

    @property
    def targets(self) -> list[Target]:
        """In the order of generation."""
        return [target for group in self.rounds for target in group]


class Session:
    """One model for any number of photos and runs.

    Raises:
        ViewFusionError: no such checkpoint or device, or a checkpoint that cannot be used.
    """

    def __init__(self, options: Options, console: Console) -> None:
        self.console, self.force, self._how = console, options.force, options.how
        self._at_once = options.parallel_views, options.parallel_objects
        self._how_json = preparation_json(options.how)
        with console.status("loading the model"):
            from viewfusion.pipeline import ViewFusionPipeline
            from viewfusion.zero123 import checkpoint_hash, find_checkpoint

            path = find_checkpoint(options.checkpoint)
            self.checkpoint = {"name": path.name, "sha256": checkpoint_hash(path)}
            # By the name: the catalogue knows more of it than of a path.
            self.pipeline = ViewFusionPipeline.from_checkpoint(
                options.checkpoint,
                options.model_config,
                options.device,
                cast("Family | None", options.family),
                **asdict(options.running),
            )
        self.pipeline.network.tell = self.say

    def read(self, path: Path) -> Photo:
        """Cut out and frame a photo; says what a person should know about it."""
        from viewfusion.conditioning import ReferenceMemory

        with self.console.status(f"cutting out {escape(printable(path.name))}"):
            steps = prepare_steps(path, self.pipeline.model.image_size, self._how)
            preview = draw_preview(path.name, steps)
        for warning in steps.prepared.warnings:
            self.say(f"warning: {path}: {warning}")
        memory = ReferenceMemory(self.pipeline.model)
        return Photo(path.name, steps.prepared, preview, self._how_json, memory)

    def settled(self, photo: Photo, wanted: Wanted, folder: Path) -> Wanted:
        """``wanted`` at the photo's elevation: that is estimated first, where it was left open."""
        of = {"photo": photo.source()["sha256"], **self._network()}
        return elevations.settled(
            wanted, of, folder, photo.estimates, lambda: self._estimated(photo, wanted.config)
        )

    def _estimated(self, photo: Photo, config: Config) -> ElevationEstimate:
        with self.console.status(f"estimating the elevation of {escape(printable(photo.name))}"):
            estimate = self.pipeline.estimate_elevation(photo.prepared, config, memory=photo.memory)
        if estimate.confident:
            self.say(f"{photo.name}: elevation {estimate.elevation_deg:g} degrees")
        else:
            self.say(f"warning: {photo.name}: {estimate.warning}")
        return estimate

    def make(
        self, orders: Sequence[Order], counted: Callable[[object], AbstractContextManager[None]]
    ) -> None:
        """Make or continue the run folders of ``orders``, all at once.

        Args:
            counted: around what is done for one, given its photo's name; see :meth:`.batch.Failures.counted`.
        """
        with ExitStack() as held:
            runs: list[_Run] = []
            for order in orders:
                with counted(order.photo.name):
                    runs += self._begun(order, held)
            self._add_views(runs)
            for run in runs:
                with counted(run.order.photo.name):
                    self._finish(run)

    def _begun(self, order: Order, held: ExitStack) -> list[_Run]:
        """The run of ``order``, whose folder is ``held``; none if there is nothing to do."""
        from viewfusion.fusion import groups, schedule
        from viewfusion.outputs import RunFolder

        order = replace(
            order, wanted=replace(order.wanted, config=self.pipeline.settled(order.wanted.config))
        )
        shape = self.pipeline.model.latent_shape
        folder = held.enter_context(
            RunFolder.open(order.folder, self._fingerprint(order), shape, order.products, self.force)
        )
        if folder.complete:
            self.say(f"{order.folder} is complete already; nothing to do")
            return []
        folder.write_input(order.photo.prepared.rgba, order.photo.preview)
        if estimate := elevations.report(order.wanted):
            folder.write_elevation(*estimate)
        config = order.wanted.config
        targets = schedule(order.wanted.trajectory, config.rules())
        return [_Run(order, folder, groups(targets, self._at_once[0] or config.parallel_views))]

    def _add_views(self, runs: Sequence[_Run]) -> None:
        """All of each run's: finished ones and the others, made now, each of which it keeps at once.

        A run whose folder takes no more ends there, and the others go on.
        """
        several = len(runs) > 1
        kept = whole_rounds([run.rounds for run in runs], [run.folder.finished_latents() for run in runs])
        with spin_bar(self.console) as bar:
            shown = [
                self._shown(run, finished, bar, several) for run, finished in zip(runs, kept, strict=True)
            ]
            making = [
                self.pipeline.making(
                    run.order.photo.prepared,
                    run.order.wanted.trajectory,
                    run.order.wanted.config,
                    finished=finished,
                    # A memory is of one run at a time.
                    memory=run.order.photo.memory.copy() if several else run.order.photo.memory,
                    on_step=spin.on_step,
                    parallel_views=self._at_once[0],
                )
                for run, finished, spin in zip(runs, kept, shown, strict=True)
            ]
            for place, view in self.pipeline.iter_together(making):
                try:
                    runs[place].folder.add(view)
                except ViewFusionError as error:
                    runs[place].error = error
                    making[place].close()
                runs[place].views[view.index] = view
                shown[place].on_view(view)

    def _shown(self, run: _Run, finished: Collection[int], bar: Progress, named: bool) -> SpinProgress:
        from viewfusion.costs import costs

        config, trained = run.order.wanted.config, self.pipeline.model.scheduler_config
        return SpinProgress(self.console, run.name, costs(config, run.targets, trained, finished), bar, named)

    def _finish(self, run: _Run) -> None:
        from viewfusion.views import ViewSet

        if run.error:
            raise run.error
        photo, wanted = run.order.photo, run.order.wanted
        with self.console.status("writing the other files"):
            run.folder.finish(
                ViewSet(tuple(run.views[index] for index in sorted(run.views))),
                config=wanted.config.to_dict(),
                checkpoint=self.checkpoint,
                source={**photo.source(), **wanted.estimate_json()},
                trajectory=wanted.trajectory_json(),
                title=photo.title,
            )
        self.say(run.order.told)

    def say(self, text: str) -> None:
        say(self.console, text)

    def _fingerprint(self, order: Order) -> dict[str, Any]:
        """All that decides a run's files: a folder made with another one is refused, the difference named."""
        config, photo = order.wanted.config, order.photo
        views, objects = self._at_once
        # In batches of another make the last bits differ, as between devices; one run stays with one.
        at_once = (
            {"parallel_views": views} if (views or config.parallel_views) != config.parallel_views else {}
        )
        at_once |= {"parallel_objects": objects} if objects > 1 else {}
        return {
            "makes": order.products.kind,
            **config.to_dict(),
            "trajectory": order.wanted.trajectory_hash(),
            **self._network(),
            **at_once,
            # The pixels tell everything, and nothing to people: another segmenter may be why they differ.
            "cutout": photo.prepared.method,
            "input": photo.source()["sha256"],
        }

    def _network(self) -> dict[str, Any]:
        """All of the machinery that decides a picture."""
        model = self.pipeline.model
        return {
            "checkpoint": self.checkpoint["sha256"],
            # An original checkpoint's shapes, family and schedule are a YAML file's, not its own.
            "model": hashlib.sha256(json.dumps(model.config, sort_keys=True).encode()).hexdigest(),
            "device": model.device.type,  # devices round differently; one run stays on one
            "dtype": str(model.dtype)[6:],
            "viewfusion": viewfusion.__version__,
        }


def each_photo(
    photos: list[Path],
    options: Options,
    orders: Callable[[Session, Photo, Path], list[Order]],
    after: Callable[[Session, Photo, Path], None] | None = None,
) -> None:
    """Load the model and make what ``orders(session, photo, its folder)`` says of each photo.

    A photo that fails is named, and the rest still made. On a dry run the photos are prepared and shown only.

    Args:
        after: called the same way once all orders of a photo are made.

    Raises:
        ViewFusionError: nothing could be started, or at the end some photo failed.
    """
    if options.dry_run:
        preprocess(photos, options.out, options.how, _image_size(options), options.force)
        return
    folders = output_folders(photos, options.out)
    session = Session(options, Console(stderr=True, highlight=False))
    failures = Failures("photos", len(folders), session.say)
    # By their places, whichever are done already: who is made with whom stays the same when this goes on.
    for some in _parts(list(folders.items()), options.parallel_objects):
        read: dict[Path, Photo] = {}
        wanted: list[Order] = []
        for path, folder in some:
            with failures.counted(path.name):
                photo = session.read(path)
                wanted += orders(session, photo, folder)
                read[folder] = photo
        for part in _parts(wanted, options.parallel_objects):
            session.make(part, failures.counted)
        for folder, photo in read.items():
            if after and photo.name not in failures.failed:
                with failures.counted(photo.name):
                    after(session, photo, folder)
    failures.tell(options.out)


def _parts(things: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [things[start : start + size] for start in range(0, len(things), size)]


def _image_size(options: Options) -> int:
    """Of what the checkpoint sees; its weights are not read."""
    from viewfusion.zero123 import open_checkpoint

    family = cast("Family | None", options.family)
    size: int = open_checkpoint(options.checkpoint, options.model_config, family=family).config["image_size"]
    return size
