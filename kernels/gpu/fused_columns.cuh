// One expression over some rows, into arrays of its own. A program P is printed; it knows N, the rows it takes at once.
template <class P>
INLINE void stored(const u64* record, u64* status, i64 begin, i64 start, i64 stop) {
    const P program(record);
    Failure failure;
#pragma unroll 1
    for (int part = 0; part < 4 / P::N; part++) {
        const i64 row = begin + ((i64)part * blockDim.x + threadIdx.x) * P::N;
        typename P::Rows rows;
        typename P::Results results;
        program.load(rows, row, stop);
#pragma unroll
        for (int j = 0; j < P::N; j++) {
            u32 failed = program.at(rows, j, results);
            if (P::FAILS && row + j >= start && row + j < stop) failure.at(row + j, failed);
        }
        P::store(record, results, row, start, stop);
    }
    if (P::FAILS) failure.tell(status + record[P::NUMBER]);
}
