"""The loss of two pools, one of the impression and one that is sampled, against a computation by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from recbole_logq import run
from recbole_logq.config import Config
from recbole_logq.data.prepare import create_dataset, create_loaders, split_dataset

ORDER = {"split": {"LS": "valid_and_test"}, "order": "TO"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    """60 users with 6 pages of 5 items each, of which one or two are taken: grades 0, 1 and 2."""
    folder = tmp_path_factory.mktemp("data") / "shown"
    folder.mkdir()
    generator = torch.Generator().manual_seed(0)
    lines = ["user_id:token\titem_id:token\tpage:token\tgrade:float\ttimestamp:float"]
    for user in range(60):
        for page in range(6):
            items = torch.randperm(40, generator=generator)[:5].tolist()
            grades = [0, 0, 0, int(page % 2), 1 + int(user % 2)]
            lines += [f"u{user}\ti{i}\tp{page}\t{grade}\t{page}" for i, grade in zip(items, grades, strict=True)]
    (folder / "shown.inter").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(folder.parent)


@pytest.fixture
def build(data: str) -> Callable[..., tuple[Any, Any]]:
    """Factory: a network in double precision and a batch."""

    def make(model: str, **settings: Any) -> tuple[Any, Any]:
        given = {
            "data_path": data,
            "grade_field": "grade",
            "impression_field": "page",
            "eval_args": ORDER,
            "dropout": 0.0,
        }
        given |= {
            "embedding_size": 8,
            "train_batch_size": 16,
            "topk": [5],
            "valid_metric": "MRR@5",
            "similarity": "dot",
        }
        given |= {"MAX_ITEM_LIST_LENGTH": 6, "inner_size": 8, "n_layers": 1} if model.startswith("SASRec") else {}
        config = Config(model, "shown", None, given | settings)
        dataset = create_dataset(config)
        parts = split_dataset(config, dataset)
        network = config.model_class(config, parts[0]).double()
        return network, next(iter(create_loaders(config, dataset, parts)[0]))

    return make


def sources(**options: Any) -> dict[str, Any]:
    return {"negatives": {"source": "impression", "count": 6, "shown": 4, **options}}


def by_hand(network: Any, batch: Any, state: torch.Tensor, form: Callable[..., torch.Tensor]) -> torch.Tensor:
    """Mean over the rows of what `form` makes of a row: its score, its impression's and the sampled scores."""
    network.sampler.set_extra_state({"generator": state[0]})
    network.sampler.sampled.set_extra_state({"generator": state[1]})
    rows = network.rows(batch)
    pool = network.sample_pool(rows)
    items, query = network.item_vectors(None), network.scorer.query(rows.query)
    values = []
    for row, positive in enumerate(rows.positives.tolist()):
        scores = items @ query[row]
        shown = [scores[i] for i in pool.ids[row].tolist() if i]
        sampled = pool.beside.pool
        own = rows.windows is not None and sampled.from_batch
        kept = [
            column
            for column, item in enumerate(sampled.ids.tolist())
            if item != positive
            and not (own and (at := sampled.origin[column]) >= 0 and rows.windows[at] == rows.windows[row])
        ]
        log_q = sampled.log_q_of(sampled.ids[kept]).double()
        log_q_of_positive = sampled.log_q_of(rows.positives[row : row + 1]).double()
        drawn = scores[sampled.ids[kept]]
        values.append(form(scores[positive], shown, drawn, log_q, log_q_of_positive))
    return torch.stack(values).mean()


def mean(values: list[torch.Tensor]) -> torch.Tensor:
    return torch.stack(values).mean() if values else torch.zeros((), dtype=torch.float64)


def bpr(s: Any, shown: Any, drawn: Any, log_q: Any, own: Any, share: float = 0.25) -> torch.Tensor:
    first, second = ([functional.softplus(t - s) for t in part] for part in (shown, drawn))
    return (1 - share) * mean(first) + share * mean(second)


def bce(s: Any, shown: Any, drawn: Any, log_q: Any, own: Any, share: float = 0.25) -> torch.Tensor:
    def part(scores: Any) -> torch.Tensor:
        return mean([functional.softplus(-s), *(functional.softplus(t) for t in scores)]) if len(scores) else 0 * s

    return (1 - share) * part(shown) + share * part(drawn)


def corrected(s: Any, shown: Any, drawn: Any, log_q: Any, own: Any, share: float = 0.25) -> torch.Tensor:
    """The softmax over what was shown, in full, and corrected logQ over the draws."""
    first = torch.logsumexp(torch.stack([s, *shown]), 0) - s
    weighted = torch.logsumexp(drawn - (log_q - torch.log1p(-own.exp())), 0) - torch.tensor(float(len(drawn))).log()
    return (1 - share) * first + share * functional.softplus(weighted - s)


