// Written by tests/gpu/make_formulas.py from kernels/reference: change the formulas there and run it.
// Every operation is one IEEE operation, in the order of the reference. Compile with --fmad=false.

struct Tuple_ibdd { i64 v0; bool v1; double v2; double v3; };
struct Tuple_ddi { double v0; double v1; i64 v2; };
struct Tuple_dd { double v0; double v1; };
struct Tuple_bb { bool v0; bool v1; };
struct Tuple_ii { i64 v0; i64 v1; };

INLINE double part_log_1p(double k, double f, double s, double correction) {
    const double z = s * s;
    const double half = (0.5 * f) * f;
    const double tail = (s * (half + (z * (0.666666666666667 + (0.3999999999989924 + (0.2857142862609589 + (0.22222211115144158 + (0.18182890556695763 + (0.15331674030163508 + z * 0.1461703754883715) * z) * z) * z) * z) * z)))) + ((k * 5.497923018708371e-14) + correction);
    return (k * 0.6931471805598903) - ((half - tail) - f);
}

INLINE double f_log(double x) {
    const bool subnormal = x < 2.2250738585072014e-308;
    const i64 bits = __double_as_longlong(subnormal ? (x * 1.8014398509481984e+16) : x);
    const i64 exponent = (i64)((u64)bits - (u64)4604544271217802189LL) >> 52LL;
    const double f = __longlong_as_double((i64)((u64)bits - (u64)(i64)((u64)exponent << 52LL))) - 1.0;
    const double k = (double)(exponent) - (subnormal ? 54.0 : 0.0);
    const double result = part_log_1p(k, f, f / (2.0 + f), 0.0);
    return ((x > 0.0) && (x < __longlong_as_double(0x7FF0000000000000LL))) ? result : ((x == 0.0) ? __longlong_as_double(0xFFF0000000000000LL) : ((x < 0.0) ? __longlong_as_double(0x7FF8000000000000LL) : x));
}

INLINE Tuple_ibdd part_near_one(double x, double u) {
    const i64 bits = __double_as_longlong(u);
    const i64 exponent = (i64)((u64)bits - (u64)4604544271217802189LL) >> 52LL;
    const bool exact = exponent == 0LL;
    const double f = exact ? x : (__longlong_as_double((i64)((u64)bits - (u64)(i64)((u64)exponent << 52LL))) - 1.0);
    return {exponent, exact, f, (f / (2.0 + f))};
}

INLINE double part_log1p_ends(double x, double result) {
    const double result_2 = ((x > (-5.551115123125783e-17)) && (x < 5.551115123125783e-17)) ? x : result;
    return ((x > (-1.0)) && (x < __longlong_as_double(0x7FF0000000000000LL))) ? result_2 : ((x == (-1.0)) ? __longlong_as_double(0xFFF0000000000000LL) : ((x < (-1.0)) ? __longlong_as_double(0x7FF8000000000000LL) : x));
}

INLINE double f_log1p(double x) {
    const double u = 1.0 + x;
    const Tuple_ibdd t1 = part_near_one(x, u);
    const i64 exponent = t1.v0;
    const bool exact = t1.v1;
    const double f = t1.v2;
    const double s = t1.v3;
    const double lost = (x >= 1.0) ? (1.0 - (u - x)) : (x - (u - 1.0));
    const double correction = (exact || (x > 1073741824.0)) ? 0.0 : (lost * __longlong_as_double((i64)((u64)9213909880891250406LL - (u64)__double_as_longlong(u))));
    return part_log1p_ends(x, part_log_1p((double)(exponent), f, s, correction));
}

INLINE double f_log1p_of_float32(double x) {
    const Tuple_ibdd t1 = part_near_one(x, 1.0 + x);
    const i64 exponent = t1.v0;
    const bool _ = t1.v1;
    const double f = t1.v2;
    const double s = t1.v3;
    return part_log1p_ends(x, part_log_1p((double)(exponent), f, s, 0.0));
}

