"""How to write, in functions that are covered, what functions that are not covered give."""

from __future__ import annotations

ITERATE = "iterate with np.matmul in graphc.while_loop, or compute it outside and pass it in"
FOURIER = "multiply by the cosines and sines of np.outer(k, n) with np.matmul, or transform outside"
HISTOGRAM = "count with np.searchsorted and graphc.at(np.zeros(bins))[i].add(1.0)"
FILLED = "replace the nans with np.where(np.isnan(x), value, x) first"
NORMAL = "write it with scipy.special.ndtr or erf"
SERIES = "sum its series in graphc.fori_loop, or compute it outside and pass it in"
SHAPE = "take the sizes from x.shape"
OUTSIDE = "call it outside of the traced function"

REMEDIES: dict[str, str] = {
    # shapes and elements
    "apply_along_axis": "use graphc.vmap",
    "apply_over_axes": "use axis=(0, 1) in np.sum and its like",
    "insert": "use np.concatenate",
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
    "nanmedian": f"{FILLED}, then np.median",
    "nanpercentile": f"{FILLED}, then np.percentile",
    "nanquantile": f"{FILLED}, then np.quantile",
    # polynomials
    "polyfit": "solve for the coefficients outside; np.polyval is covered",
    "roots": "find them outside; np.polyval is covered",
    "poly": "multiply the factors; np.polyval is covered",
    "polydiv": "divide the values that np.polyval gives",
    # numbers
    "frexp": "use np.floor(np.log2(np.abs(x)))",
    "gcd": "use np.remainder in graphc.while_loop",
    "lcm": "use np.remainder in graphc.while_loop",
    "i0": SERIES,
    "spacing": "use np.nextafter",
    "bitwise_count": "use np.bitwise_and and np.right_shift",
    "packbits": "use np.left_shift and np.bitwise_or",
    "unpackbits": "use np.right_shift and np.bitwise_and",
    # linear algebra
    **dict.fromkeys(("pinv", "lstsq", "tensorsolve", "tensorinv"), ITERATE),
    **dict.fromkeys(("eig", "eigh", "eigvals", "eigvalsh", "svd", "svdvals", "cond"), ITERATE),
    **dict.fromkeys(("qr", "matrix_rank"), ITERATE),
    # transforms
    **dict.fromkeys(
        [f"{i}{kind}fft{n}" for i in ("", "i") for kind in ("", "r", "h") for n in ("", "2", "n")],
        FOURIER,
    ),
    "fftshift": "use np.roll",
    "ifftshift": "use np.roll",
    # scipy.special
    "logsumexp": "use np.log(np.sum(np.exp(x))), which does not overflow here",
    "softmax": "use np.exp(x) / np.sum(np.exp(x)), which does not overflow here",
    "log_softmax": "use x - np.log(np.sum(np.exp(x))), which does not overflow here",
    "factorial": "use np.exp(scipy.special.gammaln(x + 1))",
    "lgamma": "use scipy.special.gammaln",
    "poch": "use np.exp(gammaln(x + m) - gammaln(x)) with scipy.special.gammaln",
    "binom": "use np.exp of gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)",
    "powm1": "use np.expm1(y * np.log(x))",
    "tandg": "use np.tan(np.deg2rad(x))",
    "erfcx": "use np.exp(x**2) * scipy.special.erfc(x)",
    **dict.fromkeys(("erfinv", "erfcinv", "ndtri", "erfi"), NORMAL),
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
    "numpy.linalg": "np.linalg.solve, inv, det, cholesky and norm are, np.matmul and np.einsum",
    "numpy.fft": FOURIER,
    "scipy.special": f"erf, ndtr, expit, gammaln, digamma and xlogy are; else {SERIES}",
}
"""Where nothing nearer is known: by the module of the function."""
