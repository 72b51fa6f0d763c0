"""Changes of a schema, each with what becomes of a version that was written before it."""

from __future__ import annotations

HEAD = """
import uuid
from datetime import date, datetime, timedelta
from decimal import Decimal
from sqlalchemy import ARRAY, JSON, DateTime, Enum, ForeignKey, Numeric, String, Text
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass
"""

USERS = (
    """
class {P}User(Base):
    __tablename__ = "{p}users"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(80))
    nick: Mapped[str | None] = mapped_column(String(40), deferred=True)
    flag: Mapped[int] = mapped_column(default=0)
    amount: Mapped[Decimal | None] = mapped_column(Numeric(10,2))
    at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    status: Mapped[str] = mapped_column(String(10), server_default="new")
class {P}Mark(Base):
    __tablename__ = "{p}marks"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("{p}users.id"))
    other_id: Mapped[int | None]
""",
    """
create table {p}users (
  id serial primary key, email varchar(80) not null, nick varchar(40), flag int not null, amount numeric(10,2),
  at timestamptz, status varchar(10) not null default 'new'
);
create table {p}marks (id serial primary key, user_id int not null references {p}users, other_id int);
""",
)

ITEMS = (
    """
class {P}Item(Base):
    __tablename__ = "{p}items"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(Enum("a","b","c",name="{p}kind"))
    tags: Mapped[list[str] | None] = mapped_column(ARRAY(String(10)))
    doc: Mapped[dict | None] = mapped_column(JSON)
    docb: Mapped[dict | None] = mapped_column(postgresql.JSONB)
    u: Mapped[uuid.UUID | None]
    raw: Mapped[bytes | None]
    ival: Mapped[timedelta | None]
    d: Mapped[date | None]
    r: Mapped[object | None] = mapped_column(postgresql.INT4RANGE)
    ip: Mapped[str | None] = mapped_column(postgresql.INET)
    ok: Mapped[bool] = mapped_column(default=False)
    ver: Mapped[int] = mapped_column()
    __mapper_args__ = {{"version_id_col": ver}}
""",
    """
create type {p}kind as enum ('a','b','c');
create table {p}items (
  id serial primary key, kind {p}kind not null, tags varchar(10)[], doc json, docb jsonb, u uuid, raw bytea,
  ival interval, d date, r int4range, ip inet, ok bool not null, ver int not null
);
""",
)

FAMILY = (
    """
class {P}Base(Base):
    __tablename__ = "{p}emp"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(10))
    boss_id: Mapped[int | None] = mapped_column(ForeignKey("{p}emp.id"))
    __mapper_args__ = {{"polymorphic_on": "kind", "polymorphic_identity": "emp"}}
class {P}Eng(  {P}Base):
    __tablename__ = "{p}eng"
    id: Mapped[int] = mapped_column(ForeignKey("{p}emp.id"), primary_key=True)
    lang: Mapped[str | None]
    __mapper_args__ = {{"polymorphic_identity": "eng"}}
class {P}Pair(Base):
    __tablename__ = "{p}pair"
    a: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    b: Mapped[date] = mapped_column(primary_key=True)
    x: Mapped[int | None]
class {P}Left(Base):
    __tablename__ = "{p}left"
    id: Mapped[int] = mapped_column(primary_key=True)
    right_id: Mapped[int | None] = mapped_column(ForeignKey("{p}right.id", use_alter=True))
class {P}Right(Base):
    __tablename__ = "{p}right"
    id: Mapped[int] = mapped_column(primary_key=True)
    left_id: Mapped[int] = mapped_column(ForeignKey("{p}left.id"))
    name: Mapped[str] = mapped_column(Text)
""",
    """
create table {p}emp (id serial primary key, kind varchar(10) not null, boss_id int references {p}emp);
create table {p}eng (id int primary key references {p}emp, lang varchar);
create table {p}pair (a int, b date, x int, primary key (a,b));
create table {p}left (id serial primary key, right_id int);
create table {p}right (id serial primary key, left_id int not null references {p}left, name text not null);
alter table {p}left add foreign key (right_id) references {p}right;
""",
)

