// The first place of a value that is NaN or infinite; `place` holds the number of values before, and stays where none is.
extern "C" __global__ void first_unfinite(const u32* bits, i64 n_values, u64* place) {
    __shared__ u64 least;
    if (threadIdx.x == 0) least = (u64)n_values;
    __syncthreads();
    const i64 stride = (i64)gridDim.x * blockDim.x;
    u64 found = (u64)n_values;
    for (i64 at = (i64)blockIdx.x * blockDim.x + threadIdx.x; at < n_values; at += stride) {
        if ((bits[at] & 0x7F800000u) == 0x7F800000u) {
            found = (u64)at;
            break;
        }
    }
    if (found < (u64)n_values) atomicMin(&least, found);
    __syncthreads();
    if (threadIdx.x == 0 && least < (u64)n_values) atomicMin(place, least);
}
