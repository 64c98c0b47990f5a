// XXH64 of numbers (as 8 little-endian bytes), of strings, of pairs; numbers at random from a counter.

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

// Strings begin at any byte, so words are put together from bytes.
__device__ __forceinline__ u64 word_at(const unsigned char* at, int bytes) {
    u64 word = 0;
    for (int byte = 0; byte < bytes; ++byte) word |= (u64)at[byte] << (8 * byte);
    return word;
}

__device__ __forceinline__ u64 of_stripes(const unsigned char*& at, i64& left, u64 seed) {
    u64 a = seed + PRIME_1 + PRIME_2, b = seed + PRIME_2, c = seed, d = seed - PRIME_1;
    for (; left >= 32; at += 32, left -= 32) {
        a = xx_round(a, word_at(at, 8));
        b = xx_round(b, word_at(at + 8, 8));
        c = xx_round(c, word_at(at + 16, 8));
        d = xx_round(d, word_at(at + 24, 8));
    }
    u64 state = rotated(a, 1) + rotated(b, 7) + rotated(c, 12) + rotated(d, 18);
    state = (state ^ xx_round(0, a)) * PRIME_1 + PRIME_4;
    state = (state ^ xx_round(0, b)) * PRIME_1 + PRIME_4;
    state = (state ^ xx_round(0, c)) * PRIME_1 + PRIME_4;
    return (state ^ xx_round(0, d)) * PRIME_1 + PRIME_4;
}

extern "C" __global__ void hash_strings(const unsigned char* data, const i64* offsets, i64 n, u64 seed, u64* out) {
    EACH_ROW(row, n) {
        const unsigned char* at = data + offsets[row];
        i64 left = offsets[row + 1] - offsets[row];
        u64 size = (u64)left;
        u64 state = left >= 32 ? of_stripes(at, left, seed) : seed + PRIME_5;
        state += size;
        for (; left >= 8; at += 8, left -= 8) state = take_eight(state, word_at(at, 8));
        if (left >= 4) {
            state = rotated(state ^ word_at(at, 4) * PRIME_1, 23) * PRIME_2 + PRIME_3;
            at += 4, left -= 4;
        }
        for (; left > 0; ++at, --left) state = rotated(state ^ *at * PRIME_5, 11) * PRIME_1;
        out[row] = avalanche(state);
    }
}
