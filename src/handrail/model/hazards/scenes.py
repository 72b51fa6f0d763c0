"""What the examples of several rules have in common: one change under many names, and a table that is made anew."""

from __future__ import annotations

from handrail.model.rule import Example


def email_added(slug: str, title: str, *, flagged: bool) -> Example:
    """Return an example that adds users.email, in a file of that slug and with that title."""
    return Example(
        given=("CREATE TABLE users (id integer PRIMARY KEY)",),
        body='op.add_column("users", sa.Column("email", sa.String(50)))',
        file=f"e1_{slug}.py",
        docstring=title,
        flagged=flagged,
    )


def remade(columns: str, query: str) -> str:
    """Return the body that makes users anew with these columns, from the rows of that query."""
    return (
        f'op.execute("CREATE TABLE users_new ({columns})")\n'
        f'op.execute("INSERT INTO users_new {query}")\n'
        'op.execute("DROP TABLE users")\n'
        'op.execute("ALTER TABLE users_new RENAME TO users")'
    )
