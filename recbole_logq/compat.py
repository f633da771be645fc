"""Every shim that RecBole 1.2.1 needs on today's numpy, scipy, pandas and torch.

Each shim names the version that made it necessary and what would make it obsolete. Importing this module changes
nothing; :func:`apply` does, once, before the first import from ``recbole``. What mends a single model is put in place
where its class is looked up (``models/resolve.py``).
"""

from __future__ import annotations

import importlib.util
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import PackageNotFoundError, version
from logging import getLogger
from pathlib import Path
from types import ModuleType
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
    _metrics_without_sklearn()
    _colours_on_terminals_alone()
    _collector_of_numbers()
    _autograd_mode_kept()
    _models_one_by_one()
    from recbole_logq import eager_optimizers

    eager_optimizers.apply()
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


def _metrics_without_sklearn() -> None:
    # RecBole's metrics import scikit-learn, and with it scipy.stats, for AUC, MAE and RMSE alone: 1.5 CPU seconds of
    # every process. It is imported where one of them is computed. Obsolete once RecBole does so.
    if {"sklearn", "recbole.evaluator.metrics"} & sys.modules.keys():
        return

    def later(name: str) -> Callable[..., Any]:
        return lambda *values, **options: getattr(import_module("sklearn.metrics"), name)(*values, **options)

    package, metrics = ModuleType("sklearn"), ModuleType("sklearn.metrics")
    for name in ("auc", "mean_absolute_error", "mean_squared_error"):
        setattr(metrics, name, later(name))
    sys.modules |= {"sklearn": package, "sklearn.metrics": metrics}
    try:
        import_module("recbole.evaluator.metrics")
    finally:
        del sys.modules["sklearn"], sys.modules["sklearn.metrics"]


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
        data = self.data_struct._data_dict
        for key, value in data.items():
            data[key] = value.cpu() if hasattr(value, "cpu") else value
        result = copy.deepcopy(self.data_struct)
        for key in ("rec.topk", "rec.meanrank", "rec.score", "rec.items", "data.label"):
            data.pop(key, None)
        return result

    Collector.get_data_struct = get_data_struct


SWITCHES_ANOMALIES_ON = "recbole.model.sequential_recommender.sine"


def _models_one_by_one() -> None:
    # Each of RecBole's packages of models imports all of them, from files that import each other's: two CPU seconds for
    # the one that is trained. A package's own lines are run when somebody asks it for a model; a file that is imported
    # by its own name, as get_model does, comes alone. Obsolete once RecBole's packages are empty.
    import recbole.model

    for folder in sorted(Path(recbole.model.__path__[0]).glob("*_recommender")):
        name = f"recbole.model.{folder.name}"
        spec = importlib.util.find_spec(name)
        if name in sys.modules or spec is None:
            continue
        package = importlib.util.module_from_spec(spec)
        package.__getattr__ = _first_question(spec, package)  # type: ignore[method-assign]
        sys.modules[name] = package
        setattr(recbole.model, folder.name, package)


def _first_question(spec: ModuleSpec, package: ModuleType) -> Callable[[str], Any]:
    """What a package does for a name that it does not have: run its lines, and look again."""

    def answer(name: str) -> Any:
        if spec.loader is not None and (name == "__all__" or not name.startswith("__")):
            del package.__getattr__
            try:
                spec.loader.exec_module(package)
            except BaseException:  # such as lightgbm, which is not installed: the next question has the same answer
                package.__getattr__ = answer  # type: ignore[method-assign]
                raise
            if name in vars(package):
                return vars(package)[name]
        raise AttributeError(f"module {package.__name__!r} has no attribute {name!r}")

    return answer


class _ModeKept(MetaPathFinder):
    """Finds RecBole's sine.py and leaves autograd's mode as it is when that is executed."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if fullname != SWITCHES_ANOMALIES_ON or (spec := PathFinder.find_spec(fullname, path)) is None:
            return None
        loader: Any = spec.loader
        execute = loader.exec_module

        def exec_module(module: Any) -> None:
            import torch

            before = torch.is_anomaly_enabled()
            try:
                execute(module)
            finally:
                torch.autograd.set_detect_anomaly(before)

        loader.exec_module = exec_module
        return spec


def _autograd_mode_kept() -> None:
    # RecBole 1.2.1 switches autograd's anomaly detection on for the whole process when its sine.py is imported, and any
    # sequential model imports it: each step then records tracebacks and searches gradients for NaN. Obsolete once that
    # line is gone. What was imported before cannot be told from a user's choice: say_anomalies speaks of it.
    sys.meta_path.insert(0, _ModeKept())


def say_anomalies() -> None:
    """Name the mode where it is on: a user may want it, or has only imported RecBole's models before this package."""
    import torch

    if torch.is_anomaly_enabled():
        by_import = SWITCHES_ANOMALIES_ON in sys.modules
        reason = " (importing RecBole's sequential models switches it on)" if by_import else ""
        getLogger().warning(
            f"autograd's anomaly detection is on, which makes training slower{reason}: unless it is wanted, call "
            "torch.autograd.set_detect_anomaly(False)"
        )


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
