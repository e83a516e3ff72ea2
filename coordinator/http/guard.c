#include "coordinator/http/guard.h"

#include <fcntl.h>
#include <sodium/utils.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

enum { TOKEN_MIN = 16, TOKEN_MAX = 256 };

/* The name of "NAME" or "NAME:PORT"; 0: it is neither. */
static size_t name_length(const char *host)
{
    const char *bracket = *host == '[' ? strchr(host, ']') : NULL;
    size_t length = bracket ? (size_t)(bracket + 1 - host) : strcspn(host, ":");
    const char *rest = host + length;

    if (*rest && (*rest != ':' || rest[1 + strspn(rest + 1, "0123456789")]))
        return 0;
    return length;
}

static bool is(const char *host, size_t length, const char *name)
{
    return strlen(name) == length && !strncasecmp(host, name, length);
}

bool guard_host(const char *host, const char *const *names, size_t n)
{
    static const char *const always[] = {"localhost", "127.0.0.1", "[::1]"};
    size_t length = host ? name_length(host) : 0;

    if (!length)
        return false;
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        if (is(host, length, always[i]))
            return true;
    for (size_t i = 0; i < n; i++)
        if (is(host, length, names[i]))
            return true;
    return false;
}

bool guard_token(const char *authorization, const char *token)
{
    static const char scheme[] = "Bearer ";
    size_t length = strlen(token);

    if (!authorization || strncasecmp(authorization, scheme, sizeof scheme - 1))
        return false;
    authorization += sizeof scheme - 1;
    return strlen(authorization) == length && !sodium_memcmp(authorization, token, length);
}

static int check_mode(int fd, const char *path, struct error *err)
{
    struct stat st;

    if (fstat(fd, &st))
        return error_errno(err, ERROR_USAGE, "token file '%s'", path);
    if (!S_ISREG(st.st_mode))
        return error_set(err, ERROR_USAGE, "token file '%s' is no file", path);
    if (st.st_uid != geteuid() && st.st_uid)
        return error_set(err, ERROR_REFUSED,
                         "token file '%s' belongs to another user (%u): make one of your own",
                         path, (unsigned)st.st_uid);
    if (st.st_mode & 077)
        return error_set(err, ERROR_REFUSED,
                         "token file '%s' can be read by others: run chmod 600 '%s'", path,
                         path);
    return 0;
}

int guard_load(const char *path, char **ret_token, struct error *err)
{
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char text[TOKEN_MAX + 2];
    ssize_t n;
    size_t length;

    if (fd < 0)
        return error_errno(err, ERROR_USAGE, "token file '%s'", path);
    if (check_mode(fd, path, err))
        return -1;
    n = read(fd, text, sizeof text - 1);
    if (n < 0)
        return error_errno(err, ERROR_USAGE, "token file '%s'", path);
    text[n] = '\0';
    length = strcspn(text, "\n");
    for (size_t i = 0; i < length; i++)
        if (text[i] <= ' ' || text[i] > '~')
            length = 0;
    if (length < TOKEN_MIN || length > TOKEN_MAX)
        return error_set(
            err, ERROR_USAGE,
            "token file '%s': a line of %d to %d printable characters is wanted, as "
            "'openssl rand -hex 32' makes one",
            path, TOKEN_MIN, TOKEN_MAX);
    *ret_token = memory_format("%.*s", (int)length, text);
    sodium_memzero(text, sizeof text);
    return 0;
}
