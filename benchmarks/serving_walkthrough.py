"""The commands of docs/serving.md on ml-1m, from training to recommendations, and what they print.

    uv run benchmarks/serving_walkthrough.py          # runs everything, about three CPU minutes, and stores it
    uv run benchmarks/serving_walkthrough.py --table  # only what is stored

One thread. The training is short, so the recommendations are not the best that the model can give. Log lines before
the last ones of a command are left out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

from recbole_logq.experiment.machine_facts import versions

ROOT = Path(__file__).parent.parent
RESULT = Path(__file__).parent / "results" / "serving_walkthrough.json"
START = "uv run run_recbole_logq.py"
SAVED, FOLDER = "saved/walk-through", "output/ml-1m"
ASKED = "output/asked.csv"
VISITOR = '--history="Alien (1979),Aliens (1986)"'
COMMANDS: dict[str, list[tuple[str, int]]] = {
    "train": [
        (
            f"{START} --model=SASRecCorrectedLogQ --dataset=ml-1m --epochs=4 --topk=[10] --valid_metric=NDCG@10 "
            f"--show_progress=false --checkpoint_dir={SAVED}",
            4,
        )
    ],
    "export": [
        (f"{START} export --checkpoint=CHECKPOINT --folder={FOLDER} --index=hnsw --overwrite=true", 99),
        (f"ls -s --block-size=K {FOLDER}", 99),
    ],
    "recommend": [
        (f"{START} recommend --model={FOLDER} --users=1m_1,1m_2 --k=3 --exclude_history=true", 99),
        (f"{START} recommend --model={FOLDER} {VISITOR} --k=5 --exclude_history=true", 99),
    ],
    "similar": [
        (f'{START} recommend --model={FOLDER} --items="Alien (1979)" --k=5', 99),
        (f'{START} recommend --model={FOLDER} --items="Alien (1979)" --by=queries --k=5', 99),
    ],
    "batch": [
        (f"printf 'user\\n1m_3\\n1m_4\\n' > {ASKED}", 99),
        (f"{START} recommend --model={FOLDER} --input={ASKED} --output=output/top.csv --k=2 --show_progress=false", 99),
        ("cat output/top.csv", 99),
    ],
    "errors": [
        (f"{START} recommend --model={FOLDER} --users=1m_99999", 1),
        (f'{START} recommend --model={FOLDER} --history="Allien (1979)"', 1),
        (f"{START} recommend --model={FOLDER} --users=1m_1 --k=0", 1),
        (f"{START} recommend --model={FOLDER} --users=1m_1 --context=hour=12", 1),
        (f'{START} recommend --model={FOLDER} --items="Alien (1979)" --k=3706', 1),
        (f"{START} export --checkpoint=CHECKPOINT --folder={FOLDER}", 1),
        (f"truncate -s 100 {FOLDER}/encoder.safetensors", 99),
        (f"{START} recommend --model={FOLDER} --users=1m_1", 1),
    ],
}


def main() -> None:
    """Run the commands one after the other, with the checkpoint that the first one names."""
    if "--table" not in sys.argv:
        (ROOT / "output").mkdir(exist_ok=True)
        steps: dict[str, list[dict[str, Any]]] = {}
        file = ""
        for name, commands in COMMANDS.items():
            steps[name] = []
            for text, kept in commands:
                command = text.replace("CHECKPOINT", file)
                lines = [line.rstrip() for line in _printed(command).splitlines()]
                if name == "train":
                    file = lines[-1].split("checkpoint: ")[1].strip()
                steps[name].append({"command": command, "lines": lines[-kept:]})
        content = {"date": date.today().isoformat(), "versions": versions(), "steps": steps}
        RESULT.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    for name in COMMANDS:
        print(table(name))


def _printed(command: str) -> str:
    local = command.replace(START, f'"{sys.executable}" run_recbole_logq.py')
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "100"}
    process = subprocess.run(
        local, shell=True, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if process.returncode not in (0, 2):
        raise SystemExit(f"{command}\n{process.stdout}")
    return process.stdout


def table(name: str) -> str:
    """The commands of a step and what they printed, as a block of Markdown."""
    if not RESULT.is_file():
        return "Not run yet."
    lines: list[str] = []
    for step in json.loads(RESULT.read_text(encoding="utf-8"))["steps"][name]:
        lines += [*([""] if lines else []), f"$ {step['command']}", *step["lines"]]
    return "\n".join(["```console", *lines, "```"])


if __name__ == "__main__":
    main()
