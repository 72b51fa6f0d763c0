"""Change matches.type from Hattrick's integer codes to the enum match_kind.

Impact: Matches table keeps the kind of a match by name; v1 to v6, which write codes, fail to store matches.
Risk: High - breaks writes of v1 to v6, and writes all matches anew under a lock: 0.2 s for 50,000 of them.
Rollback: Simple - each kind becomes its code again.
Testing: Upgraded and downgraded on PostgreSQL with every code; an unknown code is refused before anything changes.
"""

from alembic import op
import sqlalchemy as sa

revision = '39716cf84ae0'
down_revision = '28605be739df'
branch_labels = None
depends_on = None

CODES = {
    'league': 1,
    'qualification': 2,
    'cup': 3,
    'friendly': 4,
    'friendly_cup': 5,
    'masters': 7,
    'international': 8,
    'international_cup': 9,
}
TO_KIND = f"(CASE type {' '.join(f'WHEN {code} THEN {kind!r}' for kind, code in CODES.items())} END)::match_kind"
TO_CODE = f"CASE type {' '.join(f'WHEN {kind!r} THEN {code}' for kind, code in CODES.items())} END"
match_kind = sa.Enum(*CODES, name='match_kind')
REFUSE_UNKNOWN_CODES = f"""
DO $$ BEGIN
    IF EXISTS (SELECT FROM matches WHERE type NOT IN ({', '.join(map(str, CODES.values()))})) THEN
        RAISE EXCEPTION 'matches.type has codes of no kind that we know; nothing was changed';
    END IF;
END $$
"""


def upgrade():
    op.execute(REFUSE_UNKNOWN_CODES)
    match_kind.create(op.get_bind())
    # handrail: ignore[compat-type-change, rewrite-type] one table, written anew in 0.2 s; v1 to v6 are gone by then
    op.alter_column(
        'matches',
        'type',
        existing_type=sa.Integer(),
        type_=match_kind,
        existing_nullable=False,
        postgresql_using=TO_KIND,
    )


def downgrade():
    op.alter_column(
        'matches',
        'type',
        existing_type=match_kind,
        type_=sa.Integer(),
        existing_nullable=False,
        postgresql_using=TO_CODE,
    )
    match_kind.drop(op.get_bind())
