"""Findings of the doctor: problems, warnings and notes, each with one line on how to fix it."""

from collections.abc import Iterable
from dataclasses import dataclass

LEVELS = ("problem", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """One finding.

    Attributes:
        level: "problem" (results will be wrong), "warning" (probably, or for a part) or "note".
        subject: what it is about: the name of a camera, "points", "intensity", "labels" ...
        text: what was found, with its numbers.
        fix: what to do about it.
    """

    level: str
    subject: str
    text: str
    fix: str = ""


def sorted_findings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Sort findings, the worst first; equal ones are kept once."""
    unique = dict.fromkeys(findings)
    return tuple(sorted(unique, key=lambda finding: LEVELS.index(finding.level)))
