"""Given texts as episodes: training data for methods that do not sample."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from strop.choices import Choosing
from strop.data.played import completed, is_played, played_episode
from strop.types import Codec, End, Episode, Part, Source, Task, Tokens, Turn


def demonstrations(
    tasks: Sequence[Task], codec: Codec, context: int | None = None, choosing: Choosing | None = None
) -> list[Episode]:
    """One episode per task: the tokens of its answer and the end token as actions, or its played episode.

    Where `choosing` gives a task choices, its answer is one of them, and ends as they do.
    """
    for task in tasks:
        if not task.answer and not is_played(task):
            raise ValueError(f"task {task.id} has no answer: learning from demonstrations needs one in every task.")
    return [
        played_episode(task, codec, i, context, choosing)
        if is_played(task)
        else written(task, task.answer, codec, i, f"data-{i:06d}", context, choosing)
        for i, task in enumerate(tasks)
    ]


def written(
    task: Task,
    text: str,
    codec: Codec,
    group: int,
    id: str,
    context: int | None = None,
    choosing: Choosing | None = None,
    steps: Sequence[Tokens] = (),
    preference: float | None = None,
) -> Episode:
    """A finished episode of one turn: the text's tokens and the end token as actions, or one of the task's choices.

    `steps` are the text's tokens if they are already known. Raises ValueError if it exceeds `context` (nothing is cut),
    or if the text is none of the choices.
    """
    prompt, choices = codec.start(task.prompt), None if choosing is None else choosing.of(task)
    try:
        completion = completed(codec, text, tuple(chain.from_iterable(steps)), choosing, choices)
    except ValueError as error:
        raise ValueError(f"task {task.id}: {error}") from error
    length = len(prompt) + len(completion.tokens)
    if context is not None and length > context:
        raise ValueError(
            f"task {task.id}: its prompt and answer have {length} tokens, and the policy reads {context}. Shorten the "
            "texts, leave the task out, or take a policy with a larger context."
        )
    parts = {} if preference is None else {"preference": Part(1.0, preference)}
    turn = Turn(prompt, completion, text, choices=choices)
    return Episode(id, task, group, (turn,), (), End.TERMINATED, source=Source.DATA, parts=parts)
