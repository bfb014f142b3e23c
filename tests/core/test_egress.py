"""Calling addresses that users gave: nothing inside is reached, and no server can hold or fill us."""

from __future__ import annotations

import gzip
import socket
import threading
import traceback

import pytest
from django.core.exceptions import ValidationError

from core import clock, egress
from core.addresses import Refused
from core.egress import EgressError, NotPublic, TimedOut, Unreachable
from tests.certificates import tls_for
from tests.sinks import PATIENT_S, reply, sink

# Enough for what answers at once, on a machine that is busy; and of what never ends.
SHORT_S = 0.5
CANARY = "CANARY-secret-91c2"
REAL = socket.getaddrinfo


@pytest.fixture
def names(monkeypatch):
    """The name server: names and the answers that they have, one after the other, the last one for ever."""
    known: dict[str, list[list[str]]] = {}

    def resolve(host, port, *args, **options):
        if host in known:
            answers = known[host]
            found = answers.pop(0) if len(answers) > 1 else answers[0]
            return [one for address in found for one in REAL(address, port, *args, **options)]
        try:
            socket.inet_aton(host)
        except OSError:
            options["flags"] = socket.AI_NUMERICHOST
        return REAL(host, port, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return known


@pytest.fixture
def calls(monkeypatch):
    """Every address to which a connection is tried."""
    tried = []
    connect = socket.socket.connect

    def noted(self, address):
        if self.type == socket.SOCK_STREAM:
            tried.append(address[0])
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", noted)
    return tried


@pytest.fixture
def canary(names, calls):
    """A server inside, on every address of loopback."""
    names.update(
        {
            "localhost": [["127.0.0.1", "::1"]],
            "inside.test": [["127.0.0.1"]],
            "both.test": [["93.184.216.34", "127.0.0.1"]],
            "private.test": [["10.0.0.5"]],
            "onetape.test": [["93.184.216.34"]],
        }
    )
    with sink() as one:
        yield one


@pytest.fixture
def allowed(settings):
    """A sink that the operator allows."""
    settings.EGRESS_ALLOW = ["127.0.0.0/8"]


def post(url, **options):
    return egress.post(url, b"{}", {}, **{"budget_s": PATIENT_S, **options})


LOOPBACK = (
    "127.0.0.1", "localhost", "LOCALHOST", "localhost.", "127.1", "2130706433", "0x7f.1", "0x7f000001", "017700000001",
    "0.0.0.0", "0", "127.255.255.254", "127。0。0。1", "①②⑦.0.0.1", "[::1]", "[0:0:0:0:0:0:0:1]", "[::]",
    "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::7f00:1]", "inside.test", "both.test",
)  # fmt: skip
ELSEWHERE = (
    "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "224.0.0.1", "[ff02::1]", "100.64.0.1", "169.254.169.254",
    "[fd00::1]", "[fe80::1]", "10.0.0.1", "172.16.0.1", "192.168.0.1", "private.test", "nowhere.test",
)  # fmt: skip
SPELLINGS = (
    "http://good@127.0.0.1:{port}/", "https://good:word@127.0.0.1:{port}/", "gopher://127.0.0.1:{port}/_GET",
    "file:///etc/passwd", "ftp://127.0.0.1:{port}/", "//127.0.0.1:{port}/", "http://127.0.0.1:{port}\\@example.com/",
    "http://127.0.0.1:{port}/a\r\nX-Other: 1", "http://127.0.0.1:{port}\r\nHost: example.com/", "\thttp://127.0.0.1:{port}/",
)  # fmt: skip


@pytest.mark.parametrize("host", [*LOOPBACK, *ELSEWHERE])
def test_no_spelling_leads_inside(host, canary, calls):
    with pytest.raises(NotPublic):
        post(f"http://{host}:{canary.port}/")

    assert (canary.connections, calls) == (0, [])


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("127.0.0.1", egress.ONLY_PUBLIC),
        ("192.168.0.1", egress.ONLY_PUBLIC),
        ("[fd00::1]", egress.ONLY_PUBLIC),
        ("inside.test", egress.NOT_PUBLIC),
        ("both.test", egress.NOT_PUBLIC),
        ("nowhere.test", egress.NOT_PUBLIC),
    ],
)
def test_only_an_address_that_says_so_itself_is_called_private(host, words, canary):
    with pytest.raises(NotPublic) as told:
        post(f"http://{host}:{canary.port}/")

    assert str(told.value) == words


