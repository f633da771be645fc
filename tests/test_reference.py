"""The list of settings: described, true, the same in docs/settings.md, and made without torch."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recbole_logq.cli import main
from recbole_logq.config import Config
from recbole_logq.declared_options import declared
from recbole_logq.reference import all_settings, default_values, settings_of_model
from recbole_logq.registry import losses, samplers
from recbole_logq.settings import CommonSettings

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"
PLUG_IN = '''
from typing import Literal

from pydantic import Field

from recbole_logq.losses.sampled_softmax import SampledSoftmax
from recbole_logq.models.history_encoder import HistoryEncoder
from recbole_logq.registry import encoders, losses
from recbole_logq.settings import RetrievalSettings


@losses.register("tilted", summary="a loss of one's own")
class Tilted(SampledSoftmax):
    """As its base.

    Args:
        tilt: How far it leans,
            in degrees.
    """

    def __init__(self, tilt: float = 0.5, side: Literal["left", "right"] = "left") -> None: ...


class MeanSettings(RetrievalSettings):
    half_life: float = Field(3.0, gt=0, description="items after which half of the weight is left")


@encoders.register("Mean", summary="a mean")
class Mean(HistoryEncoder):
    settings = MeanSettings
'''


def test_the_page_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "--format=markdown"]) == 0
    made = capsys.readouterr().out
    assert made == PAGE.read_text(encoding="utf-8"), (
        "write it anew: uv run recbole-logq settings --format=markdown > docs/settings.md"
    )


@pytest.mark.parametrize(
    "model",
    [
        "TwoTowerMNSCorrectedLogQ",
        "TwoTowerGBCE",
        "SASRecSCE",
        "SASRecInfoNCE",
        "BPR",
        "GRU4Rec",
        "DeepFM",
        "DIN",
        "CKE",
    ],
)
def test_defaults_are_those_that_a_run_has(model: str, in_tmp: Path) -> None:
    def plain(value: Any) -> Any:
        return list(value) if isinstance(value, tuple) else value

    given = {"train_neg_sample_args": None} if model == "GRU4Rec" else {}  # RecBole refuses its own default
    config, values = Config(model, "nowhere", None, given, training=False), default_values(model)
    checked = {key: plain(value) for key, value in config.internal_config_dict.items() if key != "MODEL_TYPE"}
    assert {key: plain(value) for key, value in values.items()} == checked


@pytest.mark.parametrize("registry", [losses, samplers], ids=lambda registry: registry.kind)
def test_options_are_those_of_the_constructors(registry: Any) -> None:
    hidden = {"self", "counts", "count", "catalogue_size"} | ({"seed"} if registry is samplers else set())
    found = declared(registry)
    assert found.keys() == set(registry.names())
    for name, entry in found.items():
        parameters = inspect.signature(registry.get(name)).parameters
        known = {
            key: value for key, value in parameters.items() if key not in hidden and value.kind != value.VAR_KEYWORD
        }
        assert [option.name for option in entry.options] == [key for key in known if key not in ("args", "kwargs")]
        assert entry.summary == registry.summary(name)
        for option in entry.options:
            assert option.default == str(known[option.name].default)
            assert option.allowed != "any value"


def test_the_settings_of_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "SASRecMNSCorrectedLogQ"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("Encoder SASRec\n")
    for line in (
        "  positions = rotary",
        "  negatives.uniform_share = 0.5",
        "  train_batch_size = 128",
        "  loss = corrected_logq",
    ):
        assert f"\n{line}\n" in text
    assert "negatives.memory" not in text
    assert max(map(len, text.splitlines())) <= 80
    assert main(["settings", "--model=LightGCN"]) == 0
    text = capsys.readouterr().out
    assert "\n  reg_weight = 1e-05\n" in text
    assert "temperature" not in text


def test_settings_of_a_plug_in(own_code: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (own_code / "my_own.py").write_text(PLUG_IN, encoding="utf-8")
    assert main(["settings", "--plugins=my_own.py"]) == 0
    text = capsys.readouterr().out
    assert (
        "  half_life = 3.0\n      items after which half of the weight is left\n      allowed: number, above 0\n"
        in text
    )
    assert "  loss_options.tilt = 0.5\n      How far it leans, in degrees.\n      allowed: number\n" in text
    assert "  loss_options.side = left\n      allowed: left, right\n" in text
    assert [section.title for section in settings_of_model("MeanLogQ")][:2] == ["Encoder Mean", "Own models"]


def test_every_field_of_the_schema_is_listed_once() -> None:
    names = {
        section.title: [setting.name for setting in section.settings if "." not in setting.name]
        for section in all_settings()
    }
    assert set(names["Every model"]) == set(CommonSettings.model_fields)
    shared = [name for title, listed in names.items() if not title.startswith("Encoder ") for name in listed]
    for title, listed in names.items():  # encoders may have settings of one name, such as dropout
        visible = [*shared, *listed] if title.startswith("Encoder ") else shared
        assert len(visible) == len(set(visible)), title


def test_no_torch_for_help_settings_and_wrong_flags(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom recbole_logq.cli import main\n"
        "calls = [['--help'], ['lab', '--help'], ['settings'], ['settings', 'SASRecLogQ'], ['settings', 'Nope'],\n"
        "         ['lab', '--rows=0'], ['recommend'], ['compare', '--processes=x'], ['trian']]\n"
        "print([main(words) for words in calls], file=sys.stderr)\n"
        "print(sorted({'torch', 'recbole', 'pandas', 'ray'} & sys.modules.keys()), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-2:] == ["[0, 0, 0, 0, 2, 2, 2, 2, 2]", "[]"]
