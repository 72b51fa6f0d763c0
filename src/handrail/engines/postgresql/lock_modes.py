"""The lock modes of tables and whom each keeps waiting.

Source: https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES.
"""

from __future__ import annotations

from handrail.model.effect import Blocks

ACCESS_SHARE = "ACCESS SHARE"
ROW_SHARE = "ROW SHARE"
ROW_EXCLUSIVE = "ROW EXCLUSIVE"
SHARE_UPDATE_EXCLUSIVE = "SHARE UPDATE EXCLUSIVE"
SHARE = "SHARE"
SHARE_ROW_EXCLUSIVE = "SHARE ROW EXCLUSIVE"
EXCLUSIVE = "EXCLUSIVE"
ACCESS_EXCLUSIVE = "ACCESS EXCLUSIVE"

#: The lock modes of tables, weakest first.
MODES = (
    ACCESS_SHARE,
    ROW_SHARE,
    ROW_EXCLUSIVE,
    SHARE_UPDATE_EXCLUSIVE,
    SHARE,
    SHARE_ROW_EXCLUSIVE,
    EXCLUSIVE,
    ACCESS_EXCLUSIVE,
)  # fmt: skip - one scale

#: An ordinary client reads under ACCESS SHARE and writes under ROW EXCLUSIVE.
BLOCKS = {
    ACCESS_SHARE: Blocks.NOTHING,
    ROW_SHARE: Blocks.NOTHING,
    ROW_EXCLUSIVE: Blocks.NOTHING,
    SHARE_UPDATE_EXCLUSIVE: Blocks.SCHEMA_CHANGES,
    SHARE: Blocks.WRITES,
    SHARE_ROW_EXCLUSIVE: Blocks.WRITES,
    EXCLUSIVE: Blocks.WRITES,
    ACCESS_EXCLUSIVE: Blocks.READS_AND_WRITES,
}
