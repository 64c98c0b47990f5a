"""Kernels of every kind give what NumPy gives, and each planted fault is found and named."""

import threading

import numpy as np
import pytest

from gpupipe.errors import DeviceMemoryError
from gpupipe.kernels.gpu.device import Kernel

from .ptx import PtxError, parse
from .ptx_text import run_body
from .simulated import SimulatedDevice

WORDS = "typedef long long i64; typedef unsigned u32; typedef unsigned long long u64;\n"

#: One source for all that is right: NVRTC takes as long for ten kernels as for one.
RIGHT = WORDS + r"""
struct Column { const float* values; const u32* valid; double fill; };
__constant__ double COEFFICIENTS[3] = {0.5, -2.0, 0.25};
__device__ const unsigned char TABLE[5] = {3, 1, 4, 1, 5};

extern "C" __global__ void block_sums(const float* x, double* out, i64 n) {
    __shared__ double parts[32];
    double sum = 0;
    for (i64 i = blockIdx.x * (i64)blockDim.x + threadIdx.x; i < n; i += (i64)gridDim.x * blockDim.x) sum += x[i];
    for (int d = 16; d; d >>= 1) sum += __shfl_down_sync(0xffffffffu, sum, d);
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x == 0) {
        for (int w = 1; w < blockDim.x / 32; w++) sum += parts[w];
        out[blockIdx.x] = sum;
    }
}
extern "C" __global__ void counts(const int* keys, u32* out, i64 n, int bins) {
    extern __shared__ u32 own[];
    for (int b = threadIdx.x; b < bins; b += blockDim.x) own[b] = 0;
    __syncthreads();
    for (i64 i = blockIdx.x * (i64)blockDim.x + threadIdx.x; i < n; i += (i64)gridDim.x * blockDim.x)
        atomicAdd(own + keys[i], 1u);
    __syncthreads();
    for (int b = threadIdx.x; b < bins; b += blockDim.x) if (own[b]) atomicAdd(out + b, own[b]);
}
extern "C" __global__ void collatz(const int* x, int* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x, steps = 0;
    if (i >= n) return;
    for (i64 v = x[i]; v != 1; steps++) v = v % 2 ? 3 * v + 1 : v / 2;
    out[i] = steps;
}
__noinline__ __device__ double polynomial(double x, int n) {
    double y = 0;
    for (int k = 0; k < n; k++) y = y * x + COEFFICIENTS[k];
    return n > 3 ? -1.0 : y;
}
extern "C" __global__ void columns(const Column* given, float* out, i64 n) {
    i64 i = blockIdx.x * (i64)blockDim.x + threadIdx.x;
    if (i >= n) return;
    Column c = given[blockIdx.x % 2];
    bool valid = !c.valid || c.valid[i / 32] >> (i % 32) & 1;
    out[i] = (float)(polynomial(valid ? c.values[i] : c.fill, 1 + (int)(i % 3)) + TABLE[i % 5]);
}
extern "C" __global__ void four(const float4* x, float4* y, i64 n) {
    i64 i = blockIdx.x * (i64)blockDim.x + threadIdx.x;
    if (i < n) { float4 v = x[i]; v.w *= 2; y[i] = v; }
}
extern "C" __global__ void local(const int* x, int* out, int n) {
    int all[12], i = threadIdx.x;
    for (int k = 0; k < 12; k++) all[k] = x[k] * i;
    for (int k = 0; k < n; k++) { int j = x[k] % 12; int t = all[k]; all[k] = all[j]; all[j] = t; }
    out[i] = all[x[0] % 12] + 10 * all[5];
}
extern "C" __global__ void choice(const int* x, int* out) {
    int i = threadIdx.x, v = x[i];
    switch (v) {
        case 0: v = i * 3; break; case 1: v = i - 7; break; case 2: v = i ^ 21; break; case 3: v = -i; break;
        case 4: v = i << 2; break; case 5: v = i / 3; break; case 6: v = 99; break; case 7: v = i % 5; break;
    }
    out[i] = v;
}
extern "C" __global__ void block_flags(const int* x, int* out) {
    int v = x[threadIdx.x];
    int found = __syncthreads_count(v > 0) * 100 + __syncthreads_or(v > 5) * 10 + __syncthreads_and(v > -9);
    out[threadIdx.x] = found;
}
extern "C" __global__ void warp_turn(const int* x, int* out) {
    __shared__ int own[64];
    own[threadIdx.x] = x[threadIdx.x];
    __syncwarp();
    int next = own[threadIdx.x / 32 * 32 + (threadIdx.x + 1) % 32];
    __syncwarp();
    own[threadIdx.x] = next * 2;
    __syncwarp();
    out[threadIdx.x] = own[threadIdx.x ^ 1];
}
__noinline__ __device__ u64 grown(u64 a, int n) { for (int k = 0; k < n; k++) a = a * 3 + 1; return a; }
__noinline__ __device__ u64 both(u64 a, int n) { return grown(a, n) + grown(a, n + 1); }
extern "C" __global__ void calls(const u64* x, u64* out) {
    int i = threadIdx.x;
    if (i % 3 == 0) out[i] = both(x[i], i % 4); else out[i] = grown(x[i], 2);
}
extern "C" __global__ void mixed(const int* x, int* out) {
    __shared__ int own[32];
    int i = threadIdx.x;
    int* to = x[i] % 2 ? own + i : out + i;
    *to = x[i] * 3;
    __syncthreads();
    if (x[i] % 2) out[i] = own[i] + 1;
}
extern "C" __global__ void slots(const u64* keys, u64* table, int* where, int n, int mask) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    u64 key = keys[i];
    for (int s = (int)(key * 7) & mask;; s = (s + 1) & mask) {
        u64 old = atomicCAS(table + s, 0ull, key);
        if (old == 0 || old == key) { where[i] = s; return; }
    }
}
"""
I32, I64, F32 = np.int32, np.int64, np.float32


