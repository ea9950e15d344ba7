"""From C text to a loaded module: the compiler, the disk cache, the files."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import types
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from by_hand import EXERCISE, SCALE, program, scalar, unit

from graphc import build, resources
from graphc.build import CacheWarning, bind, cache, callers, compiler, export, load, solve
from graphc.build.compiler import target_flags
from graphc.emit_c import emit
from graphc.errors import ArgumentError, BuildError
from graphc.kernel import Kernel
from graphc.loops import Literal, Loop, Position, Store, cast
from graphc.options import Options
from graphc.types import Dim, float64, floordiv, maximum

HERE = Path(__file__).parent
SCRIPT = """
import warnings
from by_hand import SCALE
from graphc.kernel import Kernel
program, unit = SCALE
print(Kernel(program, unit)([1, 2], 3.0))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache, and a process that has loaded nothing."""
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(build, "_loaded", {})
    for name in ("GRAPHC_CC", "CC", "GRAPHC_CFLAGS", "GRAPHC_CACHE_BYTES"):
        monkeypatch.delenv(name, raising=False)
    yield tmp_path / "cache"
    cache._private.cache_clear()


def fresh(monkeypatch: pytest.MonkeyPatch) -> build.Loaded:
    """The exercise, loaded as a new process would."""
    monkeypatch.setattr(build, "_loaded", {})
    program, unit = EXERCISE
    return load(unit, program, Options())


def call(loaded: build.Loaded) -> Any:
    made = build.caller().Caller()
    loaded.prepare(made, direct=True)
    return made


def run(loaded: build.Loaded) -> tuple[float, ...]:
    return call(loaded)(2.0, 1.0, 3.0, 4.0)


def modules(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"kernels/*/*{cache.SUFFIX}"))


def python(*, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    paths = os.pathsep.join(map(str, (HERE, HERE.parent)))
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", SCRIPT],
        env={**os.environ, "PYTHONPATH": paths, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_compiles_and_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(fresh(monkeypatch)) == (4.5, 6.0)


def test_cffi_sees_the_same_function(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = fresh(monkeypatch)
    loss, d_w = loaded.ffi.new("double *"), loaded.ffi.new("double *")
    loaded.lib.exercise(2.0, 1.0, 3.0, 4.0, loss, d_w)
    assert (loss[0], d_w[0]) == (4.5, 6.0)


def test_a_process_loads_a_unit_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fresh(monkeypatch) is load(EXERCISE[1], EXERCISE[0], Options())


def test_only_the_owner_can_enter_the_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh(monkeypatch)
    assert stat.S_IMODE((folder / "kernels").stat().st_mode) == 0o700


def test_nothing_but_libraries_is_left(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh(monkeypatch)
    (module,) = modules(folder)
    assert list((folder / "kernels").iterdir()) == [module.parent]


def test_a_second_process_needs_no_compiler_and_no_generator(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh(monkeypatch)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(build.Binding, "text", None)  # Jinja is slow to load
    assert run(fresh(monkeypatch)) == (4.5, 6.0)


def test_what_another_compiler_made_is_not_taken_for_this_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fresh(monkeypatch)
    real = compiler.find_compiler().command[0]
    other = tmp_path / "mycc"
    other.write_text(f'#!/bin/sh\nexec {real} "$@"\n')
    other.chmod(0o700)
    monkeypatch.setenv("GRAPHC_CC", str(other))
    fresh(monkeypatch)
    assert len(modules(folder)) == 2


@pytest.mark.parametrize("damage", [b"", b"not a module", None], ids=["empty", "text", "cut"])
def test_a_damaged_module_is_built_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, damage: bytes | None
) -> None:
    fresh(monkeypatch)
    (module,) = modules(folder)
    whole = module.read_bytes()
    module.unlink()  # the running process has it mapped
    module.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    assert run(fresh(monkeypatch)) == (4.5, 6.0)
    (again,) = modules(folder)
    assert len(again.read_bytes()) > 1000


def test_processes_that_build_the_same_at_once_both_succeed(folder: Path) -> None:
    both = [python(), python()]
    for process in both:
        out, err = process.communicate()
        assert out == "[3. 6.]\n", err


def test_the_least_recently_used_make_room(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = fresh(monkeypatch)
    load(SCALE[1], SCALE[0], Options())
    os.utime(old.path, (1, 1))
    monkeypatch.setenv("GRAPHC_CACHE_BYTES", str(2 * old.path.stat().st_size))
    kept = load(
        unit("void three(double *y)", "*y = 3;"), program("three", [], [("y", scalar)]), Options()
    ).path
    assert kept in modules(folder)
    assert old.path not in modules(folder)


def test_a_hit_counts_as_use(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = fresh(monkeypatch).path
    os.utime(path, (1, 1))
    fresh(monkeypatch)
    assert path.stat().st_mtime > 1


def test_a_limit_that_is_no_number(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHC_CACHE_BYTES", "1 GiB")
    with pytest.raises(BuildError, match=r"\$GRAPHC_CACHE_BYTES is '1 GiB'; give the size of"):
        fresh(monkeypatch)


def test_a_cache_folder_that_is_a_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path / "file"))
    with pytest.warns(CacheWarning) as told:
        loaded = fresh(monkeypatch)
    assert run(loaded) == (4.5, 6.0)
    (warning,) = told
    assert f"the cache folder {tmp_path}/file cannot be used (" in str(warning.message)
    assert "set $GRAPHC_CACHE_DIR to a folder that is yours alone" in str(warning.message)
    fresh(monkeypatch)  # warns once


def test_a_cache_folder_that_is_read_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    access = os.access  # root may write everywhere
    monkeypatch.setattr(os, "access", lambda p, mode: p != folder / "kernels" and access(p, mode))
    with pytest.warns(CacheWarning, match=r"cache cannot be used \(it is not writable\), so kern"):
        assert run(fresh(monkeypatch)) == (4.5, 6.0)


def test_a_cache_folder_that_others_may_write(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "kernels").mkdir(parents=True)
    (folder / "kernels").chmod(0o777)
    with pytest.warns(CacheWarning, match="others may write there, and their code would run"):
        assert run(fresh(monkeypatch)) == (4.5, 6.0)


def test_no_compiler(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(
        BuildError,
        match=r"no C compiler found: none of cc, gcc and clang is on "
        "PATH; install gcc or clang .*, or name one in ",
    ):
        fresh(monkeypatch)


@pytest.mark.parametrize("variable", ["GRAPHC_CC", "CC"])
def test_a_compiler_that_is_not_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "nocc -m64")
    with pytest.raises(
        BuildError,
        match=rf"\${variable} names the C compiler 'nocc', which is "
        "not on PATH; correct or unset it, or install gcc",
    ):
        fresh(monkeypatch)


def test_code_that_the_compiler_refuses(folder: Path) -> None:
    broken = unit("void broken(double *y)", "*y = undeclared;")
    with pytest.raises(BuildError) as error:
        load(broken, program("broken", [], [("y", scalar)]), Options())
    message = str(error.value)
    assert message.startswith("the C compiler refused broken.c; the code is wrong. It says:\n")
    assert "broken.c:6" in message
    assert "undeclared" in message
    assert not modules(folder)


def test_flags_that_the_compiler_refuses(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHC_CFLAGS", "-fno-such-thing")
    with pytest.raises(BuildError, match=r"\$GRAPHC_CFLAGS \(-fno-such-thing\) or the code is"):
        fresh(monkeypatch)


def test_flags_of_the_user_reach_the_compiler(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAPHC_CFLAGS", "-DANSWER='42.0'")
    asked = unit("void answer(double *y)", "*y = ANSWER;")
    assert call(load(asked, program("answer", [], [("y", scalar)]), Options()))() == 42.0


def test_flags_that_the_compiler_does_not_know_are_dropped(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (compiler, build):
        monkeypatch.setattr(module, "FLAGS", ("-std=c11", "-fno-such-thing", "-O1"))
    assert run(fresh(monkeypatch)) == (4.5, 6.0)
    (note,) = folder.glob("kernels/flags-*")
    assert note.read_text().split() == [*target_flags(Options().target), "-std=c11", "-O1"]


def test_a_target_decides_the_instructions(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    native, portable = (load(SCALE[1], SCALE[0], Options(x)) for x in ("native", "portable"))
    assert native.path != portable.path
    assert target_flags("x86-64-v3") == ("-march=x86-64-v3",)
    monkeypatch.setenv("GRAPHC_TARGET", "portable")
    assert Options().target == "portable"
    assert load(SCALE[1], SCALE[0], Options()) is portable
    with pytest.raises(ArgumentError, match=r"target='-O1 x' names no machine; use 'native'"):
        Options("-O1 x")


def test_never_fast_math() -> None:
    assert "-ffast-math" not in compiler.FLAGS
    assert "-ffp-contract=off" in compiler.FLAGS


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """A package that has no caller yet; the folder that will."""
    monkeypatch.setattr(resources, "PACKAGE", tmp_path)
    monkeypatch.setattr(callers, "PACKAGE", tmp_path)
    return tmp_path / "__pycache__"


def new_caller() -> types.ModuleType:
    """The caller, as a new process would get it."""
    return callers.caller.__wrapped__()


def test_python_headers_are_missing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler.sysconfig, "get_path", lambda key: f"/nowhere/{key}")
    callers.begin()  # tells nothing: nobody has asked for a kernel
    with pytest.raises(
        BuildError,
        match=r"Python\.h is not in /nowhere/include, so a kernel .*; "
        "install the headers of this Python",
    ):
        new_caller()
    assert not list(home.iterdir())


def test_the_caller_is_compiled_once_beside_the_bytecode(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    callers.begin()
    callers.begin()
    assert len(callers._making) == 1
    assert new_caller().Caller.__name__ == "Caller"
    (path,) = home.iterdir()
    assert path.name.startswith("caller-")
    monkeypatch.setattr(callers, "find_compiler", None)
    callers.begin()
    assert not callers._making
    assert new_caller().BoundCaller.__name__ == "BoundCaller"


def test_a_damaged_caller_is_compiled_again(home: Path) -> None:
    new_caller()
    (path,) = home.iterdir()
    path.unlink()
    path.write_bytes(b"not a module")
    assert new_caller().Caller.__name__ == "Caller"


def test_a_package_that_may_not_be_written_has_its_caller_in_the_cache(
    home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = os.access  # root may write everywhere
    monkeypatch.setattr(os, "access", lambda path, mode: path != home and access(path, mode))
    new_caller()
    assert not list(home.iterdir())
    (path,) = (folder / "kernels").iterdir()
    assert path.name.startswith("caller-")


def test_a_caller_that_nobody_waits_for_leaves_nothing(home: Path) -> None:
    callers.begin()
    callers._stop()
    assert not callers._making
    assert not list(home.iterdir())


def test_a_dimension_that_no_shape_tells() -> None:
    n, m = Dim.named("n"), Dim.named("m")
    one = program("one", [("x", float64[n * m])], [("y", scalar)], ["n", "m"])
    with pytest.raises(
        BuildError,
        match="no argument of one tells dimension 'n': no axis has n "
        "elements; give it a fixed size, or take an argument",
    ):
        bind(one)


def test_a_bare_dimension_is_preferred() -> None:
    n = Dim.named("n")
    both = program("both", [("x", float64[2 * n + 1]), ("y", float64[n])], [("z", scalar)], ["n"])
    (found,) = solve(both)
    assert (found.index, found.step, found.offset) == (1, 1, 0)


def test_sizes_are_counted_in_c_as_in_python(folder: Path) -> None:
    n = Dim.named("n")
    half = floordiv(n - 3, 2) + (n % 4) * n
    sized = program("sized", [("x", float64[n])], [("y", float64[half + 2])], ["n"])
    body = "(void)x; (void)n; (void)y;"
    made = load(unit("void sized(const double *x, int64_t n, double *y)", body), sized, Options())
    for k in range(8):
        assert call(made)(np.zeros(k)).shape == ((k - 3) // 2 + (k % 4) * k + 2,)


def test_export_writes_both_files(tmp_path: Path) -> None:
    _, exercise = EXERCISE
    source, header = export(tmp_path / "a" / "b", exercise)
    assert (source.name, header.name) == ("exercise.c", "exercise.h")
    assert source.read_text() == exercise.source
    assert header.read_text() == exercise.header
    assert sorted(path.name for path in source.parent.iterdir()) == ["exercise.c", "exercise.h"]


def test_export_replaces_whole_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, exercise = EXERCISE
    source, _ = export(tmp_path, exercise)

    def interrupt(path: Path, text: str) -> None:
        path.write_text(text[:3])
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "_write", interrupt)
    with pytest.raises(KeyboardInterrupt):
        export(tmp_path, replace(exercise, source="changed"))
    assert source.read_text() == exercise.source
    assert len(list(tmp_path.iterdir())) == 2


def test_export_to_a_file(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(BuildError, match=r"cannot export exercise to .*out: it is a file; name a"):
        export(tmp_path / "out", EXERCISE[1])


def test_export_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(BuildError, match=r"cannot export exercise to .*: Not a directory; name a"):
        export(tmp_path / "out" / "sub", EXERCISE[1])


def test_making_room_does_not_mind_folders_that_vanish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other processes compile in folders beside the modules and remove them at any time."""
    whole = tmp_path / "asked"
    whole.mkdir()
    module = whole / f"cc-0{cache.SUFFIX}"
    module.write_bytes(b"x")
    (tmp_path / "tmp-other").mkdir()
    (tmp_path / "gone").mkdir()
    listed = Path.iterdir

    def racing(self: Path) -> Iterator[Path]:
        found = list(listed(self))
        if self == tmp_path:
            (tmp_path / "tmp-other").rmdir()
            (tmp_path / "gone").rmdir()
        return iter(found)

    monkeypatch.setattr(Path, "iterdir", racing)
    assert list(cache.modules(tmp_path)) == [module]


