"""Compare a database with its revision and its schema with what the revisions make: `handrail verify`.

    python scripts/validate_schema.py
    python scripts/validate_schema.py --environment production

Without `--environment` it is development. Every option is one of `handrail verify`, and so is the exit status.
"""

import sys
from pathlib import Path

from handrail.cli.main import run

sys.argv[1:1] = ["verify", "--directory", str(Path(__file__).resolve().parent.parent), "--environment", "development"]
run()
