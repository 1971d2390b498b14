"""A frozen model behind an API: judged, beside a policy, and as an opponent."""

import json
from dataclasses import replace

import numpy as np
import pytest

import served
import strop
from judge_server import completion, drops, says, sends, serving, stalls
from strop.cli.errors import Usage
from strop.cli.main import main
from strop.endpoint import attempts
from strop.endpoint.request import Failed, retry_after
from strop.endpoint.transcripts import END, ChatSampler, Transcripts
from strop.judging import judge_endpoint
from strop.rollout.play import Scene, play
from strop.types import End, Observation, Step, Unscored

TASK = strop.Task("1", "say red", answer="red")


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(attempts, "FIRST_SECONDS", 0.01)


def endpoint_of(server, **fields):
    usual = {"url": server.url, "model": "m", "request_seconds": 0.3, "total_seconds": 10.0, "attempts": 2}
    return strop.Endpoint(**{**usual, **fields})


def seen(text="say red", choices=()):
    return Observation(text, tuple(choices), 0, np.random.default_rng(0))


def answers(act):
    """A server's act that replies with `act(messages)`."""
    return lambda server, handler, body: sends(completion(act(body["messages"])))(server, handler, body)


# ------------------------------------------------------------ a player


def test_a_player_is_asked_what_was_said_last():
    with serving(says("red")) as server:
        assert endpoint_of(server, settings={"temperature": 0.5})(TASK, seen()) == "red"
    assert server.seen == [{"model": "m", "messages": [{"role": "user", "content": "say red"}], "temperature": 0.5}]


def test_choices_are_told_and_the_reply_is_one_of_them():
    with serving(says("I take b3."), says(" b3\n")) as server:
        assert endpoint_of(server)(TASK, seen("4 3", ("a1", "b3"))) == "b3"
    assert server.seen[0]["messages"][0]["content"] == "4 3\n\nAnswer with one of these, and nothing else: a1, b3"
    with (
        serving(says("c9")) as server,
        pytest.raises(ValueError, match=r"'c9' is none of the 2 choices \(2 attempts\)"),
    ):
        endpoint_of(server)(TASK, seen("4 3", ("a1", "b3")))


@pytest.mark.parametrize("fault", [stalls, drops, sends(b"{}", status=500), sends(b"[")])
def test_a_fault_is_asked_again_and_then_raised_with_its_reason(fault):
    with serving(fault, says("red")) as server:
        assert endpoint_of(server)(TASK, seen()) == "red"
    with serving(fault) as server, pytest.raises(ValueError, match=r"the endpoint m at http.*\(2 attempts\)"):
        endpoint_of(server)(TASK, seen())


def test_the_key_is_sent_and_never_told(monkeypatch):
    monkeypatch.setenv("K", "sk-secret")
    with serving(sends(b'{"error": {"message": "no sk-secret here"}}', status=401)) as server:
        with pytest.raises(ValueError, match=r"no \*\*\* here"):
            endpoint_of(server, key_env="K")(TASK, seen())
        assert server.keys == ["Bearer sk-secret"]
    monkeypatch.delenv("K")
    with pytest.raises(ValueError, match=r"Endpoint\.key_env='K': this environment variable holds no key"):
        endpoint_of(server, key_env="K")(TASK, seen())


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"url": "http://a:b@host"}, r"Endpoint\.url"),
        ({"model": " "}, r"Endpoint\.model is empty"),
        ({"settings": {"n": 2}}, r"Endpoint\.settings holds 'n', which Endpoint sets itself"),
        ({"attempts": 0}, r"Endpoint\.attempts=0"),
        ({"key_env": "A", "key_file": "B"}, "give key_env or key_file"),
    ],
)
def test_a_wrong_field_says_what_is_allowed(fields, why):
    with pytest.raises(ValueError, match=why):
        strop.Endpoint(**{"url": "http://host/v1", "model": "m", **fields})


