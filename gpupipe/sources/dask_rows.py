"""What Dask computes of a frame: the tasks that give some columns of one partition, and whatever computes them."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from gpupipe import optional
from gpupipe.errors import TypeMismatchError, counted

Graph = Mapping[Any, Any]
#: (graph, keys) -> their values: how Dask computes.
Get = Callable[[Graph, Any], Any]


def is_dask(data: Any) -> bool:
    """Whether `data` is a data frame, or a column, of Dask; told without importing it.

    >>> is_dask({"a": [1]})
    False
    """
    return hasattr(data, "__dask_graph__") and hasattr(data, "npartitions") and hasattr(data, "divisions")


class _Where:
    """What computes partitions: a current cluster's client, while there is one."""

    get: Get | None = None


def computes_with(get: Get | None) -> None:
    """From now on partitions are computed so; None: as Dask itself would."""
    _Where.get = get


@dataclass(frozen=True, eq=False)
class DaskRows:
    """What partitions are computed from.

    Attributes:
        frame: Dask's.
        labels: its labels by the names of columns.
        given: columns of Dask's beside it, in the same partitions.
    """

    frame: Any
    labels: Mapping[str, Any]
    given: Mapping[str, Any]
    _made: dict[tuple[str, ...], tuple[Graph, list[Any]]] = field(default_factory=dict)
    _lock: Any = field(default_factory=threading.Lock)

    def task(self, number: int, columns: Sequence[str]) -> tuple[Graph, Any]:
        """The tasks of Dask that give some columns of a partition by their names, and the key of the last one."""
        whole, keys = self.tasks(tuple(columns))
        culled = optional.load("dask.optimization").cull(whole, [keys[number]])[0]
        return dict(culled), keys[number]

    def tasks(self, columns: tuple[str, ...]) -> tuple[Graph, list[Any]]:
        """The same of all partitions."""
        with self._lock:
            if columns not in self._made:
                self._made[columns] = self._planned(columns)
            return self._made[columns]

    def _planned(self, columns: tuple[str, ...]) -> tuple[Graph, list[Any]]:
        names = [name for name in columns if name in self.labels] or list(self.labels)[:1]
        beside = [name for name in columns if name in self.given]
        graph, keys = _graph(self.frame[[self.labels[name] for name in names]], self.frame.npartitions)
        parts = [keys]
        for name in beside:
            more, its = _graph(self.given[name], self.frame.npartitions)
            graph |= more
            parts.append(its)
        kept = [name for name in names if name in columns]
        make = partial(_by_name, kept, beside)
        last = [(f"gpupipe-columns-{keys[0][0]}-{len(self._made)}", at) for at in range(self.frame.npartitions)]
        graph |= {key: (make, *of) for key, of in zip(last, zip(*parts, strict=True), strict=True)}
        return graph, last


def _by_name(names: Sequence[str], beside: Sequence[str], frame: Any, *given: Any) -> Any:
    """The columns of a partition by name. (Run by Dask.)"""
    found = {name: frame.iloc[:, at] for at, name in enumerate(names)}
    return Columns({**found, **dict(zip(beside, given, strict=True))}, len(frame))


@dataclass(frozen=True, eq=False)
class Columns:
    """A partition as Dask computed it: columns by name, and its rows."""

    columns: Mapping[str, Any]
    n_rows: int

    def __sizeof__(self) -> int:  # by which Dask knows what a worker holds
        return 1_000 + sum(int(column.memory_usage(deep=False)) for column in self.columns.values())


def _graph(collection: Any, n_partitions: int) -> tuple[dict[Any, Any], list[Any]]:
    """The tasks of a collection, and the key of each of its partitions.

    Dask puts small partitions of files together as it optimises: here they stay what they are.
    """
    with optional.load("dask.config").set({"optimization.tune.active": False}):
        planned = collection.optimize()
        keys = list(optional.load("dask.core").flatten(planned.__dask_keys__()))
        graph = dict(planned.__dask_graph__())
    if len(keys) != n_partitions:
        raise TypeMismatchError(
            f"Dask computes this frame of {counted(n_partitions, 'partition')} in {len(keys):,}. Give X.persist(), "
            "whose partitions stay as they are."
        )
    return graph, keys


def computed(graph: Graph, keys: Any) -> Any:
    """The values of some keys, computed where the cluster is, or where Dask would."""
    get = _Where.get or optional.load("dask.base").get_scheduler() or _of_futures(graph)
    return (get or optional.load("dask.threaded").get)(graph, keys)


def _of_futures(graph: Graph) -> Get | None:
    """What computes with those workers that hold parts of the graph (``persist``); None where none do."""
    for task in graph.values():
        client = getattr(getattr(task, "value", task), "client", None)
        if client is not None:
            get: Get = client.get
            return get
    return None
