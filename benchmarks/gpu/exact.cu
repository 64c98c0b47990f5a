// Order-free statistics: exact sums and sums of squares by integer slices, plain float64 sums beside them, and radix
// histograms in shared memory. blockIdx.y is the column, blockIdx.x a run of `chunk` rows (a multiple of 4).
typedef unsigned int u32;
typedef long long i64;
typedef unsigned long long u64;

struct Column {
    const float* data;
    const u32* valid;
};

__device__ __forceinline__ u32 load_valid(const u32* valid, i64 row) {
    return valid ? valid[row >> 5] >> (row & 31) : 0xffffffffu;
}
__device__ __forceinline__ void load(float* to, const float* from, i64 row, i64 end) {
    if (row + 4 <= end) {
        float4 v = *(const float4*)(from + row);
        to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w;
    } else
        for (int j = 0; j < 4; j++) to[j] = row + j < end ? from[row + j] : 0.0f;
}
__device__ __forceinline__ u32 within(i64 row, i64 end) {
    return row + 4 <= end ? 15u : (1u << (end - row)) - 1u;
}

template <typename T>
__device__ __forceinline__ void block_sum(T* sums, int count, T* to) {
    __shared__ T parts[8][32];
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    for (int i = 0; i < count; i++) {
        T v = sums[i];
        for (int d = 16; d; d >>= 1) v += __shfl_down_sync(0xffffffffu, v, d);
        if (lane == 0) parts[i][warp] = v;
    }
    __syncthreads();
    if (threadIdx.x < count) {
        T v = 0;
        for (int w = 0; w < (int)blockDim.x / 32; w++) v += parts[threadIdx.x][w];
        to[threadIdx.x] = v;
    }
}

// Adding 1.5 * 2^23 rounds a float32 below 2^22 to an integer and shows it in its last bits: no conversion needed.
#define ROUND 12582912.0f
#define ROUND_BITS 0x4b400000

// x * scale = h + l * 2^-21 + rest with integers |h| <= 2^20, |l| <= 2^20. Seven numbers a block: valid rows, sums of
// h, l, h*h, h*l, l*l, and rows outside the window (rest is not 0, too large, NaN): those are not in the sums.
extern "C" __global__ void __launch_bounds__(256)
    slice_sums(const Column* columns, const float* scales, i64* partial, i64 n, i64 chunk) {
    const Column column = columns[blockIdx.y];
    const float scale = scales[blockIdx.y];
    i64 begin = blockIdx.x * chunk, end = begin + chunk < n ? begin + chunk : n;
    i64 hh = 0, hl = 0, ll = 0;
    int rows = 0, outside = 0, sum_h = 0, sum_l = 0;  // at most 1,023 values a thread: chunk < 2^18
    for (i64 row = begin + threadIdx.x * 4; row < end; row += 1024) {
        float x[4];
        load(x, column.data, row, end);
        u32 valid = load_valid(column.valid, row) & within(row, end);
#pragma unroll
        for (int j = 0; j < 4; j++) {
            bool take = valid >> j & 1;
            float y = take ? x[j] * scale : 0.0f;
            float yr = y + ROUND, t = (y - (yr - ROUND)) * 2097152.0f, tr = t + ROUND;
            int h = __float_as_int(yr) - ROUND_BITS, l = __float_as_int(tr) - ROUND_BITS;
            bool bad = !(fabsf(y) < 1048576.0f) || t != tr - ROUND || (y == 0.0f && x[j] != 0.0f && take);
            outside += bad;
            h = bad ? 0 : h;
            l = bad ? 0 : l;
            sum_h += h;
            sum_l += l;
            hh += (i64)h * h;
            hl += (i64)h * l;
            ll += (i64)l * l;
        }
        rows += __popc(valid);
    }
    i64 sums[7] = {rows, sum_h, sum_l, hh, hl, ll, outside};
    block_sum(sums, 7, partial + ((i64)blockIdx.y * gridDim.x + blockIdx.x) * 7);
}

