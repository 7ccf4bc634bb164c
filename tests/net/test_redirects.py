"""Redirects: where they lead, what they carry along, and what they never do."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from smhub.net import NoAnswer
from smhub.sdk.errors import PayloadMalformed

from .conftest import MakeClient, Names, Request, Serve, answer

SECRETS = {"Authorization": "Bearer canary", "X-Api-Key": "canary", "Cookie": "session=canary"}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate of its own for secure.test."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "secure.test")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("secure.test"), x509.IPAddress(IPv4Address("9.9.9.9"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "secure.pem"
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


def tls(certificate: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    return server, ssl.create_default_context(cafile=certificate)


async def redirecting(request: Request, writer: asyncio.StreamWriter) -> None:
    """/STATUS/REST redirects with STATUS to /REST; anything else is the end."""
    status, _, rest = request.target.strip("/").partition("/")
    if status.isdigit():
        await answer(b"moved", int(status), f"Location: /{rest}")(request, writer)
    else:
        await answer(b"end")(request, writer)


@pytest.mark.parametrize(
    ("path", "permanent"),
    [
        ("/end", None),
        ("/301/end", "/end"),
        ("/308/end", "/end"),
        ("/301/308/end", "/end"),
        ("/301/302/end", "/302/end"),
        ("/302/301/end", None),
        ("/301/302/301/end", "/302/301/end"),
        ("/307/end", None),
        ("/303/end", None),
    ],
)
async def test_the_permanent_address_is_after_the_leading_permanent_redirects(
    serve: Serve, make_client: MakeClient, path: str, permanent: str | None
) -> None:
    server = await serve(redirecting)
    response = await make_client(server).send("GET", server.url + path)
    assert (response.status, response.body, response.url) == (200, b"end", f"{server.url}/end")
    assert response.permanent_url == (f"{server.url}{permanent}" if permanent else None)


async def test_the_fourth_redirect_is_too_many(serve: Serve, make_client: MakeClient) -> None:
    server = await serve(redirecting)
    client = make_client(server)
    assert (await client.send("HEAD", f"{server.url}/302/302/302/end")).status == 200
    with pytest.raises(PayloadMalformed, match="more than 3 times"):
        await client.send("GET", f"{server.url}/302/302/302/302/end")
    with pytest.raises(PayloadMalformed, match="more than 0 times"):
        await client.send("GET", f"{server.url}/302/end", max_redirects=0)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_writes_are_not_redirected(serve: Serve, make_client: MakeClient, method: str) -> None:
    server = await serve(redirecting)
    response = await make_client(server).send(method, f"{server.url}/307/end", body=b"{}")
    assert response.status == 307
    assert len(server.requests) == 1


async def test_a_redirect_without_an_address_is_the_answer(serve: Serve, make_client: MakeClient) -> None:
    server = await serve(answer(b"choose", 302))
    assert (await make_client(server).send("GET", server.url)).body == b"choose"


async def test_secrets_stay_at_the_first_origin(serve: Serve, make_client: MakeClient) -> None:
    other = await serve(answer(b"other"))

    async def leave(request: Request, writer: asyncio.StreamWriter) -> None:
        where = "/here" if request.target == "/" else f"{other.url}/there"
        await answer(b"", 302, f"Location: {where}")(request, writer)

    server = await serve(leave)
    await make_client(server, other).send(
        "GET", server.url, {"Accept": "text/html", "X-Own": "canary", "Idempotency-Key": "canary"}, b"canary", private_headers=SECRETS
    )
    assert [request.headers["authorization"] for request in server.requests] == ["Bearer canary"] * 2
    [request] = other.requests
    assert "canary" not in str(request.headers) and request.body == b""
    assert set(request.headers) == {"host", "user-agent", "accept-encoding", "accept"}


async def test_secrets_do_not_come_back_after_a_detour(serve: Serve, make_client: MakeClient) -> None:
    first: list[str] = []

    async def back(request: Request, writer: asyncio.StreamWriter) -> None:
        await answer(b"", 302, f"Location: {first[0]}/end")(request, writer)

    async def leave(request: Request, writer: asyncio.StreamWriter) -> None:
        reply = answer(b"end") if request.target == "/end" else answer(b"", 302, f"Location: {other.url}/")
        await reply(request, writer)

    other, server = await serve(back), await serve(leave)
    first.append(server.url)
    await make_client(server, other).send("GET", server.url, private_headers=SECRETS)
    assert "authorization" in server.requests[0].headers
    assert "authorization" not in server.requests[1].headers


async def test_another_name_for_the_same_server_is_another_origin(serve: Serve, make_client: MakeClient) -> None:
    async def rename(request: Request, writer: asyncio.StreamWriter) -> None:
        here = request.headers["host"].startswith("one.test")
        reply = answer(b"", 302, f"Location: http://two.test:{server.port}/") if here else answer(b"end")
        await reply(request, writer)

    server = await serve(rename)
    names = Names(one_test=[["127.0.0.1"]], two_test=[["127.0.0.1"]])
    await make_client(server, resolver=names).send("GET", f"http://one.test:{server.port}/", private_headers=SECRETS)
    assert ["authorization" in request.headers for request in server.requests] == [True, False]


async def test_https_checks_the_name_although_the_address_is_pinned(serve: Serve, make_client: MakeClient, certificate: Path) -> None:
    ours, theirs = tls(certificate)
    server = await serve(answer(b"safe"), tls=ours)
    names = Names(secure_test=[["127.0.0.1"]], wrong_test=[["127.0.0.1"]])
    client = make_client(server, resolver=names, tls=theirs)
    assert (await client.send("GET", f"https://secure.test:{server.port}/")).body == b"safe"
    with pytest.raises(NoAnswer) as caught:
        await client.send("POST", f"https://wrong.test:{server.port}/", body=b"x")
    assert not caught.value.sent
    with pytest.raises(NoAnswer):
        await make_client(server, resolver=names).send("GET", f"https://secure.test:{server.port}/")


async def test_a_redirect_from_https_to_http_is_refused(serve: Serve, make_client: MakeClient, certificate: Path) -> None:
    plain = await serve(answer(b"plain"))
    ours, theirs = tls(certificate)
    server = await serve(answer(b"", 301, f"Location: {plain.url}/"), tls=ours)
    client = make_client(server, plain, resolver=Names(secure_test=[["127.0.0.1"]]), tls=theirs)
    with pytest.raises(PayloadMalformed, match="from https to http"):
        await client.send("GET", f"https://secure.test:{server.port}/")
    assert plain.connections == 0
