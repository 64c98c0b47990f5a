// A table in one launch: columns + validity bitmaps + parameters -> float32 matrix. The generator (kernels.py) puts
// #defines in front: ROWS (of a tile), NUMERIC and CODED (columns), LD (row length of the output), THREADS, VEC
// (rows a lane loads at once), LANES (lanes of a warp along the rows), PITCH (row length of the tile in shared
// memory), ROTATED, STREAM, and the chain: LOG (0 none, 1 table, 2 short, 3 division), FOLDED, DIVIDE, EXACT32,
// SHARED_TABLE, GUARDED, BRANCHLESS; BLOCKS a multiprocessor bounds registers. Row indices are 64 bits wide. Compile with --fmad=false: NumPy contracts nothing either.
struct Numeric {
    const float* data;
    const u32* valid;  // Arrow bitmap, LSB first, padded to 4 bytes; null: all rows are valid
    double low, high, shift, scale, fill;
    float low_cut, high_cut;            // x < low exactly where x < low_cut in float32
    float low_out, high_out, null_out;  // the whole chain of low, high and fill, worked out by the host
    u32 pad;
};
// Every field into a register now: left to itself the compiler loads parameters where they are used.
__device__ __forceinline__ Numeric parameters_of(const Numeric* from) {
    return {from->data, from->valid, __ldg(&from->low), __ldg(&from->high), __ldg(&from->shift), __ldg(&from->scale),
            __ldg(&from->fill), __ldg(&from->low_cut), __ldg(&from->high_cut), __ldg(&from->low_out),
            __ldg(&from->high_out), __ldg(&from->null_out), 0u};
}
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

template <bool EXACT>
__device__ __forceinline__ double after_clip(double v, float narrow, const Numeric& p, const Tables& t) {
#if LOG
    double y = log1p_own<EXACT>(v, narrow, t);
    v = GUARDED ? y : log1p_special(v, y);
#endif
#if DIVIDE
    return (v - p.shift) / p.scale;
#else
    return (v - p.shift) * p.scale;
#endif
}

// A selection the compiler cannot turn into a branch around the chain.
__device__ __forceinline__ float chosen(bool first, float a, float b) {
#if defined(__CUDA_ARCH__) && BRANCHLESS
    float r;
    asm("{.reg .pred p; setp.ne.u32 p, %3, 0; selp.f32 %0, %1, %2, p;}" : "=f"(r) : "f"(a), "f"(b), "r"((u32)first));
    return r;
#else
    return first ? a : b;
#endif
}

// GUARDED: the generator knows that the clip keeps what log1p sees inside its domain, so only NaN is left to mind.
__device__ __forceinline__ float value(float x, bool valid, const Numeric& p, const Tables& t) {
#if FOLDED
    // Whatever the clip or a null decides is a constant of the column; NaN stays. Only the others need the chain.
    bool keep = valid && x >= p.low_cut && x <= p.high_cut;
    float low = p.low_out, high = p.high_out, null = p.null_out;  // not `? p.a : p.b`: that selects addresses
    float fixed = x < p.low_cut ? low : x > p.high_cut ? high : x;
    fixed = valid ? fixed : null;
    return chosen(keep, (float)after_clip<EXACT32>((double)x, x, p, t), fixed);
#else
    double v = valid ? (double)x : p.fill;
    v = v < p.low ? p.low : v > p.high ? p.high : v;
    float y = (float)after_clip<false>(v, 0.0f, p, t);
    if (LOG && GUARDED) y = v == v ? y : (float)v;
    return y;
#endif
}

template <typename T, typename V>
__device__ __forceinline__ void load(T* to, const T* from, i64 row, i64 n) {
#if VEC == 4
    if (row + 4 <= n) {
        V v = STREAM ? __ldcs((const V*)(from + row)) : __ldg((const V*)(from + row));
        to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w;
        return;
    }
#endif
    for (int j = 0; j < VEC; j++) to[j] = row + j < n ? __ldg(from + row + j) : T(0);
}
__device__ __forceinline__ u32 load_valid(const u32* valid, i64 row, i64 n) {
    return valid && row < n ? __ldg(valid + (row >> 5)) >> (row & 31) : 0xffffffffu;
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
                                          const Tables& table) {
    const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
    const int along = lane % LANES, across = lane / LANES;
    for (int c = warp * (32 / LANES) + across; c < NUMERIC; c += WARPS * (32 / LANES)) {
        const Numeric p = parameters_of(numeric + c);
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

#if (LOG == 1 || LOG == 2) && SHARED_TABLE
#define WANT_TABLE                                                                            \
    __shared__ u32 inverse[256];                                                              \
    __shared__ double log_c[256];                                                             \
    for (int e = threadIdx.x; e < 256; e += THREADS) inverse[e] = LOG_INVERSE[e], log_c[e] = LOG_OF[e]; \
    __syncthreads();                                                                          \
    const Tables table = {inverse, log_c}
#elif LOG == 1 || LOG == 2
#define WANT_TABLE const Tables table = {LOG_INVERSE, LOG_OF}
#else
#define WANT_TABLE const Tables table = {0, 0}
#endif

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
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
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
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
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
    column_major(const Numeric* numeric, const Coded* coded, float* out, i64 n, i64 stride) {
    WANT_TABLE;
    const Numeric p = parameters_of(numeric + blockIdx.y);
    for (i64 row = ((i64)blockIdx.x * THREADS + threadIdx.x) * 4; row < n; row += (i64)gridDim.x * THREADS * 4) {
        u32 valid = load_valid(p.valid, row, n);
        float* to = out + blockIdx.y * stride + row;
        if (row + 4 <= n) {
            float4 x = __ldg((const float4*)(p.data + row));
            *(float4*)to = make_float4(value(x.x, valid & 1, p, table), value(x.y, valid >> 1 & 1, p, table),
                                       value(x.z, valid >> 2 & 1, p, table), value(x.w, valid >> 3 & 1, p, table));
        } else
            for (int j = 0; row + j < n; j++) to[j] = value(__ldg(p.data + row + j), valid >> j & 1, p, table);
    }
}

#if __CUDA_ARCH__ >= 900 && !ROTATED && PITCH == LD
// Two tiles in turn, each written by the copy engine (cp.async.bulk) while the next one is worked out.
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
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
