/* A TCP proxy on loopback, in a thread of its own, that cuts its connections. */
#ifndef TESTS_PROXY_H
#define TESTS_PROXY_H

#include <stddef.h>
#include <stdint.h>

struct proxy;

/* Passes connections on to `port` of loopback. Each is cut, without ceremony, once between
 * `least` and `most` bytes went through it either way, as the seed says; most 0: never. */
struct proxy *proxy_new(uint16_t port, uint64_t seed, uint64_t least, uint64_t most);
void proxy_free(struct proxy *proxy);

uint16_t proxy_port(const struct proxy *proxy);

/* Cuts all connections there are; new ones are taken as before. Done when it returns. */
void proxy_cut(struct proxy *proxy);

/* From then on counts in how many pieces the bytes pass; they must outlive the proxy. Before
 * the first connection. */
void proxy_look_for(struct proxy *proxy, const void *bytes, size_t size);
uint64_t proxy_seen(const struct proxy *proxy);
/* Bytes that passed, either way. */
uint64_t proxy_passed(const struct proxy *proxy);

uint64_t proxy_cuts(const struct proxy *proxy);

#endif
