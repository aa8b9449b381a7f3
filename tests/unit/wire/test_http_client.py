"""An HTTP client against servers that lie, stall, hang up or never come: one plain error, never a hang."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import socket
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from support.sockets import Talk, play_out, say, serve_http, serve_raw
from vetonet.cli.exits import Exit, to_failure
from vetonet.errors import ConfigError
from vetonet.wire.errors import HttpError
from vetonet.wire.http_boundary import HttpLimits
from vetonet.wire.http_client import MAX_IDLE_CONNECTIONS, HttpClient
from vetonet.wire.http_exchange import HttpAnswer

OK = b"HTTP/1.1 200 OK\r\n"
PLAIN = "text/plain; charset=utf-8"


async def show(request: Request) -> Response:
    wishes = f"{request.headers['host']} {request.headers.get('accept-encoding')}"
    return PlainTextResponse(f"{request.method} {wishes} {request.headers.get('content-type')}")


async def count(request: Request) -> Response:
    return PlainTextResponse(f"{len(await request.body())} bytes")


async def turn_away(_: Request) -> Response:
    return RedirectResponse("/show")


APP = Starlette(
    routes=[
        Route("/a/show", show, methods=["GET", "POST"]),
        Route("/count", count, methods=["POST"]),
        Route("/away", turn_away),
    ]
)


def test_a_client_asks_below_its_prefix_and_gets_the_whole_answer() -> None:
    async def scenario() -> None:
        async with serve_http(APP) as bound:
            with HttpClient(f"{bound.url}/a/") as client:
                answer = await client.get_async("show")
                said = f"GET {bound.address} identity None".encode()
                assert answer == HttpAnswer(status=200, content_type=PLAIN, body=said)
                answer = await client.post_async("show", b"data", "text/plain")
                assert answer.body == f"POST {bound.address} identity text/plain".encode()

    play_out(scenario())


def test_an_answer_of_any_status_is_an_answer() -> None:
    async def scenario() -> None:
        async with serve_http(APP, HttpLimits(max_body_bytes=100)) as bound:
            with HttpClient(bound.url) as client:
                assert (await client.get_async("nothing")).status == 404
                assert (await client.get_async("count")).status == 405
                assert (await client.post_async("count", bytes(100))).body == b"100 bytes"
                assert (await client.post_async("count", bytes(1_000_000))).status == 413

    play_out(scenario())


def test_a_redirect_is_not_followed() -> None:
    async def scenario() -> None:
        async with serve_http(APP) as bound:
            with HttpClient(bound.url) as client:
                answer = await client.get_async("away")
                assert (answer.status, answer.body) == (307, b"")

    play_out(scenario())


def test_a_body_in_chunks_or_up_to_the_end_is_taken() -> None:
    chunked = OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"
    assert ask(say(chunked)).body == b"abcde"
    assert ask(say(OK + b"\r\nabcde")).body == b"abcde"


def test_a_body_of_the_largest_size_is_taken() -> None:
    assert ask(say(OK + b"Content-Length: 100\r\n\r\n" + bytes(100))).body == bytes(100)


# ---------------------------------------------------------------- servers that do not behave


def ask(talk: Talk, *, timeout_s: float = 5.0) -> HttpAnswer:
    """Return what a client of at most 100 bytes makes of a server that talks so."""
    answers: list[HttpAnswer] = []

    async def scenario() -> None:
        async with serve_raw(talk) as url:
            with HttpClient(url, timeout_s=timeout_s, max_bytes=100) as client:
                answers.append(await client.get_async("x"))

    play_out(scenario())
    return answers[0]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"", "the server closed the connection before a whole answer came"),
        (b"garbage\r\n\r\n", "the answer is not HTTP"),
        (b"\x00\xff" * 50_000, "the answer is not HTTP"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "the answer is not HTTP"),
        (b"HTTP/1.1 two hundred\r\n\r\n", "the answer is not HTTP"),
        (b"HTTP/3.0 200 OK\r\n\r\n", "the answer is not HTTP"),
        (OK + b"X: y\r\n" * 1_000 + b"\r\n", "the answer is not HTTP"),
        (OK + b"X: " + b"y" * 100_000, "the answer is not HTTP"),
        (OK + b"Content-Length: 10\r\n\r\nabc", "the answer is shorter than it says"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc", "the answer is shorter than it says"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n", "the answer is shorter than it says"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", "the answer is shorter than it says"),
        (
            OK + b"Content-Length: 101\r\n\r\n" + bytes(101),
            "the body is longer than the 100 bytes it may have",
        ),
        (OK + b"Content-Length: 9999999999999\r\n\r\n", "the body is longer than the 100 bytes it may have"),
        (OK + b"\r\n" + bytes(101), "the body is longer than the 100 bytes it may have"),
        (OK + b"Content-Encoding: gzip\r\n\r\n\x1f\x8b", "the body is encoded, which was not asked for"),
    ],
)
def test_an_answer_that_cannot_be_used_is_one_plain_error(said: bytes, told: str) -> None:
    with pytest.raises(HttpError, match=rf"^http://127\.0\.0\.1:[0-9]+/x: {told}$"):
        ask(say(said))


async def talk_without_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"100\r\n" + bytes(256) + b"\r\n")
        await writer.drain()


async def go_on_with_headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    while True:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await writer.drain()


async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(OK + b"Content-Length: 100\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(OK + b"Content-Length: 100\r\n\r\n")
    writer.transport.abort()


def test_a_body_without_an_end_is_cut_at_its_size() -> None:
    with pytest.raises(HttpError, match="longer than the 100 bytes"):
        ask(talk_without_end)


@pytest.mark.parametrize(
    "talk",
    [
        trickle,
        go_on_with_headers,
        say(b"", then_hold=True),
        say(b"HTTP/1.1 2", then_hold=True),
        say(OK + b"X: y\r\n", then_hold=True),
        say(OK + b"Content-Length: 9\r\n\r\nabc", then_hold=True),
        say(OK + b"Transfer-Encoding: chunked\r\n\r\n9\r\n", then_hold=True),
        say(OK + b"\r\nabc", then_hold=True),
    ],
)
def test_a_server_that_keeps_us_waiting_is_left(talk: Talk) -> None:
    with pytest.raises(HttpError, match=r"/x: no whole answer within 0\.2 s$"):
        ask(talk, timeout_s=0.2)


def test_a_connection_that_is_reset_is_one_plain_error() -> None:
    with pytest.raises(
        HttpError, match=r"/x: the (server closed the connection before a whole|answer is shorter)"
    ):
        ask(reset)


def test_a_server_that_is_not_there_is_one_plain_error() -> None:
    async def scenario() -> None:
        async with serve_http(APP) as bound:
            pass
        with pytest.raises(HttpError, match=f"^{bound.url}/x: connection refused") as caught:
            HttpClient(bound.url).get("x")
        failure = to_failure(caught.value)
        assert (failure.code, failure.reason) == (Exit.INCONCLUSIVE, "http")
        with pytest.raises(HttpError, match="connection refused"):
            HttpClient(bound.url).post("x", b"")

    play_out(scenario())


def test_a_host_that_cannot_have_the_name_is_one_plain_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", fail)
    with pytest.raises(HttpError, match=r"^http://log\.example/x: the name of the host is not known$"):
        HttpClient("http://log.example").get("x")


def test_limits_that_let_nothing_through_are_a_mistake() -> None:
    for limits in ({"timeout_s": 0.0}, {"max_bytes": 0}):
        with pytest.raises(ValueError, match="limits are positive"):
            HttpClient("http://log.example", **limits)


def test_a_url_that_is_not_plain_is_the_users_mistake() -> None:
    with pytest.raises(ConfigError, match="expected a URL"):
        HttpClient("http://log.example/?x")


# ---------------------------------------------------------------- connections that are kept


def talk_so_often(answers: int, meetings: list[bytes]) -> Talk:
    """Answer that many requests of a connection, then hang up; remember how each connection began."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for left in range(answers, 0, -1):
            head = await reader.readuntil(b"\r\n\r\n")
            if left == answers:
                meetings.append(head.split(b" ")[0])
            writer.write(OK + b"Content-Length: 2\r\n\r\nok")

    return talk


