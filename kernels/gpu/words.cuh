// What kernels of any kind share: names of types, bits of validity, and floats as whole numbers.
typedef long long i64;
typedef unsigned int u32;
typedef unsigned long long u64;

// Whether a row's bit is set; without a bitmap every row has a value.
__device__ __forceinline__ bool has_value(const u32* valid, i64 row) {
    return valid == 0 || ((valid[row >> 5] >> (row & 31)) & 1u);
}

// In the order of the values. -0.0 + 0.0 is 0.0. Negative floats have all bits but the sign turned round.
__device__ __forceinline__ i64 ordered_bits(double value) {
    const i64 bits = __double_as_longlong(value + 0.0);
    return bits ^ ((bits >> 63) & 0x7FFFFFFFFFFFFFFFLL);
}
