"""How to write, in functions that are covered, what functions that are not covered give."""

from __future__ import annotations

SYMMETRIC = "np.linalg.eigh of symmetric matrices is covered, and np.linalg.svd"
FOURIER = "multiply by the cosines and sines of np.outer(k, n) with np.matmul, or transform outside"
HISTOGRAM = "count with np.searchsorted and graphc.at(np.zeros(bins))[i].add(1.0)"
SERIES = "sum its series in graphc.fori_loop, or compute it outside and pass it in"
SHAPE = "take the sizes from x.shape"
OUTSIDE = "call it outside of the traced function"

REMEDIES: dict[str, str] = {
    # shapes and elements
    "apply_along_axis": "use graphc.vmap",
    "apply_over_axes": "use axis=(0, 1) in np.sum and its like",
    "resize": "use np.tile and np.reshape",
    "ix_": "use np.take along one axis after the other",
    "diag_indices_from": f"{SHAPE}: np.diag_indices",
    "tril_indices_from": f"{SHAPE}: np.tril_indices, or np.tril",
    "triu_indices_from": f"{SHAPE}: np.triu_indices, or np.triu",
    "unravel_index": "use np.floor_divide and np.remainder",
    "ravel_multi_index": "use i * n + j",
    "lexsort": "use np.argsort of one key",
    # sums
    "histogram": HISTOGRAM,
    "histogram2d": HISTOGRAM,
    "histogramdd": HISTOGRAM,
    "histogram_bin_edges": "use np.linspace, or np.quantile",
    # polynomials
    "roots": "find them outside; np.polyval is covered",
    "poly": "multiply the factors; np.polyval is covered",
    "polydiv": "divide the values that np.polyval gives",
    # numbers
    "frexp": "use np.floor(np.log2(np.abs(x)))",
    "gcd": "use np.remainder in graphc.while_loop",
    "lcm": "use np.remainder in graphc.while_loop",
    "spacing": "use np.nextafter",
    "bitwise_count": "use np.bitwise_and and np.right_shift",
    "packbits": "use np.left_shift and np.bitwise_or",
    "unpackbits": "use np.right_shift and np.bitwise_and",
    # linear algebra
    "eig": SYMMETRIC,
    "eigvals": SYMMETRIC,
    # transforms
    **dict.fromkeys(
        [f"{i}{kind}fft{n}" for i in ("", "i") for kind in ("", "r", "h") for n in ("", "2", "n")],
        FOURIER,
    ),
    "fftshift": "use np.roll",
    "ifftshift": "use np.roll",
    # scipy.special
    "lgamma": "use scipy.special.gammaln",
    "erfi": SERIES,
    # not of arrays
    **dict.fromkeys(("array2string", "array_repr", "array_str"), "print what the function returns"),
    **dict.fromkeys(("save", "savetxt", "savez", "savez_compressed"), "save what it returns"),
    **dict.fromkeys(("can_cast", "common_type", "min_scalar_type"), "use x.dtype"),
    "einsum_path": "np.einsum finds an order itself",
    **dict.fromkeys(("may_share_memory", "shares_memory", "isfortran"), OUTSIDE),
    **dict.fromkeys(("busday_count", "busday_offset", "is_busday", "isnat"), OUTSIDE),
    "datetime_as_string": OUTSIDE,
    # math and other modules
    "pow": "use x**y",
    "fsum": "use np.sum",
}

FAMILIES: dict[str, str] = {
    "numpy": "docs/numpy.md lists what is; write it with those",
    "numpy.linalg": "np.linalg.solve, inv, det, cholesky, qr, eigh and svd are",
    "numpy.fft": FOURIER,
    "scipy.special": f"erf, ndtr, gammaln, digamma, xlogy and Bessel functions are; else {SERIES}",
}
"""Where nothing nearer is known: by the module of the function."""
