"""Datasets and loaders of a configuration: RecBole's own steps, with exact time and without its pickles."""

from __future__ import annotations

import importlib
import inspect
import re
from contextlib import suppress
from logging import getLogger
from pathlib import Path
from typing import Any

import torch
from recbole.data.dataloader import FullSortEvalDataLoader
from recbole.data.dataset import Dataset
from recbole.data.interaction import Interaction
from recbole.data.utils import create_samplers, get_dataloader
from recbole.sampler import KGSampler, Sampler
from recbole.utils import FeatureType, InputType, ModelType, set_color

from recbole_logq.data.batches.ranking_loader import RankingLoader
from recbole_logq.data.dataset.event_times import ASKED, asks_when
from recbole_logq.data.dataset.exact_time import ExactTimeMixin
from recbole_logq.data.dataset.feature_columns import check_files
from recbole_logq.data.dataset.labels import say_unread_labels
from recbole_logq.data.dataset.loaded_columns import how_to_load
from recbole_logq.data.dataset.mentioned import check_mentioned
from recbole_logq.data.dataset.ready_made import check_parts
from recbole_logq.data.dataset.second_histories import check_second_files
from recbole_logq.data.dataset.temporal_split import is_temporal
from recbole_logq.data.dataset.value_filter import check_filters
from recbole_logq.data.source.header import declared, interaction_files, not_text
from recbole_logq.data.source.known_datasets import address_of, ensure_dataset
from recbole_logq.errors import RequestError, WorkError

_DATASET_OF_TYPE = {
    ModelType.SEQUENTIAL: "SequentialDataset",
    ModelType.KNOWLEDGE: "KnowledgeBasedDataset",
}


def _check_separators(config: Any) -> None:
    for key in ("field_separator", "seq_separator"):
        if not isinstance(config[key], str) or not config[key]:
            raise RequestError(f"{key}={config[key]!r}: one or more characters, such as ','")


def create_dataset(config: Any, dataset_class: type[Dataset] | None = None) -> Dataset:
    """Fetch, load, filter and re-index the dataset that ``config`` asks for.

    Args:
        config: The checked settings.
        dataset_class: Class to use instead of the one that the model trains on.

    Raises:
        RequestError: RecBole cannot use the files with these settings, or nothing is left after the filters.
    """
    _check_separators(config)
    fetch(config)
    check_parts(config)
    check_files(config)
    check_second_files(config)
    check_filters(config)
    own_class = getattr(config.model_class, "dataset_class", None)
    try:
        dataset = (dataset_class or (own_class() if own_class else _exact_class(config)))(config)
    except RequestError:
        raise
    except UnicodeError as error:
        raise RequestError(not_text(config["data_path"], config)) from error
    except (ValueError, LookupError, TypeError, NotImplementedError, AssertionError) as error:
        raise RequestError(f"cannot load {config['dataset']}: {_reason(error, config)}") from error
    except OSError as error:
        raise WorkError(f"cannot read {config['dataset']}: {error}") from error
    _check_named_columns(dataset, config)
    _check_columns(dataset, config)
    check_mentioned(dataset, config)
    _check_size(dataset, config)
    return dataset


def _reason(error: Exception, config: Any) -> str:
    """What RecBole says, in words that name what to do."""
    text = str(error).strip() or repr(error)
    absent = str(error.args[0]) if isinstance(error, KeyError) and error.args else None
    if match := re.match(r"Field \[(.+?)\] not ", text):
        absent = match[1]
    if absent is not None:
        return (
            f"no column or field {absent!r}; compare USER_ID_FIELD, ITEM_ID_FIELD, load_col and the first line of the "
            "file"
        )
    if text.startswith("Some feat is empty"):
        lost = text.removeprefix("Some feat is empty").removesuffix(", please check the filtering settings.")
        lost = f" ({lost[2:]})" if lost else ""
        return (
            f"no row with a user and an item is left{lost}; look at the rows of its files, at field_separator="
            f"{config['field_separator']!r} and at the filters (val_interval, ..._inter_num_interval)"
        )
    return text


def fetch(config: Any, missing: bool = True) -> None:
    """Make sure that the atomic files are there and start with a header.

    Args:
        config: The checked settings.
        missing: Whether to fetch what is known and not there; else it is only looked at, which takes no time.

    Raises:
        RequestError: No such dataset, or its files are not what RecBole reads.
        WorkError: The dataset could not be fetched or read.
    """
    folder = Path(config["data_path"])  # with the dataset's name at its end
    try:
        absent = (ensure_dataset if missing else address_of)(config["dataset"], folder.parent)
        for file in folder.glob("*.inter"):
            declared(file, config)
        if not absent:
            check_parts(config)
    except OSError as error:
        raise WorkError(f"cannot read or write {folder}: {error.strerror}") from error


