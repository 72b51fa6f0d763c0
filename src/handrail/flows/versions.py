"""`handrail versions`: which versions of the application are deployed, and what each of them needs."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import URL

from handrail.engines.base import for_url
from handrail.errors import UsageRefused
from handrail.flows.matrix import choosing
from handrail.flows.ports import ProjectPorts
from handrail.history.deriving import derive
from handrail.host import git
from handrail.host.process import user_name
from handrail.host.urls import resolve
from handrail.journal import versions as stored
from handrail.model.contract import AppVersion, Contract, differences

#: What the types of models are read as where the settings name no database yet.
_ANY = URL.create("postgresql+psycopg")


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterRequest:
    """Which version, and where its models are: at a git ref, in a module, or as a contract in a file.

    `at` is the revision that it was written for; by default the heads of the revision files beside its models. `owner`
    answers for its deployments; by default who registers it.
    """

    name: str
    ref: str = ""
    models: str = ""
    file: Path | None = None
    at: str | None = None
    environment: str | None = None
    owner: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """The version as it is kept now, what it was before under that name, and which others need the same."""

    version: AppVersion
    before: AppVersion | None
    alike: tuple[str, ...]


def register(ports: ProjectPorts, request: RegisterRequest) -> Registered:
    """Derive the contract of a version and keep it. Raises UsageRefused and ProjectUnreadable with nothing kept."""
    if request.file is not None and (request.ref or request.models):
        raise UsageRefused(
            what="the contract would come from two places; nothing was touched",
            why="--from-file is a contract already, --ref and --models say where to derive one",
            fix="leave one of them out",
        )
    contract, heads = _contract(ports, request)
    revisions = heads if request.at is None else ports.graph.resolve(request.at, ())
    unknown = [r for r in revisions if r not in {known.id for known in ports.graph.walk()}]
    if unknown:
        raise UsageRefused(
            what=f"{request.name} was written for revision {', '.join(unknown)}; nothing was touched",
            why="the files of this checkout do not have it",
            fix="name the newest one that both have: --at REVISION",
        )
    known = ports.journal.versions()
    before = next((version for version in known if version.name == request.name), None)
    version = AppVersion(
        name=request.name,
        contract=contract,
        revisions=tuple(revisions),
        digest=stored.digest(contract),
        registered_at=before.registered_at if before else ports.clock.now().isoformat(),
        ref=request.ref,
        models=request.models,
        owner=request.owner or user_name(),
    )
    ports.journal.keep_version(version)
    return Registered(
        version=version,
        before=before,
        alike=tuple(v.name for v in known if v.digest == version.digest and v.name != request.name),
    )


def _contract(ports: ProjectPorts, request: RegisterRequest) -> tuple[Contract, tuple[str, ...]]:
    if request.file is not None:
        return stored.from_file(request.file), ports.graph.heads
    url = _dialect_url(ports, request.environment)
    with ExitStack() as stack:
        folder = ports.settings.root
        if request.ref:
            folder = stack.enter_context(git.worktree(folder, request.ref))
        derived = derive(folder, ini=ports.settings.alembic, url=url, models_at=request.models)
    assert derived.contract is not None
    return derived.contract, derived.heads


def _dialect_url(ports: ProjectPorts, environment: str | None) -> URL:
    environments = ports.settings.environments
    if not environments:
        return _ANY
    chosen = ports.settings.environment(environment) if environment else next(iter(environments.values()))
    url = chosen.migration_url or chosen.url
    return for_url(resolve(url, environment=chosen.name, root=ports.settings.root)).url


def retire(ports: ProjectPorts, name: str) -> AppVersion:
    """Say that a version is deployed no longer; return it. Raises UsageRefused for one that is not registered."""
    version = replace(
        choosing.version(ports.journal.versions(), name, otherwise="handrail versions list"),
        retired_at=ports.clock.now().isoformat(),
    )
    ports.journal.keep_version(version)
    return version


def diff(ports: ProjectPorts, old: str, new: str) -> tuple[str, ...]:
    """Return what the one version needs and the other does not, one line each."""
    return differences(find(ports, old).contract, find(ports, new).contract)


def find(ports: ProjectPorts, name: str) -> AppVersion:
    """Return the version of that name. Raises UsageRefused, with the nearest name."""
    return choosing.version(ports.journal.versions(), name)
