/*% if helper == "exp_reduced" and suffix == "f32" %*/
/* exp(r), |r| <= log(2) / 2. */
static ${ inline } float exp_reduced_f32(float r)
{
    float p = 0.001382129f;
    p = muladd_f32(p, r, 0.008368669f);
    p = muladd_f32(p, r, 0.04166826f);
    p = muladd_f32(p, r, 0.16666521f);
    p = muladd_f32(p, r, 0.49999994f);
    return muladd_f32(p, r * r, r) + 1;
}

/*% elif helper == "exp_reduced" %*/
/* exp(r), |r| <= log(2) / 2. */
static ${ inline } double exp_reduced_f64(double r)
{
    return expm1_reduced_f64(r) + 1;
}

/*% elif helper == "expm1_reduced" %*/
/* exp(r) - 1, |r| <= log(2) / 2, to half an ulp of exp(r). */
static ${ inline } double expm1_reduced_f64(double r)
{
    double p = 2.5006783810599063e-08;
    p = muladd_f64(p, r, 2.763022142159687e-07);
    p = muladd_f64(p, r, 2.7557560161599195e-06);
    p = muladd_f64(p, r, 2.480149310510933e-05);
    p = muladd_f64(p, r, 0.0001984126954392119);
    p = muladd_f64(p, r, 0.0013888888943752416);
    p = muladd_f64(p, r, 0.008333333333471561);
    p = muladd_f64(p, r, 0.04166666666652867);
    p = muladd_f64(p, r, 0.16666666666666463);
    p = muladd_f64(p, r, 0.5000000000000011);
    return muladd_f64(p, r * r, r);
}

/*% elif helper == "exp" and suffix == "f32" %*/
/* exp(x) = 2^k exp(r), |r| <= log(2) / 2. */
static ${ inline } float exp_f32(float x)
{
    const float c = x < -104 ? -104 : x;
    const float m = muladd_f32(c, 1.442695041f, 0x1.8p23f + 254);
    const float k = m - (0x1.8p23f + 254);
    const float r = muladd_f32(k, 2.12194440e-4f, muladd_f32(k, -0.693359375f, c));
    const float y = times_power_f32(exp_reduced_f32(r), m);
    return x > 89 ? HUGE_VALF : y;
}

/*% elif helper == "exp" %*/
/* exp(x) = 2^k exp(r), |r| <= log(2) / 2. */
static ${ inline } double exp_f64(double x)
{
    const double c = x < -746 ? -746 : x;
    const double m = muladd_f64(c, 1.4426950408889634, 0x1.8p52 + 2046);
    const double k = m - (0x1.8p52 + 2046);
    const double r = muladd_f64(k, -1.9082149292705877e-10, muladd_f64(k, -0.6931471803691238, c));
    const double y = times_power_f64(exp_reduced_f64(r), m);
    return x > 711 ? HUGE_VAL : y;
}

/*% elif helper == "exp_near" %*/
/* exp(x) of |x| < 708. */
static ${ inline } double exp_near_f64(double x)
{
    const double m = muladd_f64(x, 1.4426950408889634, 0x1.8p52 + 1023);
    const double k = m - (0x1.8p52 + 1023);
    const double r = muladd_f64(k, -1.9082149292705877e-10, muladd_f64(k, -0.6931471803691238, x));
    return exp_reduced_f64(r) * of_bits_f64(bits_f64(m) << 52);
}

/*% elif helper == "exp_half" %*/
/* exp(x) / 2, x >= 0, also where exp(x) is too large. */
static ${ inline } double exp_half_f64(double x)
{
    const double c = x > 711 ? 711 : x;
    const double m = muladd_f64(c, 1.4426950408889634, 0x1.8p52 + 1021);
    const double k = m - (0x1.8p52 + 1021);
    const double r = muladd_f64(k, -1.9082149292705877e-10, muladd_f64(k, -0.6931471803691238, c));
    return exp_reduced_f64(r) * of_bits_f64(bits_f64(m) << 52) * 2;
}

/*% elif helper == "exp_times" %*/
/* (s + t) exp(x + e), x < 1, where s + t is a number to more than its precision, e the error of
 * x. */
static ${ inline } double exp_times_f64(double x, double e, double s, double t)
{
    const double c = x < -746 ? -746 : x;
    const double m = muladd_f64(c, 1.4426950408889634, 0x1.8p52 + 2046);
    const double k = m - (0x1.8p52 + 2046);
    const double r = muladd_f64(k, -1.9082149292705877e-10, muladd_f64(k, -0.6931471803691238, c));
    return times_power_f64(s + muladd_f64(s, expm1_reduced_f64(r + e), t), m);
}

