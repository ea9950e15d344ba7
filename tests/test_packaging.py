"""The templates are found in a wheel, in an editable install and in a bare checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import jinja2
import pytest

from graphc import resources

ROOT = Path(__file__).resolve().parents[1]
TEMPLATES = sorted(
    path.relative_to(ROOT / "templates").as_posix()
    for path in (ROOT / "templates").rglob("*")
    if path.is_file()
)

# site.addsitedir reads .pth files, as Python does at start for its own site-packages.
LIST_TEMPLATES = """
import os, site, sys
sys.path.insert(0, sys.argv[1])
site.addsitedir(sys.argv[1])
import graphc.resources as resources
print(os.path.dirname(os.path.dirname(resources.__file__)))
print(*sorted(resources.environment().list_templates()), sep="\\n")
"""


def run(*command: str | Path, cwd: Path) -> str:
    """The output of `python *command` run in `cwd`, with nothing of ours on its path."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    result = subprocess.run(
        [sys.executable, *command], cwd=cwd, env=env, text=True, capture_output=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def build(kind: str, folder: Path) -> Path:
    """What pip asks of the build backend, asked without pip: no network, no second environment."""
    code = f"import sys, hatchling.build as b; print(b.build_{kind}(sys.argv[1]))"
    return folder / run("-c", code, folder, cwd=ROOT).split()[-1]


def found_from(site: Path, elsewhere: Path) -> tuple[Path, list[str]]:
    """Where graphc was imported from and the templates it sees, with `site` as site-packages."""
    home, *names = run("-I", "-c", LIST_TEMPLATES, site, cwd=elsewhere).splitlines()
    return Path(home).resolve(), names


def test_there_are_templates() -> None:
    assert {"unit.c", "unit.h"} <= set(TEMPLATES)


@pytest.mark.parametrize(("kind", "imported_from_checkout"), [("wheel", False), ("editable", True)])
def test_an_install_finds_its_templates(
    tmp_path: Path, kind: str, imported_from_checkout: bool
) -> None:
    site = tmp_path / "site"
    with zipfile.ZipFile(build(kind, tmp_path)) as wheel:
        wheel.extractall(site)
    home, names = found_from(site, tmp_path)
    assert home == (ROOT if imported_from_checkout else site.resolve())
    assert names == TEMPLATES


def test_a_bare_checkout_finds_its_templates(tmp_path: Path) -> None:
    assert found_from(ROOT, tmp_path) == (ROOT, TEMPLATES)


def test_a_wheel_is_typed_and_holds_nothing_else(tmp_path: Path) -> None:
    with zipfile.ZipFile(build("wheel", tmp_path)) as wheel:
        names = wheel.namelist()
    assert "graphc/py.typed" in names
    assert {name.split("/")[0] for name in names} == {"graphc", "graphc-0.1.0.dist-info"}


def test_an_sdist_can_be_tested(tmp_path: Path) -> None:
    with tarfile.open(build("sdist", tmp_path)) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    wanted = {"pyproject.toml", "Makefile", "LICENSE", "README.md", "tests/test_packaging.py"}
    wanted |= {f"templates/{name}" for name in TEMPLATES}
    wanted |= {str(p.relative_to(ROOT)) for p in (ROOT / "examples").glob("*.py")}
    assert not wanted - names


def test_the_package_wins_over_a_folder_beside_it(tmp_path: Path) -> None:
    package = tmp_path / "graphc"
    (tmp_path / "templates").mkdir()
    package.mkdir()
    assert resources.template_folder(package) == tmp_path / "templates"
    (package / "templates").mkdir()
    assert resources.template_folder(package) == package / "templates"


def test_missing_templates_are_a_sentence_that_names_both_places(tmp_path: Path) -> None:
    package = tmp_path / "graphc"
    with pytest.raises(FileNotFoundError) as caught:
        resources.template_folder(package)
    for place in (package / "templates", tmp_path / "templates"):
        assert str(place) in str(caught.value)


def test_templates_are_shaped_like_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.c").write_text(
        "/*# seen by no one #*/\n"
        "/* ${what} */\n"
        "\n"
        "    /*% for name in names %*/\n"
        "int ${ name };\n"
        "    /*% endfor %*/\n"
        'const char *s = "{{ }} {% %}";\n'
    )
    monkeypatch.setattr(resources, "template_folder", lambda: tmp_path)
    resources.environment.cache_clear()
    try:
        text = resources.render("a.c", what="<counts>", names=["i", "j"])
        with pytest.raises(jinja2.UndefinedError, match="names"):
            resources.render("a.c", what="")
    finally:
        resources.environment.cache_clear()
    assert text == '/* <counts> */\n\nint i;\nint j;\nconst char *s = "{{ }} {% %}";\n'


def test_importing_graphc_does_not_import_jinja2(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import graphc; print('jinja2' in sys.modules)"
    )
    assert run("-c", code, ROOT, cwd=tmp_path).strip() == "False"
