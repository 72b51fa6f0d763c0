"""The catalogue queries behind `catalog`: one statement of many parts, each a scan of one system table.

Every part yields the same columns: kind, owner (the table it belongs to, '' for what stands alone), name, five texts,
a flag, a position, `numbers` (of attributes, for the snapshot only) and `strict`: what only the strict fingerprint
counts (privileges, owners, column order, storage of columns). What is written `{{name: ...}}` is left out of statements
that do not look at the column of that name: the server would work it out all the same. Texts come from the server's own
deparsers, under an empty search_path, so that every name is qualified.

Source: https://www.postgresql.org/docs/current/catalogs.html. Locks: ACCESS SHARE on system tables. Cost: about 0.2 ms
for a table of ten columns.
"""

from __future__ import annotations

import re

from sqlalchemy import TextClause, text

# What is looked at: user schemas without ours, relations without extensions' own and without the version table.
SCOPE = r"""
with owned as materialized (
  select classid, objid from pg_catalog.pg_depend
  where refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass and deptype = 'e'
), schemas as materialized (
  select n.oid, n.nspname, case n.nspname when 'public' then '' else n.nspname || '.' end as prefix,
         n.nspacl, n.nspowner
  from pg_catalog.pg_namespace n
  where n.nspname not in ('information_schema', 'handrail') and n.nspname !~ '^pg_'
    and not exists (select from owned o where o.objid = n.oid and o.classid = 'pg_catalog.pg_namespace'::regclass)
), relations as materialized (
  select c.oid, s.prefix || c.relname as name, c.relkind, c.relkind in ('r', 'p', 'f') as is_table, c.relpersistence,
         c.relrowsecurity, c.relforcerowsecurity, c.relreplident, c.relispartition, c.relpartbound, c.reloptions,
         c.relacl, c.relowner
  from pg_catalog.pg_class c join schemas s on s.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'f', 'v', 'm', 'S', 'c') and s.prefix || c.relname <> :version_table
    and not exists (select from owned o where o.objid = c.oid and o.classid = 'pg_class'::regclass)
)"""

