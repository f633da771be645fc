"""The one store of runs: what is written is read, what is no record is refused, what was cut off too, or missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from recbole_logq.errors import RequestError
from recbole_logq.experiment.run_store import RunStore, StoredRun


class Counted(StoredRun):
    """A record of something that is counted."""

    count: int


def test_records_of_a_folder(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs", Counted, kind="count", again="it is counted again")
    assert store.read("a-0.5") is None
    assert store.names() == []
    store.write("a-0.5", {"count": 1, "more": [1]})
    store.write("b", {"count": 2, "status": "failed", "error": "why"})
    assert dict(store.all()) == {
        "a-0.5": {"count": 1, "more": [1]},
        "b": {"count": 2, "status": "failed", "error": "why"},
    }
    store.forget("b")
    assert store.names() == ["a-0.5"]
    store.write("a-0.5", {"count": "1"})
    with pytest.raises(RequestError, match=r"a-0\.5\.json is no record of a count \(count: .* it is counted again"):
        store.read("a-0.5")
    store.file("a-0.5").write_text('{"count": 1')
    with pytest.raises(RequestError, match="cannot be read"):
        dict(store.all())
    assert store.read("a-0.5", damaged_is_missing=True) is None
