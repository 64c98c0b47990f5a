// Keys: their range, and the distinct ones in a hash table.

__device__ __forceinline__ i64 least_of_warp(i64 value) {
    for (int away = 16; away > 0; away >>= 1) {
        i64 other = __shfl_xor_sync(0xFFFFFFFFu, value, away);
        value = other < value ? other : value;
    }
    return value;
}

// found: the least key, the least ~key (that is the greatest key), the first row without a value, the first whose value
// is no key. Rows of no group (groups < 0) are not looked at.
extern "C" __global__ void extent(const void* values, int kind, const u32* valid, const int* groups, i64 n, i64* found) {
    const i64 none = 0x7FFFFFFFFFFFFFFFLL;
    __shared__ i64 block[4];
    if (threadIdx.x < 4) block[threadIdx.x] = none;
    __syncthreads();
    i64 low = none, high = none, null = none, unfit = none;
    EACH_ROW(row, n) {
        if (groups != 0 && groups[row] < 0) continue;
        i64 bits = 0;
        int what = key_at(values, kind, valid, row, &bits);
        if (what == NUMBER) {
            low = bits < low ? bits : low;
            high = ~bits < high ? ~bits : high;
        } else if (what == MISSING) {
            null = row < null ? row : null;
        } else {
            unfit = row < unfit ? row : unfit;
        }
    }
    low = least_of_warp(low);
    high = least_of_warp(high);
    null = least_of_warp(null);
    unfit = least_of_warp(unfit);
    if ((threadIdx.x & 31) == 0) {
        atomicMin(&block[0], low);
        atomicMin(&block[1], high);
        atomicMin(&block[2], null);
        atomicMin(&block[3], unfit);
    }
    __syncthreads();
    if (threadIdx.x < 4 && block[threadIdx.x] != none) atomicMin(&found[threadIdx.x], block[threadIdx.x]);
}

// Enter the keys of all rows. state: whether a key found no place within `tries` slots (then the table is of no use),
// how many keys were entered. Who has tried some slots already looks whether there is any sense in going on.
extern "C" __global__ void claim(const void* values, int kind, const u32* valid, i64 n, u64* table, u64 mask, u64 tries,
                                 u64* state) {
    u64 entered = 0, tried = 0;
    for (i64 row = first_row(); row < n && tried < tries; row += rows_ahead()) {
        i64 bits = 0;
        if (key_at(values, kind, valid, row, &bits) != NUMBER) continue;
        u64 word = (u64)bits ^ SALT;
        u64 slot = word == 0 ? mask + 1 : home_of(word, mask);
        if (word == 0) word = 1;
        for (tried = 0; tried < tries; ++tried) {
            u64 there = *(volatile u64*)&table[slot];
            if (there == 0) {
                there = atomicCAS(&table[slot], 0ULL, word);
                entered += there == 0;
            }
            if (there == 0 || there == word) break;
            slot = (slot + 1) & mask;
            if (tried == 16 && *(volatile u64*)state != 0) tried = tries - 1;
        }
    }
    if (tried == tries) atomicExch(&state[0], 1ULL);
    if (entered != 0) atomicAdd(&state[1], entered);
}

// The keys of a table and their slots, in any order. taken: how many were written so far.
extern "C" __global__ void collect(const u64* table, i64 slots, i64* keys, int* where, u64* taken) {
    const int lane = threadIdx.x & 31;
#pragma unroll 1
    for (i64 base = first_row() - lane; base < slots; base += rows_ahead()) {
        i64 slot = base + lane;
        u64 word = slot < slots ? table[slot] : 0;
        u32 full = __ballot_sync(0xFFFFFFFFu, word != 0);
        u64 at = 0;
        if (lane == 0 && full != 0) at = atomicAdd(taken, (u64)__popc(full));
        at = __shfl_sync(0xFFFFFFFFu, at, 0) + __popc(full & ((1u << lane) - 1));
        if (word != 0) {
            keys[at] = (i64)((slot == slots - 1 ? 0 : word) ^ SALT);
            where[at] = (int)slot;
        }
    }
}

// places[where[i]] = given[i]
extern "C" __global__ void scatter(const int* where, const int* given, i64 n, int* places) {
    EACH_ROW(i, n) places[where[i]] = given[i];
}
