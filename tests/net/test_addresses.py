"""Every form of an address that is not public, directly and behind a redirect: no connection is opened."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import httpcore2
import pytest

from smhub.net import AddressRefused, AllowList, Client, is_public
from smhub.net.guard import DANGEROUS_PORTS, GuardedBackend
from smhub.sdk.errors import ConfigInvalid, ConnectorError, PayloadMalformed, Transient
from smhub.time import StandingClock

from .conftest import CountingBackend, MakeClient, Names, Request, Serve, answer

LINES = [line.strip() for line in Path(__file__).with_name("addresses.txt").read_text("utf-8").splitlines()]
FORMS = [line for line in LINES if line and not line.startswith("#")]
BOOK = {
    name.strip(): [[one.strip() for one in addresses.split(",") if one.strip()]]
    for name, _, addresses in (line[2:].partition("=") for line in LINES if line.startswith("#!"))
}


def names() -> Names:
    found = Names()
    found.book = {name: list(answers) for name, answers in BOOK.items()}
    return found


def test_the_corpus_is_large_enough() -> None:
    assert len(set(FORMS)) == len(FORMS) >= 160


async def test_no_form_opens_a_connection(serve: Serve, clock: StandingClock) -> None:
    four, six = await serve(answer(b"secret")), await serve(answer(b"secret"), host="::1")
    backend = CountingBackend()
    client = Client(AllowList(), clock, names(), backend=backend)
    kinds: dict[str, list[str]] = {}
    for form in FORMS:
        for port in (four.port, six.port):
            with pytest.raises((ConfigInvalid, Transient)) as caught:
                await client.send("GET", f"http://{form}:{port}/", deadline=1)
            kinds.setdefault(type(caught.value).__name__, []).append(form)
    assert backend.calls == []
    assert four.connections == six.connections == 0
    assert len(kinds["AddressRefused"]) > 250
    assert set(kinds["NoAnswer"]) == {"nothing.test", "٣٢٣٢٢٣٥٥٢١", "example.com/../@127.0.0.1:1/"}  # names that nobody has
    await client.aclose()


async def test_the_system_resolver_is_guarded_too(serve: Serve, clock: StandingClock) -> None:
    server = await serve(answer(b"secret"))
    client = Client(AllowList(), clock)
    for form in ("localhost", "127.1", "0x7f.1", "2130706433", "017700000001", "127.0.0.1"):
        with pytest.raises(AddressRefused):
            await client.send("GET", f"http://{form}:{server.port}/")
    assert server.connections == 0
    await client.aclose()


async def test_no_redirect_leads_to_a_refused_address(serve: Serve, make_client: MakeClient) -> None:
    """One allowed server redirects to every form; another, at 127.0.0.1 too but with another port, waits in vain."""
    hidden = await serve(answer(b"secret"))

    async def redirect(request: Request, writer: asyncio.StreamWriter) -> None:
        form = FORMS[int(request.target.strip("/"))]
        location = f"http://{form}:{hidden.port}/".encode()
        writer.write(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n")

    entry = await serve(redirect)
    backend = CountingBackend()
    client = make_client(entry, resolver=names(), backend=backend)
    for number in range(len(FORMS)):
        with pytest.raises((AddressRefused, PayloadMalformed, Transient)):
            await client.send("GET", f"{entry.url}/{number}", deadline=1)
    assert hidden.connections == 0
    assert set(backend.calls) == {("127.0.0.1", entry.port)}


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "gopher://x/", "javascript:alert(1)", "http://u:p@example.com/", "http://["]
)
async def test_redirects_to_other_schemes_are_malformed(serve: Serve, make_client: MakeClient, location: str) -> None:
    server = await serve(answer(b"", 302, f"Location: {location}"))
    with pytest.raises(PayloadMalformed):
        await make_client(server).send("GET", server.url)


async def test_a_name_that_changes_its_mind_is_resolved_once_for_each_connection(serve: Serve, clock: StandingClock) -> None:
    server = await serve(answer(b"ok", close=True))
    backend = CountingBackend()
    book = Names(rebind_test=[["127.0.0.1"], ["127.0.0.2"], ["10.0.0.1"]])
    client = Client(AllowList.parse(f"127.0.0.1/32:{server.port}"), clock, book, backend=backend)
    url = f"http://rebind.test:{server.port}/"
    assert (await client.send("GET", url)).body == b"ok"
    assert book.asked == ["rebind.test"]
    assert backend.calls == [("127.0.0.1", server.port)]
    for _ in range(2):
        with pytest.raises(AddressRefused):
            await client.send("GET", url)
    assert len(backend.calls) == 1
    await client.aclose()


async def test_the_refusal_names_host_and_setting_but_not_the_address(clock: StandingClock) -> None:
    client = Client(AllowList(), clock, Names(intern_example=[["10.20.30.40"]]))
    with pytest.raises(AddressRefused) as caught:
        await client.send("GET", "http://intern.example/hidden?token=canary")
    text = f"{caught.value} {caught.value!r} {caught.value.args}"
    assert "intern.example" in text and "SMHUB_ALLOW_PRIVATE_HOSTS" in text
    assert "10.20" not in text and "canary" not in text
    assert isinstance(caught.value, ConnectorError) and not caught.value.retry
    await client.aclose()


async def test_a_host_may_be_allowed_by_name_network_or_bracketed_address(serve: Serve, clock: StandingClock) -> None:
    four, six = await serve(answer(b"4")), await serve(answer(b"6"), host="::1")
    for allow, url in (
        (f"intern.test:{four.port}", f"http://Intern.TEST:{four.port}/"),
        (f"127.0.0.0/8:{four.port}, [fd00::/8]:443", f"http://intern.test:{four.port}/"),
        (f"127.0.0.1:{four.port}", f"http://127.0.0.1:{four.port}/"),
        (f"[::1]:{six.port}", f"http://[::1]:{six.port}/"),
    ):
        client = Client(AllowList.parse(allow), clock, Names(intern_test=[["127.0.0.1"]]))
        assert (await client.send("GET", url)).body in (b"4", b"6")
        await client.aclose()
    client = Client(AllowList.parse("127.0.0.1:1"), clock)
    with pytest.raises(AddressRefused):
        await client.send("GET", four.url)
    await client.aclose()


@pytest.mark.parametrize(
    "text",
    [
        "example.com",
        "example.com:",
        "example.com:0",
        "example.com:65536",
        ":80",
        "::1:80",
        "fd00::/8:443",
        "[::1]",
        "[127.0.0.1]:80",
        "10.0.0.1/8:80",
        "10.0.0.0/33:80",
        "300.1.1.1:80",
        "127.1:80",
        "http://a.example:80",
        "a b:80",
        "münchen.de:80",
        "*:80",
        "[x]:80",
    ],
)
def test_a_wrong_allow_list_is_refused_with_the_entry(text: str) -> None:
    with pytest.raises(ValueError, match="'") as caught:
        AllowList.parse(f"good.example:443, {text}")
    assert repr(text) in str(caught.value)


def test_an_empty_allow_list_allows_nothing() -> None:
    assert AllowList.parse("") == AllowList.parse(" , ") == AllowList()


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.167.0.1",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2606:4700::1111",
        "2a00:1450:4001::1",
        "2001:4860:4860::8888",
        "2001:200::1",
    ],
)
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", ["", "example.com", "fe80::1%lo", "2606:4700::1%lo", "1.2.3", "256.1.1.1"])
def test_what_is_no_plain_address_is_not_public(address: str) -> None:
    assert not is_public(address)


class Nowhere(CountingBackend):
    """Notes the call and refuses: public addresses are not called by tests."""

    async def connect_tcp(self, host: str, port: int, *args: object, **more: object) -> httpcore2.AsyncNetworkStream:
        self.calls.append((host, port))
        raise httpcore2.ConnectError("nowhere")


async def test_ports_of_other_services_are_refused_even_on_public_hosts() -> None:
    inner = Nowhere()
    guard = GuardedBackend(AllowList.parse("mail.example:25"), Names(mail_example=[["1.1.1.1"]], web_example=[["1.1.1.1"]]), inner)
    assert {22, 25, 465, 587, 110, 143, 993, 995, 3306, 5432, 6379, 11211, 27017} <= DANGEROUS_PORTS
    assert not {80, 443, 8080, 8443, 3000, 8000} & DANGEROUS_PORTS
    for port in DANGEROUS_PORTS:
        with pytest.raises(AddressRefused, match=f"port {port} "):
            await guard.connect_tcp("web.example", port)
    assert inner.calls == []
    for host, port in (("mail.example", 25), ("web.example", 8443), ("web.example", 443)):
        with pytest.raises(httpcore2.ConnectError):
            await guard.connect_tcp(host, port)
    assert inner.calls == [("1.1.1.1", 25), ("1.1.1.1", 8443), ("1.1.1.1", 443)]


async def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    inner = Nowhere()
    addresses: Sequence[str] = ["2606:4700::1", "1.1.1.1", "1.1.1.1", "1.0.0.1", "1.1.1.2", "1.1.1.3"]
    with pytest.raises(httpcore2.ConnectError):
        await GuardedBackend(AllowList(), Names(many_example=[addresses]), inner).connect_tcp("many.example", 443)
    assert [host for host, _ in inner.calls] == ["2606:4700::1", "1.1.1.1", "1.0.0.1", "1.1.1.2"]


async def test_unix_sockets_are_refused() -> None:
    with pytest.raises(AddressRefused):
        await GuardedBackend(AllowList()).connect_unix_socket("/run/docker.sock")