/*% elif helper == "expm1" and suffix == "f32" %*/
/* exp(x) - 1 = 2^k (exp(r) - 1) + (2^k - 1), |r| <= log(2) / 2; half of that, twice, where 2^k is
 * too large. */
static ${ inline } float expm1_f32(float x)
{
    const float c = x < -20 ? -20 : x;
    const float m = muladd_f32(c, 1.442695041f, 0x1.8p23f + 127);
    const float k = m - (0x1.8p23f + 127);
    const float r = muladd_f32(k, 2.12194440e-4f, muladd_f32(k, -0.693359375f, c));
    float p = 0.0013901005f;
    p = muladd_f32(p, r, 0.008366102f);
    p = muladd_f32(p, r, 0.04166682f);
    p = muladd_f32(p, r, 0.16666548f);
    p = muladd_f32(p, r, 0.5f);
    p = muladd_f32(p, r * r, r);
    const bool large = x > 88;
    const float s = of_bits_f32(bits_f32(large ? m - 1 : m) << 23);
    const float y = muladd_f32(s, p, s - 1);
    const float finite = large ? y + y : y;
    return copysignf(x > 89 ? HUGE_VALF : finite, x);
}

/*% elif helper == "expm1" %*/
/* exp(x) - 1 = 2^k (exp(r) - 1) + (2^k - 1), log(3/4) <= r <= log(3/2), lest a sum near 1/3 cancel;
 * half of that, twice, where 2^k is too large. */
static ${ inline } double expm1_f64(double x)
{
    const double c = x < -50 ? -50 : x;
    const double m = muladd_f64(c, 1.4426950408889634, -0.085) + (0x1.8p52 + 1023);
    const double k = m - (0x1.8p52 + 1023);
    const double r = muladd_f64(k, -1.9082149292705877e-10, muladd_f64(k, -0.6931471803691238, c));
    double p = 2.6416492698255486e-08;
    p = muladd_f64(p, r, 2.758852339752665e-07);
    p = muladd_f64(p, r, 2.755444012829214e-06);
    p = muladd_f64(p, r, 2.480157683516717e-05);
    p = muladd_f64(p, r, 0.00019841271997884016);
    p = muladd_f64(p, r, 0.0013888888887046299);
    p = muladd_f64(p, r, 0.00833333333268327);
    p = muladd_f64(p, r, 0.04166666666667482);
    p = muladd_f64(p, r, 0.16666666666667282);
    p = muladd_f64(p, r, 0.5);
    p = muladd_f64(p, r * r, r);
    const bool large = x > 709;
    const double s = of_bits_f64(bits_f64(large ? m - 1 : m) << 52);
    const double y = muladd_f64(s, p, s - 1);
    const double finite = large ? y + y : y;
    return copysign(x > 710 ? HUGE_VAL : finite, x);
}

/*% elif helper == "tanh" and suffix == "f32" %*/
/* a = |x| = r + k log(2) / 2, c = r coth(r), so that exp(2 r) = (c + r) / (c - r). tanh(a) is r / c
 * where k is 0, a < 0.55; else 1 - 2 (c - r) / (2^k (c + r) + (c - r)). `far` tells them apart,
 * 2^-100 a is there for nan only. */
static ${ inline } float tanh_f32(float x)
{
    const float a = fabsf(x);
    const float b = lesser_f32(a, 10);
    const float t = muladd_f32(b, 1.442695041f, -0.5425f);
    const float m = (t + fabsf(t)) + (0x1.8p23f + 127); /* k >= 0 */
    const float k = m - (0x1.8p23f + 127);
    const float r = muladd_f32(k, -0.34657359f, b);
    const float z = r * r;
    float c = 0.0019993493f;
    c = muladd_f32(c, z, -0.02220221f);
    c = muladd_f32(c, z, 0.33333236f);
    c = muladd_f32(c, z, 1);
    const float far = lesser_f32(k, 1);
    const float d = muladd_f32(-far, c, r);
    const float power = of_bits_f32(bits_f32(m) << 23);
    const float rest = muladd_f32(a, 0x1p-100f, -far * d);
    const float below = muladd_f32(power, muladd_f32(far, r, c), rest);
    return copysignf(far + muladd_f32(far, d, d) / below, x);
}

/*% elif helper == "tanh" %*/
/* a = |x| = r + k log(2) / 2, c = r coth(r), so that exp(2 r) = (c + r) / (c - r). tanh(a) is r / c
 * where k is 0, a < 0.55; else 1 - 2 (c - r) / (2^k (c + r) + (c - r)). `far` tells them apart. */
