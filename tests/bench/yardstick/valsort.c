/* valsort: whether files of 100-byte records, one after the other, are in the order of their
 * keys.
 *
 *     valsort out/part-*
 *     records 5368709 unordered 0 dupkeys 0 checksum 28f4ed17973ec1 SORTED
 *
 * The checksum is the sum of the records' CRC-32s: it does not depend on their order, so input
 * and output of a sort must agree. Status 1 when a record is out of order. */
#define _GNU_SOURCE

#include "yardstick.h"
#include <inttypes.h>
#include <string.h>
#include <zlib.h>

enum { RECORD_BYTES = 100, KEY_BYTES = 10 };

struct tally {
    uint64_t records;
    uint64_t unordered;
    uint64_t duplicates;
    uint64_t checksum;
    unsigned char last_key[KEY_BYTES];
};

static void check_file(struct tally *tally, const char *path)
{
    size_t size;
    int fd = open_input(path, &size);

    if (size % RECORD_BYTES)
        fail("'%s': %zu bytes are no whole number of records of %d", path, size, RECORD_BYTES);
    if (size) {
        unsigned char *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);

        if (bytes == MAP_FAILED)
            fail_io("map", path);
        for (const unsigned char *record = bytes; record < bytes + size;
             record += RECORD_BYTES) {
            int order = tally->records ? memcmp(tally->last_key, record, KEY_BYTES) : -1;

            tally->unordered += order > 0;
            tally->duplicates += order == 0;
            tally->checksum += crc32(0, record, RECORD_BYTES);
            tally->records++;
            memcpy(tally->last_key, record, KEY_BYTES);
        }
        munmap(bytes, size);
    }
    close(fd);
}

int main(int argc, char **argv)
{
    struct tally tally = {0};

    if (argc < 2)
        usage("FILE...");
    for (int i = 1; i < argc; i++)
        check_file(&tally, argv[i]);
    printf("records %" PRIu64 " unordered %" PRIu64 " dupkeys %" PRIu64 " checksum %" PRIx64
           " %s\n",
           tally.records, tally.unordered, tally.duplicates, tally.checksum,
           tally.unordered ? "NOT SORTED" : "SORTED");
    return tally.unordered != 0;
}
