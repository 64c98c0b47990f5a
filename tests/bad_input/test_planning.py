"""Bad input that is refused while an expression is written or planned, before any row is read."""

# What is wrong here, the stub knows too.
# mypy: disable-error-code="arg-type, attr-defined, call-arg"

import math

import numpy as np
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.semi_supervised import LabelSpreading

import gpupipe as gp
from gpupipe import col
from gpupipe.backends import devices
from gpupipe.errors import (
    ArgumentError,
    ColumnNotFoundError,
    DeviceError,
    DuplicateNameError,
    LeakageError,
    NullableFeatureError,
    ParameterError,
    TraceError,
    TypeMismatchError,
    UnknownNameError,
    UnsupportedEstimatorError,
)

from .case import PLANNING, WRITING, bad_input, check, runs

DATA = pa.table(
    {
        "age": [31.0, 17.0, 45.0, 60.0],
        "visits": [1, 2, 3, 4],
        "city": ["Rome", "Oslo", "Rome", "Lima"],
        "day": pa.array([1, 2, 3, 4], pa.int32()).cast(pa.date32()),
        "gap": [1.0, None, 3.0, 4.0],
        "left": ["yes", "no", "yes", "no"],
    }
)
age, visits, city, day, gap = (col(name) for name in ("age", "visits", "city", "day", "gap"))


def plan(device, *features, **options):
    gp.Pipeline(list(features), device=device, **options).fit(DATA)


# -- functions that are traced ---------------------------------------------------------------------------------
@bad_input(
    "a traced function that branches on data",
    "`col('age').map(lambda x: x if x > 30 else 0)`",
    told=WRITING,
    error=TraceError,
    message="(age > 30) is an expression, not data: it is neither true nor false. Use "
    "gp.when(…).then(…).otherwise(…) for if, & | ~ for and, or, not, .is_in([…]) for in, and (0 < x) & (x < "
    "1) for 0 < x < 1.",
    backends=False,
)
def branching(device, folder):
    age.map(lambda x: x if x > 30 else 0)


@bad_input(
    "a traced function that branches on data",
    "`and`, `or`, `not` between expressions: `(age > 30) and (visits > 1)`",
    told=WRITING,
    error=TraceError,
    message="(age > 30) is an expression, not data: it is neither true nor false. Use "
    "gp.when(…).then(…).otherwise(…) for if, & | ~ for and, or, not, .is_in([…]) for in, and (0 < x) & (x < "
    "1) for 0 < x < 1.",
    backends=False,
)
def and_between(device, folder):
    return (age > 30) and (visits > 1)


@bad_input(
    "a traced function that branches on data",
    "`'Rome' in col('city')`",
    told=WRITING,
    error=TraceError,
    message="city is an expression, not data: it holds no values. Use .is_in([…]), or .str.contains(…) for a part of "
    "a text.",
    backends=False,
)
def in_a_column(device, folder):
    "Rome" in city  # noqa: B015


@bad_input(
    "a traced function that branches on data",
    "`math.log` of an expression",
    told=WRITING,
    error=TraceError,
    message="age is an expression, not data: it is no number. Use NumPy's functions on it, not those of math; they "
    "build expressions.",
    backends=False,
)
def of_math(device, folder):
    math.log(age)


@bad_input(
    "a traced function that branches on data",
    "a function of NumPy that builds no expression: `np.sort(col('age'))`",
    told=WRITING,
    error=TraceError,
    message="age is an expression, not data: np.sort is not among what builds one. Did you mean 'sqrt'? np.where and "
    "np.clip build expressions too.",
    backends=False,
)
def of_numpy(device, folder):
    np.sort(age)


@bad_input(
    "a traced function that branches on data",
    "a loop over an expression",
    told=WRITING,
    error=TraceError,
    message="age is an expression, not data: no rows to walk over. Write what happens to one row with operators and "
    "NumPy functions.",
    backends=False,
)
def looping(device, folder):
    list(age)


# -- names of features -----------------------------------------------------------------------------------------
@bad_input(
    "two features of one name",
    "`[col('age'), col('age') + 1]`",
    told=PLANNING,
    error=DuplicateNameError,
    message="Two features are named 'age': age and (age + 1). Give one an .alias(…), or remove it.",
)
def two_features(device, folder):
    plan(device, age, age + 1)


