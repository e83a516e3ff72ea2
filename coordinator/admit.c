/* Whom the coordinator lets in: those with a certificate in the folder KEYS/allowed, each as
 * what it says there. The folder is looked at once a second, and on demand. Who is taken out
 * loses his session at once; workers are told whom to let in themselves. */
#include "coordinator/admit.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "coordinator/core.h"
#include "wire/bytes.h"

enum {
    LOOK_MS = 1000,
    LOOKS_AFTER = 2, /* a change within the same tick of the folder's clock is seen, too */
    ALLOWED_MAX = 16384,
};

/* A file of the folder, and what it is: read again only when it has changed. */
struct allowed {
    char file[KEY_NAME + 8];
    struct timespec modified;
    ino_t inode;
    off_t size;
    bool good; /* else a log line said why not */
    struct porter_key key;
};

struct admit {
    char *folder;
    struct allowed *files; /* sorted by name */
    size_t count;
    struct timespec modified; /* the folder, when it was read */
    int looks;                /* how often it is read whether it seems to have changed or not */
    int64_t looked_ms;
    bool missing; /* a log line said that it cannot be read */
};

static int is_certificate(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name);

    return n > 5 && n < sizeof((struct allowed *)NULL)->file && entry->d_name[0] != '.' &&
           !strcmp(entry->d_name + n - 5, ".cert");
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static int compare_file(const void *file, const void *allowed)
{
    return strcmp(file, ((const struct allowed *)allowed)->file);
}

static const struct allowed *find(const struct admit *admit, const char *file)
{
    return admit->count
               ? bsearch(file, admit->files, admit->count, sizeof *admit->files, compare_file)
               : NULL;
}

/* The coordinator's own certificate lets nobody in, and a name that is not the file's could not
 * be revoked by it. */
static void read_file(struct allowed *allowed, const char *path)
{
    struct certificate certificate;
    struct error err;
    size_t n = strlen(allowed->file) - strlen(".cert");
    int result = certificate_read(&certificate, path, false, &err);

    if (!result && (certificate.role == KEY_COORDINATOR || strlen(certificate.name) != n ||
                    strncmp(certificate.name, allowed->file, n)))
        result = error_set(&err, ERROR_DAMAGE, "'%s' is the certificate of %s '%s'", path,
                           key_role_name(certificate.role), certificate.name);
    allowed->good = !result;
    if (result) {
        log_event(LOG_WARNINGS, "certificate left out", LOG_TEXT("why", err.text));
        return;
    }
    memcpy(allowed->key.key, certificate.public_key, KEY_TEXT);
    memcpy(allowed->key.name, certificate.name, KEY_NAME);
    allowed->key.role = certificate.role;
}

/* Fills in a file that is there; false when it is gone again. */
static bool look_at(const struct admit *admit, const char *file, struct allowed *ret)
{
    cleanup_free char *path = memory_format("%s/%s", admit->folder, file);
    const struct allowed *known = find(admit, file);
    struct stat st;

    if (stat(path, &st))
        return false;
    if (known && same_time(known->modified, st.st_mtim) && known->inode == st.st_ino &&
        known->size == st.st_size) {
        *ret = *known;
        return true;
    }
    *ret = (struct allowed){.modified = st.st_mtim, .inode = st.st_ino, .size = st.st_size};
    memcpy(ret->file, file, strlen(file) + 1);
    read_file(ret, path);
    return true;
}

/* Reads the folder anew; true when another set is let in than before. What cannot be read lets
 * nobody in. */
static bool read_folder(struct admit *admit)
{
    struct dirent **entries = NULL;
    int n = scandir(admit->folder, &entries, is_certificate, alphasort);
    struct allowed *files = memory_zeroed((size_t)(n > 0 ? n : 0) + 1, sizeof *files);
    size_t count = 0;
    bool changed;

    if (n < 0 && !admit->missing)
        log_event(LOG_ERRORS, "nobody is let in",
                  LOG_TEXT("why", "the folder of those who are allowed cannot be read"),
                  LOG_TEXT("folder", admit->folder));
    admit->missing = n < 0;
    for (int i = 0; i < n; i++) {
        if (count < ALLOWED_MAX && look_at(admit, entries[i]->d_name, &files[count]))
            count++;
        free(entries[i]);
    }
    free(entries);
    changed = count != admit->count;
    for (size_t i = 0; i < count && !changed; i++)
        changed = memcmp(&files[i].key, &admit->files[i].key, sizeof files[i].key) ||
                  files[i].good != admit->files[i].good;
    free(admit->files);
    admit->files = files;
    admit->count = count;
    return changed;
}

