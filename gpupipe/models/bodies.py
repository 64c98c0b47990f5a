"""The forms models are kept in, by name, and reading one. Some hold whole models, in any form but theirs."""

from typing import Any

from gpupipe.models.families.bayes import Categorical, Gaussian
from gpupipe.models.families.centroids import Centroids
from gpupipe.models.families.cluster import Centres, Projection
from gpupipe.models.families.isolation import Isolation
from gpupipe.models.families.neighbours import Neighbours
from gpupipe.models.families.network import Network
from gpupipe.models.families.skops_models import Skops
from gpupipe.models.families.staged import MedianTrees
from gpupipe.models.families.svm import KernelMachine
from gpupipe.models.families.xgb import XGBoost
from gpupipe.models.forms import checks
from gpupipe.models.forms.calibration import Calibrated
from gpupipe.models.forms.checks import Arrays, Blobs, Params
from gpupipe.models.forms.committee import Stacking, Voting, columns_seen
from gpupipe.models.forms.linear import Linear
from gpupipe.models.forms.member import (
    MAX_DEPTH,
    MAX_MEMBERS,
    MEMBER_KEYS,
    Member,
    blobs_among,
    check_document,
    check_outputs,
    split_arrays,
)
from gpupipe.models.forms.multiclass import AgainstOne, AgainstRest
from gpupipe.models.forms.oblivious import Oblivious
from gpupipe.models.forms.several import Chain, Several
from gpupipe.models.forms.threshold import Threshold
from gpupipe.models.forms.trees import Trees

FORMS: dict[str, type[Any]] = {
    form.form: form
    for form in (
        *(Linear, Gaussian, Categorical, Centres, Projection),
        *(Trees, MedianTrees, Isolation, Oblivious, XGBoost),
        *(KernelMachine, Neighbours, Centroids, Network),
        Skops,
    )
}
_NESTING = (Calibrated, Threshold, AgainstRest, AgainstOne, Several, Chain, Voting, Stacking)
# Those that hold models: their bodies have `members`, and are read by `from_members`.
NESTING: dict[str, type[Any]] = {form.form: form for form in _NESTING}


def read_body(form: Any, params: Params, arrays: Arrays, blobs: Blobs, n_features: int, depth: int = 0) -> Any:
    """The body of the form `form`, every part of it checked.

    Args:
        depth: the number of models that this one stands in.

    Raises:
        ArtifactCorruptError: anything that is not as it must be.
    """
    checks.require(isinstance(form, str) and (form in FORMS or form in NESTING), f"its form {form!r} is unknown")
    if form in FORMS:
        return FORMS[form].from_parts(params, arrays, blobs, n_features)
    checks.only(blobs, (), "blobs")
    documents = params.get("members")
    known = isinstance(documents, list) and 0 < len(documents) <= MAX_MEMBERS
    checks.require(known, "its models are no list, or more than there can be")
    checks.require(depth < MAX_DEPTH, f"it holds models more than {MAX_DEPTH} deep")
    own, each = split_arrays(arrays, len(documents))  # type: ignore[arg-type]
    members = tuple(
        _member(document, part, _seen(form, params, at, n_features), depth + 1)
        for at, (document, part) in enumerate(zip(documents, each, strict=True))  # type: ignore[arg-type]
    )
    rest = {name: value for name, value in params.items() if name != "members"}
    return NESTING[form].from_members(rest, own, members, n_features)


def _seen(form: str, params: Params, at: int, n_features: int) -> int:
    """The number of features that the model at the place `at` in another sees."""
    if form == Stacking.form and at == len(params["members"]) - 1:
        return columns_seen(params)
    return n_features + (at if form == Chain.form else 0)


def _member(document: Any, arrays: dict[str, Any], n_features: int, depth: int) -> Member:
    document = check_document(document, MEMBER_KEYS)
    blobs = blobs_among(arrays, document["blobs"])
    body = read_body(document["form"], document["params"], arrays, blobs, n_features, depth)
    checks.require(not hasattr(body, "targets"), "a model of several targets stands in another")
    classes = document["classes"]
    check_outputs(document["kind"], classes, document["link"], body.n_outputs)
    codes = classes is None or all(type(code) is int and code >= 0 for code in classes)
    checks.require(codes, "the classes of a model inside are no codes")
    return Member(
        document["estimator"], document["kind"], None if classes is None else tuple(classes), document["link"], body
    )