INLINE double part_times_power_of_2(double x, i64 exponent) {
    const i64 half = exponent >> 1LL;
    const double first = __longlong_as_double((i64)((u64)(i64)((u64)half + (u64)1023LL) << 52LL));
    return (x * first) * __longlong_as_double((i64)((u64)(i64)((u64)(i64)((u64)exponent - (u64)half) + (u64)1023LL) << 52LL));
}

INLINE double part_exp(double high, double low) {
    const double shifted = (high * 1.4426950408889634) + 6755399441055744.0;
    const double k = shifted - 6755399441055744.0;
    const i64 whole = (i64)((u64)__double_as_longlong(shifted) - (u64)4843621399236968448LL);
    const double r_high = high - (k * 0.6931471805598903);
    const double r_low = (k * 5.497923018708371e-14) - low;
    const double r = r_high - r_low;
    const double z = r * r;
    const double tail = (0.5 * z) + ((z * r) * (0.16666666666666669 + (0.041666666666666664 + (0.008333333333330055 + (0.0013888888888886548 + (0.00019841269863088255 + (2.4801587317169235e-05 + (2.7557268406190795e-06 + (2.7557282931125736e-07 + (2.51004110820149e-08 + r * 2.091125490208877e-09) * r) * r) * r) * r) * r) * r) * r) * r));
    return part_times_power_of_2(1.0 + (r_high + (tail - r_low)), whole);
}

INLINE double f_exp(double x) {
    const double clamped = (x > 710.0) ? 710.0 : ((x < (-746.0)) ? (-746.0) : x);
    return part_exp(clamped, 0.0 * clamped);
}

INLINE double f_expm1(double x) {
    const double clamped = (x > 710.0) ? 710.0 : ((x < (-50.0)) ? (-50.0) : x);
    const bool near = (x > (-0.53)) && (x < 0.53);
    const double shifted = ((near ? 0.0 : clamped) * 1.4426950408889634) + 6755399441055744.0;
    const double k = shifted - 6755399441055744.0;
    const i64 whole = (i64)((u64)__double_as_longlong(shifted) - (u64)4843621399236968448LL);
    const double r_high = clamped - (k * 0.6931471805598903);
    const double r_low = k * 5.497923018708371e-14;
    const double r = r_high - r_low;
    const double z = r * r;
    const double tail = (0.5 * z) + ((z * r) * (0.16666666666666666 + (0.041666666666666664 + (0.00833333333333339 + (0.0013888888888888924 + (0.00019841269841042354 + (2.4801587301445173e-05 + (2.7557319556790012e-06 + (2.7557319431919957e-07 + (2.505188834389793e-08 + (2.0876619502551505e-09 + (1.6126075869692743e-10 + r * 1.1512631258316994e-11) * r) * r) * r) * r) * r) * r) * r) * r) * r) * r));
    const i64 lifted = (whole > 1000LL) ? 1000LL : whole;
    const double inverse = __longlong_as_double((i64)((u64)(i64)((u64)1023LL - (u64)lifted) << 52LL));
    const double offset = 1.0 - inverse;
    const double total = offset + r_high;
    const double lost = ((offset - total) + r_high) + ((1.0 - offset) - inverse);
    const double result = part_times_power_of_2(total + (lost + (tail - r_low)), whole);
    return ((x > (-5.551115123125783e-17)) && (x < 5.551115123125783e-17)) ? x : result;
}

INLINE Tuple_ddi part_quadrant(double x) {
    const double shifted = (x * 0.6366197723675814) + 6755399441055744.0;
    const double n = shifted - 6755399441055744.0;
    const double a = x - (n * 1.5707963267341256);
    const double part = n * 6.077100506303966e-11;
    const double b = a - part;
    const double back = b - a;
    const double lost = (a - (b - back)) - (part + back);
    const double part_2 = n * 2.0222662487111665e-21;
    const double c = b - part_2;
    const double back_2 = c - b;
    const double lost_2 = (lost + ((b - (c - back_2)) - (part_2 + back_2))) - (n * 8.4784276603689e-32);
    const double high = c + lost_2;
    return {high, ((c - high) + lost_2), (__double_as_longlong(shifted) & 3LL)};
}

