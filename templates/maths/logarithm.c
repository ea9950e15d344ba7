/*% if helper == "log_reduced" and suffix == "f32" %*/
/* log(1 + f), |f| <= 1/3. */
static ${ inline } float log_reduced_f32(float f)
{
    float p = 0.14021163f;
    p = muladd_f32(p, f, -0.15383202f);
    p = muladd_f32(p, f, 0.13997032f);
    p = muladd_f32(p, f, -0.164171f);
    p = muladd_f32(p, f, 0.20011078f);
    p = muladd_f32(p, f, -0.25007746f);
    p = muladd_f32(p, f, 0.333332f);
    p = muladd_f32(p, f, -0.49999937f);
    return muladd_f32(p, f * f, f);
}

/*% elif helper == "log_reduced" %*/
/* log(1 + f) = f - s q, 3/4 <= 1 + f <= 3/2, s = f / (2 + f): this is q. For log(1 + f) is 2 s +
 * s z p(z), z = s^2, of which 2 s is f - s f. */
static ${ inline } double log_reduced_f64(double s, double f)
{
    const double z = s * s;
    double p = 0.1537399643990318;
    p = muladd_f64(p, z, 0.15249441830040047);
    p = muladd_f64(p, z, 0.18186393409806118);
    p = muladd_f64(p, z, 0.22222137589303467);
    p = muladd_f64(p, z, 0.2857142940646554);
    p = muladd_f64(p, z, 0.39999999996099384);
    p = muladd_f64(p, z, 0.6666666666667282);
    return muladd_f64(-p, z, f);
}

/*% elif helper == "log_outside" %*/
/* log(x) of what is not > 0: -inf of +0, nan of others, which the sign of x makes the rest of the
 * bits say. */
static ${ inline } ${ T } log_outside_${ suffix }(${ T } x)
{
/*% set shift, infinite = ("9", "0xff800000") if f else ("12", "0xfff0000000000000") %*/
    return of_bits_${ suffix }(bits_${ suffix }(x) >> ${ shift } | ${ infinite });
}

/*% elif helper == "log" and suffix == "f32" %*/
/* log(x) = k log(2) + log(1 + f), x = 2^k (1 + f), 2/3 <= 1 + f < 4/3. First x is brought nearer to
 * 1 by 2^32 or 2^-32, as a bit of its exponent says, so that 2^-k is a normal number. */
static ${ inline } float log_f32(float x)
{
    const float positive = x + 0; /* if it is -0 */
    const uint32_t scale = 0x4f800000 - ((bits_f32(positive) & 0x40000000) >> 1);
    const float y = positive * of_bits_f32(scale);
    const uint32_t inverse = (0x7f2aaaaa - bits_f32(y)) & 0x7f800000;
    const float f = muladd_f32(y, of_bits_f32(inverse), -1);
    const float k = (float)(int32_t)(0x7f000000 - (inverse + scale)); /* times 2^23 */
    const float inside = muladd_f32(k, 0.693147182f * 0x1p-23f, log_reduced_f32(f));
    return positive > 0 ? inside : log_outside_f32(positive);
}

/*% elif helper == "log" %*/
/* log(x) = k log(2) + log(1 + f), x = 2^k (1 + f), 3/4 <= 1 + f < 3/2. First x is brought nearer to
 * 1 by 2^64 or 2^-64, as a bit of its exponent says, so that 2^-k is a normal number. */
static ${ inline } double log_f64(double x)
{
    const double positive = x + 0; /* if it is -0 */
    const uint64_t scale = 0x43f0000000000000 - ((bits_f64(positive) & 0x4000000000000000) >> 3);
    const double y = positive * of_bits_f64(scale);
    const uint64_t inverse = (0x7fe7ffffffffffff - bits_f64(y)) & 0x7ff0000000000000;
    const double f = muladd_f64(y, of_bits_f64(inverse), -1);
    const double k = (0x1p52 + 2046) - of_bits_f64((inverse + scale) >> 52 | 0x4330000000000000);
    const double s = f / (2 + f);
    const double near = muladd_f64(-s, log_reduced_f64(s, f), f);
    const double finite = muladd_f64(k, 0.6931471805599453, near);
    const double inside = x < HUGE_VAL ? finite : x;
    return positive > 0 ? inside : log_outside_f64(positive);
}

