// A hash table of distinct keys, one 64-bit word a slot, slots a power of two, and one slot more at the end.
//
// A word is the key mixed with SALT, 0 an empty slot; the one key whose word would be 0 is marked in the slot at the end.
// A word never changes once it is there: nothing has to be waited for, and whoever finds it knows all of it.
#define SALT 0x9E3779B97F4A7C15ULL

__device__ __forceinline__ u64 home_of(u64 word, u64 mask) { return avalanche(word) & mask; }
