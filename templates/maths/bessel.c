/*% if helper == "bessel_downward" %*/
/* The ratios of Bessel functions of the orders 0, ..., n at a > 0 by the recurrence downwards from
 * an order at which they are nothing (Miller). sign = 1: I; -1: J. Gives that of order n, and in
 * sums[0] what they are measured by: e^a = I_0 + 2 I_1 + 2 I_2 + ... or 1 = J_0 + 2 J_2 + ...;
 * in sums[1], sums[2] the sums of (-1)^k J_2k / k and (-1)^k (2k + 1) / (k (k + 1)) J_2k+1 or, of
 * I, of I_2k / k; in sums[3], sums[4] those of orders 0 and 1. */
static inline double bessel_downward_f64(int32_t n, double a, double sign, double sums[5])
{
    double above = 0;
    double here = 1e-200;
    double found = 0;
    for (int k = 0; k < 5; ++k)
        sums[k] = 0;
    for (int32_t k = n + 24 + (int32_t)(a + 8 * sqrt(a)); k >= 0; --k) {
        const int32_t half = k / 2;
        const double turn = sign < 0 && half % 2 == 1 ? -1.0 : 1.0;
        if (sign > 0 || k % 2 == 0)
            sums[0] += k == 0 ? here : 2 * here;
        if (k % 2 == 0 && half > 0)
            sums[1] += turn * here / half;
        else if (half > 0)
            sums[2] += turn * here * k / ((double)half * (half + 1));
        if (k == n)
            found = here;
        if (k < 2)
            sums[3 + k] = here;
        const double next = 2 * k / a * here + sign * above;
        above = here;
        here = next;
        if (fabs(here) > 1e200) {
            above *= 1e-200;
            here *= 1e-200;
            found *= 1e-200;
            for (int j = 0; j < 5; ++j)
                sums[j] *= 1e-200;
        }
    }
    return found;
}

/*% elif helper == "bessel_small" %*/
/* (a/2)^n / n!: J and I of order n where a is so small that no more terms of the series count. */
static inline double bessel_small_f64(int32_t n, double a)
{
    double value = 1;
    for (int32_t k = 1; k <= n; ++k)
        value *= a / (2 * k);
    return value;
}

/*% elif helper == "bessel_far" %*/
/* The asymptotic series for a > 40 and a > n n (Abramowitz and Stegun 9.2 and 9.7): the sums of
 * terms of even and of odd power of 1/a, with signs that alternate along each if sign = -1. */
static inline void bessel_far_f64(int32_t n, double a, double sign, double sums[2])
{
    double term = 1;
    sums[0] = 1;
    sums[1] = 0;
    for (int k = 1; k < 60 && fabs(term) > 1e-18; ++k) {
        term *= (4.0 * n * n - (2.0 * k - 1) * (2.0 * k - 1)) / (8 * k * a);
        sums[k % 2] += sign < 0 && k / 2 % 2 == 1 ? -term : term;
    }
}

/*% elif helper == "bessel_ie" and suffix == "f64" %*/
/* The modified Bessel function I of order n, times e^-|x|. */
static inline double bessel_ie_f64(int32_t n, double x)
{
    const double a = fabs(x);
    const double sign = n % 2 == 1 ? copysign(1.0, x) : 1.0;
    if (a < 1e-20)
        return sign * bessel_small_f64(n, a);
    if (a > 40 && a > (double)n * n) {
        double far[2];
        bessel_far_f64(n, a, 1, far);
        return sign * (far[0] - far[1]) / (2.50662827463100050242 * sqrt(a));
    }
    double sums[5];
    return a <= 40 || a <= (double)n * n ? sign * bessel_downward_f64(n, a, 1, sums) / sums[0] : a;
}

/*% elif helper == "bessel_i" and suffix == "f64" %*/
/* The modified Bessel function I of order n. */
static inline double bessel_i_f64(int32_t n, double x)
{
    const double half = exp(0.5 * fabs(x));
    return isinf(half) ? copysign(half, n % 2 == 1 ? x : 1) : half * bessel_ie_f64(n, x) * half;
}

/*% elif helper == "bessel_waves" %*/
/* J and Y of order n for large a. */
static inline void bessel_waves_f64(int32_t n, double a, double found[2])
{
    double far[2];
    bessel_far_f64(n, a, -1, far);
    const double scale = 0.56418958354775628695 / sqrt(a);
    double c = scale * (cos(a) + sin(a)); /* cos and sin of a - pi/4 - n pi/2 */
    double s = scale * (sin(a) - cos(a));
    for (int32_t k = 0; k < n % 4; ++k) {
        const double turned = -c;
        c = s;
        s = turned;
    }
    found[0] = far[0] * c - far[1] * s;
    found[1] = far[0] * s + far[1] * c;
}

