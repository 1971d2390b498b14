"""The chunks of a corpus: every token once an epoch, in an order that (seed, epoch) alone decides."""

import numpy as np
import pytest

from strop.batch import collate
from strop.memory import Chunks
from strop.types import Source

RNG = np.random.default_rng(0)


def chunks(num_tokens: int = 23, seed: int = 0, **options: int) -> Chunks:
    """Chunks of the tokens 0, 1, 2, ..."""
    memory = Chunks(Chunks.Config(**{"size": 2, "length": 5, **options}))
    memory.read(np.arange(num_tokens, dtype=np.uint16), seed)
    return memory


def drawn(memory: Chunks, num: int) -> list[int]:
    """The numbers of the next chunks."""
    return [pick.episode.group for _ in range(num) for draw in memory.draws(RNG) for pick in draw]


def test_every_token_but_the_first_is_learnt_once_in_an_epoch():
    memory = chunks()
    assert len(memory) == 5  # of the 22 tokens after the first: four of five tokens, and two
    episodes = [pick.episode for draw in memory.in_order() for pick in draw]
    learnt = [token for episode in episodes for token in episode.turns[0].completion.tokens]
    assert learnt == list(range(1, 23))
    assert [episode.turns[0].prompt for episode in episodes] == [(0,), (5,), (10,), (15,), (20,)]
    assert {episode.source for episode in episodes} == {Source.DATA}


def test_the_tokens_before_a_chunk_are_only_read():
    third = chunks(overlap=4).chunk(2)
    assert third.turns[0].prompt == (7, 8, 9, 10)
    assert third.turns[0].completion.tokens == (11, 12, 13, 14, 15)
    assert chunks(overlap=4).chunk(0).turns[0].prompt == (0,)  # nothing stands before
    batch = collate(next(iter(chunks(overlap=4).in_order())), "joined")
    assert batch.action_BT.sum().item() == 10


def test_an_epoch_is_a_shuffled_order_of_all_chunks():
    memory = chunks(size=5)
    first, second = drawn(memory, 1), drawn(memory, 1)
    assert sorted(first) == sorted(second) == [0, 1, 2, 3, 4]
    assert first != second  # one in 120 orders
    assert drawn(chunks(size=5), 2) == first + second
    assert drawn(chunks(size=5, seed=1), 2) != first + second


def test_a_draw_goes_on_in_the_next_epoch():
    assert drawn(chunks(size=2), 5) == drawn(chunks(size=5), 2)


def test_the_state_is_a_cursor():
    memory, again = chunks(size=2), chunks(size=2)
    drawn(memory, 4)
    again.load_state_dict(memory.state_dict(), {})
    assert memory.state_dict() == {"num_drawn": 8}
    assert drawn(again, 3) == drawn(memory, 3)


def test_it_ends_with_its_last_epoch():
    memory = chunks(size=4, epochs=2)
    assert memory.config.num_draws(23) == 3  # ten chunks in draws of four
    sizes = [len(draw) for _ in range(4) for draw in memory.draws(RNG)]
    assert sizes == [4, 4, 2]


def test_a_corpus_of_one_token_has_no_chunk():
    assert len(chunks(1)) == 0
    assert drawn(chunks(1), 2) == []


@pytest.mark.parametrize("field", ["size", "length", "overlap", "epochs"])
def test_what_is_refused(field):
    with pytest.raises(ValueError, match=f"memory.{field}"):
        Chunks.Config(**{field: 0})
