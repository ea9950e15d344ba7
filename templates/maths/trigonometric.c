/*% if helper == "turned" and suffix == "f32" %*/
/* sin(r + k pi / 2), |r| <= pi / 4: sin(r) or cos(r), and the sign, as the last bits of k say. */
static ${ inline } float turned_f32(float r, float k)
{
    const float z = r * r;
    const float s = muladd_f32(muladd_f32(-0.00019518095f, z, 0.008332188f), z, -0.16666655f);
    const float c = muladd_f32(muladd_f32(2.4432327e-05f, z, -0.001388731f), z, 0.041666646f);
    const float sine = muladd_f32(s, r * z, r);
    const float cosine = muladd_f32(c, z * z, muladd_f32(z, -0.5f, 1));
    const float y = 2 * whole_f32(0.5f * k) == k ? sine : cosine;
    return of_bits_f32(bits_f32(y) ^ (bits_f32(k + 0x1.8p23f) << 30 & 0x80000000));
}

/*% elif helper == "turned" %*/
/* sin(r + e + k pi / 2), |r| <= pi / 4: sin or cos, and the sign, as the last bits of k say. */
static ${ inline } double turned_f64(double r, double e, double k)
{
    const double z = r * r;
    double s = 1.5895430684031213e-10;
    s = muladd_f64(s, z, -2.5050734354358115e-08);
    s = muladd_f64(s, z, 2.7557313538363886e-06);
    s = muladd_f64(s, z, -0.00019841269829358322);
    s = muladd_f64(s, z, 0.00833333333332184);
    s = muladd_f64(s, z, -0.1666666666666663);
    double c = -1.1358682535350459e-11;
    c = muladd_f64(c, z, 2.0875704259235746e-09);
    c = muladd_f64(c, z, -2.755731421001762e-07);
    c = muladd_f64(c, z, 2.4801587288983587e-05);
    c = muladd_f64(c, z, -0.0013888888888873325);
    c = muladd_f64(c, z, 0.041666666666666595);
    const double sine = r + muladd_f64(s, r * z, e);
    const double half = 0.5 * z;
    const double cosine = 1 - (half - muladd_f64(c, z * z, -r * e));
    const double y = 2 * whole_f64(0.5 * k) == k ? sine : cosine;
    return of_bits_f64(bits_f64(y) ^ (bits_f64(k + 0x1.8p52) << 62 & 0x8000000000000000));
}

/*% elif helper == "sin" and suffix == "f32" %*/
/* sin(x), |x| <= 2^20: x = r + k pi / 2, r found in double. */
static ${ inline } float sin_f32(float x)
{
    const double wide = (double)x;
    const double k = whole_f64(wide * 0.6366197723675814);
    const double a = muladd_f64(k, -1.5707963267341256, wide);
    const double r = muladd_f64(k, -6.077100506506192e-11, a);
    return x == 0 ? x : turned_f32((float)r, (float)k);
}

/*% elif helper == "cos" and suffix == "f32" %*/
/* cos(x), |x| <= 2^20: x = r + k pi / 2, r found in double. */
static ${ inline } float cos_f32(float x)
{
    const double wide = (double)x;
    const double k = whole_f64(wide * 0.6366197723675814);
    const double a = muladd_f64(k, -1.5707963267341256, wide);
    const double r = muladd_f64(k, -6.077100506506192e-11, a);
    return turned_f32((float)r, (float)k + 1);
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

/*% elif helper == "sin" %*/
/* sin(x), |x| <= 2^20: x = r + e + k pi / 2. */
static ${ inline } double sin_f64(double x)
{
    const double k = whole_f64(x * 0.6366197723675814);
    return x == 0 ? x : turned_f64(residue_f64(x, k), beyond_f64(x, k), k);
}

/*% elif helper == "cos" %*/
/* cos(x), |x| <= 2^20: x = r + e + k pi / 2. */
static ${ inline } double cos_f64(double x)
{
    const double k = whole_f64(x * 0.6366197723675814);
    return turned_f64(residue_f64(x, k), beyond_f64(x, k), k + 1);
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
