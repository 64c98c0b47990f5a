// Exact sums of slices, as kernels/reference/exact.py has them. Before this text are printed: value_t, SLICES, SQUARES.
//
// All sums are of whole numbers. Adding 1.5 * 2^52 units rounds a value to units and shows how many in the last bits of
// the float64: no conversion is needed. Atomic adds of integers give the same in any order.

#define ROWS 2048
#define WIDTH (SQUARES ? 21 : 42)
#define PAIRS (SQUARES ? SLICES * (SLICES + 1) / 2 : 0)
#define TOTALS (SLICES + PAIRS)
#define BY_WEIGHT (SQUARES ? 3 * SLICES - 1 : SLICES)

// Sums are unsigned: of a tile that is left out they may overflow.
#if SQUARES
typedef int whole_t;  // below 2^26; 64 rows of a lane whose squares add up to less than 2^52 fit 32 bits too
typedef u32 added_t;
#else
typedef i64 whole_t;
typedef u64 added_t;
#endif

__device__ __forceinline__ double power_of_two(int exponent) {
    return __longlong_as_double((i64)(exponent + 1023) << 52);
}

__device__ __forceinline__ double unit_of(int low, int place) {
    return power_of_two(low + WIDTH * (SLICES - 1 - place));
}

// What a value is cut into: slice `place` is whole[place] units. Returns what is left.
__device__ __forceinline__ double cut(double x, const double* magic, whole_t* whole) {
#pragma unroll
    for (int place = 0; place < SLICES; place++) {
        const double shifted = x + magic[place];
#if SQUARES
        whole[place] = __double2loint(shifted);  // the constant's lower half is 0
#else
        whole[place] = __double_as_longlong(shifted) - __double_as_longlong(magic[place]);
#endif
        x = x - (shifted - magic[place]);
    }
    return x;
}

__device__ __forceinline__ double value_of(const Four& four, int j, u32 bits) {
    return ((bits >> j) & 1u) ? (double)four.at[j] : 0.0;
}

#if SLICES > 1
// What a lane has of a tile.
struct Part {
    added_t added[SLICES];
    u64 products[PAIRS + 1];  // without squares the sum of the first slices' sizes
    bool bad;                 // whether a value does not lie on the grid, or is beyond what a tile may hold
};

__device__ __forceinline__ void add_four(Part& part, const Four& four, u32 bits, const double* magic, double most) {
#pragma unroll
    for (int j = 0; j < 4; j++) {
        const double x = value_of(four, j, bits);
        whole_t whole[SLICES];
        part.bad |= cut(x, magic, whole) != 0.0;
        part.bad |= !(fabs(x) < most);
#pragma unroll
        for (int a = 0; a < SLICES; a++) {
            part.added[a] += (added_t)whole[a];
#if SQUARES
#pragma unroll
            for (int b = 0; b <= a; b++) part.products[a * (a + 1) / 2 + b] += (u64)((i64)whole[b] * whole[a]);
#endif
        }
#if !SQUARES
        part.products[0] += (u64)(whole[0] < 0 ? -whole[0] : whole[0]);
#endif
    }
}

// One column. found: two words (see add_wide) for each slice, then for each pair, then how many rows of these tiles are
// valid, and how many tiles are wrong. wrong: for each tile, whether it is not exact on this grid, and was left out of
// the totals. tiles: which ones, n_tiles in all; 0: all.
struct Task {
    u64* found;
    i64 blocks;
    const value_t* values;
    const u32* valid;
    const i64* tiles;
    i64 n, n_tiles, low;
    unsigned char* wrong;
};

#define AHEAD (sizeof(value_t) > 4 ? 1 : 2)  // loads of 4 values that a lane has on their way at a time