#: By models: a name, the statements of one revision, and the result for the version. {p} keeps cases apart.
CASES = (
    (USERS, "drop nick", ("alter table {p}users drop nick",), "read fails"),
    (USERS, "add notnull", ("alter table {p}users add x int not null",), "write fails"),
    (USERS, "add notnull default", ("alter table {p}users add x int not null default 1",), "works"),
    (USERS, "default dropped", ("alter table {p}users alter status drop default",), "minimal insert fails"),
    (
        USERS,
        "default dropped+nullable",
        ("alter table {p}users alter status drop default", "alter table {p}users alter status drop not null"),
        "works",
    ),
    (
        USERS,
        "identity always",
        (
            "alter table {p}users alter id drop default",
            "alter table {p}users alter id add generated always as identity",
        ),
        "works",
    ),
    (USERS, "serial dropped", ("alter table {p}users alter id drop default",), "write fails"),
    (USERS, "seq renamed", ("alter sequence {p}users_id_seq rename to {p}seq2",), "works"),
    (USERS, "nick notnull", ("alter table {p}users alter nick set not null",), "minimal insert fails"),
    (USERS, "at->timestamp", ("alter table {p}users alter at type timestamp",), "works"),
    (USERS, "flag->bool", ("alter table {p}users alter flag type bool using flag<>0",), "write fails"),
    (USERS, "flag->text", ("alter table {p}users alter flag type text",), "works"),
    (USERS, "email->int", ("alter table {p}users alter email type int using 1",), "write fails"),
    (USERS, "flag->smallint", ("alter table {p}users alter flag type smallint",), "write fails"),
    (USERS, "flag->bigint", ("alter table {p}users alter flag type bigint",), "works"),
    (USERS, "numeric narrower", ("alter table {p}users alter amount type numeric(6,2)",), "write fails"),
    (USERS, "numeric scale", ("alter table {p}users alter amount type numeric(8,0)",), "works"),
    (USERS, "numeric->float", ("alter table {p}users alter amount type float8",), "works"),
    (USERS, "varchar narrower", ("alter table {p}users alter email type varchar(30)",), "write fails"),
    (USERS, "email->text", ("alter table {p}users alter email type text",), "works"),
    (USERS, "email->citext-like", ("alter table {p}users alter email type char(80)",), "works"),
    (USERS, "email->uuid", ("alter table {p}users alter email type uuid using gen_random_uuid()",), "write fails"),
    (USERS, "at->date", ("alter table {p}users alter at type date",), "works"),
    (USERS, "at->text", ("alter table {p}users alter at type text",), "works"),
    (USERS, "unique nick", ("create unique index on {p}users (nick)",), "write fails"),
    (USERS, "unique composite", ("create unique index on {p}users (nick, flag)",), "write fails"),
    (USERS, "unique partial", ("create unique index on {p}users (nick) where status = 'new'",), "write fails"),
    (
        USERS,
        "unique partial never",
        ("create unique index on {p}users (nick) where email = 'zzz-never'",),
        "write fails",
    ),
    (USERS, "unique expr", ("create unique index on {p}users (lower(email))",), "write fails"),
    (USERS, "unique incl pk", ("create unique index on {p}users (id, email)",), "works"),
    (USERS, "unique nullable", ("create unique index on {p}marks (other_id)",), "write fails"),
    (
        USERS,
        "unique not valid fk",
        ("alter table {p}marks add foreign key (other_id) references {p}users not valid",),
        "delete fails",
    ),
    (USERS, "exclude", ("alter table {p}users add exclude using btree (email with =)",), "write fails"),
    (USERS, "check refuses", ("alter table {p}users add check (status in ('old','mid'))",), "write fails"),
    (USERS, "check email", ("alter table {p}users add check (email like '%@%')",), "write fails"),
    (USERS, "check allows", ("alter table {p}users add check (flag >= 0)",), "works"),
    (USERS, "check default bad", ("alter table {p}users add check (flag > 0)",), "minimal insert fails"),
    (USERS, "check length", ("alter table {p}users add check (length(email) <= 40)",), "write fails"),
    (USERS, "check nick not null", ("alter table {p}users add check (nick is not null)",), "minimal insert fails"),
    (
        USERS,
        "fk new table",
        ("create table {p}logs (id serial primary key, user_id int references {p}users)",),
        "delete fails",
    ),
    (
        USERS,
        "fk new table cascade",
        ("create table {p}logs (id serial primary key, user_id int references {p}users on delete cascade)",),
        "works",
    ),
    (
        USERS,
        "fk new table set null",
        ("create table {p}logs (id serial primary key, user_id int references {p}users on delete set null)",),
        "works",
    ),
    (
        USERS,
        "fk new table set null notnull",
        ("create table {p}logs (id serial primary key, user_id int not null references {p}users on delete set null)",),
        "delete fails",
    ),
    (
        USERS,
        "fk deferred",
        ("create table {p}logs (id serial primary key, user_id int references {p}users initially deferred)",),
        "delete fails",
    ),
    (
        USERS,
        "fk composite",
        (
            "create unique index {p}uu on {p}users (id, email)",
            "create table {p}logs (a int, b varchar(80), foreign key (a, b) references {p}users (id, email))",
        ),
        "delete fails",
    ),
    (
        USERS,
        "fk new column mapped table",
        ("alter table {p}marks add boss_id int references {p}users",),
        "delete fails",
    ),
    (
        USERS,
        "fk grandchild",
        (
            "create table {p}logs (id serial primary key, user_id int references {p}users on delete cascade)",
            "create table {p}logs2 (log_id int references {p}logs)",
        ),
        "works",
    ),
    (
        USERS,
        "fk parent needed",
        (
            "create table {p}kinds (k varchar(10) primary key)",
            "insert into {p}kinds values ('new')",
            "alter table {p}users add foreign key (status) references {p}kinds",
        ),
        "write fails",
    ),
    (
        USERS,
        "view updatable",
        (
            "alter table {p}users rename to {p}acc",
            "create view {p}users as select id,email,nick,flag,amount,at,status from {p}acc",
        ),
        "works",
    ),
    (
        USERS,
        "view with default",
        (
            "alter table {p}users rename to {p}acc",
            "create view {p}users as select id,email,nick,flag,amount,at,status from {p}acc",
            "alter view {p}users alter status set default 'new'",
        ),
        "works",
    ),
    (
        USERS,
        "view readonly",
        (
            "alter table {p}users rename to {p}acc",
            "create view {p}users as select distinct id,email,nick,flag,amount,at,status from {p}acc",
        ),
        "write fails",
    ),
    (
        USERS,
        "view renamed col",
        (
            "alter table {p}users rename to {p}acc",
            "alter table {p}acc rename nick to nickname",
            "create view {p}users as select id,email,nickname as nick,flag,amount,at,status from {p}acc",
        ),
        "works",
    ),
    (
        USERS,
        "trigger raises insert",
        (
            "create function {p}f() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$",
            "create trigger t before insert on {p}users for each row execute function {p}f()",
        ),
        "write fails",
    ),
    (
        USERS,
        "trigger raises update",
        (
            "create function {p}f() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$",
            "create trigger t before update on {p}users for each row execute function {p}f()",
        ),
        "write fails",
    ),
    (
        USERS,
        "trigger raises delete",
        (
            "create function {p}f() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$",
            "create trigger t before delete on {p}users for each row execute function {p}f()",
        ),
        "delete fails",
    ),
    (
        USERS,
        "trigger skips insert",
        (
            "create function {p}f() returns trigger language plpgsql as $$ begin return null; end $$",
            "create trigger t before insert on {p}users for each row execute function {p}f()",
        ),
        "write fails",
    ),
    (
        USERS,
        "trigger func replaced",
        (
            "create function {p}f() returns trigger language plpgsql as $$ begin new.nick := 'x'; return new; end $$",
            "create trigger t before insert on {p}users for each row execute function {p}f()",
        ),
        "works",
    ),
    (
        USERS,
        "generated col",
        (
            "alter table {p}users drop nick",
            "alter table {p}users add nick varchar(40) generated always as (upper(email)) stored",
        ),
        "write fails",
    ),
    (
        USERS,
        "domain",
        ("create domain {p}dom as varchar(80) check (value ~ '@')", "alter table {p}users alter email type {p}dom"),
        "write fails",
    ),
    (
        USERS,
        "partitioned",
        (
            "alter table {p}marks rename to {p}old",
            "create table {p}marks (id int not null, user_id int, other_id int) partition by range (id)",
        ),
        "write fails",
    ),
    (USERS, "rename table", ("alter table {p}marks rename to {p}m2",), "read fails"),
    (USERS, "schema moved", ("create schema {p}s", "alter table {p}marks set schema {p}s"), "read fails"),
    (
        USERS,
        "rename back",
        ("alter table {p}users rename nick to n2", "alter table {p}users rename n2 to nick"),
        "works",
    ),
    (
        USERS,
        "pk changed",
        ("alter table {p}marks drop constraint {p}marks_pkey", "alter table {p}marks add primary key (user_id)"),
        "write fails",
    ),
    (USERS, "pk type bigint", ("alter table {p}users alter id type bigint",), "works"),
    (
        USERS,
        "pk->uuid",
        (
            "alter table {p}marks drop constraint {p}marks_user_id_fkey",
            "alter table {p}users alter id drop default",
            "alter table {p}users alter id type uuid using gen_random_uuid()",
            "alter table {p}users alter id set default gen_random_uuid()",
        ),
        "read fails",
    ),
    (
        USERS,
        "drop add same name",
        ("alter table {p}users drop flag", "alter table {p}users add flag text not null default 'a'"),
        "works",
    ),
    (
        USERS,
        "gen by default identity",
        (
            "alter table {p}users alter id drop default",
            "alter table {p}users alter id add generated by default as identity",
        ),
        "works",
    ),
    (ITEMS, "e add value", ("alter type {p}kind add value 'd'",), "works"),
    (ITEMS, "e rename value", ("alter type {p}kind rename value 'c' to 'see'",), "write fails"),
    (ITEMS, "e type renamed", ("alter type {p}kind rename to {p}kind2",), "works"),
    (ITEMS, "e to text", ("alter table {p}items alter kind type text",), "works"),
    (
        ITEMS,
        "e removed",
        (
            "alter type {p}kind rename to {p}old",
            "create type {p}kind as enum ('a','b')",
            "alter table {p}items alter kind type {p}kind using kind::text::{p}kind",
            "drop type {p}old",
        ),
        "write fails",
    ),
    (ITEMS, "e doc->jsonb", ("alter table {p}items alter doc type jsonb",), "works"),
    (ITEMS, "e docb->text", ("alter table {p}items alter docb type text",), "works"),
    (ITEMS, "e u->text", ("alter table {p}items alter u type text",), "works"),
    (ITEMS, "e d->timestamptz", ("alter table {p}items alter d type timestamptz",), "works"),
    (ITEMS, "e tags->jsonb", ("alter table {p}items alter tags type jsonb using to_jsonb(tags)",), "write fails"),
    (ITEMS, "e tags->int[]", ("alter table {p}items alter tags type int[] using '{{}}'",), "write fails"),
    (ITEMS, "e ok->int", ("alter table {p}items alter ok type int using ok::int",), "write fails"),
    (ITEMS, "e ver unique", ("create unique index on {p}items (kind, ok)",), "write fails"),
    (ITEMS, "e raw->text", ("alter table {p}items alter raw type text using encode(raw,'hex')",), "works"),
    (ITEMS, "e r excl", ("alter table {p}items add exclude using gist (r with &&)",), "write fails"),
    (ITEMS, "e ival->int", ("alter table {p}items alter ival type int using 1",), "write fails"),
    (ITEMS, "e ip->text", ("alter table {p}items alter ip type text",), "works"),
    (FAMILY, "j kind check", ("alter table {p}emp add check (kind in ('emp','eng'))",), "works"),
    (FAMILY, "j kind check bad", ("alter table {p}emp add check (kind in ('emp'))",), "write fails"),
    (
        FAMILY,
        "j pair third key",
        (
            "alter table {p}pair drop constraint {p}pair_pkey",
            "alter table {p}pair add c int not null default 0",
            "alter table {p}pair add primary key (a,b,c)",
        ),
        "works",
    ),
    (
        FAMILY,
        "j pair fk",
        ("create table {p}pl (a int, b date, foreign key (a,b) references {p}pair)",),
        "delete fails",
    ),
    (
        FAMILY,
        "j pair x in key",
        ("alter table {p}pair drop constraint {p}pair_pkey", "alter table {p}pair add primary key (a)"),
        "write fails",
    ),
    (FAMILY, "j boss notnull", ("alter table {p}emp alter boss_id set not null",), "minimal insert fails"),
    (FAMILY, "j left notnull", ("alter table {p}left alter right_id set not null",), "minimal insert fails"),
    (FAMILY, "j eng lang notnull", ("alter table {p}eng alter lang set not null",), "minimal insert fails"),
    (
        FAMILY,
        "j cycle cascade",
        ("create table {p}t1 (id serial primary key, emp int references {p}emp on delete cascade)",),
        "works",
    ),
)


def history() -> tuple[str, list[str], list[list[str]]]:
    """The models, the statements of the first revision, and those of each further one, one for each case."""
    models, first, changes = [HEAD], [], []
    for number, ((classes, tables), _, change, _) in enumerate(CASES, 1):
        names = {"p": f"c{number:03}_", "P": f"C{number:03}"}
        models.append(classes.format(**names))
        first.append(tables.format(**names))
        changes.append([sql.format(**names) for sql in change])
    return "\n".join(models), first, changes


def body(statements: list[str]) -> str:
    """The body of an upgrade that sends them."""
    return "\n".join(f"op.execute({sql!r})" for sql in statements)
