"""Texts as bags of hashed words and letter trigrams; no vocabulary, so that any text has one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from hashlib import blake2b

import torch
from torch import Tensor

REMEMBERED = 1 << 20
"""Parts whose buckets are kept at hand; a service that sees more texts forgets them then."""
_WORD = re.compile(r"[^\W_]+")


def text_parts(text: str) -> list[str]:
    """Words of a text and their letter trigrams, in the order of the text.

    A word is a run of letters and digits, without regard to case; its trigrams are those of the word between two
    ``#`` (Huang et al., "Learning Deep Structured Semantic Models", CIKM 2013, section 3.2): ``good`` has ``#go``,
    ``goo``, ``ood`` and ``od#``. The word itself is kept apart from trigrams as ``good`` with a blank on either side.
    """
    parts = []
    for word in _WORD.findall(unicodedata.normalize("NFKC", text).casefold()):
        marked = f"#{word}#"
        parts.append(f" {word} ")
        parts += [marked[start : start + 3] for start in range(len(word))]
    return parts


class TextHasher:
    """Numbers of the buckets into which the parts of texts fall.

    The hash is BLAKE2b with 64 bits, of the part in UTF-8, as a little-endian number: the same in every process, on
    every machine, in every version. Two parts in one bucket share a vector.

    Args:
        n_buckets: Buckets, counted from 1 on.
        length: Parts of a text that count, at most; the first ones.

    Attributes:
        n_cut: Texts so far that had more parts.
    """

    def __init__(self, n_buckets: int, length: int) -> None:
        self.n_buckets, self.length, self.n_cut = n_buckets, length, 0
        self._known: dict[str, int] = {}

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Buckets of the parts of texts, int64 ``[texts, longest]``, 0 where a text has no more."""
        rows = [self._row(text) for text in texts]
        filled = torch.zeros(len(rows), max(map(len, rows), default=0), dtype=torch.int64)
        for row, buckets in zip(filled, rows, strict=True):
            row[: len(buckets)] = torch.tensor(buckets, dtype=torch.int64)
        return filled

    def _row(self, text: str) -> list[int]:
        parts = text_parts(text)
        self.n_cut += len(parts) > self.length
        return [self.bucket(part) for part in parts[: self.length]]

    def bucket(self, part: str) -> int:
        """The bucket of a part."""
        bucket = self._known.get(part)
        if bucket is None:
            number = int.from_bytes(blake2b(part.encode(), digest_size=8).digest(), "little")
            if len(self._known) == REMEMBERED:
                self._known.clear()
            bucket = self._known[part] = 1 + number % self.n_buckets
        return bucket
