"""The conformance suite itself: a server without faults passes, each planted fault is found by the cases that name it, and the
command says so by its exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.tiny_tus import tiny_tus
from tus_conformance import CASES, Outcome, Severity, Target, run_cases
from tus_conformance.__main__ import main
from tus_conformance.run import chosen

PATIENCE_S = 5.0

# fault of tests.tiny_tus -> cases that must find it
FAULTS = {
    "no-store": ("core.head-not-cached", "core.head-complete-not-cached"),
    "version": ("core.patch-version.older", "core.post-version.missing", "core.head-version.newer"),
    "offset": ("patch.ahead", "patch.repeated", "patch.offset-of-another-upload"),
    "race": ("races.patches-at-one-offset.8", "races.one-patch-wins.32"),
    "too-long": ("patch.too-long", "with-upload.over-the-length", "patch.chunked-too-long"),
    "checksum": ("checksum.wrong.sha1", "checksum.mismatch-later", "checksum.malformed.hex", "with-upload.wrong-checksum"),
    "checksum-keeps": ("checksum.wrong.sha256", "checksum.mismatch-of-the-last"),
    "trailer": ("trailer.wrong",),
    "type": ("patch.wrong-type.text", "patch.missing-type"),
    "delete": ("termination.head-afterwards", "termination.patch-afterwards-stores-nothing", "races.delete-during-a-patch"),
    "length": ("defer.length-once", "patch.upload-length-is-not-changed"),
    "metadata": ("metadata.one-pair", "metadata.same-after-bytes"),
    "expires": ("expiration.form",),
    "limit": ("creation.over-the-limit",),
    "half-is-whole": ("broken.never-ahead.half-closed", "broken.last-byte-missing"),
    "final": ("concatenation.patch-of-final",),
    "override": ("core.override-patch", "core.override-delete"),
    "numbers": ("patch.bad-offset.word", "patch.bad-offset.arabic-digit"),
    "guessable": ("creation.location-is-unguessable",),
    "silent-refusals": ("core.version-of-refusals",),
}


def outcomes(url: str, only: tuple[str, ...]) -> dict[str, Outcome]:
    with Target(url, patience_s=PATIENCE_S) as target:
        target.discover()
        return {result.case.id: result.outcome for result in run_cases(target, chosen(CASES, only))}


def test_the_suite_is_as_large_as_it_says_and_every_case_is_named_once() -> None:
    assert len(CASES) >= 150
    assert len({case.id for case in CASES}) == len(CASES)
    assert all(case.says and case.clause for case in CASES)


def test_a_server_without_faults_passes_the_chapters_that_ours_leaves_out_and_all_cases_named_here() -> None:
    named = tuple(name for names in FAULTS.values() for name in names)
    with tiny_tus() as server:
        found = outcomes(server.url, ("concatenation", "trailer", *named))
    assert set(found) >= set(named)
    assert {name for name, outcome in found.items() if outcome is not Outcome.PASSED} == set()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault: str) -> None:
    with tiny_tus(fault) as server:
        found = outcomes(server.url, FAULTS[fault])
    assert found == dict.fromkeys(FAULTS[fault], Outcome.FAILED)


def test_the_command_reports_as_a_table_as_json_and_by_its_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "report.json"
    with tiny_tus("no-store", "type") as server:
        only = ["--only", "core.head-not-cached", "--only", "core.head-length"]
        assert main([server.url, "--json", str(report), *only]) == 1
        table = capsys.readouterr().out
        assert main([server.url, "--only", "core.head-length"]) == 0
        assert main([server.url, "--only", "patch.wrong-type.text"]) == 0
        assert main([server.url, "--only", "patch.wrong-type.text", "--strict"]) == 1
        assert main([server.url, "--only", "no-such-case"]) == 2
    assert "FAIL  MUST    core.head-not-cached" in table
    assert "2 cases: 1 passed, 1 MUST and 0 SHOULD failed, 0 skipped" in table
    told = json.loads(report.read_text())
    assert told["counts"] == {"cases": 2, "passed": 1, "failed_must": 1, "failed_should": 0, "skipped": 0}
    failed = next(case for case in told["cases"] if case["outcome"] == "failed")
    assert (failed["id"], failed["severity"]) == ("core.head-not-cached", Severity.MUST)
    assert failed["detail"]
    assert "checksum" in told["server"]["extensions"]


def test_a_server_that_is_not_there_is_said_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with tiny_tus() as server:
        url = server.url
    assert main([url]) == 2
    assert "does not answer" in capsys.readouterr().err


def test_headers_go_with_every_request_and_must_be_headers(capsys: pytest.CaptureFixture[str]) -> None:
    with tiny_tus() as server:
        assert main([server.url, "--header", "X-Key: a:b", "--only", "core.head-length"]) == 0
    with pytest.raises(SystemExit):
        main(["http://127.0.0.1/", "--header", "no colon"])
    assert "Name: value" in capsys.readouterr().err


def test_what_is_not_announced_is_skipped_with_a_reason() -> None:
    with tiny_tus() as server, Target(server.url, patience_s=PATIENCE_S) as target:
        results = list(run_cases(target, chosen(CASES, ("concatenation.partial",))))  # nothing was discovered
    assert [(result.outcome, result.detail) for result in results] == [
        (Outcome.SKIPPED, "the server does not announce concatenation, creation")
    ]
