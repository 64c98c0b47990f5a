"""`update`: new rows alone are read, and the bits are those of a fit on all."""

import stat
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

import gpupipe as gp
from gpupipe import col
from gpupipe.artifact.format import read as read_folder
from gpupipe.artifact.format import write as write_folder
from gpupipe.errors import (
    ArtifactCorruptError,
    ArtifactExistsError,
    LeakageError,
    ParameterError,
    SchemaMismatchError,
    UnavailableError,
)

ROWS = 60
DOCUMENT = ("kind", "state_digest", "labels", "states", "listed", "rows", "exact")


def table(seed, n=ROWS):
    rng = np.random.default_rng(seed)
    amount = rng.lognormal(0, 3, n)
    return pa.table(
        {
            "amount": pa.array(amount, mask=rng.random(n) < 0.2),
            "age": pa.array(rng.integers(0, 90, n)),
            "city": pa.array(rng.choice(["Oslo", "Rome", "Lima", "Bern", f"only{seed}"], n), mask=rng.random(n) < 0.1),
            "plan": pa.array(rng.choice(["a", "b"], n)),
            "y": pa.array(rng.normal(size=n) + amount.clip(0, 3)),
        }
    )


@pytest.fixture
def files(tmp_path):
    paths = []
    for number in range(5):
        paths.append(str(tmp_path / f"part-{number}.parquet"))
        pq.write_table(table(number), paths[-1], row_group_size=25)
    return paths


MERGED = [
    col("amount").fill_null("mean").log1p().standardize(),
    col("age").min_max(),
    col("city").codes(min_count=3),
    col("plan").one_hot(),
    col("city").target_mean(),
    col("amount").mean().over("city", "plan").alias("city_amount"),
    col("city").fill_null("mode").frequency().alias("share"),
]


def pipeline(*more, **options):
    return gp.Pipeline([*MERGED, *more], target="y", **options)


def same(one, other, rows):
    assert one.state_digest() == other.state_digest()
    ours, theirs = one.transform(rows, output="numpy"), other.transform(rows, output="numpy")
    assert np.array_equal(ours, theirs, equal_nan=True)


def test_one_new_file_is_read_and_no_other(files, tmp_path):
    """The old files are gone by then, so nothing of them can be read."""
    full = pipeline().fit(files)
    fitted = pipeline().fit(files[:4], keep_state=True)
    for path in files[:4]:
        (tmp_path / path).unlink()
    assert fitted.update(files[4]) is fitted
    same(fitted, full, table(77))
    assert (fitted.report_.scans, fitted.report_.source_reads, fitted.report_.rows) == (1, 1, ROWS)
    alone = pipeline().fit(files[4])
    assert fitted.report_.bytes_read == alone.report_.bytes_read


def test_one_file_after_the_other(files):
    fitted = pipeline().fit(files[0], keep_state=True)
    for path in files[1:]:
        fitted.update(path)
    same(fitted, pipeline().fit(files), table(77))


def test_states_lie_beside_the_artifact_and_never_in_it(files, tmp_path):
    plain, kept = tmp_path / "plain.gpp", tmp_path / "kept.gpp"
    pipeline().fit(files[:3]).save(plain)
    assert not (tmp_path / "plain.gpp.state").exists()
    pipeline().fit(files[:3], keep_state=True).save(kept)
    beside = tmp_path / "kept.gpp.state"
    assert stat.S_IMODE(beside.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in beside.iterdir())
    assert [path.name for path in sorted(kept.iterdir())] == [path.name for path in sorted(plain.iterdir())]
    loaded = gp.load(kept).update(files[3:])
    same(loaded, pipeline().fit(files), table(77))
    loaded.save(kept, overwrite=True)
    assert gp.load(kept).state_digest() == loaded.state_digest()
    with pytest.raises(UnavailableError, match=r"no states of its fit are kept beside .*plain\.gpp"):
        gp.load(plain).update(files[3])


def test_quantiles_read_their_columns_again_or_keep_all_values(files):
    more = col("amount").median().alias("middle"), col("age").quantile(0.9).alias("old")
    full = pipeline(*more).fit(files)
    again = pipeline(*more).fit(files[:4], keep_state=True).update(files[4])
    same(again, full, table(77))
    valued = pipeline(*more).fit(files[:4], keep_state="values").update(files[4])
    same(valued, full, table(77))
    assert valued.report_.rows == ROWS and valued.report_.refinements == 0
    assert valued.report_.bytes_read < again.report_.bytes_read


