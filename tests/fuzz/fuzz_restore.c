/* Journals whose records are whole, with any facts in them: the input is a list of records,
 * each behind its length. A coordinator refuses them by name, or takes them up; then it goes on
 * as if it had written them: what it keeps of them it can read again, and workers that do what
 * they are told bring every job to its end. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/memory.h"
#include "coordinator/journal.h"
#include "tests/fuzz/lib/inputs.h"
#include "tests/fuzz/lib/world.h"
#include "wire/bytes.h"

static int take_none(void *context, struct mr_bytes record, struct error *err)
{
    (void)context;
    (void)record;
    (void)err;
    return 0;
}

static void append(struct journal *journal, const uint8_t *bytes, size_t size)
{
    journal_append(journal, (struct mr_bytes){(const char *)bytes, size});
}

/* No path of it may lead out of the world. */
static void append_confined(struct journal *journal, const char *folder, const uint8_t *bytes,
                            size_t size)
{
    Mr__Record *record = mr__record__unpack(NULL, size, bytes);
    cleanup_free uint8_t *again = NULL;

    if (!record) {
        append(journal, bytes, size);
        return;
    }
    if (record->submit && record->submit->spec)
        world_confine(record->submit->spec, folder);
    size = mr__record__get_packed_size(record);
    again = memory_new(size + 1);
    mr__record__pack(record, again);
    append(journal, again, size);
    mr__record__free_unpacked(record, NULL);
}

static void write_journal(const char *folder, const uint8_t *data, size_t size)
{
    struct journal *journal;
    struct error err;

    check(!journal_open(folder, take_none, NULL, &journal, &err));
    while (size >= 2) {
        size_t length = data[0] | (size_t)data[1] << 8;

        length = length < size - 2 ? length : size - 2;
        append_confined(journal, folder, data + 2, length);
        data += 2 + length;
        size -= 2 + length;
    }
    journal_close(journal);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *folder = inputs_folder();
    struct world world;
    struct error err = {0};

    write_journal(folder, data, size);
    if (world_open(&world, folder, true, &err)) {
        check(err.code == ERROR_DAMAGE && strstr(err.text, "makes no sense here"));
        return 0;
    }
    world_round(&world);
    world_close(&world);
    check(!world_open(&world, folder, true, &err));
    world_greet(&world, WORLD_WORKER, MR__ROLE__WORKER);
    world_greet(&world, WORLD_CLIENT, MR__ROLE__CLIENT);
    for (size_t i = 0; i < world.task_count; i++)
        world_does(&world, i);
    world_close(&world);
    check(!world_open(&world, folder, true, &err));
    world_close(&world);
    return 0;
}
