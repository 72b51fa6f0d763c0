<%def name="badge(verdict)"><span class="badge ${verdict.value}"><span aria-hidden="true">${sign(verdict)}</span> ${verdict.name}</span></%def>
<%def name="reasons(shown)">
<ul>
% for trouble in shown.reasons:
<li><strong>${trouble.trial.result.value}</strong> on <code>${where(trouble.trial.table, trouble.trial.column)}</code>, since <code>${trouble.since}</code>\
% if trouble.operation:
 (${trouble.operation})\
% endif
${" until " if trouble.healed_by else ", and no revision heals it"}<code>${trouble.healed_by}</code>
% if trouble.trial.message:
<br><span class="message">${trouble.trial.message}</span>
% endif
</li>
% endfor
% if shown.more:
<li>and ${shown.more} more, in the list of breaks</li>
% endif
</ul>
</%def>
<%def name="queries(failing, caption)">
% if failing:
<table class="breaks">
<caption>${caption}</caption>
<thead><tr><th scope="col">Statement</th><th scope="col">Since</th><th scope="col">Until</th><th scope="col">What the server says</th></tr></thead>
<tbody>
% for each in failing:
<tr><th scope="row"><pre><code>${each.text}</code></pre><span class="title muted">${each.place}</span></th><td><code>${each.since}</code>
% if each.operation:
<br><span class="muted">${each.operation}</span>
% endif
</td><td>
% if each.healed_by:
<code>${each.healed_by}</code>
% else:
still
% endif
</td><td>${each.message}</td></tr>
% endfor
</tbody>
</table>
% endif
</%def>
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${script_digest}'">
<title>${value.verdict.name}: ${headline}</title>
<style>
${css | n}
</style>
</head>
<body>
<main>
<header>
<p class="over">Handrail: every version of the application at every revision of its database</p>
<div class="outcome ${value.verdict.value}">
<h1>${badge(value.verdict)} ${headline}</h1>
% for line in how:
<p class="muted">${line}.</p>
% endfor
% for names in matrix.alike:
<p>${" and ".join(names)} need the same: their contracts are equal.</p>
% endfor
% if failing:
<h2 class="next">What would not break</h2>
<ul class="next">
<li>Expand first: add what is new, in a way that the old version does not notice.</li>
<li>Deploy, until no process of the old version runs: <code>handrail versions observed</code></li>
<li><code>handrail versions retire NAME</code></li>
<li>Only then contract: drop, rename, tighten.</li>
</ul>
% endif
</div>
<dl class="figures">
% for number, name in figures:
<div><dt>${name}</dt><dd>${number}</dd></div>
% endfor
</dl>
</header>

% if value.matrix:
<section aria-labelledby="matrix-title">
<h2 id="matrix-title">Matrix</h2>
<ul class="keys" aria-label="What the marks mean">
% for mark, style, said in faces:
<li><span class="swatch ${style}" aria-hidden="true"><span class="mark">${mark}</span></span> ${said}</li>
% endfor
<li><span class="swatch never" aria-hidden="true"></span> never meet</li>
<li><span class="swatch opens" aria-hidden="true"></span> a break begins</li>
<li><span class="swatch closes" aria-hidden="true"></span> a break ends</li>
</ul>
% if rows:
<p class="muted hint">The reason shows where the pointer or the focus is: Tab enters the table, the arrow keys move in it, Escape puts the reason away.</p>
<div class="scroll" role="region" aria-labelledby="matrix-title" tabindex="0">
<table class="matrix${' narrow' if narrow else ''}">
<caption>Rows are revisions, oldest first; columns are versions</caption>
<thead><tr><td>Revision</td>
% for version in matrix.versions:
<th scope="col"><span>${version}</span></th>
% endfor
</tr></thead>
<tbody>
% for y, (revision, title, cells) in enumerate(rows):
<tr><th scope="row"><code>${revision}</code> <span class="title">${title}</span></th>
% for x, (version, shown) in enumerate(zip(matrix.versions, cells)):
% if shown.reasons:
<td class="${shown.classes}" tabindex="0" aria-describedby="why-${y}-${x}"><span class="mark" aria-hidden="true">${shown.mark}</span><span class="hidden">${shown.says}</span>
<div class="why" role="tooltip" id="why-${y}-${x}"><p><strong>${version}</strong> at <code>${revision}</code>: ${"; ".join(filter(None, (shown.says, shown.predicted)))}</p>${reasons(shown)}</div></td>
% else:
<td class="${shown.classes}"><span class="mark" aria-hidden="true">${shown.mark}</span><span class="hidden">${shown.says}</span></td>
% endif
% endfor
</tr>
% endfor
</tbody>
</table>
</div>
% else:
<p class="none">There is no revision that a version could meet.</p>
% endif
</section>

<section aria-labelledby="breaks-title">
<h2 id="breaks-title">Breaks</h2>
% if breaks:
<table class="breaks">
<caption>From the revision that begins it to the one that heals it</caption>
<thead><tr><th scope="col">Version</th><th scope="col">Since</th><th scope="col">Until</th><th scope="col">What, and what the server says</th></tr></thead>
<tbody>
% for each in breaks:
<tr><th scope="row">${each.version}</th><td><code>${each.since}</code>
% if each.operation:
<br><span class="muted">${each.operation}</span>
% endif
</td><td>
% if each.until:
<code>${each.until}</code>
% else:
still open
% endif
</td><td><ul>
% for trial in each.trials:
<li><strong>${trial.result.value}</strong> on <code>${where(trial.table, trial.column)}</code>\
% if trial.message:
: ${trial.message}\
% endif
</li>
% endfor
</ul></td></tr>
% endfor
</tbody>
</table>
% else:
<p class="none">Nothing breaks, and everything could be exercised.</p>
% endif
</section>
% endif
% if value.queries:

<section aria-labelledby="queries-title">
<h2 id="queries-title">Statements of ${value.queries.source}</h2>
<p>${text.count(value.queries.asked, "statement")} from <code>${value.queries.first}</code> to <code>${value.queries.last}</code>, planned and not executed; their literals are left out.</p>
${queries(value.queries.newly, "They worked, and fail")}
${queries(value.queries.from_start, "They fail already at the first revision: nothing is known of them")}
% if not value.queries.newly:
<p class="none">No statement fails that worked before.</p>
% endif
% if value.queries.left_out:
<p class="muted">Left out, for it reads or writes no rows, or cannot be read: ${", ".join(value.queries.left_out)}</p>
% endif
</section>
% endif
% if value.suites:

<section aria-labelledby="tests-title">
<h2 id="tests-title">Tests</h2>
<table class="breaks">
<caption>Each version's own tests, on a migrated database</caption>
<thead><tr><th scope="col">Version</th><th scope="col">Verdict</th><th scope="col">What became of them</th></tr></thead>
<tbody>
% for suite in value.suites:
<tr><th scope="row">${suite.version}</th><td>${badge(suite.verdict)}</td><td>${suite.reason} (${text.duration(suite.seconds)})
% if suite.output and suite.verdict is not passed:
<pre><code>${suite.output}</code></pre>
% endif
</td></tr>
% endfor
</tbody>
</table>
</section>
% endif
</main>
<script>${script | n}</script>
</body>
</html>
