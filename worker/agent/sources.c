#include "worker/agent/sources.h"

#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/memory.h"
#include "wire/bytes.h"

struct source_key {
    ProtobufCBinaryData endpoint, key;
};

static ProtobufCBinaryData copy(ProtobufCBinaryData bytes)
{
    return (ProtobufCBinaryData){bytes.len, (uint8_t *)bytes_text(bytes)};
}

static uint64_t hash(ProtobufCBinaryData endpoint)
{
    return XXH3_64bits(endpoint.data, endpoint.len);
}

static void free_key(struct source_key *source)
{
    free(source->endpoint.data);
    free(source->key.data);
    free(source);
}

void sources_done(struct sources *sources)
{
    for (size_t i = 0; i < sources->by_endpoint.capacity; i++)
        if (sources->by_endpoint.slots[i].value)
            free_key(sources->by_endpoint.slots[i].value);
    map_done(&sources->by_endpoint);
}

/* Another worker may be at the endpoint by now. */
static void learn(struct sources *sources, const Mr__MapOutput *output)
{
    struct source_key *known = map_get(&sources->by_endpoint, hash(output->endpoint));

    if (known && bytes_equal(known->endpoint, output->endpoint) &&
        bytes_equal(known->key, output->key))
        return;
    if (known)
        free_key(map_remove(&sources->by_endpoint, hash(output->endpoint)));
    known = memory_new(sizeof *known);
    *known = (struct source_key){copy(output->endpoint), copy(output->key)};
    map_put(&sources->by_endpoint, hash(output->endpoint), known);
}

void sources_learn(struct sources *sources, const Mr__MapOutputs *outputs)
{
    for (size_t i = 0; i < outputs->n_outputs; i++)
        if (outputs->outputs[i]->endpoint.len && outputs->outputs[i]->key.len)
            learn(sources, outputs->outputs[i]);
}

void sources_fill(const struct sources *sources, Mr__PartWanted *wanted)
{
    for (size_t i = 0; i < wanted->n_outputs; i++) {
        Mr__MapOutput *output = wanted->outputs[i];
        const struct source_key *known = map_get(&sources->by_endpoint, hash(output->endpoint));

        free(output->key.data);
        output->key = known && bytes_equal(known->endpoint, output->endpoint)
                          ? copy(known->key)
                          : (ProtobufCBinaryData){0};
    }
}
