"""The machine's limits, measured in the same run: peak FLOP/s and bandwidth (limits.c)."""

import json
import subprocess
import tempfile
from pathlib import Path


def measure(threads, tell):
    """{"float32": FLOP/s, "float64": FLOP/s, "bandwidth": [[bytes, bytes/s], ...]}; or {}."""
    source = Path(__file__).with_name("limits.c")
    with tempfile.TemporaryDirectory() as folder:
        program = f"{folder}/limits"
        flags = ("-O3", "-march=native", "-ffp-contract=fast", "-pthread", "-w")
        try:
            subprocess.run(["cc", *flags, source, "-o", program], check=True, capture_output=True)
            found = subprocess.run([program, str(threads)], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as problem:
            tell(f"the machine's limits are not measured: {problem}")
            return {}
    return json.loads(found.stdout)


def larger(a, b):
    """The limits of two measurements: a machine that was busy during one of them can do more."""
    if not a or not b:
        return a or b
    rates = zip(a["bandwidth"], b["bandwidth"], strict=True)
    return {
        **{dtype: max(a[dtype], b[dtype]) for dtype in ("float32", "float64")},
        "bandwidth": [[size, max(rate, other)] for (size, rate), (_, other) in rates],
    }


def seconds(result, limits):
    """The shortest time that the machine's peak and bandwidth allow; 0 where it is not known."""
    if not limits:
        return 0.0
    compute = result.flops / limits[result.dtype]
    rates = [rate for footprint, rate in limits["bandwidth"] if footprint >= result.bytes]
    moving = result.bytes / (rates[0] if rates else limits["bandwidth"][-1][1])
    return max(compute, moving)
