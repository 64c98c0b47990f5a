"""Writes manifest.json: what the calls we make look like in the RAPIDS packages that are installed here.

    python -m tests.gpu.api.make_manifest          # in a checkout, where RAPIDS is installed; no GPU is needed
    python -m tests.gpu.api.make_manifest --check  # writes nothing; exit code 1 where the file is no longer true

The names are those that the source uses (see calls.py) and those of names.txt, which lists what no scan can find:
methods of what calls give back, and classes that are chosen by name. A name there that ends in ``.*`` stands for a
class with all its public methods. What is not there any more is told; nothing is made up.
"""

import argparse
import importlib
import inspect
import json
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from .calls import PACKAGES, ROOT, package, sources, uses
from .signatures import Row, row_of

FOLDER = Path(__file__).resolve().parent
MANIFEST, NAMES = FOLDER / "manifest.json", FOLDER / "names.txt"


def listed() -> list[str]:
    """The names of names.txt, as they stand there."""
    lines = (line.partition("#")[0].strip() for line in NAMES.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def used() -> set[str]:
    """The names that the source uses."""
    return {use.name for path in sources(ROOT) for use in uses(path)}


def found(name: str) -> tuple[Any, Any]:
    """(what a dotted name stands for, the class it was found in)."""
    thing, within, parts = importlib.import_module(package(name)), None, name.split(".")
    for at, part in enumerate(parts[1:], 1):
        within = thing if inspect.isclass(thing) else None
        try:
            thing = getattr(thing, part)
        except AttributeError:
            if not inspect.ismodule(thing):
                raise
            thing = importlib.import_module(".".join(parts[: at + 1]))
    return thing, within


def rows_of(name: str) -> dict[str, Row]:
    """The row of a name; with ``.*``, of a class and each public method; modules on the way stand for themselves."""
    whole = name.removesuffix(".*")
    thing, within = found(whole)
    rows = {whole: row_of(thing, within)}
    parts = whole.split(".")
    for at in range(1, len(parts)):
        above = ".".join(parts[:at])
        rows[above] = row_of(*found(above))
    if name.endswith(".*"):
        for inner in dir(thing):
            if not inner.startswith("_"):
                rows[f"{whole}.{inner}"] = row_of(inspect_attribute(thing, inner), thing)
    return rows


def inspect_attribute(thing: Any, name: str) -> Any:
    """A method of a class; a property for itself, which needs no GPU to be looked at."""
    raw = inspect.getattr_static(thing, name)
    return None if isinstance(raw, property) or inspect.isdatadescriptor(raw) else getattr(thing, name)


def released() -> dict[str, str]:
    """The release of each package, by the name it is imported by."""
    owners = metadata.packages_distributions()
    return {name: metadata.version(owners[name][0]) for name in PACKAGES if name in owners}


def manifest() -> tuple[dict[str, Any], list[str]]:
    """The manifest, and the names that are not there."""
    rows: dict[str, Row] = {}
    missing = []
    for name in sorted({*listed(), *used()}):
        try:
            rows |= rows_of(name)
        except (AttributeError, ImportError) as error:
            missing.append(f"{name}: {error}")
    return {"names": dict(sorted(rows.items())), "read from": released()}, missing


def written(made: dict[str, Any]) -> str:
    """The JSON: a line a name, so that a change shows as one."""
    lines = [f"  {json.dumps(name)}: {json.dumps(row, sort_keys=True)}" for name, row in made["names"].items()]
    names = ",\n".join(lines)
    return f'{{\n "names": {{\n{names}\n }},\n "read from": {json.dumps(made["read from"], sort_keys=True)}\n}}\n'


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    made, missing = manifest()
    for line in missing:
        print(f"not there: {line}", file=sys.stderr)
    text = written(made)
    if parser.parse_args().check:
        same = MANIFEST.read_text(encoding="utf-8") == text
        print("manifest.json is true" if same else "manifest.json is no longer true: run it without --check")
        return int(not same or bool(missing))
    MANIFEST.write_text(text, encoding="utf-8")
    print(f"{len(made['names'])} names of {made['read from']}")
    return int(bool(missing))


if __name__ == "__main__":
    sys.exit(main())
