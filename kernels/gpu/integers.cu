// Exact sums of integers and of their squares, in digits of 32 bits. Before this text is printed: value_t, SQUARES.

#define DIGITS (SQUARES ? 6 : 2)

// Two digits of the value, with its sign, then four of its square.
__device__ __forceinline__ void digits_of(i64 value, i64* digits) {
    const u64 size = value < 0 ? 0ULL - (u64)value : (u64)value;
    const i64 sign = value < 0 ? -1 : 1;
    digits[0] = sign * (i64)(size & 0xFFFFFFFFULL);
    digits[1] = sign * (i64)(size >> 32);
#if SQUARES
    const u64 low = size * size, high = __umul64hi(size, size);
    digits[2] = (i64)(low & 0xFFFFFFFFULL);
    digits[3] = (i64)(low >> 32);
    digits[4] = (i64)(high & 0xFFFFFFFFULL);
    digits[5] = (i64)(high >> 32);
#endif
}

// found: of each digit a word for each group. Fewer than 2^31 rows fit. where: as in exact.cu.
struct Task {
    u64* found;
    i64 blocks;
    const value_t* values;
    const u32* valid;
    const int* groups;
    i64 n, n_groups, where;
};

extern "C" __global__ void __launch_bounds__(256) integer_sums(const Task* tasks, int blocks_each) {
    extern __shared__ __align__(8) u32 held[];
    const Task task = tasks[blockIdx.x / blocks_each];
    const i64 part = blockIdx.x % blocks_each;
    if (part >= task.blocks) return;
    const int n_totals = (int)task.n_groups * DIGITS, where = (int)task.where;
    u64* block = (u64*)held;
    if (where <= IN_SHARED)
        for (int at = threadIdx.x; at < n_totals; at += blockDim.x) block[at] = 0;
    __syncthreads();
    i64 sums[DIGITS] = {};
    const i64 stride = task.blocks * blockDim.x;
    for (i64 row = part * blockDim.x + threadIdx.x; row < task.n; row += stride) {
        const int group = task.groups == 0 ? 0 : task.groups[row];
        if (group < 0 || !has_value(task.valid, row)) continue;
        i64 digits[DIGITS];
        digits_of((i64)task.values[row], digits);
#pragma unroll
        for (int digit = 0; digit < DIGITS; digit++) {
            const i64 at = digit * task.n_groups + group;
            if (where == IN_REGISTERS) {
                sums[digit] += digits[digit];
            } else if (digits[digit] == 0) {
                continue;
            } else if (where == IN_SHARED) {
                add_shared(&held[2 * at], digits[digit]);
            } else {
                atomicAdd(&task.found[at], (u64)digits[digit]);
            }
        }
    }
    if (where == IN_REGISTERS) {
#pragma unroll
        for (int digit = 0; digit < DIGITS; digit++) {
            const i64 sum = sum_of_warp(sums[digit]);
            if ((threadIdx.x & 31) == 0) atomicAdd(&block[digit], (u64)sum);
        }
    }
    __syncthreads();
    if (where <= IN_SHARED)
        for (int at = threadIdx.x; at < n_totals; at += blockDim.x)
            if (block[at] != 0) atomicAdd(&task.found[at], block[at]);
}
