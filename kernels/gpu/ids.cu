// Entries' numbers of several columns at once: rows without a value are given the number of an entry of their own.
// table: for each column (ids, bitmap or 0, out, absent, shift). Blocks of one column stand together.
extern "C" __global__ void with_absent(const i64* table, i64 n_rows, i64 blocks_each) {
    const i64* column = table + (blockIdx.x / blocks_each) * 5;
    const int* ids = (const int*)column[0];
    const u32* valid = (const u32*)column[1];
    int* out = (int*)column[2];
    const int absent = (int)column[3];
    const int shift = (int)column[4];
    const i64 first = (i64)(blockIdx.x % blocks_each) * blockDim.x + threadIdx.x;
    for (i64 row = first; row < n_rows; row += blocks_each * blockDim.x) {
        const bool has = valid == 0 || ((valid[row >> 5] >> (row & 31)) & 1u);
        out[row] = has ? ids[row] + shift : absent;
    }
}
