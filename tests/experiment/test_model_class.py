"""Models of RecBole's kind that are given as classes, as RecBole takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from recbole_logq import compare, evaluate, load, run
from recbole_logq.compat import apply
from recbole_logq.errors import RequestError
from recbole_logq.models.resolve import model_of_class
from recbole_logq.models.two_tower import TwoTower

apply()

from recbole.model.general_recommender import BPR, MultiVAE  # noqa: E402
from recbole.model.sequential_recommender import GRU4Rec  # noqa: E402

QUICK: dict[str, Any] = {"epochs": 1, "show_progress": False, "state": "WARNING", "MAX_ITEM_LIST_LENGTH": 10}


class Mine(BPR):
    """With a setting of its own."""

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.scale = config["my_scale"]


@pytest.mark.parametrize("base", [BPR, GRU4Rec, MultiVAE])
def test_a_class_trains_as_the_model_that_it_is_derived_from(in_tmp: Path, ml100k_cut: Path, base: type) -> None:
    settings = {**QUICK, "data_path": str(ml100k_cut)}
    if base is GRU4Rec:
        settings["train_neg_sample_args"] = None
    derived = type("Derived", (base,), {"__module__": __name__})
    result = run(derived, "cut", config_dict=settings, saved=False)
    assert result["model"] == "Derived"
    assert result["model_class"] == f"{__name__}.Derived"
    assert result["test_result"] == run(base.__name__, "cut", config_dict=settings, saved=False)["test_result"]


def test_its_settings_and_its_checkpoint(in_tmp: Path, ml100k_cut: Path) -> None:
    settings = {**QUICK, "data_path": str(ml100k_cut), "embedding_size": 8}
    result = run(Mine, "cut", config_dict={**settings, "my_scale": 3})
    with pytest.raises(RequestError, match="unknown setting my_scal - did you mean my_scale"):
        run(Mine, "cut", config_dict={**settings, "my_scal": 3})
    file = result["checkpoint"]
    assert torch.load(file, weights_only=True)["model_class"] == f"{__name__}.Mine"
    assert evaluate(file, model=Mine)["test_result"] == result["test_result"]
    loaded = load(file, model=Mine)
    assert (loaded.model.scale, loaded.model.user_embedding.weight.shape[1]) == (3, 8)
    assert not loaded.model.training
    with pytest.raises(
        RequestError, match=rf"is of .*Mine, a class that is no name: in Python, load\('{file}', model="
    ):
        evaluate(file)
    with pytest.raises(RequestError, match="is of the model Mine, not of BPR"):
        load(file, model=BPR)


@pytest.mark.parametrize("given", [int, dict, torch.nn.Linear])
def test_what_is_no_model(in_tmp: Path, given: Any) -> None:
    with pytest.raises(
        RequestError, match=f"model={given.__name__}: give a name, a subclass of RecBole's recommenders"
    ):
        run(given, "cut")


def test_compare_says_how_a_class_gets_a_name(in_tmp: Path) -> None:
    with pytest.raises(RequestError, match=r'models: Mine is a class, .* @models.register\("Mine", summary='):
        compare(config_dict={"models": [Mine, "BPR"], "dataset": "cut"})
    with pytest.raises(RequestError, match="models: Mine is a class"):
        compare(config_dict={"models": [{"model": Mine, "name": "mine"}], "dataset": "cut"})


@pytest.mark.parametrize(("base", "name"), [(BPR, "TwoTowerLogQ"), (GRU4Rec, "SASRecCorrectedLogQ")])
def test_a_class_is_not_taken_for_the_model_that_it_has_the_name_of(in_tmp: Path, base: type, name: str) -> None:
    with pytest.raises(RequestError, match=rf"model={name}: the class has the name of encoder .*; rename the class"):
        run(type(name, (base,), {"__module__": __name__}), "cut")


def test_an_encoder_of_ones_own_with_the_name_of_a_model(own_code: Path) -> None:
    class TwoTowerLogQ(TwoTower):
        """Another one."""

    model = type("TwoTowerLogQ", (TwoTower,), {"__module__": TwoTower.__module__})
    assert model_of_class(model) == ("TwoTowerLogQ", model)  # what the name itself stands for
    name, own = model_of_class(TwoTowerLogQ)
    assert name == "TwoTowerLogQCorrectedLogQ"
    assert issubclass(own, TwoTowerLogQ)
