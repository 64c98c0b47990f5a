// From the keys of rows to places in a list.

// Keys from `low` on index `places`; others are nowhere. -1 in `places` is nowhere too.
extern "C" __global__ void find_dense(const void* values, int kind, const u32* valid, i64 n, i64 low, u64 span,
                                      const int* places, int null, int nowhere, int* out) {
    EACH_ROW(row, n) {
        i64 bits = 0;
        int what = key_at(values, kind, valid, row, &bits);
        int place = null;
        if (what != MISSING) {
            u64 distance = (u64)bits - (u64)low;
            place = what == NUMBER && distance < span ? places[distance] : -1;
            if (place < 0) place = nowhere;
        }
        out[row] = place;
    }
}

// Keys of a hash table, in which each stands within `tries` slots of its home.
extern "C" __global__ void find_hashed(const void* values, int kind, const u32* valid, i64 n, const u64* table, u64 mask,
                                       u64 tries, const int* places, int null, int nowhere, int* out) {
    EACH_ROW(row, n) {
        i64 bits = 0;
        int what = key_at(values, kind, valid, row, &bits);
        int place = what == MISSING ? null : nowhere;
        if (what == NUMBER) {
            u64 word = (u64)bits ^ SALT;
            u64 slot = word == 0 ? mask + 1 : home_of(word, mask);
            if (word == 0) word = 1;
            for (u64 tried = 0; tried < tries; ++tried) {
                u64 there = table[slot];
                if (there == word) place = places[slot];
                if (there == word || there == 0) break;
                slot = (slot + 1) & mask;
            }
        }
        out[row] = place;
    }
}

// outer * size + inner, or -1 where one of them is negative.
extern "C" __global__ void combine(const int* outer, const int* inner, i64 size, i64 n, i64* out) {
    EACH_ROW(row, n) {
        int high = outer[row], low = inner[row];
        out[row] = high < 0 || low < 0 ? -1 : high * size + low;
    }
}
