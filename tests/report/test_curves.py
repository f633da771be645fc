"""The numbers behind the figures, by hand."""

from __future__ import annotations

from typing import Any

import pytest

from recbole_logq.report.curves import by_decile, quality_over, weights_by_epoch
from recbole_logq.report.svg import Scale


def run(*epochs: tuple[float, float | None], bigger: bool = True, **measures: Any) -> dict[str, Any]:
    history = [
        {"epoch": i, "train_seconds": time, "train_cpu_seconds": 2 * time, "valid_score": score}
        for i, (time, score) in enumerate(epochs)
    ]
    return {"measures": measures, "result": {"history": history, "valid_score_bigger": bigger}}


def test_quality_is_the_best_so_far_and_stays_after_the_end() -> None:
    first = run((1, 0.2), (2, None), (3, 0.1), (4, 0.4))
    assert quality_over([first], "train_seconds") == [(1, 0.2), (4, 0.4)]
    assert quality_over([first], "train_cpu_seconds") == [(2, 0.2), (8, 0.4)]
    # The second ends at 2 and keeps 0.6; before 2 it has no score, so the mean has none.
    second = run((2, 0.6))
    assert quality_over([first, second], "train_seconds") == [(2, pytest.approx(0.4)), (4, pytest.approx(0.5))]


def test_smaller_may_be_better() -> None:
    assert quality_over([run((1, 3.0), (2, 2.0), (3, 4.0), bigger=False)], "train_seconds") == [(1, 3), (2, 2), (3, 2)]


def test_no_curve_without_validation_of_every_seed() -> None:
    assert quality_over([run((1, 0.2)), run((1, None))], "train_seconds") == []
    assert quality_over([], "train_seconds") == []


def test_deciles_without_targets_do_not_count() -> None:
    key, targets = "recall@10_by_decile", "targets_by_decile"
    one = run(**{key: [0.0, 0.5, *[1.0] * 8], targets: [0, 3, *[9] * 8]})
    two = run(**{key: [0.0, 0.7, *[1.0] * 8], targets: [0, 3, *[9] * 8]})
    assert by_decile([one, two])[:2] == [(2, pytest.approx(0.6)), (3, 1.0)]
    assert by_decile([run()]) == []


def test_weights_of_epochs_that_all_seeds_reached() -> None:
    long, short = run((1, None), (2, None)), run((1, None))
    for one, level in ((long, 0.2), (short, 0.4)):
        for epoch in one["result"]["history"]:
            epoch["sample_weight"] = {"mean": level, "d10": level / 2}
    assert weights_by_epoch([long, short]) == [{"epoch": 0, "mean": pytest.approx(0.3), "d10": pytest.approx(0.15)}]
    assert weights_by_epoch([run((1, None))]) == []


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("values", [[3.0], [0.0], [1e-3, 2e4], [5.0, 5.1], [0.021, 0.09], [-2.0, 7.0]], ids=str)
def test_scales_hold_their_values_and_have_ticks(values: list[float], log: bool) -> None:
    scale = Scale(values, log=log)
    assert all(0 <= scale.place(value) <= 1 for value in values)
    ticks = scale.ticks()
    assert 2 <= len(ticks) <= 14 or len(values) == 1
    assert ticks == sorted(ticks)


def test_an_axis_ends_where_values_end() -> None:
    assert (Scale([0.0, 1.0], limits=(0, 1)).low, Scale([0.0, 1.0], limits=(0, 1)).high) == (0, 1)
    assert Scale([1e-4, 1e-1], log=True, room=0).place(1e-4) == 0
    assert Scale([1.0, 1.0], limits=(0, 1)).place(1.0) == 1
    assert Scale([1.0], limits=(-5, 1)).low < 1
