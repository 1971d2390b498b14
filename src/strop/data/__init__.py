"""Where tasks and texts come from. Public are the task sources that a config may hold instead of a list of tasks."""

from strop.data.curriculum import Curriculum
from strop.data.learnable import Learnable

__all__ = ["Curriculum", "Learnable"]


def __dir__() -> list[str]:
    return __all__
