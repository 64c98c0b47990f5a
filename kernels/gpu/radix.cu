// Bins in the order of the values, as kernels/reference/radix.py has them. Before this text are printed: value_t and
// FLOATS.

#define BINS 65536
#define HALF 32768
#define LEAST 245504  // the upper 20 bits of 2^-64
#define RUNS 3

__device__ __forceinline__ i64 ordered_bits(double value) {
    const i64 bits = __double_as_longlong(value + 0.0);  // -0.0 counts as 0.0
    return bits ^ ((bits >> 63) & 0x7FFFFFFFFFFFFFFFLL);
}

__device__ __forceinline__ int bin_of(double value) {
    const int high = __double2hiint(value + 0.0) >> 12;
    const int sign = high >> 31;
    int place = (high & 0x7FFFF) - LEAST;
    place = place < 0 ? 0 : place > HALF - 1 ? HALF - 1 : place;
    return (place ^ sign) + HALF;
}

// counts: BINS words a group. The bins of three runs of `width` from first[0], first[1] and first[2] on are counted by
// each block in shared memory, for every group; which ones never shows. odd: ~row of the first row that is NaN; 0:
// there is none.
extern "C" __global__ void __launch_bounds__(512)
    histogram(const value_t* values, const u32* valid, const int* groups, i64 n, int n_groups, int width, int first_0,
              int first_1, int first_2, u32* counts, u64* odd) {
    extern __shared__ u32 held[];
    const int first[RUNS] = {first_0, first_1, first_2};
    const int size = RUNS * width * n_groups;
    for (int at = threadIdx.x; at < size; at += blockDim.x) held[at] = 0;
    __syncthreads();
    const bool aligned = is_aligned(values);
    const i64 stride = (i64)gridDim.x * blockDim.x * 4;
    u64 nan = 0;
    for (i64 row = ((i64)blockIdx.x * blockDim.x + threadIdx.x) * 4; row < n; row += stride) {
        const Four four = load_four(values, row, n, aligned);
        const u32 bits = four_bits(valid, row);
#pragma unroll
        for (int j = 0; j < 4; j++) {
            if (row + j >= n || !((bits >> j) & 1u)) continue;
            const int group = groups == 0 ? 0 : groups[row + j];
            if (group < 0) continue;
            const double value = (double)four.at[j];
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
    if (nan != 0) atomicMax(odd, nan);
    __syncthreads();
#pragma unroll
    for (int run = 0; run < RUNS; run++)
        for (int at = threadIdx.x; at < width * n_groups; at += blockDim.x) {
            const u32 count = held[run * width * n_groups + at];
            if (count != 0) atomicAdd(&counts[(i64)(at / width) * BINS + first[run] + at % width], count);
        }
}

// The bin of each row, -1 of one without a value.
extern "C" __global__ void bins(const value_t* values, const u32* valid, i64 n, int* out) {
    const i64 stride = (i64)gridDim.x * blockDim.x;
    for (i64 row = (i64)blockIdx.x * blockDim.x + threadIdx.x; row < n; row += stride)
        out[row] = has_value(valid, row) ? bin_of((double)values[row]) : -1;
}

// A bit for each row with a value, of a group, whose ordered bits lie in a span from low up to, without, high.
extern "C" __global__ void rows_between(const value_t* values, const u32* valid, const int* groups, i64 n,
                                        const i64* low, const i64* high, int n_spans, u32* out) {
    const int lane = threadIdx.x & 31;
    const i64 stride = (i64)gridDim.x * blockDim.x;
    for (i64 start = (i64)blockIdx.x * blockDim.x + threadIdx.x - lane; start < n; start += stride) {
        const i64 row = start + lane;
        bool inside = false;
        if (row < n && has_value(valid, row) && (groups == 0 || groups[row] >= 0)) {
            const i64 bits = ordered_bits((double)values[row]);
            int from = 0, to = n_spans;  // spans before `from` begin at or below the value
            while (from < to) {
                const int middle = (from + to) >> 1;
                if (low[middle] <= bits)
                    from = middle + 1;
                else
                    to = middle;
            }
            inside = from > 0 && bits < high[from - 1];
        }
        const u32 word = __ballot_sync(ALL_LANES, inside);
        if (lane == 0) out[start >> 5] = word;
    }
}
