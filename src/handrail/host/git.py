"""Git, for what only a repository knows."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from handrail.errors import UsageRefused

#: A hook of the project would run on every checkout, and a question would wait for an answer.
_QUIET = ("-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false")


@contextmanager
def worktree(folder: Path, ref: str) -> Iterator[Path]:
    """Yield `folder` as it was at that ref: in a worktree of its own, removed at the end.

    Raises UsageRefused: no repository, no such ref, or the folder was not there yet.
    """
    commit = _commit(folder, ref)
    inside = Path(_git(folder, "rev-parse", "--show-prefix").stdout.strip())
    with tempfile.TemporaryDirectory(prefix="handrail-ref-") as scratch:
        place = Path(scratch) / "tree"
        made = _git(folder, "worktree", "add", "--detach", "--quiet", str(place), commit)
        try:
            if made.returncode:
                raise _refused(f"{ref} cannot be checked out", made.stderr, "git worktree prune, then try again")
            if not (place / inside).is_dir():
                raise _refused(f"{ref} has no folder {inside}", "it came later", "name a later ref")
            yield place / inside
        finally:
            _git(folder, "worktree", "remove", "--force", str(place))


def changed(folder: Path, ref: str) -> frozenset[Path]:
    """Return the files of the repository that differ from where the branch left `ref`, new and uncommitted ones too.

    Raises UsageRefused: no repository, or no such ref.
    """
    commit = _commit(folder, ref)
    top = Path(_git(folder, "rev-parse", "--show-toplevel").stdout.strip())
    start = _git(folder, "merge-base", commit, "HEAD").stdout.strip() or commit
    differ = _git(top, "diff", "--name-only", "--diff-filter=d", "-z", start).stdout.split("\0")
    new = _git(top, "ls-files", "--others", "--exclude-standard", "-z").stdout.split("\0")
    return frozenset((top / name).resolve() for name in (*differ, *new) if name)


def _commit(folder: Path, ref: str) -> str:
    inside = _git(folder, "rev-parse", "--is-inside-work-tree")
    if inside.returncode:
        raise _refused(
            f"the ref {ref!r} cannot be looked up: {folder} is in no git repository",
            inside.stderr or "git finds no repository there, nor in a folder above",
            "run the command in a checkout, or leave the ref out",
        )
    found = _git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    if found.returncode:
        why = found.stderr or f"git knows no commit, branch or tag of that name in {folder}"
        raise _refused(
            f"the ref {ref!r} does not exist", why, "git tag --list; git fetch --tags brings those of others"
        )
    return found.stdout.strip()


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment["GIT_TERMINAL_PROMPT"] = "0"
    try:
        return subprocess.run(
            ["git", *_QUIET, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as exc:
        raise _refused("a ref cannot be looked up", "git is not installed", "install git, or leave --ref out") from exc


def _refused(what: str, why: str, fix: str) -> UsageRefused:
    return UsageRefused(what=f"{what}; nothing was touched", why=" ".join(why.split()), fix=fix)
