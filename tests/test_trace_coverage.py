"""Every function of NumPy and scipy.special either traces or is refused by its name."""

from __future__ import annotations

import inspect
import linecache
import math
import re
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import scipy.special

import graphc
from graphc.errors import GraphcError
from graphc.trace.coverage import covered_names
from graphc.trace.remedies import REMEDIES

MODULES: dict[str, ModuleType] = {
    "np": np,
    "np.linalg": np.linalg,
    "np.fft": np.fft,
    "np.random": np.random,
    "scipy.special": scipy.special,
    "math": math,
}
OTHER_NAMES = {
    "bitwise_not": "invert", "bitwise_invert": "invert", "asanyarray": "asarray",
    "jn": "jv", "assoc_laguerre": "eval_genlaguerre", "round_": "round",
}  # fmt: skip
"""Names under which a function reports itself."""
BY_EXAMPLE = {
    "einsum": "np.einsum('ij,jk', x, x)",
    "interp": "np.interp(x, x[0], x[0])",
    "take_along_axis": "np.take_along_axis(x, np.zeros((3, 1), int), 0)",
    "put_along_axis": "np.put_along_axis(x, np.zeros((3, 1), int), 0, 0)",
    "choose": "np.choose(np.zeros(3, int), x)",
    "cumulative_sum": "np.cumulative_sum(x, axis=0)",
    "cumulative_prod": "np.cumulative_prod(x, axis=0)",
}
NOT_OF_ARRAYS = re.compile(
    r"np\.((set|get)(_?printoptions|bufsize|err|errcall|_include)|show_\w+|printoptions|test|info"
    r"|from(buffer|file|regex|string|_dlpack|iter|pyfunc)|loadtxt|load|genfromtxt|datetime_data"
    r"|nested_iters|typename|result_type|asarray|iterable|isdtype|promote_types|isfortran|broadcast_shapes|errstate|vectorize"
    r"|format_float_\w+|seterr\w*|geterr\w*|get_include|ma|require|fft.\w*freq|linalg\.test)"
    r"|np\.random\.(seed|set_state|get_state|[gs]et_bit_generator|bytes|default_rng|test)"
    r"|scipy\.special\.(\w*_zeros|\w+_cv\w*|\w+_seq|\w*(ber|kei|kel|ker|bei)\w*|bernoulli|euler"
    r"|(geterr|seterr|test|errstate)|\w+_(ang1|rad[12])|riccati_\w\w|lmbda|lqm?n|mathieu_\w+_coef"
    r"|ellip_\w+|ellipr\w|eval_(sh_)?jacobi|hyp2f1|ncfdtr\w*|\w*_roots|roots_\w+|jnjnp_zeros)|math\.trunc"
)
"""They take no arrays, files and texts say, or more arguments than are tried; what they do with a
traced value is their own business, so long as they name what they cannot do."""


def names() -> list[str]:
    found = []
    for prefix, module in MODULES.items():
        listed = getattr(module, "__all__", None) or dir(module)
        for name in sorted(listed):
            function = getattr(module, name, None)
            if callable(function) and not inspect.isclass(function) and name[0] != "_":
                found.append(f"{prefix}.{name}")
    return found


def written(text: str) -> Callable[[Any], Any]:
    """lambda x: text, with its line where tracebacks (and graphc) look for it."""
    file = f"coverage_of_{abs(hash(text))}.py"
    source = f"f = lambda x: {text}\n"
    linecache.cache[file] = (len(source), None, [source], file)
    held: dict[str, Any] = {"np": np, "scipy": scipy, "math": math}
    exec(compile(source, file, "exec"), held)
    made: Callable[[Any], Any] = held["f"]
    return made


