"""NumPy's universal functions, in the language's names."""

UFUNCS = {
    "add": "add", "subtract": "sub", "multiply": "mul", "divide": "div", "true_divide": "div",
    "floor_divide": "floordiv", "remainder": "mod", "mod": "mod", "negative": "neg", "positive": "pos",
    "power": "power", "float_power": "power", "absolute": "abs", "fabs": "abs", "sign": "sign", "rint": "rint",
    "maximum": "max_horizontal", "minimum": "min_horizontal", "equal": "eq", "not_equal": "ne", "less": "lt",
    "less_equal": "le", "greater": "gt", "greater_equal": "ge", "logical_and": "and", "logical_or": "or",
    "logical_not": "not", "logical_xor": "xor", "bitwise_and": "and", "bitwise_or": "or", "invert": "not",
    "isnan": "is_nan", "isfinite": "is_finite", "log": "log", "log1p": "log1p", "exp": "exp", "expm1": "expm1",
    "sqrt": "sqrt", "floor": "floor", "ceil": "ceil", "trunc": "trunc", "sin": "sin", "cos": "cos", "tanh": "tanh",
    "arcsin": "arcsin", "arctan": "arctan", "square": "square", "log2": "log2", "log10": "log10",
    "radians": "radians", "deg2rad": "radians", "reciprocal": "reciprocal", "tan": "tan",
}  # fmt: skip