// The same loop with float64 sums: count, sum, sum of squares. Order-dependent.
extern "C" __global__ void __launch_bounds__(256)
    plain_sums(const Column* columns, double* partial, i64 n, i64 chunk) {
    const Column column = columns[blockIdx.y];
    i64 begin = blockIdx.x * chunk, end = begin + chunk < n ? begin + chunk : n;
    double sums[3] = {0, 0, 0};
    int rows = 0;
    for (i64 row = begin + threadIdx.x * 4; row < end; row += 1024) {
        float x[4];
        load(x, column.data, row, end);
        u32 valid = load_valid(column.valid, row) & within(row, end);
#pragma unroll
        for (int j = 0; j < 4; j++) {
            double v = valid >> j & 1 ? (double)x[j] : 0.0;
            rows += valid >> j & 1;
            sums[1] += v;
            sums[2] += v * v;
        }
    }
    sums[0] = rows;
    block_sum(sums, 3, partial + ((i64)blockIdx.y * gridDim.x + blockIdx.x) * 3);
}

// Counts of the leading BITS bits in the order of the values; COPIES tables a block against hot bins. GROUPED: lanes
// of a warp with one bin add once (match_any).
#define BINS (1 << BITS)
extern "C" __global__ void __launch_bounds__(512)
    histogram(const Column* columns, u32* counts, i64 n, i64 chunk) {
    extern __shared__ u32 bins[];
    for (int b = threadIdx.x; b < BINS * COPIES; b += 512) bins[b] = 0;
    __syncthreads();
    const Column column = columns[blockIdx.y];
    u32* own = bins + (threadIdx.x / 32 % COPIES) * BINS;
    i64 begin = blockIdx.x * chunk, end = begin + chunk < n ? begin + chunk : n;
    for (i64 first = begin; first < end; first += 2048) {
        i64 row = first + threadIdx.x * 4;
        float x[4] = {0, 0, 0, 0};
        u32 valid = 0;
        if (row < end) {
            load(x, column.data, row, end);
            valid = load_valid(column.valid, row) & within(row, end);
        }
#pragma unroll
        for (int j = 0; j < 4; j++) {
            u32 bits = __float_as_uint(x[j]);
            u32 bin = (bits ^ ((int)bits < 0 ? 0xffffffffu : 0x80000000u)) >> (32 - BITS);
            bool take = valid >> j & 1;
#if GROUPED
            u32 same = __match_any_sync(0xffffffffu, take ? bin : 0xffffffffu);
            if (take && __ffs(same) - 1 == (int)(threadIdx.x & 31)) atomicAdd(own + bin, __popc(same));
#else
            if (take) atomicAdd(own + bin, 1u);
#endif
        }
    }
    __syncthreads();
    for (int b = threadIdx.x; b < BINS; b += 512) {
        u32 count = 0;
        for (int c = 0; c < COPIES; c++) count += bins[c * BINS + b];
        if (count) atomicAdd(counts + (i64)blockIdx.y * BINS + b, count);
    }
}

// Ceilings: 16 bytes a thread.
extern "C" __global__ void copy16(const float4* from, float4* to, i64 n) {
    for (i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += (i64)gridDim.x * blockDim.x) to[i] = from[i];
}
extern "C" __global__ void read16(const float4* from, float* to, i64 n) {
    float s = 0.0f;
    for (i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += (i64)gridDim.x * blockDim.x) {
        float4 v = from[i];
        s += v.x + v.y + v.z + v.w;
    }
    if (s == 1.2345e38f) *to = s;
}
// Instructions a second: eight independent chains of float64 adds or multiplies a thread.
extern "C" __global__ void float64_rate(double* to, double a, int count) {
    double v[8];
    for (int j = 0; j < 8; j++) v[j] = threadIdx.x + j;
    for (int i = 0; i < count; i++)
#pragma unroll
        for (int j = 0; j < 8; j++) v[j] = (i & 1) ? v[j] * a : v[j] + a;
    double s = 0;
    for (int j = 0; j < 8; j++) s += v[j];
    if (s == 1.2345) *to = s;
}
