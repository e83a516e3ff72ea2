#include "wire/hello.h"

#include <gnu/libc-version.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wire/bytes.h"

#if defined __x86_64__
#define ARCHITECTURE "x86_64"
#elif defined __aarch64__
#define ARCHITECTURE "aarch64"
#else
#define ARCHITECTURE "unknown"
#endif

void hello_fill(Mr__Hello *hello, Mr__Role role)
{
    mr__hello__init(hello);
    hello->major = PROTOCOL_MAJOR;
    hello->minor = PROTOCOL_MINOR;
    hello->arch = bytes_of(ARCHITECTURE);
    hello->libc = bytes_of(gnu_get_libc_version());
    hello->pid = (uint32_t)getpid();
    hello->role = role;
}

int hello_check(const Mr__Hello *hello, struct error *err)
{
    int64_t apart = (int64_t)hello->minor - PROTOCOL_MINOR;

    if (hello->major != PROTOCOL_MAJOR || apart < -1 || apart > 1)
        return error_set(
            err, ERROR_REFUSED,
            "protocol %u.%u is spoken by the peer, %d.%d by the coordinator: install "
            "the same version on both sides",
            hello->major, hello->minor, PROTOCOL_MAJOR, PROTOCOL_MINOR);
    /* Objects are compiled code: a worker of another kind could not run them. */
    if (hello->role == MR__ROLE__WORKER &&
        (hello->arch.len != strlen(ARCHITECTURE) ||
         memcmp(hello->arch.data, ARCHITECTURE, hello->arch.len)))
        return error_set(err, ERROR_REFUSED,
                         "the worker's machine is %.*s, the coordinator's is %s",
                         (int)hello->arch.len, (const char *)hello->arch.data, ARCHITECTURE);
    return 0;
}
