/* How an executor shares out its memory: `memory` bytes for `threads` threads.
 *
 * First goes what it has anyway: 32 MiB for the process itself, with code, libraries and
 * stacks, and 4 MiB a thread for a chunk of input that is read, the next one, and what a chunk
 * emits beyond the limit before the thread looks again. Of the rest, maps of jobs without a
 * fold use
 *
 *   3/4 for pairs,
 *   1/8 to sort them, where they must be sorted before they are written,
 *
 * and 1/8 stays for what is written (blocks of runs, lists of what lies where) and what the
 * allocator cannot use. With a fold it is tables, which count in the entries that their flush
 * sorts; beside them there is each thread's segment in the making, which holds no more than its
 * part of the tables does. Slabs that a round gave back serve the next one, and the reducers.
 * A reducer uses its thread's share of 6/10 of all memory to sort a part; what needs more, maps
 * had better sorted. */
#ifndef EXECUTOR_BUDGET_H
#define EXECUTOR_BUDGET_H

#include <stddef.h>
#include <stdint.h>

static inline uint64_t budget_free(uint64_t memory, int threads)
{
    uint64_t fixed = ((uint64_t)32 << 20) + (uint64_t)threads * ((uint64_t)4 << 20);

    /* Too little for all that: at least something is kept, in small rounds. */
    return memory > 2 * fixed ? memory - fixed : memory / 2;
}

/* Pairs of all threads that a round may hold. */
static inline size_t budget_pairs(uint64_t memory, int threads)
{
    return (size_t)(budget_free(memory, threads) / 4 * 3);
}

/* Tables of all threads, and what their flush sorts, for so many parts. */
static inline size_t budget_tables(uint64_t memory, int threads, uint32_t parts)
{
    uint64_t building = (uint64_t)threads < parts ? (uint64_t)threads : parts;

    return (size_t)(budget_free(memory, threads) / (parts + building) * parts);
}

/* What all threads together may use to sort them. */
static inline size_t budget_sort(uint64_t memory, int threads)
{
    return (size_t)(budget_free(memory, threads) / 8);
}

/* What one reducer may use. */
static inline size_t budget_reduce(uint64_t memory, int threads)
{
    return (size_t)(memory / 10 * 6 / (uint64_t)threads);
}

#endif