@bad_input(
    "two features of one name",
    "a selector and a column that it selects: `[gp.numeric(), col('age')]`",
    told=PLANNING,
    error=DuplicateNameError,
    message="Two features are named 'age': age, listed or selected twice. Give one an .alias(…), or remove it.",
)
def selected_twice(device, folder):
    plan(device, gp.numeric(), age)


@bad_input(
    "two features of one name",
    "a name that a category makes: `[col('city').one_hot(), col('age').alias('city_Rome')]`",
    told="fitting",
    error=DuplicateNameError,
    message="Two features are named 'city_Rome', now that the categories are known: age and city.one_hot(). Give one "
    "of the expressions another .alias(…).",
)
def named_by_a_category(device, folder):
    plan(device, city.one_hot(), age.alias("city_Rome"))


@bad_input(
    "a feature that refers to the target",
    "`target='left'` and a feature of it: `col('left').one_hot()`",
    told=PLANNING,
    error=LeakageError,
    message="The feature left.one_hot() uses 'left', which the target is made of, so it would tell the model "
    "what it is to learn. For the target's mean by another column there is .target_mean() of that "
    "column.",
)
def the_target(device, folder):
    plan(device, age, col("left").one_hot(), target="left", model=LogisticRegression())


@bad_input(
    "a feature that refers to the target",
    "`gp.target() * 2` among the features",
    told=PLANNING,
    error=LeakageError,
    message="The feature (target() * 2) holds the target itself. There is .target_mean().",
)
def the_target_itself(device, folder):
    plan(device, gp.target() * 2, target="age")


# -- misspelt ----------------------------------------------------------------------------------------------------
@bad_input(
    "misspelt parameters",
    "an operator's parameter: `col('city').one_hot(mincount=2)`",
    told=WRITING,
    error=ArgumentError,
    message="one_hot has no parameter 'mincount'. Did you mean 'min_count'?",
    backends=False,
)
def operators_parameter(device, folder):
    city.one_hot(mincount=2)


@bad_input(
    "misspelt parameters",
    "a pipeline's: `gp.Pipeline(features, targt='left')`",
    told=WRITING,
    error=ArgumentError,
    message="Pipeline has no parameter 'targt'. Did you mean 'target'?",
    backends=False,
)
def pipelines_parameter(device, folder):
    gp.Pipeline([age], targt="left")


@bad_input(
    "misspelt parameters",
    "a parameter of `fit`: `fit(data, sample_weights=…)`",
    told=PLANNING,
    error=ArgumentError,
    message="fit has no parameter 'sample_weights'. Did you mean 'sample_weight'?",
)
def fits_parameter(device, folder):
    gp.Pipeline([age], device=device).fit(DATA, sample_weights=[1.0])


@bad_input(
    "misspelt parameters",
    "one too few: `col('city').is_in()`",
    told=WRITING,
    error=ArgumentError,
    message="is_in takes (values): missing a required argument: 'values'.",
    backends=False,
)
def one_too_few(device, folder):
    city.is_in()


@bad_input(
    "unknown options",
    "a method misspelt: `col('age').standardise()`",
    told=WRITING,
    error=UnknownNameError,
    message="Expressions have no method 'standardise'. Here it is called 'standardize'.",
    backends=False,
)
def method(device, folder):
    age.standardise()


@bad_input(
    "unknown options",
    "a method as pandas calls it: `col('gap').fillna(0)`",
    told=WRITING,
    error=UnknownNameError,
    message="Expressions have no method 'fillna'. Here it is called 'fill_null'.",
    backends=False,
)
def method_of_pandas(device, folder):
    gap.fillna(0)


@bad_input(
    "unknown options",
    "a method without its namespace: `col('day').month()`",
    told=WRITING,
    error=UnknownNameError,
    message="Expressions have no method 'month'. Did you mean 'dt.month'?",
    backends=False,
)
def method_elsewhere(device, folder):
    day.month()


