"""Writes the measured tables from benchmarks/results/ into README.md and docs/, between their markers, and pictures.

uv run benchmarks/report.py            # write
uv run benchmarks/report.py --check    # exit status 1 if a table or picture there is not the stored one
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import advice
import audits
import big_pools
import cold_start
import comparisons
import device_step
import encoder_ml1m
import estimator_picture
import evaluation
import exact_serving
import flat_in_catalogue
import full_softmax
import fuzz
import impressions
import item_to_item
import laboratory
import launches
import leaderboard
import learned_proposal
import many_users
import momentum_memory
import order_of_time
import own_stratum
import preparation
import quality_ml100k
import quality_sparse
import quality_sports
import quality_strata
import ranking_sizes
import recipes_ml100k
import recommend_start
import retrieval_scale
import sequential_training
import serving_walkthrough
import soak
import start_up
import step_quality
import step_threads
import sweep_overhead
import sweep_times
import sweeps
import temperature
import text_tower
import threads
import time_step
import top_stratum
import trained_bias
import trial_start
import two_tower_training
import what_is_ranked

ROOT = Path(__file__).parent.parent
OF_TIME = ("ml-1m-clock", "ml-1m-clock-known", "ml-1m-time", "ml-1m-temporal")


def main() -> int:
    """Rewrite, or compare."""
    tables = {
        "quality": quality_ml100k.table(),
        "curve": quality_ml100k.curve(),
        "training": sequential_training.table(),
        "two-tower-training": two_tower_training.table(),
        "ranking-sizes": ranking_sizes.table(),
        "launches": launches.table(),
        "step-quality": step_quality.table(),
        "sports": quality_sports.table(),
        "advice": advice.table(),
        "strata-temporal": quality_strata.table(),
        "strata-validation": quality_strata.validation_table(),
        "strata-gain": quality_strata.gain_table(),
        "what-is-ranked": what_is_ranked.table([*quality_strata.LEAVE_ONE_OUT.values(), quality_sports.EXPERIMENT]),
        **{f"strata-{name}": quality_strata.table(each) for name, each in quality_strata.LEAVE_ONE_OUT.items()},
        "audits": audits.table(),
        "recipes": recipes_ml100k.table(),
        "impressions-shown": impressions.table("shown"),
        "impressions-sessions": impressions.table("ml-100k-sessions"),
        "folding": impressions.folding_table(),
        "lab-synthetic": laboratory.table("synthetic"),
        "lab-ml-1m": laboratory.table("ml-1m"),
        "trained-legend": trained_bias.legend(),
        "trained-sports-lies": trained_bias.table("sports", "lies"),
        "trained-sports": trained_bias.table("sports"),
        "trained-sports-seen": trained_bias.table("sports", "seen"),
        "trained-ml-1m-lies": trained_bias.table("ml-1m", "lies"),
        "trained-ml-1m": trained_bias.table("ml-1m"),
        "trained-ml-1m-seen": trained_bias.table("ml-1m", "seen"),
        "trained-two-tower-lies": trained_bias.table("two-tower", "lies"),
        "trained-two-tower": trained_bias.table("two-tower"),
        "learned-proposal": learned_proposal.table(),
        "own-stratum": own_stratum.table(),
        "top-stratum": top_stratum.table(),
        "order": order_of_time.table(),
        "many-users": many_users.table(),
        "flat": flat_in_catalogue.table(),
        "full-softmax": full_softmax.table(),
        "big-pools": big_pools.table(),
        "device-step": device_step.table(),
        "encoder": encoder_ml1m.table(),
        "ml-1m-256": comparisons.table("ml-1m-256"),
        **{name: comparisons.table(name, "train CPU s") for name in OF_TIME},
        **{f"{name}-curve": comparisons.curve(name) for name in OF_TIME},
        "time-step": time_step.table(),
        "two-tower-ml-1m": comparisons.table("two-tower-ml-1m", "train CPU s"),
        "general-ml-1m": sweeps.table("general-ml-1m", "user-vectors-ml-1m"),
        "preparation": preparation.table(),
        "cold-start": cold_start.table(),
        "item-to-item": item_to_item.table(),
        "momentum-memory": momentum_memory.table(),
        "temperature-model": temperature.one_model(),
        "temperature-trained": temperature.table(),
        "text-tower": text_tower.table(),
        "evaluation": evaluation.table(),
        "sparse-quality": quality_sparse.table(),
        "serving-train": serving_walkthrough.table("train"),
        "serving-export": serving_walkthrough.table("export"),
        "serving-recommend": serving_walkthrough.table("recommend"),
        "serving-similar": item_to_item.commands(),
        "serving-batch": serving_walkthrough.table("batch"),
        "serving-errors": serving_walkthrough.table("errors"),
        "recommend-start": recommend_start.table(),
        "start-up": start_up.table(),
        "threads": threads.table(),
        "step-threads": step_threads.table(),
        "exact-serving": exact_serving.table(),
        "retrieval-scale": retrieval_scale.table(),
        "sweep-overhead": sweep_overhead.table(),
        "sweep-times": sweep_times.table(),
        "trial-start": trial_start.table(),
        "soak": soak.table(),
        "fuzz": fuzz.table(),
        "ml-1m-short": leaderboard.table("ml-1m", leaderboard.SHORT, "LS"),
        "board-ml-1m": leaderboard.table("ml-1m"),
        "board-ml-100k": leaderboard.recipes(),
    }
    pictures = {module.PICTURE: module.picture() for module in (estimator_picture, trained_bias)}
    stale = []
    for path, drawing in pictures.items():
        if path.read_text(encoding="utf-8") != drawing:
            stale.append(path.name)
            if "--check" not in sys.argv:
                path.write_text(drawing, encoding="utf-8")
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = path.read_text(encoding="utf-8")
        new = text
        for name, table in tables.items():
            pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
            new = pattern.sub(lambda match, table=table: f"{match[1]}\n{table}\n\n{match[2]}", new)
        if new != text:
            stale.append(path.name)
            if "--check" not in sys.argv:
                path.write_text(new, encoding="utf-8")
    if stale and "--check" in sys.argv:
        print(f"not what benchmarks/results/ holds: {', '.join(stale)}; run benchmarks/report.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
