"""`openeo-jobs audit`, and the same in Python."""

from __future__ import annotations

from openeo_jobs import audit


def test_an_audit_in_python_prints_as_the_command_does(campaign, type_in, capsys) -> None:
    code, out, _ = type_in("audit", "--offline", "jobs.sqlite")
    assert code == 1
    assert "that wait for a person                             1   WRONG" in out
    found = audit("jobs.sqlite")
    print(found)
    screen, _, who_acts = out.partition("\nrun by ")
    assert capsys.readouterr().out == screen + "\n"
    assert "pid" in who_acts
    assert repr(found) == str(found)