@bad_input(
    "unknown options",
    "a selector misspelt: `gp.numerics()`",
    told=WRITING,
    error=UnknownNameError,
    message="gpupipe has no 'numerics'. Did you mean 'numeric'?",
    backends=False,
)
def selector(device, folder):
    gp.numerics()


@bad_input(
    "unknown options",
    "a column misspelt: `col('agee')`",
    told=PLANNING,
    error=ColumnNotFoundError,
    message="There is no column 'agee'. Did you mean 'age'? In: (agee + 1).alias('next')",
)
def column(device, folder):
    plan(device, (col("agee") + 1).alias("next"))


@bad_input(
    "unknown options",
    "a column misspelt in a selector: `gp.numeric() - ['visit']`",
    told=PLANNING,
    error=ColumnNotFoundError,
    message="There is no column 'visit'. Did you mean 'visits'?",
)
def column_left_out(device, folder):
    plan(device, gp.numeric() - ["visit"])


@bad_input(
    "unknown options",
    "`device='cpuu'`",
    told=PLANNING,
    error=ParameterError,
    message="There is no device 'cpuu'. Did you mean 'cpu'?",
    backends=False,
)
def device_name(device, folder):
    plan("cpuu", age)


@bad_input(
    "unknown options",
    "`device='gpu'` where there is none",
    told=PLANNING,
    error=DeviceError,
    message="device='gpu' was asked for, and there is no GPU to compute on. There is no NVIDIA driver. "
    "Try: install the driver of your GPU. With device='auto' or 'cpu' the CPU computes the same.",
    backends=False,
)
def device_gpu(device, folder):
    with pytest.MonkeyPatch.context() as patch:
        none = devices.Found(None, "There is no NVIDIA driver. Try: install the driver of your GPU.")
        patch.setattr(devices._Look, "found", none)
        plan("gpu", age)


@bad_input(
    "unknown options",
    "`memory='4G'`",
    told=PLANNING,
    error=ParameterError,
    message="memory='4G' is no amount of memory. Write '4GiB' (by 1024) or '4GB' (by 1000).",
    backends=False,
)
def memory_without_a_unit(device, folder):
    plan(device, age, memory="4G")


@bad_input(
    "unknown options",
    "`memory=-1`",
    told=PLANNING,
    error=ParameterError,
    message="memory=-1 is no amount of memory. Give a number of bytes, or text such as '4GiB' or '500MB'.",
    backends=False,
)
def memory_below_zero(device, folder):
    plan(device, age, memory=-1)


@bad_input(
    "unknown options",
    "`set_output(transform='panda')`",
    told=WRITING,
    error=ParameterError,
    message="There is no output 'panda'. Did you mean 'pandas'?",
    backends=False,
)
def output(device, folder):
    gp.Pipeline([age]).set_output(transform="panda")


@bad_input(
    "unknown options",
    "a type misspelt: `col('age').cast('int65')`",
    told=WRITING,
    error=ParameterError,
    message="'int65' is not a type. Did you mean 'Int64'?",
    backends=False,
)
def type_name(device, folder):
    age.cast("int65")


@bad_input(
    "unknown options",
    "a type of Python: `col('age').cast(int)`",
    told=WRITING,
    error=ParameterError,
    message="A type is given by its name, such as 'Int64', not as <class 'int'>. Write 'Int64'.",
    backends=False,
)
def type_of_python(device, folder):
    age.cast(int)


@bad_input(
    "unknown options",
    "`explain(data).stage('group')`",
    told=PLANNING,
    error=ParameterError,
    message="There is no stage 'group'. Did you mean 'groups'?",
)
def stage(device, folder):
    gp.Pipeline([age], device=device).explain(DATA).stage("group")


@bad_input(
    "unknown options",
    "a strategy that is none, of a number column: `col('gap').fill_null('avg')`",
    told=PLANNING,
    error=TypeMismatchError,
    message="fill_null takes values of one type, not Float64 and String. Strategies are 'mean', 'median', 'mode', "
    "'min', 'max'. In: gap.fill_null('avg')",
)
def strategy(device, folder):
    plan(device, gap.fill_null("avg"))


