"""The rows that the table must have: none may go missing."""

from .case import all_cases

ROWS = [
    # Files.
    "no file matches",
    "zero-byte file",
    "truncated file",
    "not a Parquet file",
    "a column missing in one file of many",
    "a column of another type in one file of many",
    "int beside float",
    "integers above 2^53 beside float",
    "a null-typed column in the first file",
    "zero-row file",
    "zero-row partition",
    "all partitions empty",
    "duplicate names",
    "names differing in case",
    "invalid UTF-8",
    "NUL bytes",
    "ragged CSV",
    "CSV integers beyond int64",
    # Values.
    "all-null column",
    "constant column",
    "NaN and infinities",
    "dates before 1970",
    "dates out of range",
    "mixed time zones",
    "decimals of other scale",
    "uint64 above 2^63",
    # Joins.
    "duplicate join keys in a dimension",
    # Targets.
    "null target",
    "NaN target",
    "one-class target",
    "a label unseen at evaluation",
    "fewer rows than folds",
    # Scoring.
    "unseen category at scoring",
    "missing columns at scoring",
    "extra columns at scoring",
    "reordered columns at scoring",
    "a wide one_hot",
    # Saving and loading.
    "output exists",
    "output is read-only",
    "disk full while saving",
    "artifact with a flipped bit",
    "artifact with a missing file",
    "artifact with an extra file",
    "artifact with links in it",
    "artifact with odd names in it",
    "artifact of a newer version",
    # Expressions and pipelines.
    "a traced function that branches on data",
    "two features of one name",
    "a feature that refers to the target",
    "the target under another name",
    "rows that the fit has seen",
    "a key on both sides",
    "unknown options",
    "misspelt parameters",
]


def test_every_row_of_the_list_is_a_case():
    missing = [row for row in ROWS if row not in {case.row for case in all_cases()}]
    assert not missing, f"no case for {missing}"