@pytest.mark.parametrize("place", range(len(SPELLINGS)))
def test_an_address_in_a_strange_spelling_is_not_called(place, canary, calls):
    with pytest.raises(Refused):
        post(SPELLINGS[place].format(port=canary.port))

    assert (canary.connections, calls) == (0, [])


@pytest.mark.parametrize("host", [*LOOPBACK, *ELSEWHERE])
def test_none_of_them_can_be_saved(host, canary, calls):
    with pytest.raises(ValidationError):
        egress.validate(f"http://{host}:{canary.port}/")

    assert calls == []


@pytest.mark.parametrize("port", [22, 25, 5432, 6379])
def test_a_port_of_another_service_is_not_called(port, names, calls):
    names["public.test"] = [["93.184.216.34"]]

    with pytest.raises(Refused):
        post(f"http://public.test:{port}/")

    assert calls == []


def test_the_canary_notices_when_the_rule_is_missing(canary, monkeypatch):
    monkeypatch.setattr(egress, "_may_be_called", lambda *_: True)

    for host in ("127.0.0.1", "127.1", "[::1]", "inside.test"):
        post(f"http://{host}:{canary.port}/")

    assert canary.connections == 4


@pytest.mark.parametrize(
    "url", ["http://onetape.test/", "http://ONETAPE.test:8001/", "https://www.onetape.test/"]
)
def test_our_own_names_are_not_called(url, canary, calls, settings):
    settings.PUBLIC_URL = "https://onetape.test"
    settings.ALLOWED_HOSTS = ["www.onetape.test", ".example.com", "*", "[::1]"]

    with pytest.raises(Refused):
        post(url)

    assert calls == []


def test_a_public_address_of_this_machine_is_not_called(canary, calls, monkeypatch):
    monkeypatch.setattr(egress, "is_public", lambda _: True)

    with pytest.raises(NotPublic):
        post(f"http://inside.test:{canary.port}/")

    assert (canary.connections, calls) == (0, [])


def test_an_answer_that_changes_between_saving_and_calling_leads_nowhere(canary, calls, names):
    names["rebind.test"] = [["93.184.216.34"], ["127.0.0.1"]]

    egress.validate(f"http://rebind.test:{canary.port}/")
    with pytest.raises(NotPublic):
        post(f"http://rebind.test:{canary.port}/")

    assert (canary.connections, calls) == (0, [])


def test_a_name_is_resolved_once_and_called_where_it_was_checked(canary, calls, names, settings):
    settings.EGRESS_ALLOW = ["127.0.0.2/32"]
    names["rebind.test"] = [["127.0.0.2"], ["127.0.0.1"]]

    assert post(f"http://rebind.test:{canary.port}/").is_success

    assert calls == ["127.0.0.2"]


def test_a_redirect_is_an_answer_like_another(canary, allowed, calls):
    with sink(reply("302 Found", Location=canary.url)) as one:
        answer = post(one.url)

    assert (answer.status, answer.is_success, canary.connections) == (302, False, 0)


def test_the_operator_may_allow_a_place(settings):
    with sink() as one, sink() as other:
        settings.EGRESS_ALLOW = [f"127.0.0.1:{one.port}"]

        assert post(one.url).is_success
        with pytest.raises(NotPublic):
            post(other.url)

    assert other.connections == 0


