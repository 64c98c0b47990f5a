"""When compiled kernels start: for big work at once, for small work never."""

import pytest

from gpupipe import optional
from gpupipe.backends import compiled
from gpupipe.backends.exact import sums
from gpupipe.kernels.cpu import exact as fast
from gpupipe.kernels.cpu import interpreter
from gpupipe.kernels.reference import exact as plain


@pytest.fixture(autouse=True)
def nothing_started(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("values", 0), ("expected", 0), ("started", False)):
        monkeypatch.setattr(compiled.Work, name, value)
    monkeypatch.setattr(interpreter, "is_ready", lambda: True)


def test_small_work_never_starts_them() -> None:
    assert not compiled.worth(compiled.READY // 2)
    assert compiled.Work.values == compiled.READY // 2
    assert sums.kernels_for(5_000) is plain


def test_they_start_once_the_start_would_have_paid() -> None:
    assert not compiled.worth(compiled.READY - 1)
    assert compiled.worth(compiled.TINY)
    assert not compiled.worth(compiled.TINY - 1)
    assert sums.kernels_for(compiled.TINY) is fast


def test_what_is_expected_starts_them_at_once() -> None:
    compiled.expect(compiled.READY)
    compiled.expect(5)
    assert compiled.worth(compiled.TINY)


def test_compiling_takes_more_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreter, "is_ready", lambda: False)
    compiled.expect(compiled.COLD - 1)
    assert not compiled.worth(compiled.READY)
    compiled.expect(compiled.COLD)
    assert compiled.worth(compiled.READY)


def test_not_without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optional, "available", lambda _: False)
    compiled.expect(compiled.COLD)
    assert not compiled.worth(compiled.COLD)
    assert sums.kernels_for(compiled.COLD) is plain
