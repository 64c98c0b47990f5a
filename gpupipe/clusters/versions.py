"""Whether workers compute the same: gpupipe, Python and NumPy of each beside those of this process."""

from collections.abc import Mapping
from typing import Any

from gpupipe.errors import ClusterError, counted

_ASKED = ("gpupipe", "numpy")


def refuse_others(client: Any) -> None:
    """See that every worker has our versions.

    Raises:
        ClusterError: some have others; the message says which, and what they have.
    """
    told = client.get_versions(packages=list(_ASKED))
    here = _versions(told["client"])
    wrong = {address: _difference(here, _versions(worker)) for address, worker in told["workers"].items()}
    wrong = {address: difference for address, difference in wrong.items() if difference}
    if wrong:
        first = "; ".join(f"{address} has {difference}" for address, difference in list(wrong.items())[:3])
        more = "" if len(wrong) <= 3 else f"; and {len(wrong) - 3:,} more"
        raise ClusterError(
            f"{len(wrong):,} of {counted(len(told['workers']), 'worker')} would not compute what this process does: "
            f"{first}{more}. Here are {_shown(here)}. Install the same on all machines, and start the workers again."
        )


def _versions(told: Mapping[str, Any] | None) -> dict[str, str | None]:
    """The versions that count, of what Dask tells of a process."""
    packages = (told or {}).get("packages", {})
    python = str(packages.get("python") or "").split(".")
    return {"Python": ".".join(python[:2]) or None, **{name: packages.get(name) for name in _ASKED}}


def _difference(here: Mapping[str, str | None], there: Mapping[str, str | None]) -> str:
    """What is otherwise there, in words; empty where nothing is.

    >>> _difference({"Python": "3.11", "gpupipe": "0.1.0"}, {"Python": "3.12", "gpupipe": None})
    'Python 3.12, no gpupipe'
    """
    return ", ".join(
        f"{name} {version}" if version else f"no {name}" for name, version in there.items() if version != here[name]
    )


def _shown(versions: Mapping[str, str | None]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())
