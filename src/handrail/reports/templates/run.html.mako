<%def name="badge(verdict)"><span class="badge ${verdict.value}"><span aria-hidden="true">${sign(verdict)}</span> ${verdict.name}</span></%def>
<%def name="time(moment)"><time datetime="${moment.isoformat()}">${text.moment(moment)}</time></%def>
<%def name="bars(bars, height)">
% for bar in bars:
<rect class="${bar.kind}" x="${bar.x}%" width="${bar.width}%" rx="1.5"><title>${bar.says}</title></rect>
% endfor
</%def>
<%def name="judgements(values, caption)">
<table>
<caption>${caption}</caption>
<thead><tr><th scope="col">Verdict</th><th scope="col">Name</th><th scope="col">Reason</th></tr></thead>
<tbody>
% for judgement in values:
<tr><td>${badge(judgement.verdict)}</td><th scope="row">${judgement.name}</th><td>${judgement.reason}
% if judgement.details or judgement.violations:
<ul class="details">
% for detail in judgement.details:
<li>${detail}</li>
% endfor
% for violation in judgement.violations:
<li>${violation.describe()}</li>
% endfor
</ul>
% endif
</td></tr>
% endfor
</tbody>
</table>
</%def>
<%def name="blockers(values)">
% if values:
<ul class="blockers">
% for blocker in values:
<li>${blocker.describe()}</li>
% endfor
</ul>
% endif
</%def>
<%def name="legend()">
<ul class="legend" aria-label="What the bars mean">
% for kind, meaning in (("waiting", "waits, holds nothing"), ("attempt", "attempt"), ("attempt undone", "attempt undone"), ("free", "statement, blocks nobody"), ("writes", "blocks writes"), ("all", "blocks reads and writes"), ("broken", "statement not done"), ("commit", "commit"), ("held", "others may wait")):
<li><svg class="swatch" width="30" height="28" aria-hidden="true"><rect class="${kind}" x="1" width="28" rx="1.5"/></svg> ${meaning}</li>
% endfor
</ul>
</%def>
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${report.verdict.name}: ${report.headline} (${report.run.environment}, run ${report.run.id})</title>
<style>
${css | n}
</style>
</head>
<body>
<svg width="0" height="0" class="patterns" aria-hidden="true"><defs>
<pattern id="dots" width="6" height="6" patternUnits="userSpaceOnUse"><circle cx="2" cy="2" r="1.2"/></pattern>
<pattern id="hatch" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="7" height="7" class="ground"/><rect width="3.5" height="7" class="ink"/></pattern>
<pattern id="cross" width="6" height="6" patternUnits="userSpaceOnUse"><rect width="6" height="6" class="ground"/><path d="M0 0L6 6M6 0L0 6"/></pattern>
</defs></svg>
<main>
<header>
<p class="over">Handrail: ${report.run.command} on <strong>${report.run.environment}</strong>, run <code>${report.run.id}</code></p>
<div class="outcome ${report.verdict.value}">
<h1>${badge(report.verdict)} ${report.headline}</h1>
<p class="standing">${report.standing}.</p>
% if report.later:
<p class="later"><strong>Not the last word:</strong> since then ${text.count(len(report.later), "run")} on ${report.run.environment}, the last one <code>handrail ${report.later[-1].command}</code> (${run_text.ending(report.later[-1])}, ${time(report.later[-1].started_at)}, began at ${text.heads(report.later[-1].start)}): <code>handrail report ${report.later[-1].id}</code></p>
% endif
% if report.failure:
<dl class="failure">
<dt>What</dt><dd>${report.failure.what}</dd>
<dt>Why</dt><dd>${report.failure.why}</dd>
<dt>Fix</dt><dd>${report.failure.fix}</dd>
</dl>
% elif report.run.message:
<dl class="failure"><dt>Why</dt><dd>${report.run.message}</dd></dl>
% endif
<h2 class="next">Type next</h2>
<ul class="next">
% for advice in report.next:
<li><code>${advice.command}</code> <span>${advice.purpose}</span></li>
% endfor
</ul>
</div>
<dl class="figures">
% for number, name in figures:
<div><dt>${name}</dt><dd>${number}</dd></div>
% endfor
</dl>
<dl class="facts">
% if report.plan:
<div><dt>Database</dt><dd>${report.plan.target.database} on ${report.plan.target.host or "this machine"}</dd></div>
<div><dt>Server</dt><dd>${report.plan.target.engine} ${report.plan.target.server}</dd></div>
% endif
<div><dt>From, to</dt><dd>${text.heads(report.run.start)} &rarr; ${text.heads(report.run.goal)}</dd></div>
<div><dt>${"Left at" if known else "Last told"}</dt><dd>${text.heads(report.heads)}</dd></div>
<div><dt>Began</dt><dd>${time(report.began_at)}</dd></div>
<div><dt>Ended</dt><dd>
% if report.run.ended_at:
${time(report.run.ended_at)}
% else:
never told
% endif
</dd></div>
<div><dt>By</dt><dd>${report.run.who}@${report.run.host}, pid ${report.run.pid}</dd></div>
</dl>
% if report.unread:
<p class="note">${text.count(report.unread, "event")} of this run stand in the journal in a form that this version of Handrail does not read.</p>
% endif
<nav aria-label="Sections"><a href="#planning">Planning</a> <a href="#testing">Testing</a> <a href="#execution">Execution</a> <a href="#verification">Verification</a> <a href="#documentation">Documentation</a></nav>
</header>

