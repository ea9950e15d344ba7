/*% for helper, suffix in helpers %*/
/*% set T = {"f32": "float", "f64": "double", "i32": "int32_t", "i64": "int64_t"}[suffix] %*/
/*% set U = {"i32": "uint32_t", "i64": "uint64_t"}[suffix] if suffix[0] == "i" else "" %*/
/*% set f = "f" if suffix == "f32" else "" %*/
/*# Of floats: the unsigned integer as wide; what added to a whole number puts it in the last bits. #*/
/*% set W = {"f32": "uint32_t", "f64": "uint64_t"}[suffix] if suffix[0] == "f" else "" %*/
/*% set MAGIC, BIAS, DIGITS = ("0x1.8p23f", 127, 23) if f else ("0x1.8p52", 1023, 52) %*/
/*% set exp = "exp_" + suffix if ("exp", suffix) in helpers else "exp" + f %*/
/*% set log1p = "log1p_" + suffix if ("log1p", suffix) in helpers else "log1p" + f %*/
/*% if helper == "maximum" and suffix[0] == "f" %*/
/* The larger; nan if either is. */
static inline ${ T } maximum_${ suffix }(${ T } a, ${ T } b)
{
    const ${ T } larger = a > b ? a : b; /* b, if that is nan */
    return a != a ? a : larger;
}

/*% if (helper, suffix) in folds %*/
#if defined(GRAPHC_SIMD) || defined(_OPENMP)
#pragma omp declare reduction(maximum : ${ T } : \
    omp_out = maximum_${ suffix }(omp_out, omp_in)) initializer(omp_priv = -HUGE_VAL${ "F" if f else "" })
#endif

/*% endif %*/
/*% elif helper == "minimum" and suffix[0] == "f" %*/
/* The smaller; nan if either is. */
static inline ${ T } minimum_${ suffix }(${ T } a, ${ T } b)
{
    const ${ T } smaller = a < b ? a : b; /* b, if that is nan */
    return a != a ? a : smaller;
}

/*% if (helper, suffix) in folds %*/
#if defined(GRAPHC_SIMD) || defined(_OPENMP)
#pragma omp declare reduction(minimum : ${ T } : \
    omp_out = minimum_${ suffix }(omp_out, omp_in)) initializer(omp_priv = HUGE_VAL${ "F" if f else "" })
#endif

/*% endif %*/
/*% elif helper == "fmax" %*/
/* The larger; nan if both are. */
static inline ${ T } fmax_${ suffix }(${ T } a, ${ T } b)
{
    return a >= b || b != b ? a : b;
}

/*% elif helper == "fmin" %*/
/* The smaller; nan if both are. */
static inline ${ T } fmin_${ suffix }(${ T } a, ${ T } b)
{
    return a <= b || b != b ? a : b;
}

/*% elif helper == "maximum" %*/
static inline ${ T } maximum_${ suffix }(${ T } a, ${ T } b)
{
    return a > b ? a : b;
}

/*% elif helper == "minimum" %*/
static inline ${ T } minimum_${ suffix }(${ T } a, ${ T } b)
{
    return a < b ? a : b;
}

/*% elif helper == "sign" and suffix[0] == "f" %*/
/* -1, 0 or 1; nan of nan. */
static inline ${ T } sign_${ suffix }(${ T } x)
{
    return x > 0 ? 1 : x < 0 ? -1 : x == 0 ? 0 : x;
}

/*% elif helper == "sign" %*/
static inline ${ T } sign_${ suffix }(${ T } x)
{
    return (x > 0) - (x < 0);
}

/*% elif helper == "absolute" %*/
/* |x|, wrapping for the smallest integer. */
static inline ${ T } absolute_${ suffix }(${ T } x)
{
    return x < 0 ? (${ T })(0 - (${ U })x) : x;
}

/*% elif helper in ("add", "subtract", "multiply") %*/
/*% set sign = {"add": "+", "subtract": "-", "multiply": "*"}[helper] %*/
/* a ${ sign } b, wrapping on overflow. */
static inline ${ T } ${ helper }_${ suffix }(${ T } a, ${ T } b)
{
    return (${ T })((${ U })a ${ sign } (${ U })b);
}

