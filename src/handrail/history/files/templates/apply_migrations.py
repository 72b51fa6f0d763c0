"""Apply the pending migrations of one environment: `handrail apply`, from wherever it is called.

    python scripts/apply_migrations.py --environment staging --dry-run
    python scripts/apply_migrations.py --environment production --dry-run --verify
    python scripts/apply_migrations.py --environment production --backup-first --verify-after

Every option is one of `handrail apply`, and so is the exit status.
"""

import sys
from pathlib import Path

from handrail.cli.main import run

sys.argv[1:1] = ["apply", "--directory", str(Path(__file__).resolve().parent.parent)]
run()
