"""W9: from a Python function to its first result, each in a fresh process; imports apart.

"cold" starts with empty caches of compiled code, "warm" finds what the cold run left there. What
belongs to an installation is there for all: Python's bytecode, which pip makes for the peers, and
what graphc compiles once for all kernels.
"""

import compileall
import os
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from timing import Result

HERE = Path(__file__).parent
MODULES = {"graphc": "graphc", "numba by hand": "numba", "JAX": "jax", "torch.compile": "torch"}
CASES = (
    ("w1_scalar", "W1", ("graphc", "numba by hand", "JAX", "torch.compile")),
    ("w3_mlp", "W3 batch 32", ("graphc", "JAX", "torch.compile")),
    ("w7_gpt", "W7", ("graphc", "JAX", "torch.compile")),
)


def results(quick, tell):
    """Seconds of every installed peer."""
    compileall.compile_dir(Path(find_spec("graphc").origin).parent, quiet=1)
    found = _imports(quick)
    for module, name, peers in CASES:
        for peer in peers:
            if quick and (peer != "graphc" or name == "W7"):
                continue
            if peer == "graphc":
                with tempfile.TemporaryDirectory() as folder:
                    _child(module, peer, folder)  # for what is compiled once for all kernels
            with tempfile.TemporaryDirectory() as folder:
                for state in ("cold", "warm") if peer == "graphc" else ("cold",):
                    seconds, problem = _child(module, peer, folder)
                    if seconds is None:
                        tell(f"W9 {name}: {peer} is not measured: {problem}")
                        break
                    case = f"{name}, from the disk cache" if state == "warm" else name
                    found.append(Result("W9 to first result", case, peer, seconds, seconds, 0.0))
    return found


def _imports(quick):
    """Seconds to import each installed peer, after NumPy: the best of three processes."""
    found = []
    for peer, module in MODULES.items():
        if quick and peer != "graphc":
            continue
        code = f"import numpy, time; t = time.perf_counter(); import {module}; "
        command = [sys.executable, "-c", code + "print(time.perf_counter() - t)"]
        ran = [
            subprocess.run(command, capture_output=True, text=True, check=False) for _ in range(3)
        ]
        if not any(child.returncode for child in ran):
            seconds = min(float(child.stdout) for child in ran)
            found.append(Result("W9 to first result", "import", peer, seconds, seconds, 0.0))
    return found


def _child(module, peer, folder):
    """(seconds, None) or (None, what went wrong) of one peer in a process of its own."""
    names = ("GRAPHC_CACHE_DIR", "NUMBA_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")
    env = {**os.environ, **dict.fromkeys(names, folder), "JAX_PLATFORMS": "cpu"}
    child = subprocess.run(
        [sys.executable, HERE / "w9_latency.py", module, peer],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    if child.returncode:
        return None, child.stderr.strip().splitlines()[-1]
    return float(child.stdout.split()[-1]), None


def first_result(module, peer):
    """Seconds from the function to its first result, in this process."""
    import_module(MODULES[peer])
    case = import_module(module).cases(quick=False)[0]()
    start = time.perf_counter()
    call = case.peers[peer]()
    if case.judged == 1:  # else it has been called, to compare its first step
        call()
    return time.perf_counter() - start


if __name__ == "__main__":
    print(first_result(*sys.argv[1:]))
