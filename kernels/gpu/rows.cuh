// Rows of one column of numbers. value_t is how a value is stored; it is printed before this text.

#define ALL_LANES 0xFFFFFFFFu

// Where a kernel keeps what it knows of groups while it goes over the rows. The numbers stand in rows.py too.
enum { IN_REGISTERS, IN_SHARED, IN_GLOBAL, IN_HALVES };

// Validity of four rows from `row`, a multiple of 4, on.
__device__ __forceinline__ u32 four_bits(const u32* valid, i64 row) {
    return valid == 0 ? 15u : valid[row >> 5] >> (row & 31);
}

// One load where an address is a multiple of its size.
struct alignas(sizeof(value_t) * 4 < 16 ? sizeof(value_t) * 4 : 16) Four {
    value_t at[4];
};

__device__ __forceinline__ bool is_aligned(const value_t* values) { return ((u64)values & (alignof(Four) - 1)) == 0; }

// Four values from `row`, a multiple of 4, on; 0 at `n` and beyond.
__device__ __forceinline__ Four load_four(const value_t* values, i64 row, i64 n, bool aligned) {
    if (aligned && row + 4 <= n) return *(const Four*)(values + row);
    Four four;
#pragma unroll
    for (int j = 0; j < 4; j++) four.at[j] = row + j < n ? values[row + j] : (value_t)0;
    return four;
}

__device__ __forceinline__ i64 sum_of_warp(i64 value) {
#pragma unroll
    for (int away = 16; away > 0; away >>= 1) value += __shfl_xor_sync(ALL_LANES, value, away);
    return value;
}

// Adds what all threads have of a sum to two words in global memory: of each thread's sum the lower 32 bits, and the
// others with the sign. So neither word overflows, however large the sum is that they stand for.
__device__ __forceinline__ void add_wide(u64* block, i64 value) {
    const i64 low = sum_of_warp(value & 0xFFFFFFFFLL), high = sum_of_warp(value >> 32);
    if ((threadIdx.x & 31) == 0) {
        atomicAdd(&block[0], (u64)low);
        atomicAdd(&block[1], (u64)high);
    }
}

// A number to such two words.
__device__ __forceinline__ void add_halves(u64* both, i64 value) {
    const u64 low = (u64)value & 0xFFFFFFFFULL, high = (u64)(value >> 32);
    if (low != 0) atomicAdd(&both[0], low);
    if (high != 0) atomicAdd(&both[1], high);
}

// 64 bits of shared memory by adds of 32, which it has of its own: a carry is added once, whatever the order.
__device__ __forceinline__ void add_shared(u32* both, i64 value) {
    const u32 low = (u32)value;
    const u32 before = atomicAdd(&both[0], low);
    const u32 high = (u32)((u64)value >> 32) + (before + low < low ? 1u : 0u);
    if (high != 0) atomicAdd(&both[1], high);
}
