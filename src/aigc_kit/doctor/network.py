"""The way out: proxies and certificates."""

from __future__ import annotations

import importlib.util
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from aigc_kit.doctor.findings import Context, Finding, offline, path_at
from aigc_kit.settings import variable
from aigc_kit.transport.proxies import Proxies, variable_of


@offline("proxies")
def proxies(context: Context) -> Iterator[Finding]:
    """What requests go through, without passwords."""
    found = Proxies.read()
    for scheme, url in found.by_scheme:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:  # the text may hold a password, so it is not shown
            values = {"variable": variable_of(scheme, url)}
            yield Finding("error", "proxy_bad", "network", values)
            continue
        where = f"{parts.scheme}://{parts.hostname or ''}" + (f":{port}" if port else "")
        values = {"variable": variable_of(scheme, url), "proxy": where}
        yield Finding("info", "proxy", "network", values)
        if parts.scheme not in ("http", "https", "socks5", "socks5h"):
            yield Finding("error", "proxy_scheme", "network", values)
        elif parts.scheme.startswith("socks") and importlib.util.find_spec("socksio") is None:
            yield Finding("error", "proxy_socks", "network", values)
        if not parts.hostname:
            yield Finding("error", "proxy_bad", "network", values)


@offline("certificates")
def certificates(context: Context) -> Iterator[Finding]:
    """Whether there are roots to trust, and the files that variables name."""
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE", "SSL_CERT_DIR"):
        path = variable(name)
        if not path:
            continue
        there = path_at(path)
        if there is None or not there.exists():
            yield Finding(
                "error", "certificates_missing", "network", {"variable": name, "path": path[:200]}
            )
            continue
        try:
            if there.is_file():
                ssl.create_default_context(cafile=path)
        except (ssl.SSLError, OSError):
            yield Finding(
                "error", "certificates_broken", "network", {"variable": name, "path": path}
            )
            continue
        yield Finding("info", "certificates_own", "network", {"variable": name, "path": path})
    paths = ssl.get_default_verify_paths()
    found = [path for path in (paths.cafile, paths.capath) if path and path_at(path)]
    found = [path for path in found if Path(path).exists()]
    if found or ssl.create_default_context().get_ca_certs():
        yield Finding("ok", "certificates", "network", {"path": found[0] if found else "-"})
    elif not variable("SSL_CERT_FILE", "SSL_CERT_DIR"):
        yield Finding("error", "certificates_none", "network")
