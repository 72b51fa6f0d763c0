<%def name="badge(severity)"><span class="badge ${kind(severity)}"><span aria-hidden="true">${sign(severity)}</span> ${severity.name}</span></%def>
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Review: ${headline}</title>
<style>
${css | n}
</style>
</head>
<body>
<main>
<header>
<p class="over">Handrail: review of <strong>${count(len(review.revisions), "revision")}</strong> (${review.scope.value})</p>
<div class="outcome ${worst}">
<h1>${headline}</h1>
<p class="standing">${summary}</p>
<p>${coverage}</p>
% for note in review.notes:
<p class="note">${note}</p>
% endfor
</div>
<dl class="figures">
% for severity, number in by.items():
<div><dt>${severity.value}s</dt><dd>${number}</dd></div>
% endfor
<div><dt>of ${count(len(review.coverage), "function")} read exactly</dt><dd>${exact}</dd></div>
<div><dt>suppressed</dt><dd>${len(review.suppressed)}</dd></div>
</dl>
% if len(parts) > 1:
<nav aria-label="Revisions">
% for part in parts:
<a href="#r-${part.revision}">${part.revision or "history"} (${len(part.findings)})</a>
% endfor
</nav>
% endif
</header>
% for part in parts:
<section id="r-${part.revision}">
<h2>${part.title}</h2>
% for line in part.unread:
<p class="note">Not read exactly: ${line}</p>
% endfor
% for finding in part.findings:
<article class="finding">
<h3>${badge(finding.severity)} <code>${finding.rule}</code>: ${finding.what}</h3>
% if where(finding):
<p class="muted"><code>${where(finding)}</code>${f" in {finding.direction.value}()" if finding.direction else ""}, confidence ${finding.confidence.value}</p>
% endif
% if source(finding).strip():
<pre class="source">${source(finding).strip()}</pre>
% endif
<dl class="failure">
<dt>Why</dt><dd>${finding.why}</dd>
<dt>Fix</dt><dd><pre>${finding.fix}</pre></dd>
</dl>
</article>
% endfor
</section>
% endfor
% if review.suppressed:
<section>
<h2>Suppressed</h2>
<ul>
% for finding in review.suppressed:
<li><code>${finding.rule}</code> ${where(finding)}: ${finding.what}</li>
% endfor
</ul>
</section>
% endif
</main>
</body>
</html>
