"""What a restored database must hold beside schema, rows and grants: large objects, publications, operators, owners ...

Source: https://www.postgresql.org/docs/current/catalogs.html. What names roles (user mappings) is told without values.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from handrail.engines.postgresql.catalog_sql import SCOPE
from handrail.model.grants import Owner
from handrail.model.particular import Particular

# Each part yields what a thing is called and what it is. Contents of large objects are read by the megabyte, through
# the functions that a role needs no right on the catalogue for; 262144 is INV_READ. They are summed up in at most 1024
# lines. `owned` is what extensions bring; objects below 16384 are the server's own.
# Locks: ACCESS SHARE on system tables. Cost: a few ms, and each large object once.
_PARTS = (
    r"""
select case count(*) when 1 then 'large object ' || min(oid)
                     else 'large objects whose oid % 1024 is ' || oid % 1024 end,
       format('%s bytes, sha256 %s', sum(size), encode(sha256(string_agg(digest, '' order by oid)), 'hex'))
from (
  select oid, size, (select coalesce(sha256(string_agg(sha256(lo_get(oid::oid, at, 1048576)), '' order by at)), '')
                     from generate_series(0, size - 1, 1048576) at) as digest
  from (
    select oid, lo_lseek64(opened, 0, 2) as size, lo_close(opened)
    from (select oid::bigint, lo_open(oid, 262144) as opened from pg_largeobject_metadata offset 0) o offset 0
  ) sized
) hashed group by oid % 1024""",
    r"""
select 'order of columns of ' || r.name, string_agg(a.attname, ', ' order by a.attnum)
from relations r join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
where r.is_table group by r.name""",
    r"""
select 'storage of column ' || r.name || '.' || a.attname,
       concat_ws(' ', nullif(a.attstorage, t.typstorage)::text, nullif(a.attcompression::text, ''), known,
                 'statistics ' || nullif(to_jsonb(a) ->> 'attstattarget', '-1'), 'options ' ||
                 (select string_agg(x, ', ' order by x) from unnest(a.attfdwoptions) x))
from relations r join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
join pg_type t on t.oid = a.atttypid
cross join lateral (select string_agg(x, ', ' order by x) as known from unnest(a.attoptions) x
                    where x like 'n\_distinct%') distinct_values
where r.is_table and (a.attstorage <> t.typstorage or a.attcompression <> '' or known is not null
  or a.attfdwoptions is not null or to_jsonb(a) ->> 'attstattarget' <> '-1')""",
    r"""
select 'default of view column ' || r.name || '.' || a.attname, pg_get_expr(d.adbin, d.adrelid)
from relations r join pg_attrdef d on d.adrelid = r.oid join pg_attribute a on a.attrelid = r.oid and a.attnum = d.adnum
where r.relkind = 'v'""",
    r"""
select 'statistics of index column ' || r.name || '.' || c.relname || ' ' || a.attnum, to_jsonb(a) ->> 'attstattarget'
from relations r join pg_index i on i.indrelid = r.oid join pg_class c on c.oid = i.indexrelid
join pg_attribute a on a.attrelid = c.oid where to_jsonb(a) ->> 'attstattarget' <> '-1'""",
    r"""
select 'target of statistics ' || s.prefix || x.stxname, to_jsonb(x) ->> 'stxstattarget'
from pg_statistic_ext x join schemas s on s.oid = x.stxnamespace where to_jsonb(x) ->> 'stxstattarget' <> '-1'""",
    r"""
select 'TOAST options of ' || r.name, (select string_agg(x, ', ' order by x) from unnest(t.reloptions) x)
from relations r join pg_class c on c.oid = r.oid join pg_class t on t.oid = c.reltoastrelid
where t.reloptions is not null""",
    r"""
select 'storage of table ' || r.name, concat_ws(' ', m.amname, s.spcname)
from relations r join pg_class c on c.oid = r.oid left join pg_am m on m.oid = c.relam and m.amname <> 'heap'
left join pg_tablespace s on s.oid = c.reltablespace
where r.relkind in ('r', 'p', 'm') and (m.oid is not null or s.oid is not null)""",
    r"""
select 'materialized view ' || r.name, case when c.relispopulated then 'populated' else 'not populated' end
from relations r join pg_class c on c.oid = r.oid where r.relkind = 'm'""",
    r"""