def test_a_loaded_pipeline_says_which_columns_it_must_read_again(files, tmp_path):
    more = (col("amount").median().alias("middle"),)
    pipeline(*more).fit(files[:4], keep_state=True).save(tmp_path / "a.gpp")
    with pytest.raises(UnavailableError, match=r"must read 'amount' of the earlier rows again.*seen="):
        gp.load(tmp_path / "a.gpp").update(files[4])
    loaded = gp.load(tmp_path / "a.gpp").update(files[4], seen=files[:4])
    same(loaded, pipeline(*more).fit(files), table(77))
    with pytest.raises(ParameterError, match="seen= lists 60 rows, and the fit saw 240"):
        gp.load(tmp_path / "a.gpp").update(files[4], seen=files[0])
    train = gp.scan(files[:4]).split(test=0.25)[0]
    pipeline(*more).fit(train, keep_state=True).save(tmp_path / "b.gpp")
    with pytest.raises(ParameterError, match="with its filters and splits"):  # all rows are not those of the fit
        gp.load(tmp_path / "b.gpp").update(files[4], seen=files[:4])
    gp.load(tmp_path / "b.gpp").update(files[4], seen=train)


def test_a_model_is_trained_anew_on_all_rows(files):
    features = [col("age").standardize(), col("plan").one_hot()]
    declared = gp.Pipeline(features, target="y", model=Ridge())
    fitted = declared.fit(files[:4], keep_state=True).update(files[4])
    full = gp.Pipeline(features, target="y", model=Ridge()).fit(files)
    assert np.array_equal(fitted.predict(table(77), output="numpy"), full.predict(table(77), output="numpy"))
    assert fitted.state_digest() == full.state_digest()


def test_further_scans_go_over_all_rows(files):
    more = (col("city").target_mean().standardize().alias("scaled"),)
    fitted = pipeline(*more).fit(files[:4], keep_state=True).update(files[4])
    same(fitted, pipeline(*more).fit(files), table(77))


def test_rows_in_memory_go_on_too():
    tables = [table(seed) for seed in range(3)]
    fitted = pipeline().fit(tables[0], keep_state=True).update(tables[1]).update(tables[2])
    same(fitted, pipeline().fit(pa.concat_tables(tables)), table(77))


def test_y_is_given_as_it_was(files):
    X, y = table(0).drop(["y"]), table(0)["y"].to_numpy()
    more, z = table(1).drop(["y"]), table(1)["y"].to_numpy()
    declared = gp.Pipeline([col("city").target_mean()])
    fitted = declared.fit(X, y, keep_state=True).update(more, z)
    full = gp.Pipeline([col("city").target_mean()]).fit(pa.concat_tables([X, more]), np.concatenate([y, z]))
    assert fitted.state_digest() == full.state_digest()


def test_what_cannot_go_on_is_refused(files):
    with pytest.raises(UnavailableError, match=r"fit kept no states.*keep_state=True"):
        pipeline().fit(files[0]).update(files[1])
    with pytest.raises(ParameterError, match="keep_state is False, True or 'values', not 'all'"):
        pipeline().fit(files[0], keep_state="all")
    fitted = pipeline().fit(files[0], keep_state=True)
    digest = fitted.state_digest()
    with pytest.raises(SchemaMismatchError, match="age"):
        changed = table(1).set_column(1, "age", pa.array(["x"] * ROWS))
        fitted.update(changed)
    assert fitted.state_digest() == digest
    same(fitted.update(files[1]), pipeline().fit(files[:2]), table(77))  # a refused update changed nothing


def test_states_of_another_fit_are_refused(files, tmp_path):
    pipeline().fit(files[0], keep_state=True).save(tmp_path / "a.gpp")
    pipeline().fit(files[1], keep_state=True).save(tmp_path / "b.gpp")
    (tmp_path / "b.gpp.state").rename(tmp_path / "c")
    (tmp_path / "a.gpp.state").rename(tmp_path / "b.gpp.state")
    with pytest.raises(ArtifactCorruptError, match="belong to another fit"):
        gp.load(tmp_path / "b.gpp").update(files[2])


def test_of_a_hundred_files_one_is_read(tmp_path):
    paths = []
    for number in range(100):
        paths.append(str(tmp_path / f"day-{number:03}.parquet"))
        pq.write_table(table(number, 20), paths[-1])
    full = pipeline().fit(paths)
    fitted = pipeline().fit(paths[:99], keep_state=True)
    read = fitted.report_.bytes_read
    fitted.update(paths[99])
    same(fitted, full, table(777))
    assert (fitted.report_.source_reads, fitted.report_.rows) == (1, 20)
    assert read + fitted.report_.bytes_read == full.report_.bytes_read


def test_rows_that_were_seen_do_not_count_twice(files):
    fitted = pipeline().fit(files[:2], keep_state=True)
    digest = fitted.state_digest()
    with pytest.raises(LeakageError, match="would count twice"):
        fitted.update(files[1:3])
    assert fitted.update(files[2]).state_digest() == pipeline().fit(files[:3]).state_digest() != digest
    with pytest.raises(LeakageError):
        fitted.update(files[2])


