/* peak: runs a command and notes the most memory that it and all that descends from it held.
 *
 *     peak peak.txt marram run wordcount -i text -o out
 *
 * Every 50 ms the proportional set sizes (Pss) of the processes of the tree are added up: pages
 * that several share count once. Writes the peak in bytes to the file; the status is the
 * command's. */
#define _GNU_SOURCE

#include "yardstick.h"
#include <dirent.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <time.h>

#define USAGE "FILE COMMAND..."

enum { PROCESSES_MAX = 65536 };

extern char **environ;

struct process {
    pid_t pid, parent;
    bool ours;
};

/* The parent of a process, 0 when it is gone. Its name, in brackets, may hold anything. */
static pid_t parent_of(pid_t pid)
{
    char path[64], text[512], *end;
    int fd, parent = 0;
    ssize_t n;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    text[n < 0 ? 0 : n] = '\0';
    end = strrchr(text, ')');
    return end && sscanf(end, ") %*c %d", &parent) == 1 ? parent : 0;
}

static uint64_t pss_of(pid_t pid)
{
    char path[64], line[256];
    unsigned long long kib = 0;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "Pss: %llu kB", &kib) == 1)
            break;
    if (file)
        fclose(file);
    return kib << 10;
}

static size_t list_processes(struct process *list, pid_t root)
{
    DIR *folder = opendir("/proc");
    struct dirent *entry;
    size_t n = 0;

    if (!folder)
        fail_io("open", "/proc");
    while (n < PROCESSES_MAX && (entry = readdir(folder))) {
        pid_t pid = atoi(entry->d_name);

        if (pid > 0)
            list[n++] = (struct process){pid, parent_of(pid), pid == root};
    }
    closedir(folder);
    return n;
}

static uint64_t pss_of_tree(pid_t root)
{
    static struct process list[PROCESSES_MAX];
    size_t n = list_processes(list, root);
    uint64_t sum = 0;

    /* Until no process has a parent of ours without being ours. */
    for (bool again = true; again;) {
        again = false;
        for (size_t i = 0; i < n; i++)
            for (size_t k = 0; !list[i].ours && k < n; k++)
                if (list[k].ours && list[k].pid == list[i].parent)
                    again = list[i].ours = true;
    }
    for (size_t i = 0; i < n; i++)
        if (list[i].ours)
            sum += pss_of(list[i].pid);
    return sum;
}

int main(int argc, char **argv)
{
    const struct timespec pause = {0, 50 * 1000 * 1000};
    uint64_t peak = 0;
    int status, error;
    pid_t pid;

    if (argc < 3)
        usage(USAGE);
    error = posix_spawnp(&pid, argv[2], NULL, NULL, argv + 2, environ);
    if (error) {
        errno = error;
        fail_io("run", argv[2]);
    }
    while (!waitpid(pid, &status, WNOHANG)) {
        uint64_t now = pss_of_tree(pid);

        peak = now > peak ? now : peak;
        nanosleep(&pause, NULL);
    }
    FILE *file = create_stream(argv[1]);
    fprintf(file, "%" PRIu64 "\n", peak);
    close_stream(file, argv[1]);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
