/* marram version: which program, which job ABI, which libraries. */
#include <gnu/libc-version.h>
#include <jansson.h>
#include <mr/job.h>
#include <protobuf-c/protobuf-c.h>
#include <stdio.h>
#include <sys/utsname.h>

#include "cli/verbs.h"
#include "wire/link.h"

static void add_options(void *into, struct option_table *table)
{
    const struct option_row row = {"json", 0, OPTION_FLAG, NULL, "as one JSON object", into};

    options_add(table, &row, 1);
}

static int run(void *into, const struct option_list *words)
{
    const bool *json = into;
    struct utsname host;

    if (words->count)
        return usage_error("version", "'%s' is one word too many", words->items[0]);
    uname(&host);
    if (*json)
        printf("{\"marram\": \"%s\", \"job_abi\": %d, \"machine\": \"%s\", \"libc\": \"glibc "
               "%s\", "
               "\"libzmq\": \"%s\", \"protobuf-c\": \"%s\", \"jansson\": \"%s\"}\n",
               MARRAM_VERSION, MR_ABI_VERSION, host.machine, gnu_get_libc_version(),
               link_library(), protobuf_c_version(), JANSSON_VERSION);
    else
        printf("marram %s\njob ABI %d, %s, glibc %s\nlibzmq %s, protobuf-c %s, jansson %s\n",
               MARRAM_VERSION, MR_ABI_VERSION, host.machine, gnu_get_libc_version(),
               link_library(), protobuf_c_version(), JANSSON_VERSION);
    return 0;
}

const struct verb verb_version = {
    .name = "version",
    .summary = "print versions",
    .usage = "[options]",
    .about = "Prints the versions of Marram, its job interface and its libraries.",
    .size = sizeof(bool),
    .options = add_options,
    .run = run,
};
