#include "wire/certificate.h"

#include <ctype.h>
#include <czmq.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"

enum { LINES_MAX = 32, LINE_LONGEST = 256, MEMORY_PATH = 32 };

static const char *const roles[] = {"coordinator", "worker", "client"};

const char *key_role_name(enum key_role role)
{
    return roles[role];
}

bool key_role_parse(const char *text, enum key_role *ret)
{
    for (size_t i = 0; text && i < sizeof roles / sizeof *roles; i++)
        if (!strcmp(text, roles[i])) {
            *ret = (enum key_role)i;
            return true;
        }
    return false;
}

bool key_name_fits(const char *name)
{
    size_t n =
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

    return n && n < KEY_NAME && !name[n] && name[0] != '.' && name[0] != '-';
}

/* czmq would handle signals, and end the process at its leisure. */
static void keep_signals(void)
{
    zsys_handler_set(NULL);
}

int certificate_make(struct certificate *ret, enum key_role role, const char *name,
                     struct error *err)
{
    zcert_t *pair;

    check(key_name_fits(name));
    keep_signals();
    pair = zsys_has_curve() ? zcert_new() : NULL;
    if (!pair)
        return error_set(err, ERROR_IO, "make a key: this libzmq was built without CURVE");
    *ret = (struct certificate){.role = role};
    snprintf(ret->public_key, KEY_TEXT, "%s", zcert_public_txt(pair));
    snprintf(ret->secret_key, KEY_TEXT, "%s", zcert_secret_txt(pair));
    snprintf(ret->name, KEY_NAME, "%s", name);
    zcert_destroy(&pair);
    return 0;
}

/* ---- Reading ---------------------------------------------------------------------------- */

static int check_owner(const char *path, const struct stat *st, struct error *err)
{
    if (st->st_uid == geteuid() || !st->st_uid)
        return 0;
    return error_set(err, ERROR_REFUSED,
                     "'%s' belongs to user %u, not to the one that uses it (%u): chown %u '%s'",
                     path, (unsigned)st->st_uid, (unsigned)geteuid(), (unsigned)geteuid(),
                     path);
}

/* Whoever may read a secret key may pose as its owner; whoever may write to its folder may put
 * another in its place. */
static int check_secrecy(const char *path, const struct stat *st, struct error *err)
{
    cleanup_free char *copy = memory_text(path);
    char *slash = strrchr(copy, '/');
    const char *folder = slash ? copy : ".";
    struct stat above;

    if (slash)
        slash[slash == copy] = '\0';
    if (stat(folder, &above))
        return error_errno(err, ERROR_IO, "look at the folder of '%s'", path);
    if (check_owner(path, st, err) || check_owner(folder, &above, err))
        return -1;
    if (st->st_mode & 077)
        return error_set(err, ERROR_REFUSED,
                         "others may read the secret '%s' (mode %04o): chmod 600 '%s'", path,
                         (unsigned)st->st_mode & 07777, path);
    if (above.st_mode & 077)
        return error_set(err, ERROR_REFUSED,
                         "others may look into '%s', which holds a secret (mode %04o): chmod "
                         "700 '%s'",
                         folder, (unsigned)above.st_mode & 07777, folder);
    return 0;
}

/* Reads all of a file that may be a certificate, with a NUL behind it. */
static int read_text(const char *path, bool secret, char text[CERTIFICATE_MAX + 1],
                     struct error *err)
{
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    ssize_t n;
    size_t size = 0;

    if (fd < 0 || fstat(fd, &st))
        return error_errno(err, ERROR_IO, "open the certificate '%s'", path);
    if (!S_ISREG(st.st_mode))
        return error_set(err, ERROR_REFUSED, "'%s' is no file", path);
    if (secret && check_secrecy(path, &st, err))
        return -1;
    while (size <= CERTIFICATE_MAX &&
           (n = read(fd, text + size, CERTIFICATE_MAX + 1 - size)) > 0)
        size += (size_t)n;
    if (size > CERTIFICATE_MAX)
        return error_set(err, ERROR_DAMAGE, "'%s' is no certificate: longer than %d bytes",
                         path, CERTIFICATE_MAX);
    text[size] = '\0';
    return memchr(text, '\0', size)
               ? error_set(err, ERROR_DAMAGE, "'%s' is no certificate: it holds NUL bytes",
                           path)
               : 0;
}

/* The parser of czmq is made for files that one wrote oneself. */
static int check_text(const char *path, const char *text, struct error *err)
{
    int lines = 0;

    for (const char *line = text; *line; lines++) {
        size_t n = strcspn(line, "\n");

        if (n >= LINE_LONGEST || lines == LINES_MAX)
            return error_set(err, ERROR_DAMAGE,
                             "'%s' is no certificate: more than %d lines, or one of more than "
                             "%d bytes",
                             path, LINES_MAX, LINE_LONGEST);
        for (size_t i = 0; i < n; i++)
            if (!isprint((unsigned char)line[i]))
                return error_set(err, ERROR_DAMAGE,
                                 "'%s' is no certificate: byte %02x in line %d", path,
                                 (unsigned char)line[i], lines + 1);
        line += n + (line[n] == '\n');
    }
    return 0;
}

/* A file in memory: what czmq reads there is what was checked, and what it writes is ours to
 * put where it belongs. */
