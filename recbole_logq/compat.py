"""Every shim that RecBole 1.2.1 needs on today's numpy, scipy, pandas and torch.

Each shim names the version that made it necessary and what would make it obsolete. Importing this module changes
nothing; :func:`apply` does, once, before the first import from ``recbole``. What mends a single model is put in place
where its class is looked up (``models/resolve.py``).
"""

from __future__ import annotations

import importlib.util
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from recbole_logq.errors import RequestError

_applied = False


def apply() -> None:
    """Check the installed stack and put the shims in place (idempotent).

    Raises:
        RequestError: RecBole is not installed, or pandas is 3 or newer.
    """
    global _applied
    if _applied:
        return
    recbole_folder()
    _require_pandas_2()
    _numpy_aliases()
    _scipy_dok_update()
    quiet_known_warnings()
    _colours_on_terminals_alone()
    _collector_of_numbers()
    _applied = True


def recbole_folder() -> Path:
    """Where RecBole's code and YAML files lie, found without importing it.

    Raises:
        RequestError: RecBole is not installed.
    """
    spec = importlib.util.find_spec("recbole")
    if spec is None or not spec.submodule_search_locations:
        # The wheel cannot depend on RecBole: its metadata pins ray<=2.6.3, which no Python above 3.11 can install.
        raise RequestError("RecBole is not installed: run `pip install --no-deps recbole==1.2.1`, then try again")
    return Path(spec.submodule_search_locations[0])


def _require_pandas_2() -> None:
    # pandas 3 made chained `df[col].fillna(inplace=True)` a no-op (copy-on-write). RecBole's dataset.py relies on it
    # in three places and then trains on garbage ids without an error. Obsolete once RecBole assigns the result.
    try:
        installed = version("pandas")
    except PackageNotFoundError as error:
        raise RequestError("pandas is not installed: run `pip install 'pandas>=2.2,<3'`") from error
    if int(installed.split(".")[0]) >= 3:
        raise RequestError(
            f"pandas {installed} silently corrupts RecBole's data (its in-place fillna no longer writes): "
            "run `pip install 'pandas>=2.2,<3'`"
        )


def _numpy_aliases() -> None:
    # numpy 1.24 removed np.float and friends, numpy 2 the *_ spellings that RecBole's Config maps them to.
    # Obsolete once RecBole stops using np.float (interaction.py, metrics.py, layers.py).
    import numpy as np

    aliases = {"float": float, "int": int, "object": object, "str": str, "complex": complex, "unicode": str}
    aliases |= {"bool": np.bool_, "long": np.int64, "float_": np.float64, "complex_": np.complex128}
    for name, target in aliases.items():
        if name not in np.__dict__:
            setattr(np, name, target)


def _scipy_dok_update() -> None:
    # scipy 1.15 removed dok_matrix._update; LightGCN, NGCF, NCL, SpectralCF, GCMC, KGIN and MCCLK fill their
    # adjacency matrix through it. Obsolete once they build a coo_matrix.
    from scipy.sparse import dok_matrix

    if not hasattr(dok_matrix, "_update"):
        dok_matrix._update = lambda self, data: self._dict.update(data)


def _colours_on_terminals_alone() -> None:
    # RecBole 1.2.1 colours the names of its progress bars wherever they go, files included; its modules take the
    # function by name, so this comes before they are imported. Obsolete once it asks the stream.
    import recbole.utils as utils
    from recbole.utils import logger as module

    coloured = module.set_color

    def set_color(log: Any, color: str, highlight: bool = True) -> Any:
        return coloured(log, color, highlight) if sys.stderr is not None and sys.stderr.isatty() else log

    utils.set_color = module.set_color = set_color


def _collector_of_numbers() -> None:
    # RecBole 1.2.1 calls .cpu() on everything its collector holds, and fails on the counts that ItemCoverage,
    # GiniIndex, AveragePopularity and TailPercentage ask for. Obsolete once it skips what is no tensor.
    import copy

    from recbole.evaluator.collector import Collector

    def get_data_struct(self: Any) -> Any:
        held = self.data_struct._data_dict
        for key, value in held.items():
            held[key] = value.cpu() if hasattr(value, "cpu") else value
        result = copy.deepcopy(self.data_struct)
        for key in ("rec.topk", "rec.meanrank", "rec.score", "rec.items", "data.label"):
            held.pop(key, None)
        return result

    Collector.get_data_struct = get_data_struct


@contextmanager
def autograd_mode_kept() -> Iterator[None]:
    """Around every import of RecBole's model packages.

    RecBole 1.2.1 switches autograd's anomaly detection on for the whole process when its sine.py is imported, and any
    sequential model imports it: each step then records tracebacks and searches gradients for NaN. Obsolete once that
    line is gone.
    """
    import torch

    before = torch.is_anomaly_enabled()
    try:
        yield
    finally:
        torch.autograd.set_detect_anomaly(before)


def counting_pop(pop: type) -> type:
    """RecBole's Pop, counting interactions; not part of :func:`apply`, since RecBole's models take seconds to import.

    RecBole 1.2.1's adds one to an item for each batch that holds it, however often it does (its issues 1844 and 2198),
    and counts sampled negatives: its ranking depends on the size of a batch. Obsolete once it does neither.
    """
    import torch

    class Pop(pop):
        def __init__(self, config: Any, dataset: Any) -> None:
            super().__init__(config, dataset)
            # Where negatives are sampled, the loader marks them; a column of the data by that name is no such mark.
            sampled = config["train_neg_sample_args"]["distribution"] != "none"
            self.mark_of_positives = config["LABEL_FIELD"] if sampled else None

        def calculate_loss(self, interaction: Any) -> torch.Tensor:
            items = interaction[self.ITEM_ID]
            if self.mark_of_positives is not None:
                items = items[interaction[self.mark_of_positives] > 0]
            self.item_cnt += torch.bincount(items, minlength=self.n_items)[:, None]
            self.max_cnt = self.item_cnt.max(dim=0)[0]
            return torch.zeros(1, device=self.device, requires_grad=True)  # what the trainer asks for

    return Pop


def quiet_known_warnings() -> None:
    # Deprecations inside RecBole that a user can do nothing about and that would bury the log lines.
    for message, category in (
        (r".*<built-in function len> in Series.agg.*", FutureWarning),  # pandas 2.x: sequences among features
        (r".*inplace.*", FutureWarning),  # pandas 2.x on chained fillna: pandas 3 is refused above
        (r".*torch\.cuda\.amp\.GradScaler.*", FutureWarning),  # torch >= 2.4
        (r".*GradScaler is enabled, but CUDA is not available.*", UserWarning),
        (r".*__array_wrap__.*", DeprecationWarning),  # numpy 2 on np.argsort of a tensor
        (r".*torch\.sparse\.SparseTensor.*", UserWarning),
        (r".*invalid escape sequence.*", DeprecationWarning),  # Python 3.6 to 3.11, in docstrings of its models
        (r".*invalid escape sequence.*", SyntaxWarning),  # Python >= 3.12
    ):
        warnings.filterwarnings("ignore", message=message, category=category)