@bad_input(
    "unknown options",
    "a strategy that is none, said to be one: `fill_null(strategy='avg')`",
    told=WRITING,
    error=ParameterError,
    message="fill_null has no strategy 'avg'. There are: mean, median, mode, min, max.",
    backends=False,
)
def strategy_said(device, folder):
    gap.fill_null(strategy="avg")


# -- what is no expression, no list of them, no model -----------------------------------------------------------
@bad_input(
    "features that are none",
    "a column's name in place of the features: `gp.Pipeline('age')`",
    told=PLANNING,
    error=ParameterError,
    message="A feature is an expression, not text: write gp.col('age').",
)
def features_as_text(device, folder):
    gp.Pipeline("age", device=device).fit(DATA)


@bad_input(
    "features that are none",
    "a Python value among the features: `[col('age'), 5]`",
    told=PLANNING,
    error=ParameterError,
    message="A feature is an expression such as gp.col('age'), not 5.",
)
def a_value(device, folder):
    plan(device, age, 5)


@bad_input(
    "features that are none",
    "a function among the features",
    told=PLANNING,
    error=ParameterError,
    message="A feature is an expression, not a function: write gp.col('age').map(function), say.",
)
def a_function(device, folder):
    plan(device, age, math.log)


@bad_input(
    "features that are none",
    "an empty list of features",
    told=PLANNING,
    error=ParameterError,
    message="The list of features is empty. List columns, or check the selectors against the schema.",
)
def no_features(device, folder):
    plan(device)


@bad_input(
    "features that are none",
    "a selector that selects nothing: `[gp.booleans()]`",
    told=PLANNING,
    error=ParameterError,
    message="The features select no column. List columns, or check the selectors against the schema.",
)
def nothing_selected(device, folder):
    plan(device, gp.booleans())


@bad_input(
    "a model that is none",
    "a class in place of an object: `model=LogisticRegression`",
    told=PLANNING,
    error=UnsupportedEstimatorError,
    message="The class LogisticRegression was given, not an estimator. Give an object: LogisticRegression().",
)
def model_class(device, folder):
    plan(device, age, target="left", model=LogisticRegression)


@bad_input(
    "a model that is none",
    "an estimator that is not supported: `model=LabelSpreading()`",
    told=PLANNING,
    error=UnsupportedEstimatorError,
    message="sklearn's LabelSpreading is no estimator gpupipe can keep as data. The nearest there is: "
    "KNeighborsClassifier. docs/estimators.md lists the N that are supported.",
)
def model_unsupported(device, folder):
    plan(device, age, target="left", model=LabelSpreading())


@bad_input(
    "a model that is none",
    "a model that refuses nulls, and a feature that may hold some",
    told=PLANNING,
    error=NullableFeatureError,
    message="LogisticRegression takes no nulls, and 1 feature may hold some: 'gap'. (NaN of NumPy and pandas "
    "is null too.) Use .fill_null(…), or a model that takes nulls (DecisionTreeClassifier, "
    "ExtraTreeClassifier, RandomForestClassifier, ExtraTreesClassifier, BaggingClassifier, "
    "HistGradientBoostingClassifier, XGBClassifier, XGBRFClassifier, LGBMClassifier, "
    "CatBoostClassifier).",
)
def model_without_nulls(device, folder):
    plan(device, age, gap, target="left", model=LogisticRegression())


@bad_input(
    "a model that is none",
    "a text feature before a model: `[col('city')]`",
    told=PLANNING,
    error=TypeMismatchError,
    message="The feature 'city' is String; LogisticRegression learns from numbers. For text: .codes(), .one_hot() or "
        ".target_mean().",
)
def text_feature(device, folder):
    plan(device, city, target="left", model=LogisticRegression())


# -- types ---------------------------------------------------------------------------------------------------------
@bad_input(
    "an operator of another type",
    "a date compared with text: `col('day') > '2025-01-31'`",
    told=PLANNING,
    error=TypeMismatchError,
    message="> takes values of one type, not Date and String. A date is written datetime.date(2025, 1, 31). In: (day "
    "> '2025-01-31')",
)
def date_as_text(device, folder):
    plan(device, day > "2025-01-31")


