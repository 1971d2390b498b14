"""OpenAI's own client, as it is, against a real server with a table of eight words and an end: uniform, so that every
token has the log-prob -ln 9."""

import math

import openai
import pytest

import served

ASKED = [{"role": "user", "content": "hello 床前"}]


@pytest.fixture(scope="module")
def client():
    with served.served() as what, served.listened(what) as address:
        yield openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0, timeout=30)


def texts(answer):
    return [choice.message.content for choice in answer.choices]


def test_the_model_is_listed_and_every_answer_says_where_it_comes_from(client):
    assert [model.id for model in client.models.list()] == ["tiny"]
    assert client.models.retrieve("tiny").owned_by == "strop"
    raw = client.chat.completions.with_raw_response.create(model="tiny", messages=ASKED, n=2)
    answer = raw.parse()
    ids = [choice.inference_id for choice in answer.choices]
    assert len(set(ids)) == 2
    assert raw.headers["X-Strop-Inference-Id"] == ", ".join(ids)
    assert raw.headers["X-Strop-Version"] == answer.version == answer.system_fingerprint == "tiny"
    assert answer.conversation_id


def test_a_seed_gives_the_same_answer_whole_streamed_and_among_several(client):
    def ask(**more):
        return client.chat.completions.create(model="tiny", messages=ASKED, seed=3, **more)

    whole = ask()
    assert whole.choices[0].message.content == "to you day 床前 hello you"
    assert texts(ask(n=3))[0] == texts(whole)[0]
    assert len(set(texts(ask(n=3)))) == 3
    chunks = list(ask(stream=True))
    assert {chunk.id for chunk in chunks} == {chunks[0].id}
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == texts(whole)[0]
    finishes = [chunk.choices[0].finish_reason for chunk in chunks]
    assert finishes == [None] * 7 + ["length"]  # the role, six words, and the end


def test_several_answers_are_streamed_by_their_index(client):
    whole = client.chat.completions.create(model="tiny", messages=ASKED, seed=3, n=2)
    streamed = ["", ""]
    for chunk in client.chat.completions.create(model="tiny", messages=ASKED, seed=3, n=2, stream=True):
        streamed[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert streamed == texts(whole)


def test_logprobs_are_natural_and_their_bytes_make_the_text(client):
    answer = client.chat.completions.create(model="tiny", messages=ASKED, seed=3, logprobs=True)
    tokens = answer.choices[0].logprobs.content
    assert [token.logprob for token in tokens] == pytest.approx([-math.log(9)] * 6)
    assert bytes(byte for token in tokens for byte in token.bytes).decode() == texts(answer)[0]
    greedy = client.chat.completions.create(model="tiny", messages=ASKED, temperature=0, logprobs=True)
    assert [token.logprob for token in greedy.choices[0].logprobs.content] == [0.0] * 6


def test_the_likeliest_tokens_are_named_with_their_texts(client):
    """The table has not learnt anything: each of its 9 tokens, of which one ends, is as likely."""
    asked = {"model": "tiny", "messages": ASKED, "seed": 3, "logprobs": True}
    [token, *_] = client.chat.completions.create(**asked, top_logprobs=20).choices[0].logprobs.content
    assert [one.logprob for one in token.top_logprobs] == pytest.approx([-math.log(9)] * 9)
    assert {one.token for one in token.top_logprobs} == {*served.WORDS, ""}
    assert all(bytes(one.bytes).decode() == one.token for one in token.top_logprobs)
    [token, *_] = (
        client.chat.completions.create(**asked | {"temperature": 0}, top_logprobs=2).choices[0].logprobs.content
    )
    assert [(one.token, one.logprob) for one in token.top_logprobs] == [(token.token, 0.0)]
    chunks = client.chat.completions.create(**asked, top_logprobs=2, stream=True)
    tops = [len(one.top_logprobs) for chunk in chunks for one in getattr(chunk.choices[0].logprobs, "content", ())]
    assert tops == [2] * 6


def test_an_end_token_counts_and_has_no_text(client):
    for seed in range(40):
        answer = client.chat.completions.create(model="tiny", messages=ASKED, seed=seed, logprobs=True)
        if answer.choices[0].finish_reason == "stop":
            break
    words = texts(answer)[0].split()
    assert answer.usage.prompt_tokens == 2
    assert answer.usage.completion_tokens == len(words) + 1
    assert len(answer.choices[0].logprobs.content) == len(words)


def test_stop_max_tokens_and_usage_of_a_stream(client):
    def ask(**more):
        return client.chat.completions.create(model="tiny", messages=ASKED, seed=3, **more)

    stopped = ask(stop=[" day", "unheard"])
    assert (texts(stopped), stopped.choices[0].finish_reason) == (["to you"], "stop")
    assert texts(ask(stop="床"))[0] == "to you day "
    assert texts(ask(max_tokens=2)) == texts(ask(max_completion_tokens=2)) == ["to you"]
    *_, last = ask(stream=True, max_tokens=2, stream_options={"include_usage": True})
    assert (last.choices, last.usage.prompt_tokens, last.usage.completion_tokens) == ([], 2, 2)


def test_completions_continue_texts(client):
    def ask(prompt, **more):
        return client.completions.create(model="tiny", prompt=prompt, seed=3, **more)

    one = ask("hello 床前", logprobs=0)
    logprobs = one.choices[0].logprobs
    assert one.choices[0].text == "to you day 床前 hello you"  # as the chat: a table reads a single message as its text
    assert logprobs.token_logprobs == pytest.approx([-math.log(9)] * 6)
    assert logprobs.tokens == ["to", " you", " day", " 床前", " hello", " you"]
    assert logprobs.text_offset == [0, 2, 6, 10, 13, 19]
    two = ask(["hello", "good"], n=2)
    assert [choice.index for choice in two.choices] == [0, 1, 2, 3]
    assert two.usage.prompt_tokens == 2
    streamed = "".join(chunk.choices[0].text for chunk in ask("hello 床前", stream=True))
    assert streamed == one.choices[0].text


def test_what_is_wrong_arrives_as_the_clients_own_errors(client):
    with pytest.raises(openai.NotFoundError, match="there is 'tiny'") as missing:
        client.chat.completions.create(model="gpt", messages=ASKED)
    assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.BadRequestError, match="not in the vocabulary"):
        client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": "unheard"}])
    with pytest.raises(openai.BadRequestError, match=r"presence_penalty=0\.5 is not served") as unserved:
        client.chat.completions.create(model="tiny", messages=ASKED, presence_penalty=0.5)
    assert (unserved.value.code, unserved.value.param) == ("unsupported_parameter", "presence_penalty")


def test_a_full_queue_is_said_with_the_time_to_wait():
    endless = served.actor(has_end=False, max_tokens=1_000_000)
    with served.served(endless, waiting=1, batch=1) as what, served.listened(what) as address:
        client = openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0, timeout=30)
        running = client.chat.completions.create(model="tiny", messages=ASKED, stream=True)
        assert "".join(next(running).choices[0].delta.content for _ in range(2))  # it has a row
        waiting = client.chat.completions.create(model="tiny", messages=ASKED, stream=True)
        next(waiting)
        with pytest.raises(openai.RateLimitError, match="1 requests wait already") as full:
            client.chat.completions.create(model="tiny", messages=ASKED)
        assert int(full.value.response.headers["Retry-After"]) >= 1
        running.close()
        waiting.close()
