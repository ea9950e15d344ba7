/*% if helper == "log" and suffix == "f32" %*/
/* log(x) = k log(2) + log(1 + f), x = 2^k (1 + f); a subnormal x is scaled up first. */
static ${ inline } float log_f32(float x)
{
    const float y = x < 0x1p-126f ? x * 0x1p23f : x;
    const float k = exponent_f32(y) - (x < 0x1p-126f ? 23 : 0);
    const float f = significand_f32(y) - 1;
    const float square = f * f;
    float p = -0.07641227f;
    p = muladd_f32(p, f, 0.12765935f);
    p = muladd_f32(p, f, -0.13159685f);
    p = muladd_f32(p, f, 0.14201087f);
    p = muladd_f32(p, f, -0.16623338f);
    p = muladd_f32(p, f, 0.20001258f);
    p = muladd_f32(p, f, -0.25000823f);
    p = muladd_f32(p, f, 0.3333333f);
    p = muladd_f32(p, square * f, k * -2.12194440e-4f);
    const float finite = muladd_f32(k, 0.693359375f, f + muladd_f32(square, -0.5f, p));
    return x > 0 ? (x < HUGE_VALF ? finite : x) : x == 0 ? -HUGE_VALF : NAN;
}

/*% elif helper == "log" %*/
/* log(x) = k log(2) + log(1 + f), x = 2^k (1 + f); a subnormal x is scaled up first. With
 * s = f / (2 + f), log(1 + f) = 2 s + s^3 p(s^2). */
static ${ inline } double log_f64(double x)
{
    const double y = x < 0x1p-1022 ? x * 0x1p54 : x;
    const double k = exponent_f64(y) - (x < 0x1p-1022 ? 54 : 0);
    const double f = significand_f64(y) - 1;
    const double s = f / (2 + f);
    const double z = s * s;
    const double half = 0.5 * (f * f);
    double p = 0.14795907611223752;
    p = muladd_f64(p, z, 0.1531405997218616);
    p = muladd_f64(p, z, 0.1818356371106388);
    p = muladd_f64(p, z, 0.22222198591026515);
    p = muladd_f64(p, z, 0.2857142874213494);
    p = muladd_f64(p, z, 0.3999999999941634);
    p = muladd_f64(p, z, 0.6666666666666734);
    const double rest = muladd_f64(s, muladd_f64(p, z, half), k * 1.9082149292705877e-10);
    const double finite = muladd_f64(k, 0.6931471803691238, f - (half - rest));
    return x > 0 ? (x < HUGE_VAL ? finite : x) : x == 0 ? -HUGE_VAL : (double)NAN;
}

/*% elif helper == "log1p" and suffix == "f32" %*/
/* log(1 + x) = k log(2) + log(1 + f), 1 + x = 2^k (1 + f); d is what f lost of x. */
static ${ inline } float log1p_f32(float x)
{
    const float u = 1 + x;
    const float k = exponent_f32(u);
    const float f = significand_f32(u) - 1;
    const float lost = x < 1 ? x - (u - 1) : 1 - (u - x);
    const float d = lost * power_of_two_f32(1 - k) * 0.5f;
    const float square = f * f;
    float p = -0.07641227f;
    p = muladd_f32(p, f, 0.12765935f);
    p = muladd_f32(p, f, -0.13159685f);
    p = muladd_f32(p, f, 0.14201087f);
    p = muladd_f32(p, f, -0.16623338f);
    p = muladd_f32(p, f, 0.20001258f);
    p = muladd_f32(p, f, -0.25000823f);
    p = muladd_f32(p, f, 0.3333333f);
    p = muladd_f32(p, square * f, muladd_f32(k, -2.12194440e-4f, d * (1 - f + square)));
    const float finite = muladd_f32(k, 0.693359375f, f + muladd_f32(square, -0.5f, p));
    return x > -1 ? copysignf(x < HUGE_VALF ? finite : x, x) : x == -1 ? -HUGE_VALF : NAN;
}

/*% elif helper == "log1p" %*/
/* log(1 + x) = k log(2) + log(1 + f), 1 + x = 2^k (1 + f); d is what f lost of x. With
 * s = f / (2 + f), log(1 + f) = 2 s + s^3 p(s^2). */
