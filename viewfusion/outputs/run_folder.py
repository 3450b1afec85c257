"""One object's folder: views go in as they are made, a folder that is finished or resumable comes out.

    views/000.png ...   the views           turntable.gif, .mp4   the turn
    input.png           the framed photo    contact_sheet.png     all views with labels
    cameras.json        poses, matrices     manifest.json         how it was made; written last

While unfinished, ``.resume/`` holds what the next run continues from. Every file is written whole or not at
all; killed anywhere and run again, a folder ends with the same bytes but for the seconds in its manifest.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from viewfusion.errors import ViewFusionError

from .cameras import cameras_json, view_file
from .contact_sheet import contact_sheet
from .files import explained, remove_partial, write_json, write_png
from .locking import FolderLock
from .manifest import SCHEMA, manifest
from .ownership import EXTRAS, differences, is_whole, made_files, read_json
from .resume import Entry, read_entry, write_entry
from .roles import turntable_frames
from .video import write_gif, write_mp4

if TYPE_CHECKING:
    import torch

    from viewfusion.views import View, ViewRecord, ViewSet

TURN_SECONDS = 2.5
"""How long a turntable takes, within 5 to 30 frames a second."""


class RunFolder:
    """The folder of one run, held exclusively; use :meth:`open`, as a context manager.

    with RunFolder.open("out/chair", fingerprint) as folder:
        if not folder.complete:
            folder.write_input(rgba)
            for view in pipeline.iter_views(..., finished=folder.finished_latents()):
                folder.add(view)
            folder.finish(views, config=..., checkpoint=..., source=..., title="chair")
    """

    def __init__(
        self,
        path: Path,
        fingerprint: dict[str, Any],
        lock: FolderLock,
        latent_shape: tuple[int, ...] | None = None,
        force: bool = False,
    ) -> None:
        self.path = path
        self._fingerprint, self._lock = json.loads(json.dumps(fingerprint)), lock
        self._resume, self._manifest = path / ".resume", path / "manifest.json"
        self._entries: dict[int, Entry] = {}
        with explained(path, "cannot be used"):
            self.complete = self._check(force)
            for folder in (path, path / "views", self._resume):
                remove_partial(folder)
            if self.complete:
                shutil.rmtree(self._resume, ignore_errors=True)
            else:
                self._start(latent_shape)

    @classmethod
    def open(
        cls,
        path: str | Path,
        fingerprint: dict[str, Any],
        latent_shape: tuple[int, ...] | None = None,
        force: bool = False,
    ) -> RunFolder:
        """Make or continue the folder at ``path``.

        Args:
            path: made where it is missing, parents too.
            fingerprint: everything that decides the pictures (configuration, hashes of checkpoint and input),
                as JSON has it: a folder made with another one is refused.
            latent_shape: (4, h, w) that latents of an earlier run must have to be used.
            force: remove the files of a run with another fingerprint instead of refusing, and start anew.
                Files that no run of ours has made are refused all the same, or stay where they are.

        Raises:
            ViewFusionError: another run writes to it, it holds another run's or other people's files, or
                it is no folder that can be written to.
        """
        path = Path(path)
        with explained(path, "cannot be made"):
            try:
                path.mkdir(parents=True, exist_ok=True)
            except FileExistsError:
                raise ViewFusionError(f"{path} is a file, not a folder; choose another --out") from None
        lock = FolderLock(path)
        try:
            return cls(path, fingerprint, lock, latent_shape, force)
        except BaseException:
            lock.release()
            raise

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let another run have the folder."""
        self._lock.release()

    def finished_latents(self) -> dict[int, torch.Tensor]:
        """Scaled latents (4, h, w), float32 on the CPU, by view index: of this run and earlier ones."""
        import torch

        return {index: torch.from_numpy(latents.copy()) for index, (latents, _) in self._entries.items()}

    def finished_records(self) -> dict[int, ViewRecord]:
        """How those views were made, also by earlier runs."""
        return {index: record for index, (_, record) in self._entries.items() if record is not None}

    def write_input(self, rgba: np.ndarray) -> None:
        """``input.png``: the framed photo, (H, W, 4) uint8."""
        write_png(self.path / "input.png", rgba)

    def add(self, view: View) -> None:
        """Keep a view: what the next run needs first, its picture second.

        A view decoded from an earlier run's latents (no record) keeps that run's record.
        """
        if view.latents is not None and (view.record is not None or view.index not in self._entries):
            latents = view.latents.detach().float().cpu().numpy().copy()
            write_entry(self._resume / f"{view.index:03d}.npz", latents, view.record)
            self._entries[view.index] = (latents, view.record)
        write_png(self.path / view_file(view.index), view.rgb)

    def finish(
        self,
        views: ViewSet,
        *,
        config: dict[str, Any],
        checkpoint: dict[str, Any],
        source: dict[str, Any],
        title: str = "",
    ) -> None:
        """Write everything else; the manifest, last, makes the folder complete.

        Args:
            views: all of them, in output order.
            config: the whole configuration, for the manifest.
            checkpoint: {name, sha256}, for the manifest.
            source: {file, sha256, method, warnings} of the photo, for the manifest.
            title: of the contact sheet.

        Raises:
            ViewFusionError: a file cannot be written; what is there stays, and a next run continues.
        """
        self._write_pictures(views, title)
        write_json(self.path / "cameras.json", cameras_json(views))
        files = [name for name in EXTRAS if (self.path / name).is_file()]
        records = self.finished_records() | {view.index: view.record for view in views if view.record}
        content = manifest(
            views,
            records,
            fingerprint=self._fingerprint,
            config=config,
            checkpoint=checkpoint,
            source=source,
            files=[*files, *(view_file(view.index) for view in views)],
        )
        write_json(self._manifest, content)
        # Should this fail, the next run removes it.
        shutil.rmtree(self._resume, ignore_errors=True)
        self.complete = True

    def _write_pictures(self, views: ViewSet, title: str) -> None:
        """What is made of all views together, and any view that :meth:`add` was not given."""
        for view in views:
            if not (self.path / view_file(view.index)).is_file():
                write_png(self.path / view_file(view.index), view.rgb)
        frames = turntable_frames(views)
        fps = min(30.0, max(5.0, round(len(frames) / TURN_SECONDS)))
        write_gif(self.path / "turntable.gif", frames, fps)
        write_mp4(self.path / "turntable.mp4", frames, fps)
        write_png(self.path / "contact_sheet.png", contact_sheet(views, title))

    def _check(self, force: bool) -> bool:
        """Whether the folder is this run's and finished; raises where it is anybody else's."""
        if self._manifest.exists():
            content = read_json(self._manifest)
            if not isinstance(content.get("fingerprint"), dict):
                raise ViewFusionError(
                    f"{self._manifest} is damaged or not viewfusion's; choose another --out or remove it"
                )
            known = {"schema": content.get("schema"), **content["fingerprint"]}
            return self._is_this_runs(known, content, force) and is_whole(self.path, content)
        if not self._resume.exists():
            self._refuse_strangers()
        started = read_json(self._resume / "run.json")
        if started:
            self._is_this_runs({"schema": SCHEMA, **started}, {}, force)
        return False

    def _is_this_runs(self, known: dict[str, Any], content: dict[str, Any], force: bool) -> bool:
        """Whether ``known`` is what this run goes by; if not, the folder is emptied or refused."""
        different = differences(known, {"schema": SCHEMA, **self._fingerprint})
        if different and not force:
            more = f" and {len(different) - 3} more" if len(different) > 3 else ""
            raise ViewFusionError(
                f"{self.path} was made with {'; '.join(different[:3])}{more}; "
                "choose another --out, or --force to start anew there"
            )
        if different:
            self._discard(content)
        return not different

    def _discard(self, content: dict[str, Any]) -> None:
        """Remove another run's files; ``content`` is its manifest, {} if it was not finished.

        What says whose they are goes last: killed on the way, the folder is still that run's.
        """
        self._resume.mkdir(exist_ok=True)
        for file in (*made_files(self.path, content), *self._resume.glob("*.npz")):
            file.unlink(missing_ok=True)
        (self._resume / "run.json").unlink(missing_ok=True)
        self._manifest.unlink(missing_ok=True)

    def _refuse_strangers(self) -> None:
        """Files of our names that no run of ours has made are somebody's: perhaps the photo itself."""
        views = self.path / "views"
        mine = [name for name in EXTRAS if (self.path / name).exists()]
        if views.exists() and (not views.is_dir() or any(views.iterdir())):
            mine.append("views")
        if mine:
            raise ViewFusionError(
                f"{self.path / mine[0]} is there already and no run's that can be continued; "
                "choose another --out or remove it"
            )

    def _start(self, latent_shape: tuple[int, ...] | None) -> None:
        """Mark the folder as this run's, and read what an earlier one left."""
        self._resume.mkdir(exist_ok=True)
        entries = sorted(self._resume.glob("*.npz"))
        if read_json(self._resume / "run.json") != self._fingerprint:
            # Of unknown origin. The mark comes after they are gone.
            for entry in entries:
                entry.unlink()
            entries = []
            write_json(self._resume / "run.json", self._fingerprint)
        # A manifest whose files are not all there must not vouch for those made now.
        self._manifest.unlink(missing_ok=True)
        (self.path / "views").mkdir(exist_ok=True)
        for path in entries:
            stored = read_entry(path, latent_shape) if path.stem.isdecimal() else None
            if stored is not None:
                self._entries[int(path.stem)] = stored
