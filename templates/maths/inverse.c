/*% if helper == "arcsine" %*/
/* arcsin(s) - s, |s| <= 1/2, z = s^2. */
static ${ inline } double arcsine_rest_f64(double s, double z)
{
    double p = 0.03193888840017966;
    p = muladd_f64(p, z, -0.016262410241662948);
    p = muladd_f64(p, z, 0.019552131737705165);
    p = muladd_f64(p, z, 0.006519426575934126);
    p = muladd_f64(p, z, 0.012171146237686326);
    p = muladd_f64(p, z, 0.013884947609832372);
    p = muladd_f64(p, z, 0.017359733172135433);
    p = muladd_f64(p, z, 0.022371756218534194);
    p = muladd_f64(p, z, 0.030381959211098094);
    p = muladd_f64(p, z, 0.044642856826584226);
    p = muladd_f64(p, z, 0.07500000000339081);
    p = muladd_f64(p, z, 0.166666666666654);
    return p * (s * z);
}

/*% elif helper == "arcsin" %*/
/* arcsin(a), and from 1/2 on pi / 2 - 2 arcsin(sqrt((1 - a) / 2)); a = |x|. The root is split, so
 * that twice its short part leaves pi / 2 without an error. */
static ${ inline } double arcsin_f64(double x)
{
    const double a = fabs(x);
    const bool far = a > 0.5;
    const double z = far ? 0.5 * (1 - a) : a * a;
    const double s = far ? sqrt(z) : a;
    const double rest = arcsine_rest_f64(s, z);
    const double high = of_bits_f64(bits_f64(s) & 0xfffffffff8000000);
    const double low = (z - high * high) / (z > 0 ? s + high : 1);
    const double y = 1.5707963267948966 - 2 * high;
    return copysign(far ? y - (2 * (rest + low) - 6.123233995736766e-17) : s + rest, x);
}

/*% elif helper == "arccos" %*/
/* pi / 2 - arcsin(x), and from 1/2 on 2 arcsin(sqrt((1 - a) / 2)), a = |x|, or pi less that. */
static ${ inline } double arccos_f64(double x)
{
    const double a = fabs(x);
    const bool far = a > 0.5;
    const double z = far ? 0.5 * (1 - a) : a * a;
    const double s = far ? sqrt(z) : a;
    const double rest = arcsine_rest_f64(s, z);
    const double middle = 1.5707963267948966 - (x - (6.123233995736766e-17 - copysign(rest, x)));
    const double right = 2 * (s + rest);
    const double left = 3.141592653589793 - (right - 1.2246467991473532e-16);
    return far ? (x > 0 ? right : left) : middle;
}

/*% elif helper == "arctan2" %*/
/* The angle of (x, y): arctan(t) of the smaller side over the larger, or, that being more than
 * tan(pi / 8), pi / 4 + arctan((smaller - larger) / (smaller + larger)); then into its octant. */
static ${ inline } double arctan2_f64(double y, double x)
{
    const double ax = fabs(x);
    const double ay = fabs(y);
    const bool steep = ay > ax;
    const double least = steep ? ax : ay;
    const double most = steep ? ay : ax;
    const bool endless = most == HUGE_VAL;
    const double small = endless ? (least == HUGE_VAL ? 1 : 0) : least;
    const double large = endless ? 1 : most;
    const bool middle = small > 0.41421356237309503 * large;
    const double unit = large > 1 ? 0.5 : 1;
    const double above = middle ? unit * small - unit * large : small;
    const double below = middle ? unit * small + unit * large : large;
    const double t = above / (large == 0 ? 1 : below);
    const double base = middle ? 0.7853981633974483 : 0;
    const double z = t * t;
    double p = -0.017869147912915925;
    p = muladd_f64(p, z, 0.03802998252673179);
    p = muladd_f64(p, z, -0.05037950270841762);
    p = muladd_f64(p, z, 0.05847590007964582);
    p = muladd_f64(p, z, -0.06663063063676922);
    p = muladd_f64(p, z, 0.0769205661884762);
    p = muladd_f64(p, z, -0.090908975559063);
    p = muladd_f64(p, z, 0.1111111077644785);
    p = muladd_f64(p, z, -0.14285714280056397);
    p = muladd_f64(p, z, 0.19999999999952198);
    p = muladd_f64(p, z, -0.3333333333333319);
    double angle = base + (t + (p * (t * z) + (middle ? 3.061616997868383e-17 : 0)));
    angle = steep ? 1.5707963267948966 - (angle - 6.123233995736766e-17) : angle;
    angle = copysign(1, x) < 0 ? 3.141592653589793 - (angle - 1.2246467991473532e-16) : angle;
    return x != x || y != y ? x + y : copysign(angle, y);
}

/*% elif helper == "arctan" %*/
static ${ inline } double arctan_f64(double x)
{
    return arctan2_f64(x, 1);
}

/*% elif helper == "hypot" %*/
/* sqrt(a^2 + b^2), of any size; infinite if either is. */
static ${ inline } double hypot_f64(double a, double b)
{
    const double x = fabs(a);
    const double y = fabs(b);
    const double large = x > y ? x : y;
    const double small = x > y ? y : x;
    const double t = small / (large == 0 ? 1 : large);
    const double finite = large * sqrt(1 + t * t);
    return x == HUGE_VAL ? x : y == HUGE_VAL ? y : finite;
}

/*% endif %*/
