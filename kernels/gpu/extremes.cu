// Least and greatest values by group. Before this text are printed: value_t, FLOATS.

// 64-bit integers in the order of the values. -0.0 equals 0.0.
__device__ __forceinline__ i64 ordered(value_t value) {
#if FLOATS
    const i64 bits = __double_as_longlong((double)value + 0.0);
    return bits ^ ((bits >> 63) & 0x7FFFFFFFFFFFFFFFLL);
#else
    return (i64)value;
#endif
}

__device__ __forceinline__ i64 least_of_warp(i64 value) {
#pragma unroll
    for (int away = 16; away > 0; away >>= 1) {
        const i64 other = __shfl_xor_sync(ALL_LANES, value, away);
        value = other < value ? other : value;
    }
    return value;
}

// found: the first row that is NaN; then for each group the least ordered value, and the least of ~ordered, which is
// that of the greatest value. All are the greatest int64 before. where: as in exact.cu.
extern "C" __global__ void __launch_bounds__(256)
    extremes(const value_t* values, const u32* valid, const int* groups, i64 n, int n_groups, int where, i64* found) {
    extern __shared__ i64 held[];
    const i64 none = 0x7FFFFFFFFFFFFFFFLL;
    if (where <= IN_SHARED)
        for (int at = threadIdx.x; at < 2 * n_groups; at += blockDim.x) held[at] = none;
    __syncthreads();
    i64* ends = found + 1;
    i64 least = none, greatest = none, nan = none;
    const i64 stride = (i64)gridDim.x * blockDim.x;
    for (i64 row = (i64)blockIdx.x * blockDim.x + threadIdx.x; row < n; row += stride) {
        const int group = groups == 0 ? 0 : groups[row];
        if (group < 0 || !has_value(valid, row)) continue;
        const value_t value = values[row];
#if FLOATS
        if (value != value) {
            nan = row < nan ? row : nan;
            continue;
        }
#endif
        const i64 up = ordered(value), down = ~up;
        if (where == IN_REGISTERS) {
            least = up < least ? up : least;
            greatest = down < greatest ? down : greatest;
        } else if (where == IN_SHARED) {
            atomicMin(&held[2 * group], up);
            atomicMin(&held[2 * group + 1], down);
        } else {
            atomicMin(&ends[2 * (i64)group], up);
            atomicMin(&ends[2 * (i64)group + 1], down);
        }
    }
    if (nan != none) atomicMin(found, nan);
    if (where == IN_REGISTERS) {
        least = least_of_warp(least);
        greatest = least_of_warp(greatest);
        if ((threadIdx.x & 31) == 0) {
            atomicMin(&held[0], least);
            atomicMin(&held[1], greatest);
        }
    }
    __syncthreads();
    if (where <= IN_SHARED)
        for (int at = threadIdx.x; at < 2 * n_groups; at += blockDim.x)
            if (held[at] != none) atomicMin(&ends[at], held[at]);
}
