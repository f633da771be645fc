"""Titles as text on ml-1m: a tenth of the items leave training, and are ranked by title, genre, both, or nothing.

    uv run benchmarks/text_tower.py                # all runs that are missing, then the table
    uv run benchmarks/text_tower.py --only=title   # runs whose name contains "title"
    uv run benchmarks/text_tower.py --table        # only the table of what is stored

Data, held-out items, test and what "warm" means are those of benchmarks/cold_start.py. "title-text" reads the column
movie_title by item_text (hashed words and letter trigrams), "title-words" by item_features (a vector for each word that
training has); both without ids, as "genre" is. One thread, recipe CorrectedLogQ, at most 20 CPU seconds of training a
run; the epoch is the one that validation chose.
"""

from __future__ import annotations

from typing import Any

from cold_start import CUTOFF, ColdStart, cold
from cold_start import EXPERIMENT as COLD_START
from stored_runs import mean_and_interval

from recbole_logq.evaluation import paired_over_seeds
from recbole_logq.markup import markdown_table

NO_IDS = {"use_item_id": False}
GENRE, TEXT = {"item_features": ["genre"]}, {"item_text": ["movie_title"]}
ENTRIES: dict[str, dict[str, Any]] = {
    "ids": {},
    "genre": GENRE | NO_IDS,
    "title-words": {"item_features": ["movie_title"]} | NO_IDS,
    "title-text": TEXT | NO_IDS,
    "genre-and-title-text": GENRE | TEXT | NO_IDS,
    "ids-and-title-text": TEXT | {"id_dropout": 0.2},
}
SEEDS = [1, 2, 3]
EXPERIMENT = ColdStart(
    "text_tower",
    "ml-1m",
    {
        name: {"model": "TwoTowerCorrectedLogQ", "seeds": SEEDS, "settings": settings}
        for name, settings in ENTRIES.items()
    },
    {**COLD_START.shared, "max_train_cpu_seconds": 20.0},
    cold,
)
PARTS = {"among_held_out": "held-out items alone", "whole_catalogue": "whole catalogue"}


def table() -> str:
    """Means over seeds with 95 % t intervals, and the differences from genre, seed by seed."""
    heads = [f"{title}, NDCG@{CUTOFF}" for title in PARTS.values()]

    def cells(runs: list[dict[str, Any]]) -> list[str]:
        genre = EXPERIMENT.stored("genre")
        figures = [mean_and_interval([run[part]["ndcg"] for run in runs]) for part in PARTS]
        difference = "-"
        if len(runs) == len(genre) == len(SEEDS) and runs != genre:
            pairs = [[run["among_held_out"]["ndcg"] for run in group] for group in (runs, genre)]
            paired = paired_over_seeds(*pairs)
            if paired is not None:
                difference = f"{paired.difference:+.4f} ± {paired.half_width:.4f}"
        return [*figures, difference, mean_and_interval([run["test_result"]["ndcg@10"] for run in runs])]

    rows = EXPERIMENT.rows(cells)
    if floor := [run["random"]["ndcg"] for run in EXPERIMENT.stored("ids")]:
        rows.insert(0, ["a random ranking, expected", "", mean_and_interval(floor), "", "", ""])
    return markdown_table(["item is", "seeds", *heads, "the first, less that of genre", "warm NDCG@10"], rows)


if __name__ == "__main__":
    EXPERIMENT.main(__doc__ or "", table)
