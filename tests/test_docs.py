"""What is generated from the code is what is committed."""

import re
import runpy
from pathlib import Path

import pytest

import gpupipe as gp
from gpupipe.expr.registry import operators

ROOT = Path(__file__).parents[1]
GENERATE = runpy.run_path(str(ROOT / "docs" / "generate.py"))


@pytest.mark.parametrize(
    ("path", "make"),
    [
        ("docs/operators.md", "operators_page"),
        ("docs/bad-input.md", "bad_input_page"),
        ("docs/estimators.md", "estimators_page"),
        ("gpupipe/expr/methods.pyi", "stub"),
    ],
)
def test_the_committed_file_is_a_fresh_generation(path, make):
    assert (ROOT / path).read_text(encoding="utf-8") == GENERATE[make](), f"{path} is stale: run make docs."


def test_every_operator_stands_on_the_page_with_its_summary_and_peer():
    lines = (ROOT / "docs" / "operators.md").read_text(encoding="utf-8").splitlines()
    for entry in operators():
        row = next((line for line in lines if f").{entry.qualified}(" in line), None)
        assert row is not None, entry.qualified
        assert entry.summary and entry.summary.replace("|", "\\|") in row and entry.peer and entry.peer in row


def test_null_cells_are_what_comes_out():
    page = (ROOT / "docs" / "operators.md").read_text(encoding="utf-8")
    for line in (
        "| `n // m` | null; may also make null | Int64 → Float32 |",
        '| `col("x").is_null()` | Whether it is null. | 1 |',
        '| `col("city").codes()` | ',
    ):
        assert line in page


def test_the_stub_lists_what_an_expression_offers():
    stub = (ROOT / "gpupipe" / "expr" / "methods.pyi").read_text(encoding="utf-8")
    for entry in operators():
        assert f"    def {entry.name}(self" in stub
        assert callable(getattr(getattr(gp.col("x"), entry.namespace) if entry.namespace else gp.col("x"), entry.name))


def test_every_page_and_decision_is_listed_and_decisions_in_order() -> None:
    listed = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    decisions = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("*.md"))
    numbered = re.findall(r"^(\d+)\. \[.+\]\(decisions/(\d{4}-.+\.md)\)$", listed, re.MULTILINE)
    assert [name for _, name in numbered] == decisions
    assert [int(number) for number, _ in numbered] == [int(name[:4]) for name in decisions]
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert not {page for page in pages if f"]({page})" not in listed}
