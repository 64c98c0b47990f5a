// Expressions into the columns of a row-major float32 matrix. A block of 256 threads takes 64 rows of some columns
// through shared memory, so that what it writes lies side by side; a tile's rows are an odd number of floats apart, so
// that the writes of a warp fall into different banks. A program P is printed: N rows at once, AHEAD times N of them
// read before the first is worked out.
#define TILE_ROWS 64
#define WARPS 8

template <class P, int STEPS>
INLINE void worked_out(const P& program, float* to, int pitch, i64 row0, int first, int stride, i64 stop,
                       Failure& failure) {
    typename P::Rows rows[STEPS];
#pragma unroll
    for (int s = 0; s < STEPS; s++) program.load(rows[s], row0 + first + s * stride, stop);
#pragma unroll
    for (int s = 0; s < STEPS; s++) {
        typename P::Results results;
#pragma unroll
        for (int j = 0; j < P::N; j++) {
            const int r = first + s * stride + j;
            u32 failed = program.at(rows[s], j, results);
            if (P::FAILS && row0 + r < stop) failure.at(row0 + r, failed);
            to[r * pitch] = results.y0[j];
        }
    }
}

// The expressions of one program, dealt to the warps after `dealt` shares. N = 4: a warp takes four columns, 8 lanes
// along the rows each; N = 1: one column, all lanes along the rows.
template <class P>
INLINE u32 filled(float* tile, const u64* words, u64 at, u32 count, u32 dealt, int pitch, i64 row0, i64 stop,
                  u64* status) {
    const u32 lane = threadIdx.x & 31, lanes = P::N == 4 ? 8 : 32, side = 32 / lanes;
    const u32 shares = (count + side - 1) / side;
    const int first = (lane % lanes) * P::N, stride = lanes * P::N;
    for (u32 share = ((threadIdx.x >> 5) - dealt) % WARPS; share < shares; share += WARPS) {
        const u32 expression = share * side + lane / lanes;
        if (expression >= count) continue;
        const u64* record = words + at + (u64)expression * P::WORDS;
        const P program(record);
        float* to = tile + __ldg(record + P::OUTPUTS);
        Failure failure;
        if (P::AHEAD * stride == TILE_ROWS) {
            worked_out<P, P::AHEAD>(program, to, pitch, row0, first, stride, stop, failure);
        } else {
#pragma unroll 1
            for (int s = 0; s < TILE_ROWS; s += stride)
                worked_out<P, 1>(program, to, pitch, row0, s + first, stride, stop, failure);
        }
        if (P::FAILS) failure.tell(status + record[P::NUMBER]);
    }
    return dealt + shares;
}

// The tile's columns to `first` and on, or where `listed` says.
INLINE void copied_out(const float* tile, float* out, i64 row0, i64 stop, i64 width, i64 first, int columns,
                       const u64* listed, int pitch) {
    const int rows = stop - row0 < TILE_ROWS ? (int)(stop - row0) : TILE_ROWS;
    const int down = 256 / columns, across = 256 % columns;
    int r = threadIdx.x / columns, c = threadIdx.x % columns;
    float* to = out + row0 * width + first;
    while (r < rows) {
        to[r * width + (listed ? (i64)__ldg(listed + c) : c)] = tile[r * pitch + c];
        r += down, c += across;
        if (c >= columns) c -= columns, r++;
    }
}
