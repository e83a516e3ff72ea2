/* A real coordinator in a thread, and workers and clients that a test plays itself on links of
 * its own. What they wait for comes within PEER_PATIENCE_MS, or the test fails. Nothing but
 * messages and files passes between the two threads. cmocka must be included first. */
#ifndef TESTS_PEER_H
#define TESTS_PEER_H

#include "coordinator/serve.h"
#include "wire/bytes.h"
#include "wire/link.h"
#include "wire/mr.pb-c.h"

enum { PEER_PATIENCE_MS = 20000, PEER_JOBS = 8 };

#define BYTES(text) ((ProtobufCBinaryData){strlen(text), (uint8_t *)(uintptr_t)(text)})

/* The coordinator, with a temporary folder in which it keeps its state and jobs write. */
struct house {
    char *folder;
    void *context;
    struct coordinator *coordinator;
    struct house_thread *thread;
    struct peer *peers; /* that are connected */
    struct coordinator_options options;
};

/* Leases of a minute, so that nobody needs to beat; patient; 100 jobs retained. */
struct coordinator_options house_usual(void);
/* Opens with the options, of which context, endpoint and state are filled in; NULL: the usual
 * ones. */
struct house *house_open(const struct coordinator_options *options);
/* The same with keys in the options: a porter is opened in its context. */
struct house *house_open_guarded(const struct coordinator_options *options,
                                 struct porter **ret_porter);
/* Stops the thread: from then on the coordinator is the test's own to look at. */
void house_stop(struct house *house);
/* Another coordinator takes its place, with what the state folder holds; all peers must have
 * been closed. */
void house_restart(struct house *house);
/* Stops it, if that was not done, and closes. */
void house_close(struct house *house);

/* One end of a link to the coordinator. While the test waits for any of them, those that beat
 * say every PEER_BEAT_MS that they live. */
enum { PEER_BEAT_MS = 20 };
struct peer {
    struct house *house;
    struct peer *next;
    bool beats;
    struct link *link;
    char name[32];
    uint64_t id; /* what WELCOME calls a worker */
    struct {
        uint64_t id;
        char *staging;
    } jobs[PEER_JOBS]; /* that it was told of, the last ones */
    size_t job_count;
};

/* Connects and says nothing. */
struct peer *peer_connect(struct house *house);
/* The same with a key, to the one who has that other one. */
struct peer *peer_connect_guarded(struct house *house, const struct certificate *own,
                                  const char *server);
/* Connects, says HELLO and hears WELCOME. */
struct peer *peer_join(struct house *house, Mr__Role role, const char *name);
/* Hangs up without a word. Takes NULL. */
void peer_close(struct peer *peer);

void peer_greet(struct peer *peer, Mr__Role role, const char *name);
void peer_say(struct peer *peer, enum frame_type type, const ProtobufCMessage *message);
void peer_beat(struct peer *peer, uint64_t sent_ms);

/* The next message of the type; what comes before it is dropped, but the staging folders of
 * JOB_OPEN are remembered. Free with frame_free; NULL for a type without payload. */
void *peer_hears(struct peer *peer, enum frame_type type);
/* The next message, of any type. */
enum frame_type peer_next(struct peer *peer, ProtobufCMessage **ret_message);
/* The same without waiting; false when there is none. */
bool peer_glance(struct peer *peer, enum frame_type *ret_type, ProtobufCMessage **ret_message);
/* Waits until the coordinator has judged all that this worker said; drops what it is told
 * meanwhile. */
void peer_settle(struct peer *peer);

/* ---- Workers ---------------------------------------------------------------------------- */

/* The next attempt that it is to make, which must be of that kind; free with frame_free. */
Mr__Assign *peer_task(struct peer *peer, Mr__TaskKind kind);

/* An answer that is all right: maps say that they emitted one pair each, part 0 received them;
 * the part file holds "NAME made part N\n". It borrows from itself: do not copy it. */
struct answer {
    Mr__TaskDone done;
    Mr__Description description;
    Mr__MapOutput output;
    Mr__Counter counters[2], *pointers[2];
};
void answer_fill(struct answer *answer, struct peer *peer, const Mr__Assign *assign);
/* Writes the part file of a reduce. */
void peer_writes(struct peer *peer, const Mr__Assign *assign);
/* Writes the part file, if it is a reduce, and says that it is done. */
void peer_does(struct peer *peer, const Mr__Assign *assign);
/* The attempt failed. */
void peer_fails(struct peer *peer, const Mr__Assign *assign, enum error_code code, bool blamed,
                const char *text);
/* Does every task that it is given until the job is closed. */
void peer_works(struct peer *peer, uint64_t job);

/* ---- Clients ---------------------------------------------------------------------------- */

/* A submission of one object, whose bytes are no object: the coordinator does not look. It
 * borrows from itself: do not copy it. */
struct order {
    Mr__Submit submit;
    Mr__JobSpec spec;
    Mr__BlobRef blob, *blobs[1];
    ProtobufCBinaryData inputs[1];
    uint8_t hash[32];
    char input[300], output[300];
};
/* Of the input file "input", which is made, to the folder `output`: both in the house. */
void order_fill(struct order *order, const struct house *house, const char *output);
/* Submits, with the object if need be; the job's number. */
uint64_t peer_submits(struct peer *client, const struct order *order);
/* Submits and is refused: with this code, and a text that contains `word`. */
void peer_refused(struct peer *client, const struct order *order, enum error_code code,
                  const char *word);
/* Asks; the answer must be of the type. Free with frame_free. */
void *peer_asks(struct peer *client, Mr__Question question, uint64_t job,
                enum frame_type wanted);
/* Waits for the end of a job that it watches, which must be in that state. */
Mr__Finished *peer_sees_end(struct peer *client, uint64_t job, const char *state);
/* The error that a REPLY must carry. */
void peer_hears_error(struct peer *client, enum error_code code, const char *word);

/* False for no bytes. */
bool bytes_contain(ProtobufCBinaryData bytes, const char *word);

#endif
