"""A checkpoint as objects to work with: the counterpart of RecBole's ``load_data_and_model``."""

from __future__ import annotations

from typing import Any, NamedTuple

from recbole_logq import compat
from recbole_logq.parsing import nest


class Loaded(NamedTuple):
    """What a checkpoint was made of.

    Attributes:
        model: The network with the checkpoint's weights, in evaluation mode.
        dataset: The training part; it has the ids of all users and items.
        train: Loader of the training part.
        valid: Loader of the validation part; None where there is none.
        test: Loader of the test part.
        config: The settings.
    """

    model: Any
    dataset: Any
    train: Any
    valid: Any
    test: Any
    config: Any


def load(
    file: str,
    plugins: list[str] | str | None = None,
    model: type | None = None,
    config_dict: dict[str, Any] | None = None,
) -> Loaded:
    """Open a checkpoint; it can run no code, and code of one's own is run only if it is named here.

    Args:
        file: A checkpoint of :func:`recbole_logq.run`.
        plugins: Files and modules that register what the checkpoint names.
        model: The class, where the model was given as one.
        config_dict: What may differ from training's, such as ``data_path`` or ``eval_batch_size``.

    Raises:
        RequestError: The checkpoint cannot be used, or names plug-ins that are not asked for.
    """
    compat.apply()
    from recbole_logq.experiment.evaluate import configuration
    from recbole_logq.experiment.restore import open_checkpoint

    stored = open_checkpoint(file, plugins, model)
    changes = nest(config_dict or {}) | ({} if plugins is None else {"plugins": plugins})
    config = configuration(stored, {"state": "WARNING", "show_progress": False, **changes})
    restored = stored.restore(config)
    train, valid, test = restored.loaders
    return Loaded(restored.network.eval(), restored.parts[0], train, valid, test, config)
