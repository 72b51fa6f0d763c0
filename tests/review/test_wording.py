"""What a finding says is true of the migration that it is said of."""

from __future__ import annotations

from test_labelled import CASES, found

from handrail.model.finding import Finding


def one(name: str, rule: str) -> Finding:
    """Return what that rule says of a case."""
    return next(finding for finding in found(CASES[name]) if finding.rule == rule)


def test_a_cascade_names_no_view_that_does_not_read_the_column() -> None:
    assert "active_users" not in one("raw: Drop a column by quoted names", "data-drop-cascade").what
    assert "active_users" in one("raw: Drop the email and the view that reads it", "data-drop-cascade").what


def test_a_header_is_quoted_in_its_own_words() -> None:
    assert "Rollback: Fully reversible, and" in one("told: Drop matches with a way back", "hdr-rollback-mismatch").what
    assert (
        "column users.bio is dropped"
        in one("told: Drop the bio and say that nothing is lost", "hdr-impact-mismatch").what
    )


def test_what_downgrade_forgets_is_told_as_the_line_to_write() -> None:
    assert 'op.drop_column("teams", "motto")' in one("inverses: Add a motto and a crest", "sym-missing-op").fix
    forgotten = one("inverses: Replace a constraint and forget it", "sym-missing-op").fix
    assert "op.create_check_constraint('ck_users_age', \"users\", 'age > 0')" in forgotten


def test_a_constraint_dropped_without_its_name_is_given_the_one_that_upgrade_gave_it() -> None:
    told = one("inverses: Keep goals honest", "fail-unnamed-constraint").fix
    assert told == 'op.drop_constraint("ck_players_goals", "players")'
    assert (
        'batch.drop_constraint("fk_matches_home_id")'
        in one("lite: Drop a key that has no name", "fail-unnamed-constraint").fix
    )


def test_an_update_of_all_rows_is_given_back_range_by_range() -> None:
    told = one("backfills: Lower the names of users", "data-unbatched-update").fix
    assert '"UPDATE users SET name = lower(name) WHERE id >= :a AND id < :b"' in told
    built = one("backfills: Activate all users through a table construct", "data-unbatched-update").fix
    assert "SET status='active' WHERE id >= :a" in built


def test_a_count_of_what_does_not_fit_is_a_query_that_runs() -> None:
    told = one("data: Shrink the goals of players", "data-narrow-type").fix
    assert "SELECT count(*) FROM players WHERE goals NOT BETWEEN -2147483648 AND 2147483647" in told


def test_an_empty_downgrade_is_given_the_lines_that_undo_the_upgrade() -> None:
    told = one("inverses: Add a motto and never take it back", "sym-downgrade-empty").fix
    assert 'in downgrade():\nop.drop_column("teams", "motto")\n' in told


def test_the_table_to_write_into_a_revision_is_that_of_the_model_it_imports() -> None:
    told = one("backfills: Fill slugs with the models of the application", "fail-model-import").fix
    assert told.endswith('user = sa.table("user", sa.column("id"), ...)')
