"""Every error gpupipe raises, as one tree. Each message says what was asked, what is there, and what to try.

    GpupipeError
    ├── PlanError                     what was declared cannot be planned; raised before a row is read
    │   ├── ColumnNotFoundError       (KeyError)         a column that is not in the schema
    │   ├── DuplicateNameError        (ValueError)       two outputs or two columns of one name
    │   ├── TypeMismatchError         (TypeError)        an operator given a column of a type it cannot take
    │   ├── ParameterError            (ValueError)       an option or argument outside what is allowed
    │   ├── ArgumentError             (TypeError)        a parameter that is not there, or one that is missing
    │   ├── UnknownNameError          (AttributeError)   a method, or a name of gpupipe, that is not there
    │   ├── TraceError     (TypeError, ValueError)        a user function that cannot be turned into an expression
    │   ├── LeakageError              (ValueError)       a feature that would see the target, or rows seen in the fit
    │   └── NullableFeatureError      (ValueError)       a feature with nulls before a model that refuses them
    ├── DataError                     (Placed)           a value or a file is not what the plan needs
    │   ├── SourceNotFoundError       (FileNotFoundError) no file matches
    │   ├── SourceAccessError         (PermissionError)  a file or folder that may not be read
    │   ├── FileFormatError           (ValueError)       a file that cannot be decoded
    │   ├── SchemaMismatchError       (TypeError)        a file or frame whose columns differ from the plan's
    │   ├── CastError                 (ValueError)       a value that a strict cast refuses
    │   ├── IntegerOverflowError      (OverflowError)    an integer result beyond int64
    │   ├── NonFiniteError            (ValueError)       NaN in a reduction, or an infinity in moments
    │   ├── DuplicateKeyError         (ValueError)       a join key that stands twice in a dimension
    │   ├── WideFeatureError          (ValueError)       a one_hot wider than its limit
    │   ├── ShapeError                (ValueError)       an array that is no table, or has other columns than the fit's
    │   ├── EmptyDataError            (ValueError)       no rows, or a column without a value where one is needed
    │   ├── WeightsError              (ValueError)       weights that are null, negative, NaN, infinite, or all 0
    │   ├── GroupsError               (ValueError)       a ranking's groups that are null, or of several types
    │   ├── FoldsError                (ValueError)       rows that cannot be dealt to folds as asked
    │   ├── CovarianceError           (ValueError)       values or categories that covariances cannot be kept of
    │   ├── UnknownCategoryError      (ValueError)       a value that is none of those listed or learned
    │   └── TargetError               (ValueError)       a target the model cannot learn from
    ├── ModelError                    the training seam
    │   ├── UnsupportedEstimatorError (TypeError)        an estimator that is not in the table
    │   ├── UnavailableError          (AttributeError)   a method that the pipeline's model does not have
    │   ├── ModelOptionError          (ValueError)       an estimator's option that would mean something else here
    │   ├── TrainingError             (ValueError)       the estimator's own library refused to train
    │   └── UnsafeModelError          (TypeError)        a fitted model with no safe form to save
    ├── ArtifactError                 a saved pipeline
    │   ├── ArtifactNotFoundError     (FileNotFoundError)
    │   ├── ArtifactExistsError       (FileExistsError)
    │   ├── ArtifactCorruptError      (ValueError)       truncated, altered, or not an artifact
    │   ├── ArtifactBusyError         (OSError)          replaced again and again while it was opened
    │   └── ArtifactVersionError      (ValueError)       written by a newer gpupipe
    ├── StorageError                  (OSError)          a disk that is full, read-only, over quota, or failing
    ├── DeviceError                   (RuntimeError)     the GPU was asked for and cannot be used, or it failed
    │   ├── DeviceMemoryError         (MemoryError)      the GPU has not so much memory
    │   └── DeviceLostError           a failure after which this process cannot use the GPU any more
    ├── HostMemoryError               (MemoryError)      rows that do not fit into the machine's memory
    ├── ClusterError                  (RuntimeError)     a cluster that cannot be used as asked, or that failed
    │   ├── WorkerLostError           workers were lost, and none came back in time
    │   ├── ClusterTimeoutError       (TimeoutError)     something took longer than its deadline
    │   └── PoisonPartitionError      a partition that ended each worker it was given to
    ├── RunError                      a journal of a run that cannot be gone on with
    │   ├── RunChangedError           (ValueError)       the pipeline or the files are not those that it began with
    │   ├── RunBusyError              (OSError)          another process is at work on the same run
    │   ├── RunFolderError            (ValueError)       a folder that holds a finished run, or is no place for one
    │   └── RunCorruptError           (ValueError)       a journal, or what it lists, was altered
    ├── NotFittedError                (ValueError, AttributeError)
    ├── MissingDependencyError        (ImportError)      an optional package that is not installed
    ├── InternalError                 (RuntimeError)     a bug of gpupipe's own, to be reported
    ├── UserCodeError                 (RuntimeError)     the user's own file, run by the command line, raised
    └── UsageError                    (ValueError)       a command line that makes no sense
"""

