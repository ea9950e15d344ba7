/*% if helper == "sin_reduced" %*/
/* sin(r + e), |r| <= pi / 2, e being what r could not hold: r + r (c z + z^2 p(z)), z = r^2. */
static ${ inline } ${ T } sin_reduced_${ suffix }(${ T } r, ${ T } e)
{
    const ${ T } z = r * r;
/*% if f %*/
    float p = -2.4978831e-08f;
    p = muladd_f32(p, z, 2.7601e-06f);
    p = muladd_f32(p, z, -0.00019842692f);
    p = muladd_f32(p, z, 0.008333349f);
    const float w = muladd_f32(z, -0.16666667f, p * (z * z));
/*% else %*/
    double p = 2.714801351264459e-15;
    p = muladd_f64(p, z, -7.642401122759194e-13);
    p = muladd_f64(p, z, 1.6058917976272562e-10);
    p = muladd_f64(p, z, -2.5052106470736892e-08);
    p = muladd_f64(p, z, 2.7557319207266093e-06);
    p = muladd_f64(p, z, -0.00019841269841191516);
    p = muladd_f64(p, z, 0.008333333333333168);
    const double w = muladd_f64(z, -0.16666666666666666, p * (z * z));
/*% endif %*/
    return r + muladd_${ suffix }(w, r, e);
}

/*% elif helper == "less_turns" and suffix == "f32" %*/
/* x - k pi, |x| <= 2^20, and what that could not hold: pi in parts rounded down, so that -0 stays;
 * the first difference is exact. Without fused multiply-adds in double. */
static ${ inline } float less_turns_f32(float x, float k)
{
#if defined(__FMA__) || defined(__aarch64__)
    const float a = fmaf(k, -3.1415925f, x);
    return fmaf(k, -1.5099579e-07f, a);
#else
    const double a = (double)x - (double)k * 3.1415926534682512;
    return (float)(a - (double)k * 1.2154201012607932e-10);
#endif
}

static ${ inline } float turns_rest_f32(float k)
{
#if defined(__FMA__) || defined(__aarch64__)
    return k * -1.0780605e-14f;
#else
    return k * -4.0445325e-21f;
#endif
}

/*% elif helper == "less_turns" %*/
/* x - k pi, |x| <= 2^20, and what that could not hold: pi in parts rounded down, so that -0 stays;
 * the first difference is exact. Without fused multiply-adds the parts have 33 bits and exact
 * products, and c is what b lost. */
static ${ inline } double less_turns_f64(double x, double k)
{
#if defined(__FMA__) || defined(__aarch64__)
    const double a = fma(k, -3.141592653589793, x);
    return fma(k, -1.224646799147353e-16, a);
#else
    const double a = x - k * 3.1415926534682512;
    const double b = a - k * 1.2154201012607932e-10;
    const double c = k * 4.044532497422333e-21 - ((a - b) - k * 1.2154201012607932e-10);
    return b - c;
#endif
}

static ${ inline } double turns_rest_f64(double k)
{
#if defined(__FMA__) || defined(__aarch64__)
    return k * -2.1657133478438278e-32;
#else
    return k * -1.69568553207378e-31;
#endif
}

/*% elif helper == "sin" %*/
/* sin(x), |x| <= 2^20: x = r + k pi, negative if k is odd. */
static ${ inline } ${ T } sin_${ suffix }(${ T } x)
{
    const ${ T } m = muladd_${ suffix }(x, ${ "0.318309886f" if f else "0.3183098861837907" }, ${ MAGIC });
    const ${ T } k = m - ${ MAGIC };
    const ${ T } y = sin_reduced_${ suffix }(less_turns_${ suffix }(x, k), turns_rest_${ suffix }(k));
    return of_bits_${ suffix }(bits_${ suffix }(y) ^ bits_${ suffix }(m) << ${ "31" if f else "63" });
}