/*% elif helper == "bessel_j" and suffix == "f64" %*/
/* The Bessel function J of order n. */
static inline double bessel_j_f64(int32_t n, double x)
{
    const double a = fabs(x);
    const double sign = n % 2 == 1 ? copysign(1.0, x) : 1.0;
    if (isinf(a))
        return 0;
    if (a < 1e-20)
        return sign * bessel_small_f64(n, a);
    if (a > 40 && a > (double)n * n) {
        double waves[2];
        bessel_waves_f64(n, a, waves);
        return sign * waves[0];
    }
    double sums[5];
    return a <= 40 || a <= (double)n * n ? sign * bessel_downward_f64(n, a, -1, sums) / sums[0] : a;
}

/*% elif helper == "bessel_y" and suffix == "f64" %*/
/* The Bessel function Y of order n: by J's of all orders (Neumann; Y_1 = -Y_0'), then by the
 * recurrence upwards. */
static inline double bessel_y_f64(int32_t n, double x)
{
    const double two_over_pi = 0.63661977236758134308;
    const double euler = 0.57721566490153286061;
    if (!(x > 0))
        return x == 0 ? -(double)INFINITY : (double)NAN;
    if (isinf(x))
        return 0;
    double below;
    double here;
    if (x > 40) {
        double waves[2];
        bessel_waves_f64(0, x, waves);
        below = waves[1];
        bessel_waves_f64(1, x, waves);
        here = waves[1];
    } else if (x < 1e-20) {
        below = two_over_pi * (log(x) - 0.69314718055994530942 + euler);
        here = -two_over_pi / x;
    } else {
        double sums[5];
        bessel_downward_f64(0, x, -1, sums);
        const double log_x = log(0.5 * x) + euler;
        below = two_over_pi * (log_x * sums[3] - 2 * sums[1]) / sums[0];
        here = two_over_pi * ((log_x - 1) * sums[4] - sums[2] - sums[3] / x) / sums[0];
    }
    for (int32_t k = 1; k <= n; ++k) {
        const double next = isinf(here) ? here : 2 * k / x * here - below;
        below = here;
        here = next;
    }
    return below;
}

/*% elif helper == "bessel_ke" and suffix == "f64" %*/
/* The modified Bessel function K of order n, times e^x: by I's of all orders or, for large x, by a
 * continued fraction (Temme), then by the recurrence upwards. */
static inline double bessel_ke_f64(int32_t n, double x)
{
    if (!(x > 0))
        return x == 0 ? (double)INFINITY : (double)NAN;
    if (isinf(x))
        return 0;
    double below;
    double here;
    if (x < 1e-20) {
        below = 0.69314718055994530942 - log(x) - 0.57721566490153286061;
        here = 1 / x;
    } else if (x <= 2) {
        double sums[5];
        bessel_downward_f64(0, x, 1, sums);
        const double unit = exp(x) / sums[0];
        below = unit * (2 * sums[1] - (log(0.5 * x) + 0.57721566490153286061) * sums[3]);
        here = (1 / x - unit * sums[4] * below) / (unit * sums[3]);
        below *= exp(x);
        here *= exp(x);
    } else {
        double b = 2 * (1 + x);
        double d = 1 / b;
        double h = d;
        double step = d;
        double q1 = 0;
        double q2 = 1;
        double a = -0.25;
        double c = 0.25;
        double q = c;
        double s = 1 + q * step;
        for (int i = 2; i < 200; ++i) {
            a -= 2 * (i - 1);
            c = -a * c / i;
            const double next = (q1 - b * q2) / a;
            q1 = q2;
            q2 = next;
            q += c * next;
            b += 2;
            d = 1 / (b + a * d);
            step *= b * d - 1;
            h += step;
            s += q * step;
            if (fabs(q * step) < 1e-17 * s)
                break;
        }
        below = sqrt(1.57079632679489661923 / x) / s;
        here = below * (x + 0.5 - 0.25 * h) / x;
    }
    for (int32_t k = 1; k <= n; ++k) {
        const double next = 2 * k / x * here + below;
        below = here;
        here = next;
    }
    return below;
}

/*% elif helper == "bessel_k" and suffix == "f64" %*/
/* The modified Bessel function K of order n. */
static inline double bessel_k_f64(int32_t n, double x)
{
    return exp(-x) * bessel_ke_f64(n, x);
}

/*% endif %*/
