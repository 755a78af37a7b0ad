"""The machine's proxy settings, in every form in which real machines have them."""

from __future__ import annotations

import pytest

from aigc_kit.transport.proxies import Proxies


@pytest.mark.parametrize(
    ("variables", "url", "proxy"),
    [
        ({}, "https://a.example/x", ""),
        ({"HTTPS_PROXY": "proxy.example:3128"}, "https://a.example/x", "http://proxy.example:3128"),
        ({"HTTPS_PROXY": "proxy.example:3128"}, "http://a.example/x", ""),
        ({"https_proxy": "http://p:1"}, "https://a.example/x", "http://p:1"),
        (
            {"ALL_PROXY": "socks://127.0.0.1:7891/", "HTTP_PROXY": "http://p:1"},
            "http://a.example",
            "http://p:1",
        ),
        ({"ALL_PROXY": "socks://127.0.0.1:7891/"}, "https://a.example", "socks5://127.0.0.1:7891/"),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "*"}, "https://a.example", ""),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "a.example"}, "https://a.example", ""),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "a.example"}, "https://b.a.example", ""),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "a.example"}, "https://ba.example", "http://p:1"),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": ".corp.example"}, "https://x.corp.example", ""),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "*.corp.example"}, "https://x.corp.example", ""),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "[::1]"}, "http://[::1]:8000/v1", ""),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "::1"}, "http://[::1]:8000/v1", ""),
        (
            {"ALL_PROXY": "http://p:1", "NO_PROXY": "[::1]:9000"},
            "http://[::1]:8000/v1",
            "http://p:1",
        ),
        (
            {"ALL_PROXY": "http://p:1", "NO_PROXY": "localhost,127.0.0.0/8,::1"},
            "http://127.0.0.1:8000/v1",
            "",
        ),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8"}, "http://11.0.0.1/", "http://p:1"),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "a.example:8080"}, "http://a.example:8080/", ""),
        (
            {"ALL_PROXY": "http://p:1", "NO_PROXY": "a.example:8080"},
            "http://a.example:81/",
            "http://p:1",
        ),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "x.example a.example"}, "http://a.example/", ""),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "https://a.example"}, "https://a.example/", ""),
    ],
)
def test_a_request_takes_the_proxy_that_the_variables_name(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], url: str, proxy: str
) -> None:
    """Of its scheme, else the one for all; none for hosts, networks and ports that are excepted."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert Proxies.read().proxy_for_url(url) == proxy
