/* Idle slabs are chained through their first words, the latest first: it is likeliest to be in
 * a cache. Users ask for few different sizes, so that looking through the chain is short. */
#include "base/slab.h"

#include <pthread.h>

#include "base/check.h"
#include "base/memory.h"

struct idle {
    struct idle *next;
    size_t size;
};

static struct {
    pthread_mutex_t lock;
    struct idle *common; /* of SLAB_SIZE */
    struct idle *others;
    size_t bytes;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

size_t slab_round(size_t size)
{
    size_t slabs = size / SLAB_SIZE + (size % SLAB_SIZE ? 1 : 0);

    return (slabs ? slabs : 1) * SLAB_SIZE;
}

static struct idle **chain_of(size_t size)
{
    return size == SLAB_SIZE ? &pool.common : &pool.others;
}

static void *unchain(struct idle **at)
{
    struct idle *slab = *at;

    *at = slab->next;
    pool.bytes -= slab->size;
    return slab;
}

/* The first of this size; NULL if there is none. */
static void *find(size_t size)
{
    for (struct idle **at = chain_of(size); *at; at = &(*at)->next)
        if ((*at)->size == size)
            return unchain(at);
    return NULL;
}

/* Unmaps idle slabs until `size` bytes are free of them, or none is left. */
static void make_room(size_t size)
{
    size_t freed = 0;

    while (freed < size && pool.bytes) {
        struct idle *slab = unchain(pool.others ? &pool.others : &pool.common);

        freed += slab->size;
        memory_unmap(slab, slab->size);
    }
}

void *slab_take(size_t size)
{
    size_t whole = slab_round(size);
    void *slab;

    if (size > SIZE_MAX / 2)
        return memory_map(size); /* says that there is none */
    pthread_mutex_lock(&pool.lock);
    slab = find(whole);
    if (!slab)
        make_room(whole);
    pthread_mutex_unlock(&pool.lock);
    return slab ? slab : memory_map(whole);
}

void slab_give(void *slab, size_t size)
{
    struct idle *idle = slab, **chain;

    if (!idle)
        return;
    check(!((uintptr_t)slab % SLAB_SIZE));
    pthread_mutex_lock(&pool.lock);
    chain = chain_of(slab_round(size));
    *idle = (struct idle){*chain, slab_round(size)};
    *chain = idle;
    pool.bytes += idle->size;
    pthread_mutex_unlock(&pool.lock);
}

void slab_trim(void)
{
    pthread_mutex_lock(&pool.lock);
    make_room(SIZE_MAX);
    pthread_mutex_unlock(&pool.lock);
}

size_t slab_idle(void)
{
    size_t bytes;

    pthread_mutex_lock(&pool.lock);
    bytes = pool.bytes;
    pthread_mutex_unlock(&pool.lock);
    return bytes;
}