static ${ inline } double tanh_f64(double x)
{
    const double a = fabs(x) > 20 ? 20 : fabs(x);
    const double t = muladd_f64(a, 1.4426950408889634, -0.5425);
    const double m = (t + fabs(t)) + (0x1.8p52 + 1023); /* k >= 0 */
    const double k = m - (0x1.8p52 + 1023);
    const double r = muladd_f64(k, -0.34657359027997264, a);
    const double z = r * r;
    double c = 1.9457696326384143e-07;
    c = muladd_f64(c, z, -2.1527705507130163e-06);
    c = muladd_f64(c, z, 2.1374924942983406e-05);
    c = muladd_f64(c, z, -0.0002116398198535297);
    c = muladd_f64(c, z, 0.002116402087804399);
    c = muladd_f64(c, z, -0.022222222221232726);
    c = muladd_f64(c, z, 0.33333333333332177);
    c = muladd_f64(c, z, 1);
    const double far = k > 0 ? 1 : 0;
    const double d = muladd_f64(-far, c, r);
    const double power = of_bits_f64(bits_f64(m) << 52);
    const double below = muladd_f64(power, muladd_f64(far, r, c), -far * d);
    return copysign(far + muladd_f64(far, d, d) / below, x);
}

/*% elif helper == "exp2" and suffix == "f32" %*/
/* 2^x = 2^k 2^r, |r| <= 1/2. */
static ${ inline } float exp2_f32(float x)
{
    const float c = x < -151 ? -151 : x;
    const float m = c + (0x1.8p23f + 254);
    const float r = c - (m - (0x1.8p23f + 254));
    float p = 0.0001525647f;
    p = muladd_f32(p, r, 0.0013389512f);
    p = muladd_f32(p, r, 0.009618798f);
    p = muladd_f32(p, r, 0.05550363f);
    p = muladd_f32(p, r, 0.24022645f);
    p = muladd_f32(p, r, 0.6931472f);
    p = muladd_f32(p, r, 1);
    const float y = times_power_f32(p, m);
    return x > 129 ? HUGE_VALF : y;
}

/*% elif helper == "exp2_sum" %*/
/* 2^(x + e) = 2^k 2^r, |r| <= 1/2, e being a rest that x could not hold. */
static ${ inline } double exp2_sum_f64(double x, double e)
{
    const double c = x < -1076 ? -1076 : x;
    const double m = c + (0x1.8p52 + 2046);
    const double r = (c - (m - (0x1.8p52 + 2046))) + e;
    double p = 4.4531791900827647e-10;
    p = muladd_f64(p, r, 7.073240637418505e-09);
    p = muladd_f64(p, r, 1.0178047612735914e-07);
    p = muladd_f64(p, r, 1.321543833667698e-06);
    p = muladd_f64(p, r, 1.5252733955119114e-05);
    p = muladd_f64(p, r, 0.00015403530451650035);
    p = muladd_f64(p, r, 0.0013333558146154149);
    p = muladd_f64(p, r, 0.009618129107597068);
    p = muladd_f64(p, r, 0.05550410866482343);
    p = muladd_f64(p, r, 0.24022650695910133);
    p = muladd_f64(p, r, 0.6931471805599453);
    p = muladd_f64(p, r, 1);
    const double y = times_power_f64(p, m);
    return x > 1025 ? HUGE_VAL : y;
}

/*% elif helper == "exp2_single" %*/
/* 2^x = 2^k 2^r, |r| <= 1/2, to 28 bits, where a float is not infinite or 0. */
static ${ inline } double exp2_single_f64(double x)
{
    const double c = x < -200 ? -200 : x;
    const double m = c + (0x1.8p52 + 1023);
    const double r = c - (m - (0x1.8p52 + 1023));
    double p = 0.0001534565708695808;
    p = muladd_f64(p, r, 0.0013400061398599276);
    p = muladd_f64(p, r, 0.00961849052747218);
    p = muladd_f64(p, r, 0.0555032845621667);
    p = muladd_f64(p, r, 0.24022646866664807);
    p = muladd_f64(p, r, 0.6931472058830782);
    p = muladd_f64(p, r, 1.0000000005585492);
    const double y = p * of_bits_f64(bits_f64(m) << 52);
    return x > 200 ? HUGE_VAL : y;
}

/*% elif helper == "exp2" %*/
static ${ inline } double exp2_f64(double x)
{
    return exp2_sum_f64(x, 0);
}

