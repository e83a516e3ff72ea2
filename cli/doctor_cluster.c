/* Our own pieces, keys, and whoever listens at the endpoint. */
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <protobuf-c/protobuf-c.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/clock.h"
#include "base/memory.h"
#include "cli/describe.h"
#include "cli/doctor.h"
#include "cli/locate.h"
#include "cli/show.h"
#include "cli/visit.h"
#include "wire/bytes.h"

enum { SIGHT_MS = 8000, LOOK_MS = 100, NONCE = 32 };

void doctor_pieces(struct findings *findings)
{
    cleanup_free char *job = NULL;
    Mr__TaskDone *done = NULL;
    struct error err;
    int major = 0, minor = 0, patch = 0;

    sscanf(link_library(), "%d.%d.%d", &major, &minor, &patch);
    if (major * 10000 + minor * 100 + patch < 40302)
        findings_add(findings, "libraries", FINDING_WARNING, "install libzmq 4.3.2 or later",
                     "libzmq %s is old", link_library());
    else
        findings_add(findings, "libraries", FINDING_OK, NULL,
                     "libzmq %s, protobuf-c %s, jansson %s, SQLite %s", link_library(),
                     protobuf_c_version(), jansson_version_str(), sqlite3_libversion());
    job = locate_job("wordcount", &err);
    if (!job) {
        findings_add(findings, "jobs", FINDING_FAILED,
                     "install Marram as a whole ('make install'), or run it where it was built",
                     "those that ship are neither beside this program nor in its "
                     "../lib/marram/jobs");
        return;
    }
    findings_add(findings, "jobs", FINDING_OK, NULL, "those that ship are found");
    if (describe_object(job, &done, &err)) {
        findings_add(findings, "executor", FINDING_FAILED,
                     "install Marram as a whole ('make install'), or run it where it was built",
                     "%s", err.text);
        return;
    }
    findings_add(findings, "executor", FINDING_OK, NULL, "it starts and loads a job");
    frame_free(&done->base);
}

/* Whoever may read a secret key may pose as its owner. */
static int check_secrets(struct findings *findings, const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    int bad = 0;

    if (!dir) {
        findings_add(findings, "keys", FINDING_FAILED, "name the folder that holds them",
                     "'%s': %s", folder, strerror(errno));
        return -1;
    }
    while ((entry = readdir(dir))) {
        cleanup_free char *path = memory_format("%s/%s", folder, entry->d_name);
        cleanup_free char *mend = memory_format("chmod go= '%s'", path);
        struct stat st;

        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") || stat(path, &st))
            continue;
        if (!strstr(entry->d_name, "secret") || !(st.st_mode & 077))
            continue;
        findings_add(findings, "keys", FINDING_FAILED, mend,
                     "others may read the secret '%s' (mode %03o)", path,
                     (unsigned)st.st_mode & 0777);
        bad++;
    }
    closedir(dir);
    return bad;
}

/* Loads what the folder has for a role. Whether there was anything. */
static bool check_role(struct findings *findings, const char *folder, enum key_role role)
{
    cleanup_free char *secret = memory_format("%s/%s.secret", folder, key_role_name(role));
    struct keys keys = {0};
    struct error err;

    if (access(secret, F_OK))
        return false;
    if (keys_load(&keys, folder, role, &err))
        findings_add(findings, "keys", FINDING_FAILED,
                     "mend what it says, or hand the folder over anew", "%s", err.text);
    else
        findings_add(findings, "keys", FINDING_OK, NULL, "those of %s '%s' in '%s' are whole",
                     key_role_name(role), keys.own.name, folder);
    keys_done(&keys);
    return true;
}

void doctor_keys(struct findings *findings, const struct place *place)
{
    static const enum key_role roles[] = {KEY_COORDINATOR, KEY_WORKER, KEY_CLIENT};
    bool any = false;

    if (!place->keys || check_secrets(findings, place->keys))
        return;
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        any = check_role(findings, place->keys, roles[i]) || any;
    if (!any)
        findings_add(
            findings, "keys", FINDING_FAILED,
            "make them with 'marram keys DIR', or name the folder that was handed over",
            "there are none in '%s'", place->keys);
}

/* A file with a few random digits; its path, or NULL when that was told. Caller frees. */
static char *make_marker(struct findings *findings, const char *folder, uint64_t *ret_digest)
{
    cleanup_free char *absolute = locate_absolute(folder);
    char *path = memory_format("%s/.marram-doctor-XXXXXX", absolute);
    unsigned char nonce[NONCE];
    int fd = mkstemp(path);

    if (fd >= 0 && !fchmod(fd, 0644) && getrandom(nonce, sizeof nonce, 0) == NONCE &&
        write(fd, nonce, sizeof nonce) == NONCE) {
        close(fd);
        *ret_digest = XXH3_64bits(nonce, sizeof nonce);
        return path;
    }
    findings_add(findings, "path", FINDING_FAILED, "name a folder that you may write to",
                 "no file can be put into '%s': %s", folder, strerror(errno));
    if (fd >= 0) {
        close(fd);
        unlink(path);
    }
    free(path);
    return NULL;
}