def test_the_request_is_ours_and_whole(allowed):
    with sink() as one:
        egress.post(one.url + "?a=b", b"x" * 100_000, {"X-Key": "k"})

        got = one.next()

    assert got.line == "POST /hook?a=b HTTP/1.1"
    assert got.headers == {
        "host": f"127.0.0.1:{one.port}",
        "user-agent": "onetape",
        "accept-encoding": "identity",
        "content-length": "100000",
        "x-key": "k",
        "connection": "close",
    }
    assert got.body == b"x" * 100_000


def test_the_next_address_is_called_when_one_is_down(allowed, names, calls):
    with sink() as one:
        names["two.test"] = [["127.0.0.3", "127.0.0.1"]]
        connect = socket.socket.connect

        def down(self, address):
            if address[0] == "127.0.0.3":
                calls.append(address[0])
                raise ConnectionRefusedError
            return connect(self, address)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(socket.socket, "connect", down)
            assert post(f"http://two.test:{one.port}/").is_success

    assert calls == ["127.0.0.3", "127.0.0.1"]


def test_a_certificate_is_checked_against_the_name_not_the_address(tmp_path, names, settings, monkeypatch):
    server, client = tls_for("hooks.test", tmp_path)
    monkeypatch.setattr(egress, "_tls", lambda: client)
    names.update({"hooks.test": [["127.0.0.1"]], "other.test": [["127.0.0.1"]]})
    settings.EGRESS_ALLOW = ["127.0.0.0/8"]
    with sink(tls=server) as one:
        assert post(f"https://hooks.test:{one.port}/").is_success
        got = one.next()
        with pytest.raises(Unreachable, match="certificate"):
            post(f"https://other.test:{one.port}/")

    assert (got.server_name, got.headers["host"]) == ("hooks.test", f"hooks.test:{one.port}")


def test_a_certificate_that_nobody_knows_is_refused(tmp_path, names, settings):
    server, _ = tls_for("hooks.test", tmp_path)
    names["hooks.test"] = [["127.0.0.1"]]
    settings.EGRESS_ALLOW = ["127.0.0.0/8"]
    with sink(tls=server) as one, pytest.raises(Unreachable, match="certificate"):
        post(f"https://hooks.test:{one.port}/")

    assert one.is_empty()


def drip(*parts):
    """Says the parts at once and then a byte now and again, for ever."""

    def misbehave(connection, ended):
        for part in parts:
            connection.sendall(part)
        while not ended.wait(0.02):
            connection.sendall(b"a")

    return misbehave


def flood(*parts, endless):
    def misbehave(connection, ended):
        for part in parts:
            connection.sendall(part)
        while not ended.is_set():
            connection.sendall(endless)

    return misbehave


@pytest.mark.parametrize(
    "misbehave",
    [
        lambda _connection, ended: ended.wait(),
        drip(),
        drip(b"HTTP/1.1 200 OK\r\nX-Long: "),
    ],
    ids=["silence", "a byte now and again", "a header without end"],
)
def test_a_head_that_does_not_end_costs_no_more_than_the_budget(misbehave, allowed):
    with sink(misbehave=misbehave) as one, pytest.raises(TimedOut):
        post(one.url, budget_s=SHORT_S)


def test_a_server_that_does_not_take_the_request_costs_no_more_than_the_budget(allowed):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(TimedOut):
            egress.post(url, b"x" * 50_000_000, {}, budget_s=SHORT_S)


def test_a_handshake_that_does_not_end_costs_no_more_than_the_budget(allowed):
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(TimedOut):
        post(f"https://127.0.0.1:{listener.getsockname()[1]}/", budget_s=SHORT_S)


def test_a_name_server_that_is_silent_costs_no_more_than_the_budget(monkeypatch):
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(PATIENT_S))
    try:
        with pytest.raises(TimedOut):
            post("http://slow.test/", budget_s=SHORT_S)
    finally:
        over.set()


def test_of_a_success_nothing_but_the_head_is_read(allowed):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n"
    with sink(misbehave=drip(head)) as one:
        answer = post(one.url)

    assert (answer.status, answer.body) == (200, b"")


