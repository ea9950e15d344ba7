/*% if helper == "error" %*/
/* a b - product, product being a b rounded; of halves (Dekker 1971) without fused multiply-adds. */
static ${ inline } double error_f64(double a, double b, double product)
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
/* |x|^y = 2^(y log2(|x|)), positive if y is even, nan of a negative x if y is not whole. */
static ${ inline } float power_f32(float x, float y)
{
    const double log2 = log2_single_f64((double)fabsf(x));
    const double times = log2 == 0 ? 0 : (double)y;
    const float r = (float)exp2_single_f64(times * (y == 0 ? 0 : log2));
    const float b = fabsf(y) >= 0x1p24f ? 0 : fabsf(y);
    const float half = 0.5f * b;
    const bool even = (half + 0x1p23f) - 0x1p23f == half;
    const float parity = even ? 1 : -1;
    const float sign = b >= 0x1p23f ? parity : (b + 0x1p23f) - 0x1p23f == b ? parity : NAN;
    const float known = sign == sign ? sign : fabs(log2) < HUGE_VAL ? sign : 1;
    return copysignf(1, x) < 0 ? r * known : r;
}

/*% elif helper == "power" %*/
/* |x|^y = 2^(y log2(|x|)), the logarithm and the product in two doubles each (as Dekker 1971);
 * positive if y is even, nan of a negative x if y is not whole. log(1 + f) = 2 s + 2/3 s^3 +
 * s^5 p(s^2), s = f / (2 + f). */
static ${ inline } double power_f64(double x, double y)
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
    const double times = log2_all == 0 ? 0 : y;
    const double value = y == 0 ? 0 : log2_all;
    const double e = times * value;
    const double rest = error_f64(times, value, e) + times * (y == 0 ? 0 : log2_low);
    const double r = exp2_sum_f64(e, fabs(e) < 2000 ? rest : 0);
    const double b = fabs(y) >= 0x1p53 ? 0 : fabs(y);
    const double half = 0.5 * b;
    const bool even = (half + 0x1p52) - 0x1p52 == half;
    const double parity = even ? 1 : -1;
    const double sign = b >= 0x1p52 ? parity : (b + 0x1p52) - 0x1p52 == b ? parity : (double)NAN;
    const double known = sign == sign ? sign : fabs(log2_all) < HUGE_VAL ? sign : 1;
    return copysign(1, x) < 0 ? r * known : r;
}

/*% endif %*/
