"""Looking at a dataset's pictures: objects that were read go in, sizes and what is broken come out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from viewfusion.errors import ViewFusionError, printable

from .pictures import picture_size, read_rgba
from .records import Dataset, DatasetObject, Faults, Picture, Problem


@dataclass(frozen=True)
class Seen:
    """The pictures of an object.

    Args:
        sizes: how many have which width and height.
        with_alpha: how many have an alpha channel.
    """

    object: DatasetObject
    sizes: dict[tuple[int, int], int]
    with_alpha: int
    problems: tuple[Problem, ...]


def look(
    dataset: Dataset, decode: bool = True, on_picture: Callable[[], None] | None = None
) -> Iterator[Seen]:
    """Open every picture of every object.

    Args:
        decode: all of it, which finds files that are cut short; else its header only.
        on_picture: called after each.
    """
    for each in dataset.objects:
        faults = Faults()
        sizes: dict[str, tuple[int, int]] = {}
        with_alpha = 0
        for index, picture in enumerate(each.pictures):
            try:
                width, height, alpha = picture_size(picture)
                if decode:
                    read_rgba(picture)
                sizes[_called(picture, index)] = (width, height)
                with_alpha += alpha
            except ViewFusionError as error:
                faults.add(str(error))
            if on_picture is not None:
                on_picture()
        if dataset.layout == "numbered":
            _check_numbers(each, faults)
        _check_sizes(each, sizes, faults)
        problems = tuple(Problem(each.name, printable(line)) for line in faults.lines())
        yield Seen(each, dict(Counter(sizes.values())), with_alpha, problems)


def _called(picture: Picture, index: int) -> str:
    return str(picture.path) if picture.box is None else f"{picture.path}, view {index}"


def _check_numbers(thing: DatasetObject, faults: Faults) -> None:
    """A number that is left out, which is right of predictions without the input only."""
    numbers = {int(picture.path.stem) for picture in thing.pictures}
    for missing in sorted(set(range(max(numbers) + 1)) - numbers):
        folder = thing.pictures[0].path.parent
        faults.add(f"{folder}: view {missing:03d} is missing, which only predictions may be: the input's")


def _check_sizes(thing: DatasetObject, sizes: dict[str, tuple[int, int]], faults: Faults) -> None:
    """All pictures must be of the size that the cameras are made for, or else of one size."""
    if not sizes:
        return
    wanted = thing.size or Counter(sizes.values()).most_common(1)[0][0]
    why = "its cameras are made for" if thing.size else "most views of the object have"
    for name, size in sizes.items():
        if size != wanted:
            faults.add(f"{name}: {size[0]} x {size[1]} pixels; {why} {wanted[0]} x {wanted[1]}")
