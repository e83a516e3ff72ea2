/* What an attempt handles with care, as its ASSIGN says: records that are not fed, stretches of
 * input that are fed record by record, keys that are dropped. Read-only once it is open; any
 * thread. */
#ifndef EXECUTOR_SKIPS_H
#define EXECUTOR_SKIPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/mr.pb-c.h"
#include "wire/slots.h"

struct skips_place {
    uint32_t file;
    uint64_t offset, length; /* a record's length is not known: 0 */
};

struct skips {
    struct skips_place *records, *narrow; /* by file and offset */
    size_t record_count, narrow_count;
    uint8_t (*keys)[SLOT_DIGEST]; /* in order */
    size_t key_count;
    /* In a search for bad records (sift.c): */
    bool sifts;              /* all are fed one by one ... */
    struct skips_place from; /* ... and none that lies before this one */
};

/* Takes over what the message says. */
void skips_open(struct skips *skips, const Mr__Assign *assign);
void skips_close(struct skips *skips);

enum skips_how { SKIPS_FEED, SKIPS_SINGLY, SKIPS_LEAVE_OUT };

/* How the record that begins at `offset` is treated; so are, unless it is left out, all that
 * begin before *ret_until (which is `end` at most). */
enum skips_how skips_at(const struct skips *skips, uint32_t file, uint64_t offset, uint64_t end,
                        uint64_t *ret_until);

/* Whether the search is beyond what begins before `end` in a file. */
bool skips_passed(const struct skips *skips, uint32_t file, uint64_t end);

/* Whether the key, or what groups it, is dropped. */
bool skips_key(const struct skips *skips, const char *key, size_t length);

#endif
