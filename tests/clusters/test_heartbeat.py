"""A worker that is closed does not end amid a sign of life, of which Dask would tell as an error."""

import asyncio
import threading
import time

import pytest

import gpupipe as gp
from gpupipe.clusters.heartbeat import Whole


def test_a_close_amid_signs_of_life_tells_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    asked = threading.Event()
    with gp.cluster("processes", n_workers=1, memory_limit="512MiB") as cluster:
        handlers = cluster.client.cluster.scheduler.handlers
        usual = handlers["heartbeat_worker"]

        async def late(*given: object, **named: object) -> object:
            asked.set()
            await asyncio.sleep(0.8)
            return usual(*given, **named)

        handlers["heartbeat_worker"] = late
        assert asked.wait(20)
    told = capfd.readouterr()
    assert told.out + told.err == ""


def waited(sign: Whole, seconds: float) -> float:
    """How long one waits for a sign of life that was just begun."""

    async def both() -> float:
        giving = asyncio.create_task(sign())
        await asyncio.sleep(0)
        started = time.monotonic()
        await sign.over(seconds)
        took = time.monotonic() - started
        giving.cancel()
        return took

    return asyncio.run(both())


def test_a_sign_is_waited_for_but_not_for_ever() -> None:
    assert 0.15 < waited(Whole(lambda: asyncio.sleep(0.2)), 10) < 5
    assert 0.1 < waited(Whole(lambda: asyncio.sleep(60)), 0.15) < 5


def test_nobody_waits_for_itself() -> None:
    async def closes() -> None:
        await sign.over(60)

    sign = Whole(closes)
    started = time.monotonic()
    asyncio.run(sign())
    asyncio.run(sign.over(60))  # none is under way
    assert time.monotonic() - started < 5
