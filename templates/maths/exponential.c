/*% if helper == "exp_reduced" and suffix == "f32" %*/
/* exp(r), |r| <= log(2) / 2. */
static ${ inline } float exp_reduced_f32(float r)
{
    float p = 0.001383646f;
    p = muladd_f32(p, r, 0.008369132f);
    p = muladd_f32(p, r, 0.041668106f);
    p = muladd_f32(p, r, 0.16666517f);
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
    double p = 2.5014886098001086e-08;
    p = muladd_f64(p, r, 2.763079105016091e-07);
    p = muladd_f64(p, r, 2.755754545875299e-06);
    p = muladd_f64(p, r, 2.480149166131696e-05);
    p = muladd_f64(p, r, 0.00019841269545414034);
    p = muladd_f64(p, r, 0.0013888888944922244);
    p = muladd_f64(p, r, 0.008333333333479881);
    p = muladd_f64(p, r, 0.041666666666525666);
    p = muladd_f64(p, r, 0.1666666666666643);
    p = muladd_f64(p, r, 0.5000000000000011);
    return muladd_f64(p, r * r, r);
}

/*% elif helper == "exp" and suffix == "f32" %*/
/* exp(x) = 2^k exp(r), |r| <= log(2) / 2; 2^k in two factors, each a normal number. */
static ${ inline } float exp_f32(float x)
{
    const float c = x < -104 ? -104 : x > 89 ? 89 : x;
    const float k = whole_f32(c * 1.442695041f);
    const float r = muladd_f32(k, 2.12194440e-4f, muladd_f32(k, -0.693359375f, c));
    const float half = whole_f32(0.5f * k);
    return exp_reduced_f32(r) * power_of_two_f32(half) * power_of_two_f32(k - half);
}

/*% elif helper == "exp" %*/
/* exp(x) = 2^k exp(r), |r| <= log(2) / 2; 2^k in two factors, each a normal number. */
static ${ inline } double exp_f64(double x)
{
    const double c = x < -746 ? -746 : x > 711 ? 711 : x;
    const double k = whole_f64(c * 1.4426950408889634);
    const double r = muladd_f64(k, -1.9082149292705877e-10, muladd_f64(k, -0.6931471803691238, c));
    const double half = whole_f64(0.5 * k);
    return exp_reduced_f64(r) * power_of_two_f64(half) * power_of_two_f64(k - half);
}

/*% elif helper == "exp_near" and suffix == "f32" %*/
/* exp(x) of |x| < 87. */
static ${ inline } float exp_near_f32(float x)
{
    const float k = whole_f32(x * 1.442695041f);
    const float r = muladd_f32(k, 2.12194440e-4f, muladd_f32(k, -0.693359375f, x));
    return exp_reduced_f32(r) * power_of_two_f32(k);
}

/*% elif helper == "exp_near" %*/
/* exp(x) of |x| < 708. */
static ${ inline } double exp_near_f64(double x)
{
    const double k = whole_f64(x * 1.4426950408889634);
    const double r = muladd_f64(k, -1.9082149292705877e-10, muladd_f64(k, -0.6931471803691238, x));
    return exp_reduced_f64(r) * power_of_two_f64(k);
}

/*% elif helper == "exp_half" %*/
/* exp(x) / 2, also where exp(x) is too large. */
static ${ inline } double exp_half_f64(double x)
{
    const double c = x > 711 ? 711 : x;
    const double k = whole_f64(c * 1.4426950408889634);
    const double r = muladd_f64(k, -1.9082149292705877e-10, muladd_f64(k, -0.6931471803691238, c));
    return exp_reduced_f64(r) * power_of_two_f64(k - 2) * 2;
}

/*% elif helper == "exp_times" %*/
/* (s + t) exp(x + e), where s + t is a number to more than its precision, e the error of x. */
static ${ inline } double exp_times_f64(double x, double e, double s, double t)
{
    const double c = x < -746 ? -746 : x;
    const double k = whole_f64(c * 1.4426950408889634);
    const double r = muladd_f64(k, -1.9082149292705877e-10, muladd_f64(k, -0.6931471803691238, c));
    const double half = whole_f64(0.5 * k);
    const double y = s + muladd_f64(s, expm1_reduced_f64(r + e), t);
    return y * power_of_two_f64(half) * power_of_two_f64(k - half);
}

/*% elif helper == "expm1" and suffix == "f32" %*/
/* exp(x) - 1 = 2^k (exp(r) - 1 + (1 - 2^-k)), |r| <= log(2) / 2; e is the error of r. */
static ${ inline } float expm1_f32(float x)
{
    const float c = x < -30 ? -30 : x > 89 ? 89 : x;
    const float k = whole_f32(c * 1.442695041f);
    const float near = muladd_f32(k, -0.693359375f, c);
    const float r = muladd_f32(k, 2.12194440e-4f, near);
    const float e = muladd_f32(k, 2.12194440e-4f, near - r);
    float p = 0.0013927685f;
    p = muladd_f32(p, r, 0.008366717f);
    p = muladd_f32(p, r, 0.0416665f);
    p = muladd_f32(p, r, 0.1666654f);
    p = muladd_f32(p, r, 0.5f);
    p = r + muladd_f32(p, r * r, e);
    const float half = whole_f32(0.5f * k);
    const float least = power_of_two_f32(k > 100 ? -100 : -k);
    const float y = (p + (1 - least)) * power_of_two_f32(half) * power_of_two_f32(k - half);
    return copysignf(y, x);
}

