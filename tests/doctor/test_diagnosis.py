"""Which of several findings is read first."""

from __future__ import annotations

from collections.abc import Iterator

from chymist.doctor.chart import Chart
from chymist.doctor.diagnosis import diagnose
from chymist.doctor.finding import Finding, Severity
from chymist.doctor.rule import Rule


def rule(name: str, severity: Severity, *explains: str, symptom: bool = False) -> Rule:
    def judge(chart: Chart) -> Iterator[Finding]:
        yield Finding(name, severity, "", 1, 1, "", "", "", "edge-of-stability")

    return Rule(name, "edge-of-stability", "", (), judge, explains, symptom)


def told(*rules: Rule) -> list[tuple[str, str, str]]:
    return [(f.rule, f.severity, f.because) for f in diagnose(Chart(), rules)]


def test_a_symptom_is_a_note_beside_any_cause() -> None:
    symptom = rule("symptom", "critical", symptom=True)
    assert told(symptom, rule("cause", "warning")) == [
        ("cause", "warning", ""), ("symptom", "note", "cause"),
    ]  # fmt: skip
    assert told(symptom, rule("other", "note"))[0] == ("symptom", "critical", "")


def test_a_symptom_that_explains_a_cause_is_read_first() -> None:
    cause, symptom = rule("cause", "critical"), rule("symptom", "warning", "cause", symptom=True)
    assert told(cause, symptom) == [("symptom", "warning", ""), ("cause", "note", "symptom")]


def test_two_that_explain_each_other_are_not_both_lowered() -> None:
    one, other = rule("one", "warning", "other"), rule("other", "warning", "one")
    assert told(one, other) == [("one", "warning", ""), ("other", "note", "one")]


def test_a_rule_that_raises_is_noted_and_the_others_judge() -> None:
    def judge(chart: Chart) -> Iterator[Finding]:
        yield from ()
        raise ZeroDivisionError("float\ndivision")

    bad = Rule("bad", "edge-of-stability", "", (), judge)
    chart = Chart()
    assert [f.rule for f in diagnose(chart, (bad, rule("good", "note")))] == ["good"]
    assert chart.off == {"bad": "ZeroDivisionError: float division"}
