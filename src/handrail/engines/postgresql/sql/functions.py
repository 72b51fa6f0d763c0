"""What the functions do that a statement calls. Only names of a list are taken to do nothing but return a value.

PostgreSQL's own marks (IMMUTABLE, STABLE) stand in the catalogue, not in the text, and a function of an application
may bear any of them wrongly: https://www.postgresql.org/docs/current/xfunc-volatility.html.
"""

from __future__ import annotations

from functools import cache

from handrail.engines.postgresql.sql.syntax import Node, find, strings
from handrail.model.operation import StatementKind

#: Functions whose effect is known, and no lock that a client waits for.
ACTING = {
    "nextval": StatementKind.DATA,
    "pg_notify": StatementKind.DATA,
    "setval": StatementKind.DATA,
    "pg_advisory_lock": StatementKind.SESSION,
    "pg_advisory_lock_shared": StatementKind.SESSION,
    "pg_advisory_unlock": StatementKind.SESSION,
    "pg_advisory_unlock_all": StatementKind.SESSION,
    "pg_advisory_unlock_shared": StatementKind.SESSION,
    "pg_advisory_xact_lock": StatementKind.SESSION,
    "pg_advisory_xact_lock_shared": StatementKind.SESSION,
    "pg_try_advisory_lock": StatementKind.SESSION,
    "pg_try_advisory_xact_lock": StatementKind.SESSION,
    "set_config": StatementKind.SESSION,
    "setseed": StatementKind.SESSION,
}