<section id="planning" aria-labelledby="planning-title">
<h2 id="planning-title">Planning</h2>
% if report.plan is None:
<p class="none">The plan is not in the journal.</p>
% else:
<p>${text.count(len(report.plan.steps), "step")} from ${text.heads(report.plan.start)} to ${text.heads(report.plan.goal)}. Plan <code>${report.plan.digest[:12]}</code> rests on the schema <code>${report.plan.fingerprint[:12]}</code>.</p>
<table>
<caption>Steps and the locks that make others wait</caption>
<thead><tr><th scope="col">Step</th><th scope="col">Locks</th></tr></thead>
<tbody>
% for step in report.plan.steps:
<tr><th scope="row"><span class="direction">${step.direction.value}</span> <code>${step.revision}</code><br><span class="title">${step.title}</span></th><td>
% if step.locks:
<ul class="locks">
% for lock in step.locks:
<li>${text.lock(lock)}</li>
% endfor
</ul>
% else:
none that others wait for
% endif
% if step.reason:
<p class="note">${step.reading.value}: ${step.reason}</p>
% endif
% if step.transactions > 1:
<p class="note">${step.transactions} transactions: can stand half applied</p>
% endif
</td></tr>
% endfor
</tbody>
</table>
% if report.plan.findings:
<h3>Findings</h3>
<ul class="findings">
% for finding in report.plan.findings:
<li><strong>${finding.severity.value} ${finding.rule}</strong>
% if finding.place:
<code>${finding.place.file}:${finding.place.line}</code>
% endif
<br>${finding.what}<br><span class="muted">why:</span> ${finding.why}<br><span class="muted">fix:</span> ${finding.fix}</li>
% endfor
</ul>
% else:
<p class="none">The rules found nothing.</p>
% endif
% endif
% if report.gates:
${judgements(report.gates, "Gates")}
% else:
<p class="none">No gate was asked.</p>
% endif
</section>

<section id="testing" aria-labelledby="testing-title">
<h2 id="testing-title">Testing</h2>
% if report.backup:
<h3>Backup</h3>
<p>${badge(report.backup.proof.verdict) if report.backup.proof else badge(unproved)} <code>${report.backup.id}</code> ${report.backup.proof.reason if report.backup.proof else "not proved: the run did not come to it"}</p>
<dl class="facts">
% if report.backup.bytes:
<div><dt>Archive</dt><dd>${amount(report.backup.bytes)}, written in ${text.duration(report.backup.seconds)}</dd></div>
% endif
% if report.backup.proof and report.backup.proof.server:
<div><dt>Restored</dt><dd>on ${report.backup.proof.server} and compared in ${text.duration(report.backup.proof.seconds)}</dd></div>
% endif
<div><dt>In all</dt><dd>${text.duration(report.backup.span.seconds)}</dd></div>
</dl>
% if report.backup.proof and report.backup.proof.details:
<ul class="details">
% for detail in report.backup.proof.details:
<li>${detail}</li>
% endfor
</ul>
% endif
% else:
<p class="none">This run made no backup.</p>
% endif
% if report.before:
${judgements(report.before, "Checks before the run, " + text.duration(report.checked[0].seconds))}
% else:
<p class="none">No check was asked before the run; <code>--verify</code> asks them.</p>
% endif
% if told:
<table>
<caption>What the revisions say of tests and of the way back</caption>
<thead><tr><th scope="col">Revision</th><th scope="col">Field</th><th scope="col">Says</th></tr></thead>
<tbody>
% for revision, name, said in told:
<tr><th scope="row"><code>${revision}</code></th><td class="brief">${name}</td><td>${said}</td></tr>
% endfor
</tbody>
</table>
% endif
</section>

