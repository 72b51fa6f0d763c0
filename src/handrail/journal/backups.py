"""The folder of backups: for each an archive and, beside it, its manifest, which is written last.

An archive without a manifest is no backup. Nothing here opens a database.
"""

from __future__ import annotations

import base64
import secrets
import zlib
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import msgspec

from handrail.errors import BackupUnproved, UsageRefused
from handrail.host import partial
from handrail.host.partial import Partial
from handrail.model.backup import SCHEMA, Damaged, Image, Manifest, Method, Shelf
from handrail.model.rows import Bucket

MANIFEST = ".json"
#: What only a comparison needs, and nobody reads: thousands of numbers, and the parts of the schema; packed.
_BUCKETS = "buckets"
_PARTS = "parts"
Value = TypeVar("Value")
_OURS = "handrail-"


def archive_path(folder: Path, manifest: Manifest) -> Path:
    """Return where the archive of that backup is."""
    return folder / manifest.archive


def new_id(environment: str, stamp: str, random: str) -> str:
    """Return the name of a new backup: sorts by time within its environment, and is a plain file name."""
    return f"{_beginning(environment)}{stamp}-{random}"


def _beginning(environment: str) -> str:
    plain = "".join(c if c.isalnum() or c in "-_" else "-" for c in environment)
    return f"{_OURS}{plain}-"


