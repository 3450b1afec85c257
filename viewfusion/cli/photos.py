"""Photos by name: files, folders and patterns as typed go in, each photo and its output folder come out."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path

from viewfusion.errors import ViewFusionError

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
        found = _expanded(text)
        if found is None and "=" in text:
            settings.append(text)
        else:
            photos += [Path(text)] if found is None else found
    if not photos:
        raise ViewFusionError(
            "no photo given; name a file, a folder or a quoted pattern such as 'shots/*.png'"
        )
    return list(dict.fromkeys(photos)), settings


def _expanded(text: str) -> list[Path] | None:
    """The photo or photos that ``text`` names; None for what is neither there nor a pattern that fits."""
    path = Path(text)
    try:
        listed = list(path.iterdir()) if path.is_dir() else None
        there = path.exists()
    except (OSError, ValueError):  # too long, unreadable, or with a null byte: refused where it is opened
        return None
    if listed is not None:
        return _images(listed, f"{text}: no image in this folder")
    if there:
        return [path]
    if not glob.has_magic(text):
        return None
    # pathlib's own takes no absolute patterns.
    matches = [Path(match) for match in glob.glob(text, recursive=True)]  # noqa: PTH207
    if not matches and "=" in text:
        return None
    return _images(matches, f"{text}: no image fits this pattern")


def _images(paths: Iterable[Path], none: str) -> list[Path]:
    """Sorted; hidden files are left out, such as those some systems put beside each photo."""
    images = [
        path
        for path in paths
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    ]
    if not images:
        raise ViewFusionError(f"{none}; give one with PNG, JPEG or WebP files")
    return sorted(images)


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
