"""Suggestions are found, and cost nothing that anybody would notice."""

from __future__ import annotations

from time import process_time

import pytest

from recbole_logq.nearest import close_names, nearest

TITLES = {f"a rather long title of a product number {k} with many words in it" for k in range(20_000)}


@pytest.mark.parametrize(
    ("key", "known", "says"),
    [
        ("learnin_rate", {"learning_rate", "epochs"}, " - did you mean learning_rate?"),
        ("temperature", {"epochs", "loss"}, ""),
        ("", {"epochs"}, ""),
        ("x" * 10_000, {"x" * 9_999}, ""),
        ("item19998", {f"item{k}" for k in range(19_998)}, " - did you mean item"),
        ("tem17", {f"item{k}" for k in range(500)}, " - did you mean item17?"),
    ],
)
def test_suggestions(key: str, known: set[str], says: str) -> None:
    assert nearest(key, known).startswith(says)
    assert bool(nearest(key, known)) == bool(says)


@pytest.mark.parametrize(
    "key",
    [
        "a rather long title of a product nmber 77 with many words in it",
        "A rather long title of a product number 77 with many words in it",
        "a rather long title of a product number 77 with many words in ti",
        "what nobody sells",
        "a" * 100,
        "n" * 100_000,
    ],
)
def test_a_large_catalogue_costs_milliseconds(key: str) -> None:
    start = process_time()
    found = nearest(key, TITLES)
    assert process_time() - start < 0.3
    if "title" in key:
        assert found
    start = process_time()
    assert not close_names(key, {str(number) for number in range(60_000)})
    assert process_time() - start < 0.3


def test_names_of_any_length_are_compared_quickly() -> None:
    start = process_time()
    nearest("a" * 100, {("a" * 300 + str(k)) * (1 + k % 50) for k in range(5000)})
    assert process_time() - start < 0.3