/*% elif helper == "negative" %*/
/* -x, wrapping for the smallest integer. */
static inline ${ T } negative_${ suffix }(${ T } x)
{
    return (${ T })(0 - (${ U })x);
}

/*% elif helper == "left_shift" %*/
/* a << b; 0 when b is not below the width. */
static inline ${ T } left_shift_${ suffix }(${ T } a, ${ T } b)
{
    return b >= 0 && b < ${ suffix[1:] } ? (${ T })((${ U })a << b) : 0;
}

/*% elif helper == "right_shift" %*/
/* a >> b, filled with the sign. */
static inline ${ T } right_shift_${ suffix }(${ T } a, ${ T } b)
{
    const ${ T } by = b >= 0 && b < ${ suffix[1:] } ? b : ${ suffix[1:]|int - 1 };
    return a < 0 ? (${ T })~(~(${ U })a >> by) : a >> by;
}

/*% elif helper == "floor_divide" and suffix[0] == "i" %*/
/* a / b rounded down; 0 for b = 0, wrapping for the smallest integer by -1. */
static inline ${ T } floor_divide_${ suffix }(${ T } a, ${ T } b)
{
    if (b == 0)
        return 0;
    if (b == -1)
        return (${ T })(0 - (${ U })a);
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

/*% elif helper == "remainder" and suffix[0] == "i" %*/
/* a - b floor(a / b): the sign of b; 0 for b = 0. */
static inline ${ T } remainder_${ suffix }(${ T } a, ${ T } b)
{
    if (b == 0 || b == -1)
        return 0;
    const ${ T } r = a % b;
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

/*% elif helper == "fmod" %*/
/* The remainder with the sign of a; 0 for b = 0. */
static inline ${ T } fmod_${ suffix }(${ T } a, ${ T } b)
{
    return b == 0 || b == -1 ? 0 : a % b;
}

/*% elif helper == "power" and suffix[0] == "i" %*/
/* a to the b, wrapping on overflow, by repeated squaring. */
static inline ${ T } power_${ suffix }(${ T } a, ${ T } b)
{
    ${ T } result = 1;
    for (; b > 0; b >>= 1) {
        if (b & 1)
            result = multiply_${ suffix }(result, a);
        a = multiply_${ suffix }(a, a);
    }
    return result;
}

/*% elif helper == "wrap_index" %*/
/* i, counted from the end where it is negative; the nearest of 0 .. n - 1 where it is beyond. */
static inline int64_t wrap_index_i64(int64_t i, int64_t n)
{
    const int64_t at = i < 0 ? i + n : i;
    return at < 0 ? 0 : at < n ? at : n - 1;
}

/*% elif helper == "floor_divide" %*/
/* floor(a / b), exact where a / b alone would round across an integer. */
static inline ${ T } floor_divide_${ suffix }(${ T } a, ${ T } b)
{
    if (b == 0)
        return a / b;
    ${ T } r = fmod${ f }(a, b);
    ${ T } q = (a - r) / b;
    if (r != 0 && (b < 0) != (r < 0))
        q -= 1;
    if (q == 0)
        return copysign${ f }(0, a / b);
    const ${ T } whole = floor${ f }(q);
    return q - whole > (${ T })0.5 ? whole + 1 : whole;
}

/*% elif helper == "remainder" %*/
/* a - b floor(a / b): the sign of b. */
static inline ${ T } remainder_${ suffix }(${ T } a, ${ T } b)
{
    const ${ T } r = fmod${ f }(a, b);
    if (b == 0)
        return r;
    if (r == 0)
        return copysign${ f }(0, b);
    return (b < 0) != (r < 0) ? r + b : r;
}

/*% elif helper == "is_true" %*/
/* *x, read as a byte: compilers then choose by it in vectors. */
static inline bool is_true(const bool *x)
{
    return *(const unsigned char *)x != 0;
}

/*% elif helper == "to_i32" %*/
/* Towards zero; the smallest integer for what does not fit. */
static inline int32_t to_i32_${ suffix }(${ T } x)
{
    return x > (${ T })-2147483904.0 && x < (${ T })2147483648.0 && (double)x > -2147483649.0
        ? (int32_t)x : INT32_MIN;
}

/*% elif helper == "to_i64" %*/
/* Towards zero; the smallest integer for what does not fit. */
static inline int64_t to_i64_${ suffix }(${ T } x)
{
    return x >= (${ T })-9223372036854775808.0 && x < (${ T })9223372036854775808.0
        ? (int64_t)x : INT64_MIN;
}

/*% elif helper == "clock" %*/
/* Seconds since some moment. */
static inline double clock_f64(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/*% elif helper == "panels" %*/
/*% include "panels.c" %*/
/*% elif helper == "transpose" %*/
/*% include "turned.c" %*/
/*% elif helper == "contract" %*/
/*% include "contract.c" %*/
/*% elif helper == "contract_taps" %*/
/*% include "taps.c" %*/
/*% elif helper == "contract_dots" %*/
/*% include "dots.c" %*/
/*% elif helper in ("zeros", "terms_that_count", "rows_that_count", "columns_that_count") %*/
/*% include "zeros.c" %*/
/*% elif helper == "polygamma" and suffix == "f64" %*/
/* The derivative of order n of digamma: recurrence to x >= 10, then the asymptotic series
 * (Abramowitz and Stegun 6.3.18 and 6.4.11). */
static inline double polygamma_f64(int32_t n, double x)
{
    static const double bernoulli[8] = {
        1.0 / 6, -1.0 / 30, 1.0 / 42, -1.0 / 30, 5.0 / 66, -691.0 / 2730, 7.0 / 6, -3617.0 / 510
    };
    const double pi = 3.14159265358979323846;
    double sum = 0;
    if (n == 0) {
        double flip = 0;
        if (x == 0)
            return copysign((double)INFINITY, -x);
        if (x < 0) {
            if (x == floor(x))
                return (double)NAN;
            flip = -pi / tan(pi * x);
            x = 1 - x;
        }
        for (; x < 10; x += 1)
            sum -= 1 / x;
        double power = x * x;
        double series = 0;
        for (int k = 0; k < 8; ++k, power *= x * x)
            series += bernoulli[k] / ((2 * k + 2) * power);
        return isinf(x) ? x : flip + sum + log(x) - 0.5 / x - series;
    }
    if (x <= 0 && x == floor(x))
        return n % 2 == 1 ? HUGE_VAL : (double)NAN;
    double factorial = 1;
    for (int k = 2; k <= n; ++k)
        factorial *= k;
    const double s = n + 1;
    for (; x < 10; x += 1)
        sum += pow(x, -s);
    sum += pow(x, 1 - s) / (s - 1) + 0.5 * pow(x, -s);
    double factor = s * pow(x, -s - 1) / 2;
    for (int k = 0; k < 8; ++k) {
        sum += bernoulli[k] * factor;
        factor *= (s + 2 * k + 1) * (s + 2 * k + 2) / ((2 * k + 3) * (2 * k + 4)) / (x * x);
    }
    return (n % 2 == 1 ? 1 : -1) * factorial * sum;
}

/*% elif suffix == "f32" and (helper == "polygamma" or helper[:6] == "bessel") %*/
static inline float ${ helper }_f32(int32_t n, float x)
{
    return (float)${ helper }_f64(n, (double)x);
}

/*% elif suffix == "f32" and helper in in_double %*/
/*% set two = helper in ("arctan2", "hypot") %*/
static ${ inline } float ${ helper }_f32(float x${ ", float y" if two else "" })
{
    return (float)${ helper }_f64((double)x${ ", (double)y" if two else "" });
}

/*% elif helper in halves %*/
/*% include "halves.c" %*/
/*% else %*/
/*% include "maths/bits.c" %*/
/*% include "maths/exponential.c" %*/
/*% include "maths/logarithm.c" %*/
/*% include "maths/trigonometric.c" %*/
/*% include "maths/inverse.c" %*/
/*% include "maths/error.c" %*/
/*% include "maths/power.c" %*/
/*% include "maths/quantile.c" %*/
/*% include "maths/bessel.c" %*/
/*% endif %*/
/*% endfor %*/
