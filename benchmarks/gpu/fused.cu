// A table in one launch: columns + validity bitmaps + parameters -> float32 matrix. The generator (kernels.py) puts
// #defines in front: ROWS (of a tile), NUMERIC and CODED (columns), LD (row length of the output), THREADS, VEC
// (rows a lane loads at once), LANES (lanes of a warp along the rows), PITCH (row length of the tile in shared
// memory), ROTATED, STREAM, and the chain: LOG (0 none, 1 table, 2 short, 3 division), FOLDED, DIVIDE, EXACT32,
// SHARED_TABLE. Row indices are 64 bits wide. Compile with --fmad=false: NumPy contracts nothing either.
typedef unsigned int u32;
typedef long long i64;

struct Numeric {
    const float* data;
    const u32* valid;  // Arrow bitmap, LSB first, padded to 4 bytes; null: all rows are valid
    double low, high, shift, scale, fill;
    float low_cut, high_cut;            // x < low exactly where x < low_cut in float32
    float low_out, high_out, null_out;  // the whole chain of low, high and fill, worked out by the host
    u32 pad;
};
struct Coded {
    const int* data;
    const u32* valid;
    const int* remap;  // dictionary id of this partition -> code
    i64 pad;
};

#define WIDTH (NUMERIC + CODED)
#define WARPS (THREADS / 32)
#define STEPS (ROWS / (VEC * LANES))
#define CHUNKS (LD / 4)

#if LOG == 1 || LOG == 2
__device__ const double2 LOG_TABLE[256] = {LOG_TABLE_VALUES};
#endif

// log(1 + x), x in float64; mirrors twin.py step by step. EXACT32: x came from float32, so 1 + x is exact but for
// rare x, and what was lost is looked at only for those: the same bits with fewer float64 instructions.
__device__ __forceinline__ double log1p_special(double x, double y) {
    if (!(x > -1.0 && x < __longlong_as_double(0x7ff0000000000000LL))) {
        if (x == -1.0) return __longlong_as_double(0xfff0000000000000LL);
        return x > 0.0 ? x : __longlong_as_double(0x7ff8000000000000LL);
    }
    return y;
}
__device__ __forceinline__ double rounded_away(double x, double u) {
    return x > 1.0 ? 1.0 - (u - x) : x - (u - 1.0);
}
#if LOG == 1 || LOG == 2
__device__ __forceinline__ double log1p_own(double x, bool exact, const double2* table) {
    double u = 1.0 + x;
    i64 bits = __double_as_longlong(u);
    i64 offset = bits - LOG_OFFSET;
    int exponent = (int)(offset >> 52);
    double2 pair = table[(int)(offset >> 44) & 255];
    i64 reduced = bits - ((i64)exponent << 52);
    double high = __longlong_as_double(reduced & 0xffffffff00000000LL);
    double low = __longlong_as_double(reduced) - high;
    double first = high * pair.x - 1.0, second = low * pair.x;
    double whole_r = first + second, r = whole_r, error = 0.0;
#if LOG == 1
    error = second - (whole_r - first);
#endif
    if (!exact) {
        int k = exponent < 1000 ? exponent : 1000;
        double lost = rounded_away(x, u) * __longlong_as_double(__double_as_longlong(pair.x) - ((i64)k << 52));
        r = whole_r + lost;
#if LOG == 1
        error = error + (lost - (r - whole_r));
#endif
    }
    // the exponent as a float64, without the slow conversion: exact for |exponent| < 2^31
    double k = __hiloint2double(0x43300000, exponent ^ 0x80000000) - 4503601774854144.0;
    double tail = (r * r) * (S0 + r * (S1 + r * (S2 + r * (S3 + r * S4))));
    tail = tail + k * LN2_LOW;
    double whole = k * LN2_HIGH, head = whole + pair.y;
#if LOG == 2
    return log1p_special(x, head + (r + tail));
#else
    double total = head + r;
    tail = tail + error;
    tail = tail + (pair.y - (head - whole));
    return log1p_special(x, total + (tail + (r - (total - head))));
#endif
}
#elif LOG == 3
__device__ __forceinline__ double log1p_own(double x, bool exact, const double2*) {
    double u = 1.0 + x;
    i64 bits = __double_as_longlong(u);
    i64 exponent = (bits - 0x3fe6a09e667f3bcdLL) >> 52;
    double f = __longlong_as_double(bits - (exponent << 52)) - 1.0;
    double f_low = rounded_away(x, u) * __longlong_as_double((1023 - exponent) << 52);
    double s = f / (2.0 + f), z = s * s;
    double p = P0 + z * (P1 + z * (P2 + z * (P3 + z * (P4 + z * (P5 + z * P6)))));
    double half = 0.5 * f * f, k = (double)exponent;
    double low = s * (half + z * p) + (k * LN2_LOW + f_low * (1.0 - s));
    return log1p_special(x, k * LN2_HIGH - ((half - low) - f));
}
#endif

