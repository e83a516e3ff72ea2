/* Run files: what a map task leaves for the reducers, and what a reducer spills.
 *
 * A run holds one or more rounds; a round covers a contiguous range of the task's input; within
 * a round there is at most one segment for each part. A segment is a sequence of blocks; a
 * block holds whole records, carries their count and an XXH3 checksum, and never more than
 * LIMIT_BLOCK raw bytes unless a single record is larger. The index at the end says, for each
 * segment, where it is, how many records it holds and how many emitted pairs these represent.
 * All integers are little-endian.
 *
 *   header   "MRRUN\0\0\3"  u32 parts  u32 flags  u32 value_width  u32 0  u64 id
 *            u64 xxh3(all before)
 *   block    u32 'BLK1'  u32 part  u32 round  u32 records  u64 raw_size  u64 stored_size
 *            u32 codec  u32 0  u64 xxh3(of these 40 bytes and the payload)
 *            payload[stored_size]
 *   index    segment[count]: u32 round  u32 part  u64 offset  u64 size  u64 records  u64 pairs
 *            u64 digest  u64 raw_size  u32 flags  u32 0
 *   trailer  u64 index_offset  u64 count  u64 id  u64 xxh3(index and the three words before)
 *            "MRRUNEND"
 *
 * Each segment says whether it is sorted; the header has the flags that all segments have.
 *
 * A record in a block: see run_record.h. The digest of a segment is the XXH3 of its blocks'
 * checksums in order.
 *
 * Each block says how it is compressed (codec.h); one that would not shrink is stored as it is,
 * and so is one above LIMIT_PACKED. Checksums are of what is stored, and are checked before
 * anything is decompressed. `size` of a segment is what its blocks take as they are stored,
 * `raw_size` what they would take uncompressed, headers included in both: the two are equal if
 * and only if no block is compressed. A file of another version is refused by its number.
 *
 * Several threads may write segments of one run at once: each has its place in the file before
 * its bytes are written. Between segments there may be bytes that belong to none.
 * Readers use pread and share a run_file freely between threads. */
#ifndef RECORD_RUN_H
#define RECORD_RUN_H

#include <mr/job.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "record/codec.h"
#include "record/content.h"

/* Flags of a segment. */
enum {
    RUN_SORTED =
        1 /* in bytewise key order, equal keys in order of emission; else in that order */
};

struct run_shape {
    uint32_t parts;
    uint32_t flags;       /* that all segments have */
    uint32_t value_width; /* bytes of each value, or 0: each value carries its length */
    uint64_t id;          /* says whose run it is: checked when the run is opened */
    struct codec_choice compression; /* what a writer does; readers see each block's codec */
};

struct run_segment {
    uint32_t round, part;
    uint64_t offset, size; /* of its blocks in the file, headers included */
    uint64_t records;      /* held */
    uint64_t pairs;        /* that these represent, before folding and combining */
    uint64_t digest;
    uint64_t raw_size; /* of its blocks if none was compressed, headers included */
    uint32_t flags, zero;
};

/* ---- Writing ---- */

/* A run being written to `path` (created, must not exist). The calls that append segments may
 * come from several threads at once; a failed one leaves a run that can only be abandoned.
 * Segments may come in any order of (round, part), each once. */
struct run_writer;
int run_create(const char *path, const struct run_shape *shape, struct run_writer **ret,
               struct error *err);

/* Whole records in memory, one behind the other, in the encoding of runs (run_record.h): at
 * most LIMIT_BLOCK bytes, or a single record. */
struct run_range {
    const char *bytes;
    uint32_t size, records;
    uint64_t pairs; /* that these represent */
};
/* Writes `count` ranges as the segment (round, part), with the flags of the run's shape. */
int run_append_ranges(struct run_writer *writer, uint32_t round, uint32_t part,
                      const struct run_range *ranges, size_t count, struct error *err);

/* A segment in the making, record by record: blocks are filled in memory and kept until they
 * are appended. Owned by one thread; for one segment at a time. Its memory grows to what it
 * held at most, and goes with it. */
struct run_builder;
struct run_builder *run_builder_new(uint32_t value_width);
void run_builder_free(struct run_builder *builder);
/* Adds a record. Fails only on a key or value above LIMIT_RECORD. */
int run_builder_add(struct run_builder *builder, struct mr_bytes key, struct mr_bytes value,
                    struct error *err);
/* Adds a record that is encoded already. */
void run_builder_copy(struct run_builder *builder, struct mr_bytes record);
/* Adds to the number of pairs that the segment represents. */
void run_builder_pairs(struct run_builder *builder, uint64_t pairs);
size_t run_builder_bytes(const struct run_builder *builder);

/* Keeps a place for the builder's next segment, which may then be appended in pieces whatever
 * other threads append meanwhile: records of `payload` bytes in all, encoded, and each piece
 * but the last of at least LIMIT_BLOCK bytes. `flags` are added to those of the run's shape. */
void run_reserve(struct run_writer *writer, struct run_builder *builder, uint32_t round,
                 uint32_t part, uint32_t flags, uint64_t payload);
