"""What a run keeps on disk, and what it deletes while it goes on."""

from __future__ import annotations

from dataclasses import dataclass

from strop.runs.directory import RunDirectory
from strop.runs.store import Store


def free(directory: RunDirectory) -> None:
    """Apply the policy to a run that is over: a kill may have come between its last evaluation and this."""
    with directory.lock(), directory.writer() as store:
        DiskPolicy().apply(directory, store, directory.checkpoints.steps()[-1])


@dataclass(frozen=True, slots=True)
class DiskPolicy:
    """The newest `keep_last` checkpoints and the best one are kept (all of them, if there is a file KEEP_ALL).

    Token ids, log-probs and opinions of training episodes older than `keep_episode_steps` steps are dropped, except of
    those that the memory of a kept checkpoint needs. Scores, texts, metrics and held-out episodes are kept.
    """

    keep_last: int = 2
    keep_episode_steps: int = 200

    def apply(self, directory: RunDirectory, store: Store, done: int) -> None:
        """Delete what is not kept after `done` steps."""
        checkpoints = directory.checkpoints
        steps, best = checkpoints.steps(), store.best_step()
        newest = steps if checkpoints.keeps_all else steps[-self.keep_last :]
        kept = {*newest, *(step for step in steps if step == best)}
        checkpoints.prune(kept)
        before = done - self.keep_episode_steps
        if before > 0:
            store.drop_tokens(before, {id for step in kept for id in checkpoints.held(step)})