_PARTS = (
    # Tables. Texts: persistence and kind, row security, replica identity, partition key, bound; strict: acl, owner.
    r"""
select 'table', r.name, '',
       concat_ws(' ', nullif(r.relpersistence::text, 'p'), case r.relkind when 'f' then 'foreign' end),
       concat_ws(' ', case when r.relrowsecurity then 'enabled' end, case when r.relforcerowsecurity then 'forced' end),
       case r.relreplident when 'd' then '' when 'n' then 'nothing' when 'f' then 'full' else 'index' end,
       case r.relkind when 'p' then pg_get_partkeydef(r.oid) end,
       case when r.relispartition then pg_get_expr(r.relpartbound, r.oid) end,
       false, 0, null, {{strict: concat_ws(' ', r.relacl::text, r.relowner::regrole::text)}}
from relations r where r.is_table""",
    # Further options of tables, only where they are set.
    r"""
select 'option', r.name, 'storage parameters', array_to_string(r.reloptions, ', '),
       null, null, null, null, false, 0, null, null
from relations r where r.is_table and r.reloptions is not null""",
    r"""
select 'option', r.name, 'inherits', string_agg(i.inhparent::regclass::text, ', ' order by i.inhseqno),
       null, null, null, null, false, 0, null, null
from relations r join pg_inherits i on i.inhrelid = r.oid where r.is_table group by r.name""",
    r"""
select 'option', r.name, coalesce('comment on ' || a.attname, 'comment'), d.description,
       null, null, null, null, false, 0, null, null
from relations r join pg_description d on d.objoid = r.oid and d.classoid = 'pg_class'::regclass
left join pg_attribute a on a.attrelid = r.oid and a.attnum = d.objsubid and d.objsubid > 0
where r.is_table""",
    # Columns. Texts: type, default or generation expression, identity, generated, collation where not the type's own.
    # Deparsed with the table's column names only where it may name one (functions-info.html, pg_get_expr).
    # "offset 0" keeps a subquery to itself: types repeat and are remembered, defaults are read once, not row by row.
    r"""
select 'column', r.name, a.attname, t.name,
       pg_get_expr(d.adbin, case when a.attgenerated = '' then 0 else d.adrelid end),
       a.attidentity::text, a.attgenerated::text,
       case when a.attcollation <> t.typcollation then a.attcollation::regcollation::text end,
       not a.attnotnull, a.attnum::int, {{numbers: a.attnum::text}},
       {{strict: concat_ws(' ', a.attnum, a.attacl::text, a.attstorage, a.attcompression, a.attoptions::text,
                           a.attstattarget)}}
from relations r join pg_attribute a on a.attrelid = r.oid
cross join lateral (
  select format_type(t.oid, a.atttypmod) as name, t.typcollation from pg_type t where t.oid = a.atttypid offset 0
) t
left join (select adrelid, adnum, adbin from pg_attrdef offset 0) d on d.adrelid = a.attrelid and d.adnum = a.attnum
where r.is_table and a.attnum > 0 and not a.attisdropped""",
    # Constraints of tables; partitions' inherited ones follow from their parents. Texts: definition, type, '',
    # referenced table. Numbers: own and referenced columns, `{1,2}{1}`.
    r"""
select 'constraint', r.name, k.conname, pg_get_constraintdef(k.oid), k.contype::text, null, f.name, null,
       k.convalidated, 0, {{numbers: k.conkey::text || coalesce(k.confkey::text, '')}}, null
from relations r join pg_constraint k on k.conrelid = r.oid left join relations f on f.oid = k.confrelid
where k.contype in ('p', 'u', 'f', 'c', 'x') and k.conparentid = 0""",
    # NOT NULL constraints are rows since 18; the ordinary ones are already the column's.
    r"""
select 'option', r.name, 'not null ' || a.attname, pg_get_constraintdef(k.oid),
       null, null, null, null, false, 0, null, null
from relations r join pg_constraint k on k.conrelid = r.oid
join pg_attribute a on a.attrelid = r.oid and a.attnum = k.conkey[1]
where k.contype = 'n' and (not k.convalidated or k.connoinherit)""",
    # Indexes. Texts: definition (null where a constraint of the same name defines it: deparsing is the dearest part),
    # kind of relation, clustered, replica identity, storage parameters. Flag: valid and ready. Position: 1 if unique.
    r"""
select 'index', r.name, c.relname, case when k.oid is null then pg_get_indexdef(i.indexrelid) end, r.relkind::text,
       case when i.indisclustered then 'clustered' end, case when i.indisreplident then 'replica identity' end,
       case when k.oid is not null then array_to_string(c.reloptions, ', ') end,
       i.indisvalid and i.indisready, i.indisunique::int, {{numbers: i.indkey::text}}, null
from relations r join pg_index i on i.indrelid = r.oid join pg_class c on c.oid = i.indexrelid
left join pg_constraint k on k.conindid = i.indexrelid and k.conrelid = i.indrelid and k.contype in ('p', 'u', 'x')
  and k.conparentid = 0""",
    # Everything that is not a table: owner is the kind, the first text the definition.
    r"""
select 'object', 'schema', s.nspname, '', null, null, null, null, false, 0, null,
       {{strict: concat_ws(' ', s.nspacl::text, s.nspowner::regrole::text)}}
from schemas s""",
    r"""
select 'object', case r.relkind when 'v' then 'view' else 'materialized view' end, r.name,
       concat_ws(' ', pg_get_viewdef(r.oid), 'with (' || array_to_string(r.reloptions, ', ') || ')'),
       null, null, null, null, false, 0, null, {{strict: concat_ws(' ', r.relacl::text, r.relowner::regrole::text)}}
from relations r where r.relkind in ('v', 'm')""",
    r"""
select 'object', 'sequence', r.name,
       format('%s start %s increment %s minvalue %s maxvalue %s cache %s%s', s.seqtypid::regtype, s.seqstart,
              s.seqincrement, s.seqmin, s.seqmax, s.seqcache, case when s.seqcycle then ' cycle' end)
         || coalesce(' owned by ' || o.name || '.' || a.attname, ''),
       null, null, null, null, false, 0, null, {{strict: concat_ws(' ', r.relacl::text, r.relowner::regrole::text)}}
from relations r join pg_sequence s on s.seqrelid = r.oid
left join lateral (
  select d.refobjid, d.refobjsubid from pg_depend d
  where d.classid = 'pg_class'::regclass and d.objid = r.oid and d.deptype in ('a', 'i')
    and d.refclassid = 'pg_class'::regclass
  offset 0
) d on true
left join relations o on o.oid = d.refobjid
left join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid""",
    r"""
select 'object', 'composite type', r.name,
       string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' order by a.attnum),
       null, null, null, null, false, 0, null, null
from relations r join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
where r.relkind = 'c' group by r.name""",
    r"""
select 'object', 'enum', s.prefix || t.typname, string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder),
       null, null, null, null, false, 0, null, null
from pg_enum e join pg_type t on t.oid = e.enumtypid join schemas s on s.oid = t.typnamespace
where not exists (select from owned o where o.objid = t.oid and o.classid = 'pg_type'::regclass)
group by s.prefix, t.typname""",
    r"""
select 'object', case t.typtype when 'd' then 'domain' else 'range type' end, s.prefix || t.typname,
       concat_ws(' ', format_type(coalesce(nullif(t.typbasetype, 0), g.rngsubtype), t.typtypmod),
                 case when t.typnotnull then 'not null' end, 'default ' || t.typdefault,
                 (select string_agg(k.conname || ' ' || pg_get_constraintdef(k.oid), ' ' order by k.conname)
                  from pg_constraint k where k.contypid = t.oid)),
       null, null, null, null, false, 0, null, {{strict: t.typacl::text}}
from pg_type t join schemas s on s.oid = t.typnamespace left join pg_range g on g.rngtypid = t.oid
where t.typtype in ('d', 'r')
  and not exists (select from owned o where o.objid = t.oid and o.classid = 'pg_type'::regclass)""",
    r"""
select 'object', case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end,
       s.prefix || p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')',
       case when p.prokind <> 'a' then pg_get_functiondef(p.oid)
            else concat_ws(' ', g.aggtransfn, g.aggfinalfn, g.aggcombinefn, g.agginitval, g.aggtranstype::regtype) end,
       null, null, null, null, false, 0, null, {{strict: concat_ws(' ', p.proacl::text, p.proowner::regrole::text)}}
from pg_proc p join schemas s on s.oid = p.pronamespace left join pg_aggregate g on g.aggfnoid = p.oid
where not exists (select from owned o where o.objid = p.oid and o.classid = 'pg_proc'::regclass)""",
    r"""
select 'object', 'trigger', r.name || '.' || t.tgname,
       concat_ws(' ', pg_get_triggerdef(t.oid), case t.tgenabled when 'D' then '(disabled)' when 'A' then '(always)'
                                                                 when 'R' then '(replica)' end),
       null, null, null, null, false, 0, null, null
from relations r join pg_trigger t on t.tgrelid = r.oid where not t.tgisinternal and t.tgparentid = 0""",
    r"""
select 'object', 'policy', r.name || '.' || p.polname,
       concat_ws(' ', case when p.polpermissive then 'permissive' else 'restrictive' end, p.polcmd,
                 'using (' || pg_get_expr(p.polqual, p.polrelid) || ')',
                 'with check (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')'),
       null, null, null, null, false, 0, null, {{strict: p.polroles::regrole[]::text}}
from relations r join pg_policy p on p.polrelid = r.oid""",
    r"""
select 'object', 'rule', r.name || '.' || w.rulename, pg_get_ruledef(w.oid),
       null, null, null, null, false, 0, null, null
from relations r join pg_rewrite w on w.ev_class = r.oid where w.rulename <> '_RETURN'""",
    r"""
select 'object', 'statistics', s.prefix || x.stxname, pg_get_statisticsobjdef(x.oid),
       null, null, null, null, false, 0, null, null
from pg_statistic_ext x join schemas s on s.oid = x.stxnamespace""",
    r"""
select 'object', 'collation', s.prefix || c.collname,
       (to_jsonb(c) - '{oid,collname,collnamespace,collowner,collversion}'::text[])::text,
       null, null, null, null, false, 0, null, null
from pg_collation c join schemas s on s.oid = c.collnamespace
where not exists (select from owned o where o.objid = c.oid and o.classid = 'pg_collation'::regclass)""",
    # Comments on what is not a table; objects below 16384 are the server's own.
    r"""
select 'object', 'comment', i.type || ' ' || i.identity, d.description, null, null, null, null, false, 0, null, null
from pg_description d cross join lateral pg_identify_object(d.classoid, d.objoid, d.objsubid) i
where d.objoid >= 16384
  and d.classoid in ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_type'::regclass, 'pg_constraint'::regclass,
                     'pg_trigger'::regclass, 'pg_namespace'::regclass)
  and not exists (select from relations r where r.oid = d.objoid and r.is_table)
  and not exists (select from owned o where o.objid = d.objoid and o.classid = d.classoid)
  and coalesce(i.schema, i.name, 'public') in (select nspname from schemas)""",
    r"""
select 'object', 'extension', e.extname, e.extversion,
       null, null, null, null, false, 0, null, {{strict: e.extnamespace::regnamespace::text}}
from pg_extension e""",
)

