/*% if helper == "error" %*/
/* a b - product, product being a b rounded; of halves (Dekker 1971) without fused multiply-adds. */
static inline double error_f64(double a, double b, double product)
{
#if defined(__FMA__) || defined(__aarch64__)
    return fma(a, b, -product);
#else
    const double a1 = a * 134217729 - (a * 134217729 - a);
    const double b1 = b * 134217729 - (b * 134217729 - b);
    const double a2 = a - a1;
    const double b2 = b - b1;
    return ((a1 * b1 - product) + a1 * b2 + a2 * b1) + a2 * b2;
#endif
}

/*% elif helper == "power" and suffix == "f32" %*/
/* |x|^y = 2^(y log2(|x|)); a negative x needs a whole y. */
static inline float power_f32(float x, float y)
{
    const float a = fabsf(x);
    const float b = fabsf(y);
    const float h = 0.5f * b;
    const bool even = h >= 0x1p23f || (h + 0x1p23f) - 0x1p23f == h;
    const bool whole = b >= 0x1p23f || (b + 0x1p23f) - 0x1p23f == b;
    const float r = (float)exp2_f64((double)y * log2_f64((double)a));
    const float sign = x < 0 && !whole && a > 0 && a < HUGE_VALF ? NAN : 1;
    const float value = signbit(x) && whole && !even ? -r : sign * r;
    return y == 0 || x == 1 || (a == 1 && b == HUGE_VALF) ? 1 : value;
}

/*% elif helper == "power" %*/
/* |x|^y = 2^(y log2(|x|)), the logarithm and the product in two doubles each (as Dekker 1971); a
 * negative x needs a whole y. log(1 + f) = 2 s + 2/3 s^3 + s^5 p(s^2), s = f / (2 + f). */
static inline double power_f64(double x, double y)
{
    const double a = fabs(x);
    const double normal = a < 0x1p-1022 ? a * 0x1p54 : a;
    const double k = exponent_f64(normal) - (a < 0x1p-1022 ? 54 : 0);
    const double f = significand_f64(normal) - 1;
    const double u = 2 + f;
    const double inverse = 1 / u;
    const double s = f * inverse;
    const double su = s * u;
    const double s_low = inverse * (((f - su) - error_f64(s, u, su)) - s * (f - (u - 2)));
    const double z = s * s;
    const double z_low = error_f64(s, s, z) + 2 * s * s_low;
    const double cube = z * s;
    const double cube_low = error_f64(z, s, cube) + (z_low * s + z * s_low);
    double p = 0.13196935937281012;
    p = muladd_f64(p, z, 0.13256754663742978);
    p = muladd_f64(p, z, 0.15386759928469387);
    p = muladd_f64(p, z, 0.18181784313505311);
    p = muladd_f64(p, z, 0.22222222520498447);
    p = muladd_f64(p, z, 0.2857142857009661);
    p = muladd_f64(p, z, 0.4000000000000226);
    const double t = 0.6666666666666666 * cube;
    const double t_low = error_f64(0.6666666666666666, cube, t) +
        (0.6666666666666666 * cube_low + 3.700743415417188e-17 * cube + z * cube * p);
    const double log = 2 * s + t;
    const double log_low = (2 * s - log + t) + (2 * s_low + t_low);
    const double part = log * 1.4426950408889634;
    const double part_low = error_f64(log, 1.4426950408889634, part) +
        (log * 2.0355273740931033e-17 + log_low * 1.4426950408889634);
    const double sum = k + part;
    const double sum_low = (k - sum + part) + part_low;
    const double log2 = sum + sum_low;
    const double log2_low = (sum - log2) + sum_low;
    const double log2_all = a == 0 ? -HUGE_VAL : a < HUGE_VAL ? log2 : a;
    const double e = y * log2_all;
    const double e_low = fabs(e) < 2000 ? error_f64(y, log2, e) + y * log2_low : 0;
    const double r = exp2_sum_f64(e, e_low);
    const double b = fabs(y);
    const double h = 0.5 * b;
    const bool even = h >= 0x1p52 || (h + 0x1p52) - 0x1p52 == h;
    const bool whole = b >= 0x1p52 || (b + 0x1p52) - 0x1p52 == b;
    const double sign = x < 0 && !whole && a > 0 && a < HUGE_VAL ? (double)NAN : 1;
    const double value = signbit(x) && whole && !even ? -r : sign * r;
    return y == 0 || x == 1 || (a == 1 && b == HUGE_VAL) ? 1 : value;
}

/*% endif %*/
