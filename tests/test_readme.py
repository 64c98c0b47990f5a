"""Every Python example of the README and of docs/ runs, and prints what stands in the ```text block after it.

The examples of one page run in order, in one fresh process and an empty folder. ``python tests/test_readme.py`` writes
what they print now into the pages, for a change that is meant.
"""

import difflib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    page.relative_to(ROOT)
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"))
    if "```python\n" in page.read_text(encoding="utf-8")
)
EXAMPLE = re.compile(r"^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<shown>.*?)^```\n)?", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")

# Reads the examples as JSON, runs them one after the other, and gives what each printed.
RUNNER = """
import contextlib, io, json, sys
printed, names = [], {"__name__": "__main__"}
for number, code in enumerate(json.load(sys.stdin)):
    with contextlib.redirect_stdout(io.StringIO()) as caught:
        exec(compile(code, f"<example {number}>", "exec"), names)
    printed.append(caught.getvalue())
json.dump(printed, sys.stdout)
"""


def outputs(examples: list[str], folder: Path) -> list[str]:
    """What each example prints; an assertion error with the traceback if one fails."""
    done = subprocess.run(
        [sys.executable, "-c", RUNNER],
        input=json.dumps(examples), capture_output=True, text=True, cwd=folder, env=dict(os.environ), timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_examples_print_what_the_page_says(page: Path, tmp_path: Path) -> None:
    examples = list(EXAMPLE.finditer((ROOT / page).read_text(encoding="utf-8")))
    printed = outputs([example["code"] for example in examples], tmp_path)
    for example, now in zip(examples, printed, strict=True):
        shown = example["shown"] or ""
        difference = "\n".join(difflib.unified_diff(shown.splitlines(), now.splitlines(), "the page", "now", n=1))
        assert shown == now, f"{page}, after:\n{example['code']}\n{difference}\nMeant? python {Path(__file__).name}"


def test_the_main_pages_have_examples() -> None:
    assert {Path("README.md"), Path("docs/how-it-works.md")} <= set(PAGES)


def test_an_example_that_fails_or_prints_something_else_is_noticed(tmp_path: Path) -> None:
    assert outputs(["x = 1", "print(x + 1)"], tmp_path) == ["", "2\n"]
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        outputs(["1 / 0"], tmp_path)


@pytest.mark.parametrize("page", [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")], ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    targets = [link["target"].partition("#")[0] for link in LINK.finditer(page.read_text(encoding="utf-8"))]
    missing = [
        target for target in targets if target and "://" not in target and not (page.parent / target).exists()
    ]
    assert not missing, f"{page.name} links to {missing}"


def rewrite(page: Path, folder: Path) -> None:
    """Put what the examples print now into the page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    printed = iter(outputs([example["code"] for example in EXAMPLE.finditer(text)], folder))

    def block(example: re.Match[str]) -> str:
        now = next(printed)
        return f"```python\n{example['code']}```\n" + (f"\n```text\n{now}```\n" if now else "")

    (ROOT / page).write_text(EXAMPLE.sub(block, text), encoding="utf-8")


if __name__ == "__main__":
    import tempfile

    for each in PAGES:
        with tempfile.TemporaryDirectory() as scratch:
            rewrite(each, Path(scratch))