<section id="execution" aria-labelledby="execution-title">
<h2 id="execution-title">Execution</h2>
% if timeline is None:
<p class="none">${"No step was begun." if known else "The journal tells of no step."}</p>
% else:
<figure>
<figcaption>Timeline: ${text.duration(timeline.span.seconds)}, one lane for each step</figcaption>
<svg class="scale" width="100%" height="20" aria-hidden="true">
% for tick in timeline.ticks:
<text x="${tick.x}%" y="14" text-anchor="${'start' if tick.x < 4 else 'end' if tick.x > 96 else 'middle'}">${tick.label}</text>
% endfor
</svg>
% for lane in timeline.lanes:
<div class="lane">
% if lane.step:
<p><span class="direction">${lane.step.direction.value}</span> <code>${lane.step.revision}</code> ${lane.step.title} <span class="muted">${run_text.step_ending(lane.step)}</span></p>
% else:
<p>lease</p>
% endif
<svg class="bars" width="100%" height="34" role="img" aria-label="${'; '.join(bar.says for bar in lane.bars)}">
% for tick in timeline.ticks:
<line x1="${tick.x}%" x2="${tick.x}%" y1="0" y2="34"/>
% endfor
${bars(lane.bars, 34)}
</svg>
</div>
% endfor
${legend()}
</figure>
% endif
% for step in report.steps:
<article class="step">
<h3>
% if step_verdict(step):
${badge(step_verdict(step))}
% endif
<span class="direction">${step.direction.value}</span> <code>${step.revision}</code> ${step.title}</h3>
<p class="muted">${run_text.step_ending(step)}\
% if step.held_s:
, others may have waited ${text.duration(step.held_s)} for it\
% endif
% if step.waited_s:
, it waited ${text.duration(step.waited_s)} for others\
% endif
.</p>
% if len(step.course) > 1:
<ol class="course">
% for moment in step.course:
<li><span class="at">+${text.duration(moment.span.start_s - timeline.span.start_s)}</span> ${run_text.moment(moment)}
${blockers(moment.blockers)}
</li>
% endfor
</ol>
% endif
% for attempt in last(step):
<table class="statements">
<caption>Attempt ${attempt.number}: ${attempt.ending.value} after ${text.duration(attempt.span.seconds)}
% if attempt.why:
<span>${attempt.why}</span>
% endif
</caption>
% if attempt.statements:
<thead><tr><th scope="col">Statement</th><th scope="col" class="number">Took</th></tr></thead>
<tbody>
% for statement, bar in zip(attempt.statements, within(attempt)):
<tr><td><pre><code>${statement.sql}</code></pre>
% if statement.locks:
<p class="locks">${"; ".join(text.lock(lock) for lock in statement.locks)}</p>
% endif
% if bar:
<svg class="bars thin" width="100%" height="8" role="img" aria-label="${bar.says}">${bars((bar,), 8)}</svg>
% endif
</td><td class="number">
% if statement.span is None:
by an earlier run
% elif statement.done:
${text.duration(statement.span.seconds)}
% else:
${text.duration(statement.span.seconds)}<br><span class="broken">not done</span>
% endif
</td></tr>
% endfor
% if attempt.left_out:
<tr><td colspan="2">${text.count(attempt.left_out, "statement")} before the last one not kept</td></tr>
% endif
</tbody>
% else:
<tbody><tr><td>no statement was sent</td></tr></tbody>
% endif
</table>
% if len(step.course) == 1:
${blockers(attempt.blockers)}
% endif
% endfor
</article>
% endfor
</section>

<section id="verification" aria-labelledby="verification-title">
<h2 id="verification-title">Verification</h2>
% if report.after:
${judgements(report.after, "Checks after the run, " + text.duration(report.checked[-1].seconds))}
% else:
<p class="none">No check was asked after the run (<code>--verify-after</code>). Now: <code>handrail verify -e ${report.run.environment}</code></p>
% endif
</section>

<section id="documentation" aria-labelledby="documentation-title">
<h2 id="documentation-title">Documentation</h2>
<% logged = [step for step in report.steps if step.log_hash] %>
% if logged:
<table>
<caption>Entries in the log of the database; each follows the one before by its hash</caption>
<thead><tr><th scope="col">Revision</th><th scope="col">Entry</th></tr></thead>
<tbody>
% for step in logged:
<tr><th scope="row"><span class="direction">${step.direction.value}</span> <code>${step.revision}</code></th><td><code class="hash">${step.log_hash}</code><br><span class="muted">follows</span> <code class="hash">${step.log_follows}</code>
% if step.planned:
<br><span class="muted">file</span> ${step.planned.file}, sha256 <code class="hash">${step.planned.file_digest}</code>
% endif
</td></tr>
% endfor
</tbody>
</table>
% else:
<p class="none">${"This run wrote nothing into the log of the database." if known else "The journal tells of no entry in the log of the database."}</p>
% endif
<p class="muted">Times are UTC. Of statements the literals are left out. Told by the journal; where it and the database disagree, the database is right: <code>handrail status -e ${report.run.environment}</code></p>
</section>
</main>
</body>
</html>
