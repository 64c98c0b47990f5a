// Expressions into the columns of a row-major float32 matrix. A block of 256 threads takes 64 rows of some columns
// through shared memory, so that what it writes lies side by side; a tile's rows are an odd number of floats apart, so
// that the writes of a warp fall into different banks. A program P is printed: N rows at once, AHEAD times N of them
// read before the first is worked out.
#define TILE_ROWS 64

template <class P, int STEPS>
INLINE void worked_out(const P& program, float* to, int pitch, i64 origin, int first, int stride, int stop,
                       Failure& failure) {
    typename P::Rows rows[STEPS];
#pragma unroll
    for (int s = 0; s < STEPS; s++) program.load(rows[s], first + s * stride, stop);
#pragma unroll
    for (int s = 0; s < STEPS; s++) {
        typename P::Results results;
#pragma unroll
        for (int j = 0; j < P::N; j++) {
            const int r = first + s * stride + j;
            u32 failed = program.at(rows[s], j, results);
            if (P::FAILS && r < stop) failure.at(origin + r, failed);
            to[r * pitch] = results.y0[j];
        }
    }
}

// A warp's share, `count` expressions of one program: four of them, 8 lanes along the rows each, where N is 4; one, all
// lanes along the rows, where N is 1.
template <class P>
INLINE void shared_out(float* tile, const u64* record, u32 count, int pitch, i64 origin, int stop, u64* status) {
    const u32 lane = threadIdx.x & 31, lanes = P::N == 4 ? 8 : 32;
    const int first = (lane % lanes) * P::N, stride = lanes * P::N;
    if (lane / lanes >= count) return;
    record += lane / lanes * P::WORDS;
    const P program(record, origin);
    float* to = tile + __ldg(record + P::OUTPUTS);
    Failure failure;
    if (P::AHEAD * stride == TILE_ROWS) {
        worked_out<P, P::AHEAD>(program, to, pitch, origin, first, stride, stop, failure);
    } else {
#pragma unroll 1
        for (int s = 0; s < TILE_ROWS; s += stride)
            worked_out<P, 1>(program, to, pitch, origin, s + first, stride, stop, failure);
    }
    if (P::FAILS) failure.tell(status + record[P::NUMBER]);
}

// The tile's columns to `first` and on, or where `listed` says.
INLINE void copied_out(const float* tile, float* to, int rows, i64 width, int columns, const u64* listed, int pitch) {
    const int down = 256 / columns, across = 256 % columns;
    int r = threadIdx.x / columns, c = threadIdx.x % columns;
    while (r < rows) {
        to[r * width + (listed ? (i64)__ldg(listed + c) : c)] = tile[r * pitch + c];
        r += down, c += across;
        if (c >= columns) c -= columns, r++;
    }
}
