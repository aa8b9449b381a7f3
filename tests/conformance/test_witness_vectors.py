"""The witness suite of ``vetonet conformance``: it passes what is right and sees what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.histories import make_history
from vetonet.cli.conformance import SUITES, ConformanceReport, run_conformance
from vetonet.errors import ConfigError, EncodingError
from vetonet.tlog.vectors_witness import iter_witness_cases

LOG = make_history()
FENCE = "```"


def case(body: bytes, status: int, name: str = "c", **changes: object) -> dict[str, object]:
    return {
        "ID": name,
        "Desc": "a case",
        "Body": body.decode(),
        "status": status,
        "must_return_cosignature": status == 200,
        **changes,
    }


def document(*cases: dict[str, object]) -> dict[str, Any]:
    return {
        "logs": [{"origin": LOG.log.origin, "vkey": LOG.log_key.to_vkey()}],
        "cases": list(cases),
    }


def script(*requests: str, logs: str = "") -> str:
    named = f"exec witnessctl add-log -origin '{LOG.log.origin}'\n"
    keyed = f"exec witnessctl add-key -origin '{LOG.log.origin}' -key {LOG.log_key.to_vkey()}\n"
    return f"{logs or named + keyed}\n-- other --\nx\n-- add-checkpoint.hurl --\n" + "\n\n".join(requests)


def request(body: bytes, status: int, asserts: str = 'body contains "x"') -> str:
    return (
        f"POST http://localhost:7380/add-checkpoint\n{FENCE}\n{body.decode()}{FENCE}\n"
        f"HTTP {status}\n[Asserts]\n{asserts}\n"
    )


def judge(found: object) -> ConformanceReport:
    failed = 0
    cases = list(iter_witness_cases(found))
    for _, thunk in cases:
        try:
            thunk()
        except Exception:  # noqa: BLE001
            failed += 1
    return ConformanceReport(passed=len(cases) - failed, failures=(), not_judged=("x",) * failed)


GROWTH = (case(LOG.body(0, 3), 200), case(LOG.body(3, 7), 200), case(LOG.body(3, 7), 409))


def test_a_life_is_judged_in_its_order() -> None:
    assert judge(document(*GROWTH)).passed == 3
    assert judge(document(*GROWTH[1:])).passed == 1


def test_a_case_can_be_judged_alone_and_last_first() -> None:
    thunks = [thunk for _, thunk in iter_witness_cases(document(*GROWTH))]
    for thunk in reversed(thunks):
        thunk()
        thunk()
    list(iter_witness_cases(document(*GROWTH)))[1][1]()


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422, 503])
def test_another_status_fails(status: int) -> None:
    assert judge(document(case(LOG.body(0, 3), status))).passed == 0


def test_the_published_cases_fail_where_one_of_them_is_changed(shared: Path, tmp_path: Path) -> None:
    good = json.loads((shared / "vectors" / "c2sp-tlog" / "witness-cases.json").read_text())
    assert run_conformance(SUITES["witness"], _write(tmp_path, good)).passed == 9
    for index in range(9):
        bad = json.loads(json.dumps(good))
        is_grant = bad["cases"][index]["status"] == 200
        bad["cases"][index] |= {"status": 418, "must_return_cosignature": False}
        report = run_conformance(SUITES["witness"], _write(tmp_path, bad))
        assert (report.passed, len(report.failures)) == (8, 1), is_grant


def _write(folder: Path, found: object) -> Path:
    path = folder / "v.json"
    path.write_text(json.dumps(found), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["cases"][0].pop("status"),
        lambda d: d["cases"][0].pop("Body"),
        lambda d: d["cases"][0].update(Body=7),
        lambda d: d["cases"][0].update(status="200"),
        lambda d: d["cases"][0].update(must_return_cosignature=False),
        lambda d: d["logs"][0].update(vkey="nonsense"),
        lambda d: d["logs"][0].update(vkey=7),
        lambda d: d["logs"][0].pop("origin"),
        lambda d: d.update(logs=7),
        lambda d: d.update(cases=[7]),
        lambda d: d.update(cases=[]),
    ],
)
def test_a_malformed_document_of_the_kind_is_a_failed_case(
    tmp_path: Path, change: Callable[[Any], object]
) -> None:
    found = document(*GROWTH)
    change(found)
    with pytest.raises(EncodingError):
        iter_witness_cases(found)
    report = run_conformance(SUITES["witness"], _write(tmp_path, found))
    assert (report.passed, len(report.failures)) == (0, 1)


def test_a_script_is_judged_with_its_sizes() -> None:
    asked = (
        request(LOG.body(0, 3), 200),
        request(LOG.body(0, 7), 409, 'body == "3\\n"'),
        request(LOG.body(3, 7), 200),
    )
    assert judge(script(*asked)).passed == 3
    wrong = request(LOG.body(0, 7), 409, 'body == "4\\n"')
    assert judge(script(asked[0], wrong, asked[2])).passed == 2


def test_the_name_of_a_key_in_a_script_need_not_be_the_origin() -> None:
    logs = f"exec witnessctl add-key -origin=other -key={LOG.log_key.to_vkey()}\n"
    assert judge(script(request(LOG.body(0, 3), 403, 'body contains "unknown log"'), logs=logs)).passed == 1
    assert judge(script(request(LOG.body(0, 3), 200), logs=logs)).passed == 0


def test_an_unknown_log_that_was_once_403_is_404_and_nothing_else_is() -> None:
    stranger = make_history(origin="vetonet.example/stranger").body(0, 3)
    assert judge(script(request(stranger, 403, 'body contains "unknown log"'))).passed == 1
    assert judge(script(request(stranger, 403, 'body contains "invalid signature"'))).passed == 0


def test_a_signature_in_a_loose_spelling_may_be_malformed_instead_of_wrong() -> None:
    body = LOG.body(0, 3)
    assert body.endswith(b"E=\n")
    loose = body[:-3] + b"F=\n"
    forged = body.replace(b"\n3\n", b"\n4\n")
    assert judge(script(request(forged, 403))).passed == 1
    assert judge(script(request(loose, 403))).passed == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("HTTP 200", "HTTP"),
        lambda text: text.replace(FENCE, "''"),
        lambda text: text.replace("[Asserts]\n", ""),
        lambda text: text.replace("add-key", "add-kee"),
        lambda text: text.replace(" -key ", " -kee "),
        lambda text: text.replace("exec witnessctl add-key", "exec witnessctl list"),
        lambda text: text.replace(LOG.log_key.to_vkey(), "nonsense"),
        lambda text: text.split("POST")[0],
    ],
)
def test_a_malformed_script_is_a_failed_case(change: Callable[[str], str]) -> None:
    with pytest.raises(EncodingError):
        iter_witness_cases(change(script(request(LOG.body(0, 3), 200))))


@pytest.mark.parametrize(
    "found",
    [
        "",
        "prose",
        "-- add-checkpoint.hurl --\n",
        "exec litebastion\nexec witnessctl add-log\n-- add-checkpoint.hurl --\n",
        {"cases": []},
        {"logs": []},
        [],
        None,
    ],
)
def test_what_is_no_document_of_the_kind_is_not_recognised(found: object) -> None:
    with pytest.raises(ConfigError, match="not recognised"):
        iter_witness_cases(found)


def test_text_that_is_none_is_not_recognised(tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"not recognised: v\.txt is not text"):
        run_conformance(SUITES["witness"], tmp_path)