INLINE double part_sin_or_cos(double x, i64 quarter) {
    const Tuple_ddi t1 = part_quadrant(x);
    const double high = t1.v0;
    const double low = t1.v1;
    const i64 quadrant = t1.v2;
    const i64 quadrant_2 = (i64)((u64)quadrant + (u64)quarter) & 3LL;
    const double z = high * high;
    const double sine = high + (((z * high) * ((-0.16666666666666666) + (0.008333333333333331 + ((-0.0001984126984126506) + (2.755731921933466e-06 + ((-2.505210623088241e-08) + (1.6058531370931902e-10 + z * (-7.586682497157688e-13)) * z) * z) * z) * z) * z)) + (low * (1.0 - (0.5 * z))));
    const double half = 0.5 * z;
    const double rest = 1.0 - half;
    const double cosine = rest + (((1.0 - rest) - half) + (((z * z) * (0.041666666666666664 + ((-0.0013888888888888887) + (2.4801587301584642e-05 + ((-2.755731922140032e-07) + (2.0876755790210228e-09 + ((-1.147046074969686e-11) + z * 4.745863773282908e-14) * z) * z) * z) * z) * z)) - (high * low)));
    const double result = ((quadrant_2 & 1LL) == 0LL) ? sine : cosine;
    const double result_2 = ((quadrant_2 & 2LL) == 0LL) ? result : (-result);
    return ((x > (-1073741824.0)) && (x < 1073741824.0)) ? result_2 : __longlong_as_double(0x7FF8000000000000LL);
}

INLINE double f_sin(double x) {
    return ((x > (-7.450580596923828e-09)) && (x < 7.450580596923828e-09)) ? x : part_sin_or_cos(x, 0LL);
}

INLINE double f_cos(double x) {
    return part_sin_or_cos(x, 1LL);
}

INLINE double f_tanh(double x) {
    const double size = (x < 0.0) ? (-x) : x;
    const double t = f_expm1(2.0 * ((size > 22.0) ? 22.0 : size));
    const double result = t / (t + 2.0);
    return (size < 7.450580596923828e-09) ? x : ((x < 0.0) ? (-result) : result);
}

INLINE double f_sigmoid(double x) {
    const double e = f_exp((x < 0.0) ? x : (-x));
    return ((x < 0.0) ? e : 1.0) / (1.0 + e);
}

INLINE double f_arcsin(double x) {
    const double size = (x < 0.0) ? (-x) : x;
    const bool outer = size > 0.5;
    const double square = outer ? (0.5 * (1.0 - size)) : (size * size);
    const double base = outer ? sqrt(square) : size;
    const double angle = base + ((base * square) * (0.16666666666666669 + (0.07499999999998425 + (0.04464285714637338 + (0.030381944137085216 + (0.0223721730020056 + (0.0173523912659092 + (0.013971235301124917 + (0.011478952690254089 + (0.010324318288763578 + (0.005450878187643824 + (0.017419357965078285 + ((-0.0148814093931001) + square * 0.02877844261277394) * square) * square) * square) * square) * square) * square) * square) * square) * square) * square) * square));
    const double result = outer ? (1.5707963267948966 - ((2.0 * angle) - 6.123233995736766e-17)) : angle;
    return (size < 7.450580596923828e-09) ? x : ((x < 0.0) ? (-result) : result);
}