def test_a_run_keeps_it_in_its_config():
    from strop.runs.spec import decode, encode

    one = strop.Endpoint(url="http://host/v1", model="m", key_env="K")
    assert encode(one)["class"] == "strop.Endpoint"
    assert decode(json.loads(json.dumps(encode(one))), None) == one


# ------------------------------------------------------------ an opponent, a baseline


def nim(opponent, task):
    return strop.environments.Against(game=strop.environments.Nim, opponents=[opponent], judge=opponent)(
        task, np.random.default_rng(0)
    )


def test_it_plays_against_the_policy_and_its_failure_is_no_result():
    """One heap of 3: the policy takes 1, the opponent the other 2, and so the last."""
    heap = strop.Task("1", "", data={"heaps": [3]})
    with serving(says("a2")) as server:
        game = nim(endpoint_of(server), heap)
        game.start()
        assert game.step("a1") == Step("", reward=0.0, end=End.TERMINATED)
    assert server.seen[0]["messages"][0]["content"].startswith("2\n\nAnswer with one of these")
    with serving(sends(b"{}", status=500)) as server:
        environment = strop.environments.Against(
            game=strop.environments.Nim, opponents=[endpoint_of(server)], judge=endpoint_of(server)
        )
        scene = Scene(environment=environment, rewards={}, codec=Transcripts(), context=None, seed=0)
        sampler = strop.samplers.ScriptedSampler(Transcripts(), lambda prompt: "a1")
        (episode,) = play(scene, [heap], 1, sampler, strop.Sampling(max_tokens=9), "train", 0)
    assert episode.end is End.FAILED
    assert "HTTP 500" in episode.error
    assert isinstance(episode.reward, Unscored)


def test_it_stands_beside_a_policy_as_a_baseline():
    from strop.beside import attempts_of

    with serving(says("b")) as server:
        config = config_of(baselines=[endpoint_of(server)])
        (attempt,) = attempts_of(config)
    assert (attempt.reward, attempt.text) == (1.0, "b")


# ------------------------------------------------------------ judged


def said(task, episode):
    """1 for the answer."""
    return float(episode.text.strip() == task.answer)


def config_of(**changed):
    usual = {
        "policy": strop.policies.Table.Config(words=["a", "b"]),
        "tasks": [strop.Task("one", "a", answer="b")],
        "held_out": [strop.Task("two", "b", answer="b")],
        "rewards": [said],
        "algorithm": strop.algorithms.REINFORCE.Config(),
        "sampling": strop.Sampling(max_tokens=3, temperature=0.7),
    }
    return strop.TrainConfig(**{**usual, **changed}).resolve()


def test_it_is_judged_on_held_out_tasks_with_the_runs_sampling():
    tasks = [strop.Task(word, word, answer=word) for word in "abcd"]
    replies = {"a": "a", "b": "b", "c": "no", "d": "no"}
    with serving(answers(lambda messages: replies[messages[-1]["content"]])) as server:
        config = config_of(held_out=tasks)
        first, metrics = judge_endpoint(config, endpoint_of(server, settings={}))
        again, _ = judge_endpoint(config, endpoint_of(server, settings={}))
    assert metrics == {"held_out/reward": 0.5, "held_out/said": 0.5, "held_out/unscored": 0.0}
    assert [one.text for one in first] == ["a", "b", "no", "no"]
    assert {body["max_tokens"] for body in server.seen} == {3}
    assert {body["temperature"] for body in server.seen} == {0.7}
    seeds = [
        {body["messages"][0]["content"]: body["seed"] for body in half} for half in (server.seen[:4], server.seen[4:])
    ]
    assert seeds[0] == seeds[1]
    assert len(set(seeds[0].values())) == 4
    assert [one.text for one in again] == [one.text for one in first]


