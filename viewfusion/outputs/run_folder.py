"""One object's folder: views go in as they are made, a folder that is finished or resumable comes out.

Which files it ends with is up to its :class:`~viewfusion.outputs.products.Products`; besides them there is
``manifest.json``, how it was made, written last. While unfinished, ``.resume/`` holds what the next run
continues from. Every file is written whole or not at all; killed anywhere and run again, a folder ends with
the same bytes but for the seconds in its manifest.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from viewfusion.errors import ViewFusionError

from .files import explained, remove_partial, write_json, write_json_once, write_png, write_png_once
from .locking import FolderLock
from .manifest import SCHEMA, manifest
from .ownership import differences, is_whole, made_files, read_json
from .preprocessed import is_made_by_preprocessing
from .products import Products, Turn
from .resume import Entry, read_entry, write_entry

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from viewfusion.views import View, ViewRecord, ViewSet


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
        products: Products | None = None,
        force: bool = False,
    ) -> None:
        self.path, self._products = path, products or Turn()
        self._fingerprint, self._lock = json.loads(json.dumps(fingerprint)), lock
        self._resume, self._manifest = path / ".resume", path / "manifest.json"
        self._entries: dict[int, Entry] = {}
        with explained(path, "cannot be used"):
            self.complete = self._check(force)
            for folder in (path, path / (self._products.folder or ""), self._resume):
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
        products: Products | None = None,
        force: bool = False,
    ) -> RunFolder:
        """Make or continue the folder at ``path``.

        Args:
            path: made where it is missing, parents too.
            fingerprint: everything that decides the pictures (configuration, hashes of checkpoint and input),
                as JSON has it: a folder made with another one is refused.
            latent_shape: (4, h, w) that latents of an earlier run must have to be used.
            products: what the run finishes with; default: those of a turn.
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
            return cls(path, fingerprint, lock, latent_shape, products, force)
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

    def write_input(self, rgba: np.ndarray, preview: Image.Image | None = None) -> None:
        """``input.png`` and ``preview.png``, as far as they are among the products.

        Args:
            rgba: the framed photo, (H, W, 4) uint8.
            preview: see :func:`viewfusion.outputs.preview`; none is written without.
        """
        for name, picture in (("input.png", rgba), ("preview.png", preview)):
            if picture is not None and name in self._products.names:
                write_png_once(self.path / name, picture)

    def write_elevation(self, report: dict[str, Any], curve: Image.Image) -> None:
        """``elevation.json`` and ``elevation.png``: how the photo's elevation was estimated, where it was."""
        write_json_once(self.path / "elevation.json", report)
        write_png_once(self.path / "elevation.png", curve)

    def add(self, view: View) -> None:
        """Keep a view: what the next run needs first, its picture second.

        A view decoded from an earlier run's latents (no record) keeps that run's record.
        """
        if view.latents is not None and (view.record is not None or view.index not in self._entries):
            latents = view.latents.detach().float().cpu().numpy().copy()
            write_entry(self._resume / f"{view.index:03d}.npz", latents, view.record)
            self._entries[view.index] = (latents, view.record)
        self._write_picture(view)

    def finish(
        self,
        views: ViewSet,
        *,
        config: dict[str, Any],
        checkpoint: dict[str, Any],
        source: dict[str, Any],
        trajectory: dict[str, Any] | None = None,
        title: str = "",
    ) -> None:
        """Write everything else; the manifest, last, makes the folder complete.

        Args:
            views: all of them, in output order.
            config: the whole configuration, for the manifest.
            checkpoint: {name, sha256}, for the manifest.
            source: {file, sha256, method, confidence, warnings, ...} of the photo, for the manifest.
            trajectory: where the poses come from and in which order they were made, for the manifest.
            title: of the contact sheet.

        Raises:
            ViewFusionError: a file cannot be written; what is there stays, and a next run continues.
        """
        for view in views:  # any that :meth:`add` was not given
            self._write_picture(view, again=False)
        self._products.write(self.path, views, title)
        files = {name for name in self._products.names if (self.path / name).is_file()}
        files |= {name for view in views if (name := self._products.view_file(view.index))}
        records = self.finished_records() | {view.index: view.record for view in views if view.record}
        content = manifest(
            views,
            records,
            fingerprint=self._fingerprint,
            config=config,
            checkpoint=checkpoint,
            source=source,
            trajectory=trajectory,
            files=files,
            picture_of=self._products.view_file,
        )
        write_json(self._manifest, content)
        # Should this fail, the next run removes it.
        shutil.rmtree(self._resume, ignore_errors=True)
        self.complete = True

    def _write_picture(self, view: View, again: bool = True) -> None:
        """The picture of a view, where it is kept; ``again``: also if it is there already."""
        name = self._products.view_file(view.index)
        if name and (again or not (self.path / name).is_file()):
            write_png(self.path / name, view.rgb)

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
        # A link that leads nowhere is somebody's too, of a disk that is not there now perhaps.
        there = [path for name in self._products.names if os.path.lexists(path := self.path / name)]
        mine = [file.name for file in there if not is_made_by_preprocessing(file)]
        if name := self._products.folder:
            folder = self.path / name
            if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                mine.append(name)
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
        if self._products.folder:
            (self.path / self._products.folder).mkdir(exist_ok=True)
        for path in entries:
            stored = read_entry(path, latent_shape) if path.stem.isdecimal() else None
            if stored is not None:
                self._entries[int(path.stem)] = stored
