"""Texts as bags, by hand; the buckets are those that another program of the same hash gives."""

from __future__ import annotations

import math
import shutil
import subprocess
import sys

import pytest
import torch

from recbole_logq.modules import text
from recbole_logq.modules.fields import Column, TokenField
from recbole_logq.modules.text import TextHasher, text_parts

# `printf ' good ' | b2sum -l 64` gives df62fe3f81f8b542, of which the first byte is the least: 0x42b5f8813ffe62df.
# Its rest by 1,000 is 207, and buckets count from 1 on.
GOOD = {" good ": 208, "#go": 617, "goo": 979, "ood": 491, "od#": 104}


def test_words_and_trigrams_of_the_paper() -> None:
    """Section 3.2 of Huang et al. takes the word good apart like this."""
    assert text_parts("good") == list(GOOD)
    assert text_parts("") == text_parts("-- !? __") == []
    assert text_parts("A 7") == [" a ", "#a#", " 7 ", "#7#"]


def test_case_and_forms_of_letters_do_not_matter_and_signs_part_words() -> None:
    assert text_parts("GOOD") == text_parts("good") == text_parts("\uff27ood")  # a full-width G
    assert text_parts("Stra\u00dfe") == text_parts("STRASSE")
    assert text_parts("e\u0301t\u00e9") == text_parts("\u00e9te\u0301") == [" été ", "#ét", "été", "té#"]
    assert text_parts("Children's_Film") == [*text_parts("children"), *text_parts("s"), *text_parts("film")]
    assert text_parts("東京") == [" 東京 ", "#東京", "東京#"]


def test_buckets_are_those_of_another_program() -> None:
    hasher = TextHasher(1000, 9)
    assert hasher(["good"]).tolist() == [list(GOOD.values())]
    assert hasher(["good", "", "a"])[1:].tolist() == [[0] * 5, [hasher.bucket(" a "), hasher.bucket("#a#"), 0, 0, 0]]
    assert hasher([]).shape == (0, 0)
    if shutil.which("b2sum"):
        for part, bucket in GOOD.items():
            line = subprocess.run(["b2sum", "-l", "64"], input=part, capture_output=True, text=True, check=True).stdout
            assert int.from_bytes(bytes.fromhex(line.split()[0]), "little") % 1000 + 1 == bucket


def test_another_process_has_the_same() -> None:
    """Python's own hash of a text differs from one process to the next."""
    code = "from recbole_logq.modules.text import TextHasher; print(TextHasher(1000, 9)(['good']).tolist())"
    for seed in ("1", "2"):
        environment = {"PYTHONHASHSEED": seed, "PATH": ""}
        found = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        )
        assert found.stdout == f"{[list(GOOD.values())]}\n"


def test_a_long_text_is_cut_and_counted() -> None:
    hasher = TextHasher(1000, 3)
    assert hasher(["good", "a", "goo"]).tolist()[0] == [208, 617, 979]
    assert hasher.n_cut == 2  # of 5, 2 and 4 parts


def test_what_is_remembered_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "REMEMBERED", 4)
    hasher = TextHasher(1000, 9)
    before = hasher(["good", "bad"])
    assert len(hasher._known) <= 4
    assert torch.equal(hasher(["good", "bad"]), before)


def test_a_text_is_the_mean_of_the_parts_that_training_has_seen() -> None:
    """Vectors by hand: with ``good`` in training, ``goods`` shares three of its six parts with it."""
    bags = TextHasher(1000, 9)(["", "good", "goods", "zzz"])
    field = TokenField.learned(Column(bags, 1001), torch.tensor([False, True, False, False]), 2, 1.0, sparse=False)
    with torch.no_grad():
        field.embedding.weight.zero_()
        field.embedding.weight[[208, 617, 979, 491, 104]] = torch.tensor(
            [[5.0, 0.0], [1.0, 1.0], [2.0, 0.0], [0.0, 8.0], [7.0, 1.0]]
        )
    found = field(field.prepare(bags))
    # good: all five; goods: #go, goo and ood (" goods ", "ods" and "ds#" are new); zzz and the empty text: nothing.
    expected = [[0.0, 0.0], [3.0, 2.0], [1.0, 3.0], [0.0, 0.0]]
    torch.testing.assert_close(found, torch.tensor(expected))


def test_the_smoothing_factor_is_one_over_the_temperature() -> None:
    """P(D | Q) of the paper's equation 5, gamma = 10: with cosines 1 and 0 it is e^10 / (e^10 + 1)."""
    from recbole_logq.modules.scorer import Scorer

    scorer = Scorer("cosine", 1 / 10)
    query, documents = torch.tensor([[3.0, 0.0]]), torch.tensor([[2.0, 0.0], [0.0, 5.0]])
    scores = scorer.query(query) @ scorer.item(documents).T
    assert scores.softmax(1)[0, 0].item() == pytest.approx(math.exp(10) / (math.exp(10) + 1), rel=1e-6)
