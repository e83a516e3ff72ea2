#include "cli/report.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"

void report_init(struct report *report, bool json)
{
    *report = (struct report){.json = json, .terminal = isatty(2), .map = -1, .reduce = -1};
}

static int percent(uint32_t done, uint32_t all)
{
    return all ? (int)((uint64_t)done * 100 / all) : 0;
}

void report_progress(struct report *report, const Mr__Progress *progress)
{
    bool planned = progress->maps || progress->reduces;
    int map = planned && !progress->maps ? 100 : percent(progress->maps_done, progress->maps);
    int reduce = percent(progress->reduces_done, progress->reduces);

    report->planned = report->planned || planned;
    if (map == report->map && reduce == report->reduce)
        return;
    report->map = map;
    report->reduce = reduce;
    fprintf(stderr, report->terminal ? "\r map %d%% reduce %d%%" : " map %d%% reduce %d%%\n",
            map, reduce);
}

/* Text that JSON can hold: what is not UTF-8 becomes '?'. */
static json_t *json_text(const char *bytes, size_t n)
{
    json_t *text = json_stringn(bytes, n);
    char *plain;

    if (text)
        return text;
    plain = malloc(n + 1);
    check(plain);
    for (size_t i = 0; i < n; i++)
        plain[i] = (unsigned char)bytes[i] < 0x80 ? bytes[i] : '?';
    text = json_stringn(plain, n);
    free(plain);
    return text ? text : json_null();
}

static void print_json(json_t *root)
{
    json_dumpf(root, stdout, JSON_INDENT(2));
    putchar('\n');
    fflush(stdout);
    json_decref(root);
}

static json_t *json_error(uint32_t code, const char *text, size_t n)
{
    json_t *error = json_object();

    json_object_set_new(error, "code",
                        json_string(error_name(code < ERROR_CODES ? code : ERROR_INTERNAL)));
    json_object_set_new(error, "text", json_text(text, n));
    return error;
}

static void finished_json(const Mr__Finished *finished, const char *output)
{
    json_t *root = json_object(), *counters = json_object();
    const Mr__Error *error = finished->error;
    char id[24];

    snprintf(id, sizeof id, "%012" PRIx64, finished->job);
    json_object_set_new(root, "job", json_string(id));
    json_object_set_new(root, "state",
                        json_text((const char *)finished->state.data, finished->state.len));
    json_object_set_new(
        root, "error",
        error ? json_error(error->code, (const char *)error->text.data, error->text.len)
              : json_null());
    json_object_set_new(root, "output", json_text(output, strlen(output)));
    json_object_set_new(root, "parts", json_integer(finished->parts));
    json_object_set_new(root, "map_tasks", json_integer(finished->maps));
    json_object_set_new(root, "reduce_tasks", json_integer(finished->reduces));
    json_object_set_new(root, "seconds", json_real(finished->seconds));
    for (size_t i = 0; i < finished->n_counters; i++) {
        char name[128];

        snprintf(name, sizeof name, "%.*s", (int)finished->counters[i]->name.len,
                 (const char *)finished->counters[i]->name.data);
        json_object_set_new(counters, name, json_integer(finished->counters[i]->value));
    }
    json_object_set_new(root, "counters", counters);
    print_json(root);
}

static bool is_state(const Mr__Finished *finished, const char *state)
{
    return finished->state.len == strlen(state) &&
           !memcmp(finished->state.data, state, finished->state.len);
}

/* The first cause, on one line of its own; behind it the last lines that the job printed. */
static void explain(const Mr__Finished *finished)
{
    const Mr__Error *error = finished->error;

    fprintf(stderr, "marram: job %012" PRIx64 " %.*s: %.*s\n", finished->job,
            (int)finished->state.len, (const char *)finished->state.data,
            error ? (int)error->text.len : 0, error ? (const char *)error->text.data : "");
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
    if (is_state(finished, "done")) {
        if (!report->json)
            print_counters(finished, output);
        return 0;
    }
    explain(finished);
    /* What was refused before any work is wrong usage; from there on the job failed. */
    if (code >= ERROR_CODES || report->planned)
        return 1;
    return error_exit_status(code);
}

int report_error(struct report *report, const char *verb, const struct error *error)
{
    end_line(report);
    if (report->json) {
        json_t *root = json_object();

        json_object_set_new(root, "state", json_string("refused"));
        json_object_set_new(root, "error",
                            json_error(error->code, error->text, strlen(error->text)));
        json_object_set_new(root, "counters", json_object());
        print_json(root);
    }
    fprintf(stderr, "marram %s: %s\n", verb, error->text);
    return error_exit_status(error->code);
}