/*% elif helper == "log1p" and suffix == "f32" %*/
/* log(1 + x) = k log(2) + log(1 + f), u = 1 + x = 2^k (1 + f), 2/3 <= 1 + f < 4/3, to which what u
 * lost of x is added; by 2^(1-k) and 1/2, as 2^-k may not be a normal number. */
static ${ inline } float log1p_f32(float x)
{
    const float u = 1 + x;
    const uint32_t exponent = (bits_f32(u) + 0x555555) & 0xff800000;
    const uint32_t inverse = 0x7f800000 - exponent;
    const float lost = (x - (u - 1)) * of_bits_f32(inverse);
    const float most = of_bits_f32(bits_f32(u) + (inverse - 0x40000000)) - 1;
    const float f = muladd_f32(lost, 0.5f, most);
    const float k = of_bits_f32(exponent >> 23 | 0x4b000000) - (0x1p23f + 127);
    const float finite = muladd_f32(k, 0.693147182f, log_reduced_f32(f));
    const float inside = x < HUGE_VALF ? copysignf(finite, x) : x;
    return u > 0 ? inside : log_outside_f32(u);
}

/*% elif helper == "log1p" %*/
/* log(1 + x) = k log(2) + log(1 + f), u = 1 + x = 2^k (1 + f), 3/4 <= 1 + f < 3/2, to which what u
 * lost of x is added; by 2^(1-k) and 1/2, as 2^-k may not be a normal number. */
static ${ inline } double log1p_f64(double x)
{
    const double u = 1 + x;
    const uint64_t exponent = (bits_f64(u) + 0x8000000000000) & 0xfff0000000000000;
    const uint64_t inverse = 0x7ff0000000000000 - exponent;
    const double lost = (x - (u - 1)) * of_bits_f64(inverse);
    const double most = of_bits_f64(bits_f64(u) + (inverse - 0x4000000000000000)) - 1;
    const double f = muladd_f64(lost, 0.5, most);
    const double k = of_bits_f64(exponent >> 52 | 0x4330000000000000) - (0x1p52 + 1023);
    const double s = f / (2 + f);
    const double rest = muladd_f64(s, log_reduced_f64(s, f), k * -2.3190468138462996e-17);
    const double finite = muladd_f64(k, 0.6931471805599453, f - rest);
    const double inside = x < HUGE_VAL ? copysign(finite, x) : x;
    return u > 0 ? inside : log_outside_f64(u);
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

/*% elif helper == "log2_single" %*/
/* log2(x) of a float x, to 34 bits: k + f p(f), x = 2^k (1 + f), 2/3 <= 1 + f < 4/3. */
static ${ inline } double log2_single_f64(double x)
{
    const double positive = x + 0; /* if it is -0 */
    const uint64_t inverse = (0x7fe5555555555554 - bits_f64(positive)) & 0x7ff0000000000000;
    const double f = muladd_f64(positive, of_bits_f64(inverse), -1);
    const double k = (0x1p52 + 1023) - of_bits_f64(inverse >> 52 | 0x4330000000000000);
    double p = 0.15754814850613943;
    p = muladd_f64(p, f, -0.1661028971540274);
    p = muladd_f64(p, f, 0.1235604053891185);
    p = muladd_f64(p, f, -0.13746180199866617);
    p = muladd_f64(p, f, 0.16089157468961496);
    p = muladd_f64(p, f, -0.18080598795054778);
    p = muladd_f64(p, f, 0.2060759501269336);
    p = muladd_f64(p, f, -0.24043366414561965);
    p = muladd_f64(p, f, 0.28853944244250773);
    p = muladd_f64(p, f, -0.36067397853536587);
    p = muladd_f64(p, f, 0.48089834395417647);
    p = muladd_f64(p, f, -0.721347519569809);
    p = muladd_f64(p, f, 1.4426950408923416);
    const double inside = muladd_f64(p, f, k);
    return positive > 0 ? inside : log_outside_f64(positive);
}

/*% elif helper == "log2" and suffix == "f32" %*/
static ${ inline } float log2_f32(float x)
{
    return (float)log2_single_f64((double)x);
}

/*% elif helper == "log10" and suffix == "f32" %*/
static ${ inline } float log10_f32(float x)
{
    return (float)(0.3010299956639812 * log2_single_f64((double)x));
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
