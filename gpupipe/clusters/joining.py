"""Clusters that are there already: by address, by scheduler file, by client, or as Dask's configuration says."""

import json
import os
import time
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gpupipe import optional
from gpupipe.clusters.teardown import leave
from gpupipe.errors import ClusterError, ClusterTimeoutError, ParameterError, counted, nearest

KINDS = ("threads", "processes", "cuda")
_KEYS = ("gpupipe.cluster", "scheduler-address")
_PATIENCE = 2.0  # seconds to tell what pages there are


def configured() -> str:
    """What Dask's configuration says: ``gpupipe.cluster`` (DASK_GPUPIPE__CLUSTER), else ``scheduler-address``.

    Raises:
        ClusterError: it says nothing.
    """
    get = optional.load("dask.config").get
    said = next((value for key in _KEYS if (value := get(key, None))), None)
    if said is None:
        raise ClusterError(
            "Dask's configuration names no cluster: it has neither gpupipe.cluster (DASK_GPUPIPE__CLUSTER in the "
            "environment) nor scheduler-address (DASK_SCHEDULER_ADDRESS). Set one of them, or say which cluster: "
            "gp.cluster('processes')."
        )
    return str(said)


def is_client(what: Any) -> bool:
    """Whether this is a client of Dask's, told without importing it."""
    return _is_of_dask(what) and hasattr(what, "scheduler_info") and hasattr(what, "submit")


def is_deployed(what: Any) -> bool:
    """Whether this is a cluster as Dask's packages make them, such as an SSHCluster or a SLURMCluster."""
    return hasattr(what, "scheduler_address") and hasattr(what, "scale") and hasattr(what, "get_client")


def _is_of_dask(what: Any) -> bool:
    return any(kind.__module__.partition(".")[0] == "distributed" for kind in type(what).__mro__)


def connected(what: Any, security: Any, timeout: float) -> Any:
    """A client of its own for an address, a scheduler file, or a cluster of Dask's.

    Raises:
        ParameterError: neither.
        ClusterTimeoutError: no scheduler answers, or no file comes, in so many seconds.
    """
    deadline = time.monotonic() + timeout
    kind = optional.load("distributed").Client
    client = kind.__new__(kind)  # apart from __init__, so that its thread can be ended where that fails
    address = what if is_deployed(what) or "://" in what else _address_in(Path(what), timeout)
    try:
        left = max(deadline - time.monotonic(), 1.0)
        client.__init__(address, security=security, timeout=left, set_as_default=False, name="gpupipe")
    except (OSError, TimeoutError) as error:
        leave(client)
        raise ClusterTimeoutError(
            f"No scheduler of Dask answers at {address} within {timeout:g} seconds ({said(error)}). See that it runs "
            "and can be reached from here (for tls://, with its certificates: security=), or give it longer: timeout=."
        ) from error
    except (ValueError, TypeError, RuntimeError) as error:
        leave(client)
        raise ClusterError(f"The cluster at {address} cannot be joined: {said(error)}.") from error
    return client


def said(error: BaseException) -> str:
    """An error's own words, on one line."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def refuse_unknown(what: Any) -> None:
    """See that this may name a cluster.

    Raises:
        ParameterError: it names none.
    """
    named = isinstance(what, str | os.PathLike)
    if is_client(what) or is_deployed(what) or (named and (what in KINDS or _may_be_place(os.fspath(what)))):
        return
    hint = nearest(what, KINDS) if isinstance(what, str) else ""
    raise ParameterError(
        f"{what!r} is no cluster. It takes 'threads', 'processes', 'cuda', an address such as 'tcp://10.0.0.1:8786', "
        f"the path of a scheduler file, or a Client of Dask's. {hint}".rstrip()
    )


def _may_be_place(text: Any) -> bool:
    """Whether a text is an address or a path, rather than a kind that is misspelt."""
    return isinstance(text, str) and ("://" in text or os.sep in text or text.endswith(".json") or Path(text).exists())


def _address_in(file: Path, timeout: float) -> str:
    """The address that a scheduler wrote; in a batch job it may still be starting.

    Raises:
        ClusterTimeoutError: there is no such file after so many seconds.
        ClusterError: the file is none of a scheduler.
    """
    deadline = time.monotonic() + timeout
    while True:
        if file.is_file() and (text := file.read_text(encoding="utf-8", errors="replace")).strip():
            return _address(file, text)
        if time.monotonic() > deadline:
            raise ClusterTimeoutError(
                f"There is no scheduler file {file} after {timeout:g} seconds. "
                f"`dask scheduler --scheduler-file {file}` writes it, on a disk that both machines see."
            )
        time.sleep(0.1)


def _address(file: Path, text: str) -> str:
    try:
        return str(json.loads(text)["address"])
    except (ValueError, KeyError, TypeError) as error:
        raise ClusterError(f"{file} is no file that a scheduler of Dask wrote: it names no address.") from error


def wait_for_workers(client: Any, count: int, timeout: float) -> None:
    """Wait until there are so many workers.

    Raises:
        ClusterTimeoutError: there are fewer after so many seconds.
    """
    deadline = time.monotonic() + timeout
    while (there := len(workers_of(client))) < count:
        if time.monotonic() > deadline:
            raise ClusterTimeoutError(
                f"The cluster at {client.scheduler.address} has {counted(there, 'worker')} after {timeout:g} seconds, "
                f"where {count:,} should be. Start workers (`dask worker {client.scheduler.address}`), or give them "
                "longer: timeout=."
            )
        time.sleep(0.1)


def serves_page(client: Any) -> bool:
    """Whether a scheduler serves Dask's page of what workers do: it has an HTTP port with ``--no-dashboard`` too.

    One that does not tell, as where a firewall or certificates are between, may be seen by whoever follows the link.
    """
    port = client.scheduler_info(n_workers=-1)["services"].get("dashboard")
    if port is None:
        return False
    host = urlsplit(client.scheduler.address).hostname or ""
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}/sitemap.json"
    directly = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with directly.open(address, timeout=_PATIENCE) as answer:
            paths = json.load(answer)["paths"]
    except (OSError, ValueError, LookupError, TypeError):
        return True
    return any(str(path).endswith("/status") for path in paths)


def workers_of(client: Any) -> dict[str, dict[str, Any]]:
    """What the scheduler knows of each worker, by address.

    Raises:
        ClusterError: it does not answer.
    """
    try:
        told = client.sync(client.scheduler.identity, n_workers=-1, callback_timeout=10)
    except (OSError, TimeoutError) as error:
        raise ClusterTimeoutError(f"The scheduler does not answer: {said(error)}.") from error
    return dict(told["workers"])
