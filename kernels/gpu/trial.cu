// What a device has to get right before anything is computed on it: float64 arithmetic without a fused multiply-add,
// float32 numbers below the normal ones kept, rows addressed by 64 bits.
typedef long long i64;

extern "C" __global__ void gpupipe_trial(const float* x, const double* y, double* out, i64 n) {
    i64 row = (i64)blockIdx.x * blockDim.x + threadIdx.x;
    if (row < n) {
        double wide = (double)x[row];
        out[row] = wide * y[row] - 1.0;
    }
}
