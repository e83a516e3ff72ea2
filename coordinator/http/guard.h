/* Who may ask: pure functions of what a request says. */
#ifndef HTTP_GUARD_H
#define HTTP_GUARD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* Whether a Host header, "NAME" or "NAME:PORT", names this machine as one of `names` (n of
 * them, an IPv6 address in brackets), "localhost", "127.0.0.1" or "[::1]". A page of another
 * site that has its own name lead to our address is told apart by it. NULL: there is no header.
 */
bool guard_host(const char *host, const char *const *names, size_t n);

/* Whether an Authorization header is "Bearer TOKEN", in a time that does not depend on where
 * they differ. */
bool guard_token(const char *authorization, const char *token);

/* The token in a file: its first line, 16 to 256 printable characters. The file must be ours
 * and for nobody else to read: ERROR_REFUSED says how to mend it. Caller frees. */
int guard_load(const char *path, char **ret_token, struct error *err);

#endif
