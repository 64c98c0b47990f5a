// XXH64's last step: it maps 64 bits to 64 bits, one to one, so that each bit moves all others.
#define PRIME_1 11400714785074694791ULL
#define PRIME_2 14029467366897019727ULL
#define PRIME_3 1609587929392839161ULL
#define PRIME_4 9650029242287828579ULL
#define PRIME_5 2870177450012600261ULL

__device__ __forceinline__ u64 avalanche(u64 state) {
    state = (state ^ (state >> 33)) * PRIME_2;
    state = (state ^ (state >> 29)) * PRIME_3;
    return state ^ (state >> 32);
}
