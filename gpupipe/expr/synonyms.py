"""What other libraries call the methods of expressions, and what was probably meant by a name that is none."""

import difflib
from collections.abc import Iterable

# Words of pandas, scikit-learn, NumPy and SQL (and of Polars, where ours differ), without underscores: our methods.
_CALLED_HERE = {
    "fill_null": "fillna impute simpleimputer imputer ifnull nvl replacena",
    "nan_to_null": "fillnan dropnan",
    "missing_flag": "missingindicator isnaflag",
    "is_null": "isnull isna",
    "is_not_null": "notnull notna",
    "is_nan": "isnan",
    "is_finite": "isfinite",
    "is_in": "isin in contained",
    "cast": "astype totype convert",
    "one_hot": "getdummies todummies dummies onehotencoder onehotencode onehotencoding onehot",
    "codes": "labelencode labelencoder labelencoding factorize categorify tocategorical categorical",
    "ordinal": "ordinalencoder ordinalencode",
    "target_mean": "targetencoder targetencode targetencoding meanencode meantarget",
    "frequency": "countencode countencoder frequencyencode valuecounts",
    "hash_buckets": "hash featurehasher hashing hashbucket",
    "cross": "hashedcross interaction",
    "standardize": "scale standardscaler standardscale zscore normalize standardise standardizer",
    "min_max": "minmaxscaler minmaxscale minmax rescale",
    "robust": "robustscaler robustscale",
    "max_abs": "maxabsscaler maxabsscale",
    "over": "groupby groupbyagg partitionby transform window",
    "bucketize": "cut digitize bin bins discretize",
    "qcut": "kbinsdiscretizer quantilebins ntile",
    "where": "mask iff",
    "alias": "rename as",
    "map": "apply mapelements mapbatches",
    "quantile": "percentile",
    "n_unique": "nunique countdistinct",
    "std": "stddev stdev",
    "var": "variance",
    "mode": "mostfrequent",
    "abs": "absolute",
    "pow": "power",
    "log": "ln",
    "max_horizontal": "maximum greatest",
    "min_horizontal": "minimum least",
    "arcsin": "asin",
    "arctan": "atan",
    "sigmoid": "expit logistic",
    "dt.weekday": "dayofweek dow",
    "dt.ordinal_day": "dayofyear doy",
    "dt.week": "weekofyear isocalendar",
    "dt.is_weekend": "isweekend",
    "dt.timestamp": "epoch unixtime totimestamp",
    "dt.elapsed": "datediff timedelta",
    "str.to_lowercase": "lower tolower casefold",
    "str.to_uppercase": "upper toupper",
    "str.strip_chars": "strip trim lstrip rstrip stripcharsstart",
    "str.len_chars": "nchar lengths",
    "str.slice": "substr substring",
    "str.contains": "like regex rlike",
    "str.starts_with": "startswith",
    "str.ends_with": "endswith",
    "str.replace_all": "gsub regexpreplace",
    "str.to_datetime": "todatetime strptime parsedate",
    "str.to_date": "todate",
    "str.word_ngrams": "tfidf countvectorizer hashingvectorizer ngrams tokenize",
}
SYNONYMS = {word: ours for ours, words in _CALLED_HERE.items() for word in words.split()}
# What there is no method for, and how it is written.
_WRITTEN = {
    "isbetween between": "There is none; write (x >= a) & (x <= b).",
    "rank": "There is none, as a rank is among all rows and those to score come later; .qcut(n) gives equal parts.",
    "shift lag lead diff pctchange cumsum cumprod rolling rollingmean ewmmean forwardfill backwardfill ffill bfill":
    "Rows have no order here, so none comes before another; compute it where the rows are made.",
    "strftime tostring": "There is none; take .dt parts, such as .dt.year() and .dt.month().",
    "exclude": "Selectors are taken from each other: gp.numeric() - gp.cols('x').",
    "sort sortby head tail unique drop": "An expression gives one value a row; do this to the rows, before the scan.",
}  # fmt: skip
_INSTEAD = {word: text for words, text in _WRITTEN.items() for word in words.split()}
_ALIKE = 0.7


def meant(asked: str, known: Iterable[str]) -> str:
    """A hint naming the method that was probably meant, each by its qualified name.

    >>> meant("fillna", ["fill_null", "one_hot"]), meant("str.month", ["dt.month"])
    ("Here it is called 'fill_null'.", "Did you mean 'dt.month'?")
    """
    names = {name: name.rpartition(".")[2] for name in known}
    short = asked.rpartition(".")[2]
    ours = SYNONYMS.get(short.lower().replace("_", ""), "")
    if ours in names or ours in ("over", "alias", "map"):
        return f"Here it is called {ours!r}."
    if (text := _INSTEAD.get(short.lower().replace("_", ""))) is not None:
        return text
    words = sorted(short.lower().split("_"))
    elsewhere = [name for name, last in names.items() if sorted(last.split("_")) == words]
    close = difflib.get_close_matches(asked, names, n=1, cutoff=_ALIKE)
    close = close or [name for name, last in names.items() if difflib.get_close_matches(short, [last], 1, 0.8)]
    if found := [*elsewhere, *close]:
        return f"Did you mean {found[0]!r}?"
    return "dir(gp.col('x')) lists all, docs/operators.md says what they do."