def told(text: str) -> str | None:
    """What graphc says to it; None if it traces. NumPy's own complaints go on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            graphc.trace(written(text), graphc.float64[3, 3])
        except GraphcError as error:
            return str(error)
        return None


@pytest.mark.parametrize("prefix", MODULES)
def test_each_function_traces_or_is_refused_by_name(prefix: str) -> None:
    wrong, covered = [], covered_names()
    for full in names():
        name = full.rpartition(".")[2]
        if full.rpartition(".")[0] != prefix or NOT_OF_ARRAYS.fullmatch(full):
            continue
        if name in covered:  # tests/test_trace_numpy.py calls it properly
            continue
        calls = [f"{full}({', '.join(['x'] * n)})" for n in (1, 2, 3)]
        if name in BY_EXAMPLE and prefix == "np":
            calls = [BY_EXAMPLE[name]]
        said: list[str | None] = []
        for call in calls:
            try:
                said.append(told(call))
            except (TypeError, ValueError):  # NumPy's: so many arguments do not fit
                continue
            if said[-1] is None:
                break
        wanted = (name, OTHER_NAMES.get(name, name))
        if not said or (None not in said and not any(w in (said[0] or "") for w in wanted)):
            wrong.append(f"{full}: {said[0] if said else 'an error of another kind'}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("np.linalg.eig(x)", "np.linalg.eig is not covered by graphc at {}: np.linalg.eigh of"),
        ("np.fft.rfft(x)", "np.fft.rfft is not covered by graphc at {}: multiply by the cosines"),
        ("np.histogram(x)", "np.histogram is not covered by graphc at {}: count with"),
        ("scipy.special.iv(x, x)", "scipy.special.iv with a traced order at {}: give one whole"),
        ("scipy.special.dawsn(x)", "scipy.special.dawsn is not covered by graphc at {}: erf, ndtr"),
        ("scipy.special.diric(x, 3)", "scipy.special.diric: a traced value has no numbers"),
        ("np.random.normal(x)", "np.random.normal: a traced value has no numbers yet"),
        ("np.random.normal(x)", ": draw the numbers outside of the traced function"),
        ("math.exp(x[0, 0])", "math.exp: float() of a traced value is not known while tracing at"),
        ("math.exp(x[0, 0])", ": use np.exp"),
        ("math.erf(x[0, 0])", ": use scipy.special.erf"),
        ("np.zeros(x)", "np.zeros: a traced value cannot be a size or a Python index at {}"),
        ("range(x)", "range: a traced value cannot be a size"),
        ("scipy.special.expi(x)", "scipy.special.expi is not covered by graphc at {}: the nearest"),
        ("float(x[0, 0])", "float() of a traced value is not known while tracing at {}"),
        ("np.unique(x)", "np.unique has a result whose shape depends on data at {}: use np.sort"),
    ],
)
def test_the_message(text: str, message: str) -> None:
    said = told(text) or ""
    line = f"coverage_of_{abs(hash(text))}.py:1"
    assert message.replace("{}", line) in said, said
    assert said.startswith(message.replace("{}", line)) or message.startswith(": ")


@pytest.mark.parametrize("method", [name for name in dir(np.ndarray) if name[0] != "_"])
def test_each_method_of_arrays_is_there_or_is_refused_by_name(method: str) -> None:
    try:
        graphc.trace(lambda x: (getattr(x, method), 2 * x)[1], graphc.float64[3, 3])
    except GraphcError as error:
        assert method in str(error)  # noqa: PT017  # it may as well be there


def test_remedies_name_what_is_covered() -> None:
    covered = covered_names() | {"arange", "zeros", "linspace", "inf", "abs", "diag_indices"}
    covered |= {"tril_indices", "triu_indices", "bool_", "take"}
    wrong = {
        name: function
        for name, text in REMEDIES.items()
        for function in re.findall(r"\bnp\.(?:linalg\.)?(\w+)", text)
        if function not in covered
    }
    assert not wrong
    already = [name for name in REMEDIES if name in covered_names() and hasattr(np, name)]
    assert already == [], "these are covered: they need no remedy"
