"""Gymnasium's Blackjack as text: hit or stick, from an infinite deck, against a dealer who draws below 17.

Example 5.1 of Sutton & Barto 2018, with Gymnasium's default rules: a natural pays as any other 21.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from strop.environments.gymnasium import SEEDS, toy_text
from strop.types import End, Step, Task

if TYPE_CHECKING:
    import numpy as np

CARD_MOVES = ("stick", "hit")
"""In Gymnasium's order."""
ILLEGAL = "illegal"
LIVES = 3
"""The illegal action that loses the game."""
DECK = {card: (4 if card == 10 else 1) / 13 for card in range(1, 11)}
"""The probability of each card; 1 is the ace."""
SHOWN_SUMS = range(4, 22)
Hand = tuple[int, bool]
"""The sum, and whether an ace in it counts as 11."""


class Blackjack:
    """`task.data["player"]` and `["dealer"]`: the first two cards of each; without them they are dealt.

    Reward 1 if the player wins, 0 for a draw, -1 if the dealer does. A text that is no action is answered by "illegal";
    the third one loses.
    """

    def __init__(self, task: Task, rng: np.random.Generator) -> None:
        self._game = toy_text("BlackjackEnv")
        self._seed, self._lives = int(rng.integers(SEEDS)), LIVES
        self._dealt = {name: list(task.data[name]) for name in ("player", "dealer") if name in task.data}
        self._seen: tuple[int, int, int] = (0, 0, 0)

    def start(self) -> Step:
        """The player's sum, the dealer's open card, and whether an ace counts as 11."""
        self._seen, _ = self._game.reset(seed=self._seed)
        if self._dealt:
            self._game.player = self._dealt.get("player", self._game.player)
            self._game.dealer = self._dealt.get("dealer", self._game.dealer)
            self._seen = self._game._get_obs()
        return self._shown()

    def step(self, text: str) -> Step:
        """Another card, or the dealer's play and the end."""
        if text.strip() not in CARD_MOVES:
            self._lives -= 1
            return self._shown(f"{ILLEGAL}\n") if self._lives else Step(ILLEGAL, -1.0, End.TERMINATED)
        self._seen, reward, is_over, _, _ = self._game.step(CARD_MOVES.index(text.strip()))
        return Step("", float(reward), End.TERMINATED) if is_over else self._shown()

    def close(self) -> None:
        """Close Gymnasium's environment."""
        self._game.close()

    def _shown(self, before: str = "") -> Step:
        return Step(before + hand_text(*self._seen), replaces=True, choices=CARD_MOVES)


def hand_text(player: int, dealer: int, has_ace: int) -> str:
    """What the player knows, in words."""
    return f"you {player}\ndealer {dealer}\nace {'yes' if has_ace else 'no'}"


def hand_state(text: str) -> int:
    """The number of the state that a text tells: see `hand_transitions`."""
    words = [word for word in text.split() if word != ILLEGAL]
    return _state(int(words[1]), words[5] == "yes", int(words[3]))


def hand_transitions() -> dict[int, dict[int, list[tuple[float, int, float, bool]]]]:
    """The game as lists of transitions, P[state][action], in the form of Gymnasium: what `planning.mdp_of` reads.

    One state for each sum from 4 to 21, with and without an ace that counts as 11, and each open card of the dealer.
    """
    found = {}
    for total in SHOWN_SUMS:
        for has_ace in (False, True):
            for dealer in DECK:
                state = _state(total, has_ace, dealer)
                pay = sum(chance * _pay(total, theirs) for theirs, chance in dealer_sums(dealer).items())
                hits = [(chance, *_hit(total, has_ace, card, dealer)) for card, chance in DECK.items()]
                found[state] = {0: [(1.0, state, pay, True)], 1: hits}
    return found


def first_hands() -> dict[int, float]:
    """The probability of each state after the deal."""
    found: dict[int, float] = {}
    for one, first in DECK.items():
        for other, second in DECK.items():
            for dealer, shown in DECK.items():
                state = _state(*_added(_added((0, False), one), other), dealer)
                found[state] = found.get(state, 0.0) + first * second * shown
    return found


@cache
def dealer_sums(shown: int) -> dict[int, float]:
    """The probability of each sum at which the dealer stops, from an open card; 0 stands for more than 21."""
    return _stops(_added((0, False), shown), must_draw=True)


def _stops(hand: Hand, must_draw: bool = False) -> dict[int, float]:
    if not must_draw and (hand[0] == 0 or hand[0] >= 17):
        return {hand[0]: 1.0}
    found: dict[int, float] = {}
    for card, chance in DECK.items():
        for total, share in _stops(_added(hand, card)).items():
            found[total] = found.get(total, 0.0) + chance * share
    return found


def _added(hand: Hand, card: int) -> Hand:
    """A hand with one more card; its sum is 0 if it is more than 21."""
    hard, has_any = hand[0] - 10 * hand[1] + card, hand[1] or card == 1
    if has_any and hard + 10 <= 21:
        return hard + 10, True
    return (hard if hard <= 21 else 0), False


def _hit(total: int, has_ace: bool, card: int, dealer: int) -> tuple[int, float, bool]:
    after, keeps_ace = _added((total, has_ace), card)
    return (0, -1.0, True) if after == 0 else (_state(after, keeps_ace, dealer), 0.0, False)


def _pay(mine: int, theirs: int) -> float:
    return float(mine > theirs) - float(mine < theirs)


def _state(total: int, has_ace: bool, dealer: int) -> int:
    return ((total - SHOWN_SUMS.start) * 2 + has_ace) * len(DECK) + dealer - 1


def examples() -> list[tuple[Task, list[str], float]]:
    """(task, the texts of a perfect player, their summed turn rewards)."""
    return [(Task(id="1", prompt="", data={"player": [10, 10], "dealer": [10, 9]}), ["stick"], 1.0)]
