"""Fitted features: the plan and what was learned, ready to compute on one device. What an artifact holds and scores."""

from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np

from gpupipe.backends.backend import Backend, Prepared, backend_for
from gpupipe.backends.categories import Tables
from gpupipe.backends.reference import evaluate_all
from gpupipe.backends.untouched import untouched
from gpupipe.columns import AnyColumn, Column, Frame
from gpupipe.compiler.bind import Binder, Output, bind_outputs
from gpupipe.compiler.fitted import Fitted
from gpupipe.compiler.plan import Plan
from gpupipe.compiler.words import no_number
from gpupipe.expr.node import walk

# Category codes are Int32; a vocabulary beyond 2^24 entries is far from what one column can hold here.
EXACT_IN_FLOAT32 = frozenset({"Float32", "Boolean", "Int8", "Int16", "UInt8", "UInt16", "Int32"})


@dataclass(eq=False)
class FittedFeatures:
    """The features of a plan over what its scans learned.

    Attributes:
        plan: the plan.
        fitted: what was learned.
        backend: the device that computes.
        training: whether rows are those of the fit, so that out-of-fold values apply.
    """

    plan: Plan
    fitted: Fitted
    backend: Backend = field(repr=False)
    training: bool = False

    @cached_property
    def _binder(self) -> Binder:
        return Binder(self.plan.slots, self.fitted, self.plan.info, training=self.training)

    @cached_property
    def outputs(self) -> list[Output]:
        """Every output column: its name, bound node and type."""
        return bind_outputs(self._binder, [(f.name, f.node, f.dtype) for f in self.plan.features])

    @cached_property
    def _prepared(self) -> Prepared:
        outputs = self.outputs
        return self.backend.prepare(outputs, self._binder.info, Tables(self.fitted))

    @property
    def names(self) -> list[str]:
        """The outputs' names, in order."""
        return [output.name for output in self.outputs]

    @property
    def fits_float32(self) -> bool:
        """Whether a float32 matrix holds every output as it is."""
        return not self.beyond_float32

    @property
    def beyond_float32(self) -> list[Output]:
        """The outputs that a float32 matrix does not hold as they are."""
        return [output for output in self.outputs if output.dtype.name not in EXACT_IN_FLOAT32]

    def columns(self, frame: Frame) -> list[Column]:
        """The outputs over the rows of `frame`, each in its type."""
        return self._prepared.columns(frame)

    def resident(self, frame: Frame) -> list[AnyColumn]:
        """The same, wherever the backend has them."""
        return self._prepared.resident(frame)

    def matrix(self, frame: Frame, out: Any = None) -> Any:
        """The outputs as a C-ordered float32 matrix of shape (rows, outputs); null as NaN.

        Args:
            out: where it is to be written: a NumPy array, or one in the memory of the backend's device; None: a new
                NumPy array.

        Raises:
            TypeMismatchError: an output is text or a time.
        """
        if self._not_numeric is not None:
            raise no_number(self._not_numeric.name, self._not_numeric.dtype, "a matrix holds")
        if out is None:
            out = untouched((frame.n_rows, len(self.outputs)))
        self._prepared.matrix(frame, out)
        return out

    @cached_property
    def _not_numeric(self) -> Output | None:
        return next((o for o in self.outputs if not (o.dtype.is_numeric or o.dtype.name in ("Boolean", "Null"))), None)

    def constant_divisors(self) -> tuple[str, ...]:
        """Outputs that divide by a statistic which is exactly 0, and so by 1 (see the operator nonzero)."""
        info = self._binder.info
        guards = [
            [n.args[0] for n in walk(output.node) if n.op == "select" and info[n].scalar and n.args[0].op == "eq"]
            for output in self.outputs
        ]
        frame = Frame({}, 1, np.zeros(1, np.uint64))
        found = evaluate_all(list(dict.fromkeys(chain(*guards))), frame, Tables(self.fitted))
        each = zip(self.outputs, guards, strict=True)
        return tuple(output.name for output, own in each if any(bool(found[guard].values[0]) for guard in own))

    def __getstate__(self) -> dict[str, Any]:
        """What a copy needs: what is prepared for the device is prepared again. A GPU stays where it is."""
        kept = {name: self.__dict__[name] for name in ("plan", "fitted", "backend", "training")}
        return {**kept, "backend": None} if self.backend.name == "gpu" else kept

    def __setstate__(self, kept: dict[str, Any]) -> None:
        self.__dict__.update(kept)
        if kept["backend"] is None:
            self.backend = backend_for("auto")

    def for_training(self) -> "FittedFeatures":
        """The same for the rows of the fit: out-of-fold values where an operator keeps folds."""
        found = FittedFeatures(self.plan, self.fitted, self.backend, training=True)
        if not any(slot.folds for slot in self.plan.slots):  # then nothing is bound in another way
            found._binder, found.outputs = self._binder, self.outputs
        return found

    def __repr__(self) -> str:
        shown = ", ".join(self.names[:6]) + (", …" if len(self.names) > 6 else "")
        return f"FittedFeatures({len(self.names)} columns: {shown})"
