"""Datasets: where their files come from and how interactions become training rows.

* ``convert`` makes RecBole's atomic files of a CSV, JSON Lines, Parquet or sequences, ``ensure_dataset`` fetches a
  known dataset.
* ``create_dataset``, ``split_dataset``, ``create_loaders``: from a ``Config`` to loaders, in exact time;
  ``split_fingerprint`` names a split.
* ``SequenceCache`` and ``SequenceBatches`` train from a mapped file, with torch and numpy alone.
* ``read_new_items`` reads items that training had not.
"""

from __future__ import annotations

from recbole_logq.faces import face

_NAMES = {
    "convert": "source.convert",
    "Report": "source.convert",
    "ensure_dataset": "source.known_datasets",
    "known_datasets": "source.known_datasets",
    "create_dataset": "prepare",
    "split_dataset": "prepare",
    "create_loaders": "prepare",
    "split_fingerprint": "dataset.fingerprint",
    "id_fingerprint": "dataset.fingerprint",
    "SequenceCache": "batches.sequence_cache",
    "SequenceBatches": "batches.sequence_batches",
    "read_new_items": "dataset.new_items",
}
__all__ = [*sorted(_NAMES)]
__getattr__, __dir__ = face(__name__, _NAMES)
