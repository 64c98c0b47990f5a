// Rows in and out of a program: N of them at a time, side by side. A bitmap's bit r % 32 of word r / 32 tells row r.
// Pointers are at a block's first row, a multiple of 32, and rows count from there: 64 bits are spent once.
INLINE void four(float* to, const float* from) {
    float4 v = __ldg((const float4*)from);
    to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w;
}
INLINE void four(u32* to, const u32* from) {
    uint4 v = __ldg((const uint4*)from);
    to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w;
}
INLINE void four(u16* to, const u16* from) {
    uint2 v = __ldg((const uint2*)from);
    to[0] = (u16)v.x, to[1] = (u16)(v.x >> 16), to[2] = (u16)v.y, to[3] = (u16)(v.y >> 16);
}
INLINE void four(u8* to, const u8* from) {
    u32 v = __ldg((const u32*)from);
    to[0] = (u8)v, to[1] = (u8)(v >> 8), to[2] = (u8)(v >> 16), to[3] = (u8)(v >> 24);
}
INLINE void four(double* to, const double* from) {
    double2 v = __ldg((const double2*)from), w = __ldg((const double2*)from + 1);
    to[0] = v.x, to[1] = v.y, to[2] = w.x, to[3] = w.y;
}
INLINE void four(u64* to, const u64* from) {
    ulonglong2 v = __ldg((const ulonglong2*)from), w = __ldg((const ulonglong2*)from + 1);
    to[0] = v.x, to[1] = v.y, to[2] = w.x, to[3] = w.y;
}
INLINE void set_four(float* to, const float* v) { *(float4*)to = make_float4(v[0], v[1], v[2], v[3]); }
INLINE void set_four(u32* to, const u32* v) { *(uint4*)to = make_uint4(v[0], v[1], v[2], v[3]); }
INLINE void set_four(u16* to, const u16* v) {
    *(uint2*)to = make_uint2(v[0] | (u32)v[1] << 16, v[2] | (u32)v[3] << 16);
}
INLINE void set_four(u8* to, const u8* v) { *(u32*)to = v[0] | (u32)v[1] << 8 | (u32)v[2] << 16 | (u32)v[3] << 24; }
INLINE void set_four(double* to, const double* v) {
    *(double2*)to = make_double2(v[0], v[1]);
    *((double2*)to + 1) = make_double2(v[2], v[3]);
}
INLINE void set_four(u64* to, const u64* v) {
    *(ulonglong2*)to = make_ulonglong2(v[0], v[1]);
    *((ulonglong2*)to + 1) = make_ulonglong2(v[2], v[3]);
}

INLINE const u32* bitmap_at(const u32* valid, i64 origin) { return valid ? valid + (origin >> 5) : valid; }

// Columns may be slices: whether four values may be taken at once is seen here.
template <typename T>
INLINE bool whole_vector(const T* at) {
    return ((u64)at & (sizeof(T) < 4 ? 4 * sizeof(T) - 1 : 15)) == 0;
}
// Beyond the last row 0, and nothing read.
template <int N, typename T>
INLINE void read(T (&to)[N], const T* from, int row, int stop) {
    if constexpr (N == 4)
        if (row + 4 <= stop && whole_vector(from + row)) {
            four(to, from + row);
            return;
        }
#pragma unroll
    for (int j = 0; j < N; j++) to[j] = row + j < stop ? __ldg(from + row + j) : T(0);
}
// Bit j: whether row + j has a value; of rows beyond the last it says nothing, and nothing is read.
INLINE u32 read_valid(const u32* valid, int row, int stop) {
    return valid && row < stop ? __ldg(valid + (row >> 5)) >> (row & 31) : 0xFFFFFFFFu;
}
// The values of entries; a row whose bit is 0 has the entry `absent`, and a negative number of an entry is a null.
template <int N, typename T>
INLINE u32 look_up(T (&to)[N], u32 bits, const int* ids, const T* entries, const u32* known, int absent, int row,
                   int stop) {
    u32 id[N], found = 0;
    read<N>(id, (const u32*)ids, row, stop);
#pragma unroll
    for (int j = 0; j < N; j++) {
        const int at = bits >> j & 1 ? (int)id[j] : absent;
        bool has = at >= 0;
        if (has && known) has = __ldg(known + (at >> 5)) >> (at & 31) & 1;
        to[j] = has ? __ldg(entries + at) : T(0);
        found |= (u32)has << j;
    }
    return found;
}

template <int N, typename T>
INLINE void write(T* to, const T (&from)[N], int row, int start, int stop) {
    if constexpr (N == 4)
        if (row >= start && row + 4 <= stop && whole_vector(to + row)) {
            set_four(to + row, from);
            return;
        }
#pragma unroll
    for (int j = 0; j < N; j++)
        if (row + j >= start && row + j < stop) to[row + j] = from[j];
}
// A word is written by one thread, whole: its rows are those of one warp. Bits at stop and beyond say nothing.
template <int N>
INLINE void write_valid(u32* to, u32 bits, int row, int stop) {
    if (!to) return;
    const u32 lane = threadIdx.x & 31;
    if (N == 1) {
        bits = __ballot_sync(0xFFFFFFFFu, bits);
        if (lane == 0 && row < stop) to[row >> 5] = bits;
        return;
    }
    bits <<= 4 * (lane & 7);
    bits |= __shfl_xor_sync(0xFFFFFFFFu, bits, 1);
    bits |= __shfl_xor_sync(0xFFFFFFFFu, bits, 2);
    bits |= __shfl_xor_sync(0xFFFFFFFFu, bits, 4);
    if ((lane & 7) == 0 && row < stop) to[row >> 5] = bits;
}

// The first failure of each expression: row * 4 + code, the least of all.
struct Failure {
    u64 first = ~0ull;
    INLINE void at(i64 row, u32 code) {
        if (code && ((u64)row << 2 | code) < first) first = (u64)row << 2 | code;
    }
    INLINE void tell(u64* status) const {
        if (first != ~0ull) atomicMin(status, first);
    }
};
