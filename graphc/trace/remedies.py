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
    "piecewise": "use np.where or np.select",
    "isin": "use np.any(x[..., None] == values, axis=-1)",
    "linspace": "use a + (b - a) * np.linspace(0, 1, n)",
    "logspace": "use 10 ** (a + (b - a) * np.linspace(0, 1, n))",
    "geomspace": "use a * (b / a) ** np.linspace(0, 1, n)",
    # sums
    "convolve": "use np.sum(sliding_window_view(x, len(w)) * w[::-1], axis=-1) of a padded x",
    "correlate": "use np.sum(sliding_window_view(x, len(w)) * w, axis=-1) of a padded x",
    "cov": "use np.matmul of x - np.mean(x, axis=1, keepdims=True) with its transpose, / (n - 1)",
    "corrcoef": "use np.matmul of the rows, centred by np.mean and divided by np.std",
    "matvec": "use np.matmul(a, x[..., None])[..., 0], or np.einsum",
    "vecmat": "use np.matmul(x[..., None, :], a)[..., 0, :], or np.einsum",
    "histogram": HISTOGRAM,
    "histogram2d": HISTOGRAM,
    "histogramdd": HISTOGRAM,
    "histogram_bin_edges": "use np.linspace, or np.quantile",
    "nanargmax": "use np.argmax(np.where(np.isnan(x), -np.inf, x))",
    "nanargmin": "use np.argmin(np.where(np.isnan(x), np.inf, x))",
    "nanmedian": f"{FILLED}, then np.median",
    "nanpercentile": f"{FILLED}, then np.percentile",
    "nanquantile": f"{FILLED}, then np.quantile",
    "unwrap": "use np.cumsum of np.diff, wrapped by np.remainder",
    # polynomials
    "polyfit": "solve for the coefficients outside; np.polyval is covered",
    "roots": "find them outside; np.polyval is covered",
    "poly": "multiply the factors; np.polyval is covered",
    "polyadd": "use a + b; np.polyval is covered",
    "polysub": "use a - b; np.polyval is covered",
    "polymul": "multiply the values that np.polyval gives",
    "polydiv": "divide the values that np.polyval gives",
    "polyder": "use graphc.grad of np.polyval, or p[:-1] * np.arange(n, 0, -1)",
    "polyint": "use np.concatenate of p / np.arange(n, 0, -1) and a constant",
    # numbers
    "angle": "use np.arctan2; there are no complex numbers",
    "frexp": "use np.floor(np.log2(np.abs(x)))",
    "gcd": "use np.remainder in graphc.while_loop",
    "lcm": "use np.remainder in graphc.while_loop",
    "i0": SERIES,
    "spacing": "use np.nextafter",
    "bitwise_count": "use np.bitwise_and and np.right_shift",
    "packbits": "use np.left_shift and np.bitwise_or",
    "unpackbits": "use np.right_shift and np.bitwise_and",
    # linear algebra
    **dict.fromkeys(("solve", "inv", "pinv", "lstsq", "tensorsolve", "tensorinv"), ITERATE),
    **dict.fromkeys(("eig", "eigh", "eigvals", "eigvalsh", "svd", "svdvals", "cond"), ITERATE),
    **dict.fromkeys(("cholesky", "qr", "matrix_rank"), ITERATE),
    "det": "expand it by products for small matrices, or factor with np.outer in graphc.scan",
    "slogdet": "expand it by products and take np.log(np.abs(...)), or factor in graphc.scan",
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
    "gamma": "use np.exp(scipy.special.gammaln(x)) for x > 0",
    "lgamma": "use scipy.special.gammaln",
    "rgamma": "use np.exp(-scipy.special.gammaln(x)) for x > 0",
    "poch": "use np.exp(gammaln(x + m) - gammaln(x)) with scipy.special.gammaln",
    "beta": "use np.exp(gammaln(a) + gammaln(b) - gammaln(a + b)) with scipy.special.gammaln",
    "betaln": "use gammaln(a) + gammaln(b) - gammaln(a + b) with scipy.special.gammaln",
    "binom": "use np.exp of gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)",
    "exp10": "use 10.0**x",
    "exprel": "use np.where(x == 0, 1, np.expm1(x) / x)",
    "powm1": "use np.expm1(y * np.log(x))",
    "cosm1": "use -2 * np.sin(x / 2) ** 2",
    "sindg": "use np.sin(np.deg2rad(x))",
    "cosdg": "use np.cos(np.deg2rad(x))",
    "tandg": "use np.tan(np.deg2rad(x))",
    "boxcox": "use np.expm1(a * np.log(x)) / a",
    "boxcox1p": "use np.expm1(a * np.log1p(x)) / a",
    "rel_entr": "use np.where(x > 0, x * np.log(x / y), 0)",
    "kl_div": "use np.where(x > 0, x * np.log(x / y), 0) - x + y",
    "huber": "use np.where(np.abs(r) < d, r**2 / 2, d * (np.abs(r) - d / 2))",
    "pseudo_huber": "use d**2 * (np.sqrt(1 + (r / d) ** 2) - 1)",
    "log_ndtr": "use np.log(scipy.special.ndtr(x))",
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
    "numpy.linalg": "np.matmul, np.einsum and np.linalg.norm are; write it with those",
    "numpy.fft": FOURIER,
    "scipy.special": f"erf, ndtr, expit, gammaln, digamma and xlogy are; else {SERIES}",
}
"""Where nothing nearer is known: by the module of the function."""
