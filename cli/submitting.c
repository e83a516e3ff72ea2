#include "cli/submitting.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"
#include "store/blobs.h"

enum {
    PIECES_BETWEEN = 16, /* looks at what the coordinator says */
    ROUNDS = 3,          /* a coordinator that still lacks something then never has enough */
};

static int take_error(const Mr__Error *error, struct error *err)
{
    return error_set(err,
                     error->code && error->code < ERROR_CODES ? (enum error_code)error->code
                                                              : ERROR_INTERNAL,
                     "%.*s", (int)error->text.len, (const char *)error->text.data);
}

/* The coordinator was started anew, and may know nothing of what it was told. */
enum { BEGUN_ANEW = 2 };

/* What the coordinator says about the submission: 1 with its answer, 0 when a descriptor is
 * ready or (with a time-out) nothing was said, or BEGUN_ANEW. */
static int listen_to(struct client *client, const int *fds, int n, long timeout_ms,
                     Mr__Submitted **ret, struct error *err)
{
    for (;;) {
        ProtobufCMessage *message;
        enum frame_type type;
        int result = client_receive(client, fds, n, timeout_ms, &type, &message, err);

        if (result <= 0)
            return result;
        if (type == FRAME_FENCED)
            return BEGUN_ANEW;
        if (type == FRAME_SUBMITTED) {
            *ret = (Mr__Submitted *)message;
            return 1;
        }
        if (type == FRAME_REPLY && ((const Mr__Reply *)message)->error) {
            take_error(((const Mr__Reply *)message)->error, err);
            frame_free(message);
            return -1;
        }
        frame_free(message);
    }
}

/* Sends the next piece; returns its size, 0 at the end, or -1. */
static ssize_t send_piece(struct client *client, int file, const Mr__BlobRef *blob,
                          uint64_t offset, uint8_t *room, struct error *err)
{
    Mr__Blob piece = MR__BLOB__INIT;
    ssize_t n = pread(file, room, BLOB_PIECE, (off_t)offset);

    if (n < 0)
        return error_errno(err, ERROR_OBJECT, "read the job object");
    if (!n && offset < blob->size)
        return error_set(err, ERROR_OBJECT, "the job object shrank while it was sent");
    piece.sha256 = blob->sha256;
    piece.offset = offset;
    piece.total = blob->size;
    piece.data = (ProtobufCBinaryData){(size_t)n, room};
    if (n)
        client_send(client, FRAME_BLOB, &piece.base);
    return n;
}

/* As submitting: 1 when all was sent. */
static int send_blob(struct client *client, const Mr__BlobRef *blob, const char *path,
                     const int *fds, int n, struct error *err)
{
    cleanup_close int file = open(path, O_RDONLY | O_CLOEXEC);
    cleanup_free uint8_t *room = memory_new(BLOB_PIECE);
    uint64_t offset = 0;

    if (file < 0)
        return error_errno(err, ERROR_OBJECT, "open '%s'", path);
    for (int pieces = 1; offset < blob->size; pieces++) {
        ssize_t size = send_piece(client, file, blob, offset, room, err);
        Mr__Submitted *early = NULL;
        int heard;

        if (size < 0)
            return error_wrap(err, "'%s'", path);
        offset += (uint64_t)size;
        if (pieces % PIECES_BETWEEN)
            continue;
        /* Lets the session take what was confirmed off its memory. */
        heard = listen_to(client, fds, n, 1, &early, err);
        frame_free(early ? &early->base : NULL);
        if (heard < 0 || heard == BEGUN_ANEW)
            return heard;
    }
    return 1;
}

int submitting(struct client *client, const Mr__Submit *message, const char *object,
               const int *fds, int n, uint64_t *ret_job, struct error *err)
{
    check(message->spec->n_blobs == 1);
    for (int round = 0;; round++) {
        Mr__Submitted *answer = NULL;
        int result;

        client_send(client, FRAME_SUBMIT, &message->base);
        result = listen_to(client, fds, n, -1, &answer, err);
        if (result == BEGUN_ANEW) {
            round = -1;
            continue;
        }
        if (result <= 0)
            return result;
        if (answer->error)
            result = take_error(answer->error, err);
        else if (!answer->n_needs)
            *ret_job = answer->job;
        else if (round + 1 == ROUNDS)
            result = error_set(err, ERROR_DAMAGE,
                               "the coordinator cannot keep '%s': it was sent %d times", object,
                               round);
        else
            result = send_blob(client, message->spec->blobs[0], object, fds, n, err);
        if (result == BEGUN_ANEW)
            round = -1;
        if (result <= 0 || !answer->n_needs || answer->error) {
            frame_free(&answer->base);
            return result;
        }
        frame_free(&answer->base);
    }
}
