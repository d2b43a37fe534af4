"""The timeline of a run as one HTML page: no scripts, nothing from elsewhere, light and dark, wide and narrow."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import suppress
from html import escape
from pathlib import Path

from sealer.cli.timelines import WORDS, path_rows, when
from sealer.cli.views.words import duration, one_line
from sealer.cluster.timeline import Span, StepSpan, Timeline
from sealer.errors import InputError

_STYLE = """
:root { color-scheme: light dark; --page: #fff; --text: #1b1f24; --quiet: #57606a; --line: #d5dae0; --track: #f0f2f5;
  --bar: #9aa5b1; --critical: #0b62c4; --failed: #c4271b; }
@media (prefers-color-scheme: dark) { :root { --page: #14171b; --text: #e6e9ed; --quiet: #9aa4af; --line: #343b44;
  --track: #20252b; --bar: #66717d; --critical: #5aa9ff; --failed: #ff7b6e; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem 1rem 3rem; background: var(--page); color: var(--text);
  font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.35rem; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; border-bottom: 1px solid var(--line); padding-bottom: .25rem; }
h2 span, .quiet { color: var(--quiet); font-weight: normal; font-size: .9rem; }
p { margin: .25rem 0; overflow-wrap: anywhere; }
.row { display: grid; grid-template-columns: minmax(0, 24rem) 5.5rem minmax(0, 1fr); gap: 0 .75rem; padding: .2rem 0;
  align-items: center; }
.row > :first-child { overflow-wrap: anywhere; }
.took { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.track { background: var(--track); border-radius: 3px; height: 1rem; position: relative; overflow: hidden; }
.bar { position: absolute; top: 0; bottom: 0; min-width: 2px; border-radius: 3px; background: var(--bar); }
.critical .bar, .key.critical { background: var(--critical); }
.failed .bar, .key.failed { background: var(--failed); }
.key { display: inline-block; width: .8rem; height: .8rem; border-radius: 3px; background: var(--bar);
  margin: 0 .35rem 0 .9rem; vertical-align: -1px; }
.key:first-child { margin-left: 0; }
summary { cursor: pointer; color: var(--quiet); font-size: .9rem; }
details .row { font-size: .9rem; }
details .row > :first-child { padding-left: 1rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top;
  overflow-wrap: anywhere; }
th { color: var(--quiet); font-weight: normal; white-space: nowrap; }
td:nth-child(-n+2) { white-space: nowrap; font-variant-numeric: tabular-nums; }
@media (max-width: 40rem) {
  .row { grid-template-columns: minmax(0, 1fr) auto; padding: .35rem 0; }
  .track { grid-column: 1 / -1; }
  td:last-child, th:last-child { display: none; }
}
"""


def write(name: str, cluster: str, found: Timeline) -> None:
    """Write the page to a file, whole or not at all.

    :raises InputError: it cannot be written.
    """
    target = Path(name)
    made = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        if target.exists() and not target.is_file():  # a device or a pipe
            target.write_text(page(cluster, found), encoding="utf-8")
            return
        made.write_text(page(cluster, found), encoding="utf-8")
        made.replace(target)
    except OSError as error:
        with suppress(OSError):
            made.unlink(missing_ok=True)
        raise InputError(
            "The page cannot be written", where=name, why=error.strerror or str(error), remedy="Check --html."
        ) from None


def page(cluster: str, found: Timeline) -> str:
    """The whole page."""
    run = found.run
    title = escape(one_line(run.summary) or f"run on {cluster}")
    state = escape(f"{WORDS.get(run.state, run.state)}, {duration(run.seconds)}")
    about = escape(f"cluster {cluster}, run {run.id}, {when(run.started)}")
    skipped = f"<p class=quiet>{found.skipped} steps were completed by an earlier run</p>" if found.skipped else ""
    body = "\n".join([*_phases(found), _path(found)]) if found.steps else "<p>No step ran.</p>"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{title}</h1>
<p>{state}</p>
<p class=quiet>{about}</p>
{skipped}
<p class=quiet><span class="key critical"></span>critical path<span class=key></span>other steps<span \
class="key failed"></span>failed</p>
{body}
</body>
</html>
"""


def _phases(found: Timeline) -> Iterator[str]:
    """A section for each phase, a row for each step, and below it one for each host where there are several."""
    critical = {id(link.step) for link in found.critical}
    for phase, steps in itertools.groupby(found.steps, key=lambda step: step.phase):
        group = list(steps)
        took = max(step.end or step.start for step in group) - min(step.start for step in group)
        yield f"<section><h2>{escape(phase)} <span>{duration(took)}</span></h2>"
        for step in group:
            yield _row(one_line(step.title or step.id), step, found, id(step) in critical, _where(step))
            if len(step.hosts) > 1:
                yield f"<details><summary>{len(step.hosts)} hosts</summary>"
                yield from (_row(host, span, found, id(step) in critical) for host, span in step.hosts.items())
                yield "</details>"
        yield "</section>"


def _where(step: StepSpan) -> str:
    return next(iter(step.hosts)) if len(step.hosts) == 1 else ""


def _row(label: str, span: Span, found: Timeline, critical: bool, where: str = "") -> str:
    whole = max(found.run.seconds, 0.001)
    left = min(max((span.start - found.run.started) / whole, 0.0), 1.0) * 100
    width = min(span.seconds / whole * 100, 100 - left)
    kind = " failed" if span.state not in ("done", "skipped") else " critical" if critical else ""
    took = duration(span.seconds) if span.state == "done" else f"{duration(span.seconds)} {span.state}"
    host = f" <span class=quiet>{escape(where)}</span>" if where else ""
    return (
        f'<div class="row{kind}"><div>{escape(one_line(label))}{host}</div><div class=took>{escape(took)}</div>'
        f'<div class=track><div class=bar style="left:{left:.3f}%;width:{width:.3f}%"></div></div></div>'
    )


def _path(found: Timeline) -> str:
    head = "".join(f"<th>{name}</th>" for name in ("share", "took", "host", "step", "id"))
    rows = "\n".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in path_rows(found))
    return (
        "<section><h2>Critical path <span>the chain of steps that the run waited for</span></h2>"
        f"<div class=scroll><table><thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table></div></section>"
    )
