"""Addresses of receivers: which are taken, in which form, and which are refused and why."""

import pytest

from serving.orders.webhooks.webhook_addresses import (
    STRICT,
    AddressRefusedError,
    AddressRules,
    parse,
    resolve,
)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://example.com", "https://example.com/"),
        ("HTTPS://Example.COM:443/A?b=1", "https://example.com/A?b=1"),
        ("https://example.com.:8443/x", "https://example.com:8443/x"),
        ("https://b\u00fccher.example/x", "https://xn--bcher-kva.example/x"),
        ("https://[2001:4860:4860:0000::8888]/x", "https://[2001:4860:4860::8888]/x"),
        ("https://example.com/%E8%AE%A2?q=%20", "https://example.com/%E8%AE%A2?q=%20"),
    ],
)
def test_an_address_has_one_form(given, kept):
    assert str(parse(given, STRICT)) == kept
    assert str(parse(kept, STRICT)) == kept


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://example.com/x", "must be https"),
        ("https://example.com:99999/x", "no address"),
        ("https://example.com:0/x", "port 0"),
        ("https://[::1", "no address"),
        ("https://example.com/\u8ba2\u5355", "percent-encode"),
        ("https://example.com/a b", "percent-encode"),
        (f"https://{'a' * 70}.example.com/", "is no name"),
        (f"https://{'.'.join(['abcdefgh'] * 40)}/", "is no name"),
        ("https://-bad.example/", "is no name"),
        ("https://bad..example/", "is no name"),
        ("https://under_score.example/", "is no name"),
        ("https://127.1/", "neither a name nor an IP"),
        ("https://0x7f000001/", "neither a name nor an IP"),
        ("https://user:word@example.com/", "user name or a password"),
        ("https://example.com/#part", "fragment"),
        ("https:///x", "only http and https"),
        ("ftp://example.com/", "only http and https"),
        (f"https://example.com/{'x' * 500}", "more than 500"),
    ],
)
def test_what_is_no_address_is_refused_with_the_reason(url, why):
    with pytest.raises(AddressRefusedError, match=why):
        parse(url, STRICT)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "::1",
        "fe80::1%eth0",
        "fd00::1",
        "::ffff:127.0.0.1",
    ],
)
def test_no_name_may_lead_into_the_own_network(address):
    found = parse("https://example.com/", STRICT)
    # One public address beside it changes nothing: the next look-up may answer in another order.
    with pytest.raises(AddressRefusedError, match="inside the own network"):
        resolve(found, STRICT, lambda *_: ["93.184.216.34", address])
    assert resolve(found, AddressRules(private=True), lambda *_: [address]) == address


def test_a_name_that_nobody_knows_is_refused():
    def unknown(*_):
        raise OSError("unknown name")

    with pytest.raises(AddressRefusedError, match="cannot be looked up"):
        resolve(parse("https://example.com/", STRICT), STRICT, unknown)


def test_an_operator_may_allow_http():
    assert str(parse("http://example.com:80/x", AddressRules(http=True))) == "http://example.com/x"