def header_of(config: Any) -> list[str]:
    """Names of the columns of the ``.inter`` file (of the training part, where the split is ready-made)."""
    return list(declared(interaction_files(config)[0], config))


def _check_columns(dataset: Dataset, config: Any) -> None:
    for suffix, columns in (config["load_col"] or {}).items():
        # RecBole drops a column once it has made labels of it.
        known = {*dataset.field2type, *(config["threshold"] or {})}
        missing = [] if columns in (None, "*") else [name for name in columns if name not in known]
        # A time column that is missing is named where order needs it.
        if missing and missing != [config["TIME_FIELD"]]:
            raise RequestError(f"load_col: the .{suffix} file of {config['dataset']} has no column {missing[0]!r}")


def check_labels(dataset: Any, config: Any) -> None:
    """Whether a model that is trained on labels, or on pairs, finds them.

    Raises:
        RequestError: The dataset lacks them.
    """
    say_unread_labels(config)
    if config["MODEL_INPUT_TYPE"] is None:  # RecBole works it out, and is silent where it cannot
        raise RequestError(f"loss_type={config['loss_type']!r}: {config['model']} has CE and BPR")
    label, sampled = config["LABEL_FIELD"], config["train_neg_sample_args"]["distribution"] != "none"
    if config["MODEL_INPUT_TYPE"] == InputType.PAIRWISE and not sampled and _reads_negatives(config.model_class):
        raise RequestError(
            f"train_neg_sample_args: {config['model']} compares positives with negatives and needs some drawn: set "
            "train_neg_sample_args.distribution=uniform, or leave it out"
        )
    if config["MODEL_TYPE"] == ModelType.CONTEXT and not sampled and label not in dataset.inter_feat:
        raise RequestError(
            f"{config['model']} learns labels, and {config['dataset']} has no column {label!r}: set "
            "--threshold.rating=3, which makes labels of ratings, or --LABEL_FIELD=NAME"
        )


def _reads_negatives(model_class: type) -> bool:
    """Whether the code of a model reads drawn negatives; RecBole calls some models pairwise that do not."""
    for base in model_class.__mro__:
        if base.__module__.split(".")[0] in {"builtins", "abc", "torch"} or base.__module__.endswith("_recommender"):
            continue
        with suppress(OSError, TypeError):  # made on the fly
            if "NEG_ITEM_ID" in inspect.getsource(base):
                return True
    return False


def _check_named_columns(dataset: Any, config: Any) -> None:
    """Columns that settings of the own models name: they exist, and hold what is asked of them."""
    for key, kind in (("weight_field", FeatureType.FLOAT), ("segment_field", FeatureType.TOKEN)):
        field = config[key]
        if not field:
            continue
        tables = [table for table in (dataset.inter_feat, dataset.user_feat) if table is not None and field in table]
        if not tables:
            raise RequestError(
                f"{key}={field}: {config['dataset']} has no such column in its .inter file, or in its .user file "
                f"if that is loaded ({how_to_load(config, 'user', field).removeprefix('set ')})"
            )
        if dataset.field2type.get(field) != kind:
            raise RequestError(
                f"{key}={field}: typed {dataset.field2type[field].value} in the header, and {key} takes {kind.value}"
            )
        if field in (config["numerical_features"] or []):
            raise RequestError(f"{key}={field} is among numerical_features, which make another thing of it: keep one")


def _exact_class(config: Any) -> type[Dataset]:
    module = importlib.import_module("recbole.data.dataset")
    name = f"{config.recbole_name}Dataset"
    if not hasattr(module, name):
        name = _DATASET_OF_TYPE.get(config["MODEL_TYPE"], "Dataset")
    base = getattr(module, name)
    return type(name, (ExactTimeMixin, base), {})


def _check_size(dataset: Dataset, config: Any) -> None:
    if dataset.inter_num == 0 or dataset.user_num < 2 or dataset.item_num < 3:
        raise RequestError(
            f"{config['dataset']} has {dataset.inter_num} interactions of {max(dataset.user_num - 1, 0)} users with "
            f"{max(dataset.item_num - 1, 0)} items after the filters: too few to train on"
        )
    if max(config["topk"]) > dataset.item_num - 1:
        raise RequestError(f"topk={config['topk']}: {config['dataset']} has only {dataset.item_num - 1} items")