static int memory_file(const char *text, char path[MEMORY_PATH], struct error *err)
{
    int fd = memfd_create("certificate", MFD_CLOEXEC);
    size_t size = strlen(text);

    if (fd < 0 || write(fd, text, size) != (ssize_t)size) {
        error_errno(err, ERROR_IO, "make a file in memory");
        if (fd >= 0)
            close(fd);
        return -1;
    }
    snprintf(path, MEMORY_PATH, "/proc/self/fd/%d", fd);
    return fd;
}

static int take_over(zcert_t *loaded, const char *path, const char *text, bool secret,
                     struct certificate *ret, struct error *err)
{
    const char *name = zcert_meta(loaded, "name"), *role = zcert_meta(loaded, "role");
    struct certificate found = {.role = KEY_CLIENT};
    char derived[KEY_TEXT];

    snprintf(found.public_key, KEY_TEXT, "%s", zcert_public_txt(loaded));
    /* What cannot be decoded would come out as something else. */
    if (!strstr(text, found.public_key))
        return error_set(err, ERROR_DAMAGE, "'%s': its public key makes no sense", path);
    if (!name || !key_name_fits(name) || !key_role_parse(role, &found.role))
        return error_set(err, ERROR_DAMAGE,
                         "'%s' does not say whose it is: a name and a role are wanted in its "
                         "metadata",
                         path);
    snprintf(found.name, KEY_NAME, "%s", name);
    if (secret) {
        snprintf(found.secret_key, KEY_TEXT, "%s", zcert_secret_txt(loaded));
        if (!strstr(text, found.secret_key) || zmq_curve_public(derived, found.secret_key) ||
            strcmp(derived, found.public_key)) {
            certificate_forget(&found);
            return error_set(err, ERROR_DAMAGE, "'%s': its two keys are no pair", path);
        }
    }
    *ret = found;
    certificate_forget(&found);
    return 0;
}

/* czmq loses some memory with each file that it cannot read, but none with a text. */
static bool can_be_loaded(const char *text)
{
    zconfig_t *root = zconfig_str_load(text);
    bool good = root != NULL;

    zconfig_destroy(&root);
    return good;
}

int certificate_read(struct certificate *ret, const char *path, bool secret, struct error *err)
{
    char text[CERTIFICATE_MAX + 1], memory_path[MEMORY_PATH];
    cleanup_close int fd = -1;
    zcert_t *loaded;
    int result;

    if (read_text(path, secret, text, err) || check_text(path, text, err))
        return -1;
    keep_signals();
    fd = memory_file(text, memory_path, err);
    if (fd < 0)
        return error_wrap(err, "read '%s'", path);
    loaded = can_be_loaded(text) ? zcert_load(memory_path) : NULL;
    if (loaded) {
        result = take_over(loaded, path, text, secret, ret, err);
        zcert_destroy(&loaded);
    } else {
        result = error_set(err, ERROR_DAMAGE, "'%s' is no certificate", path);
    }
    explicit_bzero(text, sizeof text);
    return result;
}

/* ---- Writing ---------------------------------------------------------------------------- */

/* czmq's text of a certificate. */
static int print(const struct certificate *certificate, bool secret,
                 char text[CERTIFICATE_MAX + 1], struct error *err)
{
    char path[MEMORY_PATH];
    cleanup_close int fd = memory_file("", path, err);
    uint8_t public_key[KEY_BYTES], secret_key[KEY_BYTES] = {0};
    zcert_t *pair;
    mode_t mask;
    ssize_t n = -1;

    if (fd < 0)
        return -1;
    keep_signals();
    check(zmq_z85_decode(public_key, certificate->public_key));
    check(!secret || zmq_z85_decode(secret_key, certificate->secret_key));
    pair = zcert_new_from(public_key, secret_key);
    explicit_bzero(secret_key, sizeof secret_key);
    check(pair);
    zcert_set_meta(pair, "name", "%s", certificate->name);
    zcert_set_meta(pair, "role", "%s", key_role_name(certificate->role));
    mask = umask(077); /* czmq changes it, and not back */
    if (!(secret ? zcert_save_secret : zcert_save_public)(pair, path))
        n = pread(fd, text, CERTIFICATE_MAX, 0);
    umask(mask);
    zcert_destroy(&pair);
    if (n <= 0)
        return error_errno(err, ERROR_IO, "print a certificate");
    text[n] = '\0';
    return 0;
}

int certificate_write(const struct certificate *certificate, const char *path, bool secret,
                      struct error *err)
{
    cleanup_free char *draft = memory_format("%s.XXXXXX", path);
    char text[CERTIFICATE_MAX + 1];
    int fd, result = 0;

    if (print(certificate, secret, text, err))
        return error_wrap(err, "write '%s'", path);
    fd = mkstemp(draft);
    if (fd < 0)
        return error_errno(err, ERROR_IO, "write '%s'", path);
    if (fchmod(fd, secret ? 0600 : 0644) ||
        write(fd, text, strlen(text)) != (ssize_t)strlen(text) || fsync(fd))
        result = error_errno(err, ERROR_IO, "write '%s'", path);
    explicit_bzero(text, sizeof text);
    close(fd);
    /* Unlike a rename, a link never takes the place of a file. */
    if (!result && link(draft, path))
        result = errno == EEXIST ? error_set(err, ERROR_USAGE,
                                             "'%s' exists, and keys are never replaced", path)
                                 : error_errno(err, ERROR_IO, "write '%s'", path);
    unlink(draft);
    return result;
}

void certificate_forget(struct certificate *certificate)
{
    explicit_bzero(certificate->secret_key, sizeof certificate->secret_key);
}