INLINE double f_arctan(double x) {
    const double size = (x < 0.0) ? (-x) : x;
    const bool large = size > 2.414213562373095;
    const bool middle = size > 0.41421356237309503;
    const double top = large ? (-1.0) : (middle ? (size - 1.0) : size);
    const double bottom = large ? size : (middle ? (size + 1.0) : 1.0);
    const double t = top / bottom;
    const double z = t * t;
    const double eighths = large ? 1.0 : (middle ? 0.5 : 0.0);
    const double result = (eighths * 1.5707963267948966) + (t + (((t * z) * ((-0.3333333333333333) + (0.1999999999999549 + ((-0.1428571428466014) + (0.11111111014741562 + ((-0.09090904557214266) + (0.07692182705246312 + ((-0.06664504610032554) + (0.05858089538609499 + ((-0.0508513914870339) + (0.03922268882339241 + z * (-0.019165906506211375)) * z) * z) * z) * z) * z) * z) * z) * z) * z)) + (eighths * 6.123233995736766e-17)));
    return (size < 7.450580596923828e-09) ? x : ((x < 0.0) ? (-result) : result);
}

INLINE Tuple_dd part_product(double x, double y) {
    const double wide = 134217729.0 * x;
    const double x_high = wide - (wide - x);
    const double x_low = x - x_high;
    const double wide_2 = 134217729.0 * y;
    const double y_high = wide_2 - (wide_2 - y);
    const double y_low = y - y_high;
    const double product = x * y;
    return {product, (((((x_high * y_high) - product) + (x_high * y_low)) + (x_low * y_high)) + (x_low * y_low))};
}

INLINE Tuple_dd part_log_in_two(double x) {
    const bool subnormal = x < 2.2250738585072014e-308;
    const i64 bits = __double_as_longlong(subnormal ? (x * 1.8014398509481984e+16) : x);
    const i64 exponent = (i64)((u64)bits - (u64)4604544271217802189LL) >> 52LL;
    const double f = __longlong_as_double((i64)((u64)bits - (u64)(i64)((u64)exponent << 52LL))) - 1.0;
    const double k = (double)(exponent) - (subnormal ? 54.0 : 0.0);
    const double bottom = 2.0 + f;
    const double bottom_low = f - (bottom - 2.0);
    const double s = f / bottom;
    const Tuple_dd t1 = part_product(s, bottom);
    const double back = t1.v0;
    const double back_low = t1.v1;
    const double s_low = (((f - back) - back_low) - (s * bottom_low)) / bottom;
    const Tuple_dd t2 = part_product(s, s);
    const double z = t2.v0;
    const double z_low = t2.v1;
    const double z_low_2 = z_low + ((2.0 * s) * s_low);
    const double rest = (z * (0.40000000000000024 + (0.28571428571338325 + (0.22222222271185316 + (0.1818180823400289 + (0.15385575782834388 + (0.13285924656852305 + z * 0.12914022721024074) * z) * z) * z) * z) * z)) + 3.700743415417188e-17;
    const double p = 0.6666666666666666 + rest;
    const double p_low = (0.6666666666666666 - p) + rest;
    const Tuple_dd t3 = part_product(z, p);
    const double zp = t3.v0;
    const double zp_low = t3.v1;
    const double zp_low_2 = zp_low + ((z * p_low) + (z_low_2 * p));
    const Tuple_dd t4 = part_product(s, zp);
    const double szp = t4.v0;
    const double szp_low = t4.v1;
    const double szp_low_2 = szp_low + ((s * zp_low_2) + (s_low * zp));
    const double base = k * 0.6931471805598903;
    const double a = base + (2.0 * s);
    const double back_2 = a - base;
    const double lost = (base - (a - back_2)) + ((2.0 * s) - back_2);
    const double b = a + szp;
    const double lost_2 = (lost + ((a - b) + szp)) + (((2.0 * s_low) + szp_low_2) + (k * 5.497923018708371e-14));
    const double high = b + lost_2;
    return {high, ((b - high) + lost_2)};
}

INLINE Tuple_bb part_parity(double y) {
    const double half = 0.5 * y;
    return {(floor(y) != y), ((floor(y) == y) && (floor(half) != half))};
}

