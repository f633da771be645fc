"""Encoders of the user's own: their names, settings and what they leave unread."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from recbole.model.general_recommender.bpr import BPR
from torch import nn

from recbole_logq import load, run
from recbole_logq.config import Config
from recbole_logq.errors import RequestError
from recbole_logq.experiment.restore import restore_own
from recbole_logq.lab.checkpoint_subject import checkpoint_subject
from recbole_logq.models.encoders import encoder_defaults
from recbole_logq.models.history_encoder import HistoryEncoder
from recbole_logq.models.resolve import RECIPE, resolve_model, settings_of, split_name
from recbole_logq.models.two_tower import TwoTower
from recbole_logq.plugins import load_plugins
from recbole_logq.registry import encoders, models, recipes
from recbole_logq.setting_types import Count
from recbole_logq.settings import RetrievalSettings, TwoTowerSettings

QUICK: dict[str, Any] = {"epochs": 2, "show_progress": False, "state": "WARNING", "MAX_ITEM_LIST_LENGTH": 10}


class LastSettings(RetrievalSettings):
    n_last: Count = 2
    temperature: float = 0.5


class SASRecX(HistoryEncoder):
    """The mean of the last items."""

    settings = LastSettings

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.items = nn.Embedding(self.n_items, config["embedding_size"], padding_idx=0)
        self.n_last = config["n_last"]
        self.build_retrieval(config, dataset)

    def item_vectors(self, ids: Any) -> torch.Tensor:
        return self.scorer.item(self.items.weight if ids is None else self.items(ids))

    def history_vectors(self, items: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        place = torch.arange(items.shape[1])
        used = (place < lengths[:, None]) & (place >= lengths[:, None] - self.n_last)
        return (self.items(items) * used[..., None]).sum(1) / used.sum(1, keepdim=True)


@pytest.fixture
def registered(own_code: Path) -> None:
    encoders.add("SASRecX", SASRecX, summary="of a test")


def test_the_encoder_that_leaves_the_name_of_a_recipe(registered: None) -> None:
    assert split_name("SASRecXIR") == ("SASRec", "XIR")  # SASRecX has no recipe IR
    assert split_name("SASRecXXIR") == ("SASRecX", "XIR")
    assert split_name("SASRecXLogQ") == ("SASRecX", "LogQ")
    assert split_name("SASRecX") is None
    assert settings_of("SASRecXLogQ") is LastSettings
    defaults = encoder_defaults("SASRecX")
    assert (defaults["n_last"], defaults["temperature"], defaults["embedding_size"]) == (2, 0.5, 64)


def test_an_encoder_derived_from_one_of_this_package_has_its_settings(own_code: Path) -> None:
    class Wide(TwoTowerSettings):
        dropout: float = 0.5
        width: Count = 3

    encoders.add("Tower", type("Tower", (TwoTower,), {"__module__": __name__}), summary="of a test")
    encoders.add("WideTower", type("WideTower", (TwoTower,), {"settings": Wide}), summary="of a test")
    assert settings_of("TowerLogQ") is TwoTowerSettings
    assert encoder_defaults("Tower") == encoder_defaults("TwoTower")
    assert encoder_defaults("WideTower") == {**encoder_defaults("TwoTower"), "dropout": 0.5, "width": 3}
    assert (
        Config("TowerLogQ", "ml-100k", None, {"history_pooling": "mean"})["mlp_sizes"]
        == encoder_defaults("Tower")["mlp_sizes"]
    )


def test_a_name_with_two_meanings_is_refused(registered: None) -> None:
    recipes.add("XLogQ", {"loss": "logq"}, summary="of a test")
    with pytest.raises(
        RequestError, match=r"SASRecXLogQ has 2 meanings: encoder SASRec \(recbole_logq/.*test_encoders"
    ):
        split_name("SASRecXLogQ")
    assert split_name("SASRecXIR") == ("SASRec", "XIR")
    models.add("SASRecXIR", BPR, summary="of a test")
    with pytest.raises(RequestError, match=r"SASRecXIR has 2 meanings: .* and a model of that name .*test_encoders"):
        resolve_model("SASRecXIR")


def test_it_is_trained_like_the_others(registered: None, ml100k_cut: Path) -> None:
    settings = {**QUICK, "data_path": str(ml100k_cut), "n_last": 3, "learning_rate": 0.01, "weight_field": "rating"}
    result = run("SASRecXLogQ", "cut", config_dict=settings)
    first, second = (epoch["train_loss"] for epoch in result["history"])
    assert second < first
    loaded = load(result["checkpoint"])
    batch = next(iter(loaded.train))
    assert loaded.model.queries(batch).shape == (len(batch), 64)
    scores = loaded.model.full_sort_predict(batch).view(len(batch), -1)
    picked = scores.gather(1, batch["item_id"][:, None])[:, 0]
    assert torch.allclose(loaded.model.predict(batch), picked, atol=1e-5)
    assert loaded.valid is not None
    assert loaded.config["n_last"] == 3
    # Its rows are drawn one by one, whatever windows its data could be cut into.
    subject = checkpoint_subject(restore_own(result["checkpoint"]), rows=8)
    assert torch.equal(subject.counts.unit_counts, loaded.model.target_counts)


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("n_last", 0, "n_last=0: input should be greater"),
        ("n_lst", 3, "unknown setting n_lst - did you mean n_last"),
        ("mlp_sizes", [4], "unknown setting mlp_sizes"),
        ("item_features", ["class"], "item_features=.*: no line of SASRecXLogQ reads it"),
        ("gradient_cache", 5, "gradient_cache=5: no line of SASRecXLogQ reads it"),
        ("id_dropout", 0.5, "id_dropout=0.5: it leaves ids out"),
        ("use_item_id", False, "use_item_id=false: an item without its id"),
        ("sparse_embeddings", True, "sparse_embeddings=True: no line"),
        ("segment_field", "age", "segment_field: rows hold items of all"),
        ("n_heads", 2, "unknown setting n_heads"),
    ],
)
def test_settings_that_it_does_not_have(own_code: Path, setting: str, value: Any, message: str) -> None:
    # In a file that holds nothing else: what its text names may be read.
    head = Path(__file__).read_text(encoding="utf-8").partition("QUICK")[0]
    text = f"{head}{inspect.getsource(LastSettings)}{inspect.getsource(SASRecX)}"
    (own_code / "my_encoder.py").write_text(f"{text}\nencoders.add('SASRecX', SASRecX, summary='')\n", encoding="utf-8")
    load_plugins("my_encoder.py")
    with pytest.raises(RequestError, match=message):
        Config("SASRecXLogQ", "cut", None, {setting: value})


def test_a_class_instead_of_a_name(own_code: Path, ml100k_cut: Path) -> None:
    settings = {**QUICK, "data_path": str(ml100k_cut), "epochs": 1}
    by_class = run(SASRecX, "cut", config_dict=settings)  # type: ignore[arg-type, unused-ignore]
    assert by_class["model"] == f"SASRecX{RECIPE}"
    assert by_class["model_class"].endswith("test_encoders.SASRecX")
    assert by_class["parameters"]["loss"] == "corrected_logq"
    by_name = run(f"SASRecX{RECIPE}", "cut", config_dict=settings, saved=False)
    assert by_name["test_result"] == by_class["test_result"]
    encoders._entries.pop("SASRecX")  # as in another process
    with pytest.raises(RequestError, match=r"is of .*SASRecX, a class that is no name: in Python, load\("):
        load(by_class["checkpoint"])
    assert load(by_class["checkpoint"], model=SASRecX).model.n_last == 2


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (int, "encoder 'Bad' is <class 'int'>: make it a class of RetrievalMixin"),
        (type("Bad", (SASRecX,), {"settings": dict}), "its settings are <class 'dict'>"),
        (type("Bad", (HistoryEncoder,), {}), "encoder 'Bad' has no item_vectors"),
    ],
)
def test_what_is_no_encoder(own_code: Path, entry: Any, message: str) -> None:
    encoders.add("Bad", entry, summary="")
    with pytest.raises(RequestError, match=message):
        resolve_model("BadLogQ")
