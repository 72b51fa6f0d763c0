from __future__ import annotations

import pytest

from handrail.model.run import BackupProgressed
from handrail.reports.backup_text import amount, progress


@pytest.mark.parametrize(
    ("size", "told"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_549_000, "1.5 MB"), (3 * 10**12, "3.0 TB")]
)
def test_bytes_are_told_in_powers_of_a_thousand(size: int, told: str) -> None:
    assert amount(size) == told


def test_progress_shows_how_much_of_how_much_and_the_time_left() -> None:
    told = progress(BackupProgressed(phase="dumping", done=250_000, total=1_000_000, left_s=90))
    assert told == "dumping |######..................| 250.0 kB of about 1.0 MB, 90 s left"


def test_without_a_total_only_what_is_done_is_told() -> None:
    assert progress(BackupProgressed(phase="dumping", done=250_000)) == "dumping: 250.0 kB"
    assert progress(BackupProgressed(phase="restoring")) == "restoring"