select 'firing of rule ' || r.name || '.' || w.rulename, w.ev_enabled::text
from relations r join pg_rewrite w on w.ev_class = r.oid where w.ev_enabled <> 'O'""",
    r"""
select 'foreign table ' || r.name, concat_ws(' ', s.srvname,
                 (select string_agg(x, ', ' order by x) from unnest(f.ftoptions) x))
from relations r join pg_foreign_table f on f.ftrelid = r.oid join pg_foreign_server s on s.oid = f.ftserver""",
    r"""
select 'server ' || s.srvname, concat_ws(' ', w.fdwname, s.srvtype, s.srvversion,
                 (select string_agg(x, ', ' order by x) from unnest(s.srvoptions) x))
from pg_foreign_server s join pg_foreign_data_wrapper w on w.oid = s.srvfdw
where not exists (select from owned o where o.objid = s.oid and o.classid = 'pg_foreign_server'::regclass)""",
    r"""
select 'foreign data wrapper ' || w.fdwname,
       concat_ws(' ', nullif(w.fdwhandler, 0)::regproc, nullif(w.fdwvalidator, 0)::regproc,
                 (select string_agg(x, ', ' order by x) from unnest(w.fdwoptions) x))
from pg_foreign_data_wrapper w
where not exists (select from owned o where o.objid = w.oid and o.classid = 'pg_foreign_data_wrapper'::regclass)""",
    r"""
select 'user mapping of ' || u.usename || ' on ' || u.srvname, 'there' from pg_user_mappings u""",
    r"""
select 'publication ' || p.pubname,
       concat_ws(' ', (to_jsonb(p) - '{oid,pubname,pubowner}'::text[])::text,
                 (select string_agg((to_jsonb(t) - 'pubname')::text, ' ' order by t.schemaname, t.tablename)
                  from pg_publication_tables t where t.pubname = p.pubname))
from pg_publication p""",
    r"""
select 'event trigger ' || e.evtname,
       concat_ws(' ', e.evtevent, e.evtfoid::regprocedure, e.evtenabled, e.evttags::text)
from pg_event_trigger e
where not exists (select from owned o where o.objid = e.oid and o.classid = 'pg_event_trigger'::regclass)""",
    r"""
select 'operator ' || o.oid::regoperator,
       concat_ws(' ', nullif(o.oprresult, 0)::regtype, nullif(o.oprcode, 0)::regproc, nullif(o.oprcom, 0)::regoperator,
                 nullif(o.oprnegate, 0)::regoperator, nullif(o.oprrest, 0)::regproc, nullif(o.oprjoin, 0)::regproc,
                 case when o.oprcanmerge then 'merges' end, case when o.oprcanhash then 'hashes' end)
from pg_operator o join schemas s on s.oid = o.oprnamespace
where not exists (select from owned x where x.objid = o.oid and x.classid = 'pg_operator'::regclass)""",
    r"""
select 'operator family ' || s.prefix || f.opfname || ' using ' || m.amname,
       concat_ws(' ',
         (select string_agg(concat_ws(' ', a.amopstrategy, a.amopopr::regoperator), ', '
                            order by a.amopstrategy, a.amopopr::regoperator::text)
          from pg_amop a where a.amopfamily = f.oid),
         (select string_agg(concat_ws(' ', p.amprocnum, p.amproc), ', ' order by p.amprocnum, p.amproc::text)
          from pg_amproc p where p.amprocfamily = f.oid),
         (select string_agg(concat_ws(' ', c.opcname, c.opcintype::regtype, c.opcdefault), ', ' order by c.opcname)
          from pg_opclass c where c.opcfamily = f.oid))
from pg_opfamily f join schemas s on s.oid = f.opfnamespace join pg_am m on m.oid = f.opfmethod
where not exists (select from owned o where o.objid = f.oid and o.classid = 'pg_opfamily'::regclass)""",
    r"""
select 'cast from ' || c.castsource::regtype || ' to ' || c.casttarget::regtype,
       concat_ws(' ', nullif(c.castfunc, 0)::regprocedure, c.castcontext, c.castmethod)
from pg_cast c
where c.oid >= 16384 and not exists (select from owned o where o.objid = c.oid and o.classid = 'pg_cast'::regclass)""",
    r"""
