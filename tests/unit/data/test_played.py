"""Played episodes as data: transcripts from a file, a run's own episodes bit for bit, and algorithms that use them."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import Any

import pytest
import torch

import strop
from strop.batch import collate
from strop.codec import WordCodec
from strop.data.played import played
from strop.data.tasks import from_file
from strop.data.written import demonstrations
from strop.recipes import copy_word, two_words
from strop.runs.progress import Progress
from strop.types import End, Pick, Source, Task

CODEC = WordCodec(["guess", "bee", "ant", "before"], has_end=False)
WON = {"prompt": "guess", "played": [{"text": "bee", "reply": "before"}, {"text": "ant", "reward": 1}]}
CUT = {"prompt": "guess", "played": [{"text": "bee", "reply": "before", "reward": 0.5}], "end": "truncated"}
COPY = replace(
    copy_word.recipe(), policy=strop.policies.Table.Config(words=copy_word.WORDS, value_head=True), held_out=(),
    steps=1, prompts_per_step=2, group_size=4,
)  # fmt: skip
TABLE = strop.policies.Table.Config(words=CODEC.words, value_head=True)


def lines(tmp_path: Any, *records: Any) -> str:
    file = tmp_path / "played.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    return str(file)


def config(data: str, **fields: Any) -> strop.TrainConfig:
    given = {"policy": TABLE, "algorithm": strop.algorithms.ILQL.Config(), "steps": 4, "threads": 1}
    return strop.TrainConfig(data=data, sampling=strop.Sampling(max_tokens=1), checkpoint_every=2, **(given | fields))


def trained(of: strop.TrainConfig, path: Any, resume: bool = False) -> strop.Run:
    return strop.train(of, path, resume=resume, progress=Progress.silent())


def test_a_transcript_becomes_its_episode(tmp_path):
    won, cut = played(from_file(lines(tmp_path, WON, CUT | {"place": "here"})), CODEC)
    # guess = 0, bee = 1, ant = 2, before = 3
    assert [(t.prompt, t.completion.tokens, t.text, t.reward) for t in won.turns] == [
        ((0,), (1,), "bee", 0.0),
        ((0, 1, 3), (2,), "ant", 1.0),
    ]
    assert (won.end, won.final, won.reward, won.source) == (End.TERMINATED, (), 1.0, Source.DATA)
    assert (cut.end, cut.final, cut.reward) == (End.TRUNCATED, (0, 1, 3), 0.5)
    assert {one.turns[0].completion.logprobs for one in (won, cut)} == {None}
    assert won.group != cut.group
    assert cut.task.data["place"] == "here"
    batch = collate((Pick(won), Pick(cut)), "joined")
    assert batch.next_BT[0].tolist()[1] == 3  # the reply stands between the two decisions
    assert batch.next_BT[0].tolist()[3] == -1  # terminated
    assert batch.next_BT[1].tolist()[1] == 1 * 4 + 3  # truncated: a value is read behind the reply


def test_a_reply_may_replace_what_stood():
    told = [{"text": "bee", "reply": "before", "replaces": True}, {"text": "ant", "reply": "before"}]
    (one,) = played([Task("0", "guess", data={"played": told, "end": "truncated"})], CODEC)
    assert [CODEC.decode(turn.prompt) for turn in one.turns] == ["guess", "before"]
    assert CODEC.decode(one.final) == "before ant before"


def test_the_end_token_is_an_action_of_every_turn():
    codec = WordCodec(CODEC.words, has_end=True)
    (one,) = played([Task("1", "guess", data={"played": WON["played"]})], codec)
    assert [turn.completion.tokens for turn in one.turns] == [(1, 4), (2, 4)]
    assert one.turns[1].prompt == (0, 1, 4, 3)
    assert {turn.completion.finish for turn in one.turns} == {"stop"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"played": []}, "a list of turns, and not empty"),
        ({"played": "bee"}, "a list of turns"),
        ({"played": [{"reply": "before"}]}, 'turn 1 is no object with a "text"'),
        ({"played": [{"text": "bee"}, {"text": "ant"}]}, 'turn 1 has no "reply"'),
        ({"played": [{"text": "bee"}], "end": "truncated"}, 'turn 1 has no "reply"'),
        (
            {"played": [{"text": "bee", "rewrad": 1}]},
            "the field 'rewrad'; allowed are choices, replaces, reply, reward, text",
        ),
        ({"played": [{"text": "bee", "reward": True}]}, "a finite number, not True"),
        ({"played": [{"text": "bee", "reply": 3}]}, '"reply" is a text'),
        ({"played": [{"text": "bee", "replaces": 1}]}, '"replaces" is true or false, not 1'),
        ({"end": "won"}, "not 'won'"),
    ],
)
def test_a_mistake_names_its_line(tmp_path, changes, words):
    with pytest.raises(ValueError, match=rf"played.jsonl, line 2: .*{words}"):
        config(lines(tmp_path, CUT, WON | changes)).resolve()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"algorithm": strop.algorithms.RLOO.Config()}, "RLOO is on-policy: it cannot learn from played episodes"),
        ({"memory": strop.memory.Replay.Config()}, "played episodes come from data, so memory is"),
        ({"memory": strop.memory.Fresh.Config()}, "Fresh forgets the played episodes"),
    ],
)
def test_algorithms_that_cannot_learn_from_them_are_refused(tmp_path, fields, words):
    with pytest.raises(ValueError, match=words):
        config(lines(tmp_path, WON), **fields).resolve()


def test_a_mix_and_a_context_that_is_too_short_are_refused(tmp_path):
    mixed = config(lines(tmp_path, WON, {"prompt": "guess"})).resolve()
    with pytest.raises(ValueError, match='task 2 has no "played"'):
        mixed.build()
    with pytest.raises(ValueError, match="task 1: its turns reach 4 tokens, and the policy reads 3"):
        played(from_file(lines(tmp_path, WON)), CODEC, context=3)


def test_a_run_learns_from_a_file_samples_nothing_and_resumes_to_the_bit(tmp_path):
    data = lines(tmp_path, WON, CUT)
    whole = trained(config(data), tmp_path / "whole")
    assert isinstance(whole.config.memory, strop.memory.Dataset.Config)
    assert whole.episodes() == []
    trained(config(data, steps=2), tmp_path / "cut")
    resumed = trained(config(data), tmp_path / "cut", resume=True)
    again = strop.Run(resumed.directory)  # from its own files alone
    (tmp_path / "played.jsonl").unlink()
    for a, b, c in zip(whole.policy.parameters(), resumed.policy.parameters(), again.policy.parameters(), strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a, c)


def test_sft_imitates_transcripts(tmp_path):
    algorithm = strop.algorithms.SFT.Config(optimizer=strop.optimizer.SGD(lr=1.0))
    run = trained(config(lines(tmp_path, WON), algorithm=algorithm, steps=1), tmp_path / "run")
    # softmax of zeros over 4 words, two targets of weight 1/2: each moves by 1/2 (1 - 1/4), the others by -1/2 * 1/4
    policy: Any = run.policy
    assert policy.weight[policy.row((0,))].tolist() == pytest.approx([-0.125, 0.375, -0.125, -0.125])
    assert policy.weight[policy.row((0, 1, 3))].tolist() == pytest.approx([-0.125, -0.125, 0.375, -0.125])


# ------------------------------------------------------------ the episodes of a run


def test_a_runs_episodes_are_read_bit_for_bit(tmp_path):
    behaviour = trained(replace(COPY, steps=2), tmp_path / "weak")
    offline = replace(COPY, tasks=(), data=str(tmp_path / "weak"), algorithm=strop.algorithms.DQN.Config()).resolve()
    codec = offline.build().codec
    for again, before in zip(played(offline.tasks, codec), behaviour.episodes(), strict=True):
        assert (again.turns, again.group, again.end, again.parts) == (
            before.turns, before.group, before.end, dict(before.parts)
        )  # fmt: skip
        assert again.reward == before.reward
        assert again.source is Source.DATA
    shutil.rmtree(tmp_path / "weak")
    read_back = trained(offline, tmp_path / "offline")  # what is resolved needs the other run no more
    assert len(strop.Run(read_back.directory).config.tasks) == 16


def test_the_corridor_is_solved_from_a_random_runs_folder(tmp_path):
    # Q-learning at rate 1 on a deterministic walk: once every pair was seen often enough, Q is exact
    words = ["left", "right", *(f"room{i}" for i in range(4))]
    tasks = [Task(str(i), "", data={"room": i, "length": 5, "turns": 3}) for i in range(4)]
    random = strop.TrainConfig(
        policy=strop.policies.Table.Config(words=words, order=1), tasks=tasks,
        environment=strop.environments.Corridor, algorithm=strop.algorithms.QLearning.Config(rate=1.0),
        sampling=strop.Sampling(epsilon=1.0, max_tokens=1), steps=4, threads=1,
    )  # fmt: skip
    trained(random, tmp_path / "random")
    offline = replace(
        random, tasks=(), data=str(tmp_path / "random"), steps=8,
        algorithm=strop.algorithms.QLearning.Config(rate=1.0, discount=0.9),
        memory=strop.memory.Dataset.Config(size=128),
    )  # fmt: skip
    policy, codec = (run := trained(offline, tmp_path / "offline")).policy, run.parts.codec
    for room in range(4):
        q_V = policy.weight[policy.row(codec.start(f"room{room}"))]
        right, left = q_V[codec.encode("right")].item(), q_V[codec.encode("left")].item()
        assert right == pytest.approx(0.9 ** (3 - room))
        assert left == pytest.approx(0.9 * 0.9 ** (3 - max(room - 1, 0)))


@pytest.mark.matrix
def test_other_vocabularies_and_folders_are_refused(tmp_path):
    trained(replace(two_words.recipe(), steps=1), tmp_path / "weak")
    other = config(
        str(tmp_path / "weak"), policy=strop.policies.Table.Config(words=["great", "good", "x", "y"], value_head=True)
    )
    with pytest.raises(ValueError, match="another vocabulary"):
        other.resolve().build()
    with pytest.raises(ValueError, match="is not a run"):
        config(str(tmp_path)).resolve()


def test_unscored_games_are_left_out_and_gold_is_not_paid(tmp_path):
    def sometimes(task, episode):
        return strop.Unscored("no") if task.id == "apple" else 0.25

    weak = replace(COPY, rewards={"r": (sometimes, 2.0)}, prompts_per_step=8)
    trained(weak, tmp_path / "weak")
    tasks = strop.TrainConfig(data=str(tmp_path / "weak"), algorithm=strop.algorithms.DQN.Config()).resolve().tasks
    assert len(tasks) == 7 * 4
    assert all(one.reward == 0.5 for one in played(tasks, weak.resolve().build().codec))


def test_vtrace_takes_a_runs_log_probs_and_refuses_a_transcript_without(tmp_path):
    trained(COPY, tmp_path / "weak")
    policy = replace(COPY.policy, initial=1.0)
    algorithm = strop.algorithms.VTrace.Config()
    run = trained(
        replace(COPY, tasks=(), data=str(tmp_path / "weak"), algorithm=algorithm, policy=policy, steps=2),
        tmp_path / "r",
    )
    assert all("policy/sampler_gap_max" not in row for row in run.metrics())  # another policy acted
    with pytest.raises(ValueError, match="log-prob"):
        trained(config(lines(tmp_path, WON), algorithm=algorithm), tmp_path / "text")


def test_demonstrations_may_be_answers_and_transcripts_together():
    tasks = [Task("1", "guess", "ant"), Task("2", "guess", data={"played": WON["played"]})]
    assert [len(one.turns) for one in demonstrations(tasks, CODEC)] == [1, 2]
