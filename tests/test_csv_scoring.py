"""CSV has no types: rows to score are read in those of the fit."""

from pathlib import Path

import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

import gpupipe as gp
from gpupipe import cli, col
from gpupipe.errors import TypeMismatchError


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    lines = [f"{8000 + i % 7}x,{i},{'yes' if i % 3 else 'no'}" for i in range(60)]
    (tmp_path / "train.csv").write_text("\n".join(["zip,amount,bought", *lines]) + "\n")
    pipeline = gp.Pipeline(
        [col("zip").codes(), col("amount").cast("Float64")],
        target=col("bought") == "yes",
        model=HistGradientBoostingClassifier(max_iter=5),
    )
    pipeline.fit(tmp_path / "train.csv").save(tmp_path / "zip.gpp")
    (tmp_path / "new.csv").write_text("zip,amount\n8001,3\n8002,4\n")
    (tmp_path / "more.csv").write_text("zip,amount\n8003,5\n")
    return tmp_path


def test_text_that_looks_like_numbers_stays_text(saved: Path) -> None:
    pipeline = gp.load(saved / "zip.gpp")
    from_rows = pipeline.predict_proba({"zip": ["8001", "8002"], "amount": [3, 4]}, output="arrow")
    assert pipeline.predict_proba(str(saved / "new.csv"), output="arrow") == from_rows


def test_the_command_line_takes_data_more_than_once(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["predict", str(saved / "zip.gpp"), "--data", str(saved / "new.csv"), "--data", str(saved / "more.csv")]
    assert cli.main([*words, "--out", str(saved / "scores")]) == 0
    assert "3 rows scored" in capsys.readouterr().out


def test_an_out_that_is_a_file_is_one_message(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["predict", str(saved / "zip.gpp"), "--data", str(saved / "new.csv"), "--out", str(saved / "more.csv")]
    assert cli.main(words) == 1
    assert capsys.readouterr().err.startswith("gpupipe: ")


def test_types_are_given_by_name(saved: Path) -> None:
    assert gp.scan(str(saved / "new.csv"), schema={"zip": "String"}).schema["zip"].dtype == gp.String


def test_text_before_a_model_is_refused_by_its_type_first() -> None:
    pipeline = gp.Pipeline([col("zip")], target="y", model=HistGradientBoostingClassifier())
    with pytest.raises(TypeMismatchError, match=r"'zip' is String; HistGradientBoostingClassifier learns from numbers"):
        pipeline.fit({"zip": ["a", None], "y": [True, False]})
