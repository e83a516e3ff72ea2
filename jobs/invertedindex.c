/* invertedindex: for each word, the files that it occurs in, with how often.
 *
 *     marram run invertedindex -i /usr/share/common-licenses -o index
 *     grep '^warranty' index/part-*
 *     warranty    /usr/share/common-licenses/Apache-2.0:1 /usr/share/common-licenses/GFDL-1.2:4
 * ...
 *
 * A general reduce: the values of a word are the paths of its files, and they arrive in input
 * order, so that equal ones stand together and one line is written as they stream by, however
 * many there are. */
#include <mr/job.h>
#include <stdio.h>
#include <stdlib.h>

static void emit_words(struct mr_task *task, struct mr_bytes text)
{
    struct mr_bytes path = mr_text(mr_source(task).path);

    for (struct mr_words w = mr_words_in(text); mr_next_word(&w);)
        mr_emit(task, w.word, path);
}

/* A text that grows. */
struct list {
    char *text;
    size_t used, size;
};

static bool add_file(struct list *list, struct mr_bytes path, int64_t count)
{
    size_t need = list->used + path.len + 32;

    if (need > list->size) {
        char *text = realloc(list->text, 2 * need);

        if (!text)
            return false;
        list->text = text;
        list->size = 2 * need;
    }
    if (list->used)
        list->text[list->used++] = ' ';
    memcpy(list->text + list->used, path.ptr, path.len);
    list->used += path.len;
    list->used += (size_t)sprintf(list->text + list->used, ":%lld", (long long)count);
    return true;
}

static void list_files(struct mr_task *task, struct mr_bytes word, struct mr_values *paths)
{
    struct list list = {NULL, 0, 0};
    struct mr_bytes path, last = {NULL, 0};
    char *copy = NULL;
    int64_t count = 0;
    bool good = true;

    while (good && mr_next(task, paths, &path)) {
        if (copy && path.len == last.len && !memcmp(path.ptr, last.ptr, path.len)) {
            count++;
            continue;
        }
        good = !copy || add_file(&list, last, count);
        /* A value is gone with the next one: the path to compare with is a copy. */
        free(copy);
        copy = malloc(path.len + 1);
        good = good && copy;
        if (copy)
            memcpy(copy, path.ptr, path.len);
        last.ptr = copy;
        last.len = path.len;
        count = 1;
    }
    if (good && add_file(&list, last, count))
        mr_emit(task, word, ((struct mr_bytes){list.text, list.used}));
    else
        mr_fail(task, "out of memory");
    free(copy);
    free(list.text);
}

const struct mr_job mr_job = {
    MR_HEADER,
    .name = "invertedindex",
    .about = "for each word, the files that it occurs in, with how often",
    .input = MR_BLOCKS,
    .map = emit_words,
    .value = MR_BYTES,
    .reduce = list_files,
};
