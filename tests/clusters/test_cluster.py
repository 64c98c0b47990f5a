"""gp.cluster: what can be made and joined, what is refused, what is current, and who may reach it."""

import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dask
import distributed
import numba
import numpy as np
import pyarrow
import pytest
import threadpoolctl
from on_loopback import TTL, children, listening, scheduler, worker

import gpupipe as gp
from gpupipe.clusters import joining, settings, versions
from gpupipe.clusters.current import current
from gpupipe.clusters.joining import serves_page
from gpupipe.errors import (
    ArgumentError,
    ClusterError,
    ClusterTimeoutError,
    DeviceError,
    MissingDependencyError,
    ParameterError,
)


@pytest.fixture(scope="module")
def two() -> Iterator[gp.Cluster]:
    with gp.cluster("processes", n_workers=2, memory_limit="512MiB") as made:
        yield made


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The file of a scheduler that, as its worker, is a process of its own."""
    folder = tmp_path_factory.mktemp("apart")
    with scheduler(folder) as file, worker(file, folder):
        gp.cluster(file).close()  # it has come
        yield file


# -- threads ----------------------------------------------------------------------------------------------
def test_threads_need_no_dask_and_run_the_bare_loop() -> None:
    ask = (
        "import sys, gpupipe as gp\n"
        "with gp.cluster('threads', n_workers=3) as three:\n"
        "    assert three.client is None and three.n_workers == 3 and three.address is None, three\n"
        "    print(gp.Pipeline([gp.col('x').standardize()]).fit_transform({'x': [1.0, 2.0]})['x'].to_pylist())\n"
        "assert not {'dask', 'distributed'} & set(sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0 and ran.stdout == "[-1.0, 1.0]\n", ran.stderr


def test_gp_cluster_stays_a_function_once_its_package_is_imported() -> None:
    ask = "import gpupipe as gp; a = gp.cluster; import gpupipe.clusters.cluster; assert gp.cluster is a is not None"
    assert subprocess.run([sys.executable, "-c", ask], timeout=60).returncode == 0


def test_the_last_one_made_is_current_until_it_is_closed() -> None:
    assert current() is None
    first = gp.cluster("threads", n_workers=1)
    with gp.cluster("threads", n_workers=2) as second:
        assert current() is second
        first.close()
        first.close()
        assert current() is second and first.closed and repr(first) == "Cluster(threads: closed)"
    assert current() is None


# -- processes --------------------------------------------------------------------------------------------
def test_processes_are_processes_of_this_machine(two: gp.Cluster) -> None:
    workers = two.workers
    assert two.kind == "processes" and two.n_workers == len(workers) == 2
    assert [told["nthreads"] for told in workers.values()] == [1, 1]
    assert [told["memory_limit"] for told in workers.values()] == [2**29, 2**29]
    pids = set(two.client.run(os.getpid).values())
    assert len(pids) == 2 and pids <= children()


def test_nothing_listens_beyond_loopback_and_nothing_is_served(two: gp.Cluster) -> None:
    addresses = listening({os.getpid(), *children()})
    assert len(addresses) >= 7  # a scheduler, two nannies, two workers
    assert {address.partition(":")[0] for address in addresses} == {"127.0.0.1"}
    assert two.dashboard_link is None
    (page,) = {int(address.partition(":")[2]) for address in addresses} & {services(two)["dashboard"]}
    for path in ("status", "info/main/workers.html", "metrics", "json/counts.json"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"http://127.0.0.1:{page}/{path}", timeout=5)


def services(cluster: gp.Cluster) -> dict[str, int]:
    return dict(cluster.client.scheduler_info()["services"])


def test_libraries_keep_to_the_threads_of_their_worker(two: gp.Cluster) -> None:
    def told() -> list[int]:  # in a worker
        blas = [each["num_threads"] for each in threadpoolctl.threadpool_info()]
        return [numba.get_num_threads(), pyarrow.cpu_count(), *blas]

    for counts in two.client.run(told).values():
        assert len(counts) >= 3 and set(counts) == {1}


HEARTBEAT = 5  # seconds between two signs of life, at most


def test_what_finds_a_frozen_worker_is_set(two: gp.Cluster) -> None:
    scheduler = two.client.cluster.scheduler
    look = scheduler.periodic_callbacks["worker-ttl"].callback_time / 1000
    assert scheduler.worker_ttl >= 30  # what a worker that lives may be silent for
    assert scheduler.worker_ttl + look + HEARTBEAT <= 45  # the worst case
    assert dask.config.get("distributed.scheduler.worker-ttl") == "5 minutes"  # of this process nothing is changed


def test_another_cluster_of_dask_stays_the_default(two: gp.Cluster) -> None:
    with pytest.raises(ValueError, match="No clients found"):
        distributed.default_client()
    assert two.client.status == "running"


def test_the_repr_tells_workers_threads_memory_and_place(two: gp.Cluster) -> None:
    assert re.fullmatch(r"Cluster\(processes: 2 workers, 2 threads, 1\.0 GiB, tcp://127\.0\.0\.1:\d+\)", repr(two))
    assert two._repr_html_().startswith("<table>") and str(two.address) in two._repr_html_()


def test_a_file_without_a_guard_is_told_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text("import gpupipe as gp\ngp.cluster('processes', n_workers=1)\nprint('never')")
    ran = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 1 and not ran.stdout
    assert "ClusterError: The workers did not start" in ran.stderr.splitlines()[-1]
    assert "if __name__ == '__main__':" in ran.stderr.splitlines()[-1]


# -- joined -----------------------------------------------------------------------------------------------
def test_a_scheduler_file_joins_and_leaves(apart: Path) -> None:
    with gp.cluster(apart) as joined:
        assert joined.kind == "joined" and joined.n_workers == 1
        address = joined.address
        assert os.getppid() not in joined.client.run(os.getppid).values()
    with gp.cluster(address, n_workers=1) as again:  # it goes on without us
        assert again.address == address
        assert re.match(
            r"Cluster\(joined: 1 worker, 1 thread, 2\.0 GiB, tcp://127\.0\.0\.1:\d+, http://127", repr(again)
        )


def test_a_page_that_is_not_served_has_no_link(tmp_path: Path) -> None:
    with scheduler(tmp_path, TTL, ["--no-dashboard"]) as file, worker(file, tmp_path), gp.cluster(file) as joined:
        port = services(joined)["dashboard"]  # of other pages
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
        assert joined.dashboard_link is None and "http" not in repr(joined)


@pytest.mark.parametrize(
    ("answer", "serves"),
    [
        ({"paths": ["/info", "/statics/css/status.css"]}, False),
        ({"paths": ["/prefix/status"]}, True),
        ({"other": 1}, True),
        (None, True),  # nobody answers
    ],
    ids=["others", "beneath a prefix", "another answer", "none"],
)
def test_what_pages_there_are_is_asked(answer: Any, serves: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: Any) -> None: ...

    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # not asked
    with http.server.HTTPServer(("127.0.0.1", 0), Answers) as server:
        asked = threading.Thread(target=server.handle_request)
        if answer is not None:
            asked.start()
        client = SimpleNamespace(
            scheduler_info=lambda n_workers: {"services": {"dashboard": server.server_port if answer else 9}},
            scheduler=SimpleNamespace(address="tcp://127.0.0.1:1234"),
        )
        assert serves_page(client) is serves
        if answer is not None:
            asked.join()
    client.scheduler_info = lambda n_workers: {"services": {}}
    assert not serves_page(client)


def test_a_client_stays_its_owners(apart: Path) -> None:
    with distributed.Client(scheduler_file=str(apart), set_as_default=False) as client:
        with gp.cluster(client) as joined:
            assert joined.client is client
        assert client.status == "running" and client.submit(int, "7").result() == 7


def test_a_cluster_object_of_dasks_packages_is_joined() -> None:
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None, memory_limit=0
    ) as made:
        with pytest.warns(UserWarning, match=r"worker-ttl is 5 minutes.*1 of its 1 worker have no nanny"):
            joined = gp.cluster(made)
        assert joined.n_workers == 1 and "without a limit" in repr(joined)
        joined.close()
        assert made.status.name == "running"


def test_configuration_names_it(apart: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with dask.config.set({"gpupipe.cluster": str(apart), "scheduler-address": "tcp://127.0.0.1:1"}), gp.cluster() as it:
        assert it.kind == "joined"
    with dask.config.set({"gpupipe.cluster": "threads"}), gp.cluster(n_workers=2) as it:
        assert it.kind == "threads"
    ask = "import gpupipe as gp; print(gp.cluster(n_workers=2))"
    environment = {**os.environ, "DASK_GPUPIPE__CLUSTER": "threads"}
    ran = subprocess.run([sys.executable, "-c", ask], env=environment, capture_output=True, text=True, timeout=60)
    assert ran.stdout == "Cluster(threads: 2 threads)\n", ran.stderr


def test_nothing_configured_is_an_error() -> None:
    with pytest.raises(ClusterError, match="DASK_GPUPIPE__CLUSTER"):
        gp.cluster()


def test_a_cluster_that_is_set_as_the_pages_say_is_not_warned_of(apart: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gp.cluster(apart).close()


@pytest.mark.slow  # what Dask's own settings are warned of, a test above has
def test_settings_that_we_rely_on_are_asked_of_others_clusters(tmp_path: Path) -> None:
    late = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "9", "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "null"}
    words = r"worker-ttl is off.*allowed-failures is 9.*end 10 of them"
    with scheduler(tmp_path, late) as file, worker(file, tmp_path), pytest.warns(UserWarning, match=words):
        gp.cluster(file).close()


KEYS = """
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.pem
openssl req -newkey rsa:2048 -nodes -subj /CN=node -keyout node.key -out node.csr
openssl x509 -req -in node.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out node.pem
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=stranger -keyout other.key -out other.pem
"""


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificates with openssl")
def test_tls_lets_in_who_has_a_certificate(tmp_path: Path) -> None:
    subprocess.run(["sh", "-ec", KEYS], cwd=tmp_path, check=True, capture_output=True)
    ca, node, key = (str(tmp_path / name) for name in ("ca.pem", "node.pem", "node.key"))
    tls = ["--protocol", "tls", "--tls-ca-file", ca, "--tls-cert", node, "--tls-key", key]
    with scheduler(tmp_path, TTL, tls) as file, worker(file, tmp_path, options=tls):
        mine = distributed.Security(tls_ca_file=ca, tls_client_cert=node, tls_client_key=key, require_encryption=True)
        with gp.cluster(file, security=mine) as joined:
            assert str(joined.address).startswith("tls://") and joined.n_workers == 1
            address = joined.address
        other, its = str(tmp_path / "other.pem"), str(tmp_path / "other.key")
        strange = distributed.Security(tls_ca_file=ca, tls_client_cert=other, tls_client_key=its)
        for keys in (strange, None):
            with pytest.raises(ClusterError, match=r"No scheduler of Dask answers at tls|cannot be joined"):
                gp.cluster(address, security=keys, timeout=2.0)


# -- refused ----------------------------------------------------------------------------------------------
REFUSED: dict[str, tuple[Any, dict[str, Any], type[Exception], str]] = {
    "a kind that is misspelt": ("procesess", {}, ParameterError, "Did you mean 'processes'?"),
    "a number": (4, {}, ParameterError, "4 is no cluster. It takes 'threads'"),
    "no worker": ("processes", {"n_workers": 0}, ParameterError, "n_workers=0 is no count"),
    "no thread": ("processes", {"threads_per_worker": 0.5}, ParameterError, "threads_per_worker=0.5 is no count"),
    "an option of threads": ("threads", {"memory_limit": "1GiB"}, ArgumentError, "threads has no option 'memory_lim"),
    "an option misspelt": ("processes", {"memory_limits": 1}, ArgumentError, "no option 'memory_limits'"),
    "what we decide": ("processes", {"host": "0.0.0.0"}, ArgumentError, "no option 'host'"),
    "of others' workers": ("tcp://127.0.0.1:9", {"memory_limit": 1}, ArgumentError, "there already has no option"),
    "no amount": ("processes", {"memory_limit": "4 GB of it"}, ParameterError, "is no amount of memory"),
    "too much memory": ("processes", {"memory_limit": "900TiB"}, ParameterError, "are free on this machine"),
    "no file": ("nowhere/scheduler.json", {"timeout": 0.2}, ClusterTimeoutError, "There is no scheduler file nowhere"),
    "nobody there": ("tcp://127.0.0.1:9", {"timeout": 1.0}, ClusterTimeoutError, "at tcp://127.0.0.1:9 within 1 s"),
    "no such protocol": ("smoke://10.0.0.1:9", {"timeout": 1.0}, ClusterError, "cannot be joined: .*smoke"),
    "a GPU that is not there": ("cuda", {}, DeviceError, "."),
}


@pytest.mark.parametrize(("what", "options", "error", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(what: Any, options: dict[str, Any], error: type[Exception], words: str) -> None:
    before = children(), current()
    with pytest.raises(error, match=words):
        gp.cluster(what, **options)
    assert (children(), current()) == before


def test_a_file_that_no_scheduler_wrote(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"id": 1}')
    with pytest.raises(ClusterError, match="is no file that a scheduler of Dask wrote"):
        gp.cluster(tmp_path / "other.json")


def test_a_dashboard_needs_bokeh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpupipe.optional.available", lambda name: name != "bokeh")
    with pytest.raises(MissingDependencyError, match="bokeh"):
        gp.cluster("processes", dashboard=True)


def test_workers_that_do_not_come_are_waited_for_so_long(apart: Path) -> None:
    with pytest.raises(ClusterTimeoutError, match=r"has 1 worker after 0\.3 seconds, where 2 should be"):
        gp.cluster(apart, n_workers=2, timeout=0.3)


class OtherVersions:
    """A client of workers of which one has another NumPy, and one has no gpupipe."""

    here = versions._versions  # what is told of a process

    def get_versions(self, packages: list[str]) -> dict[str, Any]:
        told = distributed.versions.get_versions(packages)
        other = {**told, "packages": {**told["packages"], "numpy": "1.0.1"}}
        without = {**told, "packages": {**told["packages"], "python": "3.99.1.final.0", "gpupipe": None}}
        return {"client": told, "workers": {"tcp://a:1": told, "tcp://b:1": other, "tcp://c:1": without}}


def test_workers_of_other_versions_are_refused_by_name() -> None:
    words = r"^2 of 3 workers .*: tcp://b:1 has numpy 1\.0\.1; tcp://c:1 has Python 3\.99, no gpupipe\. Here are Python"
    with pytest.raises(ClusterError, match=words):
        versions.refuse_others(OtherVersions())


HIDE = """
import importlib.metadata
import distributed.versions