/* Appends what `builder` holds so far as blocks of (round, part) and empties it; `last` closes
 * the segment. A segment without a reserved place has the flags of the run's shape, and may
 * come in several pieces only if no other segment of this run is appended in between. */
int run_append(struct run_writer *writer, uint32_t round, uint32_t part,
               struct run_builder *builder, bool last, struct error *err);
/* From now on segments of other parts are taken and thrown away. */
void run_keep_only(struct run_writer *writer, uint32_t part);
/* Whether it compresses blocks. A segment that run_append_ranges packs gathers in memory up to
 * 4 MiB; a larger one may leave holes behind it in the file. */
bool run_packs(const struct run_writer *writer);
/* Bytes written so far, without what places that were kept have too much. */
uint64_t run_written(const struct run_writer *writer);
/* Adds to the digest of what the part's pairs are; any thread. */
void run_note(struct run_writer *writer, uint32_t part, uint64_t digest);
/* What the segments so far hold, of each part of the run's shape, with the digests noted. */
void run_content(const struct run_writer *writer, struct content *ret_parts);
/* Writes index and trailer (fsync if `sync`) and closes; frees the writer in every case. On
 * failure the file is removed. *ret_size is the file's size in bytes. */
int run_finish(struct run_writer *writer, bool sync, uint64_t *ret_size, struct error *err);
/* Closes and removes the file; takes NULL. */
void run_abandon(struct run_writer *writer);

/* ---- Reading ---- */

/* An open run with its index checked. Safe for several threads. */
struct run_file;
int run_open(const char *path, uint64_t id, struct run_file **ret, struct error *err);
/* The same for a file that is open already: takes `fd` over, also when it fails. `path` is for
 * errors alone. */
int run_open_fd(int fd, const char *path, uint64_t id, struct run_file **ret,
                struct error *err);
/* A file that holds blocks as runs do, with segments that are known from elsewhere: they are
 * copied and stay in the order given. Takes `fd` over, also when it fails. */
int run_open_segments(int fd, const char *path, const struct run_shape *shape,
                      const struct run_segment *segments, size_t count, struct run_file **ret,
                      struct error *err);
void run_close(struct run_file *run);
/* For errors. */
const char *run_file_path(const struct run_file *run);
const struct run_shape *run_shape(const struct run_file *run);
/* The segments, sorted by (part, round). *ret_count may be 0. Owned by the run. */
const struct run_segment *run_segments(const struct run_file *run, size_t *ret_count);

/* Those of one part, sorted by round: *ret_count of them, possibly none. */
const struct run_segment *run_part(const struct run_file *run, uint32_t part,
                                   size_t *ret_count);
/* Reads `size` raw bytes of a segment, block headers included, from its byte `from` on; they
 * must lie inside it, and nothing of them is checked. */
int run_read(const struct run_file *run, const struct run_segment *segment, uint64_t from,
             void *bytes, size_t size, struct error *err);

/* The whole file, as it lies on the disk: its size, and bytes [from, from + size) of it. */
uint64_t run_file_size(const struct run_file *run);
int run_file_read(const struct run_file *run, uint64_t from, void *bytes, size_t size,
                  struct error *err);
/* Reads segments of it and checks them as a run_audit does. */
int run_verify_some(const struct run_file *run, const struct run_segment *segments,
                    size_t count, struct error *err);
/* The same with all segments. */
int run_verify(const struct run_file *run, struct error *err);

/* Checks the raw bytes of one segment on their way through, in order and in pieces of any size,
 * by the same rules as a cursor does: magic, sizes, checksums, digest. */
struct run_audit;
struct run_audit *run_audit_new(const struct run_segment *segment);
void run_audit_free(struct run_audit *audit);
/* -1 (ERROR_DAMAGE, with the offset in the segment) as soon as something is wrong; the
 * segment's counts and digest are checked with its last byte. No more than the segment's size
 * may be fed. */
int run_audit_feed(struct run_audit *audit, const void *bytes, size_t size, struct error *err);

/* A cursor over one segment's records, owned by one thread. Each block is verified as it is
 * read; at the segment's end the counts and digest must balance, else ERROR_DAMAGE names file
 * and offset. */
struct run_cursor;
struct run_cursor *run_cursor_new(const struct run_file *run,
                                  const struct run_segment *segment);
void run_cursor_free(struct run_cursor *cursor);
/* 1 with the next record (valid until the next block is read: copy it to keep it), 0 at the
 * end, -1. */
int run_next(struct run_cursor *cursor, struct mr_bytes *ret_key, struct mr_bytes *ret_value,
             struct error *err);
/* 1 with all of the next block's payload (records to be taken off with run_record.h; valid
 * until the next call), 0, -1. */
int run_next_block(struct run_cursor *cursor, struct mr_bytes *ret_payload,
                   uint32_t *ret_records, struct error *err);
/* For who decodes blocks himself: ERROR_DAMAGE that names file and offset. */
int run_cursor_damaged(const struct run_cursor *cursor, const char *what, struct error *err);

#endif
