/* Bundles: the segments of one part out of many runs, as they were fetched from other workers.
 *
 * The blocks of a segment stand as they stood in their run, checksums and all; the index at the
 * end says which map task each segment is of, and what else its run's index said of it. The
 * segments fill the file between header and index without gaps, in the order of the index; no
 * two are of the same map task and round. All integers are little-endian.
 *
 *   header   "MRBNDL\0\3"  u32 part  u32 0  u64 id
 *   blocks   as in record/run.h
 *   index    segment[count]: u32 task  u32 round  u64 offset  u64 size  u64 records  u64 pairs
 *            u64 digest  u64 raw_size  u32 flags  u32 0
 *   trailer  u64 index_offset  u64 count  u32 value_width  u32 flags
 *            u64 xxh3(header, index and the four words before)  "MRBNDEND"
 *
 * value_width is that of the runs; the trailer has the flags that all segments have. The id
 * says which runs the bundle was made of (bundle_id).
 *
 * One thread owns a writer. A bundle that was opened is read by any number of threads. */
#ifndef RECORD_BUNDLE_H
#define RECORD_BUNDLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "record/run.h"

/* The id of a bundle of these runs: depends on their order. */
uint64_t bundle_id(const uint64_t *run_ids, size_t count);

/* ---- Writing ---- */

struct bundle_writer;
/* Creates `path`, which must not exist. */
int bundle_create(const char *path, uint32_t part, uint64_t id, struct bundle_writer **ret,
                  struct error *err);
/* Announces a segment of a map task: all but part and offset of `segment` are used; room for
 * its bytes is kept in the file, so that several may come in turns. *ret_index names it from
 * now on. A segment of the same task and round as one before it is that one, and begins anew;
 * it must be described alike, its flags must be known, and the value_width of `shape`, its
 * run's, must be the same for all. Otherwise -1 and ERROR_DAMAGE. */
int bundle_add(struct bundle_writer *writer, uint32_t task, const struct run_segment *segment,
               const struct run_shape *shape, size_t *ret_index, struct error *err);
/* Writes the next bytes of a segment; ERROR_DAMAGE when it has no room for them. */
int bundle_write(struct bundle_writer *writer, size_t index, const void *bytes, size_t size,
                 struct error *err);
/* Bytes that a segment still lacks. */
uint64_t bundle_lacks(const struct bundle_writer *writer, size_t index);
/* Writes index and trailer and closes; frees the writer in every case. On failure, also when a
 * segment lacks bytes (ERROR_DAMAGE), the file is removed. */
int bundle_finish(struct bundle_writer *writer, struct error *err);
/* Closes and removes the file; takes NULL. */
void bundle_abandon(struct bundle_writer *writer);

/* ---- Reading ---- */

/* An open bundle with its index checked; its blocks are checked by the cursors that read them
 * (run_cursor_new on bundle_run). ERROR_DAMAGE when it is not of this part and id. */
struct bundle;
int bundle_open(const char *path, uint32_t part, uint64_t id, struct bundle **ret,
                struct error *err);
/* Takes NULL. */
void bundle_close(struct bundle *bundle);
/* Owned by the bundle; its segments are in the order of (map task, round). */
struct run_file *bundle_run(const struct bundle *bundle);
/* The segments of one map task, sorted by round: *ret_count of them, possibly none. Owned by
 * the bundle. */
const struct run_segment *bundle_segments(const struct bundle *bundle, uint32_t task,
                                          size_t *ret_count);

#endif
