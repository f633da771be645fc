"""A run that is killed with -9 and resumed ends with exactly the weights and metrics of one that was not."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

COMMON: dict[str, Any] = {"data_path": "data", "epochs": 5, "state": "ERROR", "show_progress": False}
TOWERS, SEQUENCES = {**COMMON, "train_batch_size": 64}, {**COMMON, "train_batch_size": 12, "MAX_ITEM_LIST_LENGTH": 8}
SCHEDULED = {"temperature_mode": "scheduled", "temperature_end": 0.5, "temperature_steps": 30}
# Name, model, settings, and where to kill: at which of these is drawn.
RECIPES: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "CBNS": ("TwoTowerCBNSCorrectedLogQ", {**TOWERS, "negatives.warmup_steps": 2}, ["step", "step", "writing"]),
    "XIR": ("SASRecXIR", SEQUENCES, ["step", "step", "evaluation"]),
    "Streaming": ("TwoTowerStreamingLogQ", {**TOWERS, "lr_schedule": "cosine"}, ["step", "step", "between"]),
    "scheduled temperature": ("SASRecCorrectedLogQ", {**SEQUENCES, **SCHEDULED}, ["step", "step", "writing"]),
    "sparse tables": ("SASRecMNSCorrectedLogQ", {**SEQUENCES, "sparse_embeddings": True}, ["step", "evaluation"]),
    "drawn negatives": ("TwoTowerUniform", {**TOWERS, "dropout": 0.2}, ["step", "writing"]),
    "buckets": ("SASRecSCE", SEQUENCES, ["step", "evaluation"]),
    "RecBole's BPR": ("BPR", TOWERS, ["step", "between"]),
}
# Of five epochs with ten steps each: from the second on, since a run killed in its first starts again. There are a test
# beside five validations, and seven checkpoints or more.
LIMITS = {"step": (11, 50), "evaluation": (1, 6), "writing": (1, 7), "between": (1, 7)}


def drawn() -> list[tuple[int, str, str, int]]:
    draw, kills = random.Random(9), []
    for name, (_, _, places) in RECIPES.items():
        for where in places:
            n = draw.randint(*LIMITS[where])
            kills.append((len(kills) + 1, name, where, n))
    return kills


KILLS = drawn()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "name", "where", "n"), KILLS)
def test_resumed_is_as_if_nothing_happened(
    killer: Any, tmp_path: Path, tiny: str, seen: Any, number: int, name: str, where: str, n: int
) -> None:
    model, settings, _ = RECIPES[name]
    data = tmp_path / "data" / "tiny"
    data.mkdir(parents=True)
    (data / "tiny.inter").write_text(tiny)
    found = killer({"model": model, "settings": settings, "kill": [where, n], "data": str(data.parent)})
    assert found["signal"] == signal.SIGKILL
    assert len(found["half_written"]) == (where == "writing")
    assert found["resumed"] == found["whole"]
    after = found["resumed_after_epoch"]
    went_on = "the start: nothing was kept yet" if after is None else f"the end of epoch {after}"
    # The best model and the last state; nothing lies about that was half written.
    assert len([file for file in found["files"] if after is not None or not file.startswith(".")]) == 2
    place = {"step": f"in step {n}", "evaluation": f"in evaluation {n}", "writing": f"writing checkpoint {n}"}
    place["between"] = f"after checkpoint {n} was put in place"
    seen("kills", str(number), f"{name} (`{model}`)", place[where], went_on, "the same to the last bit")


def test_the_list_is_whole(names_in_page: Callable[[str], list[str]]) -> None:
    assert len(KILLS) >= 20
    assert all(sum(name == one for _, name, _, _ in KILLS) >= 2 for one in RECIPES)
    assert {where for _, _, where, _ in KILLS} == {"step", "evaluation", "writing", "between"}
    assert names_in_page("kills") == [str(number) for number, *_ in KILLS]
