"""Recommendation: a person liked five films, and one of four is what they liked next.

    strop train recommend
    strop train recommend method=rl
    strop train recommend model=smollm2
    strop train recommend data=mine.csv

A film is a word, and a small transformer from scratch learns from what people like in a row which comes next; or a
pretrained one reads titles, years and genres. Judged on people whose films it never met, beside popularity, genres,
years, and what others liked (docs/tasks/recommend.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

import strop
from strop.data.ratings import NAME
from strop.data.recommend import NUM_LIKED, recommended
from strop.recipes._film_words import in_words, transformer_of, words_of
from strop.recipes._recommenders import Counted, best_film, cosines_of, has_year, likes_of, shared_genres, year_of
from strop.recipes.sentiment import PRETRAINED, imitating, rewarded
from strop.rewards import exact_answer
from strop.types import Baseline, Episode, Fits, Observation, Task, Unscored

MAX_TOKENS = 128
"""Some titles are long: MovieLens has one of 46 tokens."""
FILMS = "films"
"""The model from scratch whose words are films."""
DRAWS = 2
"""Each six films in a row are asked about so often, each time beside three others."""
SCRATCH_LR = 3e-3
SFT_STEPS = 400
"""Chosen by the development questions of other deals: later it knows its people too well."""
OPEN = "open"
"""The field of a judged task's data that says whether genres leave it open."""


def recipe(
    data: str = NAME,
    model: str = FILMS,
    method: Literal["sft", "rl"] = "sft",
    say: Literal["title", "letter"] = "title",
    judged: Literal["held_out", "development"] = "held_out",
    minutes: float = 5,
    seed: int = 0,
) -> strop.TrainConfig:
    """Minutes on one thread; a pretrained model takes more.

    data     movielens, or a file with the columns user, film, genres, stars and time
    model    films: a transformer from scratch whose words are films; else a model's name, folder or Hub id, which reads
    method   sft is told right choices, rl is paid for them
    say      what a model that reads says: the title of a film, or its letter
    judged   the people that it is judged on; choose settings on development
    minutes  of training
    seed     of the run, and of who is held out
    """
    if model == FILMS:
        if say == "letter":
            raise ValueError("say=letter: with model=films a film is a word, and that is said. Set a model that reads.")
        return from_scratch(data, method, judged, minutes, seed)
    found = recommended(data, seed, letters=say == "letter")
    return strop.TrainConfig(
        policy=strop.policies.Transformer.Config(
            model=model,
            lora=strop.policies.LoRA(num_layers=16),
            prompts=strop.policies.Prompts(prefix="Next:"),
        ),
        tasks=found.train,
        held_out=marked(found.held_out if judged == "held_out" else found.development),
        rewards={"right": exact_answer},
        gold={"open": right_where_open},
        baselines=baselines_of(found.held_out),
        algorithm=imitating(PRETRAINED.lr) if method == "sft" else rewarded(PRETRAINED.lr),
        memory=strop.memory.Dataset.Config(size=32) if method == "sft" else None,
        sampling=strop.Sampling(choices="options", max_tokens=MAX_TOKENS),
        judgement="choices",
        group_size=8,
        prompts_per_step=32,
        steps=1000,
        minutes=minutes,
        seed=seed,
    )


def from_scratch(data: str, method: str, judged: str, minutes: float, seed: int) -> strop.TrainConfig:
    """Trained on every six films in a row that a person of the training split liked."""
    found = recommended(data, seed, draws=DRAWS)
    asked = marked(found.held_out if judged == "held_out" else found.development)
    words = words_of([*found.train, *asked])
    known = frozenset(words)
    return strop.TrainConfig(
        policy=transformer_of(words, NUM_LIKED),
        tasks=[in_words(task, known) for task in found.train],
        held_out=[in_words(task, known) for task in asked],
        rewards={"right": exact_answer},
        gold={"open": right_where_open},
        baselines=baselines_of(found.held_out),
        algorithm=imitating(SCRATCH_LR) if method == "sft" else rewarded(SCRATCH_LR),
        memory=strop.memory.Dataset.Config(size=256) if method == "sft" else None,
        sampling=strop.Sampling(choices="options", max_tokens=1),
        judgement="choices",
        group_size=4,
        prompts_per_step=128,
        steps=SFT_STEPS if method == "sft" else 10_000,
        minutes=minutes,
        seed=seed,
        threads=1,
    )


def genres(task: Task, seen: Observation) -> str:
    """The film whose genres are most like those of the liked films."""
    return best_film(task, lambda film: shared_genres(task, film))


def years(task: Task, seen: Observation) -> str:
    """The film whose year is nearest to the mean of the liked films' years; it needs titles that end in a year."""
    mean = sum(year_of(film) for film in task.data["liked"]) / len(task.data["liked"])
    return best_film(task, lambda film: -abs(year_of(film) - mean))


@dataclass(frozen=True, slots=True)
class Popularity:
    """The film that most people of the training tasks like."""

    def fit(self, tasks: Sequence[Task]) -> Baseline:
        """Count who likes what."""
        return Counted(likes_of(tasks), {})


@dataclass(frozen=True, slots=True)
class Together:
    """The film that is most often liked by those who like the five: the sum of its cosines with them.

    Of two films it is the number of people who like both, over the root of the product of those who like each one
    (Sarwar et al. 2001). It knows which films people like, and nothing about the films.
    """

    def fit(self, tasks: Sequence[Task]) -> Baseline:
        """Count who likes what, and which two."""
        return Counted(likes_of(tasks), cosines_of(tasks))


def baselines_of(tasks: Sequence[Task]) -> dict[str, Baseline | Fits]:
    """Popularity, genres, years where all titles end in one, and what is liked together."""
    films = (film for task in tasks for film in (*task.data["liked"], *task.data["films"]))
    has_years = all(has_year(film) for film in films)
    by_year: dict[str, Baseline | Fits] = {"years": years} if has_years else {}
    return {"popularity": Popularity(), "genres": genres, **by_year, "liked together": Together()}


def right_where_open(task: Task, episode: Episode) -> float | Unscored:
    """Right choices where genres leave it open: the half of the tasks in which the best two films are nearest by them.

    A policy that matches genres can be right about the other half; here it has to know more of the films.
    """
    return exact_answer(task, episode) if task.data[OPEN] else Unscored("genres tell it")


def marked(tasks: Sequence[Task]) -> list[Task]:
    """The tasks, half of which are marked as those that genres leave open. Answers are not looked at."""
    lead_T = np.array([_lead(task) for task in tasks])
    middle = np.median(lead_T)
    return [
        Task(task.id, task.prompt, task.answer, {**task.data, OPEN: bool(lead <= middle)})
        for task, lead in zip(tasks, lead_T, strict=True)
    ]


def _lead(task: Task) -> float:
    """By how much the best film is before the second by its genres."""
    second, first = sorted(shared_genres(task, film) for film in task.data["films"])[-2:]
    return first - second
