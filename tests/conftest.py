"""
Fixtures: a clean environment, the sandbox, a real S3 server, and a server that misbehaves byte by
byte.
"""

from __future__ import annotations

import importlib
import os
import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from aigc_kit.chat import client as chat_client
from aigc_kit.embedding import client as embedding_client
from aigc_kit.image import client as image_client
from aigc_kit.sandbox import Sandbox
from tests.wire import Wire, until

settings.register_profile(
    "ci", deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "long", deadline=None, max_examples=5000, suppress_health_check=list(HealthCheck)
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

collect_ignore = ["foreign_project"]  # tests/testing runs it in an environment of its own

_PREFIXES = (
    "VOLCENGINE_",
    "ARK_",
    "GOOGLE_",
    "GEMINI_",
    "R2_",
    "AWS_",
    "SILICONFLOW_",
    "OPENAI_",
    "DEEPSEEK_",
    "ZAI_",
    "ZHIPU",
    "BIGMODEL_",
    "MOONSHOT_",
    "DASHSCOPE_",
    "SILICONFLOW_",
    "OPENROUTER_",
    "XAI_",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
)


# They take the longest. First, they leave short tests for whichever worker of pytest-xdist is done
# earlier.
SLOW = ("test_faults.py", "test_soak.py", "test_spool.py", "test_first_use.py")
THREAD_SECONDS = 120.0  # how long a thread may take to end: only a leak takes all of it


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slow files first; the others stay in their order."""
    items.sort(key=lambda item: item.path.name not in SLOW)


@pytest.fixture(scope="session", autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Every server that a test opens is closed, and every thread that a client starts ends."""
    before = set(threading.enumerate())
    yield

    def left() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread not in before]

    until(lambda: not left(), THREAD_SECONDS)
    assert left() == []


@pytest.fixture(scope="session", autouse=True)
def sdks_are_imported() -> None:
    """
    Their import takes seconds on a slow machine, and is not part of what a short timeout in a test
    is for.
    """
    for name in ("boto3", "google.genai", "openai"):
        importlib.import_module(name)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key, proxy or profile of this machine reaches a test."""
    for name in list(os.environ):
        if name.upper().startswith(_PREFIXES):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_GCE_CHECK", "true")


@pytest.fixture(autouse=True)
def no_provider_is_left() -> Iterator[None]:
    """What a test registers is there for that test alone."""
    with (
        image_client.registry.restored(),
        chat_client.registry.restored(),
        embedding_client.registry.restored(),
    ):
        yield


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as server:
        yield server


@pytest.fixture
def wire() -> Iterator[Wire]:
    with Wire() as server:
        yield server


@pytest.fixture
def closed_port() -> int:
    """A port without a listener."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """moto's server on a socket; its address."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()
