"""Which environments the command line makes; making them is pip's work, and not done here."""

from pathlib import Path

import pytest

from benchmarks import environments
from benchmarks.environments import PEERS, NotMeasured, Peer


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The peers whose environments were asked for; Ray's cannot be made."""
    asked: list[str] = []

    def python(peer: Peer, folder: Path) -> Path:
        asked.append(peer.name)
        if peer.name == "ray":
            raise NotMeasured("its environment cannot be made: no wheel")
        return folder / "bin/python"

    monkeypatch.setattr(environments, "python", python)
    monkeypatch.setattr(environments, "version", lambda peer, found: "1.2")
    return asked


def test_without_names_those_of_all_peers_are_made(made: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert environments.main([]) == 1  # one of them cannot be
    assert made == list(PEERS)
    assert "Ray Data: its environment cannot be made: no wheel" in capsys.readouterr().out


def test_with_names_those_alone(made: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert environments.main(["polars", "duckdb", "--environments", str(tmp_path)]) == 0
    assert made == ["polars", "duckdb"]
    assert f"Polars 1.2: {tmp_path}/bin/python" in capsys.readouterr().out


def test_a_peer_that_is_none_is_refused(made: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        environments.main(["vaex"])
    assert not made
    assert "'vaex' is none of ours, polars, duckdb" in capsys.readouterr().err
