"""An HTTP server on a real port: what it grants, what it refuses, and that nothing a client does lasts."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from support.sockets import (
    LOOPBACK,
    connect,
    play_out,
    read_rest,
    request,
    send_raw,
    serve_http,
    split_answer,
    status_of,
    until,
)
from vetonet.errors import ConfigError
from vetonet.wire.http_boundary import HttpLimits
from vetonet.wire.http_server import BoundHttp

SHORT = HttpLimits(max_body_bytes=1_000, max_head_bytes=2_000, request_timeout_s=0.2, keep_alive_s=1)

FLOOD_BYTES = 16 * 1024 * 1024


async def count(request: Request) -> Response:
    return PlainTextResponse(f"{len(await request.body())} bytes")


async def fail(_: Request) -> Response:
    raise RuntimeError("the secret of the house")


async def fail_midway(_: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        yield b"begun"
        raise RuntimeError("the secret of the house")

    return StreamingResponse(parts(), headers={"content-length": "100"})


async def sleep(_: Request) -> Response:
    await asyncio.sleep(60)
    return PlainTextResponse("too late")


async def pause(_: Request) -> Response:
    await asyncio.sleep(0.05)
    return PlainTextResponse("rested")


async def flood(_: Request) -> Response:
    return Response(bytes(FLOOD_BYTES))


APP = Starlette(
    routes=[
        Route("/count", count, methods=["GET", "POST"]),
        Route("/fail", fail),
        Route("/fail-midway", fail_midway),
        Route("/sleep", sleep),
        Route("/pause", pause),
        Route("/flood", flood),
    ]
)


def post(body: bytes, *headers: str) -> bytes:
    return request("/count", *headers, f"Content-Length: {len(body)}", method="POST") + body


def exchange(data: bytes) -> bytes:
    """Return all that a server with short limits says to these bytes, and see it serve the next client."""
    said = bytearray()

    async def scenario() -> None:
        async with serve_http(APP, SHORT) as bound:
            said.extend(await send_raw(bound.address, data))
            assert status_of(await send_raw(bound.address, request("/count"))) == 200

    play_out(scenario())
    return bytes(said)


# ---------------------------------------------------------------- addresses


def test_the_port_is_known_before_anything_is_served() -> None:
    async def scenario() -> None:
        bound = BoundHttp.bind(LOOPBACK, APP)
        assert bound.url == f"http://{bound.address}"
        early = asyncio.create_task(send_raw(bound.address, request("/count")))
        await asyncio.sleep(0.01)
        assert not early.done()
        await bound.start()
        assert status_of(await early) == 200
        await bound.stop(0)

    play_out(scenario())


def test_a_server_listens_on_ipv6() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")

    async def scenario() -> None:
        bound = BoundHttp.bind("[::1]:0", APP)
        assert bound.address.startswith("[::1]:")
        await bound.stop(0)

    play_out(scenario())


def test_an_address_in_use_is_refused_in_one_line() -> None:
    async def scenario() -> None:
        bound = BoundHttp.bind(LOOPBACK, APP)
        with pytest.raises(ConfigError, match=f"^cannot listen on {bound.address}: in use, or not") as caught:
            BoundHttp.bind(bound.address, APP)
        assert "\n" not in str(caught.value)
        await bound.stop(0)

    play_out(scenario())


def test_the_address_of_a_stopped_server_is_free() -> None:
    async def scenario() -> None:
        async with serve_http(APP) as bound:
            assert status_of(await send_raw(bound.address, request("/count"))) == 200
        await BoundHttp.bind(bound.address, APP).stop(0)

    play_out(scenario())


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"192\.0\.2\.1:0: in use, or not an address of this machine"):
        BoundHttp.bind("192.0.2.1:0", APP)


@pytest.mark.parametrize(
    "address", ["", "127.0.0.1", ":80", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "::1:80", "a b:1"]
)
def test_a_malformed_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="expected an address as host:port"):
        BoundHttp.bind(address, APP)


@pytest.mark.parametrize(
    "name", ["max_body_bytes", "max_head_bytes", "max_connections", "request_timeout_s", "keep_alive_s"]
)
def test_limits_that_let_nothing_through_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="limits are positive"):
        HttpLimits(**{name: 0})


# ---------------------------------------------------------------- sizes


def test_a_body_of_the_largest_size_is_taken() -> None:
    assert split_answer(exchange(post(bytes(1_000))))[::2] == (200, b"1000 bytes")


def test_a_larger_body_is_refused() -> None:
    assert split_answer(exchange(post(bytes(1_001))))[::2] == (413, b"a body is at most 1000 bytes\n")


def test_a_much_larger_body_is_refused_too_and_the_client_learns_why() -> None:
    assert status_of(exchange(post(bytes(3_000_000)))) == 413


def test_a_larger_body_without_a_length_is_refused() -> None:
    head = request("/count", "Transfer-Encoding: chunked", method="POST")
    assert (
        status_of(exchange(head + b"1f5\r\n" + bytes(501) + b"\r\n1f4\r\n" + bytes(500) + b"\r\n0\r\n\r\n"))
        == 413
    )


def test_a_body_in_chunks_is_taken() -> None:
    head = request("/count", "Transfer-Encoding: chunked", method="POST")
    said = exchange(head + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert split_answer(said)[::2] == (200, b"5 bytes")


def test_the_body_of_a_request_that_needs_none_is_bounded_too() -> None:
    head = request("/pause", "Content-Length: 1001")
    assert status_of(exchange(head + bytes(1_001))) == 413


def test_a_head_that_is_too_large_is_refused() -> None:
    assert status_of(exchange(request("/count", f"X-Long: {'x' * 2_000}"))) == 431
    assert status_of(exchange(request("/count?" + "x" * 2_000))) == 431


def test_a_head_without_an_end_is_refused() -> None:
    assert status_of(exchange(b"GET / HTTP/1.1\r\nX-Long: " + b"x" * 3_000)) == 400


# ---------------------------------------------------------------- time


def test_a_body_that_never_ends_is_refused() -> None:
    head = request("/count", "Content-Length: 10", method="POST", is_last=False)
    assert split_answer(exchange(head + b"12345"))[::2] == (408, b"no whole request within 0.2 s\n")


def test_a_body_that_trickles_is_refused() -> None:
    async def scenario() -> None:
        async with serve_http(APP, SHORT) as bound, connect(bound.address) as (reader, writer):
            writer.write(request("/count", "Content-Length: 900", method="POST"))
            answer = asyncio.create_task(read_rest(reader))
            while not answer.done():
                writer.write(b"x")
                await asyncio.sleep(0.02)
            assert status_of(answer.result()) == 408

    play_out(scenario())


@pytest.mark.parametrize("start", [b"", b"G", b"GET /count HTTP/1.1\r\nHost: local"])
def test_a_head_that_never_ends_is_cut(start: bytes) -> None:
    assert exchange(start) == b""


def test_a_head_that_trickles_on_a_kept_connection_is_cut() -> None:
    async def scenario() -> None:
        async with serve_http(APP, SHORT) as bound, connect(bound.address) as (reader, writer):
            writer.write(request("/count", is_last=False))
            answer = asyncio.create_task(read_rest(reader))
            while not answer.done():
                writer.write(b"X")
                await asyncio.sleep(0.02)
            assert answer.result().count(b"HTTP/1.1") == 1

    play_out(scenario())


def test_an_idle_connection_is_closed() -> None:
    said = exchange(request("/count", is_last=False))
    assert status_of(said) == 200


def test_an_application_that_takes_too_long_is_cut() -> None:
    assert split_answer(exchange(request("/sleep")))[::2] == (503, b"no answer within 0.2 s\n")


def test_an_answer_that_nobody_reads_is_dropped() -> None:
    async def scenario() -> None:
        async with serve_http(APP, SHORT) as bound, connect(bound.address) as (_, writer):
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            writer.write(request("/flood"))
            await until(lambda: bound._state.connections)
            await until(lambda: not bound._state.connections)

    play_out(scenario())


# ---------------------------------------------------------------- what clients do


def test_half_a_request_leaves_nothing_behind() -> None:
    async def scenario() -> None:
        async with serve_http(APP) as bound:
            for start in (b"GET /cou", request("/count", "Content-Length: 10", method="POST") + b"123"):
                async with connect(bound.address) as (_, writer):
                    writer.write(start)
                    await writer.drain()
            await until(lambda: not bound._state.connections and not bound._state.tasks)
            assert status_of(await send_raw(bound.address, request("/count"))) == 200

    play_out(scenario())


def test_requests_in_one_go_are_answered_in_their_order() -> None:
    said = exchange(request("/pause", is_last=False) + request("/count"))
    assert said.index(b"rested") < said.index(b"0 bytes")


def test_garbage_after_a_request_is_refused_and_the_request_answered() -> None:
    said = exchange(request("/count", is_last=False) + b"\x00\xff not HTTP at all\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 200")
    assert b"HTTP/1.1 400" in said


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",  # how TLS begins
        b"GET / HTTP/1.1\r\n\r\n",  # no host
        b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_garbage_is_refused(garbage: bytes) -> None:
    said = exchange(garbage + b"\r\n\r\n")
    assert said == b"" or status_of(said) in {400, 404}


def test_a_wish_for_another_protocol_is_passed_over() -> None:
    assert status_of(exchange(request("/count", "Upgrade: websocket", "Connection: upgrade"))) == 200


def test_one_connection_too_many_is_told_so_and_the_others_go_on() -> None:
    async def scenario() -> None:
        limits = HttpLimits(max_connections=3)
        async with serve_http(APP, limits) as bound:
            async with (
                connect(bound.address),
                connect(bound.address),
                connect(bound.address) as (reader, writer),
            ):
                await asyncio.sleep(0.02)
                assert status_of(await send_raw(bound.address, b"")) == 503
                writer.write(request("/count"))
                assert status_of(await read_rest(reader)) == 200
            await until(lambda: not bound._state.connections)
            assert status_of(await send_raw(bound.address, request("/count"))) == 200

    play_out(scenario())


def test_many_clients_are_answered_at_a_time() -> None:
    async def scenario() -> None:
        async with serve_http(APP) as bound:
            answers = await asyncio.gather(*(send_raw(bound.address, request("/pause")) for _ in range(100)))
            assert {status_of(answer) for answer in answers} == {200}

    play_out(scenario())


# ---------------------------------------------------------------- what is said and what is not


def test_a_failure_shows_nothing_of_itself(caplog: pytest.LogCaptureFixture) -> None:
    said = exchange(request("/fail"))
    assert status_of(said) == 500
    assert b"secret" not in said
    assert b"Traceback" not in said
    assert "the application failed" in caplog.text


def test_an_answer_that_fails_midway_is_cut() -> None:
    _, headers, body = split_answer(exchange(request("/fail-midway")))
    assert headers["content-length"] == "100"
    assert body == b"begun"


def test_a_server_adds_nothing_of_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    _, headers, _ = split_answer(exchange(request("/count")))
    assert set(headers) == {"content-length", "content-type", "connection"}
    assert capfd.readouterr().out == ""


def test_the_signals_of_the_process_are_left_alone() -> None:
    async def scenario() -> None:
        before = signal.getsignal(signal.SIGTERM)
        async with serve_http(APP):
            assert signal.getsignal(signal.SIGTERM) is before

    play_out(scenario())


# ---------------------------------------------------------------- the end


def test_a_request_under_way_ends_before_the_server_does() -> None:
    async def scenario() -> None:
        async with serve_http(APP) as bound:
            answer = asyncio.create_task(send_raw(bound.address, request("/pause", is_last=False)))
            await until(lambda: bound._state.tasks)
            await bound.stop(5)
            assert split_answer(await answer)[::2] == (200, b"rested")

    play_out(scenario())


def test_an_answer_that_is_being_read_is_read_to_its_end() -> None:
    async def scenario() -> None:
        async with serve_http(APP) as bound, connect(bound.address) as (reader, writer):
            writer.write(request("/flood"))
            head = await reader.readuntil(b"\r\n\r\n")
            rest = asyncio.create_task(read_rest(reader))
            await bound.stop(5)
            assert status_of(head) == 200
            assert len(await rest) == FLOOD_BYTES

    play_out(scenario())


def test_what_takes_longer_than_the_grace_is_cut() -> None:
    async def scenario() -> None:
        async with serve_http(APP) as bound:
            slow = asyncio.create_task(send_raw(bound.address, request("/sleep")))
            half = asyncio.create_task(send_raw(bound.address, b"GET /"))
            body = asyncio.create_task(
                send_raw(bound.address, request("/count", "Content-Length: 9", method="POST"))
            )
            await until(lambda: len(bound._state.tasks) == 2 and len(bound._state.connections) == 3)
            await bound.stop(0.05)
            assert [await slow, await half, await body] == [b"", b"", b""]
            assert not bound._state.tasks
            assert not bound._state.connections

    play_out(scenario())


def test_a_server_that_never_started_stops() -> None:
    async def scenario() -> None:
        bound = BoundHttp.bind(LOOPBACK, APP)
        await bound.stop(0)
        with pytest.raises(ConnectionRefusedError):
            await send_raw(bound.address, b"")

    play_out(scenario())
