/*% if helper == "odd" %*/
/* x as a float; the last bit is set where it is not exact, so that to round once more is to round
 * once. */
static ${ inline } float odd_f64(double x)
{
    const float near = (float)x;
    const uint32_t bits = bits_f32(near);
    const uint32_t towards_zero = fabs((double)near) > fabs(x) ? bits - 1u : bits;
    return of_bits_f32((double)near == x ? bits : towards_zero | 1u);
}

/*% elif helper == "from_f16" %*/
/* The number that the bits of an IEEE binary16 stand for. */
static ${ inline } float from_f16_f32(uint16_t half)
{
    const uint32_t size = half & 0x7fffu;
    const float finite = of_bits_f32(size << 13) * 0x1p112f;
    const uint32_t bits = bits_f32(finite) | (size >= 0x7c00u ? 0x7f800000u : 0u);
    return of_bits_f32(bits | (half & 0x8000u) << 16);
}

/*% elif helper == "from_bf16" %*/
/* The number that the bits of a bfloat16 stand for. */
static ${ inline } float from_bf16_f32(uint16_t half)
{
    return of_bits_f32((uint32_t)half << 16);
}

/*% elif suffix == "f64" and helper in ("to_f16", "to_bf16") %*/
static ${ inline } uint16_t ${ helper }_f64(double x)
{
    return ${ helper }_f32(odd_f64(x));
}

/*% elif helper == "to_f16" %*/
/* The bits of the nearest IEEE binary16, of two the even one. */
static ${ inline } uint16_t to_f16_f32(float x)
{
    const uint32_t bits = bits_f32(x), size = bits & 0x7fffffffu;
    const uint32_t normal = (size - 0x38000000u + 0xfffu + (size >> 13 & 1u)) >> 13;
    const uint32_t subnormal = bits_f32(of_bits_f32(size) + 0.5f) - 0x3f000000u;
    const uint32_t finite = size < 0x38800000u ? subnormal : normal;
    const uint32_t half = size > 0x7f800000u ? 0x7e00u : size >= 0x47800000u ? 0x7c00u : finite;
    return (uint16_t)(half | (bits >> 16 & 0x8000u));
}

/*% elif helper == "to_bf16" %*/
/* The bits of the nearest bfloat16, of two the even one. */
static ${ inline } uint16_t to_bf16_f32(float x)
{
    const uint32_t bits = bits_f32(x);
    const uint32_t even = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
    return (uint16_t)((bits & 0x7fffffffu) > 0x7f800000u ? bits >> 16 | 0x40u : even);
}

/*% endif %*/