# Only in the strict fingerprint: default privileges name roles.
_DEFAULT_PRIVILEGES = r"""
select 'privileges', coalesce(d.defaclnamespace::regnamespace::text, ''), d.defaclrole::regrole::text,
       d.defaclobjtype::text, d.defaclacl::text, null, null, null, false, 0, null, null
from pg_default_acl d"""

_COLUMNS = "part(kind, owner, name, a, b, c, d, e, flag, position, numbers, strict)"

# The search_path is emptied before the first part is scanned (an uncorrelated subquery is a one-time filter), and for
# this transaction only, so every deparser qualifies what it names.
_FROM = " from ({parts}) as {columns} where (select set_config('search_path', 'pg_catalog', true)) is not null"

_LOGICAL = "row(kind, owner, name, a, b, c, d, e, flag)"
_STRICT = "row(kind, owner, name, a, b, c, d, e, flag, position, strict)"

# The order of rows does not matter to a sum, which spares the server the sort; each part is summed by itself, which
# spares it carrying the rows through the union. 64 bits a row: it is there against accidents.
# https://www.postgresql.org/docs/current/functions-comparisons.html
_SUMMED = "select sum(hash_record_extended({row}, 0)), count(*) from ({part}) as {columns}"
_DIGEST = "encode(sha256(convert_to(coalesce(sum(sum), 0) || ':' || sum(count), 'UTF8')), 'hex')"

