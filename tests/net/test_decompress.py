"""Compressed answers: what is read, and what is refused before it grows."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from pathlib import Path

import pytest

from smhub.net.decompress import Decompressor
from smhub.sdk.errors import PayloadMalformed

from .conftest import MakeClient, Request, Serve, answer


def packed(data: bytes) -> bytes:
    """gzip without the time of day in it: test processes must agree on the names of the tests."""
    return gzip.compress(data, mtime=0)


TEXT = b"A quick brown fox. " * 20_000
MIB = 1024 * 1024


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def unpack(encoding: str, data: bytes, *, step: int = 65536, cap: int = 20 * MIB) -> bytes:
    one = Decompressor(encoding, cap)
    for start in range(0, len(data), step):
        one.feed(data[start : start + step])
    return one.finish()


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("", TEXT),
        ("identity", TEXT),
        ("gzip", packed(TEXT)),
        ("x-gzip", packed(TEXT)),
        (" GZIP ", packed(TEXT)),
        ("gzip", packed(TEXT[:100]) + packed(b"") + packed(TEXT[100:])),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", raw_deflate(TEXT)),
        ("gzip, gzip", packed(packed(TEXT))),
        ("deflate, gzip", packed(zlib.compress(TEXT))),
        ("gzip, identity, deflate", zlib.compress(packed(TEXT))),
    ],
)
@pytest.mark.parametrize("step", [1, 7, 65536])
def test_what_was_asked_for_is_read_in_pieces_of_any_size(encoding: str, data: bytes, step: int) -> None:
    assert unpack(encoding, data, step=step) == TEXT


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "gzip, gzip", ""])
def test_nothing_at_all_is_an_empty_answer(encoding: str) -> None:
    assert unpack(encoding, b"") == b""


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("br", b"\x0b\x02\x80abc\x03"),
        ("zstd", b"(\xb5/\xfd"),
        ("compress", b"x"),
        ("gzip, br", packed(TEXT)),
        ("gzip, gzip, gzip", packed(packed(packed(TEXT)))),
        ("gzip" + ", gzip" * 1000, b"x"),
        ("gzip", TEXT),
        ("deflate", b"\xff\xff\xff\xff"),
        ("gzip", packed(TEXT) + b"more"),
        ("deflate", zlib.compress(TEXT) + b"more"),
        ("gzip", packed(b"") * 101),
        ("gzip", packed(TEXT)[:-9] + b"\x00" * 9),
        ("gzip, gzip", packed(packed(TEXT)[:-1])),
        ("deflate", b"\x78"),
    ],
)
def test_everything_else_is_malformed(encoding: str, data: bytes) -> None:
    with pytest.raises(PayloadMalformed):
        unpack(encoding, data)


@pytest.mark.parametrize("data", [packed(TEXT), zlib.compress(TEXT), raw_deflate(TEXT)], ids=["gzip", "zlib", "raw"])
def test_a_stream_cut_at_any_place_is_malformed(data: bytes) -> None:
    encoding = "gzip" if data[:2] == b"\x1f\x8b" else "deflate"
    for cut in range(1, len(data), 7):
        with pytest.raises(PayloadMalformed):
            unpack(encoding, data[:cut])


@pytest.mark.parametrize("encoding", ["", "gzip", "gzip, gzip"])
def test_the_cap_is_exact(encoding: str) -> None:
    data = b"x" * MIB
    for _ in range(encoding.count("gzip")):
        data = packed(data)
    assert len(unpack(encoding, data, cap=MIB)) == MIB
    with pytest.raises(PayloadMalformed, match="larger"):
        unpack(encoding, data, cap=MIB - 1)


def bomb() -> bytes:
    """300 MiB of zeros: one compressed mebibyte, three hundred times."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    start = packer.compress(b"\0" * MIB) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(b"\0" * MIB) + packer.flush(zlib.Z_FULL_FLUSH)
    return start + again * 299


def memory(*, peak: bool) -> int:
    name = "VmHWM:" if peak else "VmRSS:"
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize("layers", [1, 2])
async def test_a_bomb_costs_no_more_than_the_cap(serve: Serve, make_client: MakeClient, layers: int) -> None:
    data = bomb() if layers == 1 else packed(bomb())
    encoding = ", ".join(["gzip"] * layers)
    server = await serve(answer(data, 200, f"Content-Encoding: {encoding}"))
    client = make_client(server)
    await client.send("HEAD", server.url)
    Path("/proc/self/clear_refs").write_text("5")
    before = memory(peak=False)
    with pytest.raises(PayloadMalformed, match="larger than 20971520 bytes"):
        await client.send("GET", server.url)
    grown = (memory(peak=True) - before) / MIB
    assert grown < 30


async def test_a_truncated_answer_over_the_wire_is_malformed(serve: Serve, make_client: MakeClient) -> None:
    server = await serve(answer(packed(TEXT)[:-5], 200, "Content-Encoding: gzip"))
    with pytest.raises(PayloadMalformed, match="ends in the middle"):
        await make_client(server).send("GET", server.url)


async def test_brotli_is_not_asked_for_and_refused(serve: Serve, make_client: MakeClient) -> None:
    async def write(request: Request, writer: asyncio.StreamWriter) -> None:
        assert request.headers["accept-encoding"] == "gzip, deflate"
        await answer(b"x", 200, "Content-Encoding: br")(request, writer)

    server = await serve(write)
    with pytest.raises(PayloadMalformed, match="not asked for"):
        await make_client(server).send("GET", server.url)
