/* A file that is cut into records from its beginning, by one reader: compressed ones, and those
 * whose records cannot be told from any other place. It gives texts of whole records, one
 * behind the other, into buffers that several threads bring: whoever maps one text needs
 * nothing of the reader any more. What it keeps is the record that lay across the last text's
 * end, and the stream's buffers (record/stream.h).
 *
 * Offsets are those of the stream: of the file once it is decompressed. One thread at a time.
 */
#ifndef RECORD_SOLID_H
#define RECORD_SOLID_H

#include <mr/job.h>
#include <stdint.h>

#include "base/error.h"
#include "record/format.h"

/* Reads a file that stays open as long; borrows its path. `window` as for stream_new. */
struct solid *solid_new(struct input_format format, const struct lines_file *file,
                        uint64_t window);
/* Takes NULL. */
void solid_free(struct solid *solid);

/* The next records: about `most` bytes, more if it takes as much for one. Empty at the end.
 * Padded; valid until the buffer is used again. ERROR_MEMORY for a record above the buffer's
 * limit, ERROR_FORMAT and ERROR_INPUT for what is wrong with the file. *ret_used: how many
 * bytes of the file were read on; all calls to the end give its size. */
int solid_next(struct solid *solid, struct lines *buffer, size_t most,
               struct mr_bytes *ret_text, uint64_t *ret_offset, uint64_t *ret_used,
               struct error *err);

/* Whether it is known that nothing more comes. */
bool solid_ended(const struct solid *solid);

/* The first row of a file of csv, with its newline, once there is text of it. */
struct mr_bytes solid_first_row(const struct solid *solid);

#endif