@bad_input(
    "an operator of another type",
    "a date given as text: `col('day').dt.elapsed('2025-01-31')`",
    told=PLANNING,
    error=ColumnNotFoundError,
    message="There is no column '2025-01-31'. There are: age, visits, city, day, gap, left. If a date is meant, "
    "write datetime.date(2025, 1, 31). In: day.dt.elapsed('2025-01-31')",
)
def date_as_name(device, folder):
    plan(device, day.dt.elapsed("2025-01-31"))


@bad_input(
    "an operator of another type",
    "arithmetic with text: `col('city') + 1`",
    told=PLANNING,
    error=TypeMismatchError,
    message="+ takes numbers, not String and Int64. Use .cast(…) or another operator. In: (city + 1)",
)
def text_and_number(device, folder):
    plan(device, city + 1)


@bad_input(
    "an operator of another type",
    "a number operator of text: `col('city').standardize()`",
    told=PLANNING,
    error=TypeMismatchError,
    message="standardize takes a number, not String. For text there are .mode(), .str parts and .codes(). In: "
    "city.standardize()",
)
def text_standardized(device, folder):
    plan(device, city.standardize())


@bad_input(
    "an operator of another type",
    "a date part of text: `col('city').dt.month()`",
    told=PLANNING,
    error=TypeMismatchError,
    message="dt.month takes Date or Datetime, not String. Read it first: .str.to_datetime(format). In: city.dt.month()",
)
def month_of_text(device, folder):
    plan(device, city.dt.month())


@bad_input(
    "an operator of another type",
    "a condition that is none: `gp.when(col('age')).then(1)`",
    told=PLANNING,
    error=TypeMismatchError,
    message="when takes a condition, not Float64. Compare it with something: gp.when(x > 0). In: "
    "when(age).then(1).alias('old')",
)
def when_number(device, folder):
    plan(device, gp.when(age).then(1).alias("old"))


# -- arguments -----------------------------------------------------------------------------------------------------
@bad_input(
    "arguments outside what is allowed",
    "keys as a list: `.over(['city', 'left'])`",
    told=WRITING,
    error=ParameterError,
    message="over takes its keys one by one: .over('city', 'left').",
    backends=False,
)
def over_a_list(device, folder):
    age.mean().over(["city", "left"])


@bad_input(
    "arguments outside what is allowed",
    "`.over('city').over('left')`",
    told=WRITING,
    error=ParameterError,
    message="age.mean().over('city') is by group already, so not .over('left') too. Give all keys at once: "
    ".over('a', 'b').",
    backends=False,
)
def over_twice(device, folder):
    age.mean().over("city").over("left")


@bad_input(
    "arguments outside what is allowed",
    "`.over` without a statistic: `col('age').over('city')`",
    told=WRITING,
    error=ParameterError,
    message="age has no statistic for over: write age.mean().over('city'), say.",
    backends=False,
)
def over_nothing(device, folder):
    age.over("city")


@bad_input(
    "arguments outside what is allowed",
    "boundaries that do not increase: `bucketize([30, 10])`",
    told=WRITING,
    error=ParameterError,
    message="bucketize takes a list of numbers that increase, not [30, 10].",
    backends=False,
)
def falling(device, folder):
    age.bucketize([30, 10])


@bad_input(
    "arguments outside what is allowed",
    "`cyclic(0)`",
    told=WRITING,
    error=ParameterError,
    message="cyclic takes a period above 0, such as 12 for months, not 0.",
    backends=False,
)
def no_period(device, folder):
    age.cyclic(0)


@bad_input(
    "arguments outside what is allowed",
    "`round(400)`",
    told=WRITING,
    error=ParameterError,
    message="round takes a whole number of decimals, from -300 to 300, not 400.",
    backends=False,
)
def many_decimals(device, folder):
    age.round(400)


@bad_input(
    "arguments outside what is allowed",
    "a negative length: `.str.slice(0, -1)`",
    told=WRITING,
    error=ParameterError,
    message="slice takes a length from 0 on, or None for the rest, not -1.",
    backends=False,
)
def negative_length(device, folder):
    city.str.slice(0, -1)


