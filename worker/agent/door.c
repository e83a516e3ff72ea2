#include "worker/agent/door.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "wire/bytes.h"
#include "worker/agent/core.h"

/* So that one executor's questions do not keep the agent from all else. */
enum { ANSWERS_A_CALL = 64 };

/* The task that reads the file as the piece that the hint says, or NULL. */
static const Mr__Assign *find_reader(const struct child *child,
                                     const struct door_request *request)
{
    for (size_t i = 0; i < child->held_count; i++)
        if (request->hint < child->held[i]->n_extents &&
            bytes_are(child->held[i]->extents[request->hint]->path, request->path))
            return child->held[i];
    return NULL;
}

/* Whether it is where the output of the map task was said to be. */
static bool is_output(const struct known_job *job, const struct door_request *request)
{
    for (size_t i = job->output_count; i-- > 0;)
        for (size_t k = 0; k < job->outputs[i]->n_outputs; k++)
            if (job->outputs[i]->outputs[k]->task == request->hint &&
                bytes_are(job->outputs[i]->outputs[k]->path, request->path))
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
static int open_extent(const Mr__Extent *extent)
{
    cleanup_free char *path = bytes_text(extent->path);
    struct stat st;
    int fd = open_file(path, 0, &st);

    if (fd >= 0 &&
        ((uint64_t)st.st_size != extent->file_size ||
         (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec != extent->file_mtime_ns))
        return refuse(fd, ESTALE);
    return fd;
}

/* The input, and those that the task will read next: a question for each of many small files
 * would cost more than reading them. */
static int open_inputs(const struct child *child, const struct door_request *request,
                       int ret_files[DOOR_FILES])
{
    const Mr__Assign *task = find_reader(child, request);
    int count = 0;

    if (!task)
        return refuse(-1, EACCES);
    for (size_t i = request->hint; i < task->n_extents && count < DOOR_FILES; i++) {
        int fd = open_extent(task->extents[i]);

        if (fd < 0)
            return count ? count : -1;
        ret_files[count++] = fd;
    }
    return count;
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

static int one(int fd, int ret_files[DOOR_FILES])
{
    ret_files[0] = fd;
    return fd < 0 ? -1 : 1;
}

int door_open(const struct child *child, const struct known_job *job,
              const struct door_request *request, int ret_files[DOOR_FILES])
{
    if (!job)
        return refuse(-1, EACCES);
    if (request->kind == DOOR_INPUT)
        return open_inputs(child, request, ret_files);
    if (request->kind == DOOR_RUN)
        return one(open_output(job, request), ret_files);
    if (request->kind == DOOR_PART && is_part(job, request))
        return one(open_part(request), ret_files);
    if (request->kind == DOOR_REMOVE && is_part(job, request))
        return unlink(request->path);
    return refuse(-1, EACCES);
}

bool door_serve(const struct child *child, const struct known_job *job)
{
    struct door_request request;
    int files[DOOR_FILES];

    for (int i = 0; i < ANSWERS_A_CALL; i++) {
        int heard = door_hear(child->door, &request), count;

        if (heard <= 0)
            return !heard;
        count = door_open(child, job, &request, files);
        door_answer(child->door, files, count < 0 ? 0 : (size_t)count, count < 0 ? errno : 0);
        while (count > 0)
            close(files[--count]);
    }
    return true;
}
