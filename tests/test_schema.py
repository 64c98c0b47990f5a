"""What a schema says of columns that are not there."""

import pytest

from gpupipe.errors import ColumnNotFoundError
from gpupipe.schema import require_columns


def test_of_very_many_missing_columns_some_are_named():
    wanted = [f"x{at}" for at in range(2_000)]
    with pytest.raises(ColumnNotFoundError, match=r"'x0', 'x1', .*'x19' and 1,980 more, which the plan ne") as caught:
        require_columns(wanted, ["y"], "which the plan needs")
    assert len(str(caught.value)) < 300
