#include "wire/culprit.h"

#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "wire/bytes.h"

void culprit_digest(const void *key, size_t length, uint8_t ret_digest[SLOT_DIGEST])
{
    XXH128_canonical_t canonical;

    XXH128_canonicalFromHash(&canonical, XXH3_128bits(key, length));
    memcpy(ret_digest, canonical.digest, SLOT_DIGEST);
}

void culprit_show_key(struct slot *slot, const char *key, size_t length, size_t group)
{
    slot->key_length = (uint32_t)length;
    slot->group_length = (uint32_t)group;
    if (length)
        memcpy(slot->key, key, length < SLOT_TEXT ? length : SLOT_TEXT);
    /* Shorter ones are whole in the slot: who reads it can work out theirs. */
    if (group > SLOT_TEXT)
        culprit_digest(key, group, slot->digest);
}

static void take_key(const struct slot *slot, struct culprit *ret)
{
    size_t length = slot->group_length, shown = length < SLOT_TEXT ? length : SLOT_TEXT;

    memcpy(ret->key, slot->key, shown);
    if (length > SLOT_TEXT)
        memcpy(ret->digest, slot->digest, SLOT_DIGEST);
    else
        culprit_digest(ret->key, length, ret->digest);
    ret->message.key = (ProtobufCBinaryData){shown, (uint8_t *)ret->key};
    ret->message.key_length = length;
    ret->message.key_digest = (ProtobufCBinaryData){SLOT_DIGEST, ret->digest};
}

bool culprit_of(const struct slot *slot, enum slot_phase phase, struct culprit *ret)
{
    bool keyed = phase == SLOT_COMBINE || phase == SLOT_REDUCE;

    if (!keyed && (phase != SLOT_MAP || (!slot->single && !slot->length)))
        return false;
    mr__culprit__init(&ret->message);
    ret->message.phase = bytes_of(phase == SLOT_MAP       ? "map"
                                  : phase == SLOT_COMBINE ? "combine"
                                                          : "reduce");
    if (slot->fault < SLOT_EXITED)
        ret->message.signal = slot->fault;
    if (keyed) {
        take_key(slot, ret);
        return true;
    }
    ret->message.file = slot->file;
    ret->message.offset = slot->offset;
    ret->message.length = slot->length;
    ret->message.block = !slot->single;
    return true;
}
