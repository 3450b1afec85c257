"""What a terminal shows while a turn is made."""

from __future__ import annotations

import io

from rich.console import Console

from viewfusion.cli.progress import SpinProgress, spin_bar
from viewfusion.fusion import FusionRules, schedule
from viewfusion.geometry import ring


def ten_steps(targets):
    """Each target's, guided throughout."""
    return [[len(target.references) + 1] * 10 for target in targets]


def shown(name, *steps, finished=()):
    """The last line of a bar after some steps, and its share of the work."""
    screen = Console(file=io.StringIO(), force_terminal=True, width=160, color_system=None)
    costs = [[] if n in finished else each for n, each in enumerate(ten_steps(schedule(ring(4))))]
    with SpinProgress(screen, name, costs) as progress:
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
    total = 10 * sum(count + 1 for count in references)
    _, share = shown("a.png", (0, 3, 5, 10))
    assert share == 5 * (references[0] + 1) / total
    text, share = shown("a.png", (2, 3, 10, 10))
    assert share == 1
    assert "view 4/4 step 10/10" in text


def test_finished_views_cost_nothing():
    _, share = shown("a.png", (0, 3, 10, 10), finished=(0,))
    assert share == 0


def test_steps_cost_what_they_do():
    """Here of the one target: guided, not, guided and not."""
    screen = Console(file=io.StringIO(), force_terminal=True, width=160, color_system=None)
    with SpinProgress(screen, "a", [[2, 1, 4, 1]]) as progress:
        completed = []
        for step in range(1, 5):
            progress.on_step(0, 1, step, 4)
            completed.append(progress.bar.tasks[0].completed)
    assert completed == [2, 3, 7, 8] == [*completed[:3], progress.bar.tasks[0].total]


def test_two_targets_at_once_count_both():
    screen = Console(file=io.StringIO(), force_terminal=True, width=160, color_system=None)
    targets = schedule(ring(4), FusionRules(paired=True))  # 2, 2 and 4 evaluations a step
    with SpinProgress(screen, "a", ten_steps(targets)) as progress:
        completed = []
        for step in [(0, 3, 5, 10), (1, 3, 5, 10), (0, 3, 10, 10), (1, 3, 10, 10), (2, 3, 5, 10)]:
            progress.on_step(*step)
            completed.append(progress.bar.tasks[0].completed)
    assert completed == [10, 20, 30, 40, 60]


def test_several_spins_are_bars_of_one():
    screen = Console(file=io.StringIO(), force_terminal=True, width=160, color_system=None)
    with spin_bar(screen) as bar:
        costs = ten_steps(schedule(ring(4)))
        spins = [SpinProgress(screen, name, costs, bar) for name in ("a.png", "b.png")]
        for spin in spins:
            spin.on_step(0, 3, 5, 10)
        assert [task.completed for task in bar.tasks] == [10, 10]
    assert "a.png" in screen.file.getvalue()
    assert "b.png" in screen.file.getvalue()
