"""What a terminal shows while a turn is made."""

from __future__ import annotations

import io

from rich.console import Console

from viewfusion.cli.progress import SpinProgress
from viewfusion.fusion import schedule
from viewfusion.geometry import ring


def shown(name, *steps, finished=()):
    """The last line of a bar after some steps, and its share of the work."""
    screen = Console(file=io.StringIO(), force_terminal=True, width=160, color_system=None)
    with SpinProgress(screen, name, schedule(ring(4)), finished) as progress:
        for step in steps:
            progress.on_step(*step)
        task = progress.bar.tasks[0]
    return screen.file.getvalue(), task.completed / task.total


def test_a_photo_s_name_is_shown_and_not_obeyed():
    text, _ = shown("[red]a\x1b[2Jb\n.png")
    assert "[red]a\\x1b[2Jb\\n.png" in text
    assert "\x1b[2J" not in text


def test_the_bar_counts_work_and_not_views():
    """A step costs a target its references, and one more for guidance."""
    references = [len(target.references) for target in schedule(ring(4))]
    total = sum(count + 1 for count in references)
    _, share = shown("a.png", (0, 3, 5, 10))
    assert share == (references[0] + 1) / 2 / total
    text, share = shown("a.png", (2, 3, 10, 10))
    assert share == 1
    assert "view 4/4 step 10/10" in text


def test_finished_views_cost_nothing():
    first = schedule(ring(4))[0]
    _, share = shown("a.png", (0, 3, 10, 10), finished=(first.view,))
    assert share == 0
