"""The command line: one verb a job.

Only what ``--help`` needs is imported here; each verb imports its job when it runs.
"""

from __future__ import annotations

import sys

# In the order in which --help lists them.
from sign2gpt.cli import training, corpora, use  # isort: skip  # noqa: F401
from sign2gpt.cli.app import app
from sign2gpt.errors import UserError

__all__ = ["app", "main"]


def main() -> None:
    """Entry point: a user's mistake ends in one sentence and exit code 2."""
    try:
        app()
    except UserError as error:
        # From a data worker the sentence comes behind that process's traceback.
        print(f"sign2gpt: {str(error).rpartition('UserError: ')[2].strip()}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if error.filename is None:
            raise
        reason = f"{error.filename} cannot be used ({error.strerror})"
        print(f"sign2gpt: {reason}; mend or name another one.", file=sys.stderr)
        sys.exit(2)
