"""Priorities, defaults, and refusals before any data is touched."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from recbole_logq.config import Config
from recbole_logq.errors import RequestError
from recbole_logq.models.resolve import own_models
from recbole_logq.parsing import TEXT_SETTINGS, parse_arguments
from recbole_logq.registry import losses, samplers
from recbole_logq.setting_texts import read_texts
from recbole_logq.settings import RetrievalSettings, SASRecSettings, TwoTowerSettings


def make(model: str = "TwoTowerCorrectedLogQ", dataset: str = "ml-100k", **given: Any) -> Config:
    return Config(model, dataset, None, given)


def test_the_dict_wins_over_files_and_later_files_over_earlier(tmp_path: Path) -> None:
    first, second = tmp_path / "1.yaml", tmp_path / "2.yaml"
    first.write_text("epochs: 1\nlearning_rate: 0.1\nnegatives: {count: 7}\n", encoding="utf-8")
    second.write_text("epochs: 2\nlearning_rate: 0.2\n", encoding="utf-8")
    config = Config("TwoTowerCorrectedLogQ", "ml-100k", [str(first), str(second)], {"epochs": 3})
    assert (config["epochs"], config["learning_rate"]) == (3, 0.2)
    # A key of a section leaves the recipe's other keys alone.
    assert config["negatives"] == {"source": "in_batch", "count": 7}


def test_a_part_of_a_section_leaves_what_files_say_of_the_rest(tmp_path: Path) -> None:
    file, more = tmp_path / "a.yaml", tmp_path / "b.yaml"
    file.write_text(
        "val_interval: {rating: '[3,inf)'}\nclip_grad_norm: {max_norm: 1, norm_type: 1}\n"
        "train_neg_sample_args: {distribution: popularity, sample_num: 2}\n",
        encoding="utf-8",
    )
    more.write_text("val_interval: {city: [NO]}\n", encoding="utf-8")
    parts = {"val_interval.country": ["NO"], "clip_grad_norm.max_norm": 5, "train_neg_sample_args.sample_num": 3}
    config = Config("BPR", "ml-100k", [str(file), str(more)], parts)
    assert config["val_interval"] == {"rating": "[3,inf)", "city": ["NO"], "country": ["NO"]}
    assert config["clip_grad_norm"].items() >= {"max_norm": 5, "norm_type": 1}.items()
    assert (
        config["train_neg_sample_args"] | {"distribution": "popularity", "sample_num": 3}
        == (config["train_neg_sample_args"])
    )


def test_dynamic_negatives_need_candidates() -> None:
    with pytest.raises(RequestError, match="train_neg_sample_args"):
        make("BPR", **{"train_neg_sample_args.dynamic": True})


def test_another_source_or_loss_leaves_the_recipes_options_behind() -> None:
    config = Config("TwoTowerPopularity", "ml-100k", None, {"negatives.source": "uniform"})
    assert config["negatives"] == {"source": "uniform", "count": 256}
    config = Config("TwoTowerPopularity", "ml-100k", None, {"negatives.count": 9})
    assert config["negatives"] == {"source": "popularity", "count": 9, "alpha": 0.75}
    assert not Config("SASRecGBCE", "ml-100k", None, {"loss": "bce"})["loss_options"]
    assert Config("SASRecGBCE", "ml-100k", None, {"loss_options": {"t": 0.5}})["loss_options"] == {"t": 0.5}


@pytest.mark.parametrize(
    ("model", "settings", "message"),
    [
        ("TwoTowerUniform", {"negatives.alpha": 0.5}, "unknown setting negatives.alpha (source=uniform has count)"),
        ("TwoTowerMNS", {"negatives.law": "both"}, "law must be mixture or per_part"),
        ("TwoTowerMNS", {"negatives.uniform_share": 1}, "uniform_share must be between 0 and 1"),
        ("TwoTowerMNS", {"negatives.uniform_share": "half"}, "negatives: "),
        ("TwoTowerCBNS", {"negatives.memry": 4}, "unknown setting negatives.memry - did you mean memory?"),
        ("TwoTowerCBNS", {"negatives.memory": 0}, "memory must be a whole number from 1 up"),
        ("TwoTowerStreamingLogQ", {"negatives.rate": 0}, "rate=0"),
        ("TwoTowerMNS", {"negatives.count": 1}, "needs a count of 2 or more"),
        ("TwoTowerPopularity", {"negatives.count": None}, "needs a count"),
        ("TwoTowerGBCE", {"loss_options": {"t": 2}}, "t must be between 0 and 1"),
        ("TwoTowerGBCE", {"loss_options": {"q": 2}}, "loss_options.q: gbce has no such option"),
        ("SASRecInfoNCE", {"similarity": "dot"}, "set similarity=cosine"),
    ],
    ids=str,
)
def test_options_that_do_not_fit(model: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=re.escape(message)):
        Config(model, "ml-100k", None, settings)


def test_model_and_dataset_may_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("model: SASRecLogQ\ndataset: ml-100k\n", encoding="utf-8")
    config = Config(config_file_list=[str(path)])
    assert Config(config_file_list=str(path)).final_config_dict == config.final_config_dict
    with pytest.raises(RequestError, match="settings themselves go into config_dict"):
        Config(config_file_list={"epochs": 2})
    assert (config["model"], config["dataset"], config["loss"]) == ("SASRecLogQ", "ml-100k", "logq")


def test_the_command_line_of_the_process_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["pytest", "--cov=src", "--epochs=__import__('os').abort()"])
    assert make()["epochs"] == 300


def test_text_values_are_parsed_not_evaluated() -> None:
    config = make(epochs="7", topk="[5, 10]", wandb_project="__import__('os').abort()", log_wandb=True)
    assert (config["epochs"], config["topk"]) == (7, [5, 10])
    assert config["wandb_project"] == "__import__('os').abort()"


def test_time_is_loaded_where_order_needs_it() -> None:
    assert make("BPR", "ml-1m")["load_col"] == {"inter": ["user_id", "item_id"]}
    for model in ("SASRec", "SASRecCorrectedLogQ"):
        config = make(model, "ml-1m", train_neg_sample_args=None)
        assert config["load_col"] == {"inter": ["user_id", "item_id", "timestamp"]}
    assert make("BPR", "ml-1m", eval_args={"order": "TO"})["load_col"]["inter"][-1] == "timestamp"


def test_one_key_of_eval_args_keeps_the_others() -> None:
    config = make("SASRecCorrectedLogQ", eval_args={"mode": "uni100"})
    assert config["eval_args"]["order"] == "TO"
    assert config["eval_args"]["mode"] == {"valid": "uni100", "test": "uni100"}


def test_every_own_model_has_valid_defaults() -> None:
    for model in own_models():
        config = make(model)
        assert config["loss"] in losses.names()
        assert config["negatives"]["source"] in samplers.names()


def test_plain_values_rebuild_the_configuration() -> None:
    config = make(epochs=3, eval_args={"order": "TO"}, negatives={"count": 9})
    again = Config(config["model"], config["dataset"], None, config.given())
    assert again.plain() == config.plain()


BAD: list[tuple[dict[str, Any], str]] = [
    ({"model": None}, "set --model=NAME"),
    ({"dataset": None}, "set --dataset=NAME"),
    ({"model": "TwoTowerCorectedLogQ"}, "did you mean TwoTowerCorrectedLogQ"),
    ({"model": "SASrec"}, "did you mean SASRec"),
    ({"model": "lightgbm"}, "needs a package that is not installed: lightgbm"),
    ({"learning_rat": 0.1}, "unknown setting learning_rat - did you mean learning_rate"),
    ({"cov": "src"}, "unknown setting cov"),
    ({"negatives.cuont": 5}, r"unknown setting negatives\.cuont - did you mean count"),
    ({"eval_args.modes": "full"}, r"unknown setting eval_args\.modes"),
    ({"epochs": 0}, "epochs=0: .*greater than or equal to 1"),
    ({"epochs": "many"}, "epochs='many': .*integer"),
    ({"epochs": True}, "epochs=True: expected a number"),
    ({"epochs": 2.5}, "epochs=2.5"),
    ({"learning_rate": float("nan")}, "learning_rate=nan"),
    ({"learning_rate": -1}, "learning_rate=-1"),
    ({"learning_rate": float("inf")}, "learning_rate=inf"),
    ({"train_batch_size": 0}, "train_batch_size=0"),
    ({"seed": -1}, "seed=-1"),
    ({"temperature": 0}, "temperature=0"),
    ({"similarity": "euclid"}, "similarity='euclid'"),
    ({"dropout": 1.0}, "dropout=1.0"),
    ({"lr_schedule": "step"}, "lr_schedule='step'"),
    ({"learner": "adamm"}, "learner='adamm'"),
    ({"accumulation_steps": 4}, "accumulation_steps: .*gradient_cache"),
    ({"learner": "sparse_adam"}, "learner=sparse_adam: set learner=adam"),
    ({"topk": [10, 0]}, "topk=0: input should be greater than or equal to 1"),
    ({"topk": [10], "eval_args": {"mode": "uni9"}}, "ranks a target among 9 drawn items"),
    ({"topk": "ten"}, "topk='ten'"),
    ({"metrics": ["Recal"]}, "no metric named 'Recal' - did you mean Recall"),
    ({"metrics": ["MRR", "Recal"]}, "no metric named"),
    ({"valid_metric": "NDCG@20"}, "20 is not among topk"),
    ({"eval_args": {"order": "XX"}}, r"eval_args\.order='XX'"),
    ({"eval_args": {"split": {"XS": 1}}}, r"eval_args\.split"),
    ({"eval_args": 3}, "eval_args=3"),
    ({"eval_args": {"mode": "some"}}, "mode"),
    ({"model": "SASRecLogQ", "eval_args": {"order": "RO"}}, "set order: TO"),
    ({"model": "SASRecLogQ", "n_heads": 7}, "does not divide into n_heads=7"),
    ({"model": "SASRecLogQ", "mlp_sizes": [3]}, "unknown setting mlp_sizes"),
    ({"loss": "logqq"}, "did you mean 'logq'"),
    ({"negatives.source": "popular"}, "no sampler named 'popular'"),
    ({"negatives.count": 0}, r"negatives\.count=0"),
    ({"negatives": 5}, "negatives=5"),
    ({"loss": "full_softmax"}, "loss=full_softmax goes over the whole catalogue: set negatives.source=catalogue"),
    (
        {"negatives.source": "catalogue", "negatives.count": None},
        "made of a sample, not of the whole catalogue: set another negatives.source",
    ),
    ({"model": "TwoTowerFullSoftmax", "negatives.count": 5}, "leave the count out"),
    ({"negatives": {"source": "uniform", "count": None}}, "needs a count"),
    ({"loss": "logq", "hits": "masked"}, "needs accidental hits kept"),
    ({"hits": "kept"}, "needs accidental hits masked"),
    ({"train_neg_sample_args": {"distribution": "uniform"}}, "set negatives.source"),
    ({"transform": "mask_itemseq"}, "transform"),
    ({"save_dataset": True}, "pickle"),
    ({"dataloaders_save_path": "x.pth"}, "pickle"),
    ({"hidden_size": 128}, "unknown setting hidden_size"),
    ({"model": "SASRecLogQ", "loss_type": "BPR"}, "unknown setting loss_type"),
    ({"model": "BPR", "n_layers": 7}, "unknown setting n_layers"),
    ({"model": "BPR", "temperature": 3}, "unknown setting temperature"),
    ({"seed": 2**32}, "seed=4294967296"),
    ({"worker": 2}, "leave it out"),
    ({"worker": -1}, "worker=-1"),
    ({"clip_grad_norm": {"foo": 1}}, r"clip_grad_norm"),
    ({"clip_grad_norm": {"norm_type": 2}}, r"clip_grad_norm\.max_norm is not set"),
    ({"threshold": 3}, "threshold=3"),
    ({"load_col": {"inter": "user_id"}}, "load_col"),
    ({"rm_dup_inter": "foo"}, "rm_dup_inter='foo'"),
    ({"user_inter_num_interval": "abc"}, "user_inter_num_interval='abc'"),
    ({"dataset": "../ml-100k"}, "give a name"),
    ({"valid_metric": "MRR"}, "write valid_metric=MRR@10"),
    ({"metrics": ["GAUC", "NDCG"], "valid_metric": "GAUC@10"}, "write valid_metric=GAUC"),
    ({"eval_args": {"mode": "labeled"}}, "mode=labeled"),
    ({"eval_args": {"split": {"RS": "abc"}}}, r"eval_args\.split"),
    ({"eval_args": {"split": {"RS": [0.8, 0.2]}}}, r"eval_args\.split"),
    ({"eval_args": {"split": {"LS": "foo"}}}, r"eval_args\.split"),
    ({"eval_args": {"split": {"LS": "valid_only"}}}, r"eval_args\.split"),
    ({"eval_args": {"split": {"TS": [0.8, 0.1, 0.1]}}}, "TS needs"),
    ({"eval_args": {"group_by": "item"}}, "group_by='item'"),
    ({"loss": "logq", "negatives.source": "in_batch_unique"}, "the form counts draws"),
    ({"max_train_cpu_seconds": 0}, "max_train_cpu_seconds=0"),
    ({"model": "SASRecLogQ", "block": "ligr", "norm": "post"}, "norm=post: .*set norm=pre or block=classic"),
    ({"model": "SASRecLogQ", "block": "gated"}, "block='gated': .*'classic', 'ligr' or 'hstu'"),
    ({"model": "SASRecLogQ", "feed_forward": "geglu"}, "feed_forward='geglu': .*'gelu', 'relu' or 'swiglu'"),
    ({"model": "SASRecLogQ", "positions": "sine"}, "positions='sine': .*'learned', 'rotary', 'relative' or 'none'"),
    ({"model": "SASRecLogQ", "positions": "rotary", "embedding_size": 6, "n_heads": 2}, "must be even"),
    ({"model": "SASRecLogQ", "positions": "none", "scale_embedding": True}, "set input_norm=false"),
    ({"model": "SASRecLogQ", "input_norm": "perhaps"}, "input_norm='perhaps': .*boolean"),
    ({"block": "ligr"}, "unknown setting block"),
]


@pytest.mark.parametrize(("given", "message"), BAD, ids=str)
def test_bad_requests_are_refused_in_one_line(given: dict[str, Any], message: str) -> None:
    given = {"model": "TwoTowerCorrectedLogQ", "dataset": "ml-100k", **given}
    with pytest.raises(RequestError, match=message) as caught:
        Config(given.pop("model"), given.pop("dataset"), None, given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("model", ["xgboost", "lightgbm"])
def test_boosted_trees_are_refused_where_their_packages_are_there_too(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("xgboost", "lightgbm"):
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(Booster=object))
    try:
        with pytest.raises(RequestError, match=f"RecBole ships settings but no code for {model}"):
            make(model)
    finally:
        for name in [name for name in sys.modules if name.startswith("recbole.model.exlib_recommender")]:
            del sys.modules[name]  # they hold what stood in


def test_what_recbole_accepts_is_accepted() -> None:
    config = make(learner="Adam", clip_grad_norm={"max_norm": 5}, user_inter_num_interval="[5,inf)")
    assert config["learner"] == "adam"
    assert config["clip_grad_norm"]["max_norm"] == 5
    make("SASRecLogQ", "ml-1m", unload_col={"inter": ["rating"]})


def test_crossed_pairs_on_explicit_request() -> None:
    assert make(hits="kept", allow_crossed=True)["hits"] == "kept"


def test_keys_that_only_recboles_code_knows_are_accepted() -> None:
    # No YAML of RecBole's lists reg_weight for BPR, but its trainer reads it.
    assert make("BPR", reg_weight=0.1)["reg_weight"] == 0.1


@pytest.mark.parametrize("name", ["on", "no", "010", "1e3", "1_000", "null", "~", "{a: 1}", "2020-01-01"])
def test_a_name_that_python_gives_stays_that_name(name: str) -> None:
    # `null` too: it is YAML's word, and a column may be called so.
    config = make("TwoTowerLogQ", **{"segment_field": name, "weight_field": name, "negatives.source": "in_batch"})
    assert (config["segment_field"], config["weight_field"]) == (name, name)


def test_a_text_where_something_else_is_wanted_is_read_as_on_the_command_line() -> None:
    texts = {"epochs": "3", "use_gpu": "False", "topk": "[5, 10]", "metrics": "[MRR, NDCG]", "segment_field": "None"}
    config = make("TwoTowerLogQ", **texts, **{"sparse_embeddings": "false", "eval_args.split": "{'LS': 'test_only'}"})
    assert [config[key] for key in texts] == [3, False, [5, 10], ["MRR", "NDCG"], None]
    assert (config["sparse_embeddings"], config["eval_args"]["split"]) == (False, {"LS": "test_only"})
    assert make("BPR", metrics="MRR")["metrics"] == ["MRR"]
    assert make("BPR", **{"save_dataset": "no", "loss_decimal_place": "4"})["save_dataset"] is False


@pytest.mark.parametrize("name", ["on", "010", "1e3", "0x10", "NO"])
def test_a_name_is_a_text_on_the_command_line_and_in_a_file_too(name: str, tmp_path: Path) -> None:
    words = [f"--segment_field={name}", f"--TIME_FIELD={name}", f"--user_features=[{name}]"]
    file = tmp_path / "a.yaml"
    file.write_text(f"segment_field: {name}\nTIME_FIELD: {name}\nuser_features: [{name}]\n", encoding="utf-8")
    for config in (
        Config("TwoTowerLogQ", "ml-100k", None, parse_arguments(words)),
        Config("TwoTowerLogQ", "ml-100k", [str(file)]),
    ):
        assert (config["segment_field"], config["TIME_FIELD"], config["user_features"]) == (name, name, [name])


def test_every_setting_that_is_a_text_is_read_as_one() -> None:
    plain = {
        name
        for schema in (RetrievalSettings, TwoTowerSettings, SASRecSettings)
        for name, field in schema.model_fields.items()
        if str(field.annotation) in ("<class 'str'>", "str | None")
    }
    # Names of registered things, and one that must be of a list of words.
    assert plain - TEXT_SETTINGS == {"loss", "state"}
    names = {
        key for key, value in make("BPR").internal_config_dict.items() if "FIELD" in key and isinstance(value, str)
    }
    assert names <= TEXT_SETTINGS


def test_texts_of_a_users_own_settings_and_options(own_code: Path) -> None:
    class Own(RetrievalSettings):
        label: str = "a"
        size: int = 1

    given = {"label": "on", "size": "010"}
    assert read_texts(given, Own, {}) == {"label": "on", "size": 10}

    @samplers.register("labelled", summary="with an option that is a text")
    class Labelled(samplers.get("uniform")):  # type: ignore[misc]
        def __init__(self, counts: Any, count: int, seed: int, label: str = "a", size: int = 1) -> None: ...

    section = {"negatives": {"source": "labelled", "label": "010", "size": "010"}}
    assert read_texts(section, Own, {}) == {"negatives": {"source": "labelled", "label": "010", "size": 10}}
    assert read_texts({"load_col": {"inter": ["010"]}}, Own, {}) == {"load_col": {"inter": ["010"]}}
