"""The page on RecBole's habits: its lines and its commands run, in order, on the shop that it writes.

Lines of Python run here, commands in processes of their own, as for the reader.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "recbole-habits.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(python|sh)\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.slow
def test_everything_on_the_page_runs(commands: Any, own_code: Path) -> None:
    """``own_code`` is the current folder, and the plug-in of the page is forgotten afterwards."""
    scope: dict[str, Any] = {}
    ran = []
    for kind, block in BLOCKS:
        if kind == "python":
            exec(block, scope)
            continue
        for line in block.splitlines():
            words = shlex.split(line)
            assert words[0] == "recbole-logq"
            if "NAME.pth" in line:
                (file,) = (own_code / "shop-model").glob("*[0-9a-f].pth")
                words = [word.replace("shop-model/NAME.pth", str(file)) for word in words]
            command = commands.run(*words[1:], cwd=own_code)
            assert command.returncode == 0, f"{line}: {command.stderr[-2000:]}"
            ran.append(words[1])
    own = "--model=TwoTowerCorrectedLogQ"
    recboles = ("--model=DeepFM", "--model=CKE", "--model=MKR")
    assert ran == ["--model=BPR", own, own, "export", "recommend", *recboles, "sweep"]
    assert (own_code / "shop-sweep" / "report.html").exists()
