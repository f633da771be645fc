"""A checkpoint back to life: its data, its split and its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from recbole_logq.data.dataset.fingerprint import id_fingerprint, split_fingerprint
from recbole_logq.data.prepare import create_dataset, create_loaders, split_dataset
from recbole_logq.errors import RequestError, out_of_memory
from recbole_logq.experiment.processes import of_one_process
from recbole_logq.experiment.stored_plugins import check_class, load_asked_plugins
from recbole_logq.training import checkpoint


@dataclass
class Restored:
    """What a checkpoint was made of.

    Attributes:
        config: The settings.
        parts: Training, validation and test part.
        loaders: Their loaders.
        network: The model with the checkpoint's weights.
        fingerprint: Fingerprint of the split.
    """

    config: Any
    parts: list[Any]
    loaders: tuple[Any, Any, Any]
    network: Any
    fingerprint: dict[str, str]


def restore(file: str, state: dict[str, Any], config: Any, allow_other_training: bool = False) -> Restored:
    """Load data and weights.

    Args:
        file: Name of the checkpoint, for messages.
        state: Its content.
        config: Settings that fit it.
        allow_other_training: Whether the split's training part may be another one than the checkpoint's.

    Raises:
        RequestError: The split or the ids are not those that the model was trained with.
    """
    from recbole.utils import init_seed

    init_seed(config["seed"], config["reproducibility"])  # random splits come from the global generator
    data = create_dataset(config)
    parts = split_dataset(config, data)
    fingerprint = split_fingerprint(parts)
    trained_on = state["fingerprint"].get("train")
    if fingerprint["train"] != trained_on and not allow_other_training:
        raise RequestError(
            f"{file} was trained on {trained_on} and this split trains on {fingerprint['train']}: the model may have "
            "seen what it would be tested on; evaluate under the split it was trained with, or set "
            "--allow_other_training=true"
        )
    if id_fingerprint(data) != state["id_fingerprint"]:
        raise RequestError(f"{file}: under these settings the users or items are not those the model was trained with")
    loaders = create_loaders(config, data, parts)
    try:
        network = config.model_class(config, parts[0]).to(config["device"])
    except RequestError as error:
        raise RequestError(f"{file}: {error}") from error
    except (*checkpoint.DAMAGE, AssertionError, OSError) as error:
        if out_of_memory(error):
            raise RequestError(f"{file}: there is not enough memory for a model of its settings") from error
        raise checkpoint.damaged(file, f"{config['model']} cannot be built with its settings, {error}") from error
    checkpoint.load_weights(network, state, file)
    checkpoint.check_bounds(network, file)
    return Restored(config, parts, loaders, network, fingerprint)


def rebuilt(state: dict[str, Any], file: str, changes: dict[str, Any], model: type | None = None) -> Any:
    """The configuration of a checkpoint.

    Args:
        state: Its content.
        file: Its name, for messages.
        changes: Settings that win over the checkpoint's.
        model: The class, where the model was given as one.

    Raises:
        RequestError: A setting of the checkpoint, or one of the changes, cannot be meant.
    """
    from recbole_logq.config import Config
    from recbole_logq.experiment.stored_settings import folder_of_data, settings_of_checkpoint

    settings = settings_of_checkpoint(state, file, model)
    if "data_path" not in changes:
        settings |= folder_of_data(state, file)
    stored = state["config"]
    try:
        given = model or stored["model"]
        return of_one_process(Config(given, stored["dataset"], None, {**settings, **changes}, training=False))
    except RequestError as error:
        raise RequestError(f"{file}: {error}") from error


def restore_own(file: str, **changes: Any) -> Restored:
    """A checkpoint of one of this package's models, under the settings it was trained with.

    Args:
        file: The checkpoint.
        **changes: Settings that make no other model, such as ``data_path``; ``plugins`` among them are run.

    Raises:
        RequestError: The model is one of RecBole's; also for the reasons of :func:`restore`.
    """
    from recbole_logq import compat
    from recbole_logq.models.resolve import split_name

    compat.apply()
    state = checkpoint.load(file)
    load_asked_plugins(state, file, changes.get("plugins"))
    check_class(state, file, None)
    model = state["config"]["model"]
    if split_name(model) is None:
        raise RequestError(f"{file} is a {model} of RecBole: its training has no pool of negatives to look at")
    return restore(file, state, rebuilt(state, file, changes))
