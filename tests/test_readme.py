"""README and docs say what is true: their C is regenerated, their sessions are run."""

from __future__ import annotations

import doctest
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch):
    """docs/make.py."""
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import make

    return make


@pytest.mark.parametrize("page", ["README.md", "docs/c.md"])
def test_the_c_in_the_pages_is_what_graphc_writes(make, page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    (shown,) = make.blocks(text, "c")
    assert shown == make.function_text(make.kernel_of(text).source), "run: make docs"


def test_the_page_about_numpy_is_current(make) -> None:
    assert (ROOT / "docs/numpy.md").read_text(encoding="utf-8") == make.numpy_page(), (
        "run: make docs"
    )


def test_a_stale_page_is_noticed_and_mended(make, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    page.write_text(text.replace("const double z3 = x1 * w13;", "const double z3 = 0;"))
    assert make.current(page) == text


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_sessions_give_what_they_show(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # A closing fence ends a session; doctest knows only blank lines.
    text = re.sub(r"^```.*$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    test = doctest.DocTestParser().get_doctest(text, {}, page.name, str(page), 0)
    results = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test)
    assert results.failed == 0


def test_the_program_in_c_md_prints_what_the_page_shows(make, tmp_path: Path) -> None:
    text = (ROOT / "docs/c.md").read_text(encoding="utf-8")
    make.kernel_of(text).export(tmp_path)
    (program,), (output,) = make.blocks(text, "main.c"), make.blocks(text, "output")
    (tmp_path / "main.c").write_text(program)
    (command,) = re.findall(r"^    (cc .*)$", text, re.MULTILINE)
    subprocess.run(command.split(), cwd=tmp_path, check=True)
    run = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True)
    assert run.stdout == output


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing


def test_every_error_has_its_row() -> None:
    errors = re.findall(
        r"^class (\w+)\(GraphcError", (ROOT / "graphc/errors.py").read_text(), re.MULTILINE
    )
    text = (ROOT / "docs/errors.md").read_text(encoding="utf-8")
    assert [name for name in errors if f"| `{name}` |" not in text] == []