// Blocks of one column stand together; a warp takes a tile.
extern "C" __global__ void __launch_bounds__(256) tile_sums(const Task* tasks, int blocks_each) {
    __shared__ u64 block[2 * TOTALS + 2];
    const Task* task = tasks + blockIdx.x / blocks_each;
    const i64 part_of = blockIdx.x % blocks_each;
    if (part_of >= task->blocks) return;
    if (threadIdx.x < 2 * TOTALS + 2) block[threadIdx.x] = 0;
    __syncthreads();
    const value_t* values = task->values;
    const u32* valid = task->valid;
    const i64* tiles = task->tiles;
    const i64 n = task->n, n_tiles = task->n_tiles;
    const int low = (int)task->low;
    const bool aligned = is_aligned(values);
    const double most = unit_of(low, 0) * (SQUARES ? 67108864.0 : 2251799813685248.0);
    double magic[SLICES];
#pragma unroll
    for (int place = 0; place < SLICES; place++) magic[place] = unit_of(low, place) * 6755399441055744.0;
    i64 sums[TOTALS] = {};
    u32 rows = 0, wrong = 0;
    const i64 warps = task->blocks * (blockDim.x >> 5);
    const i64 own = part_of * (blockDim.x >> 5) + (threadIdx.x >> 5);
    for (i64 at = own; at < n_tiles; at += warps) {
        const i64 first = (tiles == 0 ? at : tiles[at]) * ROWS;
        const i64 end = first + ROWS < n ? first + ROWS : n;
        const int lane = (threadIdx.x & 31) * 4;
        Part part = {};
        if (aligned && end - first == ROWS) {
            const value_t* from = values + first + lane;
            const u32* words = valid == 0 ? 0 : valid + (first >> 5);
            for (int row = 0; row < ROWS; row += 128 * AHEAD) {
                Four fours[AHEAD];
                u32 bits[AHEAD];
#pragma unroll
                for (int k = 0; k < AHEAD; k++) {
                    fours[k] = *(const Four*)(from + row + 128 * k);
                    bits[k] = four_bits(words, lane + row + 128 * k) & 15u;
                }
#pragma unroll
                for (int k = 0; k < AHEAD; k++) {
                    rows += __popc(bits[k]);
                    add_four(part, fours[k], bits[k], magic, most);
                }
            }
        } else {
            for (i64 row = first + lane; row < end; row += 128) {
                const u32 bits = four_bits(valid, row) & (row + 4 <= end ? 15u : (1u << (end - row)) - 1u);
                rows += __popc(bits);
                add_four(part, load_four(values, row, end, aligned), bits, magic, most);
            }
        }
        // The first slices, or their squares, of a tile that is added up are less than 2^51, or 2^52, together.
        const bool bad = __any_sync(ALL_LANES, part.bad) ||
                         (u64)sum_of_warp((i64)part.products[0]) >= 1ULL << (SQUARES ? 52 : 51);
        if ((threadIdx.x & 31) == 0) task->wrong[at] = bad;
        wrong += bad;
        if (bad) continue;
#pragma unroll
        for (int place = 0; place < TOTALS; place++)
            sums[place] += place < SLICES ? (i64)(whole_t)part.added[place < SLICES ? place : 0]
                                          : (i64)part.products[place < SLICES ? 0 : place - SLICES];
    }
#pragma unroll
    for (int place = 0; place < TOTALS; place++) add_wide(&block[2 * place], sums[place]);
    const i64 counted = sum_of_warp(rows);
    if ((threadIdx.x & 31) == 0) {
        atomicAdd(&block[2 * TOTALS], (u64)counted);
        if (wrong != 0) atomicAdd(&block[2 * TOTALS + 1], (u64)wrong);
    }
    __syncthreads();
    if (threadIdx.x < 2 * TOTALS + 2 && block[threadIdx.x] != 0)
        atomicAdd(&task->found[threadIdx.x], block[threadIdx.x]);
}
#endif

// Whether the value lies on the grid, and what it adds to each total of its group.
__device__ __forceinline__ bool added_by(double x, const double* magic, double most, i64* added) {
    whole_t whole[SLICES];
    const double first = (x + magic[0]) - magic[0];
    const bool on_grid = cut(x, magic, whole) == 0.0 && fabs(first) <= most;
#pragma unroll
    for (int total = 0; total < BY_WEIGHT; total++) added[total] = 0;
#pragma unroll
    for (int a = 0; a < SLICES; a++) {
        added[a] = whole[a];
#if SQUARES
#pragma unroll
        for (int b = 0; b <= a; b++) added[SLICES + a + b] += (i64)whole[b] * whole[a] * (a == b ? 1 : 2);
#endif
    }
    return on_grid;
}

