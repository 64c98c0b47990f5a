// What steps of a program do, beside the formulas: kernels/reference/steps.py, number by number.
typedef unsigned char u8;
typedef unsigned short u16;
#define INLINE __device__ __forceinline__
#define INT64_LOW (-9223372036854775807LL - 1)
#define INT_OVERFLOW 1u
#define CAST_FAILED 2u
#define NULL_IN_OUTPUT 3u

INLINE double nan_of(double) { return __longlong_as_double(0x7FF8000000000000LL); }
INLINE float nan_of(float) { return __int_as_float(0x7FC00000); }

INLINE double sign(double x) { return x > 0.0 ? 1.0 : x < 0.0 ? -1.0 : x == 0.0 ? 0.0 : x; }
INLINE i64 sign(i64 x) { return (x > 0) - (x < 0); }
INLINE double greater(double x, double y) { return (x > y) | (x != x) ? x : y; }
INLINE double smaller(double x, double y) { return (x < y) | (x != x) ? x : y; }
INLINE i64 greater(i64 x, i64 y) { return x > y ? x : y; }
INLINE i64 smaller(i64 x, i64 y) { return x < y ? x : y; }
INLINE bool is_finite(double x) { return (__double_as_longlong(x) & 0x7FF0000000000000LL) != 0x7FF0000000000000LL; }
INLINE double rounded_to_float32(double x) { return (double)(float)x; }
INLINE bool is_true(i64 x) { return x != 0; }
INLINE bool is_true(bool x) { return x; }

INLINE bool fits_int64(double x) { return x >= -9223372036854775808.0 && x < 9223372036854775808.0; }
INLINE i64 to_int64(double x) { return fits_int64(x) ? (i64)x : 0; }
INLINE bool outside(i64 x, i64 low, i64 high) { return (x < low) | (x > high); }

// Whole numbers wrap, and say whether they did.
INLINE i64 added(i64 x, i64 y) { return (i64)((u64)x + (u64)y); }
INLINE i64 less(i64 x, i64 y) { return (i64)((u64)x - (u64)y); }
INLINE i64 times(i64 x, i64 y) { return (i64)((u64)x * (u64)y); }
INLINE i64 negative(i64 x) { return (i64)(0ull - (u64)x); }
INLINE i64 absolute(i64 x) { return x < 0 ? negative(x) : x; }
INLINE bool added_wraps(i64 x, i64 y) { return ((x ^ added(x, y)) & (y ^ added(x, y))) < 0; }
INLINE bool less_wraps(i64 x, i64 y) { return ((x ^ y) & (x ^ less(x, y))) < 0; }
INLINE bool times_wraps(i64 x, i64 y) { return __mul64hi(x, y) != times(x, y) >> 63; }

// Towards minus infinity; by zero, which is null, 0.
INLINE i64 floor_divided(i64 x, i64 y) {
    if (y == 0) return 0;
    if (y == -1) return negative(x);
    i64 quotient = x / y;
    return quotient - (x - quotient * y != 0 && (x < 0) != (y < 0));
}
INLINE i64 remainder_of(i64 x, i64 y) {
    if (y == 0 || y == -1) return 0;
    i64 rest = x % y;
    return rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest;
}

// x modulo y, of x's sign, exactly: long division by shifts of the whole mantissas. Both are positive and finite.
INLINE double truncated_rest(double x, double y) {
    const i64 implied = 1LL << 52, mask = implied - 1;
    i64 a = __double_as_longlong(x), b = __double_as_longlong(y);
    if (a < b) return x;
    i64 high = a >> 52, low = b >> 52;
    a = high ? (a & mask) | implied : a;
    b = low ? (b & mask) | implied : b;
    i64 left = (high ? high : 1) - (low ? low : 1);
    a %= b;
    while (left > 0 && a != 0) {  // a < b < 2^53: eleven bits at a time stay within 64
        i64 shift = left < 11 ? left : 11;
        a = (i64)(((u64)a << shift) % (u64)b);
        left -= shift;
    }
    if (a == 0) return 0.0;
    i64 exponent = low ? low : 1;
    int lead = __clzll(a) - 11;  // how far a must move up to have its leading bit in place
    if (exponent > lead) return __longlong_as_double(((exponent - lead) << 52) | ((a << lead) & mask));
    return __longlong_as_double(a << (exponent - 1));
}
INLINE double truncated_remainder(double x, double y) {
    double size = fabs(x), by = fabs(y);
    if (!is_finite(x) || y != y || by == 0.0) return nan_of(0.0);
    return copysign(is_finite(y) ? truncated_rest(size, by) : size, x);
}
// As numpy.floor_divide and numpy.remainder.
INLINE double floor_divided(double x, double y) {
    if (y == 0.0) return x / y;
    double rest = truncated_remainder(x, y), quotient = (x - rest) / y;
    if (rest != 0.0 && (y < 0.0) != (rest < 0.0)) quotient -= 1.0;
    if (quotient == 0.0) return copysign(0.0, x / y);
    double whole = floor(quotient);
    return quotient - whole > 0.5 ? whole + 1.0 : whole;
}
INLINE double remainder_of(double x, double y) {
    double rest = truncated_remainder(x, y);
    if (y == 0.0) return rest;
    if (rest == 0.0) return copysign(0.0, y);
    return (y < 0.0) != (rest < 0.0) ? rest + y : rest;
}

// To storage. One NaN has one bit pattern; a whole number that does not fit is cut and said.
INLINE double stored(double x, double) { return x != x ? nan_of(0.0) : x; }
INLINE float stored(double x, float) {
    float y = (float)x;
    return y != y ? nan_of(0.0f) : y;
}
