"""Questions about countries, where "I don't know" is an answer: +1 for a right one, 0 for none, -1 for a wrong one.

    strop train answer
    strop train answer data=capitals,facts
    strop train answer method=sft
    strop train answer data=questions.tsv

What is learnt is to know what one knows. Countries are held out whole, and a reward teaches no capital that a model has
never read: it teaches which questions to leave alone. Two stages: SFT on the start model's own answers to some training
questions, with "I don't know" in place of its wrong ones (R-Tuning), so that this answer is ever tried; then RLOO on
the reward. Gold is the share of questions that are answered, and of those that are answered right
(docs/tasks/answer.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch

import strop
from strop.data.answer import Answers, answers
from strop.data.progress import to_stderr
from strop.functional.calibration import calibration_error
from strop.functional.distributions import PLAIN, logprobs_of
from strop.rewards import Answered, gave_answer, right_answer
from strop.rewards._verdict import verdict_of
from strop.samplers.local import LocalSampler
from strop.streams import stream
from strop.types import Codec, Message, Policy, Prompt, Task, Tokens

UNKNOWN = "I don't know"
MAX_TOKENS = 20
NUM_ASKED = 128
"""Training questions that the start model answers for SFT."""
PASSES = 5
"""Of SFT over them."""
NUM_JUDGED = 200
TOGETHER = 32
"""Questions whose calibration is computed at once."""
SFT_SHARE = 0.2
"""Of the minutes, where the reward follows."""


def recipe(
    data: str = "auto",
    model: str = "smollm2",
    method: Literal["rl", "sft"] = "rl",
    minutes: float = 10.0,
    judged: Literal["held_out", "development"] = "held_out",
) -> list[strop.Stage]:
    """About ten minutes on two cores, and two more in which the start model answers.

    data     capitals, facts (continent, internet domain, calling code, name of the people), or both with a
             comma between them; auto takes capitals. Or a file with the columns question and answer, perhaps entity
    model    smollm2, a folder, or a Hub id
    method   rl: SFT for a fifth of the minutes at most, then the reward; sft: SFT alone, which ends after five passes
    minutes  of training, over both stages
    judged   the questions that it is judged on: held_out, or development to choose by
    """
    if method not in ("rl", "sft"):
        raise ValueError(f"method={method!r}: it is rl or sft.")
    if judged not in ("held_out", "development"):
        raise ValueError(f"judged={judged!r}: it is held_out or development.")
    return stages(answers(data), model, method, minutes, judged)


def stages(
    found: Answers,
    model: str = "smollm2",
    method: Literal["rl", "sft"] = "rl",
    minutes: float = 10.0,
    judged: Literal["held_out", "development"] = "held_out",
) -> list[strop.Stage]:
    """The stages on these questions; the fields are those of `recipe`."""
    train = [asked(task) for task in spread(found.train)]
    shared = strop.TrainConfig(
        policy=policy_of(model),
        tasks=train,
        held_out=[asked(task) for task in spread(found.held_out if judged == "held_out" else found.development)],
        rewards={"answered": Answered()},
        gold={"right": (right_answer, 1.0), "answers": (gave_answer, 0.0)},
        baselines={"never": strop.baselines.Always(UNKNOWN)},
        sampling=strop.Sampling(temperature=0.7, max_tokens=MAX_TOKENS),
        judgement="greedy",
    )
    shared = replace(shared, held_out=shared.held_out[:NUM_JUDGED])
    sft = imitating(shared, own_answers(model, train[:NUM_ASKED]), minutes if method == "sft" else SFT_SHARE * minutes)
    if method == "sft":
        return [strop.Stage("sft", sft)]
    return [strop.Stage("sft", sft), strop.Stage("rl", rewarded(shared, (1.0 - SFT_SHARE) * minutes))]


def imitating(config: strop.TrainConfig, tasks: Sequence[Task], minutes: float) -> strop.TrainConfig:
    """SFT on given answers."""
    return replace(
        config,
        tasks=list(tasks),
        algorithm=strop.algorithms.SFT.Config(optimizer=strop.optimizer.AdamW(lr=5e-4)),
        memory=strop.memory.Dataset.Config(size=16),
        steps=max(PASSES * len(tasks) // 16, 1),
        minutes=minutes,
    )


def rewarded(config: strop.TrainConfig, minutes: float) -> strop.TrainConfig:
    """RLOO on the reward, with a KL to the policy that SFT made."""
    return replace(
        config,
        policy=strop.FromStage("sft"),
        algorithm=strop.algorithms.RLOO.Config(
            optimizer=strop.optimizer.AdamW(lr=3e-4), kl=strop.functional.KL(weight=0.01)
        ),
        group_size=8,
        prompts_per_step=8,
        steps=400,
        minutes=minutes,
    )


def policy_of(model: str) -> strop.policies.Transformer.Config:
    """The model with the adapter that is trained."""
    return strop.policies.Transformer.Config(model=model, lora=strop.policies.LoRA(rank=16, num_layers=16))


def asked(task: Task) -> Task:
    """The task with its question put to a chat model. Nothing in it says that an answer may be withheld."""
    assert isinstance(task.prompt, str), "data/answer.py makes bare questions"
    begin = task.data.get("begin")
    text = f'{task.prompt} Begin with "{begin}".' if begin else task.prompt
    return replace(task, prompt=[Message(role="user", content=text)])


def spread(tasks: Sequence[Task]) -> list[Task]:
    """The tasks in an order in which kinds and entities are mixed, always the same."""
    return [tasks[i] for i in stream(0, "answer/order").permutation(len(tasks))]


def own_answers(model: str, tasks: Sequence[Task]) -> list[Task]:
    """Demonstrations: what the start model answers, and "I don't know" where that is wrong (R-Tuning)."""
    to_stderr(f"{model} answers {len(tasks)} training questions, to learn which it knows")
    texts = answered(*_start(model), [task.prompt for task in tasks])
    return [
        replace(task, answer=text.strip() if verdict_of(task, text, "own_answers") == "right" else UNKNOWN)
        for task, text in zip(tasks, texts, strict=True)
    ]


def answered(policy: Policy, codec: Codec, prompts: Sequence[Prompt]) -> list[str]:
    """The greedy answer to each prompt."""
    return [codec.decode(one) for one in _greedy(policy, codec, [codec.start(prompt) for prompt in prompts])]


def calibration(run: strop.Run) -> float:
    """The expected calibration error of a run's held-out questions: how far its probability of answering can be
    believed. 0 if of the questions that it answers with a probability of 80 %, it would be right about 80 %."""
    assert run.parts.codec is not None
    return calibration_error(*confidence(run.parts.policy, run.parts.codec, run.config.held_out))


@torch.inference_mode()
def confidence(policy: Policy, codec: Codec, tasks: Sequence[Task]) -> tuple[list[float], list[bool]]:
    """For each task the probability that the policy answers at all, and whether its answer is right if it must.

    The first is 1 less the probability of "I don't know"; what it answers then is the likeliest text that begins
    otherwise.
    """
    unknown = codec.encode(UNKNOWN)
    answers_T, is_right_T = list[float](), list[bool]()
    for first in range(0, len(tasks), TOGETHER):
        some = tasks[first : first + TOGETHER]
        prompts = [codec.start(task.prompt) for task in some]
        logits_BV, state = policy.prefill(prompts)
        others_BV = logits_BV.clone()
        others_BV[:, unknown[0]] = -torch.inf
        begun = others_BV.argmax(dim=-1).tolist()
        logprob_B = torch.zeros(len(some))
        for token in unknown:
            logprob_B += logprobs_of(logits_BV, PLAIN)[:, token].cpu()
            logits_BV, state = policy.decode(state, torch.full((len(some),), token))
        answers_T += (1.0 - logprob_B.exp()).tolist()
        rest = _greedy(policy, codec, [(*prompt, token) for prompt, token in zip(prompts, begun, strict=True)])
        texts = [codec.decode((token, *tokens)) for token, tokens in zip(begun, rest, strict=True)]
        is_right_T += [verdict_of(task, text, "confidence") == "right" for task, text in zip(some, texts, strict=True)]
    return answers_T, is_right_T


def _greedy(policy: Policy, codec: Codec, prompts: Sequence[Tokens]) -> list[Tokens]:
    sampling = strop.Sampling(temperature=0.0, max_tokens=MAX_TOKENS)
    rngs = [stream(0, "answer", number) for number in range(len(prompts))]
    return [one.tokens for one in LocalSampler(policy, codec.stop).sample(prompts, sampling, rngs)]


def _start(model: str) -> tuple[Policy, Codec]:
    """The start model."""
    config = strop.TrainConfig(policy=policy_of(model), tasks=[Task("0", "?")], rewards=[right_answer]).resolve()
    parts = config.build()
    assert parts.codec is not None
    return parts.policy, parts.codec
