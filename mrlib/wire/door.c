#include "wire/door.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/check.h"

union control {
    struct cmsghdr header; /* aligns */
    char bytes[CMSG_SPACE(DOOR_FILES * sizeof(int))];
};

static int receive_answer(int fd, int ret_files[DOOR_FILES])
{
    union control control;
    int32_t error = EPROTO;
    struct iovec io = {&error, sizeof error};
    struct msghdr message = {.msg_iov = &io,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    const struct cmsghdr *header;
    size_t size = 0;
    ssize_t n;

    do {
        n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n == 0)
        errno = EPIPE;
    if (n <= 0)
        return -1;
    header = CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_type == SCM_RIGHTS)
        size = header->cmsg_len - CMSG_LEN(0);
    if (size)
        memcpy(ret_files, CMSG_DATA(header), size);
    errno = error;
    return error ? -1 : (int)(size / sizeof(int));
}

int door_ask(int fd, enum door_kind kind, uint32_t hint, const char *path,
             int ret_files[DOOR_FILES])
{
    struct door_request request = {.kind = (uint32_t)kind, .hint = hint};
    size_t length = strlen(path);
    ssize_t n;

    if (length >= sizeof request.path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(request.path, path, length + 1);
    do {
        n = send(fd, &request, offsetof(struct door_request, path) + length + 1, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -1 : receive_answer(fd, ret_files);
}

int door_hear(int fd, struct door_request *ret)
{
    const size_t least = offsetof(struct door_request, path) + 1;
    ssize_t n = recv(fd, ret, sizeof *ret, MSG_DONTWAIT);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    if ((size_t)n < least || ((char *)ret)[n - 1])
        return -1;
    return 1;
}

void door_answer(int fd, const int *files, size_t count, int error)
{
    union control control = {{0}};
    int32_t word = error;
    struct iovec io = {&word, sizeof word};
    struct msghdr message = {.msg_iov = &io, .msg_iovlen = 1};
    struct cmsghdr *header;

    if (!error && count) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(count * sizeof *files);
        header = CMSG_FIRSTHDR(&message);
        check(header && count <= DOOR_FILES);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(count * sizeof *files);
        memcpy(CMSG_DATA(header), files, count * sizeof *files);
    }
    while (sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno == EINTR)
        ;
}
