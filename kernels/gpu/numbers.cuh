// The rows of a column as keys: int64 that are ordered as the values are, whatever the column's type.

// How a row is stored. The numbers stand in numbers.py too. 64-bit integers without a sign are read as with one.
enum { I8, I16, I32, I64, U8, U16, U32, F32, F64, PART_OF_I32, PART_OF_I64 };

// What stands in a row: a number, no value, or one that is no key (NaN; of the last two kinds a negative number).
enum { NUMBER, MISSING, NO_KEY };

__device__ __forceinline__ i64 integer_at(const void* values, int kind, i64 row) {
    if (kind == I32 || kind == PART_OF_I32) return ((const int*)values)[row];
    if (kind == I64 || kind == PART_OF_I64) return ((const i64*)values)[row];
    if (kind == U8) return ((const unsigned char*)values)[row];
    if (kind == I8) return ((const signed char*)values)[row];
    if (kind == I16) return ((const short*)values)[row];
    if (kind == U16) return ((const unsigned short*)values)[row];
    return ((const u32*)values)[row];
}

__device__ __forceinline__ double float_at(const void* values, int kind, i64 row) {
    return kind == F64 ? ((const double*)values)[row] : (double)((const float*)values)[row];
}

__device__ __forceinline__ bool is_float(int kind) { return kind == F32 || kind == F64; }

__device__ __forceinline__ int key_at(const void* values, int kind, const u32* valid, i64 row, i64* bits) {
    if (!has_value(valid, row)) return MISSING;
    if (is_float(kind)) {
        double value = float_at(values, kind, row);
        *bits = ordered_bits(value);
        return value == value ? NUMBER : NO_KEY;
    }
    *bits = integer_at(values, kind, row);
    return kind >= PART_OF_I32 && *bits < 0 ? NO_KEY : NUMBER;
}

__device__ __forceinline__ i64 first_row() { return blockIdx.x * (i64)blockDim.x + threadIdx.x; }
__device__ __forceinline__ i64 rows_ahead() { return gridDim.x * (i64)blockDim.x; }

// Rows are dealt to all threads in turn. Not unrolled: nothing of the next row can be begun before its type is looked at.
#define EACH_ROW(row, n) _Pragma("unroll 1") for (i64 row = first_row(); row < n; row += rows_ahead())