def test_a_connection_is_used_again() -> None:
    async def scenario() -> None:
        meetings: list[bytes] = []
        async with serve_raw(talk_so_often(10, meetings)) as url:
            with HttpClient(url) as client:
                for _ in range(9):
                    await client.get_async("x")
        assert meetings == [b"GET"]

    play_out(scenario())


def test_a_kept_connection_that_the_server_closed_is_replaced() -> None:
    async def scenario() -> None:
        meetings: list[bytes] = []
        async with serve_raw(talk_so_often(1, meetings)) as url:
            with HttpClient(url) as client:
                for _ in range(3):
                    assert (await client.get_async("x")).body == b"ok"
        assert meetings == [b"GET"] * 3

    play_out(scenario())


def test_a_post_gets_a_connection_of_its_own_and_is_sent_once() -> None:
    async def scenario() -> None:
        meetings: list[bytes] = []
        async with serve_raw(talk_so_often(1, meetings)) as url:
            with HttpClient(url) as client:
                await client.get_async("x")
                assert (await client.post_async("x", b"")).body == b"ok"
        async with serve_raw(say(b"")) as url:
            with HttpClient(url) as client, pytest.raises(HttpError, match="closed the connection"):
                await client.post_async("x", b"")
        assert meetings == [b"GET", b"POST"]

    play_out(scenario())