__device__ __forceinline__ double after_clip(double v, bool exact, const Numeric& p, const double2* table) {
#if LOG
    v = log1p_own(v, exact, table);
#endif
#if DIVIDE
    return (v - p.shift) / p.scale;
#else
    return (v - p.shift) * p.scale;
#endif
}

__device__ __forceinline__ float value(float x, bool valid, const Numeric& p, const double2* table) {
#if FOLDED
    bool exact = EXACT32 && (x == 0.0f || (fabsf(x) >= 1.862645149230957e-09f && x <= 4503599627370496.0f));
    float y = (float)after_clip((double)x, exact, p, table);
    y = x < p.low_cut ? p.low_out : x > p.high_cut ? p.high_out : y;
    return valid ? y : p.null_out;
#else
    double v = valid ? (double)x : p.fill;
    v = v < p.low ? p.low : v > p.high ? p.high : v;
    return (float)after_clip(v, false, p, table);
#endif
}

template <typename T, typename V>
__device__ __forceinline__ void load(T* to, const T* from, i64 row, i64 n) {
#if VEC == 4
    if (row + 4 <= n) {
        V v = STREAM ? __ldcs((const V*)(from + row)) : *(const V*)(from + row);
        to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w;
        return;
    }
#endif
    for (int j = 0; j < VEC; j++) to[j] = row + j < n ? from[row + j] : T(0);
}
__device__ __forceinline__ u32 load_valid(const u32* valid, i64 row, i64 n) {
    return valid && row < n ? valid[row >> 5] >> (row & 31) : 0xffffffffu;
}

__device__ __forceinline__ int place(int r, int c) {
#if ROTATED  // every fourth row turns by one chunk of 16 bytes: stores of a warp fall into different banks
    return r * LD + (((c >> 2) + (r >> 2)) % CHUNKS) * 4 + (c & 3);
#else
    return r * PITCH + c;
#endif
}

// Rows [row0, row0 + ROWS) of all columns into the tile.
__device__ __forceinline__ void fill_tile(float* tile, const Numeric* numeric, const Coded* coded, i64 row0, i64 n,
                                          const double2* table) {
    const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
    const int along = lane % LANES, across = lane / LANES;
    for (int c = warp * (32 / LANES) + across; c < NUMERIC; c += WARPS * (32 / LANES)) {
        const Numeric p = numeric[c];
        float x[STEPS][VEC];
        u32 valid[STEPS];
#pragma unroll
        for (int s = 0; s < STEPS; s++) {
            i64 row = row0 + (s * LANES + along) * VEC;
            load<float, float4>(x[s], p.data, row, n);
            valid[s] = load_valid(p.valid, row, n);
        }
#pragma unroll
        for (int s = 0; s < STEPS; s++)
#pragma unroll
            for (int j = 0; j < VEC; j++)
                tile[place((s * LANES + along) * VEC + j, c)] = value(x[s][j], valid[s] >> j & 1, p, table);
    }
#if CODED
    for (int c = warp * (32 / LANES) + across; c < CODED; c += WARPS * (32 / LANES)) {
        const Coded p = coded[c];
        int id[STEPS][VEC];
        u32 valid[STEPS];
#pragma unroll
        for (int s = 0; s < STEPS; s++) {
            i64 row = row0 + (s * LANES + along) * VEC;
            load<int, int4>(id[s], p.data, row, n);
            valid[s] = load_valid(p.valid, row, n);
        }
#pragma unroll
        for (int s = 0; s < STEPS; s++)
#pragma unroll
            for (int j = 0; j < VEC; j++) {
                int code = valid[s] >> j & 1 ? __ldg(p.remap + id[s][j]) : 0;
                tile[place((s * LANES + along) * VEC + j, NUMERIC + c)] = (float)code;
            }
    }
#endif
#if LD > WIDTH
    for (int e = threadIdx.x; e < ROWS * (LD - WIDTH); e += THREADS)
        tile[place(e / (LD - WIDTH), WIDTH + e % (LD - WIDTH))] = 0.0f;
#endif
}

__device__ __forceinline__ void copy_out(const float* tile, float* out, i64 row0, i64 n) {
    int rows = n - row0 < ROWS ? (int)(n - row0) : ROWS;
    float* to = out + row0 * LD;
#if ROTATED
    for (int e = threadIdx.x; e < rows * CHUNKS; e += THREADS) {
        int r = e / CHUNKS, q = e % CHUNKS;
        float4 v = ((const float4*)tile)[r * CHUNKS + (q + (r >> 2)) % CHUNKS];
        if (STREAM) __stcs((float4*)to + e, v); else ((float4*)to)[e] = v;
    }
#else
    for (int e = threadIdx.x; e < rows * LD; e += THREADS) {
        float v = tile[e / LD * PITCH + e % LD];
        if (STREAM) __stcs(to + e, v); else to[e] = v;
    }
#endif
}