static ${ inline } double log1p_f64(double x)
{
    const double u = 1 + x;
    const double k = exponent_f64(u);
    const double f = significand_f64(u) - 1;
    const double lost = x < 1 ? x - (u - 1) : 1 - (u - x);
    const double d = lost * power_of_two_f64(1 - k) * 0.5;
    const double s = f / (2 + f);
    const double z = s * s;
    const double half = 0.5 * (f * f);
    double p = 0.14795907611223752;
    p = muladd_f64(p, z, 0.1531405997218616);
    p = muladd_f64(p, z, 0.1818356371106388);
    p = muladd_f64(p, z, 0.22222198591026515);
    p = muladd_f64(p, z, 0.2857142874213494);
    p = muladd_f64(p, z, 0.3999999999941634);
    p = muladd_f64(p, z, 0.6666666666666734);
    const double low = muladd_f64(k, 1.9082149292705877e-10, d * (1 - f + f * f));
    const double rest = muladd_f64(s, muladd_f64(p, z, half), low);
    const double finite = muladd_f64(k, 0.6931471803691238, f - (half - rest));
    return x > -1 ? copysign(x < HUGE_VAL ? finite : x, x) : x == -1 ? -HUGE_VAL : (double)NAN;
}

/*% elif helper == "log_base" %*/
/* k step + log(1 + f) scale, x = 2^k (1 + f): log(x) to the base whose logarithms of 2 and of e are
 * step and scale, each in a short part and a rest. The short parts have exact products. */
static ${ inline } double log_base_f64(double x, double step, double step_rest, double scale,
                                  double scale_rest)
{
    const double y = x < 0x1p-1022 ? x * 0x1p54 : x;
    const double k = exponent_f64(y) - (x < 0x1p-1022 ? 54 : 0);
    const double f = significand_f64(y) - 1;
    const double s = f / (2 + f);
    const double z = s * s;
    const double half = 0.5 * (f * f);
    double p = 0.14795907611223752;
    p = muladd_f64(p, z, 0.1531405997218616);
    p = muladd_f64(p, z, 0.1818356371106388);
    p = muladd_f64(p, z, 0.22222198591026515);
    p = muladd_f64(p, z, 0.2857142874213494);
    p = muladd_f64(p, z, 0.3999999999941634);
    p = muladd_f64(p, z, 0.6666666666666734);
    const double high = of_bits_f64(bits_f64(f - half) & 0xfffffffff8000000);
    const double low = (f - high) - half + s * muladd_f64(p, z, half);
    const double part = high * scale;
    const double sum = k * step + part;
    const double rest = (k * step - sum) + part + k * step_rest + (low + high) * scale_rest;
    const double finite = sum + (rest + low * scale);
    return x > 0 ? (x < HUGE_VAL ? finite : x) : x == 0 ? -HUGE_VAL : (double)NAN;
}

/*% elif helper == "log2" %*/
static ${ inline } double log2_f64(double x)
{
    return log_base_f64(x, 1, 0, 1.4426950216293335, 1.9259629911266175e-08);
}

/*% elif helper == "log10" %*/
static ${ inline } double log10_f64(double x)
{
    return log_base_f64(x, 0.30102999566383914, 1.42050232272661e-13, 0.4342944771051407,
                        4.798111141615973e-09);
}

/*% elif helper == "arcsinh" %*/
/* log(a + sqrt(a^2 + 1)), a = |x|; of a large a, log(a) + log(2). */
static ${ inline } double arcsinh_f64(double x)
{
    const double a = fabs(x);
    const bool large = a > 0x1p28;
    const double t = a + a * a / (1 + sqrt(a * a + 1));
    return copysign(log1p_f64(large ? a - 1 : t) + (large ? 0.6931471805599453 : 0), x);
}

/*% elif helper == "arccosh" %*/
/* log(x + sqrt(x^2 - 1)), t = x - 1; of a large x, log(x) + log(2). e is what u lost. */
static ${ inline } double arccosh_f64(double x)
{
    const bool large = x > 0x1p28;
    const double t = x - 1;
    const double s = sqrt(2 * t + t * t);
    const double u = large ? t : t + s;
    const double e = (large ? 0 : (s - u) + t) / (1 + u) + (large ? 0.6931471805599453 : 0);
    return x < 1 ? (double)NAN : log1p_f64(u) + e;
}

/*% elif helper == "arctanh" %*/
/* log((1 + a) / (1 - a)) / 2, a = |x|. */
static ${ inline } double arctanh_f64(double x)
{
    const double a = fabs(x);
    return copysign(0.5 * log1p_f64(2 * a / (1 - a)), x);
}

/*% endif %*/