def test_a_task_without_an_answer_is_unscored_and_the_others_count():
    tasks = [strop.Task(word, word, answer=word) for word in "ab"]

    def act(server, handler, body):
        (sends(b"{}", status=500) if body["messages"][0]["content"] == "b" else says("a"))(server, handler, body)

    with serving(act) as server:
        episodes, metrics = judge_endpoint(config_of(held_out=tasks), endpoint_of(server))
    assert metrics["held_out/reward"] == 1.0
    assert metrics["held_out/unscored"] == 0.5
    assert "HTTP 500" in episodes[1].error


class Twice:
    """Asks a second time, and pays for the right second answer."""

    def __init__(self, task, rng):
        self.turns = 0

    def start(self):
        return [{"role": "system", "content": "be brief"}, {"role": "user", "content": "first"}]

    def step(self, text):
        self.turns += 1
        return Step("second") if self.turns == 1 else Step("", reward=float(text == "2"), end=End.TERMINATED)

    def close(self):
        pass


def test_a_conversation_of_several_turns_is_sent_whole():
    with serving(answers(lambda messages: str(len(messages) // 2))) as server:
        (episode,), _ = judge_endpoint(config_of(environment=Twice, rewards=()), endpoint_of(server))
    assert episode.reward == 1.0
    assert [message["role"] for message in server.seen[1]["messages"]] == ["system", "user", "assistant", "user"]
    assert [message["content"] for message in server.seen[1]["messages"]] == ["be brief", "first", "1", "second"]


def test_choices_of_the_run_are_choices_here():
    with serving(says(" no\n")) as server:
        config = config_of(held_out=[strop.Task("1", "well?", answer="no")], sampling=YES_NO)
        (episode,), metrics = judge_endpoint(config, endpoint_of(server))
    assert (episode.text, metrics["held_out/reward"]) == ("no", 1.0)


YES_NO = strop.Sampling(choices=["yes", "no", "nobody"])


def test_an_answer_that_is_no_choice_is_wrong_and_counts():
    """8 of 10 right, and 2 that are not sure: .8, each asked once."""
    tasks = [strop.Task(str(i), str(i), answer="no") for i in range(10)]

    def say(messages):
        return "I am not sure." if messages[0]["content"].startswith(("3", "7")) else "no"

    with serving(answers(say)) as server:
        _, metrics = judge_endpoint(config_of(held_out=tasks, sampling=YES_NO), endpoint_of(server))
    assert metrics["held_out/reward"] == pytest.approx(0.8)
    assert metrics["held_out/unscored"] == 0.0
    assert len(server.seen) == 10


def test_a_reply_cut_within_no_choice_is_wrong_too():
    cut = json.loads(completion("I think that"))
    cut["choices"][0]["finish_reason"] = "length"
    with serving(sends(json.dumps(cut).encode())) as server:
        (episode,), metrics = judge_endpoint(config_of(sampling=YES_NO), endpoint_of(server))
    assert (metrics["held_out/reward"], metrics["held_out/unscored"]) == (0.0, 0.0)
    assert episode.turns[0].completion.finish == "length"


def test_a_player_whose_seed_would_bring_the_same_reply_is_asked_once():
    with serving(says("c9")) as server, pytest.raises(ValueError, match="is none of the 2 choices"):
        endpoint_of(server, settings={"seed": 3})(TASK, seen("4 3", ("a1", "b3")))
    assert len(server.seen) == 1


def test_choices_longer_than_the_runs_limit_can_be_said():
    """`advertise` has max_tokens=1 for a table whose tokens are words: "garden" has 6 bytes, and needs no less."""
    from strop.recipes import advertise

    with serving(says("garden")) as server:
        config = replace(advertise.recipe(lines=200, steps=1), baselines={}).resolve()
        config = replace(config, held_out=config.held_out[:4])
        episodes, metrics = judge_endpoint(config, endpoint_of(server))
    assert [one.text for one in episodes] == ["garden"] * 4
    assert metrics["held_out/unscored"] == 0.0
    assert {body["max_tokens"] for body in server.seen} == {6 + 64}


def test_what_an_endpoint_cannot_be_judged_by_is_refused():
    endpoint = strop.Endpoint(url="http://host/v1", model="m")
    with pytest.raises(ValueError, match="which an endpoint does not tell"):
        judge_endpoint(config_of(judgement="choices", sampling=strop.Sampling(choices=["a", "b"])), endpoint)
    with pytest.raises(ValueError, match=r"sampling\.epsilon=0\.5"):
        judge_endpoint(config_of(sampling=strop.Sampling(epsilon=0.5)), endpoint)


def test_the_command_judges_a_url(capsys):
    with serving(says("apple")) as server:
        words = ["eval", server.url, "--model", "m", "--recipe", "copy_word", "--json"]
        assert main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["who"] == f"m at {server.url}"
    assert found["scores"]["reward"]["mean"] == pytest.approx(1 / 8)
    assert main(["eval", server.url, "--recipe", "copy_word"]) == Usage.code
    assert main(["eval", "smollm2", "--model", "m", "--recipe", "copy_word"]) == Usage.code


def test_what_strop_serves_can_be_judged_and_played_against():
    """A uniform table of 8 words: its own server draws the same by the same seed."""
    with served.served() as what, served.listened(what) as address:
        endpoint = strop.Endpoint(url=f"{address}/v1", model="tiny", settings={"seed": 3})
        config = config_of(held_out=[strop.Task("1", "hello 床前")])
        (first,), _ = judge_endpoint(config, endpoint)
        (again,), _ = judge_endpoint(config, endpoint)
        assert endpoint(TASK, seen("hello 床前")) == "to you day 床前 hello you"  # as OpenAI's client has it
    assert first.text == again.text
    assert len(first.text.split()) <= 3


def test_a_url_that_answers_nothing_is_an_error_with_the_reason(capsys, monkeypatch):
    monkeypatch.setattr(attempts, "LONGEST_SECONDS", 0.01)
    with serving(sends(b'{"error": {"message": "no such model"}}', status=404)) as server:
        assert main(["eval", server.url, "--model", "m", "--recipe", "copy_word"]) == 1
    said = capsys.readouterr()
    assert "none of 8 held-out prompts could be scored" in said.err
    assert "HTTP 404" in said.err
    assert said.out == ""


def test_whatever_was_lost_is_a_warning(capsys, monkeypatch):
    monkeypatch.setattr(attempts, "LONGEST_SECONDS", 0.01)

    def act(server, handler, body):
        is_lost = body["messages"][0]["content"] == server.seen[0]["messages"][0]["content"]
        (sends(b"{}", status=404) if is_lost else says("apple"))(server, handler, body)

    with serving(act) as server:
        assert main(["eval", server.url, "--model", "m", "--recipe", "copy_word", "--json"]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "1 of 8 episodes could not be scored" in said
    assert "HTTP 404" in said
    assert "They are not in the mean." in said


def test_a_silly_date_asks_for_no_wait():
    assert retry_after("Mon, 01 Jan 2026 00:00:00 +99999999999999", 0.0) == 0.0
    assert retry_after("7", 0.0) == 7.0


def test_a_long_reason_is_cut_between_words_and_what_stands_behind_it_is_not():
    secret = "k" * 40
    text = "x " * 140 + secret
    failed = Failed(text, note="; the end")
    assert len(failed.reason) <= 300 + len("; the end")
    assert failed.reason.endswith("x...; the end")
    assert "k" not in failed.reason
    assert Failed("9" * 500_000).reason == "..."
    assert Failed("short").reason == "short"


def test_transcripts_keep_every_character():
    codec = Transcripts()
    prompt = codec.start("床前 é")
    assert codec.decode((*codec.encode("明月光"), END)) == "明月光"
    longer = codec.extend(prompt, (*codec.encode("光"), END), "go on")
    assert [one["content"] for one in codec.messages(longer)][1:] == ["光", "go on"]
    assert codec.decode(codec.encode("a\ud800b")) == "a?b"
    assert ChatSampler(strop.Endpoint(url="http://h/v1", model="m"), codec, 9).publish(None) is None
