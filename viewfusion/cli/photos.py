"""Photos by name: files, folders and patterns as typed go in, each photo and its output folder come out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from viewfusion.errors import ViewFusionError

from .inputs import named_files

_GIVE = "give one with PNG, JPEG or WebP files"
SUFFIXES = frozenset(
    f".{kind}"
    for kind in (
        *("avif", "bmp", "gif", "heic", "heif", "jfif", "jp2", "jpeg"),
        *("jpg", "pgm", "png", "ppm", "tga", "tif", "tiff", "webp"),
    )
)
"""What counts as a photo in a folder or a pattern. Some need a Pillow that knows them: then they are named as
unreadable, and not passed over in silence."""


def split_settings(inputs: Iterable[str]) -> tuple[list[Path], list[str]]:
    """Photos, each once and in order, and key=value settings; an existing file with a "=" in it is a photo.

    Raises:
        ViewFusionError: no photo, or a folder or pattern without any.
    """
    photos: list[Path] = []
    settings: list[str] = []
    for text in inputs:
        found = _photos(text)
        if found is None and "=" in text:
            settings.append(text)
        else:
            photos += [Path(text)] if found is None else found
    if not photos:
        raise ViewFusionError(
            "no photo given; name a file, a folder or a quoted pattern such as 'shots/*.png'"
        )
    return list(dict.fromkeys(photos)), settings


def _photos(text: str) -> list[Path] | None:
    """The photo or photos that ``text`` names; None for what is neither there nor a pattern that fits."""
    from viewfusion.preprocessing.images import refuse_addresses

    found = named_files(text, lambda path: path.suffix.lower() in SUFFIXES)
    if found:
        return found
    refuse_addresses(text)
    if found is None:
        return None
    if Path(text).is_dir():
        raise ViewFusionError(f"{text}: no image in this folder; {_GIVE}")
    if "=" in text:
        return None
    raise ViewFusionError(f"{text}: no image fits this pattern; {_GIVE}")


def output_folders(photos: Iterable[Path], out: Path) -> dict[Path, Path]:
    """Photo -> the folder of its name below ``out``.

    Raises:
        ViewFusionError: two photos of one name, or a name that would leave ``out``.
    """
    taken: dict[Path, Path] = {}
    for photo in photos:
        if photo.stem in (".", ".."):
            raise ViewFusionError(f"{photo}: no folder can have this photo's name; rename it")
        folder = out / photo.stem
        if folder in taken:
            raise ViewFusionError(
                f"{taken[folder]} and {photo} would both be written to {folder}; run them with two --out"
            )
        taken[folder] = photo
    return {photo: folder for folder, photo in taken.items()}
