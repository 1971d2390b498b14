"""Customer service over several turns: a simulated person tells what they see, tries what they are told, and judges.

`strop.users.Customer` is who comes. Each answer gets their thumb, which errs. The conversation ends when their problem
is solved, when their patience is used up, or when they are handed over to a colleague.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from strop.types import End, Message, Prompt, Step, Task
from strop.users.customer import Customer
from strop.users.hand import Hand

if TYPE_CHECKING:
    import numpy as np

CUSTOMER = "customer"
"""The field of a task's data that holds the facts of its customer, which the policy never reads."""


class Support:
    """`task.prompt` ends with the person's first message, and `task.data["customer"]` has their hidden facts.

    It gives no reward itself. The data of each turn have the `thumb`, which is what `strop.rewards.thumbs_up` reads,
    and beside it what nobody is paid for: whether the problem is `solved`, and the `move` that the answer meant.
    """

    def __init__(self, task: Task, rng: np.random.Generator) -> None:
        if CUSTOMER not in task.data:
            raise ValueError(f'task {task.id} has no "{CUSTOMER}" in its data: strop.data.support makes such tasks.')
        self._task, self._rng, self._person = task, rng, Customer.of(task.data[CUSTOMER])
        self._talk = [Message(role="user", content=_last_text(task.prompt))]

    def start(self) -> Prompt:
        """What an assistant is told, and the person's first message."""
        return self._task.prompt

    def step(self, text: str) -> Step:
        """The thumb for an answer, and what the person replies."""
        self._talk.append(Message(role="assistant", content=text))
        thumb, reply = self._person.judge(self._talk, self._rng), self._person.write(self._talk, self._rng)
        data = {
            "thumb": thumb,
            "solved": self._person.is_solved(self._talk),
            "move": self._person.moves(self._talk)[-1] or "",
        }
        if self._person.is_over(self._talk):
            return Step(reply, end=End.TERMINATED, data=data)
        self._talk.append(Message(role="user", content=reply))
        return Step(reply, data=data)

    def close(self) -> None:
        """Nothing to free."""


def _last_text(prompt: Prompt) -> str:
    return prompt if isinstance(prompt, str) else prompt[-1]["content"]


def examples() -> list[tuple[Task, list[str], float]]:
    """(task, the texts of a perfect player, their summed turn rewards)."""
    person = Customer(id="1", area="internet", cause="loose", hand=Hand(wrong=0.0))
    task = Task(id="1", prompt="Our wifi is down.", data={CUSTOMER: person.facts()})
    return [(task, ["Which lights are on?", "Push the cable in firmly."], 0.0)]
