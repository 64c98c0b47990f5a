// Rows of one column, by their positions.

extern "C" __global__ void take(const value_t* values, const index_t* rows, i64 n, value_t* out) {
    const i64 stride = (i64)gridDim.x * blockDim.x;
    for (i64 at = (i64)blockIdx.x * blockDim.x + threadIdx.x; at < n; at += stride) out[at] = values[rows[at]];
}

// Bits of a bitmap, by their positions: a warp writes a word, the least bit first. Bits beyond `n` are 0.
extern "C" __global__ void take_bits(const u32* words, const index_t* rows, i64 n, u32* out) {
    const i64 stride = ((i64)gridDim.x * blockDim.x) >> 5;
    const int lane = threadIdx.x & 31;
    for (i64 word = ((i64)blockIdx.x * blockDim.x + threadIdx.x) >> 5; word * 32 < n; word += stride) {
        const i64 at = word * 32 + lane;
        const u32 bits = __ballot_sync(ALL_LANES, at < n && has_value(words, rows[at]));
        if (lane == 0) out[word] = bits;
    }
}

// found: the first row that is NaN, then the first infinite one. Rows of no group (groups < 0) are not looked at.
extern "C" __global__ void first_odd(const value_t* values, const u32* valid, const int* groups, i64 n, u64* found) {
    const i64 stride = (i64)gridDim.x * blockDim.x;
    u64 nan = ~0ULL, infinite = ~0ULL;
    for (i64 row = (i64)blockIdx.x * blockDim.x + threadIdx.x; row < n; row += stride) {
        const double value = (double)values[row];
        if (value - value == 0.0 || !has_value(valid, row) || (groups != 0 && groups[row] < 0)) continue;
        if (value != value)
            nan = (u64)row < nan ? (u64)row : nan;
        else
            infinite = (u64)row < infinite ? (u64)row : infinite;
    }
    if (nan != ~0ULL) atomicMin(&found[0], nan);
    if (infinite != ~0ULL) atomicMin(&found[1], infinite);
}
