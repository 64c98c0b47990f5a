"""Writes what is generated from the code, for `make docs`: operators.md, estimators.md, bad-input.md, the stub.

Nothing in the pages is written by hand: summaries are docstrings, types and scans are planned, what null becomes is
what comes out when the sample call runs, estimators are the rows of their table, and what bad input gets are the cases
of tests/bad_input.
"""

import ast
import importlib
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa

import gpupipe as gp
from gpupipe import expr as language
from gpupipe.compiler.plan import Feature, Plan, make_plan
from gpupipe.errors import GpupipeError
from gpupipe.expr.columnwise import COLUMNWISE
from gpupipe.expr.expr import Expr
from gpupipe.expr.node import INFIX, PREFIX, Node, make, walk
from gpupipe.expr.reductions import REDUCTIONS
from gpupipe.expr.registry import Operator, operators
from gpupipe.expr.ufuncs import UFUNCS
from gpupipe.models.estimators import ROWS
from gpupipe.models.families.committees import COMMITTEES, MODULE
from gpupipe.models.families.rows import Row
from gpupipe.models.families.wrappers import WRAPPERS
from gpupipe.models.gpu.places import has_twin
from gpupipe.models.gpu.table import TWINS
from gpupipe.models.gpu.twin import Rule
from gpupipe.models.partitions.table import WAYS
from gpupipe.schema import Field, Schema

ROOT = Path(__file__).resolve().parent.parent
PAGE, STUB = ROOT / "docs" / "operators.md", ROOT / "gpupipe" / "expr" / "methods.pyi"
BAD_INPUT, ESTIMATORS = ROOT / "docs" / "bad-input.md", ROOT / "docs" / "estimators.md"

# A small table; the last row is null. Operators are tried on the columns of the kind they take, in this order.
SAMPLE = {
    "x": pa.array([2.0, 1.0, 4.0, None]),
    "y": pa.array([3.0, 5.0, 1.0, None]),
    "n": pa.array([7, 8, 9, None]),
    "m": pa.array([2, 0, 2, None]),
    "b": pa.array([True, False, True, None]),
    "city": pa.array(["Bern", "Bonn", "Bern", None]),
    "day": pa.array(["2024-02-29", "2024-03-01", "2024-03-01", None]),
    "t": pa.array([10**15, 10**15 + 1, 0, None], pa.timestamp("us")),
    "u": pa.array([10**9, 0, 5, None], pa.duration("us")),
    "goal": pa.array([1.0, 0.0, 1.0, 1.0]),
}
COLUMNS = {
    "number": ["x"],
    "text": ["city", "day"],
    "time": ["t", "u"],
    "boolean": ["b"],
    "any": ["x", "city"],
}

INTRO = """\
# Operators

Generated from the code by `make docs`: do not edit. `x` and `y` are floats, `n` and `m` integers, `b` is a boolean,
`city` and `day` are text, `t` is a time.

- *Null gives*: what comes out in a row where the column is null. "may also make null" stands where null can come out of
  a column that has none. Statistics skip nulls; "counted" says which does not.
- *Type*: of the value, and after the arrow of the feature that leaves: numbers are computed in float64 (whole ones in
  int64) and rounded once, to Float32, unless the last step is a `cast`. A `*` marks several columns.
- *Scans*: trips over the training rows that the operator's statistics need. Operators of one pipeline share them.
- *Elsewhere*: what the same thing is called in other libraries.
"""


def operators_page() -> str:
    """docs/operators.md."""
    parts = [INTRO, _building_blocks(), _python_operators()]
    for family, entries in groupby(operators(), key=lambda entry: entry.family):
        rows = [_row(entry) for entry in entries]
        parts.append(_section(family, ["Call", "What it gives", "Null gives", "Type", "Scans", "Elsewhere"], rows))
    return "\n".join(parts)


