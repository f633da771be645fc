"""A run that is killed with -9 and resumed ends with exactly the weights and metrics of one that was not."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

COMMON: dict[str, Any] = {"data_path": "data", "epochs": 5, "state": "ERROR", "show_progress": False}
TOWERS, SEQUENCES = {**COMMON, "train_batch_size": 64}, {**COMMON, "train_batch_size": 12, "MAX_ITEM_LIST_LENGTH": 8}
SCHEDULED = {"temperature_mode": "scheduled", "temperature_end": 0.5, "temperature_steps": 30}
# Name, model, settings, steps in all, and where to kill: at which of these is drawn.
RECIPES: dict[str, tuple[str, dict[str, Any], int, list[str]]] = {
    "CBNS": ("TwoTowerCBNSCorrectedLogQ", {**TOWERS, "negatives.warmup_steps": 2}, 45, ["step", "step", "writing"]),
    "XIR": ("SASRecXIR", SEQUENCES, 25, ["step", "step", "evaluation"]),
    "Streaming": ("TwoTowerStreamingLogQ", {**TOWERS, "lr_schedule": "cosine"}, 45, ["step", "step", "between"]),
    "scheduled temperature": ("SASRecCorrectedLogQ", {**SEQUENCES, **SCHEDULED}, 25, ["step", "step", "writing"]),
    "sparse tables": ("SASRecMNSCorrectedLogQ", {**SEQUENCES, "sparse_embeddings": True}, 25, ["step", "evaluation"]),
    "drawn negatives": ("TwoTowerUniform", {**TOWERS, "dropout": 0.2}, 45, ["step", "writing"]),
    "buckets": ("SASRecSCE", SEQUENCES, 25, ["step", "evaluation"]),
    "RecBole's BPR": ("BPR", TOWERS, 45, ["step", "between"]),
}


def drawn() -> list[tuple[int, str, str, int]]:
    draw, kills = random.Random(9), []
    for name, (_, _, steps, places) in RECIPES.items():
        for where in places:
            n = draw.randint(1, {"step": steps, "evaluation": 6}.get(where, 7))
            kills.append((len(kills) + 1, name, where, n))
    return kills


KILLS = drawn()


@pytest.fixture(scope="module")
def killer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[dict[str, Any]], dict[str, Any]]]:
    """Kills and resumes one run after the other; everything is imported once."""
    folder = tmp_path_factory.mktemp("killer")
    command = [sys.executable, str(Path(__file__).with_name("killer.py"))]
    with subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def ask(job: dict[str, Any]) -> dict[str, Any]:
            print(json.dumps(job), file=process.stdin, flush=True)
            return json.loads(process.stdout.readline())  # type: ignore[union-attr]

        yield ask
        process.stdin.close()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "name", "where", "n"), KILLS)
def test_resumed_is_as_if_nothing_happened(
    killer: Any, tmp_path: Path, tiny: str, seen: Any, number: int, name: str, where: str, n: int
) -> None:
    model, settings, _, _ = RECIPES[name]
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
