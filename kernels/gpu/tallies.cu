// How many rows with a value each group has; or each entry; or each pair of a group and an entry.

// found: 32 bits for each; of neither groups nor entries one number. shared: a block counts for itself first.
struct Task {
    u32* found;
    i64 blocks;
    const int* groups;
    const int* ids;
    const u32* valid;
    i64 n, n_groups, n_entries, shared;
};

__device__ __forceinline__ void count_bits(const Task& task, i64 part) {
    u32 count = 0;
    const i64 words = (task.n + 31) >> 5, stride = task.blocks * blockDim.x;
    for (i64 at = part * blockDim.x + threadIdx.x; at < words; at += stride) {
        const u32 word = task.valid[at];
        count += __popc((at + 1) * 32 <= task.n ? word : word & ((1u << (task.n & 31)) - 1u));
    }
    count = (u32)sum_of_warp(count);
    if ((threadIdx.x & 31) == 0 && count != 0) atomicAdd(task.found, count);
}

extern "C" __global__ void __launch_bounds__(256) tallies(const Task* tasks, int blocks_each) {
    extern __shared__ u32 held[];
    const Task task = tasks[blockIdx.x / blocks_each];
    const i64 part = blockIdx.x % blocks_each;
    if (part >= task.blocks) return;
    if (task.groups == 0 && task.ids == 0) {
        count_bits(task, part);
        return;
    }
    const i64 size = task.n_groups * task.n_entries;
    if (task.shared)
        for (i64 at = threadIdx.x; at < size; at += blockDim.x) held[at] = 0;
    __syncthreads();
    u32* counts = task.shared ? held : task.found;
    i64 last = -1;  // a thread holds on to a place until it comes to another: most rows may have one
    u32 times = 0;
    const i64 stride = task.blocks * blockDim.x;
    for (i64 row = part * blockDim.x + threadIdx.x; row < task.n; row += stride) {
        const int group = task.groups == 0 ? 0 : task.groups[row];
        if (group < 0 || !has_value(task.valid, row)) continue;
        const i64 at = group * task.n_entries + (task.ids == 0 ? 0 : task.ids[row]);
        if (at != last) {
            if (times != 0) atomicAdd(&counts[last], times);
            last = at;
            times = 0;
        }
        times++;
    }
    if (times != 0) atomicAdd(&counts[last], times);
    __syncthreads();
    if (task.shared)
        for (i64 at = threadIdx.x; at < size; at += blockDim.x)
            if (held[at] != 0) atomicAdd(&task.found[at], held[at]);
}
