#include "cli/keyring.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "store/tree.h"

static int make_folder(const char *path, struct error *err)
{
    struct stat st;

    if (!mkdir(path, 0700))
        return 0;
    if (errno != EEXIST || stat(path, &st) || !S_ISDIR(st.st_mode))
        return error_errno(err, ERROR_IO, "make folder '%s'", path);
    return 0;
}

/* One that is there already may be anybody's and hold anything: a mount point, an empty folder
 * of one's own, what was interrupted. */
static int claim_folder(const char *folder, struct error *err)
{
    struct stat st;
    char *made = NULL;

    if (stat(folder, &st)) {
        if (tree_make(folder, &made, err))
            return -1;
        free(made);
    } else if (!S_ISDIR(st.st_mode)) {
        return error_set(err, ERROR_USAGE, "'%s' is no folder", folder);
    } else if (st.st_uid != geteuid()) {
        return error_set(err, ERROR_REFUSED, "'%s' belongs to user %u: run as that one", folder,
                         (unsigned)st.st_uid);
    }
    return chmod(folder, 0700) ? error_errno(err, ERROR_IO, "chmod 700 '%s'", folder) : 0;
}

/* A pair; the secret comes first, since the certificate can be made from it. */
static int make_pair(const char *folder, enum key_role role, const char *name,
                     struct certificate *ret, struct error *err)
{
    cleanup_free char *secret = memory_format("%s/%s.secret", folder, key_role_name(role));
    cleanup_free char *public = memory_format("%s/%s.cert", folder, key_role_name(role));

    if (!access(secret, F_OK)) {
        if (certificate_read(ret, secret, true, err))
            return -1;
    } else if (certificate_make(ret, role, name, err) ||
               certificate_write(ret, secret, true, err)) {
        return -1;
    }
    return access(public, F_OK) ? certificate_write(ret, public, false, err) : 0;
}

static int allow(const char *folder, const struct certificate *certificate, struct error *err)
{
    cleanup_free char *path = memory_format("%s/allowed/%s.cert", folder, certificate->name);

    return certificate_write(certificate, path, false, err);
}

static int make_member(const char *folder, enum key_role role, struct error *err)
{
    cleanup_free char *allowed =
        memory_format("%s/allowed/%s.cert", folder, key_role_name(role));
    struct certificate pair;
    int result;

    if (make_pair(folder, role, key_role_name(role), &pair, err))
        return -1;
    result = access(allowed, F_OK) ? allow(folder, &pair, err) : 0;
    certificate_forget(&pair);
    return result;
}

int keyring_make(const char *folder, struct error *err)
{
    cleanup_free char *allowed = memory_format("%s/allowed", folder);
    cleanup_free char *issued = memory_format("%s/issued", folder);
    cleanup_free char *last = memory_format("%s/coordinator.cert", folder);
    struct certificate pair;

    if (!access(last, F_OK))
        return error_set(err, ERROR_USAGE,
                         "'%s' holds keys already: --issue NAME makes some for one more member",
                         folder);
    if (claim_folder(folder, err) || make_folder(allowed, err) || make_folder(issued, err) ||
        make_member(folder, KEY_WORKER, err) || make_member(folder, KEY_CLIENT, err) ||
        make_pair(folder, KEY_COORDINATOR, key_role_name(KEY_COORDINATOR), &pair, err))
        return -1;
    certificate_forget(&pair);
    return tree_sync(folder, err);
}

static int check_keyring(const char *folder, struct certificate *ret_coordinator,
                         struct error *err)
{
    cleanup_free char *path = memory_format("%s/coordinator.cert", folder);

    if (access(path, F_OK))
        return error_set(err, ERROR_USAGE,
                         "'%s' holds no keys of a cluster: 'marram keys %s' makes them", folder,
                         folder);
    return certificate_read(ret_coordinator, path, false, err);
}