def split_dataset(config: Any, dataset: Dataset) -> list[Dataset]:
    """Split into training, validation and test datasets, as ``eval_args`` says.

    Raises:
        RequestError: RecBole refuses the split, or a part of it is empty.
    """
    try:
        parts = dataset.build()
    except (ValueError, NotImplementedError, AssertionError) as error:
        raise RequestError(f"cannot split {config['dataset']}: {str(error).strip() or repr(error)}") from error
    ready_made = config["benchmark_filename"]
    split = f"ready-made split {ready_made}" if ready_made else f"split {config['eval_args']}"
    if len(parts) != 3 or len(parts[0]) == 0:
        raise RequestError(f"the {split} of {config['dataset']} leaves nothing to train on{_left_out(dataset)}")
    if len(parts[2]) == 0:
        temporal = getattr(dataset, "temporal_split", None)
        reason = (
            f" ({temporal}; eval_args.unseen=keep keeps unseen users and items)" if temporal else _left_out(dataset)
        )
        raise RequestError(f"the {split} of {config['dataset']} leaves nothing to test on{reason}")
    _say_unvalidated(config, parts)
    return parts


def _say_unvalidated(config: Any, parts: list[Dataset]) -> None:
    # RecBole's leave-one-out fills test, training and then validation, so that short users have none.
    if config["benchmark_filename"] or config["eval_args"]["split"].get("LS") != "valid_and_test":
        return
    validated, tested = (torch.unique(part.inter_feat[part.uid_field]) for part in parts[1:])
    if without := int((~torch.isin(tested, validated)).sum()):
        getLogger().warning(
            f"{without:,} of {len(tested):,} users have a test item and none of validation, as they have too few "
            'interactions; --user_inter_num_interval="[4,inf)" leaves them out'
        )


def _left_out(dataset: Any) -> str:
    counts = getattr(dataset, "left_out", None)
    return f" (left out: {', '.join(f'{count:,} by {reason}' for reason, count in counts.items())})" if counts else ""


def create_loaders(config: Any, dataset: Dataset, parts: list[Dataset]) -> tuple[Any, Any, Any]:
    """Loaders of the three parts: RecBole's, except for the training loader of an own model."""
    own_loader = getattr(config.model_class, "train_loader", None)
    train_sampler, valid_sampler, test_sampler = _samplers(config, dataset, parts, own_loader is None)
    if is_temporal(config["eval_args"]) and config["train_neg_sample_args"]["distribution"] == "popularity":
        # RecBole counts validation and test interactions too.
        alpha = config["train_neg_sample_args"]["alpha"]
        train_sampler = Sampler(["train"], [parts[0]], "popularity", alpha).set_phase("train")
    if own_loader is not None:
        train = own_loader(config, parts[0])
    else:
        extra = []
        if config["MODEL_TYPE"] == ModelType.KNOWLEDGE:
            arguments = config["train_neg_sample_args"]
            extra = [KGSampler(dataset, arguments["distribution"], arguments["alpha"])]
        shuffle = True if extra else config["shuffle"]
        train = _loader_class(config, "train")(config, parts[0], train_sampler, *extra, shuffle=shuffle)
    valid = _evaluation_loader(config, "valid", parts[1], parts[:1], valid_sampler) if len(parts[1]) else None
    test = _evaluation_loader(config, "test", parts[2], parts[:2], test_sampler)
    logger = getLogger()
    for title, keys in (("Training", ["train_batch_size"]), ("Evaluation", ["eval_batch_size", "eval_args"])):
        values = " ".join(set_color(f" {key}", "cyan") + f" = [{config[key]}]" for key in keys)
        logger.info(set_color(f"[{title}]:", "pink") + values, extra={"detail": True})
    return train, valid, test


def _loader_class(config: Any, phase: str) -> Any:
    """RecBole's choice, which goes by the model's name."""
    name = config["model"]
    config["model"] = config.recbole_name
    try:
        return get_dataloader(config, phase)
    finally:
        config["model"] = name


def _samplers(config: Any, dataset: Dataset, parts: list[Dataset], for_training: bool) -> tuple[Any, Any, Any]:
    """RecBole's samplers, which hold a set of items for each user; none where no loader draws from them."""
    drawn = for_training and config["train_neg_sample_args"]["distribution"] != "none"
    if not drawn and all(_loader_class(config, phase) is FullSortEvalDataLoader for phase in ("valid", "test")):
        return None, None, None
    try:
        return create_samplers(config, dataset, parts)
    except ValueError as error:  # a user who had every item leaves nothing to sample
        raise RequestError(f"cannot sample negatives on {config['dataset']}: {error}") from error


def _evaluation_loader(config: Any, phase: str, part: Dataset, earlier: list[Dataset], sampler: Any) -> Any:
    loader = _loader_class(config, phase)
    if loader is FullSortEvalDataLoader:
        return RankingLoader(config, part, earlier)
    if asks_when(config) and config["MODEL_TYPE"] != ModelType.SEQUENTIAL:
        part.inter_feat.update(Interaction({ASKED: part.inter_feat[part.time_field]}))  # a row is asked at its own time
    return loader(config, part, sampler, shuffle=False)