def test_many_calls_at_a_time_leave_few_connections() -> None:
    async def scenario() -> None:
        async with serve_http(APP) as bound:
            client = HttpClient(f"{bound.url}/a")
            answers = await asyncio.gather(*(client.get_async("show") for _ in range(50)))
            assert {answer.status for answer in answers} == {200}
            assert 1 <= len(client._idle) <= MAX_IDLE_CONNECTIONS
            client.close()
            assert client._idle == []
            with pytest.raises(HttpError, match="closed"):
                await client.get_async("show")

    play_out(scenario())


# ---------------------------------------------------------------- TLS


@pytest.fixture(scope="module")
def server_tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    """What a server with a certificate of its own making needs, and the certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test")])
    start = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    certificate = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=36_500))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    pem = serialization.Encoding.PEM
    form, secret = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(pem, form, secret))
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context, folder / "certificate.pem"


def ask_over_tls(server: ssl.SSLContext, client: ssl.SSLContext | None) -> HttpAnswer:
    answers: list[HttpAnswer] = []

    async def scenario() -> None:
        talk = say(OK + b"Content-Length: 2\r\n\r\nok")
        async with serve_raw(talk, tls=server) as url:
            with HttpClient(url.replace("http:", "https:"), tls=client) as caller:
                answers.append(await caller.get_async("x"))

    play_out(scenario())
    return answers[0]


def test_an_accepted_certificate_opens_a_connection(server_tls: tuple[ssl.SSLContext, Path]) -> None:
    accepting = ssl.create_default_context(cafile=str(server_tls[1]))
    assert ask_over_tls(server_tls[0], accepting).body == b"ok"


def test_a_certificate_that_nobody_vouches_for_is_refused(server_tls: tuple[ssl.SSLContext, Path]) -> None:
    with pytest.raises(HttpError, match=r"/x: the certificate is not accepted: self[- ]signed certificate$"):
        ask_over_tls(server_tls[0], None)


async def answer_at_once(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await writer.drain()


def test_a_server_without_tls_is_one_plain_error_where_tls_was_asked_for() -> None:
    async def scenario() -> None:
        async with serve_raw(answer_at_once) as url:
            with pytest.raises(HttpError, match=r"/x: TLS failed$"):
                await HttpClient(url.replace("http:", "https:"), timeout_s=2).get_async("x")

    play_out(scenario())


def test_a_server_with_tls_is_one_plain_error_where_none_was_asked_for(
    server_tls: tuple[ssl.SSLContext, Path],
) -> None:
    async def scenario() -> None:
        async with serve_raw(answer_at_once, tls=server_tls[0]) as url:
            with pytest.raises(HttpError, match=r"/x: the (answer is not HTTP|server closed the connection)"):
                await HttpClient(url, timeout_s=2).get_async("x")

    play_out(scenario())