def ready(folder: Path) -> None:
    """Make the folder, for nobody but us, and remove what interrupted backups left. Raises BackupUnproved."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with partial.partial(folder / f"{_OURS}{secrets.token_hex(3)}"):
            pass
        ignore = folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
    except OSError as exc:
        raise BackupUnproved(
            what="no backup can be made; nothing was touched",
            why=f"the folder {folder} cannot be written: {exc.strerror or exc}",
            fix="correct its rights, or set another one: backup.directory of the environment",
        ) from exc
    sweep(folder)


def sweep(folder: Path) -> tuple[Path, ...]:
    """Remove what interrupted backups left in the folder; return what was removed."""
    removed = [path for path in partial.abandoned(folder) if path.name.startswith(_OURS)]
    for path in tuple(removed):
        manifest = path.with_suffix("")
        if manifest.suffix == MANIFEST and not manifest.exists():  # died between the two renames of `keep`
            removed += folder.glob(f"{manifest.stem}.*")
    for path in removed:
        with suppress(OSError):
            path.unlink(missing_ok=True)
    return tuple(removed)


def read(folder: Path) -> Shelf:
    """Return every backup in the folder, without the buckets of their prints; an absent folder has none."""
    backups, damaged = [], []
    for path in sorted(folder.glob(f"{_OURS}*{MANIFEST}")):
        try:
            backups.append(_manifest(path))
        except (OSError, ValueError, msgspec.MsgspecError) as exc:
            damaged.append(Damaged(path=path, why=" ".join(str(exc).split())))
    backups.sort(key=lambda b: (b.made_at, b.id))
    return Shelf(folder=folder, backups=tuple(backups), damaged=tuple(damaged))


def find(shelf: Shelf, environment: str, wanted: str) -> Manifest:
    """Return the backup of that id, or of its beginning; the environment's newest for `latest`.

    An older one never stands in for a newest that cannot be read. Raises UsageRefused where there is none or more than
    one, BackupUnproved where its manifest cannot be read.
    """
    mine = shelf.of(environment)
    for broken in reversed(shelf.damaged):
        name = broken.path.stem
        newest = _was_of(environment, name) and not (mine and _stamp(mine[-1].id) > _stamp(name))
        if name == wanted or (wanted == "latest" and newest):
            older = f"name an older one: {mine[-1].id}" if mine else "use another one: handrail backup list"
            raise BackupUnproved(
                what=f"backup {name} cannot be used; nothing was touched",
                why=f"its manifest {broken.path} cannot be read: {broken.why}",
                fix=older,
            )
    if wanted == "latest" and mine:
        return mine[-1]
    found = [b for b in mine if b.id == wanted] or [b for b in mine if b.id.startswith(wanted)]
    if len(found) == 1:
        return found[0]
    known = ", ".join(b.id for b in mine[-3:]) or "none"
    raise UsageRefused(
        what=f"there is no backup {wanted!r} of {environment}; nothing was touched"
        if not found
        else f"{wanted!r} names {len(found)} backups; nothing was touched",
        why=f"in {shelf.folder} the newest of {environment} are: {known}",
        fix=f"handrail backup list -e {environment}",
    )


def _stamp(name: str) -> str:
    """Return when a backup of that name was begun, to the second; sorts by time."""
    return name.rpartition("-")[0].rpartition("-")[2]


def _was_of(environment: str, name: str) -> bool:
    """Return whether a backup of that name was made of that environment; its manifest cannot be asked."""
    beginning = _beginning(environment)
    return name.startswith(beginning) and name.removeprefix(beginning).count("-") == 1


def keep(archive: Partial, manifest: Manifest) -> None:
    """Put a complete archive and its manifest on the shelf: both, or neither. Raises OSError."""
    with partial.partial(archive.final.with_name(f"{manifest.id}{MANIFEST}")) as beside:
        beside.path.write_bytes(_encoded(manifest))
        beside.sync()
        try:
            archive.keep()
            beside.keep()
        except BaseException:
            archive.final.unlink(missing_ok=True)
            raise


def write(folder: Path, manifest: Manifest) -> None:
    """Write the manifest atomically, over an older one. Raises OSError."""
    partial.write(folder / f"{manifest.id}{MANIFEST}", _encoded(manifest))


def whole(folder: Path, manifest: Manifest) -> Manifest:
    """Return the manifest with what is packed in its file too, to compare with. Raises BackupUnproved."""
    path = folder / f"{manifest.id}{MANIFEST}"
    if manifest.image is None:
        return manifest
    try:
        found = msgspec.json.decode(path.read_bytes())
        buckets = _unpacked(found.get(_BUCKETS, ""), dict[str, tuple[Bucket, ...]]) or {}
        parts = _unpacked(found.get(_PARTS, ""), tuple[tuple[str, str], ...]) or ()
    except (OSError, ValueError, AttributeError, zlib.error, msgspec.MsgspecError) as exc:
        raise BackupUnproved(
            what=f"backup {manifest.id} cannot be used; nothing was touched",
            why=f"its manifest {path} cannot be read: {exc}",
            fix="use another one: handrail backup list",
        ) from exc
    return replace(manifest, image=_with(manifest.image, buckets, parts))


def remove(folder: Path, manifest: Manifest) -> None:
    """Delete a backup: the manifest first, so that it is never listed without its archive. Raises OSError."""
    (folder / f"{manifest.id}{MANIFEST}").unlink(missing_ok=True)
    if manifest.method is Method.ENGINE:
        archive_path(folder, manifest).unlink(missing_ok=True)
    partial.sync_folder(folder)


def _manifest(path: Path) -> Manifest:
    """Return the manifest in that file. Raises OSError, ValueError, msgspec's errors."""
    found = msgspec.json.decode(path.read_bytes())
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise ValueError(f"it is no manifest of schema {SCHEMA}")
    for packed in (_BUCKETS, _PARTS):
        found.pop(packed, None)
    manifest = msgspec.convert(found, Manifest)
    if manifest.id != path.stem:
        raise ValueError(f"it is the manifest of {manifest.id}")
    if manifest.method is Method.ENGINE:
        # Checked because it is deleted by this name.
        if not manifest.archive.startswith(manifest.id) or "/" in manifest.archive:
            raise ValueError(f"{manifest.archive!r} is no archive of it")
        if not archive_path(path.parent, manifest).is_file():
            raise ValueError(f"its archive {manifest.archive} is not there")
        if manifest.image is None:
            raise ValueError("it does not say what the database held")
    return manifest


def _encoded(manifest: Manifest) -> bytes:
    image = manifest.image
    bare = replace(manifest, image=_with(image, {}, ())) if image else manifest
    document = msgspec.to_builtins(bare)
    if image:
        document[_BUCKETS] = _packed({table.name: table.buckets for table in image.rows.tables if table.buckets})
        document[_PARTS] = _packed(image.parts)
    return msgspec.json.format(msgspec.json.encode(document), indent=2)


def _packed(value: object) -> str:
    return base64.b64encode(zlib.compress(msgspec.json.encode(value))).decode()


def _unpacked(packed: str, of: type[Value]) -> Value | None:
    return msgspec.json.decode(zlib.decompress(base64.b64decode(packed, validate=True)), type=of) if packed else None


def _with(image: Image, buckets: dict[str, tuple[Bucket, ...]], parts: tuple[tuple[str, str], ...]) -> Image:
    tables = tuple(replace(table, buckets=buckets.get(table.name, ())) for table in image.rows.tables)
    return replace(image, rows=replace(image.rows, tables=tables), parts=parts)
