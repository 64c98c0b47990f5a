// Bins in the order of the values, as kernels/reference/radix.py has them.

#define BINS 65536
#define HALF 32768
#define LEAST 245504  // the upper 20 bits of 2^-64
#define RUNS 3

__device__ __forceinline__ int bin_at(int sign, int place) {
    place = place < 0 ? 0 : place > HALF - 1 ? HALF - 1 : place;
    return (place ^ sign) + HALF;
}

__device__ __forceinline__ int bin_of(double value) {
    const int high = __double2hiint(value + 0.0) >> 12;  // -0.0 counts as 0.0
    return bin_at(high >> 31, (high & 0x7FFFF) - LEAST);
}

// The same without a conversion: an exponent of float32 is 896 less than the same of float64. What is smaller than
// normal in float32 lies in the first bin either way, what is infinite in the last.
__device__ __forceinline__ int bin_of(float value) {
    const int high = __float_as_int(value + 0.0f) >> 15;
    return bin_at(high >> 31, (high & 0xFFFF) + (896 << 8) - LEAST);
}
