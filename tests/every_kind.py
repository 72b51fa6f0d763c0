"""A database of PostgreSQL in which one thing of each kind stands that an archive keeps."""

#: The statements that make it, beside tables and what belongs to them.
EVERY_KIND = (
    "create table t (id int primary key, a int, b text)",
    "create view v as select id, a from t",
    "create index i on t ((a + 1))",
    "create statistics st (mcv) on a, b from t",
    "create type r as range (subtype = float8)",
    "create function f() returns trigger language plpgsql as 'begin return new; end'",
    "create trigger tr before insert on t for each row execute function f()",
    "create operator === (leftarg = int, rightarg = int, function = int4eq)",
    "create operator class oc for type int4 using btree as function 1 btint4cmp(int4, int4)",
    "create collation c (locale = 'C')",
    "create conversion cv for 'LATIN1' to 'UTF8' from iso8859_1_to_utf8",
    "create text search dictionary td (template = simple)",
    "create text search configuration tc (copy = simple)",
    "create foreign data wrapper w",
    "create server s foreign data wrapper w",
    "create aggregate ag (int) (sfunc = int4pl, stype = int)",
    "create domain d as int",
    "create extension citext",
    "select lo_from_bytea(4711, 'hello')",
)
