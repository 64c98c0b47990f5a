"""Every error gpupipe raises, as one tree.

    GpupipeError
    ├── PlanError                     what was declared cannot be planned; raised before a row is read
    │   ├── ColumnNotFoundError       (KeyError)         a column that is not in the schema
    │   ├── DuplicateNameError        (ValueError)       two outputs or two columns of one name
    │   ├── TypeMismatchError         (TypeError)        an operator given a column of a type it cannot take
    │   ├── ParameterError            (ValueError)       an option or argument outside what is allowed
    │   ├── TraceError     (TypeError, ValueError)        a user function that cannot be turned into an expression
    │   ├── LeakageError              (ValueError)       a feature that would see the target
    │   └── NullableFeatureError      (ValueError)       a feature with nulls before a model that refuses them
    ├── DataError                     a value or a file is not what the plan needs
    │   ├── SourceNotFoundError       (FileNotFoundError) no file matches
    │   ├── FileFormatError           (ValueError)       a file that cannot be decoded
    │   ├── SchemaMismatchError       (TypeError)        a file or frame whose columns differ from the plan's
    │   ├── CastError                 (ValueError)       a value that a strict cast refuses
    │   ├── IntegerOverflowError      (OverflowError)    an integer result beyond int64
    │   ├── NonFiniteError            (ValueError)       NaN in a reduction, or an infinity in moments
    │   ├── DuplicateKeyError         (ValueError)       a join key that stands twice in a dimension
    │   ├── WideFeatureError          (ValueError)       a one_hot wider than its limit
    │   └── TargetError               (ValueError)       a target the model cannot learn from
    ├── ModelError                    the training seam
    │   ├── UnsupportedEstimatorError (TypeError)        an estimator that is not in the table
    │   └── UnsafeModelError          (TypeError)        a fitted model with no safe form to save
    ├── ArtifactError                 a saved pipeline
    │   ├── ArtifactNotFoundError     (FileNotFoundError)
    │   ├── ArtifactExistsError       (FileExistsError)
    │   ├── ArtifactCorruptError      (ValueError)       truncated, altered, or not an artifact
    │   └── ArtifactVersionError      (ValueError)       written by a newer gpupipe
    ├── StorageError                  (OSError)          a disk that is full, read-only, over quota, or failing
    ├── NotFittedError                (ValueError, AttributeError)
    ├── MissingDependencyError        (ImportError)      an optional package that is not installed
    └── UsageError                    (ValueError)       a command line that makes no sense

Each message says what was asked, what is there, and what to try.
"""

import difflib
from collections.abc import Iterable


class GpupipeError(Exception):
    """The root: catch this to catch everything gpupipe raises on purpose."""

    def __str__(self) -> str:  # KeyError would print the repr of its argument
        return " ".join(str(part) for part in self.args)


class PlanError(GpupipeError):
    """What was declared cannot be planned. Raised before any row is read."""


class ColumnNotFoundError(PlanError, KeyError):
    """A column that is not in the schema."""


class DuplicateNameError(PlanError, ValueError):
    """Two outputs, or two columns of a source, have one name."""


class TypeMismatchError(PlanError, TypeError):
    """An operator was given a column of a type it cannot take."""


class ParameterError(PlanError, ValueError):
    """An option or argument is outside what is allowed."""


class TraceError(PlanError, TypeError, ValueError):
    """A user's function cannot be turned into an expression."""


class LeakageError(PlanError, ValueError):
    """A feature would see the target."""


class NullableFeatureError(PlanError, ValueError):
    """A feature may hold nulls, and the model refuses them."""


class DataError(GpupipeError):
    """A value or a file is not what the plan needs."""


class SourceNotFoundError(DataError, FileNotFoundError):
    """No file matches."""


class FileFormatError(DataError, ValueError):
    """A file cannot be decoded."""


class SchemaMismatchError(DataError, TypeError):
    """A file's or frame's columns differ from those of the plan."""


class CastError(DataError, ValueError):
    """A value that a strict cast refuses."""


class IntegerOverflowError(DataError, OverflowError):
    """An integer result beyond int64."""


class NonFiniteError(DataError, ValueError):
    """NaN in a reduction, or an infinity in moments."""


class DuplicateKeyError(DataError, ValueError):
    """A join key stands twice in a dimension."""


class WideFeatureError(DataError, ValueError):
    """A feature would become more columns than its limit."""


class TargetError(DataError, ValueError):
    """A target the model cannot learn from."""


class ModelError(GpupipeError):
    """The training seam: an estimator that cannot be used as asked."""


class UnsupportedEstimatorError(ModelError, TypeError):
    """An estimator that is not in the table."""


class UnsafeModelError(ModelError, TypeError):
    """A fitted model that has no safe form to save."""


class ArtifactError(GpupipeError):
    """A saved pipeline that cannot be written or read."""


class ArtifactNotFoundError(ArtifactError, FileNotFoundError):
    """No artifact stands at the path."""


class ArtifactExistsError(ArtifactError, FileExistsError):
    """Something already stands where the artifact should go."""


class ArtifactCorruptError(ArtifactError, ValueError):
    """Truncated, altered, or not an artifact."""


class ArtifactVersionError(ArtifactError, ValueError):
    """Written by a newer gpupipe."""


class StorageError(GpupipeError, OSError):
    """The disk is full, read-only, over quota, or failing; or the place is no place to write to.

    Attributes:
        errno: the system's number of the error, as of any OSError.
        filename: the path at fault.

    >>> StorageError("The disk is full.", 28, "churn.gpp").errno
    28
    """

    def __init__(self, message: str, errno: int | None = None, filename: str | None = None) -> None:
        super().__init__(message)
        self.errno, self.filename = errno, filename

    def __reduce__(self) -> tuple[type, tuple[str, int | None, str | None]]:  # OSError's own would lose the two
        return type(self), (str(self), self.errno, self.filename)


class NotFittedError(GpupipeError, ValueError, AttributeError):
    """The pipeline has not been fitted."""


class MissingDependencyError(GpupipeError, ImportError):
    """An optional package is not installed."""


class UsageError(GpupipeError, ValueError):
    """A command line that makes no sense."""


def nearest(asked: str, known: Iterable[str]) -> str:
    """A hint naming what was probably meant.

    >>> nearest("tenur", ["tenure", "city"])
    "Did you mean 'tenure'?"
    >>> nearest("xyz", ["tenure", "city"])
    'There are: tenure, city.'
    """
    names = [str(name) for name in known]
    close = difflib.get_close_matches(asked, names, n=1)
    if close:
        return f"Did you mean {close[0]!r}?"
    shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    return f"There are: {shown}." if names else "There are none."