@pytest.mark.parametrize("keep_state", [True, "values"])
@pytest.mark.parametrize("model", [None, Ridge()])
def test_no_new_rows_change_nothing(files, tmp_path, keep_state, model):
    features = [col("age").median().alias("middle"), col("city").target_mean()]
    fitted = gp.Pipeline(features, "y", model).fit(files[0], keep_state=keep_state)
    digest, empty = fitted.state_digest(), str(tmp_path / "empty.parquet")
    pq.write_table(table(1, 10).slice(0, 0), empty)
    for nothing in (table(1, 10).slice(0, 0), empty, gp.scan(files[1]).filter(col("age") > 1000)):
        assert fitted.update(nothing).state_digest() == digest
    assert fitted.update(files[1]).state_digest() == gp.Pipeline(features, "y", model).fit(files[:2]).state_digest()


def test_features_alone_go_on_for_the_task_of_their_model(tmp_path):
    rows = [
        table(seed).append_column("churned", pa.array(np.random.default_rng(seed).integers(0, 3, ROWS)))
        for seed in (0, 1)
    ]
    full = gp.Pipeline([col("city").target_mean()], "churned", LogisticRegression()).fit(pa.concat_tables(rows))
    fitted = gp.Pipeline([col("city").target_mean()], "churned", LogisticRegression()).fit(rows[0], keep_state=True)
    fitted.features_.save(tmp_path / "features.gpp")
    assert gp.load(tmp_path / "features.gpp").update(rows[1], seen=rows[0]).state_digest() == full.state_digest()
    assert fitted.features_.update(rows[1]).state_digest() == full.state_digest()


def test_what_the_fit_was_given_is_asked_for(files):
    X, y = table(0).drop(["y"]), table(0)["y"].to_numpy()
    fitted = gp.Pipeline([col("age").standardize()], model=Ridge()).fit(X, y, sample_weight=y**2, keep_state=True)
    with pytest.raises(ParameterError, match="fit was given y, and these rows come without"):
        fitted.update(X.slice(0, 5))
    with pytest.raises(ParameterError, match=r"given sample_weight, .*update\(X, sample_weight=…\)"):
        fitted.update(table(1).drop(["y"]), table(1)["y"].to_numpy())


def test_states_in_the_way_leave_nothing_behind(files, tmp_path):
    fitted = pipeline().fit(files[0], keep_state=True)
    (tmp_path / "a.gpp.state").mkdir()
    with pytest.raises(ArtifactExistsError, match=r"stand at .*a\.gpp\.state"):
        fitted.save(tmp_path / "a.gpp")
    assert not (tmp_path / "a.gpp").exists()


HOSTILE: dict[str, tuple[str, Any]] = {
    "a scale that takes all memory": ("0.array.sum_scale", lambda array: np.full_like(array, 2**40)),
    "the least scale": ("0.array.squares_scale", lambda array: np.full_like(array, -(2**63))),
    "a variance below 0": ("0.array.sum_scale", np.zeros_like),
    "digits of another type": ("0.array.sum", lambda array: array.astype(np.float32)),
    "digits in three dimensions": ("0.array.sum", lambda array: array[..., None]),
    "more values than rows": ("0.array.n", lambda array: array + 2**40),
    "counts in two dimensions": ("0.array.n", lambda array: array[:, None]),
    "more rows than there were": ("0.rows", lambda array: array + 1),
    "entries of more rows than there were": ("1.counts", lambda array: array + 2**62),
    "a group that there is not": ("1.groups", lambda array: array + 1),
    "a group below 0": ("1.groups", lambda array: array - 1),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_states_that_no_rows_give_are_refused(name, tmp_path):
    """They are signed for by nobody: whoever can write the folder can write anything into it."""
    declared = gp.Pipeline([col("amount").fill_null("mean").standardize(), col("city").codes()])
    declared.fit(table(0), keep_state=True).save(tmp_path / "a.gpp")
    contents = read_folder(tmp_path / "a.gpp.state")
    document = {key: contents.document[key] for key in DOCUMENT}
    arrays = dict(contents.arrays["states"])
    key, change = HOSTILE[name]
    write_folder(tmp_path / "a.gpp.state", document=document, arrays={"states": arrays}, overwrite=True)
    gp.load(tmp_path / "a.gpp").update(table(1))  # as it was
    arrays[key] = change(arrays[key])
    write_folder(tmp_path / "a.gpp.state", document=document, arrays={"states": arrays}, overwrite=True)
    with pytest.raises(ArtifactCorruptError):
        gp.load(tmp_path / "a.gpp").update(table(1))


def test_earlier_rows_that_changed_are_told():
    rows = np.arange(50.0)[:, None]
    fitted = gp.Pipeline([col("x0").median().alias("middle")]).fit(rows, keep_state=True)
    rows += 1000.0
    with pytest.raises(ParameterError, match="not those that the states were kept of"):
        fitted.update(np.arange(5.0)[:, None])
    rows -= 1000.0
    full = gp.Pipeline([col("x0").median().alias("middle")]).fit(np.r_[np.arange(50.0), np.arange(5.0)][:, None])
    assert fitted.update(np.arange(5.0)[:, None]).state_digest() == full.state_digest()