/*% elif helper == "cos" %*/
/* cos(x), |x| <= 2^20: x = r + (j + 1/2) pi, -sin(r) if j is even. */
static ${ inline } ${ T } cos_${ suffix }(${ T } x)
{
/*% set half = "0.5f" if f else "0.5" %*/
    const ${ T } m = muladd_${ suffix }(x, ${ "0.318309886f" if f else "0.3183098861837907" }, -${ half }) + ${ MAGIC };
    const ${ T } k = (m - ${ MAGIC }) + ${ half };
    const ${ T } y = sin_reduced_${ suffix }(less_turns_${ suffix }(x, k), turns_rest_${ suffix }(k));
    return of_bits_${ suffix }(bits_${ suffix }(y) ^ ~bits_${ suffix }(m) << ${ "31" if f else "63" });
}

/*% elif helper == "residue" %*/
/* What x has beyond k pi / 2, and what of it a double cannot hold; pi / 2 in parts of 33 bits, so
 * that their products with k < 2^20 are exact. */
static ${ inline } double residue_f64(double x, double k)
{
    const double a = muladd_f64(k, -1.5707963267341256, x);
    const double b = a - k * 6.077100506303966e-11;
    return b - (k * 2.0222662487111665e-21 - ((a - b) - k * 6.077100506303966e-11));
}

static ${ inline } double beyond_f64(double x, double k)
{
    const double a = muladd_f64(k, -1.5707963267341256, x);
    const double b = a - k * 6.077100506303966e-11;
    const double c = k * 2.0222662487111665e-21 - ((a - b) - k * 6.077100506303966e-11);
    return ((b - residue_f64(x, k)) - c) - k * 8.4784276603689e-32;
}

/*% elif helper == "tan" and suffix == "f32" %*/
/* tan(x), |x| <= 2^20: t = tan(r), x = r + k pi / 2, in double; or -1 / t, k being odd. */
static ${ inline } float tan_f32(float x)
{
    const double wide = (double)x;
    const double k = whole_f64(wide * 0.6366197723675814);
    const double a = muladd_f64(k, -1.5707963267341256, wide);
    const double r = muladd_f64(k, -6.077100506506192e-11, a);
    const double z = r * r;
    double p = 0.004389987050574026;
    p = muladd_f64(p, z, 6.244848986684047e-05);
    p = muladd_f64(p, z, 0.01085660140177048);
    p = muladd_f64(p, z, 0.021274398955209634);
    p = muladd_f64(p, z, 0.05406137819093962);
    p = muladd_f64(p, z, 0.1333265087033546);
    p = muladd_f64(p, z, 0.33333350103422227);
    const double t = muladd_f64(p * z, r, r);
    return (float)(2 * whole_f64(0.5 * k) == k ? t : -1 / t);
}

/*% elif helper == "tan" %*/
/* tan(r + e + k pi / 2), |x| <= 2^20: r + r^3 p / q, q + r^2 p being r q / tan(r); or, k being odd,
 * -1 / r + r p / (q + r^2 p). */
static ${ inline } double tan_f64(double x)
{
    const double k = whole_f64(x * 0.6366197723675814);
    const double r = residue_f64(x, k);
    const double z = r * r;
    double p = 0.0002009506887101045;
    p = muladd_f64(p, z, -0.020538628106975466);
    p = muladd_f64(p, z, 0.33333333333333137);
    double q = -0.00020843333038671427;
    q = muladd_f64(q, z, 0.023344443891552737);
    q = muladd_f64(q, z, -0.46161588432110323);
    q = muladd_f64(q, z, 1);
    const bool odd = 2 * whole_f64(0.5 * k) != k;
    const double first = odd ? -1 / r : r;
    const double ratio = (odd ? r * p : r * z * p) / (odd ? muladd_f64(z, p, q) : q);
    const double e = beyond_f64(x, k) * (odd ? first * first : 1 + z);
    return x == 0 ? x : first + (ratio + e);
}

/*% endif %*/
