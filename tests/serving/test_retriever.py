"""An exported folder in use: without RecBole, with histories of every length, and damaged."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recbole_logq.errors import RequestError
from recbole_logq.serving import Retriever

pytestmark = pytest.mark.slow
Exported = Callable[[str], Path]

WITHOUT_RECBOLE = """
import sys

sys.modules.update(dict.fromkeys(["recbole", "ray", "faiss"]))  # importing them fails
from recbole_logq.serving import Retriever

retriever = Retriever.load(sys.argv[1])
users = retriever.users.to_pylist()[:3]
found = retriever.recommend(users, k=4, exclude_history=True)
print(found.items)
slow = {"pandas", "sympy", "torch._dynamo", "pyarrow.dataset"} & set(sys.modules)
assert not slow, slow
"""


@pytest.mark.parametrize("name", ["ids", "sasrec"])
def test_it_loads_without_recbole(exported: Exported, tmp_path: Path, name: str) -> None:
    command = [sys.executable, "-c", WITHOUT_RECBOLE, str(exported(name))]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    retriever = Retriever.load(exported(name))
    users = retriever.users.to_pylist()[:3]
    assert done.stdout == f"{retriever.recommend(users, k=4, exclude_history=True).items}\n"


@pytest.mark.parametrize("name", ["history", "sasrec"])
def test_only_the_latest_items_count(exported: Exported, name: str) -> None:
    retriever = Retriever.load(exported(name))
    length, items = retriever.described.items_seen, retriever.catalogue["item"].to_pylist()
    assert length == {"history": 7, "sasrec": 10}[name]
    latest = items[5 : 5 + length]
    same = retriever.queries(histories=[latest, items[100:103] + latest, items[200:230] + latest])
    torch.testing.assert_close(same, same[:1].expand(3, -1), rtol=1e-5, atol=1e-6)
    other = retriever.queries(histories=[latest[1:], latest[:-1] + items[300:301]])
    assert (other - same[0]).abs().amax(1).min() > 1e-3
    # One at a time or together.
    alone = torch.cat([retriever.queries(histories=[one]) for one in (latest, latest[:2], latest[:1])])
    together = retriever.queries(histories=[latest, latest[:2], latest[:1]])
    torch.testing.assert_close(alone, together, rtol=1e-5, atol=1e-6)


def test_a_user_is_the_users_history(exported: Exported) -> None:
    retriever = Retriever.load(exported("sasrec"))
    tokens = retriever.catalogue["item"].to_pylist()
    user, start, end = retriever.users[3].as_py(), *retriever._offsets[3:5].tolist()
    history = [tokens[item - 1] for item in retriever._history[start:end].tolist()]
    assert len(history) > 10
    known = retriever.recommend(users=[user], k=50, exclude_history=True)
    visitor = retriever.recommend(histories=[history], k=50, exclude_history=True)
    assert known.items == visitor.items
    np.testing.assert_allclose(known.scores, visitor.scores, rtol=1e-5)
    assert not set(known.items[0]) & set(history)
    everything = retriever.recommend(users=[user], k=len(tokens), exclude_history=True)
    assert len(everything.items[0]) == len(tokens) - len(set(history))  # fewer than k are left
    assert set(retriever.recommend(users=[user], k=len(tokens)).items[0]) == set(tokens)


def test_a_visitor_without_history(exported: Exported) -> None:
    (query,) = Retriever.load(exported("history")).queries(histories=[[]])
    assert query.abs().max() > 0  # what the tower has for it
    with pytest.raises(RequestError, match="a visitor has an empty history"):
        Retriever.load(exported("sasrec")).recommend(histories=[["50"], []])


def test_a_text_is_no_list(exported: Exported) -> None:
    retriever = Retriever.load(exported("history"))
    user, item = str(retriever.users[0].as_py()), str(retriever.catalogue["item"][0].as_py())
    two = [user, user]
    for request, message in (
        (lambda: retriever.recommend(users=user), "users: .* is one text"),
        (lambda: retriever.recommend(histories=item), "histories: .* is one text"),
        (lambda: retriever.recommend(histories=[item]), "items: .* is one text"),
        (lambda: retriever.similar(item), "items: .* is one text"),
        (lambda: retriever.recommend(users=[user], exclude_history="false"), "exclude_history='false': True or False"),
        (lambda: retriever.recommend(users=[f"{user}_"]), f"did you mean {user}\\?; what a visitor had"),
        (lambda: retriever.recommend(users=two, k=1).to_table(["a"]), "names: 1 for 2 rows"),
        (lambda: retriever.recommend(users=two, k=1).to_table("ab"), "names: 'ab' is one text"),
    ):
        with pytest.raises(RequestError, match=message):
            request()


def test_titles_and_tables(exported: Exported) -> None:
    retriever = Retriever.load(exported("sasrec"))
    found = retriever.recommend(histories=[["50"], ["1", "50"]], k=3)
    assert found.titles is not None
    table = found.to_table(["a", "b"]).to_pydict()
    assert table["user"] == ["a"] * 3 + ["b"] * 3
    assert table["rank"] == [1, 2, 3] * 2
    assert table["item"] == found.items[0] + found.items[1]
    assert table["title"] == found.titles[0] + found.titles[1]
    assert table["score"] == found.scores.flatten().tolist()


def _manifest(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        file = folder / "manifest.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))

    return change


def _flip(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(content)

    return change


def _cut(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-100]) and None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_manifest(format_version=1), "an export of format 1, and recbole_logq 0.2.0 reads 2: export again"),
        (_manifest(format="another"), "export again"),
        (_manifest(files={}), "does not list config.json"),
        (_manifest(files=[]), "manifest.json is damaged"),
        (_manifest(index={}), "manifest.json is damaged"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "manifest.json is damaged"),
        (lambda folder: (folder / "manifest.json").unlink(), "has no manifest.json"),
        (lambda folder: (folder / "users.parquet").unlink(), "has no users.parquet"),
        (_cut("item_vectors.npy"), "item_vectors.npy is not the file that was exported"),
        (_flip("item_vectors.npy"), "item_vectors.npy is not the file that was exported"),
        (_flip("encoder.safetensors"), "encoder.safetensors is not the file that was exported"),
        (_flip("users.parquet"), "users.parquet is not the file that was exported"),
        (shutil.rmtree, "no folder at"),
    ],
)
def test_a_damaged_folder_is_one_line(
    exported: Exported, tmp_path: Path, change: Callable[[Path], Any], message: str
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(exported("ids"), folder)
    Retriever.load(folder)
    change(folder)
    with pytest.raises(RequestError) as error:
        Retriever.load(folder)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