def version(name):
    return None if name in ("gpupipe", "lz4") else importlib.metadata.version(name)

distributed.versions._version_cached = version
"""


def test_a_worker_without_gpupipe_is_refused(apart: Path, tmp_path: Path) -> None:
    """A real one: its own Dask says that it has no such package."""
    hide = tmp_path / "hide.py"
    hide.write_text(HIDE)
    words = r"1 of 2 workers .* has no gpupipe"
    with gp.cluster(apart) as before, worker(apart, tmp_path, "bare", ["--preload", str(hide)]):
        with pytest.raises(ClusterError, match=words):
            gp.cluster(apart, n_workers=2)
        assert current() is before
        with pytest.raises(ClusterError, match=words):  # nor does a worker that comes later
            standardized(before)


def standardized(cluster: gp.Cluster) -> list[float]:
    """A column, standardized by what a cluster's workers learned."""
    made = gp.Pipeline([gp.col("x").standardize()]).fit(gp.scan({"x": np.arange(5.0)}, partitions=5))
    assert current() is cluster
    return made.transform({"x": [0.0, 2.0, 4.0]}).column("x").to_pylist()


def test_workers_apart_learn_what_this_process_does(apart: Path) -> None:
    with gp.cluster("threads", n_workers=1) as here:
        expected = standardized(here)
    with gp.cluster(apart) as there:
        assert standardized(there) == expected and expected[1] == 0.0


def test_memory_is_shared_out_of_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "memory_free", lambda: 16 * 2**30)
    assert settings.memory_of_worker(None, 4) == 3 * 2**30
    assert settings.memory_of_worker(0, 4) == 0


def test_clients_are_told_from_others() -> None:
    assert not joining.is_client(dask) and not joining.is_client("client")
    assert TTL and not joining.is_deployed({"scheduler_address": 1})
