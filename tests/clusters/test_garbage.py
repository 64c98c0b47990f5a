"""What workers of ours imported is not looked through for garbage; garbage is found."""

import gc
import sys
import weakref

import gpupipe as gp


def test_what_was_imported_is_not_looked_through(two: gp.Cluster) -> None:
    def looked_through() -> list[str]:
        names = {id(sys.modules[name].__dict__): name for name in ("numpy", "distributed", "gpupipe.clusters.tasks")}
        return [names[id(each)] for each in gc.get_objects() if id(each) in names]

    assert list(two.client.run(looked_through).values()) == [[], []]
    assert "numpy" in looked_through()  # here it is


def test_garbage_of_tasks_is_found(two: gp.Cluster) -> None:
    def stays() -> bool:
        class Circle:
            def __init__(self) -> None:
                self.itself = self

        seen = weakref.ref(Circle())
        gc.collect()
        return seen() is not None

    assert list(two.client.run(stays).values()) == [False, False]
