#include "worker/agent/door.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/agent/core.h"

/* So that one executor's questions do not keep the agent from all else. */
enum { ANSWERS_A_CALL = 64 };

static bool is_same(ProtobufCBinaryData path, const char *asked)
{
    return path.len == strlen(asked) && !memcmp(path.data, asked, path.len);
}

/* The piece that a task which it holds reads from the file, or NULL. */
static const Mr__Extent *find_input(const struct child *child,
                                    const struct door_request *request)
{
    for (size_t i = 0; i < child->held_count; i++)
        if (request->hint < child->held[i]->n_extents &&
            is_same(child->held[i]->extents[request->hint]->path, request->path))
            return child->held[i]->extents[request->hint];
    return NULL;
}

/* Whether it is where the output of the map task was said to be. */
static bool is_output(const struct known_job *job, const struct door_request *request)
{
    for (size_t i = job->output_count; i-- > 0;)
        for (size_t k = 0; k < job->outputs[i]->n_outputs; k++)
            if (job->outputs[i]->outputs[k]->task == request->hint &&
                is_same(job->outputs[i]->outputs[k]->path, request->path))
                return true;
    return false;
}

/* Whether the path is that of a part right in the staging folder. */
static bool is_part(const struct known_job *job, const struct door_request *request)
{
    static const char prefix[] = "/part-";
    ProtobufCBinaryData staging = job->open->staging;
    const char *name = request->path + staging.len;

    return staging.len && strlen(request->path) > staging.len &&
           !memcmp(request->path, staging.data, staging.len) &&
           !strncmp(name, prefix, sizeof prefix - 1) && !strchr(name + 1, '/');
}

static int refuse(int fd, int error)
{
    if (fd >= 0)
        close(fd);
    errno = error;
    return -1;
}

/* What is no file any more may not hold the agent up. */
static int open_file(const char *path, int flags, struct stat *st)
{
    int fd = open(path, flags | O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd >= 0 && (fstat(fd, st) || !S_ISREG(st->st_mode)))
        return refuse(fd, EACCES);
    return fd;
}

/* Only as it was planned: the job may have put a link in the place of an input. */
static int open_input(const struct child *child, const struct door_request *request)
{
    const Mr__Extent *extent = find_input(child, request);
    struct stat st;
    int fd;

    if (!extent)
        return refuse(-1, EACCES);
    fd = open_file(request->path, 0, &st);
    if (fd >= 0 &&
        ((uint64_t)st.st_size != extent->file_size ||
         (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec != extent->file_mtime_ns))
        return refuse(fd, ESTALE);
    return fd;
}

/* Links are nothing that we make. */
static int open_output(const struct known_job *job, const struct door_request *request)
{
    struct stat st;

    return is_output(job, request) ? open_file(request->path, O_NOFOLLOW, &st)
                                   : refuse(-1, EACCES);
}

static int open_part(const struct door_request *request)
{
    unlink(request->path);
    return open(request->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
}

int door_open(const struct child *child, const struct known_job *job,
              const struct door_request *request)
{
    if (!job)
        return refuse(-1, EACCES);
    if (request->kind == DOOR_INPUT)
        return open_input(child, request);
    if (request->kind == DOOR_RUN)
        return open_output(job, request);
    if (request->kind == DOOR_PART && is_part(job, request))
        return open_part(request);
    if (request->kind == DOOR_REMOVE && is_part(job, request))
        return unlink(request->path) ? -1 : -2;
    return refuse(-1, EACCES);
}

bool door_serve(const struct child *child, const struct known_job *job)
{
    struct door_request request;

    for (int i = 0; i < ANSWERS_A_CALL; i++) {
        int heard = door_hear(child->door, &request), file;

        if (heard <= 0)
            return !heard;
        file = door_open(child, job, &request);
        door_answer(child->door, file, file == -1 ? errno : 0);
        if (file >= 0)
            close(file);
    }
    return true;
}
