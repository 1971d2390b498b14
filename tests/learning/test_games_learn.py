"""Games are learnt to, or towards, their exact optimum: by a table in seconds, on the starts that it is judged on."""

from dataclasses import replace

import pytest

import strop
from strop.environments import TicTacToe
from strop.planning import game_value
from strop.recipes.games import match
from strop.runs.progress import Progress
from strop.streams import stream
from strop.types import Task

pytestmark = pytest.mark.learning
SEEDS = [0, 1, pytest.param(2, marks=pytest.mark.slow)]


def scores(config, path, tasks, copies, steps, games):
    """Held-out scores before and after; the same starts are trained on and judged."""
    judged = [
        Task(f"judged-{i}-{copy}", "", data={**task.data, "judged": True})
        for i, task in enumerate(tasks)
        for copy in range(copies)
    ]
    config = replace(config, tasks=tasks, held_out=judged, baselines={}, steps=steps, prompts_per_step=games)
    run = strop.train(config, path, progress=Progress.silent())
    before, after = (row["held_out/reward"] for row in run.metrics() if "held_out/reward" in row)
    return before, after, sum(task.data["best"] for task in tasks) / len(tasks)


@pytest.mark.parametrize("seed", SEEDS)
def test_nim_is_solved(seed, tmp_path):
    heaps = [[a, b] for a in range(4) for b in range(4) if a != b]
    tasks = [Task(str(pair), "", data={"heaps": pair, "best": 1.0}) for pair in heaps]
    config = match("nim", "perfect", policy="table", seed=seed)
    before, after, best = scores(config, tmp_path / "run", tasks, 4, steps=20, games=48)
    assert before < 0.6
    assert after > 0.95 * best


def boards_of_four_marks(num, seed):
    """Different boards after four random moves, and what each is worth."""
    rng, boards = stream(seed, "boards"), {}
    while len(boards) < num:
        board = TicTacToe.Position()
        for _ in range(4):
            board = board.after(board.moves[int(rng.integers(len(board.moves)))])
        boards[board.squares] = game_value(board)
    return [Task(squares, "", data={"squares": squares, "best": best}) for squares, best in boards.items()]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_second_half_of_tic_tac_toe_is_learnt(seed, tmp_path):
    config = match("tictactoe", "perfect", policy="table", seed=seed)
    quick = replace(config.algorithm, optimizer=replace(config.algorithm.optimizer, lr=0.3))
    tasks = boards_of_four_marks(8, seed)
    before, after, best = scores(replace(config, algorithm=quick), tmp_path / "run", tasks, 6, steps=30, games=64)
    assert before < 0.75 * best
    assert after > 0.9 * best


@pytest.mark.parametrize("seed", SEEDS)
def test_the_shortest_paths_of_some_maps_are_found(seed, tmp_path):
    config = match("gridworld", policy="table", seed=seed)
    tasks = [Task(task.id, "", data=task.data) for task in config.held_out[:6]]
    before, after, best = scores(config, tmp_path / "run", tasks, 4, steps=35, games=24)
    assert before < 0.3
    assert after > best - 0.05