static void tell_porter(const struct coordinator *coordinator, enum log_level level)
{
    const struct admit *admit = coordinator->admit;
    cleanup_free struct porter_key *keys = memory_zeroed(admit->count + 1, sizeof *keys);
    size_t n = 0;

    for (size_t i = 0; i < admit->count; i++)
        if (admit->files[i].good)
            keys[n++] = admit->files[i].key;
    porter_admit(coordinator->options.porter, keys, n);
    log_event(level, "keys allowed", LOG_NUMBER("keys", n));
}

void admit_roster(struct coordinator *coordinator, uint64_t worker)
{
    const struct admit *admit = coordinator->admit;
    Mr__Roster roster = MR__ROSTER__INIT;
    cleanup_free ProtobufCBinaryData *keys = NULL;

    if (!admit)
        return;
    keys = memory_zeroed(admit->count + 1, sizeof *keys);
    roster.keys = keys;
    for (size_t i = 0; i < admit->count; i++)
        if (admit->files[i].good && admit->files[i].key.role == KEY_WORKER)
            keys[roster.n_keys++] = bytes_of(admit->files[i].key.key);
    core_send(coordinator, worker, FRAME_ROSTER, &roster.base);
}

/* Members whose key is not let in any more. */
static void cut(struct coordinator *coordinator)
{
    for (size_t i = coordinator->member_count; i-- > 0;) {
        uint64_t id = coordinator->members[i]->id;
        const char *key = link_peer_key(coordinator->link, id);
        struct error err;

        if (!*key || porter_admits(coordinator->options.porter, key, NULL))
            continue;
        error_set(&err, ERROR_REFUSED, "the key %s was revoked", key);
        members_cut(coordinator, id, &err); /* the last one, seen already, takes its place */
    }
}

static void apply(struct coordinator *coordinator)
{
    tell_porter(coordinator, LOG_INFO);
    for (size_t i = 0; i < coordinator->member_count; i++)
        if (coordinator->members[i]->hello->role == MR__ROLE__WORKER)
            admit_roster(coordinator, coordinator->members[i]->id);
    cut(coordinator);
    link_prune(coordinator->link);
}

void admit_open(struct coordinator *coordinator)
{
    struct admit *admit;

    if (!coordinator->options.keys)
        return;
    admit = coordinator->admit = memory_zeroed(1, sizeof *admit);
    admit->folder = memory_format("%s/allowed", coordinator->options.keys->folder);
    admit->looks = LOOKS_AFTER;
    read_folder(admit);
    tell_porter(coordinator, LOG_DETAIL);
    admit->looked_ms = clock_ms();
}

void admit_look(struct coordinator *coordinator)
{
    struct admit *admit = coordinator->admit;
    struct stat st = {0};

    if (!admit)
        return;
    admit->looked_ms = clock_ms();
    if (!stat(admit->folder, &st) && same_time(st.st_mtim, admit->modified)) {
        if (!admit->looks)
            return;
        admit->looks--;
    } else {
        admit->looks = LOOKS_AFTER;
    }
    admit->modified = st.st_mtim;
    if (read_folder(admit))
        apply(coordinator);
}

void admit_look_again(struct coordinator *coordinator)
{
    if (!coordinator->admit)
        return;
    coordinator->admit->looks = LOOKS_AFTER;
    admit_look(coordinator);
}

long admit_tend(struct coordinator *coordinator)
{
    int64_t left_ms;

    if (!coordinator->admit)
        return -1;
    left_ms = coordinator->admit->looked_ms + LOOK_MS - clock_ms();
    if (left_ms > 0)
        return (long)left_ms;
    admit_look(coordinator);
    return LOOK_MS;
}

int admit_check(struct coordinator *coordinator, uint64_t peer, Mr__Role role,
                struct error *err)
{
    const char *key = link_peer_key(coordinator->link, peer);
    enum key_role wanted = role == MR__ROLE__WORKER ? KEY_WORKER : KEY_CLIENT;
    struct porter_key whose;

    if (!coordinator->admit || !*key)
        return 0; /* there are no keys, or the peer is in this process */
    if (!porter_admits(coordinator->options.porter, key, &whose))
        return error_set(err, ERROR_REFUSED, "the key %s was revoked", key);
    if (whose.role == wanted)
        return 0;
    return error_set(err, ERROR_REFUSED,
                     "the key '%s' is a %s's, not a %s's: 'marram keys DIR --issue NAME --role "
                     "%s' makes one",
                     whose.name, key_role_name(whose.role), key_role_name(wanted),
                     key_role_name(wanted));
}

uint64_t admit_refused(const struct coordinator *coordinator)
{
    return coordinator->admit ? porter_refused(coordinator->options.porter) : 0;
}

void admit_close(struct coordinator *coordinator)
{
    if (!coordinator->admit)
        return;
    free(coordinator->admit->folder);
    free(coordinator->admit->files);
    free(coordinator->admit);
}