// off: a bit for each row that does not lie on the grid. found: how many those are, then for each total of each group
// two words (see add_wide), or one of 64 bits (IN_GLOBAL). Rows of no group (groups < 0) are not looked at; groups 0:
// all rows are of group 0. where: the totals of one group stand in registers; few in shared memory, a block's own; of
// many straight in global memory: in one word where none outgrows it, else in two.
struct OfGroups {
    u64* found;
    i64 blocks;
    const value_t* values;
    const u32* valid;
    const int* groups;
    i64 n, low, n_groups, where;
    u32* off;
};

extern "C" __global__ void __launch_bounds__(256, SLICES > 3 ? 2 : 3)
    group_sums(const OfGroups* tasks, int blocks_each) {
    extern __shared__ __align__(8) u32 held[];
    const OfGroups* task = tasks + blockIdx.x / blocks_each;
    const i64 part_of = blockIdx.x % blocks_each;
    if (part_of >= task->blocks) return;
    const value_t* values = task->values;
    const u32* valid = task->valid;
    const int* groups = task->groups;
    u32* off = task->off;
    const i64 n = task->n;
    const int low = (int)task->low, n_groups = (int)task->n_groups, where = (int)task->where;
    const int n_totals = n_groups * BY_WEIGHT, lane = threadIdx.x & 31;
    u64* to = task->found + 1;
    u64* block = (u64*)held;
    if (where <= IN_SHARED)
        for (int at = threadIdx.x; at < n_totals * (where == IN_REGISTERS ? 2 : 1); at += blockDim.x) block[at] = 0;
    __syncthreads();
    const double most = unit_of(low, 0) * (double)(1LL << WIDTH);
    double magic[SLICES];
#pragma unroll
    for (int place = 0; place < SLICES; place++) magic[place] = unit_of(low, place) * 6755399441055744.0;
    i64 sums[BY_WEIGHT] = {};
    u32 missed = 0;
    const i64 stride = task->blocks * blockDim.x;
    for (i64 start = part_of * blockDim.x + threadIdx.x - lane; start < n; start += stride) {
        const i64 row = start + lane;
        const int group = row >= n ? -1 : groups == 0 ? 0 : groups[row];
        bool wrong = false;
        if (group >= 0 && has_value(valid, row)) {
            i64 added[BY_WEIGHT];
            wrong = !added_by((double)values[row], magic, most, added);
            if (!wrong) {
#pragma unroll
                for (int total = 0; total < BY_WEIGHT; total++) {
                    const i64 at = (i64)group * BY_WEIGHT + total;
                    if (where == IN_REGISTERS) {
                        sums[total] += added[total];
                    } else if (added[total] == 0) {
                        continue;
                    } else if (where == IN_SHARED) {
                        add_shared(&held[2 * at], added[total]);
                    } else if (where == IN_GLOBAL) {
                        atomicAdd(&to[at], (u64)added[total]);
                    } else {
                        add_halves(&to[2 * at], added[total]);
                    }
                }
            }
        }
        const u32 word = __ballot_sync(ALL_LANES, wrong);
        if (lane == 0) off[start >> 5] = word;
        missed += __popc(word);
    }
    if (lane == 0 && missed != 0) atomicAdd(task->found, (u64)missed);
    if (where == IN_REGISTERS) {
#pragma unroll
        for (int total = 0; total < BY_WEIGHT; total++) add_wide(&block[2 * total], sums[total]);
    }
    __syncthreads();
    if (where == IN_REGISTERS && threadIdx.x < 2 * BY_WEIGHT && block[threadIdx.x] != 0)
        atomicAdd(&to[threadIdx.x], block[threadIdx.x]);
    if (where == IN_SHARED)
        for (int at = threadIdx.x; at < n_totals; at += blockDim.x) add_halves(&to[2 * at], (i64)block[at]);
}
