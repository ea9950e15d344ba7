/*% if helper == "quantile" %*/
/* Where the normal distribution is 1/2 + q; tails is twice the smaller of 1/2 + q and 1/2 - q
 * (Wichura, AS 241). */
static inline double quantile_f64(double q, double tails)
{
    static const double near[2][8] = {
        {2509.0809287301226727, 33430.575583588128105, 67265.770927008700853,
         45921.953931549871457, 13731.693765509461125, 1971.5909503065514427,
         133.14166789178437745, 3.3871328727963666080},
        {5226.4952788528545610, 28729.085735721942674, 39307.895800092710610,
         21213.794301586595867, 5394.1960214247511077, 687.18700749205790830,
         42.313330701600911252, 1.0},
    };
    static const double far[2][2][8] = {
        {{7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1,
          1.27045825245236838258, 3.64784832476320460504, 5.76949722146069140550,
          4.63033784615654529590, 1.42343711074968357734},
         {1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2,
          1.48103976427480074590e-1, 6.89767334985100004550e-1, 1.67638483018380384940,
          2.05319162663775882187, 1.0}},
        {{2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3,
          2.65321895265761230930e-2, 2.96560571828504891230e-1, 1.78482653991729133580,
          5.46378491116411436990, 6.65790464350110377720},
         {2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5,
          7.86869131145613259100e-4, 1.48753612908506148525e-2, 1.36929880922735805310e-1,
          5.99832206555887937690e-1, 1.0}},
    };
    if (tails == 0)
        return copysign((double)INFINITY, q);
    double r = 0.180625 - q * q;
    const double(*p)[8] = near;
    if (r < 0) {
        r = sqrt(0.69314718055994530942 - log(tails));
        p = r > 5 ? far[1] : far[0];
        r -= r > 5 ? 5.0 : 1.6;
    }
    double above = 0;
    double below = 0;
    for (int k = 0; k < 8; ++k) {
        above = above * r + p[0][k];
        below = below * r + p[1][k];
    }
    return p == near ? q * (above / below) : copysign(above / below, q);
}

/*% elif helper == "ndtri" and suffix == "f64" %*/
/* The quantile of the normal distribution. */
static inline double ndtri_f64(double p)
{
    return quantile_f64(p - 0.5, 2 * (p < 0.5 ? p : 1 - p));
}

/*% elif helper == "erfinv" and suffix == "f64" %*/
/* The inverse of erf. */
static inline double erfinv_f64(double x)
{
    return 0.70710678118654752440 * quantile_f64(0.5 * x, 1 - fabs(x));
}

/*% elif helper == "erfcinv" and suffix == "f64" %*/
/* The inverse of erfc. */
static inline double erfcinv_f64(double x)
{
    return 0.70710678118654752440 * quantile_f64(0.5 * (1 - x), x < 1 ? x : 2 - x);
}

/*% endif %*/
