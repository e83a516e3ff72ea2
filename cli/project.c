#include "cli/project.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/memory.h"
#include "store/tree.h"

int project_name_good(const char *name, struct error *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    static const char others[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    size_t length = strlen(name);

    if (length && length <= LIMIT_NAME && strchr(letters, name[0]) &&
        strspn(name, others) == length)
        return 0;
    return error_set(err, ERROR_USAGE,
                     "'%.80s' is no name for a job: a letter is wanted, then letters, digits, "
                     "'-' and '_', %d in all at most",
                     name, LIMIT_NAME);
}

/* What stands for a word between two '@', or NULL. */
static const char *meaning(const struct project *project, const char *word, size_t length)
{
    const struct {
        const char *word, *meaning;
    } words[] = {
        {"NAME", project->name},
        {"INCLUDE", project->include},
        {"PROGRAM", project->program},
        {"SUFFIX", project->language == TEMPLATE_C ? "c" : "cc"},
        {"LANGUAGE", project->language == TEMPLATE_C ? "C" : "CXX"},
    };

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i].word) == length && !memcmp(words[i].word, word, length))
            return words[i].meaning;
    return NULL;
}

/* The text with each @WORD@ that means something replaced. Caller frees. */
static char *filled_in(const struct project *project, const char *text, const char *end)
{
    char *filled = memory_text("");

    while (text < end) {
        const char *at = memchr(text, '@', (size_t)(end - text));
        const char *close = at ? memchr(at + 1, '@', (size_t)(end - at - 1)) : NULL;
        const char *word = close ? meaning(project, at + 1, (size_t)(close - at - 1)) : NULL;
        const char *stop = word ? at : at ? at + 1 : end;
        char *longer =
            memory_format("%s%.*s%s", filled, (int)(stop - text), text, word ? word : "");

        free(filled);
        filled = longer;
        text = word ? close + 1 : stop;
    }
    return filled;
}

static int write_file(const char *folder, const char *name, const char *text, bool executable,
                      struct error *err)
{
    cleanup_free char *path = memory_format("%s/%s", folder, name);
    cleanup_close int fd =
        open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, executable ? 0777 : 0666);
    size_t left = strlen(text);

    if (fd < 0)
        return error_errno(err, ERROR_IO, "write '%s'", path);
    while (left) {
        ssize_t n = write(fd, text, left);

        if (n < 0 && errno != EINTR)
            return error_errno(err, ERROR_IO, "write '%s'", path);
        text += n > 0 ? n : 0;
        left -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static int write_files(const struct project *project, const char *folder, struct error *err)
{
    for (size_t i = 0; i < templates_count; i++) {
        const struct template_file *file = &templates[i];
        cleanup_free char *name = NULL, *text = NULL;

        if (file->language != TEMPLATE_ANY && file->language != project->language)
            continue;
        name = filled_in(project, file->name, file->name + strlen(file->name));
        text = filled_in(project, file->text, file->end);
        if (write_file(folder, name, text, file->executable, err))
            return -1;
    }
    return 0;
}

int project_make(const struct project *project, struct error *err)
{
    struct error unused;

    if (mkdir(project->folder, 0777)) {
        if (errno == EEXIST)
            return error_set(err, ERROR_USAGE,
                             "'%s' exists: choose another name or another --dir",
                             project->folder);
        return error_errno(err, ERROR_USAGE, "make folder '%s'", project->folder);
    }
    if (!write_files(project, project->folder, err))
        return 0;
    tree_remove(project->folder, &unused);
    return -1;
}
