// What some of a column's rows tell of it, at most a block's.

#define LOOKS 64  // of them choose the bins

// One column of n rows: one of each `step` is looked at, at an uneven distance from the last, for rows may go by turns.
// found: the bits of the greatest finite size of a value (float64), ~bits of the least place that a value has a bit in
// (both 0 where no value is finite and not 0), and where runs of `width` bins begin that hold most values.
struct Task {
    u64* found;
    i64 blocks;
    const void* values;
    i64 kind;
    const u32* valid;
    i64 step, n, width;
};

__device__ __forceinline__ double value_at(const Task& task, i64 row) {
    const int kind = (int)task.kind;
    return is_float(kind) ? float_at(task.values, kind, row) : (double)integer_at(task.values, kind, row);
}

// Where runs of `width` begin that hold most of so many bins: one begins a little before one of them, for there may be
// others beyond the outermost. What a run holds the next ones do not regard.
__device__ __forceinline__ void choose_runs(int* bins, u32* best, int width, u64* runs) {
    for (int run = 0; run < RUNS; run++) {
        const int own = threadIdx.x < LOOKS ? bins[threadIdx.x] : -1;
        const int start = own - width / 8 < 0 ? 0 : own - width / 8;
        u32 inside = 0;
        if (own >= 0) {
            for (int other = 0; other < LOOKS; other++)
                inside += bins[other] >= start && bins[other] < start + width;
            atomicMax(&best[run], inside << 16 | (BINS - 1 - start));
        }
        __syncthreads();
        const int first = best[run] == 0 ? 0 : BINS - 1 - (int)(best[run] & 0xFFFFu);
        if (own >= first && own < first + width) bins[threadIdx.x] = -1;
        if (threadIdx.x == 0) runs[run] = first;
        __syncthreads();
    }
}

extern "C" __global__ void __launch_bounds__(256) look(const Task* tasks, int blocks_each) {
    __shared__ int bins[LOOKS];
    __shared__ u32 best[RUNS];
    __shared__ u64 ends[2];
    const Task task = tasks[blockIdx.x / blocks_each];
    if (threadIdx.x < RUNS) best[threadIdx.x] = 0;
    if (threadIdx.x < 2) ends[threadIdx.x] = 0;
    const i64 row = threadIdx.x * task.step + (u32)(threadIdx.x * 2654435761u) % (u32)task.step;
    const bool there = row < task.n && has_value(task.valid, row);
    const double value = there ? value_at(task, row) : 0.0;
    const int every = task.n < LOOKS ? 1 : task.n < blockDim.x ? (int)(task.n / LOOKS) : blockDim.x / LOOKS;
    if (threadIdx.x < LOOKS) bins[threadIdx.x] = -1;
    __syncthreads();
    if (there && value == value && threadIdx.x % every == 0 && threadIdx.x / every < LOOKS)
        bins[threadIdx.x / every] = bin_of(value);
    const double size = fabs(value);
    if (size > 0.0 && size - size == 0.0) {
        const i64 bits = __double_as_longlong(size);
        atomicMax(&ends[0], (u64)bits);
        atomicMax(&ends[1], ~(u64)__double_as_longlong(size - __longlong_as_double(bits & (bits - 1))));
    }
    __syncthreads();
    if (threadIdx.x < 2) task.found[threadIdx.x] = ends[threadIdx.x];
    if (task.width > 0) choose_runs(bins, best, (int)task.width, task.found + 2);
}