static int check_name(const char *name, struct error *err)
{
    if (key_name_fits(name))
        return 0;
    return error_set(
        err, ERROR_USAGE,
        "'%s' is no name for keys: letters, digits, '.', '_' and '-' are wanted, %d "
        "at most, a letter or digit first",
        name, KEY_NAME - 1);
}

/* Fills a folder to be handed over; then it gets its name. */
static int fill_issued(const char *draft, const struct certificate *coordinator,
                       enum key_role role, const char *name, struct certificate *ret,
                       struct error *err)
{
    cleanup_free char *public = memory_format("%s/coordinator.cert", draft);

    if (tree_remove(draft, err) || make_folder(draft, err) ||
        certificate_write(coordinator, public, false, err))
        return -1;
    return make_pair(draft, role, name, ret, err);
}

int keyring_issue(const char *folder, const char *name, enum key_role role, struct error *err)
{
    cleanup_free char *issued = memory_format("%s/issued", folder);
    cleanup_free char *target = memory_format("%s/%s", issued, name);
    cleanup_free char *draft = memory_format("%s/.%s.new", issued, name);
    cleanup_free char *allowed = memory_format("%s/allowed/%s.cert", folder, name);
    struct certificate coordinator, pair;
    int result;

    if (check_name(name, err) || check_keyring(folder, &coordinator, err))
        return -1;
    if (!access(target, F_OK) || !access(allowed, F_OK))
        return error_set(err, ERROR_USAGE,
                         "there are keys of '%s' already, and keys are never replaced: choose "
                         "another name",
                         name);
    if (make_folder(issued, err) || fill_issued(draft, &coordinator, role, name, &pair, err))
        return -1;
    result = rename(draft, target) ? error_errno(err, ERROR_IO, "make folder '%s'", target)
                                   : allow(folder, &pair, err);
    certificate_forget(&pair);
    return result;
}

int keyring_revoke(const char *folder, const char *name, struct error *err)
{
    cleanup_free char *allowed = memory_format("%s/allowed", folder);
    cleanup_free char *path = memory_format("%s/%s.cert", allowed, name);
    struct certificate coordinator;

    if (check_name(name, err) || check_keyring(folder, &coordinator, err))
        return -1;
    if (unlink(path))
        return errno == ENOENT
                   ? error_set(err, ERROR_USAGE,
                               "no key of that name is allowed: 'marram keys %s --list' shows "
                               "them",
                               folder)
                   : error_errno(err, ERROR_IO, "remove '%s'", path);
    return tree_sync(allowed, err);
}

static int is_certificate(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');

    return dot && dot != entry->d_name && !strcmp(dot, ".cert");
}

/* The coordinator goes by the name of the file, too. */
static int read_allowed(struct certificate *ret, const char *path, const char *file,
                        struct error *err)
{
    size_t n;

    if (certificate_read(ret, path, false, err))
        return -1;
    n = strlen(ret->name);
    return strncmp(file, ret->name, n) || strcmp(file + n, ".cert")
               ? error_set(err, ERROR_DAMAGE, "'%s' is the certificate of '%s'", path,
                           ret->name)
               : 0;
}

int keyring_list(const char *folder, struct certificate **ret, size_t *ret_count,
                 struct error *err)
{
    cleanup_free char *allowed = memory_format("%s/allowed", folder);
    struct certificate coordinator, *list;
    struct dirent **entries;
    int n, result = 0;

    if (check_keyring(folder, &coordinator, err))
        return -1;
    n = scandir(allowed, &entries, is_certificate, alphasort);
    if (n < 0)
        return error_errno(err, ERROR_IO, "read folder '%s'", allowed);
    list = memory_zeroed((size_t)n + 1, sizeof *list);
    for (int i = 0; i < n; i++) {
        cleanup_free char *path = memory_format("%s/%s", allowed, entries[i]->d_name);

        if (!result)
            result = read_allowed(&list[i], path, entries[i]->d_name, err);
        free(entries[i]);
    }
    free(entries);
    if (result) {
        free(list);
        return -1;
    }
    *ret = list;
    *ret_count = (size_t)n;
    return 0;
}
