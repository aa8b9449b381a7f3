"""A witness over real HTTP: the published cases with exact statuses, and our own client at the other end."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from support.histories import ORIGIN, make_history
from vetonet.crypto.keys import generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.errors import ConfigError, EncodingError, InvalidSignatureError, VetonetError
from vetonet.party.witness import Witness
from vetonet.party.witness_app import WITNESS_LIMITS, make_witness_app
from vetonet.storage import FullJournalError, Journal, MemoryJournal, SqliteJournal
from vetonet.tlog.add_checkpoint import MAX_REQUEST_BYTES, AddCheckpoint, parse_cosignatures
from vetonet.tlog.cosignature import verify_cosignature
from vetonet.tlog.note import LogKey
from vetonet.tlog.witness import (
    SplitViewError,
    StaleCheckpointError,
    UnknownLogError,
    UnprovenCheckpointError,
    trust_by_name,
)
from vetonet.tlog.witness_answer import name_log
from vetonet.wire.errors import HttpError
from vetonet.wire.http_client import HttpClient
from vetonet.wire.http_exchange import HttpAnswer
from vetonet.wire.http_server import BoundHttp
from vetonet.wire.http_witness import HttpWitness

NOW_S = 1_800_000_000
KEY = generate_ed25519(SeededRng(b"witness"))
LOG = make_history()
FORK = LOG.fork(2)
STRANGER = make_history(origin="vetonet.example/stranger")
TEXT = "text/plain; charset=utf-8"
SIZE = "text/x.tlog.size"


def open_witness(*keys: LogKey, journal: Journal | None = None) -> Witness:
    return Witness.open(
        MemoryJournal() if journal is None else journal,
        name="witness.example/w1",
        signing_key=KEY,
        logs=trust_by_name(keys or (LOG.log_key,)),
    )


@asynccontextmanager
async def serve(app: Starlette) -> AsyncIterator[str]:
    """Within, the application answers at the URL that is yielded."""
    server = BoundHttp.bind("127.0.0.1:0", app, limits=WITNESS_LIMITS)
    await server.start()
    try:
        yield server.url
    finally:
        await server.stop(1.0)


def serve_witness(witness: Witness) -> Starlette:
    return make_witness_app(witness, clock_s=lambda: NOW_S)


def talk(app: Starlette, conversation: Callable[[str], Awaitable[None]]) -> None:
    async def run() -> None:
        async with serve(app) as url:
            await conversation(url)

    asyncio.run(run())


def post_all(witness: Witness, *bodies: bytes) -> list[HttpAnswer]:
    """Return the answers to these requests, asked one after the other."""
    answers: list[HttpAnswer] = []

    async def conversation(url: str) -> None:
        with HttpClient(url) as client:
            for body in bodies:
                answers.append(await client.post_async("add-checkpoint", body))  # noqa: PERF401

    talk(serve_witness(witness), conversation)
    return answers


def test_the_published_cases_are_answered_with_their_exact_statuses(shared: Path) -> None:
    document = json.loads((shared / "vectors" / "c2sp-tlog" / "witness-cases.json").read_text())
    witness = open_witness(*(LogKey.from_vkey(log["vkey"]) for log in document["logs"]))
    bodies = [case["Body"].encode() for case in document["cases"]]
    answers = post_all(witness, *bodies)
    assert [answer.status for answer in answers] == [case["status"] for case in document["cases"]]
    assert all(answer.content_type == TEXT for answer in answers)
    for case, body, answer in zip(document["cases"], bodies, answers, strict=True):
        if case["must_return_cosignature"]:
            (line,) = parse_cosignatures(answer.body)
            checkpoint = AddCheckpoint.from_bytes(body).signed.checkpoint
            assert verify_cosignature(checkpoint, line, witness.key).timestamp_s == NOW_S
        else:
            assert answer.body.count(b"\n") == 1


def test_every_kind_of_answer_has_its_status_and_its_type() -> None:
    too_many = b"old 3\n" + (b64encode(bytes(32)) + b"\n") * 64 + b"\n" + LOG.sign(7).to_bytes()
    asked = [
        (LOG.body(0, 3), 200, TEXT),
        (LOG.body(0, 7), 409, SIZE),
        (LOG.body(4, 7), 409, SIZE),
        (LOG.body(0, 2), 409, SIZE),
        (FORK.body(3, 3), 409, TEXT),
        (FORK.body(3, 7), 422, TEXT),
        (LOG.body(3, 7), 200, TEXT),
        (LOG.body(7, 7), 200, TEXT),
        (STRANGER.body(0, 3), 404, TEXT),
        (LOG.body(7, 12).replace(b"\n12\n", b"\n11\n"), 403, TEXT),
        (b"", 400, TEXT),
        (b"old 7", 400, TEXT),
        (b"\xff" * 100, 400, TEXT),
        (too_many, 400, TEXT),
        (b"x" * MAX_REQUEST_BYTES, 400, TEXT),
    ]
    answers = post_all(open_witness(), *(body for body, _, _ in asked))
    assert [(answer.status, answer.content_type) for answer in answers] == [
        (status, media_type) for _, status, media_type in asked
    ]
    assert [answer.body for answer in answers[1:4]] == [b"3\n"] * 3


def test_an_oversize_request_is_cut_off() -> None:
    (answer,) = post_all(open_witness(), b"x" * (MAX_REQUEST_BYTES + 1))
    assert answer.status == 413


def test_a_journal_that_takes_nothing_is_told_and_nothing_is_signed() -> None:
    class FullJournal(MemoryJournal):
        def append(self, _records: object) -> tuple[int, ...]:
            raise FullJournalError("no space left")

    (answer,) = post_all(open_witness(journal=FullJournal()), LOG.body(0, 3))
    assert (answer.status, answer.body) == (503, b"no space left\n")


def test_only_the_two_paths_answer() -> None:
    async def conversation(url: str) -> None:
        with HttpClient(url) as client:
            assert (await client.get_async("add-checkpoint")).status == 405
            assert (await client.post_async(f"newest/{name_log(ORIGIN)}", b"")).status == 405
            assert (await client.get_async("checkpoint")).status == 404
            assert (await client.get_async("newest/..bad")).status == 404

    talk(serve_witness(open_witness()), conversation)


def test_a_monitor_reads_the_newest_checkpoint_that_was_cosigned() -> None:
    witness = open_witness()
    witness.add_checkpoint(LOG.body(0, 7), NOW_S)

    async def conversation(url: str) -> None:
        with HttpWitness(url) as client:
            assert await client.fetch_newest(ORIGIN) == LOG.sign(7).to_bytes()
            with pytest.raises(UnknownLogError):
                await client.fetch_newest(STRANGER.log.origin)

    talk(serve_witness(witness), conversation)


def test_of_a_log_not_seen_yet_a_monitor_gets_nothing() -> None:
    async def conversation(url: str) -> None:
        with HttpWitness(url) as client, pytest.raises(UnknownLogError):
            await client.fetch_newest(ORIGIN)

    talk(serve_witness(open_witness()), conversation)


def test_the_client_returns_the_lines_of_the_witness() -> None:
    witness = open_witness()

    async def conversation(url: str) -> None:
        with HttpWitness(url) as client:
            for request in (LOG.ask(0, 7), LOG.ask(7, 8), LOG.ask(8, 8)):
                (line,) = parse_cosignatures(await client.add_checkpoint(request))
                verify_cosignature(request.signed.checkpoint, line, witness.key)
            with pytest.raises(StaleCheckpointError) as caught:
                await client.add_checkpoint(LOG.ask(3, 12))
            assert caught.value.known_size == 8

    talk(serve_witness(witness), conversation)


@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        (LOG.ask(3, 12), StaleCheckpointError),
        (FORK.ask(7, 7), SplitViewError),
        (FORK.ask(7, 12), UnprovenCheckpointError),
        (STRANGER.ask(0, 3), UnknownLogError),
    ],
)
def test_the_client_gives_the_errors_that_a_witness_in_this_process_would(
    request_: AddCheckpoint, kind: type[VetonetError]
) -> None:
    witness = open_witness()
    witness.add_checkpoint(LOG.body(0, 7), NOW_S)
    with pytest.raises(kind):
        witness.add_checkpoint(request_.to_bytes(), NOW_S)
    _expect_refusal(serve_witness(witness), request_, kind)


def _expect_refusal(app: Starlette, request: AddCheckpoint, kind: type[VetonetError]) -> None:
    async def conversation(url: str) -> None:
        with HttpWitness(url) as client, pytest.raises(kind) as caught:
            await client.add_checkpoint(request)
        assert type(caught.value) is kind
        assert url in str(caught.value)

    talk(app, conversation)


def script(status: int, body: bytes = b"", media_type: str = TEXT) -> Starlette:
    """Return a witness that gives one answer whatever it is asked."""

    async def answer(_: Request) -> Response:
        return Response(body, status, headers={"content-type": media_type})

    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])


@pytest.mark.parametrize(
    ("status", "body", "media_type", "kind"),
    [
        (403, b"", TEXT, InvalidSignatureError),
        (400, b"", TEXT, EncodingError),
        (500, b"secret", TEXT, HttpError),
        (503, b"", TEXT, HttpError),
        (204, b"", TEXT, HttpError),
        (302, b"", TEXT, HttpError),
        (409, b"", TEXT, HttpError),
        (409, b"7\n", TEXT, HttpError),
        (409, b"3\n", SIZE, HttpError),
        (409, b"", SIZE, HttpError),
        (409, b"7", SIZE, HttpError),
        (409, b"07\n", SIZE, HttpError),
        (409, b"-1\n", SIZE, HttpError),
        (409, b"7\n8\n", SIZE, HttpError),
        (409, b"\xff\n", SIZE, HttpError),
        (409, b"9223372036854775808\n", SIZE, HttpError),
        (409, b"9" * 100_000 + b"\n", SIZE, HttpError),
        (409, b"7\n", SIZE, StaleCheckpointError),
        (409, b"7\n", "Text/X.TLog.Size; charset=utf-8", StaleCheckpointError),
    ],
)
def test_whatever_a_witness_answers_is_an_error_with_its_url_or_a_known_size(
    status: int, body: bytes, media_type: str, kind: type[VetonetError]
) -> None:
    _expect_refusal(script(status, body, media_type), LOG.ask(3, 12), kind)


@pytest.mark.parametrize(("body", "media_type"), [(b"", TEXT), (b"7\n", SIZE)])
def test_a_conflict_at_the_same_size_is_a_second_root_that_accuses_nobody_by_itself(
    body: bytes, media_type: str
) -> None:
    async def conversation(url: str) -> None:
        with (
            HttpWitness(url) as client,
            pytest.raises(SplitViewError, match="another root of size 7") as caught,
        ):
            await client.add_checkpoint(LOG.ask(7, 7))
        assert (caught.value.culprit, caught.value.conflict) == (None, None)

    talk(script(409, body, media_type), conversation)


def test_an_answer_without_an_end_is_refused() -> None:
    _expect_refusal(script(200, b"x" * 200_000), LOG.ask(3, 12), HttpError)


def test_a_witness_that_is_away_is_an_error_with_its_url() -> None:
    server = BoundHttp.bind("127.0.0.1:0", script(200))
    url = server.url
    asyncio.run(server.stop(0))
    with HttpWitness(url) as client, pytest.raises(HttpError, match=url):
        asyncio.run(client.add_checkpoint(LOG.ask(3, 12)))


def test_a_url_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(ConfigError):
        HttpWitness("witness.example")


def test_of_requests_that_race_over_http_one_history_wins(tmp_path: Path) -> None:
    with SqliteJournal.open(tmp_path) as journal:
        witness = open_witness(journal=journal)
        witness.add_checkpoint(LOG.body(0, 2), NOW_S)
        outcomes: list[object] = []

        async def conversation(url: str) -> None:
            requests = [LOG.fork(2, f"{number}").ask(2, 7) for number in range(8)]
            clients = [HttpWitness(url) for _ in requests]
            calls = [
                client.add_checkpoint(request) for client, request in zip(clients, requests, strict=True)
            ]
            outcomes.extend(await asyncio.gather(*calls, return_exceptions=True))
            for client in clients:
                client.close()

        talk(serve_witness(witness), conversation)
        kinds = [type(outcome) for outcome in outcomes]
        assert (kinds.count(bytes), kinds.count(StaleCheckpointError)) == (1, 7)


def test_witnesses_that_never_answer_keep_no_other_waiting() -> None:
    release = asyncio.Event()

    async def wait(_: Request) -> Response:
        await release.wait()
        return Response(b"", 500)

    silent = Starlette(routes=[Route("/add-checkpoint", wait, methods=["POST"])])

    async def run() -> None:
        async with serve(silent) as dead_url, serve(serve_witness(open_witness())) as url:
            dead = [HttpWitness(dead_url) for _ in range(40)]
            waiting = [asyncio.create_task(client.add_checkpoint(LOG.ask(0, 3))) for client in dead]
            with HttpWitness(url) as client:
                assert parse_cosignatures(await client.add_checkpoint(LOG.ask(0, 3)))
            assert not any(task.done() for task in waiting)
            release.set()
            await asyncio.gather(*waiting, return_exceptions=True)
            for each in dead:
                each.close()

    asyncio.run(run())
