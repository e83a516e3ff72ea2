/* The layout of a journal's files, and what is shared by the files that read and write them.
 *
 * Folder STATE/journal holds one generation G (16 hexadecimal digits) at a time:
 *
 *   G.snapshot   the records that stand for everything before; complete, or it has another name
 *   G.log        the records since
 *   lock         locked with flock(2) as long as the journal is open; says by whom
 *
 * Each file begins with a header; the rest are frames, without gaps. All integers are
 * little-endian.
 *
 *   header   "MRJOURNL"  u32 version  u32 kind  u64 generation  u64 salt  u64 base
 *            u64 xxh3(what comes before)
 *   frame    u32 length  u32 kind  u64 sequence
 *            u64 xxh3(payload; the seed is xxh3(what comes before; the seed is the salt))
 *            payload[length]
 *
 * The records of a snapshot are numbered from 1, and an END frame with the last number closes
 * it. Those of a log are numbered from base + 1; both headers have the same generation, salt
 * and base.
 *
 * The salt is chance and the seed of all checksums of frames: neither what a record quotes nor
 * what an older file left on the disk can pass for a frame.
 *
 * A MARK frame in a log has the number of the last record that was synced before the mark was
 * written. It tells a torn tail from damage: pages of a batch that was never synced reach the
 * disk in any order, so a good record behind a bad one proves nothing; a mark does. So a bad
 * frame in place of record n is damage if a mark with a number >= n stands behind it; else the
 * rest was never promised, and is dropped.
 *
 * A new generation: G+1.log with its header and G+1.snapshot.new are written and synced, and
 * the folder; the snapshot gets its name (the commit point), the folder is synced, the files of
 * G are removed. A crash leaves one snapshot that counts, the newest. */
#ifndef COORDINATOR_JOURNAL_FORMAT_H
#define COORDINATOR_JOURNAL_FORMAT_H

#include <mr/job.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "journals are little-endian, and so must the machine be"
#endif

enum { JOURNAL_VERSION = 1 };

enum journal_file { JOURNAL_LOG = 1, JOURNAL_SNAPSHOT = 2 };

struct journal_header {
    char magic[8];
    uint32_t version, kind; /* enum journal_file */
    uint64_t generation, salt, base;
    uint64_t checksum;
};

enum journal_kind { JOURNAL_RECORD = 1, JOURNAL_MARK = 2, JOURNAL_END = 3 };

struct journal_frame {
    uint32_t length, kind; /* enum journal_kind */
    uint64_t sequence;
    uint64_t checksum;
};

_Static_assert(sizeof(struct journal_header) == 48 && sizeof(struct journal_frame) == 24,
               "the structs of a journal have no holes");

/* Bytes that are written together. */
struct journal_bytes {
    uint8_t *items;
    size_t count, capacity;
};

/* A header with its checksum. */
struct journal_header journal_header(enum journal_file kind, uint64_t generation, uint64_t salt,
                                     uint64_t base);

/* Checks a whole header; the text of an error says what is wrong, not where. ERROR_REFUSED: of
 * a newer version. */
int journal_header_check(const struct journal_header *header, enum journal_file kind,
                         struct error *err);

/* The checksum that a frame with this payload must have. */
uint64_t journal_frame_sum(const struct journal_frame *frame, const void *payload,
                           uint64_t salt);

/* Puts a frame with its payload at the end. */
void journal_frame_add(struct journal_bytes *to, enum journal_kind kind, uint64_t sequence,
                       struct mr_bytes payload, uint64_t salt);

#endif
