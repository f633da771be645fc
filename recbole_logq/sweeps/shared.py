"""A dataset that is prepared once and serves every trial whose settings it does not depend on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from recbole.utils import init_seed

from recbole_logq.config import Config
from recbole_logq.data.dataset.fingerprint import id_fingerprint, split_fingerprint
from recbole_logq.data.dataset.observed_negatives import observed_field
from recbole_logq.data.prepare import create_dataset, split_dataset
from recbole_logq.training import checkpoint


class _Watched(Config):
    """A configuration that remembers which of its values were asked for."""

    keys_read: set[str]

    def __getitem__(self, key: str) -> Any:
        self.__dict__["keys_read"].add(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self.__dict__["keys_read"].add(key)
        return bool(super().__contains__(key))

    def __getattr__(self, key: str) -> Any:
        if "keys_read" in self.__dict__:
            self.__dict__["keys_read"].add(key)
        return super().__getattr__(key)


@dataclass
class Prepared:
    """A dataset, split.

    Attributes:
        depends_on: The settings that its preparation has read, with their values.
        changes: Settings that the preparation has written.
        random: States of the random generators at its end.
    """

    depends_on: dict[str, Any]
    changes: dict[str, Any]
    data: Any
    parts: list[Any]
    fingerprint: dict[str, str]
    id_fingerprint: str
    random: Any

    def fits(self, config: Config) -> bool:
        """Whether a preparation under ``config`` would give the same."""
        values = config.plain()
        return all(_read(key, values.get(key)) == value for key, value in self.depends_on.items())

    def hand_over(self, config: Config) -> None:
        """Make everything refer to ``config``, and the random generators stand where preparation leaves them."""
        config.final_config_dict.update(self.changes)
        for dataset in (self.data, *self.parts):
            dataset.config = config
        checkpoint.set_random_state(self.random)


def _read(key: str, value: Any) -> Any:
    """What preparation takes from a setting: of the source of negatives only the column that it names."""
    return observed_field({key: value}) if key == "negatives" else value


def prepare(config: Config) -> Prepared:
    """Load, filter and split as a run under ``config`` does.

    Preparation is a function of the settings that it reads, so one that reads the same values gives the same data.

    Raises:
        RequestError: The dataset cannot be prepared with these settings.
        WorkError: Files cannot be read.
    """
    before = config.plain()
    config.__class__ = _Watched
    config.__dict__["keys_read"] = set()
    try:
        init_seed(config["seed"], config["reproducibility"])
        data = create_dataset(config)
        parts = split_dataset(config, data)
        keys_read = set(config.__dict__.pop("keys_read"))
    finally:
        config.__class__ = Config
        config.__dict__.pop("keys_read", None)
    after = config.plain()
    changed = {key for key, value in after.items() if key not in before or before[key] != value}
    prepared = Prepared(
        {key: _read(key, before.get(key)) for key in keys_read},
        {key: config.final_config_dict[key] for key in changed},
        data,
        parts,
        split_fingerprint(parts),
        id_fingerprint(data),
        checkpoint.random_state(),
    )
    for part in (data, *parts):
        part.config = None
    return prepared