/*% elif helper == "expm1" %*/
/* exp(x) - 1 = 2^k (exp(r) - 1 + (1 - 2^-k)), |r| <= log(2) / 2; e is the error of r. */
static ${ inline } double expm1_f64(double x)
{
    const double c = x < -50 ? -50 : x > 710 ? 710 : x;
    const double k = whole_f64(c * 1.4426950408889634);
    const double near = muladd_f64(k, -0.6931471803691238, c);
    const double r = muladd_f64(k, -1.9082149292705877e-10, near);
    const double e = muladd_f64(k, -1.9082149292705877e-10, near - r);
    double p = 2.50333031594811e-08;
    p = muladd_f64(p, r, 2.7621876627126775e-07);
    p = muladd_f64(p, r, 2.7557469271095487e-06);
    p = muladd_f64(p, r, 2.480151732885195e-05);
    p = muladd_f64(p, r, 0.00019841269653228172);
    p = muladd_f64(p, r, 0.0013888888919636065);
    p = muladd_f64(p, r, 0.008333333333418716);
    p = muladd_f64(p, r, 0.041666666666622415);
    p = muladd_f64(p, r, 0.16666666666666544);
    p = muladd_f64(p, r, 0.5);
    p = r + muladd_f64(p, r * r, e);
    const double half = whole_f64(0.5 * k);
    const double least = power_of_two_f64(k > 100 ? -100 : -k);
    const double y = (p + (1 - least)) * power_of_two_f64(half) * power_of_two_f64(k - half);
    return copysign(y, x);
}

/*% elif helper == "tanh" and suffix == "f32" %*/
/* tanh(a) = a + a^3 p(a^2), and from 5/8 on 1 - 2 e / (1 + e), e = exp(-2 a); a = |x|. */
static ${ inline } float tanh_f32(float x)
{
    const float a = fabsf(x);
    const float e = exp_near_f32(a > 10 ? -20 : -2 * a);
    const float z = a * a;
    float p = -0.0056922906f;
    p = muladd_f32(p, z, 0.020628165f);
    p = muladd_f32(p, z, -0.053736515f);
    p = muladd_f32(p, z, 0.13331406f);
    p = muladd_f32(p, z, -0.3333328f);
    return copysignf(a < 0.625f ? muladd_f32(p, z * a, a) : 1 - 2 * e / (1 + e), x);
}

/*% elif helper == "tanh" %*/
/* tanh(a) = a + a^3 p(a^2) / q(a^2), and from 5/8 on 1 - 2 e / (1 + e), e = exp(-2 a); a = |x|.
 * One division serves both. */
static ${ inline } double tanh_f64(double x)
{
    const double a = fabs(x);
    const double e = exp_near_f64(a > 20 ? -40 : -2 * a);
    const double z = a * a;
    const bool near = a < 0.625;
    const double p = muladd_f64(muladd_f64(z, 0.9643991794250523, 99.28772310019186), z,
        1614.6876844170845);
    const double q = muladd_f64(muladd_f64(z + 112.81167849163293, z, 2235.4883906010045), z,
        4844.063053251255);
    const double ratio = (near ? z * a * p : 2 * e) / (near ? q : 1 + e);
    return copysign((near ? a : 1) - ratio, x);
}

/*% elif helper == "exp2" and suffix == "f32" %*/
/* 2^x = 2^k 2^r, |r| <= 1/2. */
static ${ inline } float exp2_f32(float x)
{
    const float c = x < -151 ? -151 : x > 129 ? 129 : x;
    const float k = whole_f32(c);
    const float r = c - k;
    float p = 0.0001525647f;
    p = muladd_f32(p, r, 0.0013389512f);
    p = muladd_f32(p, r, 0.009618798f);
    p = muladd_f32(p, r, 0.05550363f);
    p = muladd_f32(p, r, 0.24022645f);
    p = muladd_f32(p, r, 0.6931472f);
    p = muladd_f32(p, r, 1);
    const float half = whole_f32(0.5f * k);
    return p * power_of_two_f32(half) * power_of_two_f32(k - half);
}

/*% elif helper == "exp2_sum" %*/
/* 2^(x + e) = 2^k 2^r, |r| <= 1/2, e being a rest that x could not hold. */
static ${ inline } double exp2_sum_f64(double x, double e)
{
    const double c = x < -1076 ? -1076 : x > 1025 ? 1025 : x;
    const double k = whole_f64(c);
    const double r = (c - k) + e;
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
    const double half = whole_f64(0.5 * k);
    return p * power_of_two_f64(half) * power_of_two_f64(k - half);
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

/*% elif helper == "sigmoid" %*/
/* 1 / (1 + exp(-x)); exp never overflows. */
static ${ inline } ${ T } sigmoid_${ suffix }(${ T } x)
{
    const ${ T } e = ${ exp }(-fabs${ f }(x));
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
