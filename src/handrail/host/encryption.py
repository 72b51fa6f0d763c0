"""Files encrypted to age recipients (https://age-encryption.org), by pyrage."""

from __future__ import annotations

import stat
from importlib import import_module
from pathlib import Path
from types import ModuleType

from handrail.errors import BackupUnproved, SettingsInvalid, UsageRefused

SUFFIX = ".age"


def check_recipients(recipients: tuple[str, ...]) -> None:
    """Raise SettingsInvalid where one of them cannot be encrypted to, UsageRefused where pyrage is missing."""
    for recipient in recipients:
        _recipient(recipient)


def encrypt(plain: Path, cipher: Path, recipients: tuple[str, ...]) -> None:
    """Write `plain` encrypted into the file `cipher`. Raises OSError, SettingsInvalid, UsageRefused."""
    to = [_recipient(recipient) for recipient in recipients]
    with plain.open("rb") as source, cipher.open("wb") as sink:
        _pyrage().encrypt_io(source, sink, to)


def decrypt(cipher: Path, plain: Path, identity: Path) -> None:
    """Write what is in `cipher` into the file `plain`.

    Raises BackupUnproved where it was cut or changed, or is not encrypted to that identity; UsageRefused.
    """
    pyrage = _pyrage()
    identities = _identities(identity)
    try:
        with cipher.open("rb") as source, plain.open("wb") as sink:
            pyrage.decrypt_io(source, sink, identities)
    except (pyrage.DecryptError, OSError) as exc:
        raise BackupUnproved(
            what=f"{cipher.name} cannot be decrypted; nothing was touched",
            why=str(exc),
            fix="name the identity it was encrypted to; if it is, the file was cut or changed: use another backup",
        ) from exc


def _pyrage() -> ModuleType:
    try:
        return import_module("pyrage")
    except ModuleNotFoundError as exc:
        raise UsageRefused(
            what="encrypted backups need pyrage, which is not installed; nothing was touched",
            why="the environment's backup.encrypt_to names recipients, or the backup is encrypted",
            fix="pip install 'handrail[encrypt]'",
        ) from exc


def _recipient(text: str) -> object:
    pyrage = _pyrage()
    kind = pyrage.ssh if text.startswith("ssh-") else pyrage.x25519
    try:
        return kind.Recipient.from_str(text)
    except pyrage.RecipientError as exc:
        raise SettingsInvalid(
            what="nothing can be encrypted to a recipient of backup.encrypt_to; nothing was touched",
            why=f"{text!r}: {exc}",
            fix="write age1... (age-keygen prints it) or a public key of SSH",
        ) from exc


def _identities(file: Path) -> list[object]:
    pyrage = _pyrage()
    try:
        if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise UsageRefused(
                what=f"the identity {file} is not used; nothing was touched",
                why="others than its owner may read or write it",
                fix=f"chmod 600 {file}",
            )
        content = file.read_bytes()
        if content.startswith(b"-----BEGIN"):
            return [pyrage.ssh.Identity.from_buffer(content)]
        lines = [line.strip() for line in content.decode().splitlines()]
        found: list[object] = [pyrage.x25519.Identity.from_str(line) for line in lines if line and line[0] != "#"]
    except (OSError, UnicodeDecodeError, pyrage.IdentityError) as exc:
        raise UsageRefused(
            what=f"the identity {file} cannot be used; nothing was touched",
            why=str(exc),
            fix="name the file that age-keygen wrote, or a private key of SSH without a passphrase",
        ) from exc
    return found
