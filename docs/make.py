"""Write what the documentation shows from what graphc does: `make docs`.

Rewrites docs/numpy.md, the C in README.md and docs/c.md, and, where Graphviz' dot is installed, the
pictures. With --bench FOLDER also the measurements, from what benchmarks/run.py wrote there.
tests/test_readme.py compares all of it but the pictures and measurements with what is checked in.
"""

import argparse
import inspect
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import scipy.special

import graphc
from graphc import ops
from graphc.trace import FUNCTIONS, UFUNCS, Tensor
from graphc.trace.coverage import COMPOSITES, PYTHON
from graphc.trace.tensor import METHODS

DOCS = Path(__file__).resolve().parent
README = DOCS.parent / "README.md"

NUMPY_PAGE = """# What of NumPy is covered

Written from graphc's tables by `docs/make.py`; a test keeps it current. A function that is not here
is refused while tracing, with its name, the line, and the nearest one that is covered.

## Elementwise

Operators (`+`, `@`, `//`, `<`, `&`, ...) are these too. dtypes are promoted as NumPy 2 does.

{elementwise}.

From `scipy.special`: {special}.

Not covered: {missing}.

## Functions

{functions}.

From `numpy.linalg`: {linalg}.

Methods of ufuncs: {ufunc_methods}.

## Methods and attributes of arrays

{methods}.

Indexing: integers, slices with any step, `...`, `np.newaxis`.

## What is refused

| in the function | why | instead |
|---|---|---|
| `if x > 0:`, `x and y` | the value is not known while tracing | `np.where`, `graphc.cond` |
| `while x > 0:` | likewise | `graphc.while_loop`, `graphc.scan`, `graphc.fori_loop` |
| `float(x)`, `int(x)`, `x.item()` | likewise | a 0-d value is a scalar already |
| `x[i] = v`, `out=`, a ufunc's `where=` | values do not change | `np.where`, `np.stack` |
| `np.asarray(x)`, other packages | a traced value has no numbers yet | NumPy, `scipy.special` |
| complex, unsigned, strings | bool, int32, int64, bfloat16, float16, 32, 64 | `astype` |
"""


def numpy_page():
    """docs/numpy.md."""
    ufuncs = {fn.__name__ for fn in vars(np).values() if isinstance(fn, np.ufunc)}
    names = {*ops.BY_FUNCTION, *UFUNCS, *COMPOSITES, *PYTHON["scipy.special"]}
    found = {fn.__module__: [] for fn in FUNCTIONS}
    for fn in FUNCTIONS:
        found[fn.__module__].append(fn.__name__)
    special = {name for name in names - ufuncs if hasattr(scipy.special, name)}
    methods = {
        name for name in dir(Tensor) if not name.startswith("_") and hasattr(np.ndarray, name)
    }
    return NUMPY_PAGE.format(
        elementwise=_listed(names & ufuncs),
        special=_listed(special),
        missing=_listed(ufuncs - names),
        functions=_listed(found["numpy"]),
        linalg=_listed(found["numpy.linalg"]),
        ufunc_methods=_listed(f"{name}.{method}" for name, method in METHODS),
        methods=_listed(methods - {"item", "tolist"}),
    )


def _listed(names):
    """The names in order, as code."""
    return ", ".join(f"`{name}`" for name in sorted(set(names)))


def blocks(text, language):
    """The fenced blocks of a language in a page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def with_block(text, language, content):
    """The page with the content of its first block of the language replaced."""
    start = text.index(f"```{language}\n") + len(language) + 4
    return text[:start] + content + text[text.index("```\n", start) :]


def kernel_of(page):
    """The kernel that the first Python block of a page makes."""
    space = {}
    exec(compile(blocks(page, "python")[0], "page", "exec"), space)
    return space["kernel"]


def function_text(source):
    """The function in a .c file, without the #includes before it."""
    return source[source.index("\nvoid ") + 1 :].rstrip("\n") + "\n"


def current(path):
    """A page with its C brought up to date."""
    text = path.read_text()
    return with_block(text, "c", function_text(kernel_of(text).source))


def pictures(folder):
    """The pictures of the README: a network, its gradient's graph, the loops of a layer."""
    sys.path.insert(0, str(DOCS.parent / "examples"))
    import exercise2
    import exercise3

    shared = graphc.trace(exercise2.shared, *exercise2.SHARED)
    network = graphc.trace(exercise2.loss, *exercise2.LOSS)
    layer = graphc.trace(exercise3.loss, *exercise3.LOSS)
    network.draw(folder / "network.svg", view="network")
    shared.grad("v", value=True).optimized().draw(folder / "graph.svg")
    layer.grad(("W", "b"), value=True).draw(folder / "kernels.svg", view="kernels")


def measurements(folder):
    """The README with the measurements of a benchmark run; their page and chart beside it."""
    sys.path.insert(0, str(DOCS.parent / "benchmarks"))
    import page

    run = json.loads((folder / "results.json").read_text())
    shutil.copy(folder / "chart.svg", DOCS / "benchmarks.svg")
    (DOCS / "benchmarks.md").write_text(page.page(run))
    text = README.read_text()
    start, end = (text.index(f"<!-- {mark} -->") for mark in ("measured", "end of measured"))
    note = f"Medians; {page.machine(run)}. [All measurements](docs/benchmarks.md)."
    shown = f"{page.brief(run)}\n\n{note}\n"
    return f"{text[:start]}<!-- measured -->\n{shown}{text[end:]}"


def main():
    parser = argparse.ArgumentParser(description=inspect.getdoc(sys.modules[__name__]))
    parser.add_argument("--bench", type=Path, help="a folder that benchmarks/run.py wrote")
    options = parser.parse_args()
    (DOCS / "numpy.md").write_text(numpy_page())
    for page in (README, DOCS / "c.md"):
        page.write_text(current(page))
    if options.bench:
        README.write_text(measurements(options.bench))
    if shutil.which("dot"):
        pictures(DOCS)
    else:
        print("Graphviz' dot is missing; the pictures stay as they are.")


if __name__ == "__main__":
    main()
