"""
The pytest plugin: ``aigc_sandbox``, ``aigc_storage``, and a guard against real vendors.

It is loaded in every pytest run of an environment that has this package, so that nothing is
imported here until a fixture is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from aigc_kit.sandbox import Sandbox
    from aigc_kit.storage import LocalStorage

_MARK = "aigc_no_network"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("aigc-kit")
    what = "fail a test that would reach a host other than this machine through aigc-kit"
    group.addoption("--aigc-no-network", action="store_true", help=what)
    parser.addini(_MARK, what, type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        f"{_MARK}(*hosts): through aigc-kit, only this machine and these hosts are reached",
    )


@pytest.fixture(scope="session")
def _aigc_server() -> Iterator[Sandbox]:
    """One server for the session; under pytest-xdist one for each worker."""
    from aigc_kit.sandbox import Sandbox

    with Sandbox() as box:
        yield box


@pytest.fixture
def aigc_sandbox(_aigc_server: Sandbox) -> Iterator[Sandbox]:
    """
    The sandbox, with the environment set: clients and SDKs that the application makes itself go
    there. Each test begins without requests, scripts and stored files.
    """
    _aigc_server.reset()
    _aigc_server.files.clear()
    with _aigc_server.environment():
        yield _aigc_server


@pytest.fixture
def aigc_storage(tmp_path: Path) -> LocalStorage:
    """A store in a folder of this test."""
    from aigc_kit.storage import LocalStorage

    return LocalStorage(tmp_path / "aigc_storage")


@pytest.fixture(autouse=True)
def _aigc_guard(request: pytest.FixtureRequest) -> Iterator[None]:
    """Refuses connections to other hosts where that was asked for."""
    mark = request.node.get_closest_marker(_MARK)
    config = request.config
    if mark is None and not (config.getoption(_MARK) or config.getini(_MARK)):
        yield
        return
    from aigc_kit.testing.guard import Guard

    with Guard(mark.args if mark else ()) as guard:
        yield
    if guard.refused:
        pytest.fail("\n".join(guard.refused), pytrace=False)