def launched(device, entry, grid, block, *args, shared=0, source=RIGHT):
    device.launch(Kernel(source, entry), grid, block, list(args), shared)


def test_sums_of_blocks_by_shuffles(device):
    x = np.random.default_rng(0).integers(-99, 99, 5000).astype("f4")
    for grid, block in ((1, 32), (3, 128), (20, 256)):
        out = device.empty(grid, "f8")
        launched(device, "block_sums", grid, block, device.upload(x), out, I64(len(x)))
        assert out.to_host().sum() == x.sum(dtype="f8")
    assert device.launches == 3 and device.log[-1] == ("block_sums", 20, 256)


def test_counts_by_atomics_in_dynamic_shared_memory(device):
    keys = np.random.default_rng(1).integers(0, 10, 3000).astype("i4")
    out = device.zeros(10, "u4")
    launched(device, "counts", 5, 96, device.upload(keys), out, I64(3000), I32(10), shared=40)
    assert out.to_host().tolist() == np.bincount(keys).tolist()


def test_loops_that_end_lane_by_lane(device):
    x = np.arange(1, 300, dtype="i4")
    out = device.empty(len(x), "i4")
    launched(device, "collatz", 3, 100, device.upload(x), out, I32(len(x)))

    def steps(v):
        return 0 if v == 1 else 1 + steps(3 * v + 1 if v % 2 else v // 2)

    assert out.to_host().tolist() == [steps(int(v)) for v in x]


def test_tables_of_pointers_constants_and_calls(device):
    rng = np.random.default_rng(2)
    values, valid = rng.standard_normal(200).astype("f4"), rng.integers(0, 2**32, 7, dtype=np.uint32)
    x, bits = device.upload(values), device.upload(valid)
    kind = np.dtype([("a", "u8"), ("b", "u8"), ("c", "f8")])
    table = np.array([(x.pointer, bits.pointer, 0.75), (x.pointer, 0, 0)], dtype=kind)
    out = device.empty(200, "f4")
    launched(device, "columns", 4, 50, device.upload(table.view("u1")), out, I64(200))
    i = np.arange(200)
    there = (valid[i // 32] >> (i % 32).astype("u4") & 1).astype(bool) | (i // 50 % 2 == 1)
    v = np.where(there, values.astype("f8"), 0.75)
    y = np.choose(i % 3, [np.full(200, 0.5), 0.5 * v - 2.0, (0.5 * v - 2.0) * v + 0.25])
    assert out.to_host().tolist() == (y + np.array([3, 1, 4, 1, 5])[i % 5]).astype("f4").tolist()


def test_vectors_of_four(device):
    x = np.random.default_rng(3).standard_normal(400).astype("f4")
    out = device.empty(400, "f4")
    launched(device, "four", 2, 64, device.upload(x), out, I64(100))
    assert out.to_host().reshape(-1, 4).tolist() == (x.reshape(-1, 4) * np.array([1, 1, 1, 2], dtype="f4")).tolist()


def test_arrays_of_a_thread(device):
    x = np.array([7, 3, 11, 0, 5, 2, 9, 1, 4, 6, 8, 10], dtype="i4")
    out = device.empty(33, "i4")
    launched(device, "local", 1, 33, device.upload(x), out, I32(12))
    expected = []
    for i in range(33):
        held = [int(v) * i for v in x]
        for k in range(12):
            held[k], held[x[k]] = held[x[k]], held[k]
        expected.append(held[7] + 10 * held[5])
    assert out.to_host().tolist() == expected


def test_a_switch(device):
    x = np.random.default_rng(4).integers(0, 10, 256).astype("i4")
    out = device.empty(256, "i4")
    launched(device, "choice", 1, 256, device.upload(x), out)
    i = np.arange(256)
    ways = [i * 3, i - 7, i ^ 21, -i, i << 2, i // 3, np.full(256, 99), i % 5, np.full(256, 8), np.full(256, 9)]
    assert out.to_host().tolist() == np.choose(x, ways).tolist()


def test_barriers_that_count(device):
    x = np.arange(-10, 40, dtype="i4")
    out = device.empty(50, "i4")
    launched(device, "block_flags", 1, 50, device.upload(x), out)
    assert out.to_host().tolist() == [39 * 100 + 10] * 50


def test_a_warps_barrier_orders_its_lanes(device):
    x = np.random.default_rng(5).integers(0, 99, 64).astype("i4")
    out = device.empty(64, "i4")
    launched(device, "warp_turn", 1, 64, device.upload(x), out)
    turned = np.roll(x.reshape(2, 32), -1, axis=1) * 2
    assert out.to_host().tolist() == turned.ravel()[np.arange(64) ^ 1].tolist()


def test_calls_that_are_not_inlined(device):
    x = np.random.default_rng(7).integers(0, 2**63, 40).astype("u8")
    out = device.empty(40, "u8")
    launched(device, "calls", 1, 40, device.upload(x), out)

    def grown(a, n):
        return a if n == 0 else grown(a * 3 + 1, n - 1)

    values = enumerate(x.tolist())
    expected = [grown(v, i % 4) + grown(v, i % 4 + 1) if i % 3 == 0 else grown(v, 2) for i, v in values]
    assert out.to_host().tolist() == [v % 2**64 for v in expected]


def test_one_store_to_two_memories(device):
    x = np.random.default_rng(8).integers(0, 99, 32).astype("i4")
    out = device.empty(32, "i4")
    launched(device, "mixed", 1, 32, device.upload(x), out)
    assert out.to_host().tolist() == (x * 3 + x % 2).tolist()


def test_a_hash_table_by_compare_and_swap(device):
    keys = np.random.default_rng(6).integers(1, 60, 500).astype("u8")
    table, where = device.zeros(128, "u8"), device.empty(500, "i4")
    launched(device, "slots", 4, 128, device.upload(keys), table, where, I32(500), I32(127))
    assert (table.to_host()[where.to_host()] == keys).all()
    assert sorted(table.to_host()[table.to_host() > 0].tolist()) == sorted(set(keys.tolist()))


@pytest.mark.parametrize("lanes", [32, 100, 1 << 16])
def test_however_many_blocks_run_together(device, lanes):
    device.lanes = lanes
    test_sums_of_blocks_by_shuffles(device)
    keys = np.arange(1, 40, dtype="u8")
    table, where = device.zeros(128, "u8"), device.empty(39, "i4")
    launched(device, "slots", 20, 2, device.upload(keys), table, where, I32(39), I32(127))
    assert (table.to_host()[where.to_host()] == keys).all()


def test_backwards_another_lane_is_first(device):
    keys = np.full(100, 5, dtype="u8")
    first = []
    for device.backwards in (False, True):
        cell, seen = device.zeros(1, "u4"), device.empty(100, "u4")
        source = WORDS + '''extern "C" __global__ void turn(u32* cell, u32* seen) {
            seen[blockIdx.x * blockDim.x + threadIdx.x] = atomicAdd(cell, 1u);
        }'''
        device.lanes = 32
        launched(device, "turn", 4, 25, cell, seen, source=source)
        first.append(seen.to_host().tolist())
        table, where = device.zeros(8, "u8"), device.empty(100, "i4")
        launched(device, "slots", 4, 32, device.upload(keys), table, where, I32(100), I32(7))
        assert table.to_host().tolist().count(5) == 1
    assert first == [list(range(100)), list(range(100))[::-1]]


# What goes wrong

WRONG = WORDS + r"""
extern "C" __global__ void no_barrier(const float* x, float* y) {
    __shared__ float tile[64];
    tile[threadIdx.x] = x[threadIdx.x];
    y[threadIdx.x] = tile[63 - threadIdx.x];
}
extern "C" __global__ void no_second_barrier(const float* x, float* y) {
    __shared__ float tile[64];
    tile[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    float v = tile[63 - threadIdx.x];
    tile[threadIdx.x] = v * 2;
    __syncthreads();
    y[threadIdx.x] = tile[threadIdx.x];
}
extern "C" __global__ void no_warp_barrier(const float* x, float* y) {
    __shared__ float tile[32];
    tile[threadIdx.x] = x[threadIdx.x];
    y[threadIdx.x] = tile[31 - threadIdx.x];
}
extern "C" __global__ void beyond(const float* x, float* y, i64 n) {
    i64 i = blockIdx.x * (i64)blockDim.x + threadIdx.x;
    if (i <= n) y[i] = x[i] + 1;
}
extern "C" __global__ void before(const float* x, float* y) { y[threadIdx.x] = x[(int)threadIdx.x - 1]; }
extern "C" __global__ void writes_beyond(float* y, i64 n) { if (threadIdx.x <= n) y[threadIdx.x] = 1; }
extern "C" __global__ void beyond_shared(float* y) {
    __shared__ float a[32]; __shared__ float b[32];
    a[threadIdx.x] = 1; b[threadIdx.x] = 2;
    __syncthreads();
    y[threadIdx.x] = a[threadIdx.x + 1] + b[threadIdx.x];
}
extern "C" __global__ void beyond_dynamic(float* y) {
    extern __shared__ float own[];
    own[threadIdx.x] = 1;
    y[threadIdx.x] = own[threadIdx.x];
}
extern "C" __global__ void unwritten_shared(float* y) {
    __shared__ float a[33];
    if (threadIdx.x < 31) a[threadIdx.x] = 1;
    __syncthreads();
    y[threadIdx.x] = a[threadIdx.x];
}
extern "C" __global__ void across_blocks(float* y) { y[threadIdx.x] = 1.0f; }
extern "C" __global__ void shift_in_place(float* x, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n - 1) x[i] = x[i + 1];
}
extern "C" __global__ void reads_another_block(float* x) {
    if (threadIdx.x == 0) x[blockIdx.x] = 1.0f;
    __syncthreads();
    if (threadIdx.x == 0) x[blockIdx.x + 100] = x[(blockIdx.x + 1) % gridDim.x];
}
extern "C" __global__ void plain_and_atomic(u32* x) {
    if (threadIdx.x == 0) x[0] = 5; else atomicAdd(x, 1u);
}
extern "C" __global__ void bytes_of_one_word(unsigned char* x) { x[threadIdx.x / 2] = (unsigned char)threadIdx.x; }
extern "C" __global__ void word_and_byte(u32* x) {
    if (threadIdx.x < 4) x[threadIdx.x] = 7; else ((unsigned char*)x)[threadIdx.x] = 1;
}
extern "C" __global__ void some_wait(float* y) {
    if (threadIdx.x < 32) __syncthreads();
    y[threadIdx.x] = 1;
}
extern "C" __global__ void some_left(float* y, int n) {
    if (threadIdx.x >= n) return;
    __syncthreads();
    y[threadIdx.x] = 1;
}
extern "C" __global__ void two_barriers(float* y, int n) {
    if (threadIdx.x < n) { y[threadIdx.x] = 1; __syncthreads(); y[0] = 2; }
    else { __syncthreads(); y[threadIdx.x] = 3; }
}
extern "C" __global__ void lanes_that_left(int* y, int n) {
    if (threadIdx.x >= n) return;
    y[threadIdx.x] = __shfl_down_sync(0xffffffffu, (int)threadIdx.x, 1);
}
extern "C" __global__ void not_in_the_mask(int* y) {
    y[threadIdx.x] = __ballot_sync(0xffffu, threadIdx.x & 1);
}
extern "C" __global__ void forever(volatile int* y) { while (y[0] == 0) {} y[1] = 1; }
extern "C" __global__ void vector(const float4* x, float4* y) { y[threadIdx.x] = x[threadIdx.x]; }
extern "C" __global__ void copy(const float* x, float* y) { y[threadIdx.x] = x[threadIdx.x]; }
extern "C" __global__ void scaled(float* y, float by, i64 n, int m, bool on) { if (on) y[threadIdx.x] = by * n * m; }
extern "C" __global__ void stops(int* y) { if (threadIdx.x == 3) __trap(); y[threadIdx.x] = 1; }
extern "C" __global__ void divides(int* y, int n) { if (threadIdx.x < 20) y[threadIdx.x] = n / ((int)threadIdx.x - 7); }
extern "C" __global__ void sum_of_floats(float* y) { atomicAdd(y, 1.0f); }
"""


def fault(device, entry, grid, block, *args, shared=0) -> str:
    with pytest.raises(PtxError) as wrong:
        launched(device, entry, grid, block, *args, shared=shared, source=WRONG)
    assert str(wrong.value).startswith(entry)
    return str(wrong.value)


def ones(device, n=64):
    return device.upload(np.ones(n, dtype="f4"))


def test_a_missing_barrier(device):
    text = fault(device, "no_barrier", 1, 64, ones(device), device.empty(64, "f4"))
    assert "race: reads what block 0 thread 63 writes, with no barrier between: shared memory, byte 252" in text
    assert text.startswith("no_barrier, block 0 thread 0: ") and "ld.shared.f32" in text


def test_a_missing_barrier_after_a_read(device):
    text = fault(device, "no_second_barrier", 1, 64, ones(device), device.empty(64, "f4"))
    assert "race" in text and "(read by block 0 thread " in text


def test_a_missing_barrier_of_a_warp(device):
    text = fault(device, "no_warp_barrier", 1, 32, ones(device), device.empty(64, "f4"))
    assert "race: reads what block 0 thread 31 writes" in text


@pytest.mark.parametrize("n", [64, 70])
def test_one_value_too_many(device, n):
    text = fault(device, "beyond", 3, 32, ones(device, n), device.empty(n + 1, "f4"), I64(n))
    assert f"block {n // 32} thread {n % 32}: reads out of bounds: global memory, address 0x" in text
    assert f"0 bytes behind the end of allocation 0, float32[{n}], {4 * n} bytes: ld.global" in text
    text = fault(device, "writes_beyond", 1, 128, device.empty(n, "f4"), I64(n))
    assert f"block 0 thread {n}: writes out of bounds" in text and "st.global" in text
    assert "4 bytes before allocation" in fault(device, "before", 1, 32, ones(device), device.empty(32, "f4"))


def test_null(device):
    assert "address 0x0, in no allocation" in fault(device, "copy", 1, 32, None, device.empty(32, "f4"))


def test_beyond_shared_memory(device):
    text = fault(device, "beyond_shared", 1, 32, device.empty(32, "f4"))
    assert "thread 31: reads out of bounds: shared memory, 0 bytes behind the end of" in text and "128 bytes" in text
    text = fault(device, "beyond_dynamic", 1, 32, device.empty(32, "f4"), shared=64)
    assert "thread 16: writes out of bounds: shared memory, 0 bytes behind the end of own, 64 bytes" in text


def test_reads_of_what_was_never_written(device):
    text = fault(device, "unwritten_shared", 1, 32, device.empty(32, "f4"))
    assert "thread 31: reads what was never written: shared memory, byte 124 of" in text
    text = fault(device, "copy", 1, 64, device.empty(64, "f4"), device.empty(64, "f4"))
    assert "thread 0: reads what was never written: global memory" in text and "allocation 1" in text


def test_two_blocks_write_one_word(device):
    """The same value counts too, unless the kernel may."""
    y = device.empty(32, "f4")
    text = fault(device, "across_blocks", 2, 32, y)
    assert "block 0 thread 0: race: writes what block 1 thread 0 writes" in text
    device.lanes = 32
    assert "block 1 thread 0: race: writes what block 0 thread 0 writes" in fault(device, "across_blocks", 2, 32, y)
    device.may_race = {"across_blocks"}
    launched(device, "across_blocks", 2, 32, y, source=WRONG)
    device.may_race = set()
    said = "// may race: across_blocks, because all write the same\n" + WRONG
    launched(device, "across_blocks", 2, 32, y, source=said)
    assert y.to_host().tolist() == [1.0] * 32


@pytest.mark.parametrize("lanes", [64, 1 << 16])
def test_a_write_of_what_another_thread_reads(device, lanes):
    device.lanes = lanes
    text = fault(device, "shift_in_place", 2, 64, ones(device, 128), I32(128))
    assert "race" in text and "(read by block 0 thread 0, before it is written)" in text
    text = fault(device, "reads_another_block", 3, 64, ones(device, 128))
    assert "race: reads what block " in text or "before it is written" in text


def test_plain_and_atomic(device):
    text = fault(device, "plain_and_atomic", 1, 32, device.zeros(1, "u4"))
    assert "race: updates what block 0 thread 0 writes" in text or "updates by an atomic" in text


def test_bytes_and_words(device):
    text = fault(device, "bytes_of_one_word", 1, 32, device.empty(16, "u1"))
    assert "block 0 thread 0: race: writes what block 0 thread 1 writes" in text and "byte 0 of" in text
    text = fault(device, "word_and_byte", 1, 8, device.empty(4, "u4"))
    assert "thread 4: race: writes what block 0 thread 1 writes" in text


def test_neighbouring_bytes_are_no_race(device):
    source = WORDS + 'extern "C" __global__ void fine(unsigned char* x) { x[threadIdx.x] = x[threadIdx.x] + 1; }'
    x = device.upload(np.arange(40, dtype="u1"))
    launched(device, "fine", 1, 40, x, source=source)
    assert x.to_host().tolist() == list(range(1, 41))


def test_barriers_that_not_all_reach(device):
    y = device.empty(64, "f4")
    text = fault(device, "some_wait", 1, 64, y)
    assert "thread 0: divergent barrier: this thread waits, but block 0 thread 32 has exited: bar.sync" in text
    text = fault(device, "some_left", 2, 64, y, I32(50))
    assert "block 0 thread 50 has exited" in text
    text = fault(device, "two_barriers", 1, 64, y, I32(10))
    assert "divergent barrier" in text and "waits at another one" in text


def test_lanes_that_are_not_there(device):
    y = device.empty(32, "i4")
    text = fault(device, "lanes_that_left", 1, 32, y, I32(20))
    assert "the mask 0xffffffff names lanes that are not here" in text and "here are 0x000fffff" in text
    assert "shfl.sync.down" in text
    text = fault(device, "not_in_the_mask", 1, 32, y)
    assert "thread 16: the mask 0x0000ffff does not name the lane that runs it" in text


def test_an_endless_loop(device):
    device.step_limit = 1000
    assert "more than 1,000 instructions: an endless loop?" in fault(device, "forever", 1, 1, device.zeros(2, "i4"))


def test_misaligned_vectors(device):
    x = ones(device, 200)
    text = fault(device, "vector", 1, 8, x.rows(1, 133), device.empty(128, "f4"))
    assert "thread 0: a misaligned access of 16 bytes, address 0x" in text and "byte 4 of allocation 0" in text


def test_memory_that_was_freed(device):
    y, gone = device.empty(64, "f4"), ones(device)
    bare = gone.rows(0, 64)
    object.__setattr__(bare, "owner", None)
    del gone
    text = fault(device, "copy", 1, 64, bare, y)
    assert "reads memory that was freed" in text and "allocation 1, float32[64] (freed)" in text
    with pytest.raises(PtxError, match="freed"):
        bare.to_host()


WRONG_ARGUMENTS = [
    ([1.5, F32(1), I64(1), I32(1), np.bool_(1)], "argument 0, scaled_param_0, was given 1.5, which is no DeviceArray"),
    (["y", np.float64(1), I64(1), I32(1), np.bool_(1)], "scaled_param_1, is a .f32 of 4 bytes; it was given a float64"),
    (["y", I32(1), I64(1), I32(1), np.bool_(1)], "scaled_param_1, is a .f32 of 4 bytes; it was given a int32"),
    (["y", F32(1), I32(1), I32(1), np.bool_(1)], "scaled_param_2, is a .u64 of 8 bytes; it was given a int32"),
    (["y", F32(1), "y", "y", np.bool_(1)], "scaled_param_3, is a .u32 of 4 bytes; it was given a pointer"),
    (["y", F32(1), I64(1), I32(1), I32(1)], "scaled_param_4, is a .u8 of 1 bytes; it was given a int32"),
    (["y", F32(1), I64(1), I32(1)], "scaled takes 5 arguments, not 4"),
]


@pytest.mark.parametrize(("args", "text"), WRONG_ARGUMENTS)
def test_arguments_of_another_type(device, args, text):
    y = device.empty(32, "f4")
    with pytest.raises(PtxError) as wrong:
        launched(device, "scaled", 1, 32, *[y if arg == "y" else arg for arg in args], source=WRONG)
    assert text in str(wrong.value)
    assert device.launches == 0


def test_an_array_of_another_device(device):
    assert "lies on another device" in fault(device, "copy", 1, 32, ones(SimulatedDevice()), device.empty(32, "f4"))


def test_launches_that_no_device_takes(device):
    y = device.empty(64, "f4")
    assert "blocks of 1025 threads cannot be launched" in fault(device, "across_blocks", 1, 1025, y)
    assert "0 blocks" in fault(device, "across_blocks", 0, 32, y)
    text = fault(device, "beyond_dynamic", 1, 32, y, shared=228 << 10)
    assert "233,472 bytes of shared memory a block; there are 232,448" in text


def test_what_is_not_known_is_refused(device):
    assert "unsupported: atom.global.add.f32" in fault(device, "sum_of_floats", 1, 32, device.zeros(1, "f4"))
    text = fault(device, "divides", 1, 32, device.empty(32, "i4"), I32(50))
    assert "thread 7: divides an integer by 0: div.s32" in text
    assert "thread 3: the kernel stops by a trap" in fault(device, "stops", 1, 32, device.empty(32, "i4"))
    with pytest.raises(PtxError, match=r"unsupported: ex2.approx.f32 %f1, %f0;?"):
        run_body(device, "mov.f32 %f0, 0f00000000; ex2.approx.f32 %f1, %f0; mov.u32 %r15, 0;", 32, "u4")
    with pytest.raises(PtxError, match=r"no entry is called k2; there are: k"):
        launched(device, "k2", 1, 1, source=".version 9.0\n.visible .entry k()\n{\nret;\n}\n")


def test_registers_that_were_never_set(device):
    with pytest.raises(PtxError, match=r"%r3 is read and was never set: add.u32 %r15, %r3, 1"):
        run_body(device, "add.u32 %r15, %r3, 1;", 32, "u4")


def test_a_register_that_some_lanes_set(device):
    body = "setp.lt.u32 %p0, %r31, 5; @%p0 mov.u32 %r3, 1; add.u32 %r15, %r3, 1;"
    with pytest.raises(PtxError, match=r"block 0 thread 5: %r3 is read and was never set: add.u32 %r15, %r3, 1"):
        run_body(device, body, 32, "u4")
    body = "setp.lt.u32 %p0, %r31, 5; @%p0 mov.u32 %r3, 1; @!%p0 mov.u32 %r3, 2; add.u32 %r15, %r3, 1;"
    assert run_body(device, body, 32, "u4").tolist() == [2] * 5 + [3] * 27


# The device itself


def test_memory_is_counted_and_freed_with_its_owner(device):
    first, second = device.zeros((10, 2), "f4"), device.upload(np.arange(5.0))
    part = second.rows(1, 3)
    assert device.live_bytes == 120 and first.pointer % 256 == 0 and first.to_host().shape == (10, 2)
    del first, second
    assert device.live_bytes == 40 and device.peak_bytes == 120 and part.to_host().tolist() == [1.0, 2.0]
    assert device.allocations == [("allocation 0, float32[10, 2]", 80), ("allocation 1, float64[5]", 40)]


def test_too_much_memory():
    device = SimulatedDevice(memory=1000, fail_at={2})
    held = device.zeros(100, "f8")
    with pytest.raises(DeviceMemoryError, match=r"no 201 bytes more \(800 of 1,000 are in use\)"):
        device.empty(201, "u1")
    with pytest.raises(DeviceMemoryError, match="as asked for by the test"):
        device.upload(np.zeros(1))
    assert device.empty(200, "u1").nbytes + held.nbytes == 1000


def test_addresses_are_used_again_only_at_the_end():
    device = SimulatedDevice(memory=1 << 19)
    seen = [device.zeros(1 << 17, "u1").pointer for _ in range(20)]
    assert len(set(seen)) < 20 and len(set(seen[:5])) == 5
    assert device.live_bytes == 0


def test_what_was_never_written_reaches_the_host_as_a_pattern(device):
    x = device.empty(64, "f4")
    launched(device, "across_blocks", 1, 16, x, source=WRONG)
    assert x.to_host().view("u4").tolist() == [0x3F800000] * 16 + [0xA5A5A5A5] * 48


def test_arrays_must_be_contiguous(device):
    with pytest.raises(ValueError, match="contiguous"):
        device.upload(np.zeros((4, 4))[:, 1])
    assert device.upload(np.zeros((0, 4), dtype="f4")).to_host().shape == (0, 4)


def test_threads_share_a_device(device):
    def work(seed: int) -> None:
        x = np.random.default_rng(seed).integers(-99, 99, 700).astype("f4")
        for _ in range(5):
            out = device.empty(2, "f8")
            launched(device, "block_sums", 2, 64, device.upload(x), out, I64(len(x)))
            good.append(out.to_host().sum() == x.sum(dtype="f8"))

    good: list[bool] = []
    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert good == [True] * 20


def test_the_parser_knows_variables_parameters_and_blocks():
    module = parse("""
    .version 9.0
    .const .align 8 .b8 K[16] = {0, 0, 0, 0, 0, 0, 248, 63};
    .global .align 8 .u64 P[2] = {generic(K), generic(K)+8};
    .extern .shared .align 16 .b8 own[];
    .visible .entry k(.param .u64 .ptr .align 1 k_param_0, .param .align 8 .b8 k_param_1[24]) .maxntid 256
    { .reg .b32 %r<5>; { .reg .b32 t; mov.u32 t, 1; mov.u32 %r1, t; } @!%p1 bra $L1; /* two
    lines */ $L1: ld.global.v2.u32 {%r1, %r2}, [%rd1+8]; ret; }""")
    entry = module.entries["k"]
    assert [(p.name, p.size, p.align, p.pointer) for p in entry.params] == [
        ("k_param_0", 8, 8, True), ("k_param_1", 24, 8, False)
    ]  # fmt: skip
    found = [(v.name, v.space, v.size) for v in module.variables]
    assert found == [("K", "const", 16), ("P", "global", 16), ("own", "shared", 0)]
    assert module.variables[1].data == ((0, "K", 0), (8, "K", 8))
    assert [ins.args for ins in entry.code[:3]] == [("t#1", "1"), ("%r1", "t#1"), ("$L1",)]
    assert entry.code[2].guard == ("%p1", True) and entry.labels == {"$L1": 3}
    assert entry.code[3].args == ("{%r1, %r2}", "[%rd1+8]")
