#include "cli/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/show.h"
#include "cli/verb.h"
#include "wire/bytes.h"
#include "wire/info.h"

void report_init(struct report *report, bool json)
{
    *report = (struct report){.json = json, .terminal = isatty(2), .map = -1, .reduce = -1};
}

/* Why a job waits, when that is another reason than before. */
static void report_reason(struct report *report, ProtobufCBinaryData reason)
{
    char text[sizeof report->reason];

    show_bytes(reason, text, sizeof text);
    if (!report->reasons || !strcmp(text, report->reason))
        return;
    memcpy(report->reason, text, sizeof text);
    if (*text)
        fprintf(stderr, "%s waits: %s\n", report->terminal ? "\r\033[K" : "", text);
}

void report_progress(struct report *report, const Mr__Progress *progress)
{
    bool planned = progress->maps || progress->reduces;
    int map =
        planned && !progress->maps ? 100 : show_percent(progress->maps_done, progress->maps);
    int reduce = show_percent(progress->reduces_done, progress->reduces);

    report->planned = report->planned || planned;
    report_reason(report, progress->reason);
    if (map == report->map && reduce == report->reduce)
        return;
    report->map = map;
    report->reduce = reduce;
    fprintf(stderr, report->terminal ? "\r map %d%% reduce %d%%" : " map %d%% reduce %d%%\n",
            map, reduce);
}

static void finished_json(const Mr__Finished *finished, const char *output)
{
    json_t *root = json_object();

    json_object_set_new(root, "job", info_id(finished->job));
    json_object_set_new(root, "state", info_bytes(finished->state));
    json_object_set_new(root, "error", info_error(finished->error));
    json_object_set_new(root, "output", info_text(output, strlen(output)));
    json_object_set_new(root, "parts", json_integer(finished->parts));
    json_object_set_new(root, "map_tasks", json_integer(finished->maps));
    json_object_set_new(root, "reduce_tasks", json_integer(finished->reduces));
    json_object_set_new(root, "seconds", json_real(finished->seconds));
    json_object_set_new(root, "counters",
                        info_counters(finished->counters, finished->n_counters));
    json_object_set_new(root, "skipped", info_skipped(finished->skipped, finished->n_skipped));
    json_object_set_new(root, "skipped_count", json_integer(finished->skipped_count));
    show_json(root);
}

static void explain_replay(const struct report *report, const Mr__Finished *finished)
{
    if (report->replays && finished->replay.len)
        fprintf(stderr,
                "to see it in a debugger: gdb --args marram replay %012" PRIx64 " %.*s\n",
                finished->job, (int)finished->replay.len, (const char *)finished->replay.data);
}

/* The first cause, on one line of its own; behind it the last lines that the job printed. */
static void explain(const struct report *report, const Mr__Finished *finished)
{
    const Mr__Error *error = finished->error;

    fprintf(stderr, "marram: job %012" PRIx64 " %.*s", finished->job, (int)finished->state.len,
            (const char *)finished->state.data);
    if (error && error->code != ERROR_CANCELLED)
        fprintf(stderr, ": %.*s", (int)error->text.len, (const char *)error->text.data);
    fputc('\n', stderr);
    explain_replay(report, finished);
    if (!finished->log_tail.len)
        return;
    fprintf(stderr, "--- last output of the failed attempt ---\n%.*s%s",
            (int)finished->log_tail.len, (const char *)finished->log_tail.data,
            finished->log_tail.data[finished->log_tail.len - 1] == '\n' ? "" : "\n");
}

static void print_counters(const Mr__Finished *finished, const char *output)
{
    fprintf(stderr, "done: %u part%s in %s, %.3f s\n", finished->parts,
            finished->parts == 1 ? "" : "s", output, finished->seconds);
    for (size_t i = 0; i < finished->n_counters; i++)
        if (finished->counters[i]->value)
            fprintf(stderr, "  %-28.*s %" PRId64 "\n", (int)finished->counters[i]->name.len,
                    (const char *)finished->counters[i]->name.data,
                    finished->counters[i]->value);
}

static void end_line(const struct report *report)
{
    if (report->terminal && report->map >= 0)
        fputc('\n', stderr);
}

int report_finished(struct report *report, const Mr__Finished *finished, const char *output)
{
    uint32_t code = finished->error ? finished->error->code : ERROR_NONE;

    end_line(report);
    if (report->json)
        finished_json(finished, output);
    if (bytes_are(finished->state, "done")) {
        if (!report->json) {
            print_counters(finished, output);
            show_skipped(stderr, finished->skipped, finished->n_skipped,
                         finished->skipped_count);
        }
        return 0;
    }
    explain(report, finished);
    /* What was refused before any work is wrong usage; from there on the job failed. */
    if (code >= ERROR_CODES || report->planned)
        return 1;
    return error_exit_status(code);
}

int report_error(struct report *report, const char *verb, const struct error *cause)
{
    struct error err = *cause;

    end_line(report);
    verb_blame(&err);
    if (report->json) {
        json_t *root = json_object(), *told = json_object();

        json_object_set_new(told, "code", json_string(error_name(err.code)));
        json_object_set_new(told, "text", info_text(err.text, strlen(err.text)));
        json_object_set_new(root, "state", json_string("refused"));
        json_object_set_new(root, "error", told);
        json_object_set_new(root, "counters", json_object());
        show_json(root);
    }
    fprintf(stderr, "marram %s: %s\n", verb, err.text);
    return error_exit_status(err.code);
}
