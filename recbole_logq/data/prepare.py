"""From a configuration to datasets and loaders: RecBole's own steps, with exact time and without its pickles."""

from __future__ import annotations

import importlib
from logging import getLogger
from typing import Any

from recbole.data.dataset import Dataset
from recbole.data.utils import create_samplers, get_dataloader
from recbole.sampler import KGSampler
from recbole.utils import ModelType, set_color

from recbole_logq.data.exact_time import ExactTimeMixin
from recbole_logq.data.zoo import ensure_dataset
from recbole_logq.errors import RequestError

_DATASET_OF_TYPE = {
    ModelType.SEQUENTIAL: "SequentialDataset",
    ModelType.KNOWLEDGE: "KnowledgeBasedDataset",
}


def create_dataset(config: Any) -> Dataset:
    """Fetch, load, filter and re-index the dataset that ``config`` asks for.

    Raises:
        RequestError: RecBole cannot use the files with these settings, or nothing is left after the filters.
    """
    # data_path already ends in the dataset's name there.
    if config["dataset"] != "ml-100k":
        ensure_dataset(config["dataset"], str(config["data_path"]).rstrip("/").removesuffix(config["dataset"]))
    own_class = getattr(config.model_class, "dataset_class", None)
    try:
        dataset = (own_class() if own_class else _exact_class(config))(config)
    except (ValueError, KeyError, NotImplementedError) as error:
        raise RequestError(f"cannot load {config['dataset']}: {str(error).strip() or repr(error)}") from error
    _check_size(dataset, config)
    return dataset


def _exact_class(config: Any) -> type[Dataset]:
    module = importlib.import_module("recbole.data.dataset")
    name = f"{config['model']}Dataset"
    if not hasattr(module, name):
        name = _DATASET_OF_TYPE.get(config["MODEL_TYPE"], "Dataset")
    base = getattr(module, name)
    return base if config["recbole_order"] else type(name, (ExactTimeMixin, base), {})


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
    if len(parts) != 3 or len(parts[0]) == 0:
        raise RequestError(f"the split {config['eval_args']} of {config['dataset']} leaves nothing to train on")
    if len(parts[2]) == 0:
        raise RequestError(f"the split {config['eval_args']} of {config['dataset']} leaves nothing to test on")
    return parts


def create_loaders(config: Any, dataset: Dataset, parts: list[Dataset]) -> tuple[Any, Any, Any]:
    """Loaders of the three parts: RecBole's, except for the training loader of an own model."""
    train_sampler, valid_sampler, test_sampler = create_samplers(config, dataset, parts)
    own_loader = getattr(config.model_class, "train_loader", None)
    if own_loader is not None:
        train = own_loader(config, parts[0])
    else:
        extra = []
        if config["MODEL_TYPE"] == ModelType.KNOWLEDGE:
            arguments = config["train_neg_sample_args"]
            extra = [KGSampler(dataset, arguments["distribution"], arguments["alpha"])]
        shuffle = True if extra else config["shuffle"]
        train = get_dataloader(config, "train")(config, parts[0], train_sampler, *extra, shuffle=shuffle)
    valid = get_dataloader(config, "valid")(config, parts[1], valid_sampler, shuffle=False) if len(parts[1]) else None
    test = get_dataloader(config, "test")(config, parts[2], test_sampler, shuffle=False)
    logger = getLogger()
    for title, keys in (("Training", ["train_batch_size"]), ("Evaluation", ["eval_batch_size", "eval_args"])):
        values = " ".join(set_color(f" {key}", "cyan") + f" = [{config[key]}]" for key in keys)
        logger.info(set_color(f"[{title}]:", "pink") + values)
    return train, valid, test
