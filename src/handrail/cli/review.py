"""`handrail review`."""

from __future__ import annotations

from pathlib import Path

import click

from handrail.cli import manual, options
from handrail.errors import Exit
from handrail.flows import review as flow
from handrail.flows.ports import review_ports
from handrail.flows.review import ReviewRequest
from handrail.host.cache import NO_CACHE, user_cache
from handrail.model.review import Review
from handrail.model.verdict import Severity


@click.command(
    "review",
    cls=manual.Command,
    examples=(
        "handrail review --since main",
        "handrail review -e staging --fail-on warning",
        "handrail review --all --static --format sarif",
        "handrail review ae10:head --snapshot production.json",
    ),
    failed="there are findings of --fail-on or above",
)
@click.argument("target", default="")
@click.option("--all", "everything", is_flag=True, help="Every revision, not only the pending ones.")
@click.option("--since", default="", metavar="GITREF", help="Revisions whose files differ from that branch or commit.")
@options.environment_or("as above")
@click.option(
    "--snapshot",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Rest on what `handrail status --save FILE` has written; connect to nothing.",
)
@click.option(
    "--count-for",
    type=click.FloatRange(min=0),
    default=30.0,
    metavar="SECONDS",
    help="How long rows may be counted in the named environment; default: 30; 0: not at all.",
)
@click.option(
    "--engine",
    default="",
    metavar="NAME",
    help="Read for postgresql, sqlite, mysql or mariadb; default: as the files tell.",
)
@click.option("--static", is_flag=True, help="Execute nothing: look at the files only.")
@click.option(
    "--fail-on",
    type=click.Choice([severity.value for severity in reversed(Severity)]),
    default=Severity.ERROR.value,
    help="Exit 1 where there is a finding of this severity or above; default: error.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json", "sarif", "github", "gitlab", "junit", "markdown", "html"]),
    default="text",
    help="How to print the result; default: text.",
)
@click.option("--no-cache", is_flag=True, help="Read and judge everything anew, and keep nothing for the next time.")
@options.directory
def command(
    target: str,
    since: str,
    environment: str | None,
    engine: str,
    fail_on: str,
    format_: str,
    directory: Path,
    *,
    snapshot: Path | None,
    count_for: float,
    everything: bool,
    static: bool,
    no_cache: bool,
) -> int:
    """Say what revisions would do, to whom, and what to write instead.

    TARGET is a revision, or a range a:b. Without one, and without --all or --since, the pending revisions are reviewed
    where an environment is named, is the default or the only one, and every revision otherwise. Needs no settings, no
    database, and not the application; nothing is written but what the next review of the same files can go by, below
    the user's cache folder.
    """
    root = directory.resolve()
    request = ReviewRequest(
        target=target,
        everything=everything,
        since=since,
        environment=environment,
        snapshot=snapshot,
        count_for_s=count_for,
        engine=engine,
        static=static,
        cache=NO_CACHE if no_cache else user_cache(),
    )
    found = flow.review(review_ports(root), request)
    options.show(_shown(found, format_, root))
    return Exit.FAILED_CLEAN if found.at_least(Severity(fail_on)) else Exit.DONE


def _shown(found: Review, format_: str, root: Path) -> str:
    """Return the report; the module of its format is imported only where it is asked for."""
    match format_:
        case "json":
            from handrail.reports import review_json  # noqa: PLC0415 - `--help` needs none of them

            return review_json.document(found, root)
        case "sarif":
            from handrail.reports import sarif  # noqa: PLC0415 - see above

            return sarif.document(found, root, flow.pages())
        case "html":
            from handrail.reports import review_html  # noqa: PLC0415 - brings Mako

            return review_html.page(found, root)
        case "text":
            from handrail.reports import review_text  # noqa: PLC0415 - see above

            return review_text.report(found, root)
        case _:
            from handrail.reports import review_formats  # noqa: PLC0415 - see above

            return review_formats.FORMATS[format_](found, root)
