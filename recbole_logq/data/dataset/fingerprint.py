"""A fingerprint of a split: what exactly was trained, validated and tested on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from recbole.data.dataset import Dataset


def split_fingerprint(
    parts: Sequence[Dataset], rename: Mapping[str, Mapping[str, str]] | None = None
) -> dict[str, str]:
    """Hash the (user, target) pairs of each part by their original tokens.

    Independent of RecBole's internal ids and of row order, so that two runs, machines or sources of the same data can
    be compared.

    Args:
        parts: Training, validation and test dataset.
        rename: Other names of tokens, by field: two copies of the same data that name users or items
            differently have one fingerprint once one copy's names are mapped to the other's.

    Returns:
        16 hexadecimal digits per part, keyed ``train``, ``valid``, ``test``. Where the time of a request is known, the
        last two are others than where it is not: a test that tells more is another one.
    """
    first = parts[0]
    rename = rename or {}
    users = _token_hashes(first, first.uid_field, rename.get(first.uid_field, {}))
    items = _token_hashes(first, first.iid_field, rename.get(first.iid_field, {}))
    prints = {}
    for name, part in zip(("train", "valid", "test"), parts, strict=True):
        # As arrays: a tensor of one id would be taken for a number.
        user_ids, item_ids = (part.inter_feat[field].numpy() for field in (part.uid_field, part.iid_field))
        rows = np.sort(_mix(users[user_ids], items[item_ids]))
        digest = hashlib.sha256(rows.astype("<u8").tobytes())
        if name != "train" and first.config["request_time"] == "known":
            digest.update(b"request_time=known")
        prints[name] = digest.hexdigest()[:16]
    return prints


def id_fingerprint(dataset: Dataset) -> str:
    """Hash which user and item tokens stand behind which internal ids: weights fit only the ids they were made with."""
    digest = hashlib.sha256()
    for field in (dataset.uid_field, dataset.iid_field):
        digest.update(_token_hashes(dataset, field, {}).tobytes())
    return digest.hexdigest()[:16]


def _token_hashes(dataset: Dataset, field: str, names: Mapping[str, str]) -> np.ndarray:
    tokens = [names.get(str(token), token) for token in dataset.field2id_token[field]]
    digests = b"".join(hashlib.blake2b(str(token).encode(), digest_size=8).digest() for token in tokens)
    return np.frombuffer(digests, dtype="<u8")


def _mix(users: np.ndarray, items: np.ndarray) -> np.ndarray:
    # Order-dependent, so that (user a, item b) and (user b, item a) differ; arithmetic wraps modulo 2^64.
    with np.errstate(over="ignore"):
        mixed = users * np.uint64(0x9E3779B97F4A7C15) + items
        mixed ^= mixed >> np.uint64(29)
        return mixed * np.uint64(0xBF58476D1CE4E5B9)
