"""Addresses in every spelling: which may be reached, and how a message shows them."""

from __future__ import annotations

import pytest

from aigc_kit.transport.addresses import forbidden, is_plainly_private, shown


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.1.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:0:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a00:1",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2002:a00:1::",
        "2001:db8::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "fc00::1",
        "fd12::1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "100::1",
        "3fff::1",
        "5f00::1",
        "2001:db8::5efe:127.0.0.1",
    ],
)
def test_private_addresses_are_forbidden(address: str) -> None:
    """Also those that hide an IPv4 address, and those that ``is_global`` calls global."""
    assert forbidden(address)


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.170.2",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd20:ce::254",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::",
        "::169.254.169.254",
    ],
)
def test_metadata_services_are_never_reachable(address: str) -> None:
    """Not even where private hosts are allowed."""
    assert forbidden(address, private_allowed=True) == "a cloud metadata service"


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_public_addresses_pass(address: str) -> None:
    """The guard lets public addresses through."""
    assert forbidden(address) == ""


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0",
        "localhost",
        "LOCALHOST.",
        "a.localhost",
        "printer",
        "db.internal",
        "nas.local",
        "::1",
        "x.home.arpa",
        "169.254.169.254",
    ],
)
def test_names_that_say_they_are_private(host: str) -> None:
    """Decided without a resolver."""
    assert is_plainly_private(host)
    assert not is_plainly_private("assets.example.com")


def test_messages_show_no_query() -> None:
    """Signatures live in queries."""
    assert shown("https://u:p@h/x?sig=secret#f") == "'https://***@h/x'"
    assert len(shown("https://h/" + "x" * 500)) < 130
