"""Does the text use the words that the task asks for?"""

from __future__ import annotations

from strop.rewards._text import words_of
from strop.types import Episode, Task

JOINERS = frozenset({"a", "an", "the", "and", "or", "with", "of", "plus", "also", "then"})


def uses_words(task: Task, episode: Episode) -> float:
    """The share, 0 to 1, of `task.data["words"]` that the text uses.

    A word is found whole, in any case, as itself, its plural (lamp, lamps; box, boxes; berry, berries) or its
    possessive (lamp's). In scripts without spaces it is found as a sequence of characters.

    A list does not count as use: a word that is separated from the required word before it only by a comma or a joiner
    ("and", "a", "with", ...) is not counted. So "river, lamp and coat" scores 1/3.

    Cheated by: filler between the words. `Repetition`, `word_heap` and a fluency score limit that.
    """
    wanted = {tuple(words_of(word)) for word in task.data.get("words", ())}
    if not wanted or () in wanted:
        raise ValueError(f'task {task.id!r}: uses_words needs data["words"], a list of words to use.')
    longest_first = sorted(wanted, key=lambda word: (-len(word), word))
    looked_for = [(word, list(word[:-1]), _forms(word[-1])) for word in longest_first]
    text = words_of(episode.text)
    found: set[tuple[str, ...]] = set()
    listed = False  # only joiners since the last required word
    position = 0
    while position < len(text):
        for word, first, last_forms in looked_for:
            end = position + len(first)
            if text[position:end] == first and end < len(text) and text[end] in last_forms:
                if not listed:
                    found.add(word)
                listed = True
                position = end + 1
                break
        else:
            listed = listed and text[position] in JOINERS
            position += 1
    return len(found) / len(wanted)


def _forms(word: str) -> frozenset[str]:
    """The word, its plural and its possessive."""
    forms = {word, word + "s", word + "es"}
    if word.endswith("y"):
        forms.add(word[:-1] + "ies")
    return frozenset(forms | {form + "'s" for form in forms})