_WANTED_FOR = re.compile(r"\{\{(\w+): (.*?)\}\}", re.DOTALL)


def _only(part: str, looked_at: str) -> str:
    names = frozenset(re.findall(r"\w+", looked_at))
    return _WANTED_FOR.sub(lambda mark: mark[2] if mark[1] in names else "null", part)


def _rows(columns: str) -> TextClause:
    parts = [_only(part, columns) for part in _PARTS]
    return text(f"{SCOPE} select {columns} {_FROM.format(parts=' union all '.join(parts), columns=_COLUMNS)}")


def _hashed(row: str, *further: str) -> TextClause:
    sums = [_SUMMED.format(row=row, part=_only(part, row), columns=_COLUMNS) for part in (*_PARTS, *further)]
    return text(f"{SCOPE} select {_DIGEST} {_FROM.format(parts=' union all '.join(sums), columns='part')}")


# No lock beyond ACCESS SHARE on two system tables; one row.
VERSION_TABLE = text("""
select case n.nspname when 'public' then '' else n.nspname || '.' end || c.relname
from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = to_regclass(quote_ident(:version_table))
""")

SNAPSHOT = _rows("kind, owner, name, a, b, c, d, e, flag, position, numbers")
FINGERPRINT = _hashed(_LOGICAL)
FINGERPRINT_STRICT = _hashed(_STRICT, _DEFAULT_PRIVILEGES)