select 'text search configuration ' || s.prefix || c.cfgname,
       concat_ws(' ', p.prsname, (select string_agg(concat_ws(' ', m.maptokentype, m.mapdict::regdictionary), ', '
                                                    order by m.maptokentype, m.mapseqno)
                                  from pg_ts_config_map m where m.mapcfg = c.oid))
from pg_ts_config c join schemas s on s.oid = c.cfgnamespace join pg_ts_parser p on p.oid = c.cfgparser
where not exists (select from owned o where o.objid = c.oid and o.classid = 'pg_ts_config'::regclass)""",
    r"""
select 'text search dictionary ' || s.prefix || d.dictname, concat_ws(' ', t.tmplname, d.dictinitoption)
from pg_ts_dict d join schemas s on s.oid = d.dictnamespace join pg_ts_template t on t.oid = d.dicttemplate
where not exists (select from owned o where o.objid = d.oid and o.classid = 'pg_ts_dict'::regclass)""",
    r"""
select 'conversion ' || s.prefix || c.conname,
       concat_ws(' ', c.conforencoding, c.contoencoding, c.conproc, c.condefault)
from pg_conversion c join schemas s on s.oid = c.connamespace
where not exists (select from owned o where o.objid = c.oid and o.classid = 'pg_conversion'::regclass)""",
    r"""
select 'language ' || l.lanname, concat_ws(' ', l.lanpltrusted, nullif(l.lanplcallfoid, 0)::regproc)
from pg_language l
where l.oid >= 16384 and not exists (select from owned o where o.objid = l.oid and o.classid = 'pg_language'::regclass)
""",
    r"""
select 'access method ' || m.amname, concat_ws(' ', m.amtype, m.amhandler) from pg_am m
where m.oid >= 16384 and not exists (select from owned o where o.objid = m.oid and o.classid = 'pg_am'::regclass)""",
    r"""
select 'base type ' || s.prefix || t.typname,
       concat_ws(' ', t.typlen, t.typinput, t.typoutput, t.typalign, t.typstorage, t.typisdefined)
from pg_type t join schemas s on s.oid = t.typnamespace
where (t.typtype = 'b' and t.typcategory <> 'A' or t.typtype = 'p')
  and not exists (select from owned o where o.objid = t.oid and o.classid = 'pg_type'::regclass)""",
    r"""
select 'schema of extension ' || e.extname, e.extnamespace::regnamespace::text from pg_extension e""",
    r"""
select 'comment on ' || i.type || ' ' || i.identity, d.description
from pg_description d cross join lateral pg_identify_object(d.classoid, d.objoid, d.objsubid) i
where (d.objoid >= 16384 or d.classoid = 'pg_largeobject'::regclass or i.identity = 'public') and d.classoid not in (
  'pg_class'::regclass, 'pg_proc'::regclass, 'pg_type'::regclass, 'pg_constraint'::regclass)
  and not exists (select from owned o where o.objid = d.objoid and o.classid = d.classoid)
  and coalesce(i.schema, 'public') in (select nspname from schemas)""",
)
_QUERY = text(
    f"{SCOPE} select of, value from ({' union all '.join(_PARTS)}) as part(of, value) "  # noqa: S608 - ours
    "where (select set_config('search_path', 'pg_catalog', true)) is not null order by of collate \"C\""
)

# The third column is how pg_dump's table of contents names the thing: not at all a large object, since 17 lists them by
# thousands. Schema public is in it only where it has another owner than a new database gives it.
# ACCESS SHARE on system tables.
_OWNERS = text(
    SCOPE  # noqa: S608 - joined with a constant of ours
    + r"""
