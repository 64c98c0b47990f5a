"""XGBoost, LightGBM and CatBoost, small."""

from typing import Any

from catboost import CatBoostClassifier, CatBoostRanker, CatBoostRegressor
from lightgbm import LGBMClassifier, LGBMRanker, LGBMRegressor
from xgboost import XGBClassifier, XGBRanker, XGBRegressor, XGBRFClassifier, XGBRFRegressor

from .case import Case

XGB: dict[str, Any] = {"n_estimators": 12, "max_depth": 4, "n_jobs": 1}
LGBM: dict[str, Any] = {"n_estimators": 12, "num_leaves": 8, "n_jobs": 1, "verbosity": -1}
CAT: dict[str, Any] = {
    **{"n_estimators": 12, "depth": 4, "thread_count": 1, "random_seed": 0},
    **{"logging_level": "Silent", "allow_writing_files": False},
}

CASES: dict[str, Case] = {
    "XGBClassifier": Case(XGBClassifier(**XGB), 2, missing=True),
    "XGBClassifier 3": Case(XGBClassifier(**XGB), 3, missing=True),
    "XGBRegressor": Case(XGBRegressor(**XGB), missing=True),
    "XGBRegressor dart": Case(XGBRegressor(**XGB, booster="dart", rate_drop=0.3), missing=True),
    "XGBRFClassifier": Case(XGBRFClassifier(**XGB), 3, missing=True),
    "XGBRFRegressor": Case(XGBRFRegressor(**XGB), missing=True),
    "XGBRanker": Case(XGBRanker(**XGB), missing=True, ranks=True),
    "LGBMClassifier": Case(LGBMClassifier(**LGBM), 2, missing=True),
    "LGBMClassifier 3": Case(LGBMClassifier(**LGBM), 3, missing=True),
    "LGBMClassifier ova": Case(LGBMClassifier(**LGBM, objective="multiclassova"), 3),
    "LGBMRegressor": Case(LGBMRegressor(**LGBM), missing=True),
    "LGBMRanker": Case(LGBMRanker(**LGBM), missing=True, ranks=True),
    "CatBoostClassifier": Case(CatBoostClassifier(**CAT), 2, missing=True),
    "CatBoostClassifier 3": Case(CatBoostClassifier(**CAT), 3, missing=True),
    "CatBoostClassifier leaf by leaf": Case(CatBoostClassifier(**CAT, grow_policy="Lossguide"), 3, missing=True),
    "CatBoostRegressor": Case(CatBoostRegressor(**CAT), missing=True),
    "CatBoostRanker": Case(CatBoostRanker(**CAT), missing=True, ranks=True),
}
