"""cuml.dask: one model, learned by several GPUs together of the rows that lie on each.

What runs here runs on a worker that has a GPU: cuml.dask asks for one where it is called from too, to count classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpupipe import optional
from gpupipe.errors import DeviceMemoryError, GpupipeError, TrainingError, counted
from gpupipe.kernels.gpu.device import DeviceArray
from gpupipe.kernels.gpu.failures import Health
from gpupipe.models.estimators import row_at
from gpupipe.models.families.rows import Row
from gpupipe.models.gpu import arrays
from gpupipe.models.gpu.table import TWINS, made
from gpupipe.models.gpu.training import REFUSALS, Learned, read_off
from gpupipe.models.gpu.twin import Case, Twin

# Parameters of cuML's that cuml.dask has not: it grows trees one after the other, and warns where this is given.
_NOT_TOGETHER = ("n_streams",)


@dataclass(frozen=True, eq=False)
class Wanted:
    """What is to be learned; data alone, which goes to a worker.

    Attributes:
        path: of the estimator, as users import it.
        params: its own, those about labels told in codes.
        rows, features: of all workers together.
        classes: how many, of a classifier.
    """

    path: str
    params: Mapping[str, Any]
    rows: int
    features: int
    classes: int | None

    @property
    def row(self) -> Row:
        """Of the table of estimators."""
        return row_at(self.path)

    @property
    def twin(self) -> Twin:
        """What trains in its place on one GPU, with the same parameters."""
        return TWINS[self.path]

    @property
    def shape(self) -> str:
        """In words."""
        return f"{counted(self.rows, 'row')} × {counted(self.features, 'feature')}"

    def translated(self) -> dict[str, Any]:
        """The parameters that cuml.dask's class is made with."""
        case = Case(self.params, self.rows, self.features, self.classes, None, None, lambda: False)
        return {name: value for name, value in self.twin.translated(case).items() if name not in _NOT_TOGETHER}


def standing(X: NDArray[np.float32] | DeviceArray, device: Any) -> Any:
    """CuPy's array of a matrix: of one on the device a view, one of the host is copied there."""
    return arrays.as_cupy(X) if isinstance(X, DeviceArray) else arrays.uploaded(device, X)


def one(parts: list[Any]) -> Any:
    """Several of CuPy's arrays as one, on the device."""
    return parts[0] if len(parts) == 1 else optional.load("cupy").concatenate(parts)


def empty(n_dims: int, dtype: Any) -> Any:
    """An array of CuPy's without elements, by which Dask knows what an array of its own is made of."""
    return optional.load("cupy").empty((0,) * n_dims, dtype)


def learned_together(
    wanted: Wanted, client: Any, workers: list[str], X: Any, y: Any, few: NDArray[np.float32]
) -> Learned:
    """Train on the rows of Dask's arrays, whose blocks are CuPy's and lie on the workers.

    Args:
        client: of Dask's scheduler.
        workers: the addresses of those that may take part; those without rows do not.
        X: float32, (rows, features); y: codes in int32, or numbers in float32, divided as X.
        few: some rows of X, on the host, to compare with.

    Raises:
        DeviceMemoryError, DeviceLostError, DeviceError: a GPU failed, or has not the memory.
        TrainingError: cuml.dask refused.
        UnsafeModelError: what it learned could not be read.
    """
    try:
        return _learned(wanted, client, workers, X, y, few)
    except GpupipeError:
        raise
    except Exception as error:
        ours = refusal(wanted, error)
        if ours is error:
            raise
        raise ours from error


def _learned(wanted: Wanted, client: Any, workers: list[str], X: Any, y: Any, few: Any) -> Learned:
    twin = wanted.twin
    path = twin.path.replace("cuml.", "cuml.dask.", 1)
    model = made(path, {"client": client, "workers": workers, **wanted.translated()})
    model.fit(X, y)
    fitted = model.get_combined_model()
    says = None
    if twin.compare is not None:
        said = getattr(fitted, twin.compare)(optional.load("cupy").asarray(few))
        says = twin.compare, arrays.to_host(said), twin.tolerance
    classes = None if wanted.classes is None else arrays.to_host(fitted.classes_)
    body, link = read_off(wanted.row, lambda: twin.read(fitted, wanted.row, wanted.params))
    return Learned(body, link, says, classes)


def refusal(wanted: Wanted, error: BaseException) -> BaseException:
    """What an error of cuml.dask, or of a worker that trained with it, means."""
    what = f"training {wanted.path} on {wanted.shape} by cuml.dask"
    if isinstance(error, GpupipeError):
        return error
    ours = Health("A GPU of the cluster").meant(error, what)
    if isinstance(ours, DeviceMemoryError):
        return DeviceMemoryError(
            f"{str(ours).rstrip('.')}. A worker needs its rows' features twice, and cuML memory of its own. Train on "
            "fewer rows or features, or on more GPUs.",
            ours.asked,
            ours.device,
        )
    if ours is None and isinstance(error, (*REFUSALS, NotImplementedError)):
        return TrainingError(f"cuml.dask refused to train {wanted.path} on {wanted.shape}: {error}")
    return error if ours is None else ours
