/* What a client makes of a coordinator's answers: the first byte is the type of the message,
 * the second the page of HTTP that asked, the rest the message. Whatever a message says,
 * commands print it, and pages are JSON that can be read, or lines of metrics. */
#include <jansson.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/memory.h"
#include "cli/report.h"
#include "cli/show.h"
#include "coordinator/http/pages.h"
#include "tests/fuzz/lib/inputs.h"
#include "wire/frame.h"
#include "wire/info.h"

static void check_metrics(const char *text)
{
    while (*text) {
        const char *end = strchr(text, '\n');

        check(end);
        check(!strncmp(text, "# HELP ", 7) || !strncmp(text, "# TYPE ", 7) ||
              !strncmp(text, "marram_", 7) || !strncmp(text, "process_", 8));
        text = end + 1;
    }
}

static void make_page(uint8_t choice, enum frame_type type, const ProtobufCMessage *message)
{
    static const enum page_kind kinds[] = {PAGE_HEALTH, PAGE_METRICS, PAGE_CLUSTER, PAGE_JOBS,
                                           PAGE_JOB,    PAGE_TASKS,   PAGE_WORKERS};
    struct page page = {kinds[choice % 7], 1};
    struct page_filter filter = {.limit = choice & 0x40 ? 1 : 0};
    struct page_body body;
    json_t *json;

    if (choice & 0x80)
        strcpy(filter.state, "done");
    body = page_made(&page, &filter, type, message);
    check(body.text && body.status >= 200 && body.status < 600);
    if (strstr(body.type, "json")) {
        json = json_loads(body.text, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
        check(json_is_object(json));
        json_decref(json);
    } else if (page.kind == PAGE_METRICS) {
        check_metrics(body.text);
    }
    free(body.text);
}

static void report(bool as_json, enum frame_type type, const ProtobufCMessage *message)
{
    struct report report;

    report_init(&report, as_json);
    report.replays = report.reasons = true;
    if (type == FRAME_PROGRESS)
        report_progress(&report, (const Mr__Progress *)message);
    if (type == FRAME_EVENT)
        show_json(info_event((const Mr__Event *)message));
    if (type == FRAME_FINISHED) {
        const Mr__Finished *finished = (const Mr__Finished *)message;
        int status = report_finished(&report, finished, "/out");

        check(status >= 0 && status <= 130);
        show_skipped(stderr, finished->skipped, finished->n_skipped, finished->skipped_count);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static FILE *nowhere;
    FILE *out = stdout, *error = stderr;
    ProtobufCMessage *message;
    enum frame_type type;
    struct error err;
    size_t framed;

    if (size < 2)
        return 0;
    if (!nowhere)
        nowhere = fopen("/dev/null", "w");
    check(nowhere);
    cleanup_free uint8_t *frame = inputs_frame(data[0], data + 2, size - 2, &framed);
    if (!frame_unpack(frame, framed, &type, &message, &err)) {
        stdout = stderr = nowhere;
        if (message)
            make_page(data[1], type, message);
        if (message)
            report(data[1] & 1, type, message);
        stdout = out;
        stderr = error;
        frame_free(message);
    }
    return 0;
}
