"""Backups in tests: a database with something in it, its folder of backups, and what can go wrong with an archive."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import make_url
from workbench import Workbench

from handrail.engines.postgresql import clients

PLAYERS = """
op.create_table(
    "players",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(60), nullable=False),
    sa.Column("skill", sa.Integer, nullable=False),
)
"""
_FILL = {
    "postgresql": "insert into players (name, skill) select 'player ' || md5(n::text), n from generate_series(1, {}) n",
    "sqlite": "with recursive n(i) as (select 1 union all select i + 1 from n where i < {}) "
    "insert into players (name, skill) select 'player ' || hex(randomblob(16)), i from n",
}


def filled(bench: Workbench, rows: int = 2000) -> Workbench:
    """Bring the database to its first revision, with that many players in it; a second revision is pending."""
    bench.revision("aaa1", None, PLAYERS, 'op.drop_table("players")')
    bench.revision("aaa2", "aaa1", 'op.add_column("players", sa.Column("age", sa.Integer))')
    done = bench.run("apply", "aaa1", "--yes")
    assert done.returncode == 0, done.stderr
    bench.execute(_FILL[bench.url.partition(":")[0].partition("+")[0]].format(rows))
    return bench


def folder(bench: Workbench) -> Path:
    return bench.root / "backups"


def created(bench: Workbench, *arguments: str) -> dict[str, Any]:
    """Make a backup, which must succeed; return what is known of it."""
    done = bench.run("backup", "create", *arguments, "--format", "json")
    assert done.returncode == 0, done.stderr
    backup: dict[str, Any] = json.loads(done.stdout)["backup"]
    return backup


def listed(bench: Workbench) -> list[dict[str, Any]]:
    """The backups that are listed, newest first."""
    backups: list[dict[str, Any]] = bench.json("backup", "list")["backups"]
    return backups


def left_behind(bench: Workbench) -> list[str]:
    """What is in the folder of backups beyond the ones that are listed."""
    known = {name for b in listed(bench) for name in (b["archive"], f"{b['id']}.json")}
    if not folder(bench).exists():
        return []
    return sorted(p.name for p in folder(bench).iterdir() if p.name not in known | {".gitignore"})


def edited(bench: Workbench, backup: dict[str, Any], change: Callable[[bytes], bytes]) -> None:
    """Change the archive, and its manifest so that size and sha256 fit again."""
    archive = folder(bench) / backup["archive"]
    content = change(archive.read_bytes())
    archive.write_bytes(content)
    manifest = folder(bench) / f"{backup['id']}.json"
    told = json.loads(manifest.read_text())
    size, sha256 = len(content), hashlib.sha256(content).hexdigest()
    told |= {"bytes": size, "sha256": sha256, "plain_bytes": size, "plain_sha256": sha256}
    manifest.write_text(json.dumps(told))


def dumped_until(bench: Workbench, limit_bytes: int) -> bytes:
    """What pg_dump leaves behind when the disk is full after so many bytes."""
    file = bench.root / "cut.dump"
    where, environment = clients.address(make_url(bench.url))
    program = clients.find(18, tls=False).folder / "pg_dump"
    done = subprocess.run(
        [str(program), "--format=custom", "--compress=0", f"--file={file}", f"--dbname={where}"],
        env=environment,
        check=False,
        capture_output=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes)),
    )
    assert done.returncode != 0
    return file.read_bytes()


def killed_after(bench: Workbench, kept_bytes: int) -> bytes:
    """What there is of an archive when pg_dump is killed in the middle."""
    where, environment = clients.address(make_url(bench.url))
    program = clients.find(18, tls=False).folder / "pg_dump"
    argv = [str(program), "--format=custom", "--compress=0", f"--dbname={where}"]
    with subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE) as dump:
        assert dump.stdout is not None
        written = dump.stdout.read(kept_bytes)
        dump.kill()
    assert len(written) == kept_bytes
    return written


def with_full_disk(bench: Workbench, limit_bytes: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `handrail ARGUMENTS` where no file may grow beyond that size, as on a disk that is full."""
    return subprocess.run(
        [sys.executable, "-m", "handrail", *arguments],
        cwd=bench.root,
        env=os.environ | {"HANDRAIL_TEST_URL": bench.url},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes)),
    )