def _section(title: str, head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    table = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
    return "\n".join([f"## {title[0].upper()}{title[1:]}", "", *table, ""])


def _building_blocks() -> str:
    others = ("Expr", "Node", "Selector", "operator")
    functions = [(name, getattr(language, name)) for name in language.__all__ if name not in others]
    rows = [[f"`gp.{name}{_parameters(function)}`", _summary(function)] for name, function in functions]
    methods = [(name, getattr(Expr, name)) for name in ("alias", "suffix", "over", "map", "pipe")]
    rows += [[f"`.{name}{_parameters(method)}`", _summary(method)] for name, method in methods]
    return _section("building blocks", ["Call", "What it gives"], rows)


def _parameters(function: Callable[..., Any]) -> str:
    shown = (str(parameter.replace(annotation=parameter.empty)) for parameter in _after_self(function))
    return f"({', '.join(shown)})"


def _after_self(function: Callable[..., Any]) -> list[inspect.Parameter]:
    return [parameter for name, parameter in inspect.signature(function).parameters.items() if name != "self"]


def _summary(function: Callable[..., Any]) -> str:
    return " ".join((inspect.getdoc(function) or "").partition("\n\n")[0].split())


def _python_operators() -> str:
    rows = []
    for op, sign in INFIX.items():
        x, y = _OPERANDS.get(op, ("x", "y"))
        rows.append(_python_row(f"{x} {sign} {y}", make(op, gp.col(x)._node, gp.col(y)._node)))
    rows += [_python_row(f"{PREFIX[op]}{x}", make(op, gp.col(x)._node)) for op, x in (("neg", "x"), ("not", "b"))]
    listed = ", ".join(f"`{name}`" for name in sorted(UFUNCS))
    note = f"NumPy's functions of the same name build expressions too: {listed}, and `where` and `clip`.\n"
    return _section("Python's operators", ["Call", "Null gives", "Type"], rows) + "\n" + note


_OPERANDS = dict.fromkeys(("and", "or", "xor"), ("b", "b")) | dict.fromkeys(("floordiv", "mod"), ("n", "m"))


def _python_row(shown: str, node: Node) -> list[str]:
    plan = _planned(Expr(node))
    return [f"`{shown}`", _null_cell(Expr(node), plan, "x"), _type(plan.features)]


def _row(entry: Operator) -> list[str]:
    column, call, plan = _sample(entry)
    arguments = ", ".join(repr(argument) for argument in entry.arguments)
    shown = f'`col("{column}").{entry.qualified}({arguments})`'
    null, dtype = _null_cell(call, plan, column), _type(plan.features)
    if _is_list(entry):  # its codes were planned
        null, dtype = "skipped", "a list"
    return [shown, entry.summary, null, dtype, str(len(plan.scans)), entry.peer]


def _is_list(entry: Operator) -> bool:
    return entry.name in REDUCTIONS and REDUCTIONS[entry.name].table


def _sample(entry: Operator) -> tuple[str, Expr, Plan]:
    """The first column of the operator's kind that its sample call runs on."""
    problems = []
    for column in COLUMNS[entry.takes]:
        try:
            call = entry.function(gp.col(column), *entry.arguments)
            if _is_list(entry):  # no feature by itself: shown by what it is for
                call = Expr(make("codes", gp.col(column)._node, call._node, other_buckets=1))
            plan = _planned(call)
            _run(call)
        except GpupipeError as error:
            problems.append(str(error))
        else:
            return column, call, plan
    raise RuntimeError(f"The sample call of {entry.qualified} runs on no column: {problems}")


def _planned(call: Expr, nullable: bool = True) -> Plan:
    types = gp.scan(pa.table(SAMPLE)).schema
    schema = Schema({name: Field(field.dtype, nullable) for name, field in types.items()})
    return make_plan(schema, [call._node], target=gp.col("goal")._node)


def _run(call: Expr, rows: int = 4) -> list[list[Any]]:
    """The columns that the call gives over the sample table."""
    data = pa.table(SAMPLE).slice(0, rows)
    found = gp.Pipeline([call], target="goal").fit(data).transform(data)
    return [column.to_pylist() for column in found.columns]


def _type(features: tuple[Feature, ...]) -> str:
    several = len(features) > 1 or features[0].info.wide is not None
    return ", ".join(dict.fromkeys(_types(feature) for feature in features)) + ("*" if several else "")


def _types(feature: Feature) -> str:
    inside, leaving = str(feature.info.dtype), str(feature.dtype)
    return leaving if inside == leaving else f"{inside} → {leaving}"


def _null_cell(call: Expr, plan: Plan, column: str) -> str:
    also = [feature.info.nullable and not feature.info.scalar for feature in _planned(call, nullable=False).features]
    return _null(call, plan, column) + ("; may also make null" if any(also) else "")


def _null(call: Expr, plan: Plan, column: str) -> str:
    nodes = list(walk(*(feature.node for feature in plan.features)))
    statistics = [node for node in nodes if node.op in REDUCTIONS]
    if plan.features[0].node in statistics:
        return "skipped" if statistics[0]["keys"] or _run(call) == [[*c, c[0]] for c in _run(call, 3)] else "counted"
    found = [values[-1] for values in _run(call)]
    if all(value is None for value in found):
        return "null"
    if any(make("col", name=column) in node.args[-node["keys"] :] for node in statistics if node["keys"]):
        return "the value of the nulls' group"
    rules = [COLUMNWISE[node.op].nulls for node in nodes if node.op in COLUMNWISE]
    if rules and rules[0] != "propagate":
        return rules[0]
    return ", ".join(dict.fromkeys(_shown(value) for value in found))


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower()


# -- the stub ---------------------------------------------------------------------------------------------------------
NAMESPACES = {"dt": "Dates", "str": "Text"}
STUB_HEAD = '''\
# ruff: noqa: E501, I001
"""Generated from the registry by `make docs`: do not edit."""

import builtins
from collections.abc import Iterable, Sequence
from typing import Any

from gpupipe.expr.expr import Expr
from gpupipe.schema import DType
'''


def stub() -> str:
    """gpupipe/expr/methods.pyi: the operators that gpupipe itself registers."""
    ours = [entry for entry in operators() if entry.function.__module__.startswith("gpupipe.")]
    parts = [STUB_HEAD]
    for namespace, title in {**NAMESPACES, "": "Methods"}.items():
        parts.append(f"\nclass {title}:")
        if not namespace:
            parts += [f"    @property\n    def {name}(self) -> {kind}: ..." for name, kind in NAMESPACES.items()]
        parts += [_stub_method(entry) for entry in ours if entry.namespace == namespace]
    return "\n".join(parts) + "\n"


def _stub_method(entry: Operator) -> str:
    (function,) = ast.parse(textwrap.dedent(inspect.getsource(entry.function))).body
    assert isinstance(function, ast.FunctionDef)
    arguments = function.args
    arguments.args[0] = ast.arg("self")
    values = [p.default for p in inspect.signature(entry.function).parameters.values() if p.default is not p.empty]
    literals: Iterator[ast.expr] = (ast.parse(repr(value), mode="eval").body for value in values)
    arguments.defaults = [next(literals) for _ in arguments.defaults]
    arguments.kw_defaults = [default and next(literals) for default in arguments.kw_defaults]
    for node in ast.walk(arguments):
        if isinstance(node, ast.Name) and node.id == "str":
            node.id = "builtins.str"  # within the class, str is the namespace
    return f'    def {entry.name}({ast.unparse(arguments)}) -> Expr:\n        """{entry.summary}"""'


def bad_input_page() -> str:
    """docs/bad-input.md: what the tests hold, case by case."""
    sys.path.insert(0, str(ROOT / "tests"))
    return str(importlib.import_module("bad_input.case").page())


ESTIMATORS_INTRO = """\
# Estimators

Generated from the table of estimators by `make docs`: do not edit. `Pipeline(model=…)` takes an object of these
classes, trains a clone of it with its own library, and keeps what it learned as data. Anything else is refused, with
the nearest of these named.

- *Form*: what it is kept as. Arrays of ours (`linear`, `trees`, …) need no library to score, and give a row the same
  bits alone and in any batch. `xgboost` is XGBoost's own UBJ and needs it. **`skops`** needs scikit-learn, of the minor
  version that trained it, and skops; and the last bits of a row may hang on the rows scored with it
  ([decision 15](decisions/0015-every-common-estimator.md)).
- *Null*: whether features may be null when it is fitted; else that is an error while planning.
- *Weights*: whether it takes `Pipeline(weights=…)`.
- *Validation*: whether it stops early on `fit(…, validation=…)`.
- *Targets*: whether it learns one, several, or any number.
- *By name*: parameters that take a dict of labels (`class_weight`) or of features (constraints: `{"age": 1}` rises,
  `-1` falls), whatever position or code the library knows them by.
- *Partitions*: whether `Pipeline(training="partitions")` trains it without a matrix of all rows;
  [below](#on-partitions) how.
- *GPU*: whether it is trained on a GPU where features are computed on one; [below](#on-a-gpu) by what.
"""
ON_PARTITIONS = """\
With `Pipeline(training="partitions")` these train in trips over the rows, and no matrix of all of them is ever made:
for data beyond memory, and on a cluster. Others are refused, unless `training="gather"` brings all rows into this
process.

- *Only*: the parameters that it is trained so with; others are an error before a row is read.
- *Bits*: "same" where any partitions, threads and workers, in any order, give the same model to the bit.

scikit-learn's own solution is met within 1e-6 (most within 1e-12), where its solver is run to the end: `tol` and
`solver` say how near scikit-learn gets, and Newton's method gets there in a few trips whatever they are. KMeans from
given centres takes scikit-learn's steps; `init="k-means++"` and `"random"` draw other rows than scikit-learn does, by
the identity of each row and `random_state`, which is how the draw can be the same for any layout. XGBoost's trees hang
on the partitions and on the workers, and so may its predictions; those of random forests, which the GPUs of a cluster
grow together, on which worker has which rows. See [decision 44](decisions/0044-training-on-partitions.md).
"""
ON_A_GPU = """\
Where features are computed on a GPU they are trained on there, from the same memory, by the class of cuML that learns
the same (XGBoost by itself, with `device="cuda"`), and the model that comes of it is the same form of numbers, scored
anywhere. `explain` says before, and `report_` after, what was trained on the CPU instead, and why. Where cuML is
missing or does not load, or XGBoost was built without CUDA, `device="auto"` trains on the CPU, and `device="gpu"` is
an error before a row is read; an estimator that is not named here trains on the CPU under both.

- *Trained in*: float64 is made from the features on the GPU, and takes twice their memory there.
- *Only*: parameters that cuML has not, or not so, and the values that it learns the same with. Others train on the CPU
  with `device="auto"`, and are an error with `device="gpu"`. Every parameter that is not named is translated, or
  changes no result.
- *Besides*: what the rows must be; others train on the CPU.

LinearRegression and Ridge are solved from exact covariances on every device, to the same bits; cuML's train where rows
must ([decision 27](decisions/0027-gram-blocks.md)). Agreement of the others with the CPU is that of two solvers of one
problem, not of bits ([decision 36](decisions/0036-cuml-twins.md)).

Scoring gives the same bytes on every machine. Forests and boosted trees can be evaluated by nvForest instead, which is
made for bulk on a GPU and about 4e-7 off: `from gpupipe.models.gpu.forests import on_nvforest`, then
`pipeline.model_ = on_nvforest(pipeline.model_)`. What is saved stays exact.
"""
_KINDS = {
    "classifier": "classifiers",
    "regressor": "regressors",
    "ranker": "rankers",
    "clusterer": "clusterers",
    "transformer": "transformers",
    "outlier_detector": "outlier detectors (1 for what looks like the training rows, -1 for what does not)",
}
_LABELS = ("class_weight", "class_weights")
_FEATURES = (
    *("monotonic_cst", "monotone_constraints"),
    *("interaction_cst", "interaction_constraints", "categorical_features"),
)
# LightGBM takes these too, and its signature does not say so.
_LIGHTGBM = ("monotone_constraints", "interaction_constraints", "categorical_feature")


def estimators_page() -> str:
    """docs/estimators.md."""
    head = ["Estimator", "Form", "Null", "Weights", "Validation", "Targets", "By name", "Partitions", "GPU"]
    parts = [ESTIMATORS_INTRO]
    for kind, title in _KINDS.items():
        rows = sorted((row for row in ROWS if row.kind == kind), key=lambda row: (_library(row), row.name))
        parts.append(_section(title, head, [_estimator_row(row) for row in rows]))
    wrappers = [[f"`{wrapper.module}.{name}`", f"`{wrapper.form}`"] for name, wrapper in WRAPPERS.items()]
    wrappers += [[f"`{MODULE}.{name}`", f"`{form}`"] for name, (_, form) in COMMITTEES.items()]
    parts.append(_section("around other estimators of these", ["Estimator", "Form"], wrappers))
    ways = [[f"`{path}`", way.by, way.only, "same" if way.same_bits else ""] for path, way in WAYS.items()]
    table = _section("on partitions", ["Estimator", "By", "Only", "Bits"], ways)
    parts.append(table.replace("\n\n", f"\n\n{ON_PARTITIONS}\n", 1))
    titles = ["Estimator", "Trained by", "Trained in", "Only", "Besides"]
    table = _section("on a GPU", titles, [_gpu_row(row) for row in ROWS if has_twin(row)])
    parts.append(table.replace("\n\n", f"\n\n{ON_A_GPU}\n", 1))
    return "\n".join(parts)


def _gpu_row(row: Row) -> list[str]:
    twin = TWINS.get(row.path)
    if twin is None:
        only = "`tree_method`: 'hist', 'approx', 'auto', None; `device`: 'cuda', None"
        return [f"`{row.path}`", "itself", row.dtype, only, ""]
    besides = [twin.needs] if twin.needs else []
    besides += ["no weights"] if row.accepts_weights and not twin.weights else []
    besides += ["one target"] if row.targets != "one" and not twin.several else []
    only = [f"`{name}`: {_values(allowed)}" for name, allowed in twin.only.items()]
    return [f"`{row.path}`", f"`{twin.path}`", twin.dtype, "; ".join(only), "; ".join(besides)]


def _values(allowed: Any) -> str:
    return allowed.words if isinstance(allowed, Rule) else ", ".join(map(repr, allowed))


def _library(row: Row) -> int:
    return ["sklearn", "xgboost", "lightgbm", "catboost"].index(row.module.partition(".")[0])


def _estimator_row(row: Row) -> list[str]:
    made = getattr(importlib.import_module(row.module), row.name)
    names = {*inspect.signature(made.__init__).parameters, *made().get_params()}  # XGBoost's are in the second
    labels = [name for name in _LABELS if name in names and row.kind == "classifier"]
    features = _LIGHTGBM if row.module == "lightgbm" else [name for name in _FEATURES if name in names]
    given = [f"`{name}`" for name in (*labels, *features)]
    form = f"**`{row.form}`**" if row.form == "skops" else f"`{row.form}`"
    yes = {True: "yes", False: ""}
    stops = yes[row.early_stopping is not None]
    takes = [yes[row.accepts_nan], yes[row.accepts_weights], stops, row.targets]
    return [f"`{row.path}`", form, *takes, ", ".join(given), yes[row.path in WAYS], yes[has_twin(row)]]


def main() -> None:
    """Write the files."""
    PAGE.write_text(operators_page(), encoding="utf-8")
    BAD_INPUT.write_text(bad_input_page(), encoding="utf-8")
    ESTIMATORS.write_text(estimators_page(), encoding="utf-8")
    STUB.write_text(stub(), encoding="utf-8")


if __name__ == "__main__":
    main()
