"""The errors that .ci/planted.py plants are in step with docs/promises.md and with the code."""

import importlib
from dataclasses import replace
from pathlib import Path

import pytest


@pytest.fixture
def planted(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / ".ci")
    return importlib.import_module("planted")


@pytest.fixture
def page(planted):
    return planted.promises(planted.PAGE.read_text())


def test_every_promise_has_an_error_whose_text_is_there_once(planted, page):
    assert list(planted.faults(planted.entries(), page)) == []


def test_what_is_out_of_step_is_named(planted, page):
    first = planted.entries()[0]
    own = {planted.promise_of(first, page): list(first.tests)}
    for change, words in (
        ({"there": "no such text"}, "expected its text once in"),
        ({"there": "import "}, "expected its text once in"),
        ({"instead": first.there}, "and another instead"),
        ({"instead": "("}, "is no Python then"),
        ({"tests": ("student/test_cells.py::test_nothing",)}, "not those of one promise"),
    ):
        found = list(planted.faults([replace(first, **change)], own))
        assert words in found[-1] and first.error in found[-1]
    rain = {"It never rains.": ["a.py::test_rain"]}
    assert list(planted.faults([first], own | rain)) == ["no error is planted for: It never rains."]


def test_only_a_failed_test_has_found_an_error(planted):
    entry = planted.entries()[0]
    for status, reason, found in (
        ("failed", "assert 1 == 2", "found"),
        ("failed", "NameError: name 'x' is not defined", "NOT FOUND"),
        ("passed", "", "NOT FOUND"),
        ("error", "fixture 'x' not found", "NOT FOUND"),
        ("no end", "not after 90 s", "NOT FOUND"),
    ):
        assert planted.verdict(entry, planted.Outcome(status, reason)) == found
    waits = replace(entry, waits=True)
    assert planted.verdict(waits, planted.Outcome("no end")) == "found"


def test_outcomes_are_read_from_the_report_of_pytest(planted, tmp_path):
    (tmp_path / "report.xml").write_text(
        '<testsuite><testcase classname="tests.a.test_b" name="test_c[1]"/>'
        '<testcase classname="tests.a.test_b" name="test_c[2]"><failure message="why&#10;x"/>'
        '</testcase><testcase classname="tests.a.test_b" name="test_d[1]"><skipped message="no"/>'
        '</testcase><testcase classname="tests.a.test_b" name="test_d[2]"/></testsuite>'
    )
    names = [f"a/test_b.py::test_{letter}" for letter in "cde"]
    found = planted.read_outcomes(tmp_path / "report.xml", names)
    assert [found[name].status for name in names] == ["failed", "passed", "error"]
    assert found[names[0]].reason == "why"