select kind || ' ' || name, pg_get_userbyid(owner), upper(kind) || ' ' || place || ' ' || tag
from (
  select 'schema', s.nspname, s.nspowner, '-', s.nspname from schemas s
  where s.nspname <> 'public' or s.nspowner <> 10 and pg_get_userbyid(s.nspowner) <> 'pg_database_owner'
  union all
  select case r.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence'
                        when 'f' then 'foreign table' when 'c' then 'type' else 'table' end,
         r.name, r.relowner, n.nspname, c.relname
  from relations r join pg_class c on c.oid = r.oid join pg_namespace n on n.oid = c.relnamespace
  union all
  select case t.typtype when 'd' then 'domain' else 'type' end, s.prefix || t.typname, t.typowner, s.nspname, t.typname
  from pg_type t join schemas s on s.oid = t.typnamespace
  where t.typtype in ('e', 'd', 'r')
    and not exists (select from owned o where o.objid = t.oid and o.classid = 'pg_type'::regclass)
  union all
  select case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end,
         s.prefix || called.tag, p.proowner, s.nspname, called.tag
  from pg_proc p join schemas s on s.oid = p.pronamespace cross join lateral (
    select p.proname || '(' || case when p.prokind = 'a' and p.pronargs = 0 then '*' else coalesce((
      select string_agg(format_type(a.type, null), ', ' order by a.place)
      from unnest(p.proargtypes) with ordinality a(type, place)), '') end || ')' as tag
  ) called
  where not exists (select from pg_depend d  -- an extension's, or the constructors that a range type brings
                    where d.objid = p.oid and d.classid = 'pg_proc'::regclass and d.deptype in ('e', 'i'))
  union all
  select kind, prefix || coalesce(shown, name), owner, nspname, name from (
    select 'operator', oid, 'pg_operator'::regclass, oprname, oprnamespace, oprowner,
           format('%s(%s)', oprname, concat_ws(',', nullif(oprleft, 0)::regtype, oprright::regtype)) from pg_operator
    union all
    select 'operator class', oid, 'pg_opclass'::regclass, opcname, opcnamespace, opcowner, null from pg_opclass
    union all
    select 'operator family', oid, 'pg_opfamily'::regclass, opfname, opfnamespace, opfowner, null from pg_opfamily
    union all
    select 'collation', oid, 'pg_collation'::regclass, collname, collnamespace, collowner, null from pg_collation
    union all
    select 'conversion', oid, 'pg_conversion'::regclass, conname, connamespace, conowner, null from pg_conversion
    union all
    select 'statistics', oid, 'pg_statistic_ext'::regclass, stxname, stxnamespace, stxowner, null from pg_statistic_ext
    union all
    select 'text search dictionary', oid, 'pg_ts_dict'::regclass, dictname, dictnamespace, dictowner, null
    from pg_ts_dict
    union all
    select 'text search configuration', oid, 'pg_ts_config'::regclass, cfgname, cfgnamespace, cfgowner, null
    from pg_ts_config
  ) as named(kind, id, class, name, namespace, owner, shown)
  join schemas s on s.oid = namespace
  where not exists (select from owned o where o.objid = id and o.classid = class)
  union all
  select 'foreign data wrapper', w.fdwname, w.fdwowner, '-', w.fdwname from pg_foreign_data_wrapper w
  where not exists (select from owned o where o.objid = w.oid and o.classid = 'pg_foreign_data_wrapper'::regclass)
  union all
  select 'server', v.srvname, v.srvowner, '-', v.srvname from pg_foreign_server v
  where not exists (select from owned o where o.objid = v.oid and o.classid = 'pg_foreign_server'::regclass)
  union all
  select 'publication', p.pubname, p.pubowner, '-', p.pubname from pg_publication p
  union all
  select 'event trigger', e.evtname, e.evtowner, '-', e.evtname from pg_event_trigger e
  where not exists (select from owned o where o.objid = e.oid and o.classid = 'pg_event_trigger'::regclass)
) as thing(kind, name, owner, place, tag)
where (select set_config('search_path', 'pg_catalog', true)) is not null
union all
select case count(*) when 1 then 'large object ' || min(oid::bigint)
                     else 'large objects whose oid % 1024 is ' || oid::bigint % 1024 end,
       string_agg(distinct pg_get_userbyid(lomowner), ', '), ''
from pg_largeobject_metadata group by oid::bigint % 1024
order by 1
"""
)


def particulars(conn: Connection) -> tuple[Particular, ...]:
    """Return everything of the kind, by name. Raises the driver's error where a large object may not be read."""
    return tuple(Particular(of=of, value=value or "") for of, value in conn.execute(_QUERY, {"version_table": ""}))


def owners(conn: Connection) -> tuple[Owner, ...]:
    """Return who owns each thing that an archive gives to its owner; large objects are summed up in 1024 lines."""
    rows = conn.execute(_OWNERS, {"version_table": ""})
    return tuple(Owner(of=of, role=role, listed=" ".join(listed.split("\n"))) for of, role, listed in rows)
