"""What every test may lean on: its own compile cache, golden files, repeatable examples."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

GOLDEN = Path(__file__).parent / "golden"

# A first example may wait for a C compiler, so there is no deadline.
hypothesis.settings.register_profile("local", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")

_cache_folder = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="rewrite the golden files; review the diff"
    )


def pytest_configure(config: pytest.Config) -> None:
    # Workers of xdist inherit the variable from the process that started them: one cache a session.
    if not hasattr(config, "workerinput"):
        config.stash[_cache_folder] = tempfile.mkdtemp(prefix="graphc-tests-")
        os.environ["GRAPHC_CACHE_DIR"] = config.stash[_cache_folder]


def pytest_unconfigure(config: pytest.Config) -> None:
    if _cache_folder in config.stash:
        shutil.rmtree(config.stash[_cache_folder], ignore_errors=True)


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be rewritten instead of compared."""
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture
def golden(update_golden: bool) -> Callable[[str, str], None]:
    """`golden(name, text)`: text is byte for byte tests/golden/name, or becomes it on request."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if update_golden:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
        assert path.is_file(), f"{path} is missing; `make golden` writes it"
        assert text == path.read_bytes().decode(), f"{name} changed; `make golden` accepts it"

    return compare