/*% elif helper == "sinh" %*/
/* sinh(a) = a + a^3 p(a^2), and from 1 on e - 1 / (4 e), e = exp(a) / 2; a = |x|. */
static ${ inline } double sinh_f64(double x)
{
    const double a = fabs(x);
    const double e = exp_half_f64(a);
    const double z = a * a;
    double p = 7.776639998956126e-13;
    p = muladd_f64(p, z, 1.6056658685768753e-10);
    p = muladd_f64(p, z, 2.5052130998376404e-08);
    p = muladd_f64(p, z, 2.755731910677183e-06);
    p = muladd_f64(p, z, 0.0001984126984159339);
    p = muladd_f64(p, z, 0.008333333333332912);
    p = muladd_f64(p, z, 0.16666666666666669);
    return copysign(a < 1 ? muladd_f64(p, z * a, a) : e - 0.25 / e, x);
}

/*% elif helper == "cosh" %*/
/* cosh(x) = e + 1 / (4 e), e = exp(|x|) / 2. */
static ${ inline } double cosh_f64(double x)
{
    const double e = exp_half_f64(fabs(x));
    return e + 0.25 / e;
}

/*% elif helper == "coth_reduced" and suffix == "f32" %*/
/* c = r coth(r / 2) of z = r^2, |r| <= log(2) / 2; exp(r) = (c + r) / (c - r). */
static ${ inline } float coth_reduced_f32(float z)
{
    return muladd_f32(muladd_f32(-0.0027667128f, z, 0.16666625f), z, 2);
}

/*% elif helper == "coth_reduced" %*/
/* c = r coth(r / 2) of z = r^2, |r| <= log(2) / 2; exp(r) = (c + r) / (c - r). */
static ${ inline } double coth_reduced_f64(double z)
{
    double c = 4.138117316310265e-08;
    c = muladd_f64(c, z, -1.6533901682687386e-06);
    c = muladd_f64(c, z, 6.613756320945696e-05);
    c = muladd_f64(c, z, -0.0027777777777013664);
    c = muladd_f64(c, z, 0.16666666666666602);
    return muladd_f64(c, z, 2);
}

/*% elif helper == "sigmoid" and ("coth_reduced", suffix) in helpers %*/
/*% set most, magic, log2e, step, rest, one = ("104", "0x1.8p23f + 254", "1.442695041f",
    "-0.693359375f", "2.12194440e-4f", "0x7f000000") if f else ("746", "0x1.8p52 + 2046",
    "1.4426950408889634", "-0.6931471803691238", "-1.9082149292705877e-10", "0x7fe0000000000000") %*/
/* 1 / (1 + 2^k exp(r)), -x = r + k log(2), as s (c - r) / (s (c - r) + s 2^k (c + r)); with
 * s = 2^(-k/2) these are normal numbers. */
static ${ inline } ${ T } sigmoid_${ suffix }(${ T } x)
{
    const ${ T } a = fabs${ f }(x) > ${ most } ? ${ most } : fabs${ f }(x);
    const ${ T } b = copysign${ f }(a, x);
    const ${ T } m = muladd_${ suffix }(b, -${ log2e }, ${ magic });
    const ${ T } k = m - (${ magic });
    const ${ T } near = muladd_${ suffix }(k, ${ step }, -b);
    const ${ T } r = muladd_${ suffix }(k, ${ rest }, near);
    const ${ T } c = coth_reduced_${ suffix }(r * r);
    const ${ W } half = bits_${ suffix }(m) >> 1;
    const ${ W } other = bits_${ suffix }(m) - half;
    const ${ T } above = (c - r) * of_bits_${ suffix }(${ one } - (half << ${ DIGITS }));
    return above / muladd_${ suffix }(c + r, of_bits_${ suffix }(other << ${ DIGITS }), above);
}

/*% elif helper == "sigmoid" %*/
/* 1 / (1 + exp(-x)); exp never overflows. */
static inline ${ T } sigmoid_${ suffix }(${ T } x)
{
    const ${ T } e = exp${ f }(-fabs${ f }(x));
    return (x < 0 ? e : 1) / (1 + e);
}

/*% elif helper == "softplus" %*/
/* log(1 + exp(x)); exp never overflows. */
static ${ inline } ${ T } softplus_${ suffix }(${ T } x)
{
    return (x > 0 ? x : x < 0 ? 0 : x) + ${ log1p }(${ exp }(-fabs${ f }(x)));
}

/*% elif helper == "logaddexp" %*/
/* log(exp(a) + exp(b)); equal infinities stay. */
static ${ inline } ${ T } logaddexp_${ suffix }(${ T } a, ${ T } b)
{
    const ${ T } gap = a == b ? 0 : fabs${ f }(a - b);
    return (a > b || a != a ? a : b) + ${ log1p }(${ exp }(-gap));
}

/*% endif %*/
