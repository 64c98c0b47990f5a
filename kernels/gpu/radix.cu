// Places in the order of float64, of rows of one column. Before this text is printed: value_t.

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
