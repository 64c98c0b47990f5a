// How many rows have each key from `low` on, and how many have no value: counts has `span` + 1 entries.

__device__ __forceinline__ u64 entry_of(const void* values, int kind, const u32* valid, i64 row, i64 low, u64 span) {
    i64 bits = 0;
    int what = key_at(values, kind, valid, row, &bits);
    if (what == MISSING) return span;
    u64 distance = (u64)bits - (u64)low;
    return what == NUMBER && distance < span ? distance : span + 1;
}

// A thread holds on to an entry until it comes to another, so that threads seldom queue for one that most rows have.
extern "C" __global__ void count_in_global(const void* values, int kind, const u32* valid, i64 n, i64 low, u64 span,
                                           u64* counts) {
    u64 held = span + 1, times = 0;
    EACH_ROW(row, n) {
        u64 entry = entry_of(values, kind, valid, row, low, span);
        if (entry != held) {
            if (held <= span) atomicAdd(&counts[held], times);
            held = entry;
            times = 0;
        }
        ++times;
    }
    if (held <= span) atomicAdd(&counts[held], times);
}

// A block counts in its own memory first: 32 bits an entry, so that a block must have fewer than 2^32 rows.
extern "C" __global__ void count_in_shared(const void* values, int kind, const u32* valid, i64 n, i64 low, u64 span,
                                           u64* counts) {
    extern __shared__ u32 mine[];
    for (u64 entry = threadIdx.x; entry <= span; entry += blockDim.x) mine[entry] = 0;
    __syncthreads();
    EACH_ROW(row, n) {
        u64 entry = entry_of(values, kind, valid, row, low, span);
        if (entry <= span) atomicAdd(&mine[entry], 1u);
    }
    __syncthreads();
    for (u64 entry = threadIdx.x; entry <= span; entry += blockDim.x) {
        u32 count = mine[entry];
        if (count != 0) atomicAdd(&counts[entry], (u64)count);
    }
}