def test_a_body_that_does_not_end_is_cut_and_the_status_counts(allowed, monkeypatch):
    passed, monotonic, body_of = [0.0], clock.monotonic, egress._body_of

    def late(response):
        passed[0] = PATIENT_S - SHORT_S
        return body_of(response)

    monkeypatch.setattr(clock, "monotonic", lambda: monotonic() + passed[0])
    monkeypatch.setattr(egress, "_body_of", late)
    head = b"HTTP/1.1 500 Oops\r\nContent-Length: 10000000000\r\n\r\n"
    with sink(misbehave=drip(head + b"aaa")) as one:
        answer = post(one.url)

    assert (answer.status, set(answer.body)) == (500, {ord("a")})


@pytest.mark.parametrize(
    "head",
    [b"Content-Length: 10000000000\r\n\r\n", b"\r\n", b"Transfer-Encoding: chunked\r\n\r\nffffffff\r\n"],
    ids=["10 GB", "no length", "chunked"],
)
def test_no_more_than_64_kb_of_an_answer_are_read(head, allowed):
    with sink(misbehave=flood(b"HTTP/1.1 500 Oops\r\n" + head, endless=b"b" * 65_536)) as one:
        answer = post(one.url)
        assert one.ended.wait(PATIENT_S)

    assert (answer.status, set(answer.body)) == (500, {ord("b")})
    assert 60_000 < len(answer.body) < egress.MAX_BYTES


def test_a_packed_body_is_not_unpacked(allowed):
    bomb = gzip.compress(b"0" * 10_000_000)
    with sink(reply("500 Oops", bomb, Content_Encoding="gzip")) as one:
        assert post(one.url).body == bomb


@pytest.mark.parametrize(
    "said",
    [b"", b"hello\r\n\r\n", b"HTTP/1.1 many\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1_000 + b"\r\n"],
    ids=["nothing", "no HTTP", "no number", "a thousand headers"],
)
def test_what_is_no_answer_is_told_as_that(said, allowed):
    with sink(said) as one, pytest.raises(Unreachable):
        post(one.url)


def test_promises_without_end_are_no_answer(allowed):
    endless = b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000
    with sink(misbehave=flood(endless=endless)) as one, pytest.raises(Unreachable):
        post(one.url)


def test_nobody_at_home_is_told_as_that(allowed):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"

    with pytest.raises(Unreachable):
        post(url)


@pytest.mark.parametrize(
    "url",
    [
        f"http://127.0.0.1:1/{CANARY}",
        f"http://{CANARY}.test/{CANARY}",
        f"http://x:{CANARY}@127.0.0.1/",
        f"http://127.0.0.1:{CANARY}/",
        f"http://127.0.0.1/{CANARY} x",
        f"https://127.0.0.1:8080/{CANARY}",
    ],
    ids=range(6),
)
def test_no_failure_tells_the_address(url, allowed, names):
    with pytest.raises((Refused, EgressError)) as raised:
        egress.post(url, CANARY.encode(), {"X-Key": CANARY}, budget_s=PATIENT_S)

    waiting = [raised.value]
    while waiting:
        one = waiting.pop()
        assert CANARY not in f"{one!r} {one.args!r} {''.join(traceback.format_exception(one))}"
        waiting += [link for link in (one.__cause__, one.__context__) if link is not None]


def test_a_proxy_of_the_environment_is_not_used(allowed, monkeypatch):
    with sink() as proxy, sink() as one:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")

        assert post(one.url).is_success

    assert proxy.connections == 0


def test_every_address_of_a_name_is_looked_at(names, monkeypatch, calls):
    asked = []
    judge = egress._may_be_called
    monkeypatch.setattr(
        egress, "_may_be_called", lambda family, place: asked.append(place[0]) or judge(family, place)
    )
    names["many.test"] = [["93.184.216.34", "8.8.8.8", "10.0.0.1"]]

    with pytest.raises(NotPublic):
        post("http://many.test/")

    assert (asked, calls) == (["93.184.216.34", "8.8.8.8", "10.0.0.1"], [])
