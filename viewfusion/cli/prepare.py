"""``dataset prepare``: objects as they are published to the folders of a benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rich.console import Console

from viewfusion.errors import ViewFusionError

from .batch import Failures
from .progress import BytesBar, say
from .render_object import Options, Source, check_options, identity, read_light, render_all

GSO_LAYOUTS = ("viewfusion", "syncdreamer")


def prepare_gso(
    source: Path,
    out: Path,
    layout: str,
    size: int | None,
    seed: int,
    names: Sequence[str],
    address: str | None,
) -> None:
    """Render every scanned object in ``source`` into its folder below ``out``.

    Args:
        names: of objects whose archives are fetched into ``source`` first, unless they are there.
        address: of the folder they are fetched from; None for where they are published.

    Raises:
        ViewFusionError: bad options (nothing was started), or at the end some object failed.
    """
    from viewfusion.datasets.gso import UP, find_objects, read_object, told_by, write_inputs

    if layout not in GSO_LAYOUTS:
        raise ViewFusionError(f"--layout must be one of {', '.join(GSO_LAYOUTS)}, got {layout!r}")
    options = Options(layout, None, None, None, None, size, seed, UP, True, "fit", None, None, "file")
    check_options(options)
    fetched = _fetch(names, source, address)
    found = find_objects(source)
    if found.others:
        say(Console(stderr=True, highlight=False), f"warning: {source}: {_passed_over(found.others)}")
    sources = {
        out / name: Source(
            str(path), partial(identity, told_by(path)), partial(read_object, path, out / name)
        )
        for name, path in found.objects.items()
    }
    rendered = render_all(sources, out, options, read_light(None, None), "objects")
    if layout == "viewfusion":
        write_inputs(out)
    rendered.tell(out)
    fetched.tell(source)


def _passed_over(folders: Sequence[str]) -> str:
    shown = ", ".join(folders[:3]) + (", ..." if len(folders) > 3 else "")
    return f"{len(folders)} folders without meshes/model.obj are passed over: {shown}"


def _fetch(names: Sequence[str], folder: Path, address: str | None) -> Failures:
    """Fetch archives that are not in ``folder``, which is made; what failed."""
    from viewfusion.datasets.gso import ADDRESS, archive_address, checked_name
    from viewfusion.outputs.files import explained

    address = ADDRESS if address is None else address
    if not address.startswith(("https://", "http://")):
        raise ViewFusionError(f"--address must begin with https:// or http://, got {address[:80]!r}")
    console = Console(stderr=True, highlight=False)
    wanted = [checked_name(name) for name in dict.fromkeys(names)]
    failures = Failures("archives", len(wanted), partial(say, console))
    if wanted:
        with explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
    for name in wanted:
        with failures.counted():
            if not (folder / f"{name}.zip").is_file():
                _fetch_one(folder / f"{name}.zip", archive_address(name, address))
                say(console, f"{folder / name}.zip: fetched")
    return failures


def _fetch_one(place: Path, address: str) -> None:
    """The archive at an address, whole and an object's, or nothing.

    Raises:
        ViewFusionError: it does not come, or is something else.
    """
    from viewfusion.datasets.gso import check_archive
    from viewfusion.downloads import address_chunks
    from viewfusion.outputs.files import atomic_path

    with BytesBar(place.name) as bar, atomic_path(place) as temporary:
        with temporary.open("wb") as file:
            for chunk in address_chunks(address, bar.on_bytes):
                file.write(chunk)
        try:
            check_archive(temporary)
        except ViewFusionError as error:
            raise ViewFusionError(str(error).replace(str(temporary), address)) from None
