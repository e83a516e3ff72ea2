/* splitmix64: eight random bytes a call from eight bytes of state. Any seed is a good seed. */
#ifndef RNG_H
#define RNG_H

#include <stdint.h>

static inline uint64_t rng_next(uint64_t *state)
{
    uint64_t mixed = (*state += 0x9E3779B97F4A7C15u);

    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBu;
    return mixed ^ (mixed >> 31);
}

/* In [0, 1), in steps of 2^-24: exact as a float too. */
static inline double rng_fraction(uint64_t *state)
{
    return (double)(rng_next(state) >> 40) * 0x1p-24;
}

#endif
