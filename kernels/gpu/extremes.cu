// Least and greatest values by group. Before this text are printed: value_t, FLOATS.

// 64-bit whole numbers without a sign in the order of the values. -0.0 equals 0.0.
__device__ __forceinline__ u64 ordered(value_t value) {
#if FLOATS
    return (u64)ordered_bits((double)value) ^ (1ULL << 63);
#else
    return (u64)(i64)value ^ (1ULL << 63);
#endif
}

__device__ __forceinline__ u64 greatest_of_warp(u64 value) {
#pragma unroll
    for (int away = 16; away > 0; away >>= 1) {
        const u64 other = __shfl_xor_sync(ALL_LANES, value, away);
        value = other > value ? other : value;
    }
    return value;
}

// found: ~row of the first row that is NaN; then for each group the greatest ordered value, and the greatest ~ordered,
// which is that of the least. All are 0 before. where: as in exact.cu.
struct Task {
    u64* found;
    i64 blocks;
    const value_t* values;
    const u32* valid;
    const int* groups;
    i64 n, n_groups, where;
};

extern "C" __global__ void __launch_bounds__(256, 4) extremes(const Task* tasks, int blocks_each) {
    extern __shared__ u64 held[];
    const Task task = tasks[blockIdx.x / blocks_each];
    const i64 part = blockIdx.x % blocks_each;
    if (part >= task.blocks) return;
    const int n_words = 2 * (int)task.n_groups, where = (int)task.where;
    if (where <= IN_SHARED)
        for (int at = threadIdx.x; at < n_words; at += blockDim.x) held[at] = 0;
    __syncthreads();
    u64* ends = task.found + 1;
    u64 up = 0, down = 0, nan = 0;
    const bool aligned = is_aligned(task.values);
    const i64 stride = task.blocks * blockDim.x * 4;
    for (i64 row = (part * blockDim.x + threadIdx.x) * 4; row < task.n; row += stride) {
        const Four four = load_four(task.values, row, task.n, aligned);
        const u32 bits = four_bits(task.valid, row);
#pragma unroll
        for (int j = 0; j < 4; j++) {
            if (row + j >= task.n || !((bits >> j) & 1u)) continue;
            const int group = task.groups == 0 ? 0 : task.groups[row + j];
            if (group < 0) continue;
            const value_t value = four.at[j];
#if FLOATS
            if (value != value) {
                nan = ~(u64)(row + j) > nan ? ~(u64)(row + j) : nan;
                continue;
            }
#endif
            const u64 size = ordered(value);
            if (where == IN_REGISTERS) {
                up = size > up ? size : up;
                down = ~size > down ? ~size : down;
            } else if (where == IN_SHARED) {
                atomicMax(&held[2 * group], size);
                atomicMax(&held[2 * group + 1], ~size);
            } else {
                atomicMax(&ends[2 * (i64)group], size);
                atomicMax(&ends[2 * (i64)group + 1], ~size);
            }
        }
    }
    if (nan != 0) atomicMax(task.found, nan);
    if (where == IN_REGISTERS) {
        up = greatest_of_warp(up);
        down = greatest_of_warp(down);
        if ((threadIdx.x & 31) == 0) {
            atomicMax(&held[0], up);
            atomicMax(&held[1], down);
        }
    }
    __syncthreads();
    if (where <= IN_SHARED)
        for (int at = threadIdx.x; at < n_words; at += blockDim.x)
            if (held[at] != 0) atomicMax(&ends[at], held[at]);
}