@bad_input(
    "arguments outside what is allowed",
    "a percentage as a quantile: `quantile(50)`",
    told=WRITING,
    error=ParameterError,
    message="quantile takes a fraction between 0 and 1, not 50.",
    backends=False,
)
def percentage(device, folder):
    age.quantile(50)


@bad_input(
    "arguments outside what is allowed",
    "a pattern that is none: `.str.contains('(')`",
    told=PLANNING,
    error=ParameterError,
    message="str.contains cannot read the pattern '(': Invalid regular expression: missing ): (. Its syntax is that "
    "of RE2. literal=True? In: city.str.contains('(')",
)
def pattern(device, folder):
    plan(device, city.str.contains("("))


@bad_input(
    "arguments outside what is allowed",
    "a group that the pattern does not have: `.str.replace('(a)', '$2')`",
    told=PLANNING,
    error=ParameterError,
    message="str.replace cannot read the pattern '(a)' with '$2': Invalid replacement string: Rewrite schema "
    "requests 2 matches, but the regexp only has 1 parenthesized subexpressions. Its syntax is that of RE2. "
    "literal=True? In: city.str.replace('(a)', '$2')",
)
def group(device, folder):
    plan(device, city.str.replace("(a)", "$2"))


@bad_input(
    "arguments outside what is allowed",
    "a format with a directive that is none: `.str.to_date('%Y-%Q')`",
    told=PLANNING,
    error=ParameterError,
    message="The format '%Y-%Q' has '%Q', which is no directive. There are %Y %y %m %b %B %d %e %j %a %A %H %I %p %M "
    "%S %f %z %% %F %D %T %R. In: city.str.to_date('%Y-%Q')",
)
def directive(device, folder):
    plan(device, city.str.to_date("%Y-%Q"))


@bad_input(
    "arguments outside what is allowed",
    "a partition that is not there: `gp.scan(data).load(7)`",
    told="reading",
    error=ParameterError,
    message="There is no partition 7: a table in memory of 4 rows is 1 partition, numbered from 0.",
    backends=False,
)
def partition(device, folder):
    gp.scan(DATA).load(7)


# -- arithmetic ----------------------------------------------------------------------------------------------------
@bad_input(
    "integers that overflow",
    "a literal beyond int64: `col('visits') + 2**70`",
    told=WRITING,
    error=gp.errors.IntegerOverflowError,
    message="The literal 1180591620717411303424 is beyond int64. Write it as a float.",
    backends=False,
)
def literal_beyond(device, folder):
    visits + 2**70


@bad_input(
    "integers that overflow",
    "a product beyond int64, in a statistic: `(col('visits') * 2**62).max()`",
    told="fitting",
    error=gp.errors.IntegerOverflowError,
    message="Row 1, column 'visits': (visits * 4611686018427387904): the result leaves int64, of 2 and "
    "4611686018427387904. Cast an operand to Float64 before.",
)
def product_beyond(device, folder):
    plan(device, (visits * 2**62).max())


@bad_input(
    "division by zero",
    "`/` by 0 follows IEEE 754; `//` by 0 gives null",
    told="scoring",
    message="1/0 is inf, 0/0 is NaN, 1 // 0 is null",
    answer=[[math.inf, "nan"], [None, None]],
)
def by_zero(device, folder):
    data = pa.table({"a": [1, 0], "b": [0, 0]})
    features = [(col("a") / col("b")).alias("quotient"), (col("a") // col("b")).alias("floor")]
    found = gp.Pipeline(features, device=device).fit_transform(data)
    return [["nan" if value != value else value for value in column.to_pylist()] for column in found.columns]


@bad_input(
    "logarithm of negatives",
    "`log` of 0 and of negative numbers",
    told="scoring",
    message="-inf and NaN, as in NumPy",
    answer=[-math.inf, "nan"],
)
def log_of_negatives(device, folder):
    found = gp.Pipeline([age.log()], device=device).fit_transform(pa.table({"age": [0.0, -1.0]}))
    return ["nan" if value != value else value for value in found["age"].to_pylist()]


@pytest.mark.parametrize(("case", "device"), runs(__name__))
def test_what_is_said(case, device, tmp_path):
    check(case, device, tmp_path)