# https://www.postgresql.org/docs/current/functions.html
_PURE = """
    abs age area array_agg array_append array_cat array_dims array_fill array_length array_lower array_ndims
    array_position array_positions array_prepend array_remove array_replace array_to_json array_to_string
    array_to_tsvector array_upper ascii avg bit_and bit_count bit_length bit_or bit_xor bool_and bool_or btrim
    cardinality cbrt ceil ceiling char_length character_length chr concat concat_ws convert convert_from convert_to
    corr count covar_pop covar_samp cume_dist date_bin date_part date_trunc daterange decode degrees dense_rank div
    encode enum_first enum_last enum_range every exp extract factorial first_value floor format gcd generate_series
    generate_subscripts get_bit get_byte host initcap int4range int8range isempty isfinite json_agg
    json_array_elements json_array_elements_text json_array_length json_build_array json_build_object json_each
    json_each_text json_extract_path json_extract_path_text json_object json_object_agg json_object_keys
    json_populate_record json_populate_recordset json_strip_nulls json_to_record json_to_recordset json_typeof
    jsonb_agg jsonb_array_elements jsonb_array_elements_text jsonb_array_length jsonb_build_array jsonb_build_object
    jsonb_each jsonb_each_text jsonb_extract_path jsonb_extract_path_text jsonb_insert jsonb_object jsonb_object_agg
    jsonb_object_keys jsonb_path_exists jsonb_path_match jsonb_path_query jsonb_path_query_array
    jsonb_path_query_first jsonb_populate_record jsonb_populate_recordset jsonb_pretty jsonb_set jsonb_set_lax
    jsonb_strip_nulls jsonb_to_record jsonb_to_recordset jsonb_typeof justify_days justify_hours justify_interval lag
    last_value lcm lead left length like_escape ln log log10 lower lower_inc lower_inf lpad ltrim make_date
    make_interval make_time make_timestamp make_timestamptz max md5 min min_scale mod mode netmask network normalize
    now nth_value ntile num_nonnulls num_nulls numrange octet_length overlaps overlay parse_ident percent_rank
    percentile_cont percentile_disc phraseto_tsquery pi plainto_tsquery position pow power quote_ident quote_literal
    quote_nullable radians range_agg range_merge rank regexp_count regexp_instr regexp_like regexp_match
    regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table regexp_substr repeat replace reverse
    right round row_number row_to_json rpad rtrim scale set_bit set_byte setweight sha224 sha256 sha384 sha512 sign
    similar_to_escape split_part sqrt statement_timestamp stddev stddev_pop stddev_samp string_agg string_to_array
    string_to_table strpos substr substring sum text timezone to_ascii to_char to_date to_hex to_json to_jsonb to_number
    to_timestamp to_tsquery to_tsvector transaction_timestamp translate trim_array trim_scale trunc ts_headline
    ts_rank ts_rank_cd tsrange tstzrange tsvector_to_array unnest upper upper_inc upper_inf var_pop var_samp variance
    websearch_to_tsquery width_bucket xmlagg xmlexists xpath xpath_exists
"""
# https://www.postgresql.org/docs/current/functions-info.html
_LOOKING = """
    aclexplode col_description current_database current_schema current_schemas current_setting format_type
    has_any_column_privilege has_column_privilege has_database_privilege has_function_privilege
    has_schema_privilege has_sequence_privilege has_table_privilege has_type_privilege inet_server_addr
    inet_server_port obj_description pg_backend_pid pg_collation_for pg_collation_is_visible pg_column_size
    pg_current_snapshot pg_describe_object pg_encoding_to_char pg_function_is_visible pg_get_constraintdef
    pg_get_expr pg_get_function_arguments pg_get_function_identity_arguments pg_get_function_result
    pg_get_functiondef pg_get_indexdef pg_get_partition_constraintdef pg_get_partkeydef pg_get_ruledef
    pg_get_serial_sequence pg_get_statisticsobjdef pg_get_triggerdef pg_get_userbyid pg_get_viewdef pg_has_role
    pg_identify_object pg_index_column_has_property pg_index_has_property pg_indexam_has_property
    pg_my_temp_schema pg_opclass_is_visible pg_options_to_table pg_partition_root pg_postmaster_start_time
    pg_relation_filenode pg_sequence_parameters pg_size_pretty pg_stat_get_live_tuples pg_statistics_obj_is_visible
    pg_table_is_visible pg_type_is_visible pg_typeof shobj_description to_regclass to_regnamespace
    to_regoper to_regoperator to_regproc to_regprocedure to_regrole to_regtype txid_current version
"""
#: Marked volatile by the server, because two calls may differ; they change nothing.
VOLATILE = """
    clock_timestamp currval gen_random_uuid lastval pg_blocking_pids pg_database_size pg_indexes_size
    pg_is_in_recovery pg_partition_ancestors pg_partition_tree pg_relation_size pg_sequence_last_value pg_sleep
    pg_sleep_for pg_sleep_until pg_table_size pg_tablespace_size pg_total_relation_size random timeofday uuidv4 uuidv7
"""
#: Extensions that come with the server: pg_trgm, pgcrypto, unaccent, uuid-ossp.
OF_EXTENSIONS = """
    crypt digest gen_random_bytes gen_salt hmac similarity unaccent uuid_generate_v1 uuid_generate_v1mc
    uuid_generate_v3 uuid_generate_v4 uuid_generate_v5
"""


@cache
def pure() -> frozenset[str]:
    """Return the names of functions that change nothing and lock nothing."""
    return frozenset(f"{_PURE} {_LOOKING} {VOLATILE} {OF_EXTENSIONS}".split())


def called(node: Node) -> frozenset[str]:
    """Return the functions that a statement calls by name; those of a schema of its own with the schema."""
    return frozenset(_name(strings(call.funcname)) for call in find(node, "FuncCall"))


def calls_unknown(node: Node) -> bool:
    """Return whether the statement calls a function of which only the name is known: it may write and lock anything."""
    return not called(node) <= pure() | ACTING.keys()


def _name(parts: list[str]) -> str:
    """Return a function's bare name, where it is the server's own or may be: pg_catalog is searched first."""
    return parts[-1] if len(parts) == 1 or parts[0] == "pg_catalog" else ".".join(parts)
