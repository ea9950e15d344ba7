/*% if helper == "muladd" %*/
/* a b + c, rounded once where that is one instruction. */
static ${ inline } ${ T } muladd_${ suffix }(${ T } a, ${ T } b, ${ T } c)
{
#if defined(__FMA__) || defined(__aarch64__)
    return fma${ f }(a, b, c);
#else
    return a * b + c;
#endif
}

/*% elif helper == "bits" %*/
/* The bits of x, and what bits stand for. */
static ${ inline } ${ W } bits_${ suffix }(${ T } x)
{
    const union { ${ T } value; ${ W } bits; } both = {.value = x};
    return both.bits;
}

static ${ inline } ${ T } of_bits_${ suffix }(${ W } bits)
{
    const union { ${ W } bits; ${ T } value; } both = {.bits = bits};
    return both.value;
}

/*% elif helper == "lesser" %*/
/* The smaller of a and b >= 0 by their bits, for which compilers have one instruction; b, if a is
 * nan. */
static ${ inline } float lesser_f32(float a, float b)
{
    return of_bits_f32(bits_f32(a) < bits_f32(b) ? bits_f32(a) : bits_f32(b));
}

/*% elif helper == "whole" %*/
/* The nearest whole number, if |x| < ${ "0x1p22" if f else "0x1p51" }: the sum has no bits for a fraction. */
static ${ inline } ${ T } whole_${ suffix }(${ T } x)
{
    return (x + ${ MAGIC }) - ${ MAGIC };
}

/*% elif helper == "times_power" %*/
/* p 2^k, also where 2^k is no normal number: m is k + ${ MAGIC } + ${ 2 * BIAS }, whose last bits are the sum
 * of two exponents. */
static ${ inline } ${ T } times_power_${ suffix }(${ T } p, ${ T } m)
{
    const ${ W } half = bits_${ suffix }(m) >> 1;
    const ${ W } other = bits_${ suffix }(m) - half;
    return p * of_bits_${ suffix }(half << ${ DIGITS }) * of_bits_${ suffix }(other << ${ DIGITS });
}

/*% elif helper == "significand" and suffix == "f32" %*/
/* x = m 2^k, m in sqrt(1/2) .. sqrt(2), of a normal x > 0: m, then k. */
static ${ inline } float significand_f32(float x)
{
    return of_bits_f32(((bits_f32(x) + 0x4afb0d) & 0x7fffff) + 0x3f3504f3);
}

static ${ inline } float exponent_f32(float x)
{
    const uint32_t biased = (bits_f32(x) + 0x4afb0d) >> 23;
    return of_bits_f32(biased | 0x4b000000) - (0x1p23f + 127);
}

/*% elif helper == "significand" %*/
/* x = m 2^k, m in sqrt(1/2) .. sqrt(2), of a normal x > 0: m, then k. */
static ${ inline } double significand_f64(double x)
{
    return of_bits_f64(((bits_f64(x) + 0x95f619980c433) & 0xfffffffffffff) + 0x3fe6a09e667f3bcd);
}

static ${ inline } double exponent_f64(double x)
{
    const uint64_t biased = (bits_f64(x) + 0x95f619980c433) >> 52;
    return of_bits_f64(biased | 0x4330000000000000) - (0x1p52 + 1023);
}

/*% endif %*/
