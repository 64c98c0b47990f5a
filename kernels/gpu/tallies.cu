// How many rows with a value each group has; or each pair of a group and an entry. shared: a block counts for itself
// first.
extern "C" __global__ void __launch_bounds__(256)
    tallies(const int* groups, const int* ids, const u32* valid, i64 n, int n_groups, int n_entries, int shared,
            u32* counts) {
    extern __shared__ u32 held[];
    const i64 size = (i64)n_groups * n_entries;
    if (shared)
        for (i64 at = threadIdx.x; at < size; at += blockDim.x) held[at] = 0;
    __syncthreads();
    const i64 stride = (i64)gridDim.x * blockDim.x;
    for (i64 row = (i64)blockIdx.x * blockDim.x + threadIdx.x; row < n; row += stride) {
        const int group = groups == 0 ? 0 : groups[row];
        if (group < 0 || !has_value(valid, row)) continue;
        const i64 at = (i64)group * n_entries + (ids == 0 ? 0 : ids[row]);
        if (shared)
            atomicAdd(&held[at], 1u);
        else
            atomicAdd(&counts[at], 1u);
    }
    __syncthreads();
    if (shared)
        for (i64 at = threadIdx.x; at < size; at += blockDim.x)
            if (held[at] != 0) atomicAdd(&counts[at], held[at]);
}
