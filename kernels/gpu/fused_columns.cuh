// One expression over some rows, into arrays of its own. A program P is printed; it knows N, the rows it takes at once.
template <class P>
INLINE void stored(const u64* record, u64* status, i64 origin, int start, int stop) {
    const P program(record, origin);
    Failure failure;
#pragma unroll 1
    for (int part = 0; part < 4 / P::N; part++) {
        const int row = (part * (int)blockDim.x + (int)threadIdx.x) * P::N;
        typename P::Rows rows;
        typename P::Results results;
        program.load(rows, row, stop);
#pragma unroll
        for (int j = 0; j < P::N; j++) {
            u32 failed = program.at(rows, j, results);
            if (P::FAILS && row + j >= start && row + j < stop) failure.at(origin + row + j, failed);
        }
        P::store(record, results, origin, row, start, stop);
    }
    if (P::FAILS) failure.tell(status + record[P::NUMBER]);
}
