"""From a chart to findings, the root cause first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from chymist.doctor.chart import Chart
from chymist.doctor.finding import SEVERITIES, Finding
from chymist.doctor.rule import Rule
from chymist.doctor.rules import RULES


def diagnose(chart: Chart, rules: Sequence[Rule] = RULES) -> tuple[Finding, ...]:
    """Return the findings of all rules, worst first; what another finding accounts for is a note.

    A rule judges by itself. Of a rule that found something above a note, the rules that it
    `explains` are lowered to notes which say so, and symptoms. One that raises is noted in the
    chart's `off`, and finds nothing.
    """
    made = [(rule, finding) for rule in rules for finding in _judged(rule, chart)]
    found = list({rule.name: rule for rule, f in made if f.severity != "note"}.values())
    causes: dict[str, str] = {}
    for place, rule in enumerate(found):
        for other in rule.explains:
            # Of two that explain each other the first stands: both would be notes otherwise.
            mutual = any(r.name == other and rule.name in r.explains for r in found[:place])
            if other != rule.name and not mutual:
                causes.setdefault(other, rule.name)
    standing = [r.name for r in found if not r.symptom and r.name not in causes]
    if standing:
        causes = {r.name: standing[0] for r in rules if r.symptom} | causes
    told = [_lowered(f, causes.get(rule.name, "")) for rule, f in made]
    return tuple(sorted(told, key=lambda f: -SEVERITIES.index(f.severity)))


def _judged(rule: Rule, chart: Chart) -> list[Finding]:
    try:
        return list(rule.judge(chart))
    except Exception as error:  # Whatever a chart holds, the training that asks goes on.
        chart.off[rule.name] = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        return []


def _lowered(finding: Finding, cause: str) -> Finding:
    if not cause or cause == finding.rule:
        return finding
    return replace(finding, severity="note", because=cause)
