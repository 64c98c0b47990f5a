// XXH64 of numbers (as 8 little-endian bytes), of pairs; numbers at random from a counter.

__device__ __forceinline__ u64 rotated(u64 x, int by) { return (x << by) | (x >> (64 - by)); }
__device__ __forceinline__ u64 xx_round(u64 state, u64 lane) { return rotated(state + lane * PRIME_2, 31) * PRIME_1; }
__device__ __forceinline__ u64 take_eight(u64 state, u64 lane) {
    return rotated(state ^ xx_round(0, lane), 27) * PRIME_1 + PRIME_4;
}
__device__ __forceinline__ u64 hash_of_two(u64 seed, u64 first, u64 second) {
    return avalanche(take_eight(take_eight(seed + PRIME_5 + 16, first), second));
}

extern "C" __global__ void hash_numbers(const void* values, int kind, const u32* valid, i64 n, u64 seed, u64 of_null,
                                        u64* out) {
    EACH_ROW(row, n) {
        u64 hash = of_null;
        if (has_value(valid, row)) {
            u64 lane;
            if (is_float(kind)) {
                double value = float_at(values, kind, row) + 0.0;
                lane = value == value ? (u64)__double_as_longlong(value) : 0x7FF8000000000000ULL;
            } else {
                lane = (u64)integer_at(values, kind, row);
            }
            hash = avalanche(take_eight(seed + PRIME_5 + 8, lane));
        }
        out[row] = hash;
    }
}

extern "C" __global__ void mix(const u64* first, const u64* second, i64 n, u64* out) {
    EACH_ROW(row, n) out[row] = hash_of_two(0, first[row], second[row]);
}

// Of ids[row], or of first + row without `ids`. divisor: 0, or what the rest of the division by is wanted.
extern "C" __global__ void counter_uniform(const u64* ids, u64 first, i64 n, u64 seed, u64 purpose, u64 divisor, u64* out) {
    EACH_ROW(row, n) {
        u64 id = ids != 0 ? ids[row] : first + (u64)row;
        u64 hash = hash_of_two(seed, purpose, id);
        out[row] = divisor != 0 ? hash % divisor : hash;
    }
}

// found[row] where that is not negative; else the bucket of the hash, counted from `first`.
extern "C" __global__ void bucket(const u64* hashes, const int* found, i64 n, u64 divisor, int first, int* out) {
    EACH_ROW(row, n) {
        int place = found != 0 ? found[row] : -1;
        out[row] = place >= 0 ? place : first + (int)(hashes[row] % divisor);
    }
}

// values[ids[row]], or of_null where a row has no value
extern "C" __global__ void of_entries(const u64* values, const int* ids, const u32* valid, i64 n, u64 of_null, u64* out) {
    EACH_ROW(row, n) out[row] = has_value(valid, row) ? values[ids[row]] : of_null;
}
