/* marram version: which program, which job ABI, which libraries. */
#include <gnu/libc-version.h>
#include <jansson.h>
#include <mr/job.h>
#include <protobuf-c/protobuf-c.h>
#include <stdio.h>
#include <sys/utsname.h>

#include "cli/options.h"
#include "cli/verbs.h"
#include "wire/link.h"

int verb_version(int argc, char **argv)
{
    bool json = false;
    struct option_row rows[] = {
        {"json", 0, OPTION_FLAG, NULL, "as one JSON object", &json, 0, 0, false}};
    struct option_table table = {
        "marram version [--json]",
        "Prints the versions of Marram, its job interface and its libraries.", NULL, rows, 1};
    struct option_list words = {0};
    struct utsname host;
    int status = options_parse(&table, argc, argv, &words);

    if (!status && words.count)
        status = -usage_error("version", "'%s' is one word too many", words.items[0]);
    option_list_done(&words);
    if (status)
        return status > 0 ? 0 : 2;
    uname(&host);
    if (json)
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
