/*% if helper == "exp" and suffix == "f32" %*/
/* exp(x) = 2^k exp(r), |r| <= log(2) / 2; 2^k in two factors, each a normal number. */
static inline float exp_f32(float x)
{
    const float c = x < -104 ? -104 : x > 89 ? 89 : x;
    const float k = whole_f32(c * 1.442695041f);
    const float r = muladd_f32(k, 2.12194440e-4f, muladd_f32(k, -0.693359375f, c));
    float p = 0.001383646f;
    p = muladd_f32(p, r, 0.008369132f);
    p = muladd_f32(p, r, 0.041668106f);
    p = muladd_f32(p, r, 0.16666517f);
    p = muladd_f32(p, r, 0.49999994f);
    p = muladd_f32(p, r * r, r) + 1;
    const float half = whole_f32(0.5f * k);
    return p * power_of_two_f32(half) * power_of_two_f32(k - half);
}

/*% elif helper == "exp" %*/
/* exp(x) = 2^k exp(r), |r| <= log(2) / 2; 2^k in two factors, each a normal number. */
static inline double exp_f64(double x)
{
    const double c = x < -746 ? -746 : x > 710 ? 710 : x;
    const double k = whole_f64(c * 1.4426950408889634);
    const double r = muladd_f64(k, -1.9082149292705877e-10, muladd_f64(k, -0.6931471803691238, c));
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
    p = muladd_f64(p, r * r, r) + 1;
    const double half = whole_f64(0.5 * k);
    return p * power_of_two_f64(half) * power_of_two_f64(k - half);
}

/*% elif helper == "expm1" and suffix == "f32" %*/
/* exp(x) - 1 = 2^k (exp(r) - 1 + (1 - 2^-k)), |r| <= log(2) / 2; e is the error of r. */
static inline float expm1_f32(float x)
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
static inline double expm1_f64(double x)
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
static inline float tanh_f32(float x)
{
    const float a = fabsf(x);
    const float e = exp_f32(-2 * a);
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
static inline double tanh_f64(double x)
{
    const double a = fabs(x);
    const double e = exp_f64(-2 * a);
    const double z = a * a;
    const bool near = a < 0.625;
    const double p = muladd_f64(muladd_f64(z, 0.9643991794250523, 99.28772310019186), z,
        1614.6876844170845);
    const double q = muladd_f64(muladd_f64(z + 112.81167849163293, z, 2235.4883906010045), z,
        4844.063053251255);
    const double ratio = (near ? z * a * p : 2 * e) / (near ? q : 1 + e);
    return copysign((near ? a : 1) - ratio, x);
}

/*% elif helper == "sigmoid" %*/
/* 1 / (1 + exp(-x)); exp never overflows. */
static inline ${ T } sigmoid_${ suffix }(${ T } x)
{
    const ${ T } e = ${ exp }(-fabs${ f }(x));
    return (x < 0 ? e : 1) / (1 + e);
}

/*% elif helper == "softplus" %*/
/* log(1 + exp(x)); exp never overflows. */
static inline ${ T } softplus_${ suffix }(${ T } x)
{
    return (x > 0 ? x : x < 0 ? 0 : x) + ${ log1p }(${ exp }(-fabs${ f }(x)));
}

/*% elif helper == "logaddexp" %*/
/* log(exp(a) + exp(b)); equal infinities stay. */
static inline ${ T } logaddexp_${ suffix }(${ T } a, ${ T } b)
{
    const ${ T } gap = a == b ? 0 : fabs${ f }(a - b);
    return (a > b || a != a ? a : b) + ${ log1p }(${ exp }(-gap));
}

/*% endif %*/
