"""A checkpoint back to life: opened in one place for every command, then its settings, its data and its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from recbole_logq import compat
from recbole_logq.data.dataset.fingerprint import id_fingerprint, split_fingerprint
from recbole_logq.data.prepare import create_dataset, create_loaders, split_dataset
from recbole_logq.errors import RequestError, out_of_memory
from recbole_logq.experiment.processes import of_one_process
from recbole_logq.experiment.stored_plugins import check_class, load_asked_plugins
from recbole_logq.experiment.stored_settings import folder_of_data, settings_of_checkpoint
from recbole_logq.training import checkpoint


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class Stored:
    """A checkpoint as it was read, once.

    Attributes:
        file: Name of the file, for messages.
        state: Its content.
        given_class: Class of the model, where it was given as one.
    """

    file: str
    state: dict[str, Any]
    given_class: type | None = None

    @property
    def model(self) -> str:
        """Name of the model."""
        return str(self.state["config"]["model"])

    def configuration(self, changes: dict[str, Any]) -> Any:
        """The settings that it was trained with.

        Args:
            changes: Settings that win over them.

        Raises:
            RequestError: A setting of the checkpoint, or one of the changes, cannot be meant.
        """
        from recbole_logq.config import Config

        settings = settings_of_checkpoint(self.state, self.file, self.given_class)
        if "data_path" not in changes:
            settings |= folder_of_data(self.state, self.file)
        model, dataset = self.given_class or self.model, self.state["config"]["dataset"]
        try:
            return of_one_process(Config(model, dataset, None, {**settings, **changes}, training=False))
        except RequestError as error:
            raise RequestError(f"{self.file}: {error}") from error

    def restore(self, config: Any, allow_other_training: bool = False) -> Restored:
        """Load data and weights.

        Args:
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
        trained_on = self.state["fingerprint"].get("train")
        if fingerprint["train"] != trained_on and not allow_other_training:
            raise RequestError(
                f"{self.file} was trained on {trained_on} and this split trains on {fingerprint['train']}: the model "
                "may have seen what it would be tested on; evaluate under the split it was trained with, or set "
                "--allow_other_training=true"
            )
        if id_fingerprint(data) != self.state["id_fingerprint"]:
            raise RequestError(
                f"{self.file}: under these settings the users or items are not those the model was trained with"
            )
        loaders = create_loaders(config, data, parts)
        network = self._network(config, parts[0], fingerprint["train"] == trained_on)
        return Restored(config, parts, loaders, network, fingerprint)

    def _network(self, config: Any, part: Any, same_training: bool) -> Any:
        try:
            network = config.model_class(config, part).to(config["device"])
        except RequestError as error:
            raise RequestError(f"{self.file}: {error}") from error
        except (*checkpoint.DAMAGE, AssertionError, OSError) as error:
            if out_of_memory(error):
                raise RequestError(f"{self.file}: there is not enough memory for a model of its settings") from error
            reason = f"{config['model']} cannot be built with its settings, {error}"
            raise checkpoint.damaged(self.file, reason) from error
        if same_training:
            checkpoint.check_times(network, self.state, self.file)
        checkpoint.load_weights(network, self.state, self.file)
        checkpoint.check_bounds(network, self.file)
        return network


def open_checkpoint(file: str, plugins: Any = None, model: type | None = None) -> Stored:
    """Read a checkpoint, and run the plug-ins that the user asks for.

    Args:
        file: The checkpoint.
        plugins: The user's setting ``plugins``; no others are run.
        model: Class of the model, where it was given as one.

    Raises:
        RequestError: It is no checkpoint, or was trained with a class or with plug-ins that are not given.
    """
    compat.apply()
    state = checkpoint.load(file)
    load_asked_plugins(state, file, plugins)
    check_class(state, file, model)
    return Stored(file, state, model)


def restore_own(file: str, **changes: Any) -> Restored:
    """A checkpoint of one of this package's models, under the settings it was trained with.

    Args:
        file: The checkpoint.
        **changes: Settings that make no other model, such as ``data_path``; ``plugins`` among them are run.

    Raises:
        RequestError: The model is one of RecBole's; also for the reasons of :meth:`Stored.restore`.
    """
    from recbole_logq.models.resolve import split_name

    stored = open_checkpoint(file, changes.get("plugins"))
    if split_name(stored.model) is None:
        raise RequestError(f"{file} holds {stored.model}: its training has no pool of negatives to look at")
    return stored.restore(stored.configuration(changes))
