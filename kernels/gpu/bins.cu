// How many of the limits, which increase, are at or below each value; NaN is beyond all.
extern "C" __global__ void bins(const value_t* values, i64 n_rows, const double* limits, int n_limits, int* out) {
    const i64 stride = (i64)gridDim.x * blockDim.x;
    for (i64 row = (i64)blockIdx.x * blockDim.x + threadIdx.x; row < n_rows; row += stride) {
        const double value = (double)values[row];
        int low = 0, high = n_limits;
        while (low < high) {
            const int middle = (low + high) >> 1;
            if (value < limits[middle]) {  // false of NaN, which goes beyond all
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        out[row] = low;
    }
}
