#include "coordinator/http/metrics.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"

/* One line of the text: a metric without labels, or one of those that share a name. */
struct metric {
    const char *name, *labels, *type, *help; /* help NULL: of the same name as the one before */
    double value;
};

static uint64_t resident_bytes(void)
{
    unsigned long long size, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    if (!file)
        return 0;
    if (fscanf(file, "%llu %llu", &size, &resident) != 2)
        resident = 0;
    fclose(file);
    return resident * (unsigned long long)sysconf(_SC_PAGESIZE);
}

static unsigned open_files(void)
{
    DIR *folder = opendir("/proc/self/fd");
    unsigned n = 0;

    if (!folder)
        return 0;
    while (readdir(folder))
        n++;
    closedir(folder);
    return n > 3 ? n - 3 : 0; /* ".", "..", and the folder's own */
}

static double processor_seconds(void)
{
    struct timespec used = {0};

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

static void print(FILE *out, const struct metric *metrics, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct metric *metric = &metrics[i];

        if (metric->help)
            fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help,
                    metric->name, metric->type);
        fprintf(out, "%s%s %.17g\n", metric->name, metric->labels, metric->value);
    }
}

static void print_work(FILE *out, const Mr__Cluster *c)
{
    const struct metric metrics[] = {
        {"marram_jobs", "{state=\"waiting\"}", "gauge", "Jobs that have not ended.",
         c->jobs_waiting},
        {"marram_jobs", "{state=\"running\"}", NULL, NULL, c->jobs_running},
        {"marram_jobs_running_max", "", "gauge", "Jobs that may run at once.", c->jobs_max},
        {"marram_jobs_ended_total", "{state=\"done\"}", "counter",
         "Jobs that have ended since the start.", (double)c->jobs_done},
        {"marram_jobs_ended_total", "{state=\"failed\"}", NULL, NULL, (double)c->jobs_failed},
        {"marram_jobs_ended_total", "{state=\"cancelled\"}", NULL, NULL,
         (double)c->jobs_cancelled},
        {"marram_attempts_running", "", "gauge", "Attempts of tasks that workers hold.",
         c->attempts_running},
        {"marram_attempts_total", "{result=\"done\"}", "counter",
         "Attempts of tasks that workers told of.", (double)c->attempts_done},
        {"marram_attempts_total", "{result=\"failed\"}", NULL, NULL,
         (double)c->attempts_failed},
        {"marram_speculative_attempts_total", "", "counter",
         "Copies of slow attempts, of jobs that have ended.", (double)c->attempts_speculative},
        {"marram_map_reruns_total", "", "counter",
         "Maps made again because their output was lost, of jobs that have ended.",
         (double)c->map_reruns},
        {"marram_drain_reruns_total", "", "counter",
         "Maps made again because a worker left, of jobs that have ended.",
         (double)c->drain_reruns},
        {"marram_map_input_bytes_total", "", "counter", "Input read by jobs that have ended.",
         (double)c->map_input_bytes},
        {"marram_shuffle_bytes_total", "", "counter",
         "Runs read by reducers of jobs that have ended.", (double)c->shuffle_bytes},
        {"marram_spilled_bytes_total", "", "counter",
         "Written to scratch by jobs that have ended.", (double)c->spilled_bytes},
    };

    print(out, metrics, sizeof metrics / sizeof *metrics);
}

