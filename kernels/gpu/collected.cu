// The bins that occur, of histograms of BINS counts, packed together.

#define EACH 64  // bins of a thread: 1,024 threads take a histogram

// One histogram. found: where its entries, (bin, count) each, begin, and how many they are. end: how many there are of
// all histograms so far: each takes the next place, so where one's stand depends on the order of blocks. Beyond
// `room` none are written.
struct Task {
    u64* found;
    i64 blocks;
    const u32* counts;
    u64* end;
    uint2* entries;
    i64 room;
};

// A block takes a histogram; its entries are in the order of bins.
extern "C" __global__ void __launch_bounds__(1024) collect(const Task* tasks, int blocks_each) {
    __shared__ u32 before[32];
    __shared__ u64 begin;
    const Task task = tasks[blockIdx.x / blocks_each];
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, first = threadIdx.x * EACH;
    u32 used = 0;
    for (int at = 0; at < EACH; at++) used += task.counts[first + at] != 0;
    u32 upto = used;
#pragma unroll
    for (int away = 1; away < 32; away <<= 1) {
        const u32 other = __shfl_up_sync(ALL_LANES, upto, away);
        if (lane >= away) upto += other;
    }
    if (lane == 31) before[warp] = upto;
    __syncthreads();
    if (threadIdx.x == 0) {
        u32 all = 0;
        for (int other = 0; other < 32; other++) {
            const u32 own = before[other];
            before[other] = all;
            all += own;
        }
        begin = atomicAdd(task.end, (u64)all);
        task.found[0] = begin;
        task.found[1] = all;
    }
    __syncthreads();
    u64 to = begin + before[warp] + upto - used;
    for (int at = 0; at < EACH; at++) {
        const u32 count = task.counts[first + at];
        if (count == 0) continue;
        if (to < task.room) task.entries[to] = make_uint2(first + at, count);
        to++;
    }
}
