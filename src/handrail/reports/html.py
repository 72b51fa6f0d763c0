"""The report of a run as one HTML file that needs nothing else: no script, no font, no picture from anywhere."""

from __future__ import annotations

from pathlib import Path

from mako.template import Template

from handrail.model.report import Attempt, Ending, Report, StepStory
from handrail.model.verdict import Verdict
from handrail.reports import backup_text, run_text, text, timeline

_TEMPLATES = Path(__file__).parent / "templates"
#: Read without colour: each verdict has a sign and its name.
SIGNS = {Verdict.PASS: "\N{CHECK MARK}", Verdict.WARN: "!", Verdict.UNKNOWN: "?", Verdict.FAIL: "\N{MULTIPLICATION X}"}
_STEP_VERDICTS = {
    Ending.COMMITTED: Verdict.PASS,
    Ending.ROLLED_BACK: Verdict.FAIL,
    Ending.HALFWAY: Verdict.FAIL,
    Ending.UNKNOWN: Verdict.UNKNOWN,
}


def report(value: Report) -> str:
    """Return the whole page; everything that is put into it is escaped."""
    template = Template(  # noqa: S702 - `h` escapes every expression
        filename=str(_TEMPLATES / "run.html.mako"), default_filters=["h"], strict_undefined=True, input_encoding="utf-8"
    )
    page: str = template.render_unicode(
        report=value,
        css=(_TEMPLATES / "run.css").read_text(encoding="utf-8"),
        text=text,
        run_text=run_text,
        timeline=timeline.timeline(value),
        within=timeline.within,
        sign=SIGNS.__getitem__,
        step_verdict=step_verdict,
        last=last_attempts,
        figures=figures(value),
        known=run_text.known(value),
        told=told(value),
        amount=backup_text.amount,
        unproved=Verdict.UNKNOWN,
    )
    return page.strip()


def step_verdict(step: StepStory) -> Verdict | None:
    """Return the verdict on a step, None for one that was not begun."""
    return _STEP_VERDICTS.get(step.ending)


def last_attempts(step: StepStory) -> tuple[Attempt, ...]:
    """Return the attempt that decided, () where there was none."""
    return step.attempts[-1:]


def told(value: Report) -> list[tuple[str, str, str]]:
    """Return what the headers of the revisions tell of tests and of the way back: revision, field, text."""
    steps = value.plan.steps if value.plan else ()
    return [(step.revision, name, said) for step in steps for name, said in run_text.testing_notes(step.notes)]


def figures(value: Report) -> list[tuple[str, str]]:
    """Return the numbers a person asks for first, with their names."""
    done = sum(step.ending is Ending.COMMITTED for step in value.steps)
    again = sum(max(0, len(step.attempts) - 1) for step in value.steps)
    return [
        (
            f"{done} of {len(value.steps)}",
            "steps committed" if run_text.known(value) else "steps known to be committed",
        ),
        (text.duration(value.length_s), "from beginning to end"),
        (text.duration(max((s.held_s for s in value.steps), default=0.0)), "longest lock that others wait for"),
        (text.duration(sum(s.waited_s for s in value.steps)), "waited, holding nothing"),
        (str(again), "attempts rolled back and repeated"),
    ]
