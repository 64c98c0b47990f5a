"""The command line: ``gpupipe fit | update | evaluate | predict | explain | inspect | demo | doctor``.

Exit codes: 0 done, 1 failed (one message on stderr), 2 wrong usage, 3 done but for data that could not be read.
"""

import argparse
import difflib
import os
import re
import sys
from collections.abc import Sequence
from typing import NoReturn

import gpupipe as gp
from gpupipe.commands import learning, looking, scoring
from gpupipe.errors import GpupipeError, UsageError

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
COMMANDS = (
    learning.add_fit,
    learning.add_update,
    scoring.add_evaluate,
    scoring.add_predict,
    looking.add_explain,
    looking.add_inspect,
    looking.add_demo,
    looking.add_doctor,
)

EPILOG = """\
a first run:
  gpupipe demo churn                                        the whole job on real data, in seconds
  gpupipe doctor                                            what is installed here, and what each package brings

the main job, with a file of yours that holds a pipeline:
  gpupipe explain churn.py --data 'customers/*.parquet'     scans, columns and bytes, before a row is read
  gpupipe fit churn.py --data 'customers/*.parquet' --split 0.2 --out churn.gpp
  gpupipe evaluate churn.gpp --data 'holdout/*.parquet' --by contract
  gpupipe predict churn.gpp --data 'new/*.parquet' --out scores --keep customer_id
  gpupipe update churn.gpp --data 'new/*.parquet' --pipeline churn.py            after fit --keep-state yes

FILE.py is Python of your own and is run as `python FILE.py` would run it. It assigns a gpupipe.Pipeline to the
name `pipeline` (or to NAME in FILE.py:NAME), or defines a function of that name that gives one. An artifact holds
no code: loading one runs nothing of anybody's.

DATA is a file, folder or glob of Parquet, CSV or Arrow IPC; quote globs, and give several after one --data.

exit codes: 0 done, 1 failed (the reason on stderr), 2 wrong usage, 3 done but for data that could not be read
(predict --on-bad-partition quarantine)
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code.

    >>> main(["inspect", "nowhere.gpp"])
    1
    """
    words = sys.argv[1:] if argv is None else argv
    try:
        arguments = parser().parse_args(words)
        code: int | None = arguments.run(arguments)  # None: all is well
        sys.stdout.flush()
        return code or DONE
    except BrokenPipeError:  # the reader (head, less) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        return INTERRUPTED
    except (GpupipeError, OSError) as error:
        if "--debug" in words:
            raise
        print(f"gpupipe: {error}", file=sys.stderr)
        return USAGE if isinstance(error, UsageError) else FAILED


def parser() -> argparse.ArgumentParser:
    """The whole command line, as argparse has it."""
    top = _Parser(
        prog="gpupipe",
        description="Pipelines for tables: read, preprocess, train, evaluate, save and score.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"gpupipe {gp.__version__}")
    top.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in COMMANDS:
        add(commands)
    return top


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """What argparse found wrong, with the nearest option or command and a word on where help is."""
        self.print_usage(sys.stderr)
        unknown = re.match(r"unrecognized arguments: (\S+)|argument (\S+): invalid choice: '([^']*)'", message)
        if unknown is None:
            raise UsageError(f"{message}. Try: {self.prog} --help")
        asked = unknown[1] or unknown[3]
        close = difflib.get_close_matches(asked.partition("=")[0], self.names(), n=1)
        meant = f" Did you mean {close[0]}?" if close else ""
        kind = "option" if unknown[1] else unknown[2].lower()
        raise UsageError(f"There is no {kind} {asked!r}.{meant} Try: {self.prog} --help")

    def names(self) -> list[str]:
        """Its options and commands, and their options."""
        found = list(self._option_string_actions)
        for action in self._actions:
            found += map(str, action.choices or ())
            if isinstance(action, argparse._SubParsersAction):
                found += [name for command in action.choices.values() for name in command.names()]
        return found
