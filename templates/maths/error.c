/*% if helper == "erf" and suffix == "f32" %*/
/* erf(a) = a + a p(a^2), and from 1 on 1 - q(a - 15/16)^4, which is 1 from 4.1 on; a = |x|. */
static ${ inline } float erf_f32(float x)
{
    const float a = fabsf(x);
    const float z = a * a;
    float p = -0.0005619835f;
    p = muladd_f32(p, z, 0.0049149017f);
    p = muladd_f32(p, z, -0.026709214f);
    p = muladd_f32(p, z, 0.112801135f);
    p = muladd_f32(p, z, -0.3761232f);
    p = muladd_f32(p, z, 0.12837912f);
    const float t = lesser_f32(a, 4.19f) - 0.9375f;
    float q = -0.00015701853f;
    q = muladd_f32(q, t, 0.001896498f);
    q = muladd_f32(q, t, -0.006888399f);
    q = muladd_f32(q, t, -0.0011679818f);
    q = muladd_f32(q, t, 0.051161617f);
    q = muladd_f32(q, t, -0.0051881545f);
    q = muladd_f32(q, t, -0.4154373f);
    q = muladd_f32(q, t, 0.65574217f);
    q = q * q;
    return copysignf(a >= 1 ? muladd_f32(-q, q, 1) : muladd_f32(p, a, a), x);
}

/*% elif helper == "erf_near" %*/
/* p of erf(x) = x + x p(x^2), |x| < 1. */
static ${ inline } double erf_near_f64(double z)
{
    double p = -7.611519214968908e-10;
    p = muladd_f64(p, z, 1.3618595361073381e-08);
    p = muladd_f64(p, z, -1.6184403106790143e-07);
    p = muladd_f64(p, z, 1.6444200060303043e-06);
    p = muladd_f64(p, z, -1.4924469226342861e-05);
    p = muladd_f64(p, z, 0.00012055280657071716);
    p = muladd_f64(p, z, -0.0008548325489360143);
    p = muladd_f64(p, z, 0.005223977596803781);
    p = muladd_f64(p, z, -0.02686617064196447);
    p = muladd_f64(p, z, 0.11283791670936966);
    p = muladd_f64(p, z, -0.37612638903183343);
    p = muladd_f64(p, z, 0.12837916709551256);
    return p;
}

/*% elif helper == "erf" %*/
/* erf(a) = a + a p(a^2), and from 1 on 1 - exp(-a^2) q(v), v = (a - 2) / (a + 2); a = |x|. */
static ${ inline } double erf_f64(double x)
{
    const double a = fabs(x);
    const double p = erf_near_f64(a * a);
    const double c = a > 6 ? 6 : a;
    const double v = (c - 2) / (c + 2);
    double q = -1.2257273960743463e-05;
    q = muladd_f64(q, v, -2.6054471858592772e-05);
    q = muladd_f64(q, v, 2.7924070786479613e-05);
    q = muladd_f64(q, v, 0.0001743526682018876);
    q = muladd_f64(q, v, 4.353367284900865e-05);
    q = muladd_f64(q, v, -0.0009819799594393244);
    q = muladd_f64(q, v, -0.0008471430573682468);
    q = muladd_f64(q, v, 0.006997461803039864);
    q = muladd_f64(q, v, 0.003732892406516862);
    q = muladd_f64(q, v, -0.078978581016026);
    q = muladd_f64(q, v, 0.2416581942424485);
    q = muladd_f64(q, v, -0.42718584741395843);
    q = muladd_f64(q, v, 0.25539567631050575);
    return copysign(a < 1 ? muladd_f64(p, a, a) : 1 - q * exp_near_f64(-c * c), x);
}

/*% elif helper == "erfc" %*/
/* erfc(x) = 1 - x - x p(x^2), and from 4/5 on exp(-a^2) q(v) / (1 + 2 a), v = (a - 4) / (a + 4), or
 * 2 less that; a = |x|. Products of a short part of a, and of s, are exact; what w, which is q(v),
 * and the quotient s lost is in t. */
static ${ inline } double erfc_f64(double x)
{
    const double a = x < -28 ? 28 : x > 28 ? 28 : fabs(x);
    const double p = erf_near_f64(a * a);
    const double v = (a - 4) / (a + 4);
    double q = -1.0012882490245215e-08;
    q = muladd_f64(q, v, -1.2121275965712944e-08);
    q = muladd_f64(q, v, 1.0426871727034678e-07);
    q = muladd_f64(q, v, 6.67451826337242e-08);
    q = muladd_f64(q, v, -8.207159865191065e-07);
    q = muladd_f64(q, v, 2.9987907348353753e-07);
    q = muladd_f64(q, v, 5.707293202067948e-06);
    q = muladd_f64(q, v, -1.122493551235034e-05);
    q = muladd_f64(q, v, -2.439837713808381e-05);
    q = muladd_f64(q, v, 0.0001506225723216273);
    q = muladd_f64(q, v, -0.0001992568859233112);
    q = muladd_f64(q, v, -0.0007577734666637399);
    q = muladd_f64(q, v, 0.005031970006397996);
    q = muladd_f64(q, v, -0.016197734035743462);
    q = muladd_f64(q, v, 0.03716751553488046);
    q = muladd_f64(q, v, -0.06633036581380719);
    q = muladd_f64(q, v, 0.09373283499848327);
    q = muladd_f64(q, v, -0.10103906603624586);
    q = muladd_f64(q, v, 0.06809705425468948);
    q = muladd_f64(q, v, 0.015379652102618909);
    q = muladd_f64(q, v, -0.1396211168405625);
    const double w = muladd_f64(q, v, 1.2329951186255526);
    const double high = of_bits_f64(bits_f64(a) & 0xfffffffff8000000);
    const double d = 1 + 2 * high;
    const double inverse = 1 / (1 + 2 * a);
    const double s = w * inverse;
    const double s_high = of_bits_f64(bits_f64(s) & 0xfffffffff0000000);
    const double lost = muladd_f64(q, v, 1.2329951186255526 - w) - 2 * s * (a - high);
    const double t = (w - s_high * d - (s - s_high) * d + lost) * inverse;
    const double tail = exp_times_f64(-high * high, (high - a) * (high + a), s, t);
    const double far = x < 0 ? 2 - tail : tail;
    return a < 0.8 ? muladd_f64(-p, x, 1 - x) : far;
}

/*% endif %*/