CASES = {
    "bpr": ("BPR", bpr, {"beside": "uniform"}),
    "bce": ("BCE", bce, {"beside": "in_batch"}),
    "corrected_logq": ("CorrectedLogQ", corrected, {"beside": "in_batch"}),
    "corrected_logq, mixed": ("CorrectedLogQ", corrected, {"beside": "mixed"}),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("encoder", ["TwoTower", "SASRec"])
def test_the_loss_is_the_stated_mixture(build: Callable[..., Any], encoder: str, case: str) -> None:
    recipe, form, options = CASES[case]
    network, batch = build(encoder + recipe, **sources(sampled_share=0.25, **options))
    state = [module.generator.get_state() for module in (network.sampler, network.sampler.sampled)]
    loss = network.calculate_loss(batch)
    torch.testing.assert_close(loss, by_hand(network, batch, state, form), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("recipe", "options"),
    [
        ("BPR", {}),
        ("BCE", {}),
        ("BCE", {"grades": "target"}),
        ("CorrectedLogQ", {"beside": "in_batch"}),
    ],
    ids=str,
)
def test_gradients_are_the_finite_differences(build: Callable[..., Any], recipe: str, options: dict[str, Any]) -> None:
    network, batch = build("TwoTower" + recipe, **sources(sampled_share=0.4, **options))
    states = [(module, module.generator.get_state()) for module in (network.sampler, network.sampler.sampled)]
    tables = [network.user_tower.embedding.weight, network.item_tower.embedding.weight]

    def loss() -> torch.Tensor:
        for module, state in states:
            module.generator.set_state(state)
        return network.calculate_loss(batch)

    loss().backward()
    generator, step = torch.Generator().manual_seed(1), 1e-6
    for table in tables:
        direction = torch.randn(table.shape, generator=generator, dtype=torch.float64)
        expected = (table.grad.to_dense() * direction).sum()
        with torch.no_grad():
            table += step * direction
            above = loss()
            table -= 2 * step * direction
            below = loss()
            table += step * direction
        assert expected.abs() > 1e-4
        torch.testing.assert_close((above - below) / (2 * step), expected, rtol=1e-5, atol=1e-8)


def test_a_row_without_anything_below_it_has_the_sampled_part_alone(build: Callable[..., Any]) -> None:
    network, batch = build("TwoTowerBPR", **sources(sampled_share=0.25))
    rows = network.rows(batch)
    lists = network.sampler.lists
    lists.size.zero_()
    pool = network.sample_pool(rows)
    part = next(iter(network._with_pools(rows)))
    values, counted, _ = network._losses(part, network._looked_up([part]))
    sampled = replace(part, pool=part.pool.beside.pool)
    alone, _ = network._losses_on_pool(sampled, network._looked_up([sampled]))
    assert not pool.ids.any()
    assert counted.all()
    torch.testing.assert_close(values, 0.25 * alone)


def test_grade_as_a_weight_and_as_a_target_are_other_losses(build: Callable[..., Any]) -> None:
    plain = build("TwoTowerBCE", **sources())
    weighted = build("TwoTowerBCE", weight_field="grade", **sources())
    graded = build("TwoTowerBCE", **sources(grades="target"))
    values = [network.calculate_loss(batch).item() for network, batch in (plain, weighted, graded)]
    assert len({round(value, 6) for value in values}) == 3
    rows = weighted[0].rows(weighted[1])
    assert set(rows.weights.tolist()) == {1.0, 2.0}


@pytest.mark.slow
@pytest.mark.parametrize("model", ["TwoTowerBPR", "SASRecCorrectedLogQ"])
def test_a_resumed_run_is_the_uninterrupted_one(data: str, in_tmp: Path, model: str) -> None:
    settings = {"data_path": data, "grade_field": "grade", "impression_field": "page", "eval_args": ORDER}
    settings |= {
        "embedding_size": 8,
        "train_batch_size": 16,
        "topk": [5],
        "valid_metric": "MRR@5",
        "show_progress": False,
    }
    settings |= {"negatives": {"source": "impression", "count": 6, "shown": 2}, "checkpoint_dir": str(in_tmp)}
    settings |= {"MAX_ITEM_LIST_LENGTH": 6, "inner_size": 8, "n_layers": 1} if model.startswith("SASRec") else {}
    whole = run(model, "shown", config_dict={**settings, "epochs": 4, "checkpoint_dir": "whole"})
    run(model, "shown", config_dict={**settings, "epochs": 2})
    (last,) = in_tmp.glob("*-last.pth")
    resumed = run(model, "shown", config_dict={**settings, "epochs": 4}, resume=str(last))
    assert [row["train_loss"] for row in resumed["history"]] == [row["train_loss"] for row in whole["history"]]
    assert resumed["test_result"] == whole["test_result"]
