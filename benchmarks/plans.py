"""Which jobs at which sizes beside which peers belong together: what `benchmarks.compare --plan` runs."""

from dataclasses import dataclass

from .environments import HEAVY, LIGHT

BIG = ("polars", "duckdb")


@dataclass(frozen=True, slots=True)
class Case:
    """One job at one size, and who does it beside us."""

    job: str
    variant: str
    rows: int
    peers: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.job}/{self.variant}, {self.rows:,} rows"


#: Every job and variant at a size that tells nothing but whether it works.
SMOKE = [
    Case("clicks", "matrix", 20_000, LIGHT),
    Case("clicks", "matrix_zero", 20_000, LIGHT),
    Case("clicks", "parquet", 20_000, LIGHT),
    Case("clicks", "parquet_files", 20_000, BIG),
    Case("clicks", "models", 20_000, LIGHT),
    Case("wide", "matrix", 20_000, LIGHT),
    Case("trips", "matrix", 20_000, LIGHT),
    Case("serving", "logistic", 20_000, ("sklearn",)),
]
SHORT = [
    Case("clicks", "matrix", 1_000_000, LIGHT),
    Case("clicks", "parquet_files", 1_000_000, BIG),
    Case("wide", "matrix", 200_000, LIGHT),
    Case("trips", "matrix", 1_000_000, LIGHT),
    Case("serving", "logistic", 10_000, ("sklearn",)),
]
#: What goals.py has a limit for.
GOALS = [
    Case("clicks", "matrix", 1_000_000, (*LIGHT, *HEAVY)),
    Case("clicks", "matrix_zero", 1_000_000, ("polars", "nvtabular", "dask_ml")),  # exact of all
    Case("clicks", "matrix", 5_000_000, BIG),
    Case("clicks", "matrix", 20_000_000, BIG),
    Case("clicks", "parquet_files", 5_000_000, BIG),
    Case("wide", "matrix", 2_000_000, LIGHT),
    Case("trips", "matrix", 5_000_000, LIGHT),
    Case("serving", "logistic", 1_000_000, ()),
]
FULL = [
    *(case for case in GOALS if case.variant not in ("matrix_zero", "logistic")),
    Case("clicks", "matrix_zero", 1_000_000, (*LIGHT, *HEAVY)),
    Case("clicks", "parquet", 5_000_000, BIG),
    Case("clicks", "models", 200_000, LIGHT),
    Case("serving", "logistic", 1_000_000, ("sklearn",)),
]
PLANS = {"smoke": SMOKE, "short": SHORT, "goals": GOALS, "full": FULL}
