// Histograms of columns, and the bins of them that occur. Before this text are printed: value_t, number_t (float or
// double, as which a value is taken).

// One column. found: ~row of the first row that is NaN; 0: there is none. counts: BINS words a group. The bins of three
// runs of `width` from runs[0], runs[1] and runs[2] on are counted by each block in shared memory, for every group;
// which ones never shows.
struct Task {
    u64* found;
    i64 blocks;
    const value_t* values;
    const u32* valid;
    const int* groups;
    i64 n, n_groups, width;
    const u64* runs;
    u32* counts;
};

extern "C" __global__ void __launch_bounds__(512) histogram(const Task* tasks, int blocks_each) {
    extern __shared__ u32 held[];
    const Task* task = tasks + blockIdx.x / blocks_each;
    const i64 part = blockIdx.x % blocks_each;
    if (part >= task->blocks) return;
    const int n_groups = (int)task->n_groups, width = (int)task->width;
    const int first[RUNS] = {(int)task->runs[0], (int)task->runs[1], (int)task->runs[2]};
    for (int at = threadIdx.x; at < RUNS * width * n_groups; at += blockDim.x) held[at] = 0;
    __syncthreads();
    const value_t* values = task->values;
    const u32* valid = task->valid;
    const int* groups = task->groups;
    u32* counts = task->counts;
    const bool aligned = is_aligned(values);
    const i64 n = task->n, stride = task->blocks * blockDim.x * 4;
    u64 nan = 0;
    for (i64 row = (part * blockDim.x + threadIdx.x) * 4; row < n; row += stride) {
        const Four four = load_four(values, row, n, aligned);
        const u32 bits = four_bits(valid, row);
#pragma unroll
        for (int j = 0; j < 4; j++) {
            if (row + j >= n || !((bits >> j) & 1u)) continue;
            const int group = groups == 0 ? 0 : groups[row + j];
            if (group < 0) continue;
            const number_t value = (number_t)four.at[j];
            if (value != value) {
                nan = ~(u64)(row + j) > nan ? ~(u64)(row + j) : nan;
                continue;
            }
            const int bin = bin_of(value);
            int place = -1;
#pragma unroll
            for (int run = 0; run < RUNS; run++)
                if ((u32)(bin - first[run]) < (u32)width) place = (run * n_groups + group) * width + bin - first[run];
            if (place >= 0)
                atomicAdd(&held[place], 1u);
            else
                atomicAdd(&counts[(i64)group * BINS + bin], 1u);
        }
    }
    if (nan != 0) atomicMax(task->found, nan);
    __syncthreads();
#pragma unroll
    for (int run = 0; run < RUNS; run++)
        for (int at = threadIdx.x; at < width * n_groups; at += blockDim.x) {
            const u32 count = held[run * width * n_groups + at];
            if (count != 0) atomicAdd(&counts[(i64)(at / width) * BINS + first[run] + at % width], count);
        }
}
