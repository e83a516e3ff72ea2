#include "wire/culprit.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "wire/bytes.h"

static const char *const phases[] = {
    [SLOT_IDLE] = "waiting",
    [SLOT_HOST] = "in Marram's own code",
    [SLOT_SETUP] = "in setup",
    [SLOT_MAP] = "in map",
    [SLOT_COMBINE] = "in combine",
    [SLOT_MERGE] = "in merge",
    [SLOT_FINISH] = "in finish",
    [SLOT_REDUCE] = "in reduce",
    [SLOT_TEARDOWN] = "in teardown",
    [SLOT_PARTITION] = "in partition",
    [SLOT_LOAD] = "while the job object was loaded",
};

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

/* Where the search goes on: at the record itself, or with what the keys came from. */
static void take_place(const struct slot *slot, bool keyed, struct culprit *ret)
{
    if (!slot->sifts)
        return;
    mr__place__init(&ret->place);
    ret->place.file = keyed ? slot->sift_file : slot->file;
    ret->place.offset = keyed ? slot->sift_offset : slot->offset;
    ret->message.sifted = &ret->place;
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
    take_place(slot, keyed, ret);
    if (keyed) {
        take_key(slot, ret);
        return true;
    }
    ret->message.file = slot->file;
    ret->message.offset = slot->offset;
    ret->message.length = slot->length;
    ret->message.block = !slot->single;
    ret->message.unpacked = slot->unpacked;
    return true;
}

const char *culprit_phase(uint32_t phase)
{
    return phase < sizeof phases / sizeof *phases ? phases[phase] : "?";
}

/* The key as text: printable bytes as they are, others as \xHH. */
static void print_key(const struct slot *slot, char *text, size_t size)
{
    uint32_t length = slot->key_length, shown = length < SLOT_TEXT ? length : SLOT_TEXT;
    size_t used = 0;
    uint32_t i;

    /* A byte takes up to four, and so do the dots behind the last. */
    for (i = 0; i < shown && used + 8 < size; i++) {
        unsigned char c = (unsigned char)slot->key[i];

        used += (size_t)snprintf(text + used, size - used, isprint(c) ? "%c" : "\\x%02x", c);
    }
    if (length > i)
        snprintf(text + used, size - used, "...");
}

void culprit_place(const struct slot *slot, ProtobufCBinaryData path, char *text, size_t size)
{
    const char *phase = culprit_phase(slot->phase);
    const char *of = slot->unpacked ? " of its decompressed text" : "";
    char key[2 * SLOT_TEXT] = "";

    print_key(slot, key, sizeof key);
    if (slot->phase == SLOT_MAP && path.data && slot->single)
        snprintf(text, size, "%s, record at '%.*s' offset %" PRIu64 "%s", phase, (int)path.len,
                 (const char *)path.data, (uint64_t)slot->offset, of);
    else if (slot->phase == SLOT_MAP && path.data)
        snprintf(text, size, "%s, block at '%.*s' offset %" PRIu64 "%s of %" PRIu64 " bytes",
                 phase, (int)path.len, (const char *)path.data, (uint64_t)slot->offset,
                 *of ? " of its decompressed text," : "", (uint64_t)slot->length);
    else if (slot->phase == SLOT_REDUCE || slot->phase == SLOT_COMBINE ||
             slot->phase == SLOT_PARTITION)
        snprintf(text, size, "%s, key '%s'", phase, key);
    else
        snprintf(text, size, "%s", phase);
}
