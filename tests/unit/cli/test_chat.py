"""Talking: commands, and a context that is smaller than what is asked for."""

import pytest


@pytest.fixture
def talk(strop, monkeypatch):
    """Type lines into `strop chat`."""

    def type_in(who, *lines, options=()):
        waiting = iter([*lines, "/quit"])
        monkeypatch.setattr("builtins.input", lambda: next(waiting))
        return strop("chat", who, *options)

    return type_in


@pytest.fixture
def small(strop, table_recipe):
    """A transformer that reads 12 tokens; its answers never end by themselves."""
    small = 'Scratch(words=["a", "b"], has_end=False, context=12, width=8, num_heads=1, num_layers=1)'
    recipe = table_recipe(replace=[('Table.Config(words=["a", "b"], has_end=True)', small)])
    assert strop("train", recipe, "steps=1", "--run", "runs/small").code == 0
    return "runs/small"


def test_an_answer_ends_where_the_context_is_full_with_one_warning(talk, small):
    said = talk(small, "a b", "/new", "a b a", options=("--max-tokens", 100))
    assert [len(line.split()) for line in said.out.splitlines()] == [10, 9]  # 12 - 2, and 12 - 3
    assert said.err.count("the context holds 12 tokens") == 1
    assert "error" not in said.err
    full = talk(small, "a b", "a", options=("--max-tokens", 100))  # 12 stand
    assert "the context is full: the conversation has 13 tokens" in full.err
    assert "/new starts over" in full.err


def test_an_answer_that_fits_has_no_warning(talk, small):
    said = talk(small, "a b", options=("--max-tokens", 10))
    assert "holds 12 tokens" not in said.err


@pytest.mark.parametrize("typed", ["/help", "/?"])
def test_slash_help_prints_the_commands(talk, small, typed):
    said = talk(small, typed)
    assert said.out == ""
    for line in ("/new   starts over", "/quit  ends", "/help  this text"):
        assert line in said.err


def test_an_unknown_command_is_reported_and_not_answered(talk, small):
    said = talk(small, "/temperature 0.5")
    assert said.out == ""
    assert "there is no command /temperature" in said.err
    assert "/help" in said.err


def test_a_path_is_not_taken_for_a_command(talk, small):
    said = talk(small, "/etc/hosts")
    assert "there is no command" not in said.err
    assert "not in the vocabulary" in said.err