INLINE double f_power(double x, double y) {
    const double size = (x < 0.0) ? (-x) : x;
    const bool ends = (size == 0.0) || (size == __longlong_as_double(0x7FF0000000000000LL));
    const Tuple_dd t1 = part_log_in_two(ends ? 1.0 : size);
    const double log_high = t1.v0;
    const double log_low = t1.v1;
    const double bound = (y > 3.6893488147419103e+19) ? 3.6893488147419103e+19 : ((y < (-3.6893488147419103e+19)) ? (-3.6893488147419103e+19) : y);
    const Tuple_dd t2 = part_product(bound, log_high);
    const double high = t2.v0;
    const double low = t2.v1;
    const double low_2 = low + (bound * log_low);
    const bool far = (high > 710.0) || (high < (-746.0));
    const double low_3 = far ? 0.0 : low_2;
    const double high_2 = (high > 710.0) ? 710.0 : ((high < (-746.0)) ? (-746.0) : high);
    const double result = ends ? (((size == __longlong_as_double(0x7FF0000000000000LL)) == (y > 0.0)) ? __longlong_as_double(0x7FF0000000000000LL) : 0.0) : part_exp(high_2, low_3);
    const Tuple_bb t3 = part_parity(y);
    const bool broken = t3.v0;
    const bool odd = t3.v1;
    const double result_2 = (odd && (__double_as_longlong(x) < 0LL)) ? (-result) : result;
    const double result_3 = (((x < 0.0) && (size < __longlong_as_double(0x7FF0000000000000LL))) && broken) ? __longlong_as_double(0x7FF8000000000000LL) : result_2;
    const double result_4 = ((x != x) || (y != y)) ? __longlong_as_double(0x7FF8000000000000LL) : result_3;
    return ((y == 0.0) || (x == 1.0)) ? 1.0 : result_4;
}

INLINE Tuple_ii part_march_year(i64 days) {
    const i64 shifted = (i64)((u64)days + (u64)719468LL);
    const i64 cycle = floor_divided(shifted, 146097LL);
    const i64 day = (i64)((u64)shifted - (u64)(i64)((u64)cycle * (u64)146097LL));
    const i64 year = floor_divided((i64)((u64)(i64)((u64)(i64)((u64)day - (u64)floor_divided(day, 1460LL)) + (u64)floor_divided(day, 36524LL)) - (u64)floor_divided(day, 146096LL)), 365LL);
    return {(i64)((u64)year + (u64)(i64)((u64)400LL * (u64)cycle)), (i64)((u64)day - (u64)(i64)((u64)(i64)((u64)(i64)((u64)365LL * (u64)year) + (u64)floor_divided(year, 4LL)) - (u64)floor_divided(year, 100LL)))};
}

INLINE i64 f_year(i64 days) {
    const Tuple_ii t1 = part_march_year(days);
    const i64 march_year = t1.v0;
    const i64 day = t1.v1;
    return (i64)((u64)march_year + (u64)(day >= 306LL));
}

INLINE i64 f_month(i64 days) {
    const Tuple_ii t1 = part_march_year(days);
    const i64 index = floor_divided((i64)((u64)(i64)((u64)5LL * (u64)t1.v1) + (u64)2LL), 153LL);
    return (i64)((u64)index + (u64)((index < 10LL) ? 3LL : (-9LL)));
}

INLINE i64 f_day(i64 days) {
    const Tuple_ii t1 = part_march_year(days);
    const i64 day_of_year = t1.v1;
    const i64 index = floor_divided((i64)((u64)(i64)((u64)5LL * (u64)day_of_year) + (u64)2LL), 153LL);
    return (i64)((u64)(i64)((u64)day_of_year - (u64)floor_divided((i64)((u64)(i64)((u64)153LL * (u64)index) + (u64)2LL), 5LL)) + (u64)1LL);
}
