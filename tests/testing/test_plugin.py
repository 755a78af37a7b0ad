"""The plugin in a foreign project: the built wheel in an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "tests" / "foreign_project"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    The interpreter of an environment with the wheel; what it depends on is found in ours, so that
    nothing is downloaded.
    """
    folder = tmp_path_factory.mktemp("foreign")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [wheel] = folder.glob("aigc_kit-*.whl")
    venv.create(folder / "env", with_pip=True, symlinks=True)
    own = folder / "env" / "bin" / "python"
    install = [str(own), "-m", "pip", "install", "--no-index", "--no-deps", "--quiet", str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    [site] = (folder / "env" / "lib").glob("python*/site-packages")
    # A line of a .pth file: the .pth files of that folder, among them ours, are not read.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return own


def run(python: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(python), "-m", "pytest", "-p", "no:cacheprovider", "-rA", *arguments]
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST", "COV", "OPENAI", "DEEPSEEK", "GEMINI", "GOOGLE"))
    }
    return subprocess.run(
        command, cwd=PROJECT, capture_output=True, text=True, env=env, check=False
    )


def test_the_wheel_itself_is_imported(python: Path) -> None:
    where = [str(python), "-c", "import aigc_kit; print(aigc_kit.__file__)"]
    done = subprocess.run(where, capture_output=True, text=True, check=True, cwd=PROJECT)
    assert Path(done.stdout.strip()).is_relative_to(python.parents[1])


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_an_application_is_tested_unchanged(python: Path, workers: tuple[str, ...]) -> None:
    done = run(python, "--strict-markers", *workers)
    assert "5 passed, 1 failed" in done.stdout or "1 failed, 5 passed" in done.stdout, done.stdout
    said = "this test would have reached api.deepseek.com: use the aigc_sandbox fixture"
    assert said in done.stdout


def test_the_option_guards_every_test(python: Path) -> None:
    done = run(python, "--aigc-no-network", "-k", "description or another_sdk")
    assert "2 passed" in done.stdout, done.stdout


def test_an_allowed_host_is_named_in_the_marker(python: Path, tmp_path: Path) -> None:
    test = tmp_path / "test_host.py"
    test.write_text(
        "import pytest, socket\n"
        "@pytest.mark.aigc_no_network('vendor.invalid')\n"
        "def test_it():\n"
        "    with pytest.raises(socket.gaierror):\n"
        "        socket.getaddrinfo('vendor.invalid', 443)\n"
        "    with pytest.raises(OSError, match='would have reached other.invalid'):\n"
        "        socket.getaddrinfo('other.invalid', 443)\n"
    )
    done = run(python, str(test))
    assert "1 error" in done.stdout, "what the application swallowed is told all the same"
    assert "other.invalid" in done.stdout
    assert "reached vendor.invalid" not in done.stdout


def test_no_way_around_the_guard(python: Path, tmp_path: Path) -> None:
    """A proxy of this machine, as Clash is, would reach the vendors."""
    test = tmp_path / "test_ways.py"
    test.write_text(
        "import os, pytest, socket\n"
        "os.environ['HTTPS_PROXY'] = os.environ['all_proxy'] = 'http://127.0.0.1:7890'\n"
        "@pytest.mark.aigc_no_network\n"
        "def test_proxies():\n"
        "    assert 'HTTPS_PROXY' not in os.environ and 'all_proxy' not in os.environ\n"
        "def test_they_are_there_again():\n"
        "    assert os.environ['HTTPS_PROXY'] == os.environ['all_proxy']\n"
        "@pytest.mark.aigc_no_network\n"
        "@pytest.mark.parametrize('way', ['connect', 'connect_ex', 'sendto'])\n"
        "def test_it(way):\n"
        "    kind = socket.SOCK_DGRAM if way == 'sendto' else socket.SOCK_STREAM\n"
        "    with socket.socket(socket.AF_INET, kind) as made:\n"
        "        given = (b'x',) if way == 'sendto' else ()\n"
        "        with pytest.raises(OSError, match='would have reached 192.0.2.1'):\n"
        "            getattr(made, way)(*given, ('192.0.2.1', 53))\n"
    )
    done = run(python, str(test))
    assert "5 passed" in done.stdout, done.stdout
    assert "3 errors" in done.stdout, "each of them is told"


def test_the_plugin_costs_nothing_until_it_is_used() -> None:
    script = (
        "import sys, aigc_kit.testing.plugin\n"
        "print([n for n in ('aigc_kit.sandbox', 'httpx', 'PIL') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
