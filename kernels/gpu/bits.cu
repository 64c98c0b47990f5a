// The rows whose bits are set in a bitmap: 32 rows a word, the least bit first; bits beyond the rows are anything.

#define CHUNK 256  // words that one block numbers

__device__ __forceinline__ u32 word_of(const u32* words, i64 at, i64 n) {
    const u32 word = words[at];
    return (at + 1) * 32 <= n ? word : word & ((1u << (n & 31)) - 1u);
}

// How many bits are set among the words of each block.
extern "C" __global__ void __launch_bounds__(CHUNK) count_chunks(const u32* words, i64 n, u32* counts) {
    __shared__ u32 block;
    if (threadIdx.x == 0) block = 0;
    __syncthreads();
    const i64 at = (i64)blockIdx.x * CHUNK + threadIdx.x;
    const u32 count = at < (n + 31) >> 5 ? __popc(word_of(words, at, n)) : 0;
    if (count != 0) atomicAdd(&block, count);
    __syncthreads();
    if (threadIdx.x == 0) counts[blockIdx.x] = block;
}

// The rows of the set bits, ascending; those of a block from starts[block] on.
extern "C" __global__ void __launch_bounds__(CHUNK)
    write_positions(const u32* words, i64 n, const i64* starts, i64* out) {
    __shared__ u32 warps[CHUNK / 32];
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    const i64 at = (i64)blockIdx.x * CHUNK + threadIdx.x;
    u32 word = at < (n + 31) >> 5 ? word_of(words, at, n) : 0;
    u32 upto = __popc(word);
#pragma unroll
    for (int away = 1; away < 32; away <<= 1) {
        const u32 before = __shfl_up_sync(ALL_LANES, upto, away);
        if (lane >= away) upto += before;
    }
    if (lane == 31) warps[warp] = upto;
    __syncthreads();
    i64 to = starts[blockIdx.x] + upto - __popc(word);
    for (int other = 0; other < warp; other++) to += warps[other];
    while (word != 0) {
        out[to++] = at * 32 + (__ffs(word) - 1);
        word &= word - 1;
    }
}