from gpupipe.faults import ClusterError as ClusterError
from gpupipe.faults import ClusterTimeoutError as ClusterTimeoutError
from gpupipe.faults import DeviceError as DeviceError
from gpupipe.faults import DeviceLostError as DeviceLostError
from gpupipe.faults import DeviceMemoryError as DeviceMemoryError
from gpupipe.faults import GpupipeError as GpupipeError
from gpupipe.faults import HostMemoryError as HostMemoryError
from gpupipe.faults import PoisonPartitionError as PoisonPartitionError
from gpupipe.faults import RunBusyError as RunBusyError
from gpupipe.faults import RunChangedError as RunChangedError
from gpupipe.faults import RunCorruptError as RunCorruptError
from gpupipe.faults import RunError as RunError
from gpupipe.faults import RunFolderError as RunFolderError
from gpupipe.faults import StorageError as StorageError
from gpupipe.faults import WorkerLostError as WorkerLostError
from gpupipe.hints import Placed
from gpupipe.hints import counted as counted  # here too: nearly every message needs one of them
from gpupipe.hints import nearest as nearest


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


class ArgumentError(PlanError, TypeError):
    """A call with a parameter that the function does not have, with one too many, or without one it needs."""


class UnknownNameError(PlanError, AttributeError):
    """A method of expressions, or a name of gpupipe, that is not there."""


class TraceError(PlanError, TypeError, ValueError):
    """A user's function cannot be turned into an expression."""


class LeakageError(PlanError, ValueError):
    """A feature would see the target; or rows to judge by, or to go on with, were seen in the fit (once read)."""


class NullableFeatureError(PlanError, ValueError):
    """A feature may hold nulls, and the model refuses them."""


class DataError(Placed, GpupipeError):
    """A value or a file is not what the plan needs. Where it stands begins the message, and is kept here.

    >>> str(CastError("'x' cannot be read as Int64.").at(2, "age"))
    "Row 2, column 'age': 'x' cannot be read as Int64."
    """


class SourceNotFoundError(DataError, FileNotFoundError):
    """No file matches."""


class SourceAccessError(DataError, PermissionError):
    """A file or folder may not be read."""


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


class ShapeError(DataError, ValueError):
    """An array is no table of rows and columns, or has another number of columns than the fit's."""


class EmptyDataError(DataError, ValueError):
    """No rows, or a column without a value, where something is to be learned from it."""


class WeightsError(DataError, ValueError):
    """Weights that are null, negative, NaN or infinite, or all 0."""


class GroupsError(DataError, ValueError):
    """Groups of a ranking that are null, or of several types."""


class FoldsError(DataError, ValueError):
    """Rows that cannot be dealt to folds as asked: a null where folds are told by a column, too few rows or groups."""


class CovarianceError(DataError, ValueError):
    """Values too far apart, or too many categories, for covariances to be kept: train on the rows instead."""


class UnknownCategoryError(DataError, ValueError):
    """A value that is none of those that were listed, or learned."""


class TargetError(DataError, ValueError):
    """A target the model cannot learn from."""


class ModelError(GpupipeError):
    """The training seam: an estimator that cannot be used as asked."""


class UnsupportedEstimatorError(ModelError, TypeError):
    """An estimator that is not in the table."""


class UnavailableError(ModelError, AttributeError):
    """A method that the pipeline's model does not have; `hasattr` says so too."""


class ModelOptionError(ModelError, ValueError):
    """An option of an estimator that would mean something else within a pipeline."""


class TrainingError(ModelError, ValueError):
    """The estimator's own library refused to train; its message is kept."""


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


class ArtifactBusyError(ArtifactError, OSError):
    """Replaced again and again while it was opened."""


class ArtifactVersionError(ArtifactError, ValueError):
    """Written by a newer gpupipe."""


class NotFittedError(GpupipeError, ValueError, AttributeError):
    """The pipeline has not been fitted."""


class MissingDependencyError(GpupipeError, ImportError):
    """An optional package is not installed."""


class InternalError(GpupipeError, RuntimeError):
    """A bug of gpupipe's own. Please report it."""


class UserCodeError(GpupipeError, RuntimeError):
    """The user's own file, run by the command line, raised. The message says where in it."""


class UsageError(GpupipeError, ValueError):
    """A command line that makes no sense."""