#if LOG == 1 || LOG == 2
#define WANT_TABLE const double2* table = LOG_TABLE
#if SHARED_TABLE
#undef WANT_TABLE
#define WANT_TABLE                                                                    \
    __shared__ double2 table[256];                                                    \
    for (int e = threadIdx.x; e < 256; e += THREADS) table[e] = LOG_TABLE[e];         \
    __syncthreads()
#endif
#else
#define WANT_TABLE const double2* table = 0
#endif

extern "C" __global__ void __launch_bounds__(THREADS)
    row_major(const Numeric* numeric, const Coded* coded, float* out, i64 n) {
    extern __shared__ __align__(16) float tile[];
    WANT_TABLE;
    for (i64 row0 = (i64)blockIdx.x * ROWS; row0 < n; row0 += (i64)gridDim.x * ROWS) {
        fill_tile(tile, numeric, coded, row0, n, table);
        __syncthreads();
        copy_out(tile, out, row0, n);
        __syncthreads();
    }
}

// No tile: a thread a row, writes of a warp LD * 4 bytes apart.
extern "C" __global__ void __launch_bounds__(THREADS)
    direct(const Numeric* numeric, const Coded* coded, float* out, i64 n) {
    WANT_TABLE;
    i64 row = (i64)blockIdx.x * THREADS + threadIdx.x;
    if (row >= n) return;
    for (int c = 0; c < NUMERIC; c++)
        out[row * LD + c] = value(numeric[c].data[row], load_valid(numeric[c].valid, row, n) & 1, numeric[c], table);
}

// The textbook transposition: 32 x 32 values a block, blockIdx.y counts blocks of columns.
extern "C" __global__ void __launch_bounds__(256)
    square(const Numeric* numeric, const Coded* coded, float* out, i64 n) {
    __shared__ float tile[32][33];
    WANT_TABLE;
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, c0 = blockIdx.y * 32;
    i64 row0 = (i64)blockIdx.x * 32, row = row0 + lane;
    for (int c = c0 + warp; c < c0 + 32 && c < NUMERIC; c += 8)
        if (row < n)
            tile[lane][c - c0] = value(numeric[c].data[row], load_valid(numeric[c].valid, row, n) & 1, numeric[c], table);
    __syncthreads();
    for (int r = warp; r < 32 && row0 + r < n; r += 8)
        if (c0 + lane < NUMERIC) out[(row0 + r) * LD + c0 + lane] = tile[r][lane];
}

// Column-major: nothing to transpose; 16 bytes in, 16 bytes out. stride is a multiple of 4.
extern "C" __global__ void __launch_bounds__(THREADS)
    column_major(const Numeric* numeric, const Coded* coded, float* out, i64 n, i64 stride) {
    WANT_TABLE;
    const Numeric p = numeric[blockIdx.y];
    for (i64 row = ((i64)blockIdx.x * THREADS + threadIdx.x) * 4; row < n; row += (i64)gridDim.x * THREADS * 4) {
        u32 valid = load_valid(p.valid, row, n);
        float* to = out + blockIdx.y * stride + row;
        if (row + 4 <= n) {
            float4 x = *(const float4*)(p.data + row);
            *(float4*)to = make_float4(value(x.x, valid & 1, p, table), value(x.y, valid >> 1 & 1, p, table),
                                       value(x.z, valid >> 2 & 1, p, table), value(x.w, valid >> 3 & 1, p, table));
        } else
            for (int j = 0; row + j < n; j++) to[j] = value(p.data[row + j], valid >> j & 1, p, table);
    }
}

#if __CUDA_ARCH__ >= 900 && !ROTATED && PITCH == LD
// Two tiles in turn, each written by the copy engine (cp.async.bulk) while the next one is worked out.
extern "C" __global__ void __launch_bounds__(THREADS)
    bulk(const Numeric* numeric, const Coded* coded, float* out, i64 n) {
    extern __shared__ __align__(128) float tiles[];
    WANT_TABLE;
    int turn = 0;
    for (i64 row0 = (i64)blockIdx.x * ROWS; row0 < n; row0 += (i64)gridDim.x * ROWS, turn ^= 1) {
        float* tile = tiles + turn * ROWS * LD;
        if (threadIdx.x == 0) asm volatile("cp.async.bulk.wait_group.read 1;" ::: "memory");
        __syncthreads();
        fill_tile(tile, numeric, coded, row0, n, table);
        if (row0 + ROWS > n) {
            __syncthreads();
            copy_out(tile, out, row0, n);
        } else {
            asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
            __syncthreads();
            if (threadIdx.x == 0) {
                u32 from = (u32)__cvta_generic_to_shared(tile);
                asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(out + row0 * LD),
                             "r"(from), "r"((u32)(ROWS * LD * 4)) : "memory");
                asm volatile("cp.async.bulk.commit_group;" ::: "memory");
            }
        }
    }
    if (threadIdx.x == 0) asm volatile("cp.async.bulk.wait_group 0;" ::: "memory");
}
#endif
