// log(1 + x) for the fused kernels, step by step as twin.py has it; stands before fused.cu. LOG: 1 table, 2 table
// without compensation, 3 division. Plain + and x (3: and /) on float64, so NumPy gives the same bits.
typedef unsigned int u32;
typedef long long i64;

#if LOG == 1 || LOG == 2
__device__ const u32 LOG_INVERSE[256] = {LOG_INVERSE_VALUES};  // leading halves of 1/c; the others are zero
__device__ const double LOG_OF[256] = {LOG_OF_VALUES};
__constant__ double K[] = {S0, S1, S2, S3, S4, LN2_HIGH, LN2_LOW, 4503601774854144.0};
#endif
struct Tables {
    const u32* inverse;
    const double* log_c;
};

// log(1 + x), x in float64; mirrors twin.py step by step. EXACT32: x came from float32, so 1 + x is exact but for
// tiny x, where all that is left is x itself: the same bits with fewer float64 instructions.
__device__ __forceinline__ double log1p_special(double x, double y) {
    if (!(x > -1.0 && x < __longlong_as_double(0x7ff0000000000000LL))) {
        if (x == -1.0) return __longlong_as_double(0xfff0000000000000LL);
        return x > 0.0 ? x : __longlong_as_double(0x7ff8000000000000LL);
    }
    return y;
}
__device__ __forceinline__ double rounded_away(double x, double u) {
    return x > 1.0 ? 1.0 - (u - x) : x - (u - 1.0);
}
#if LOG == 1 || LOG == 2
template <bool EXACT>
__device__ __forceinline__ double log1p_own(double x, float narrow, const Tables& t) {
    double u = 1.0 + x;
    int top = __double2hiint(u), bottom = __double2loint(u);
    int offset = top - LOG_OFFSET;
    int exponent = offset >> 20, bin = offset >> 12 & 255;
    double inverse = __hiloint2double(t.inverse[bin], 0), log_c = t.log_c[bin];
    int reduced = top - (offset & 0xfff00000);
    double high = __hiloint2double(reduced, 0);
    double low = __hiloint2double(reduced, bottom) - high;
    double first = high * inverse - 1.0, second = low * inverse;
    double exact = first + second, r, error = 0.0;
#if LOG == 1
    error = second - (exact - first);
#endif
    if (EXACT) {
        r = fabsf(narrow) < 1.862645149230957e-09f ? x : exact;
    } else {
        double lost = rounded_away(x, u) * __hiloint2double(__double2hiint(inverse) - (exponent << 20), 0);
        lost = x > FAR ? 0.0 : lost;
        r = exact + lost;
#if LOG == 1
        error = error + (lost - (r - exact));
#endif
    }
    // the exponent as a float64, without the slow conversion: exact for |exponent| < 2^31
    double k = __hiloint2double(0x43300000, exponent ^ 0x80000000) - K[7];
    double tail = (r * r) * (K[0] + r * (K[1] + r * (K[2] + r * (K[3] + r * K[4]))));
    tail = tail + k * K[6];
    double whole = k * K[5], head = whole + log_c;
#if LOG == 2
    return head + (r + tail);
#else
    double total = head + r;
    tail = tail + error;
    tail = tail + (log_c - (head - whole));
    return total + (tail + (r - (total - head)));
#endif
}
#elif LOG == 3
template <bool EXACT>
__device__ __forceinline__ double log1p_own(double x, float, const Tables&) {
    double u = 1.0 + x;
    i64 bits = __double_as_longlong(u);
    i64 exponent = (bits - 0x3fe6a09e667f3bcdLL) >> 52;
    double f = __longlong_as_double(bits - (exponent << 52)) - 1.0;
    double f_low = rounded_away(x, u) * __longlong_as_double((1023 - exponent) << 52);
    double s = f / (2.0 + f), z = s * s;
    double p = P0 + z * (P1 + z * (P2 + z * (P3 + z * (P4 + z * (P5 + z * P6)))));
    double half = 0.5 * f * f, k = (double)exponent;
    double low = s * (half + z * p) + (k * LN2_LOW + f_low * (1.0 - s));
    return k * LN2_HIGH - ((half - low) - f);
}
#endif