static size_t count_silent(const Mr__Workers *workers)
{
    size_t silent = 0;

    for (size_t i = 0; i < workers->n_workers; i++)
        silent += !workers->workers[i]->sight;
    return silent;
}

static void judge_sights(struct findings *findings, const Mr__Workers *workers,
                         const char *folder, uint64_t digest)
{
    size_t good = 0;

    for (size_t i = 0; i < workers->n_workers; i++) {
        const Mr__WorkerInfo *worker = workers->workers[i];
        char name[80], why[200];

        show_bytes(worker->name, name, sizeof name);
        show_bytes(worker->sight_error, why, sizeof why);
        if (!worker->sight)
            findings_add(findings, "path", FINDING_WARNING,
                         "see whether its mount hangs, or whether it is an older version",
                         "worker %s does not say whether it sees '%s'", name, folder);
        else if (*why)
            findings_add(findings, "path", FINDING_FAILED,
                         "mount it there under the same path, for the worker's user",
                         "worker %s does not see '%s': %s", name, folder, why);
        else if (worker->sight_digest != digest)
            findings_add(findings, "path", FINDING_FAILED,
                         "mount the same storage there under the same path",
                         "worker %s sees another file in '%s'", name, folder);
        else
            good++;
    }
    if (!workers->n_workers)
        findings_add(findings, "path", FINDING_WARNING, "start workers",
                     "there is no worker to ask for '%s'", folder);
    else if (good == workers->n_workers)
        findings_add(findings, "path", FINDING_OK, NULL, "all %zu workers see '%s'", good,
                     folder);
}

/* Asks until all have answered, or the time is up. */
static void check_path(struct findings *findings, struct client *client, const char *folder)
{
    Mr__Query query = MR__QUERY__INIT;
    int64_t until_ms = clock_ms() + SIGHT_MS;
    uint64_t digest = 0;
    cleanup_free char *path = make_marker(findings, folder, &digest);
    ProtobufCMessage *answer = NULL;
    struct error err;

    if (!path)
        return;
    query.question = MR__QUESTION__SIGHT;
    query.path = bytes_of(path);
    for (;;) {
        if (client_ask(client, FRAME_QUERY, &query.base, FRAME_WORKERS, &answer, &err)) {
            findings_add(findings, "path", FINDING_WARNING,
                         "see whether the coordinator is an older version",
                         "the workers cannot be asked: %s", err.text);
            break;
        }
        if (!count_silent((const Mr__Workers *)answer) || clock_ms() > until_ms) {
            judge_sights(findings, (const Mr__Workers *)answer, folder, digest);
            frame_free(answer);
            break;
        }
        frame_free(answer);
        poll(NULL, 0, LOOK_MS);
    }
    unlink(path);
}

static void tell_unreached(struct findings *findings, const char *endpoint,
                           const struct error *err)
{
    if (err->code == ERROR_REFUSED)
        findings_add(findings, "coordinator", FINDING_FAILED,
                     "use versions that differ by one minor at most, and keys that it admits",
                     "%s", err->text);
    else if (!strcmp(endpoint, DEFAULT_COORDINATOR) && err->code == ERROR_UNREACHABLE)
        findings_add(findings, "coordinator", FINDING_OK, NULL,
                     "none answers at %s, which is free for one ('marram cluster up')",
                     endpoint);
    else
        findings_add(findings, "coordinator", FINDING_FAILED,
                     "start one there, or name another with --coordinator or "
                     "MARRAM_COORDINATOR",
                     "%s", err->text);
}

void doctor_cluster(struct findings *findings, const struct place *place, const char *path)
{
    const char *endpoint = place->endpoint;
    Mr__Query query = MR__QUERY__INIT;
    ProtobufCMessage *answer;
    struct visit visit;
    struct error err;
    size_t workers;

    query.question = MR__QUESTION__ALL_WORKERS;
    if (visit_open(&visit, place, &err)) {
        tell_unreached(findings, endpoint, &err);
    } else if (client_ask(visit.client, FRAME_QUERY, &query.base, FRAME_WORKERS, &answer,
                          &err)) {
        findings_add(findings, "coordinator", FINDING_FAILED,
                     "see what listens there, and whether versions and keys fit", "%s",
                     err.text);
    } else {
        workers = ((const Mr__Workers *)answer)->n_workers;
        frame_free(answer);
        findings_add(findings, "coordinator", workers ? FINDING_OK : FINDING_WARNING,
                     workers ? NULL : "start workers", "it answers at %s and has %zu worker%s",
                     endpoint, workers, workers == 1 ? "" : "s");
        if (path)
            check_path(findings, visit.client, path);
        path = NULL;
    }
    if (path)
        findings_add(findings, "path", FINDING_WARNING, "start a cluster first",
                     "there is nobody to ask for '%s'", path);
    visit_close(&visit);
}
