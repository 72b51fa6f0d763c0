"""What is known of a column, a constraint, an index: in a statement, and in the schema that follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from handrail.model.schema import ConstraintKind


class Unknown(Enum):
    """What could not be found out. It is neither true nor false: to use it as a condition is an error."""

    UNKNOWN = "unknown"

    def __bool__(self) -> bool:
        raise TypeError("what is UNKNOWN is neither true nor false: compare with `is True`, or ask for UNKNOWN first")


UNKNOWN = Unknown.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSpec:
    """One column as far as it is known.

    `type` is in the server's own words, in lower case (`character varying(50)`, `timestamp with time zone`).
    `default` is the SQL of the default, None where there is none. `generated` is the expression of a generated column,
    `identity` is `always`, `by default` or '' (serial types and AUTO_INCREMENT: `serial`). `collation` and `comment`
    are '' where the statement names none. `volatile_default` is whether each row gets a value of its own.
    """

    name: str
    type: str | Unknown = UNKNOWN
    nullable: bool | Unknown = UNKNOWN
    default: str | Unknown | None = UNKNOWN
    generated: str = ""
    stored: bool = True
    identity: str = ""
    collation: str = ""
    comment: str = ""
    volatile_default: bool | Unknown = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstraintSpec:
    """One constraint as far as it is known.

    `name` is '' where none is given and the server makes one up. `expression` is the condition of a CHECK. `validated`
    is False after NOT VALID. `on_delete` is the action of a foreign key in upper case, '' for NO ACTION. `using_index`
    names an index that was made before and becomes the constraint's. `deferrable` is `DEFERRABLE`, or with `INITIALLY
    DEFERRED` behind it, '' where each statement is checked.
    """

    name: str
    kind: ConstraintKind
    columns: tuple[str, ...] = ()
    expression: str = ""
    validated: bool = True
    referenced_table: str = ""
    referenced_columns: tuple[str, ...] = ()
    on_delete: str = ""
    using_index: str = ""
    deferrable: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSpec:
    """One index. `columns` are its columns and, as their SQL, its expressions; `where` is a partial one's condition.

    `method` is '' where none is named, which is a B-tree.
    """

    name: str
    columns: tuple[str, ...] = ()
    unique: bool = False
    where: str = ""
    method: str = ""
