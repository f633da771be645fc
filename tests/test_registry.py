"""Names, and what is said about wrong ones."""

import subprocess
import sys

import pytest

from recbole_logq.losses import get_loss
from recbole_logq.registry import Registry, losses, samplers
from recbole_logq.samplers import get_sampler


@pytest.fixture
def fruit():
    registry = Registry("fruit")
    registry.register("apple", summary="round")(str)
    registry.register("banana", summary="bent")(int)
    return registry


def test_register_returns_the_entry_and_keeps_name_and_summary(fruit):
    assert fruit.register("cherry", summary="small")(float) is float
    assert fruit.names() == ["apple", "banana", "cherry"]
    assert fruit.get("cherry") is float
    assert fruit.summary("cherry") == "small"


def test_a_taken_name_is_refused_and_the_first_entry_stays(fruit):
    with pytest.raises(ValueError, match="fruit 'apple' is already registered"):
        fruit.register("apple", summary="again")(float)
    assert fruit.get("apple") is str


@pytest.mark.parametrize("method", ["get", "summary"])
def test_an_unknown_name_gets_the_nearest_one(fruit, method):
    with pytest.raises(ValueError) as error:
        getattr(fruit, method)("aple")
    assert str(error.value) == "no fruit named 'aple'; did you mean 'apple'? known: apple, banana"


def test_a_name_near_to_nothing_gets_the_list_only(fruit):
    with pytest.raises(ValueError) as error:
        fruit.get("xyz")
    assert str(error.value) == "no fruit named 'xyz'; known: apple, banana"


def test_the_registries_say_what_they_hold():
    kinds = [registry.kind for registry in (losses, samplers)]
    assert kinds == ["loss", "sampler"]


def test_every_module_of_the_folder_is_imported():
    assert {"full_softmax", "sampled_softmax", "logq", "logq_uncorrected_positive", "corrected_logq"} <= set(
        losses.names()
    )
    assert {"in_batch", "in_batch_unique", "uniform", "catalogue"} <= set(samplers.names())


def test_lookups_of_the_packages_name_their_kind():
    with pytest.raises(ValueError, match="no loss named 'corected_logq'; did you mean 'corrected_logq'"):
        get_loss("corected_logq")
    with pytest.raises(ValueError, match="no sampler named 'in_bach'; did you mean 'in_batch'"):
        get_sampler("in_bach")


@pytest.mark.slow
def test_the_core_needs_torch_only():
    """The losses and samplers are for any PyTorch project: no RecBole and no pandas behind one import."""
    program = (
        "import sys; import recbole_logq.losses, recbole_logq.samplers, recbole_logq.probability;"
        "heavy = {'recbole', 'pandas', 'scipy', 'sklearn', 'ray', 'jinja2', 'recbole_logq.models'} & set(sys.modules);"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
