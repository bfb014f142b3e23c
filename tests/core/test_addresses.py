from __future__ import annotations

import pytest

from core.addresses import Allowed, Refused, check_port, is_public, parse

PUBLIC = ("93.184.216.34", "8.8.8.8", "2606:2800:220:1::1", "::ffff:8.8.8.8")
INSIDE = (
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "100.64.0.1", "100.127.255.255", "169.254.169.254", "192.0.0.1", "192.0.0.170", "192.0.2.1", "192.88.99.1",
    "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:100.64.0.1",
    "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1", "2002:7f00:1::", "2002:808:808::", "2001::1", "2001:db8::1",
    "100::1", "fc00::1", "fd00::1", "fe80::1", "fe80::1%lo", "fec0::1", "ff02::1",
)  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_public(address):
    assert is_public(address)


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_of_the_inside_is_not_public_whatever_its_shape(address):
    assert not is_public(address)


@pytest.mark.parametrize(
    ("url", "host", "port", "path", "authority"),
    [
        ("https://example.com", "example.com", 443, "/", "example.com"),
        ("http://Example.COM:80/a?b=c#d", "example.com", 80, "/a?b=c", "example.com"),
        ("https://example.com.:8443/", "example.com", 8443, "/", "example.com:8443"),
        ("https://[2606:2800:220:1::1]:444/x", "2606:2800:220:1::1", 444, "/x", "[2606:2800:220:1::1]:444"),
        ("https://bücher.example/%20", "xn--bcher-kva.example", 443, "/%20", None),
        ("http://127。0。0。1/", "127.0.0.1", 80, "/", "127.0.0.1"),
    ],
)
def test_an_address_is_read(url, host, port, path, authority):
    target = parse(url)

    assert (target.host, target.port, target.path) == (host, port, path)
    assert target.authority == (authority or host)


MISSPELLED = (
    "", "example.com", "//example.com", "ftp://example.com", "gopher://127.0.0.1:6379/_PING", "file:///etc/passwd",
    "javascript:alert(1)", "https://", "https:///path", "https://:443/", "https://good@127.0.0.1/",
    "https://good:word@example.com/", "https://@example.com/", "https://example.com:99999/", "https://example.com:-1/",
    "https://example.com:http/", "https://[::1/", "https://[fe80::1%25lo]/", "https://[127.0.0.1]/",
    "https://exa mple.com/", "https://example.com/a b", "https://example.com/a\r\nX: y", "https://example.com/\na",
    "https://example.com\r\n/", " https://example.com/", "https://example.com\\@127.0.0.1/", "https://example.com/\x00",
    "https://example.com/ü", "https://a..b/", "https://-/", "https://exam%70le.com/", "https://*/",
    "https://example.com/" + "x" * 2_000,
)  # fmt: skip


@pytest.mark.parametrize("place", range(len(MISSPELLED)))
def test_what_is_misspelled_or_ambiguous_is_refused(place):
    with pytest.raises(Refused):
        parse(MISSPELLED[place])


@pytest.mark.parametrize("port", [80, 443, 1024, 8080, 8443, 65535])
def test_a_port_of_web_servers_is_called(port):
    check_port(parse(f"https://example.com:{port}/"))


@pytest.mark.parametrize(
    "port", [0, 22, 25, 53, 110, 389, 465, 587, 993, 3306, 5432, 6379, 9042, 11211, 27017]
)
def test_a_port_of_another_service_is_not_called(port):
    with pytest.raises(Refused):
        check_port(parse(f"https://example.com:{port}/"))


def test_a_place_is_allowed_by_name_and_port():
    allowed = Allowed(["hooks.internal:8080", "[::1]:9000"])

    places = ("http://HOOKS.internal:8080/", "http://hooks.internal:8081/", "http://[::1]:9000/")

    assert [allowed.is_place(parse(place)) for place in places] == [True, False, True]


def test_a_network_is_allowed_as_one():
    allowed = Allowed(["10.1.0.0/16", "fd00::/8"])

    assert [allowed.has(one) for one in ("10.1.2.3", "10.2.0.1", "fd00::1", "::1")] == [
        True,
        False,
        True,
        False,
    ]


@pytest.mark.parametrize(
    "entry", ["hooks.internal", "x/8", "10.0.0.1/8", "a@b:80", ":80", "a:b", "a:80/path"]
)
def test_what_is_neither_a_place_nor_a_network_is_refused_without_being_repeated(entry):
    with pytest.raises(ValueError, match=r"^entry 2 is neither host:port nor a network$"):
        Allowed(["10.0.0.0/8", entry])


def test_no_text_about_an_address_repeats_its_path():
    assert "secret" not in repr(parse("https://example.com/secret"))
