"""Which trainer trains which model."""

from __future__ import annotations

from typing import Any

import torch
from recbole.trainer import Trainer as RecBoleTrainer
from recbole.utils import get_trainer

from recbole_logq.errors import RequestError
from recbole_logq.models.retrieval import RetrievalMixin
from recbole_logq.training.retrieval_trainer import RetrievalTrainer
from recbole_logq.training.trainer import Trainer


def create_trainer(config: Any, model: torch.nn.Module) -> Any:
    """The trainer of a model: this module's, under RecBole's special one where the model has one."""
    if isinstance(model, RetrievalMixin):
        return RetrievalTrainer(config, model)
    special = get_trainer(config["MODEL_TYPE"], config.recbole_name)
    if special is RecBoleTrainer:
        return Trainer(config, model)
    if not issubclass(special, RecBoleTrainer):  # boosted trees, which share nothing with the loop above
        return special(config, model)
    if special.fit is not RecBoleTrainer.fit and config["max_train_cpu_seconds"] is not None:
        raise RequestError(
            f"max_train_cpu_seconds: RecBole trains {config['model']} in a loop of its own; leave it out"
        )
    # The special trainer's own pickle is replaced too; everything else of it comes first.
    namespace = {"save_pretrained_model": Trainer.save_pretrained_model}
    return type(special.__name__, (special, Trainer), namespace)(config, model)