/* Counts of Prometheus are cumulative. An answer of another shape is left out. */
static void print_durations(FILE *out, const Mr__Cluster *c)
{
    static const char name[] = "marram_task_duration_seconds";

    fprintf(
        out,
        "# HELP %s From when a task was given to a worker, or the worker began it, until it "
        "was accepted.\n# TYPE %s histogram\n",
        name, name);
    for (size_t i = 0; i < c->n_durations; i++) {
        const Mr__Durations *d = c->durations[i];
        const char *kind = d->kind == MR__TASK_KIND__MAP      ? "map"
                           : d->kind == MR__TASK_KIND__REDUCE ? "reduce"
                                                              : NULL;
        uint64_t count = 0;

        if (!kind || d->n_counts != d->n_bounds + 1)
            continue;
        for (size_t k = 0; k < d->n_bounds; k++) {
            count += d->counts[k];
            fprintf(out, "%s_bucket{kind=\"%s\",le=\"%g\"} %" PRIu64 "\n", name, kind,
                    d->bounds[k], count);
        }
        count += d->counts[d->n_bounds];
        fprintf(out, "%s_bucket{kind=\"%s\",le=\"+Inf\"} %" PRIu64 "\n", name, kind, count);
        fprintf(out, "%s_sum{kind=\"%s\"} %.17g\n%s_count{kind=\"%s\"} %" PRIu64 "\n", name,
                kind, d->seconds, name, kind, count);
    }
}

static void print_members(FILE *out, const Mr__Cluster *c)
{
    const struct metric metrics[] = {
        {"marram_workers", "{state=\"working\"}", "gauge", "Workers that are there.",
         c->workers - c->workers_draining},
        {"marram_workers", "{state=\"draining\"}", NULL, NULL, c->workers_draining},
        {"marram_worker_threads", "", "gauge", "Threads of all workers.", (double)c->threads},
        {"marram_worker_memory_bytes", "", "gauge", "What all workers may use together.",
         (double)c->memory},
        {"marram_clients", "", "gauge", "Clients in session, this one of ours included.",
         c->clients},
        {"marram_workers_joined_total", "", "counter",
         "Workers that have joined since the start.", (double)c->workers_joined},
        {"marram_workers_lost_total", "", "counter", "Workers that fell silent.",
         (double)c->workers_lost},
        {"marram_late_heartbeats_total", "", "counter",
         "Heartbeats of workers that came after more than twice their time.",
         (double)c->late_heartbeats},
        {"marram_stale_answers_total", "", "counter",
         "Messages of peers that had been given up.", (double)c->answers_refused},
        {"marram_damaged_frames_total", "", "counter", "Messages that failed their check.",
         (double)c->frames_damaged},
        {"marram_peers_refused_total", "", "counter", "Peers that were not let in.",
         (double)c->peers_refused},
    };

    print(out, metrics, sizeof metrics / sizeof *metrics);
}

/* The value of a label, escaped as the format wants it; a NUL ends it. */
static void put_label(FILE *out, ProtobufCBinaryData value)
{
    for (size_t i = 0; i < value.len && value.data[i]; i++) {
        if (value.data[i] == '\\' || value.data[i] == '"')
            putc('\\', out);
        if (value.data[i] == '\n')
            fputs("\\n", out);
        else
            putc(value.data[i], out);
    }
}

static void print_process(FILE *out, const Mr__Cluster *c)
{
    const struct metric metrics[] = {
        {"marram_journal_records_total", "", "counter", "Records written to the journal.",
         (double)c->journal_records},
        {"marram_journal_waiting_records", "", "gauge", "Records on their way to the disk.",
         (double)c->journal_waiting},
        {"marram_uptime_seconds", "", "gauge", "Since the coordinator started.", c->age},
        {"process_resident_memory_bytes", "", "gauge", "Resident memory.",
         (double)resident_bytes()},
        {"process_open_fds", "", "gauge", "Open file descriptors.", open_files()},
        {"process_cpu_seconds_total", "", "counter", "Processor time used.",
         processor_seconds()},
    };

    fputs("# HELP marram_build_info The version that runs.\n# TYPE marram_build_info gauge\n"
          "marram_build_info{version=\"",
          out);
    put_label(out, c->version);
    fputs("\"} 1\n", out);
    print(out, metrics, sizeof metrics / sizeof *metrics);
}

char *metrics_text(const Mr__Cluster *cluster)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    check(out);
    print_process(out, cluster);
    print_members(out, cluster);
    print_work(out, cluster);
    print_durations(out, cluster);
    check(!fclose(out));
    return text;
}