def test_a_loop_whose_head_takes_two_lines(folder: Path) -> None:
    n, m = Dim.named("a_dimension_with_a_long_name"), Dim.named("another_dimension_with_a_name")
    extent = maximum(floordiv(n - 3, 2) + floordiv(m, 4), floordiv(m + n, 48) + 1)
    one = Store("y", 0, Literal(1.0, float64))
    twice = Loop("i", extent, (one, Store("y", 1, cast(Position(extent - 1), float64))))
    names = ["a_dimension_with_a_long_name", "another_dimension_with_a_name"]
    made = replace(
        program("lengthy", [("x", float64[n]), ("z", float64[m])], [("y", float64[2])], names),
        body=(twice,),
    )
    kernel = Kernel(made, emit(made))
    head = next(line for line in kernel.source.splitlines() if "for (" in line)
    assert not head.endswith("{")
    assert list(kernel(np.zeros(9), np.zeros(8))) == [1, 4]


def test_a_unit_of_very_many_lines_is_not_optimised() -> None:
    """Compilers take minutes for the C of a Python loop that was unrolled to 10,000 steps."""

    def text(lines: int) -> Any:
        return types.SimpleNamespace(name="f", source="\n" * lines, header="", declarations="")

    short, long = (build._flags(text(lines), Options()) for lines in (20_000, 20_001))
    assert "-O0" not in short
    assert long == (*target_flags(Options().target), *compiler.FLAGS, "-O0")
