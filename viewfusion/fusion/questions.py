"""Questions to the network: samples under way ask, and one network call answers those of several.

A sample under way is a generator. Where it wants a prediction it yields a :class:`Question`, goes on with
what it is sent, and ends with its result. It does not know who else is asking, so any number of samples can
be under way at once, each with its own solver, noise and references.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple, TypeVar

import torch

T = TypeVar("T")

Asking = Generator[Any, torch.Tensor, T]
"""Yields questions, is sent predictions, ends with a T."""


class Question(NamedTuple):
    """What a network is called with: ``predict_noise(*question)``.

    Args:
        latents: (N, 4, h, w) noisy, or (1, 4, h, w) where all rows share them.
        timestep: one for all rows, or (N,).
        rows: what the network is told, N rows; see :class:`~.denoiser.Rows`.
    """

    latents: torch.Tensor
    timestep: int | torch.Tensor
    rows: Any


def answered(asking: Asking[T], answer: Callable[..., torch.Tensor]) -> T:
    """What ``asking`` ends with, each of its questions answered by ``answer(*question)``."""
    predicted: Any = None  # a generator begins with that
    while True:
        try:
            question = asking.send(predicted)
        except StopIteration as end:
            return end.value
        predicted = answer(*question)


def together(several: Sequence[Asking[T]]) -> Asking[list[T | None]]:
    """``several`` in lock-step: each time all that go on ask, their questions are asked as one.

    What they yield besides questions is yielded on, as (place in ``several``, it). Ends with what each ended
    with; None for one that was closed on the way, which costs the others nothing.
    """
    results: list[T | None] = [None] * len(several)
    answers: dict[int, Any] = dict.fromkeys(range(len(several)))
    while answers:
        questions: dict[int, Question] = {}
        for place, answer in answers.items():
            try:
                said = several[place].send(answer)
                while not isinstance(said, Question):
                    yield place, said
                    said = next(several[place])
                questions[place] = said
            except StopIteration as end:
                results[place] = end.value
        answers = {}
        if questions:
            predicted = yield joined(list(questions.values()))
            sizes = [len(question.rows) for question in questions.values()]
            answers = dict(zip(questions, predicted.split(sizes), strict=True))
    return results


def joined(questions: Sequence[Question]) -> Question:
    """One question of the rows of all."""
    first, *others = questions
    if not others:
        return first
    counts = [len(question.rows) for question in questions]
    latents = [each.latents.expand(count, -1, -1, -1) for each, count in zip(questions, counts, strict=True)]
    timestep = first.timestep
    if any(question.timestep != timestep for question in others):
        each = [
            torch.as_tensor(question.timestep).expand(count)
            for question, count in zip(questions, counts, strict=True)
        ]
        timestep = torch.cat(each)
    return Question(torch.cat(latents), timestep, first.rows.cat([question.rows for question in questions]))
