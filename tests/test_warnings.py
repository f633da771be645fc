"""No command shows a user a warning of a library: each runs here with warnings as errors."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from recbole_logq import compat
from recbole_logq.cli import main

QUIET = ["--state=ERROR", "--show_progress=false", "--epochs=2"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, featured_cut: Path) -> Iterator[Path]:
    """A folder in which each command finds what the one before has made."""
    folder = tmp_path_factory.mktemp("warnings")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("data").mkdir()
        Path("data/cut").symlink_to(featured_cut / "cut")
        Path("data/even").mkdir()
        rows = [f"u{user}\ti{(7 * user + 3 * n) % 30}\t{100 * n + user}" for n in range(10) for user in range(40)]
        head = "user_id:token\titem_id:token\ttimestamp:float"
        Path("data/even/even.inter").write_text("\n".join([head, *rows, ""]), encoding="utf-8")
        yield folder


@pytest.fixture
def strict() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compat.quiet_known_warnings()  # in front of that, as for a user
        yield


ITEM, USER = "--load_col.item=[item_id,release_year,class,picture]", "--load_col.user=[user_id,age,gender]"
RUNS = {
    "two towers with features": "--model=TwoTowerCorrectedLogQ --item_features=[release_year,class,picture] "
    "--user_features=[age,gender] --learner=adamw --lr_schedule=cosine --clip_grad_norm.max_norm=1",
    "a transformer": "--model=SASRecCBNSCorrectedLogQ --n_layers=1 --n_heads=1 --MAX_ITEM_LIST_LENGTH=10",
    "a split by time": "--model=TwoTowerXIR --eval_args.split.GTS=[0.8,0.1,0.1] --dataset=even",
    "filters": "--model=TwoTowerLogQ --user_inter_num_interval=[2,inf) --val_interval.rating=[2,inf) "
    "--load_col.inter=[user_id,item_id,rating,timestamp] --rm_dup_inter=first",
    "RecBole's matrix factorisation": "--model=BPR",
    "RecBole's counts": "--model=Pop",
    "RecBole's neighbours": "--model=ItemKNN",
    "RecBole's graph": "--model=LightGCN",
    "RecBole's transformer": "--model=SASRec --loss_type=CE --train_neg_sample_args=None --MAX_ITEM_LIST_LENGTH=10 "
    "--n_layers=1",
    "RecBole's factorisation machine": f"--model=FM --threshold.rating=3 {ITEM} {USER} --metrics=[AUC,LogLoss] "
    "--valid_metric=AUC --eval_args.mode=labeled --load_col.inter=[user_id,item_id,rating]",
    "sampled negatives": "--model=BPR --eval_args.mode=uni20",
}


@pytest.mark.parametrize("words", RUNS.values(), ids=RUNS)
def test_run(words: str, place: Path, strict: None, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = [] if "--dataset" in words else ["--dataset=cut"]
    assert main([*words.split(), *dataset, "--data_path=data", *QUIET]) == 0, capsys.readouterr().err


@pytest.fixture(scope="module")
def checkpoint(place: Path) -> str:
    words = ["--model=TwoTowerCorrectedLogQ", "--user_tower=history", "--dataset=cut", "--data_path=data", *QUIET]
    words += ["--eval_args.split.LS=valid_and_test", "--eval_args.order=TO"]
    assert main([*words, "--checkpoint_dir=kept"]) == 0
    return str(min(Path("kept").glob("*[!t].pth")))


def test_what_follows_a_run(place: Path, checkpoint: str, strict: None, capsys: pytest.CaptureFixture[str]) -> None:
    opened = [f"--checkpoint={checkpoint}"]
    item = Path("data/cut/cut.inter").read_text(encoding="utf-8").splitlines()[1].split("\t")[1]
    Path("users.csv").write_text(f"user,history\nnew,{item}\n", encoding="utf-8")
    for words in (
        ["evaluate", *opened, "--state=ERROR", "--topk=[5,10]", "--metrics=[Recall,ItemCoverage,GiniIndex]"],
        ["audit", "--dataset=cut", "--data_path=data", "--page=audit.html"],
        ["lab", *opened, "--page=lab.html", "--pools=20", "--rows=8", "--counts=[8]", "--show_progress=false"],
        ["lab", "--items=50", "--pools=20", "--rows=8", "--counts=[8]", "--show_progress=false"],
        ["lab", "--sample-weights", *opened, "--limit=100", "--top=2"],
        ["export", *opened, "--folder=served", "--index=hnsw"],
        ["recommend", "--model=served", f"--history={item}", "--k=3"],
        ["recommend", "--model=served", "--input=users.csv", "--output=top.parquet", "--k=3", "--show_progress=false"],
        ["models"],
    ):
        status = main(words)
        answer = capsys.readouterr()
        assert status == 0, (words, answer.err)
        assert "Warning" not in answer.err, words
